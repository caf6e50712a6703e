"""Conversion of samples of any kind to one tensor: arrays, data frames, lists."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pushforward.core.column_numbers import as_numbers
from pushforward.core.data_types import Frame, Observations, Series
from pushforward.core.errors import (
    InvalidKind,
    ShapeMismatch,
)
from pushforward.core.frames import as_frame, is_frame, kind_of
from pushforward.core.numbers import to_numeric, view_as_tensor, warn_of_rounding

__all__ = ["rows"]


def rows(x: object) -> Tensor:
    """Convert samples to a tensor with at least one row and two axes, without rounding.

    Tensors, arrays (of any layout, byte order and width), data frames of numbers, and lists of
    numbers, which become float64.

    Raises:
        InvalidKind, ShapeMismatch: If that is impossible.
    """
    try:
        tensor = view_as_tensor(
            to_numeric(_convert_frame(as_frame(x)) if is_frame(x) else _stack_list(x), "samples")
        )
    except InvalidKind as error:
        if isinstance(x, Tensor) or is_frame(x):
            raise
        raise InvalidKind(_kind_error(x, str(error))) from error
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidKind(_kind_error(x, "")) from error
    if tensor.dtype in (torch.uint16, torch.uint32):  # which torch cannot compare
        tensor = tensor.to(torch.int64)
    elif tensor.dtype == torch.uint64:
        tensor = view_as_tensor(tensor.cpu().numpy())
    if tensor.ndim == 0 or len(tensor) == 0:
        raise ShapeMismatch(f"samples must have at least one row, got shape {tuple(tensor.shape)}")
    samples: Tensor = tensor[:, None] if tensor.ndim == 1 else tensor
    return samples


def column_names(x: object) -> list[str]:
    """The columns of a data frame; empty for anything else."""
    return [str(name) for name in (as_frame(x)).columns] if is_frame(x) else []


def reorder_columns(x: Observations, real: Observations) -> Observations:
    """Put the columns of x in the order of the real ones if both are data frames.

    Raises:
        ShapeMismatch: If their names differ.
    """
    if not (is_frame(x) and is_frame(real)):
        return x
    names, real_names, frame = column_names(x), column_names(real), as_frame(x)
    missing = [name for name in real_names if name not in names]
    if missing or len(names) != len(real_names):
        other = (
            f"has no column {missing[0]!r}"
            if missing
            else f"has {len(names)} columns, not {len(real_names)}"
        )
        raise ShapeMismatch(f"one data frame {other[:160]}; pass frames with the same columns")
    return (
        frame.iloc[:, [names.index(name) for name in real_names]]
        if len(set(names)) == len(names)
        else x
    )


def _convert_frame(frame: Frame) -> Tensor:
    """The numbers (n, d) of a data frame: int64 if all are integers, else float64.

    Raises:
        InvalidKind: If a column is not numeric.
    """
    columns = [_convert_column(frame.iloc[:, i], name) for i, name in enumerate(frame.columns)]
    if not columns:
        return torch.zeros(len(frame), 0, dtype=torch.float64)
    if any(column.dtype != torch.int64 for column in columns):
        for column in columns:
            warn_of_rounding(column)
        columns = [column.to(torch.float64) for column in columns]
    return torch.stack(columns, 1)


def _convert_column(series: Series, name: object) -> Tensor:
    """The numbers (n,) of a column: int64 if they are integers, else float64."""
    kind = kind_of(series)
    if kind not in ("integer", "continuous"):
        raise InvalidKind(
            f"samples must be numbers, but column {str(name)[:60]!r} is not numeric; drop it, or"
            " pass codes"
        )
    if kind == "continuous":
        return view_as_tensor(as_numbers(series))
    return view_as_tensor(
        series.to_numpy(
            dtype=np.uint64 if str(series.dtype).lower().startswith("uint") else np.int64
        )
    )


def _stack_list(x: object) -> object:
    """Stack a list of tensors; return anything else unchanged."""
    if isinstance(x, (list, tuple)) and x and isinstance(x[0], Tensor):
        return torch.stack([torch.as_tensor(each).detach().cpu() for each in x])
    return x


def _kind_error(x: object, why: str) -> str:
    why = f" ({why[:90]})" if why else ""
    return (
        "samples must be a tensor or array (n, ...) or a data frame of numbers, got"
        f" {type(x).__name__}{why}; pass source.all().x, say"
    )
