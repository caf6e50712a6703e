"""Rows, weights and conditions in memory as checked tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pushforward.core import labels
from pushforward.core.data_types import ArrayOrTensor, Conditioning
from pushforward.core.errors import BadSource, ShapeMismatch
from pushforward.core.frames import as_frame, is_frame, kind_of
from pushforward.core.numbers import to_numeric, view_as_tensor
from pushforward.core.space import Space, as_array

__all__ = ["check_conditions", "check_weights", "is_mapped", "as_rows"]

SIGNED = {torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.float64}
"""Wider types for dtypes that torch cannot index."""


def is_mapped(array: object) -> bool:
    """Whether an array is a memory map or a view of one."""
    base = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


def as_rows(array: ArrayOrTensor, mapped: bool) -> Tensor:
    """A tensor sharing the array's memory; rows of a memory map are read when they are taken."""
    contiguous = mapped or isinstance(array, Tensor) or array.flags.c_contiguous
    # whose rows are fast to index
    rows = view_as_tensor(array if contiguous else np.ascontiguousarray(array))
    if mapped or rows.dtype not in SIGNED:
        return rows
    return rows.to(SIGNED[rows.dtype])  # torch cannot index these


def check_weights(weights: object) -> Tensor:
    """Weights as float64 (n,).

    Raises:
        BadSource: If a weight is negative or not finite, or none is positive.
    """
    tensor = view_as_tensor(to_numeric(weights, "weights")).to(torch.float64)
    if tensor.ndim != 1:
        raise ShapeMismatch(f"weights must have shape (n,), got {tuple(tensor.shape)}")
    if (
        not bool(torch.isfinite(tensor).all())
        or bool((tensor < 0).any())
        or not bool(tensor.sum() > 0)
    ):
        raise BadSource("weights must be finite, not negative and not all zero")
    return tensor


def check_conditions(y: Conditioning, space: Space | None) -> tuple[Tensor, Space]:
    """Conditions as a tensor, with their space; with a label space given, numbers are its codes.

    Text, booleans and whole numbers on one axis are labels, whose categories are those present.
    """
    if space is not None:
        return (_check_codes(y, space) if space.is_label else space.conform(y, what="y")), space
    if is_frame(y):
        y = as_frame(y)
        if y.shape[1] == 1 and kind_of(y.iloc[:, 0]) in ("text", "categorical"):
            return check_conditions(y.iloc[:, 0], None)
        space = Space.infer(y)
        return _require_complete(space.conform(y, what="y")), space
    array = labels.to_array(y) if not isinstance(y, Tensor) or y.ndim < 2 else y
    flat = array.ndim == 1
    if flat and not isinstance(array, Tensor) and array.dtype.kind in "OUSTiub":
        categories, codes = labels.find_categories(array)
        return torch.from_numpy(codes), Space.labels(categories)
    tensor = view_as_tensor(as_array(array if flat else y))
    space = Space.infer(tensor)
    return _require_complete(space.conform(tensor, what="y")), space


def _check_codes(y: Conditioning, space: Space) -> Tensor:
    """Codes of a label space as int64; text is looked up."""
    given = y if isinstance(y, Tensor) else labels.to_array(y)
    if not isinstance(given, Tensor):
        if given.dtype.kind not in "iubf":
            return space.conform(given, what="y")
        given = torch.from_numpy(np.ascontiguousarray(given))
    codes, count = given.reshape(-1).to(torch.int64), len(space.columns[0].categories)
    if codes.numel() and (int(codes.min()) < 0 or int(codes.max()) >= count):
        raise ShapeMismatch(
            f"y: expected label codes 0..{count - 1}, got {int(codes.min())}..{int(codes.max())}"
        )
    return codes


def _require_complete(y: Tensor) -> Tensor:
    """Conditions without missing values.

    Raises:
        BadSource: If a row has one.
    """
    if y.dtype.is_floating_point and bool(torch.isnan(y).any()):
        rows = int(torch.isnan(y.reshape(len(y), -1)).any(1).sum())
        raise BadSource(
            f"y holds missing values (NaN) in {rows} of {len(y)} rows; fill in the values or drop"
            " those rows"
        )
    return y
