"""Inference of the facts about data in memory: kind, shape, columns, ranges."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.columns import Column
from pushforward.core.data_types import ArrayOrTensor
from pushforward.core.errors import InvalidKind, ShapeMismatch
from pushforward.core.extremes import column_extremes
from pushforward.core.frames import as_frame, is_frame
from pushforward.core.numbers import to_floating, to_numeric
from pushforward.core.space.facts import Form, Kind

__all__ = ["as_array", "infer_facts"]

RANGE_BLOCK = 1 << 18
"""Numbers per block when ranges are computed: 2 MB of float64, which fits a cache."""
LEVEL = 1 / 255
"""The distance of two levels of a byte, as a share of their range."""
RANGE_BLOCKS = 32
"""Blocks read from large data: 8 million numbers take less than a second, even from disk."""


def infer_facts(x: object) -> dict[str, Any]:
    """The fields of the space of data x with leading length n; see `Space.infer`."""
    names: list[str] | None = None
    if is_frame(x):
        x = as_frame(x)
        names = [str(c) for c in x.columns]
    array = as_array(x)
    if array.ndim == 1:
        array = array[:, None]
    kind: Kind = {2: "points", 3: "points", 4: "images", 5: "clips"}.get(array.ndim, "points")  # type: ignore[assignment]
    if array.ndim == 3:
        raise ShapeMismatch(
            f"data of shape {tuple(array.shape)} are neither points (n, d) nor images (n, channels,"
            " height, width); for grey images add the channel axis: x[:, None]"
        )
    if array.ndim in (4, 5) and array.shape[1] not in (1, 3, 4):
        raise ShapeMismatch(
            f"images have 1, 3 or 4 channels on the axis after n, got shape {tuple(array.shape)}; "
            "channels-last images need x.transpose(0, 3, 1, 2)"
        )
    if array.ndim > 5 or array.ndim == 0:
        raise ShapeMismatch(f"data must have 1 to 5 axes (n first), got shape {tuple(array.shape)}")
    integer = _is_integer(array)
    form: Form = (
        "frame" if names is not None else ("array" if isinstance(x, np.ndarray) else "tensor")
    )
    if kind == "points":
        lows, highs = _ranges(array)
        kinds = _column_kinds(x, array)
        columns: tuple[Column, ...] = tuple(
            Column(names[i] if names else "", kind, float(lows[i]), float(highs[i]))
            for i, kind in enumerate(kinds)
        )
        low, high = (float(lows.min()), float(highs.max())) if array.shape[1] else (0.0, 0.0)
    else:
        columns, (low, high) = (), _levels(array, integer)
    return {
        "kind": kind, "shape": tuple(array.shape[1:]), "columns": columns, "low": low, "high": high,
        "integer": integer, "form": form,
    }  # fmt: skip


def as_array(x: object) -> ArrayOrTensor:
    """x as a numeric NumPy array (memory maps stay mapped) or tensor.

    Masked entries become NaN.

    Raises:
        InvalidKind: For anything else.
    """
    if is_frame(x):
        frame = as_frame(x)
        text = [
            str(c) for c, dtype in zip(frame.columns, frame.dtypes) if dtype.kind not in "biufc"
        ]
        if text:
            raise InvalidKind(f"column {text[0]!r} holds text; declare it categorical or drop it")
        x = frame.to_numpy()
    return to_numeric(x)


def _is_integer(array: ArrayOrTensor) -> bool:
    return (
        not array.dtype.is_floating_point
        if isinstance(array, Tensor)
        else array.dtype.kind in "biu"
    )


def _column_kinds(x: object, array: ArrayOrTensor) -> list[Literal["continuous", "integer"]]:
    whole = (
        [dtype.kind in "biu" for dtype in as_frame(x).dtypes]
        if is_frame(x)
        else [_is_integer(array)] * array.shape[1]
    )
    return ["integer" if each else "continuous" for each in whole]


def _ranges(array: ArrayOrTensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """Smallest and largest value of each column, ignoring NaN, block by block.

    Of large data only evenly spaced blocks are read,
    because reading everything could take longer than the fit.
    """
    d = array.shape[1]
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    rows = max(1, RANGE_BLOCK // max(1, d))
    starts = range(0, len(array), rows)
    if len(starts) > RANGE_BLOCKS:
        starts = range(0, len(array), len(array) // RANGE_BLOCKS)
    for start in starts:
        block = array[start : start + rows]
        block = np.asarray(to_floating(block).cpu() if isinstance(block, Tensor) else block)
        if block.size:
            smallest, largest = column_extremes(block)
            if block.dtype != np.float64:
                smallest, largest = smallest.astype(np.float64), largest.astype(np.float64)
            if np.isnan(smallest).any():  # slower, but ignores NaN
                smallest, largest = np.fmin.reduce(block, 0), np.fmax.reduce(block, 0)
            low, high = np.fmin(low, smallest), np.fmax(high, largest)
    return low, high


def _levels(array: ArrayOrTensor, integer: bool) -> tuple[float, float]:
    """The range of image values.

    It is 0..255 for bytes (0..1 if all are 0 or 1), 0..1 or -1..1 for fractions, else as observed:
    so, too, for fractions that span less than one of 255 levels, which no image in 0..1 does.
    """
    lows, highs = _ranges(array.reshape(len(array), -1))
    low, high = float(lows.min()), float(highs.max())
    if array.dtype in (torch.uint8, np.dtype("uint8")):
        return 0.0, 1.0 if high == 1 else 255.0
    if integer:
        return min(low, 0.0), high
    if max(-low, high) > 1 or 0 < high - low < LEVEL:
        return low, high
    return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
