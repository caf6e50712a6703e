"""Data out: tensors as what came in, and a space as JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.column_values import restore
from pushforward.core.columns import Column
from pushforward.core.data_types import ArrayOrTensor, Frame
from pushforward.core.space.facts import SpaceFacts

__all__ = ["export", "export_levels", "fields_of", "to_frame", "to_json"]


def export(space: SpaceFacts, x: Tensor) -> Frame | ArrayOrTensor:
    """A tensor (n, *shape) in the user's units as what came in:
    data frame, array, uint8 images, or tensor.
    """
    x = x.detach().to("cpu")
    if space.kind != "points":
        return export_levels(space, x)
    if space.form == "frame":
        return to_frame(space, x)
    if space.integer:
        x = x.round().to(torch.int64)
    return x.numpy() if space.form == "array" else x


def export_levels(space: SpaceFacts, x: Tensor) -> ArrayOrTensor:
    """Images or clips within the range of their levels,
    as bytes where that range is one of bytes.
    """
    x = x.clamp(space.low, space.high)
    if space.integer:
        x = x.round().to(torch.uint8 if space.low >= 0 and space.high <= 255 else torch.int64)
    return x if space.form == "tensor" else x.numpy()


def to_frame(space: SpaceFacts, x: Tensor) -> Frame:
    """Points (n, d) as a pandas frame whose columns are of the types that came in."""
    import pandas

    values = x.numpy()
    frame: Frame = pandas.DataFrame(
        {
            name: restore(values[:, i], c)
            for i, (name, c) in enumerate(zip(space.names, space.columns))
        }
    )
    return frame


def to_json(space: SpaceFacts) -> dict[str, Any]:
    """Plain JSON content; `fields_of` reads it back."""
    content = dict(vars(space))
    content.update(extra=dict(space.extra), columns=[dict(vars(c)) for c in space.columns])
    for column in content["columns"]:
        column["low"], column["high"] = _finite(column["low"]), _finite(column["high"])
    content["low"], content["high"] = _finite(space.low), _finite(space.high)
    return content


def fields_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the space that `to_json` wrote."""
    fields = dict(content)
    columns = tuple(
        Column(
            **{
                **c,
                "categories": tuple(c["categories"]),
                "low": _restore_infinity(c["low"], -1),
                "high": _restore_infinity(c["high"], 1),
            }
        )
        for c in fields.pop("columns")
    )
    low, high = _restore_infinity(fields.pop("low"), -1), _restore_infinity(fields.pop("high"), 1)
    return {**fields, "shape": tuple(fields["shape"]), "columns": columns, "low": low, "high": high}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _restore_infinity(value: float | None, sign: int) -> float:
    return sign * float("inf") if value is None else value
