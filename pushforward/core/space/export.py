"""Conversion of tensors back to the original form of the data, and of spaces to JSON and back."""

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
    """Convert a tensor (n, *shape) in the user's units to the original form of the data.

    A data frame, an array, uint8 images, or a tensor.
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
    """Images or clips clipped to the range of their levels, as bytes if that range fits."""
    x = x.clamp(space.low, space.high)
    if space.integer:
        x = x.round().to(torch.uint8 if space.low >= 0 and space.high <= 255 else torch.int64)
    return x if space.form == "tensor" else x.numpy()


def to_frame(space: SpaceFacts, x: Tensor) -> Frame:
    """Points (n, d) as a pandas frame with the original column types."""
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
    """Plain JSON content; the inverse is `fields_of`."""
    content = dict(vars(space))
    content.update(extra=dict(space.extra), columns=[column_fields(c) for c in space.columns])
    content["low"], content["high"] = _finite(space.low), _finite(space.high)
    return content


def column_fields(column: Column) -> dict[str, Any]:
    """A column as plain JSON content; the inverse is `column_of`.

    What only typed columns have is left out of others.
    """
    fields = dict(vars(column))
    fields["low"], fields["high"] = _finite(column.low), _finite(column.high)
    for name in ("type", "reason", "ordered", "format"):
        if not fields[name]:
            del fields[name]
    if fields["decimals"] is None:
        del fields["decimals"]
    return fields


def column_of(fields: Mapping[str, Any]) -> Column:
    """The column stored by `column_fields`."""
    ends = {
        "low": _restore_infinity(fields["low"], -1),
        "high": _restore_infinity(fields["high"], 1),
    }
    return Column(**{**fields, "categories": tuple(fields["categories"]), **ends})


def fields_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the space stored by `to_json`."""
    fields = dict(content)
    columns = tuple(map(column_of, fields.pop("columns")))
    low, high = _restore_infinity(fields.pop("low"), -1), _restore_infinity(fields.pop("high"), 1)
    return {**fields, "shape": tuple(fields["shape"]), "columns": columns, "low": low, "high": high}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _restore_infinity(value: float | None, sign: int) -> float:
    return sign * float("inf") if value is None else value
