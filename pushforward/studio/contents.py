"""Arguments of requests, checked: each function reads one value and says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind, InvalidValue, suggest_listed

__all__ = ["choice", "matrix", "number", "some_of", "switch", "text", "whole"]

T = TypeVar("T")


def text(content: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text."""
    return _typed(content, name, str, default)


def switch(content: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """True or false."""
    return _typed(content, name, bool, default)


def whole(content: Mapping[str, Any], name: str, low: int, high: int, default: int | None) -> int:
    """A whole number within bounds."""
    value = content.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidValue(f"{name} must be a whole number from {low} to {high}, got {value!r}")
    return value


def number(content: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """A finite number."""
    value = content.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise InvalidValue(f"{name} must be a finite number, got {value!r}")
    return float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the floats
        return False


def choice(
    content: Mapping[str, Any], name: str, choices: Sequence[str], default: str | None = None
) -> str:
    """One of several texts."""
    value = text(content, name, default)
    if value not in choices:
        raise InvalidValue(
            f"{name} must be one of {', '.join(choices)}, got {value!r};"
            f" {suggest_listed(value, choices)}"
        )
    return value


def some_of(content: Mapping[str, Any], name: str, choices: Collection[str]) -> list[str]:
    """A list of texts out of several; empty if it is not given."""
    value = content.get(name, [])
    if not isinstance(value, list) or not all(isinstance(v, str) and v in choices for v in value):
        raise InvalidValue(f"{name} are some of {', '.join(choices)}, got {value!r}")
    return value


def matrix(content: Mapping[str, Any], name: str, most: int, columns: int | None = None) -> Tensor:
    """Numbers (n, columns) that are finite in float32, 1 ≤ n ≤ most, as float64."""
    value = content.get(name)
    try:
        rows = torch.tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InvalidKind(f"{name} must be rows of numbers") from error
    width = rows.shape[1] if columns is None and rows.ndim == 2 else columns
    if rows.ndim != 2 or not 1 <= len(rows) <= most or rows.shape[1] != width:
        raise InvalidValue(
            f"{name} must be 1 to {most} rows of {columns or 'as many'} numbers, got the shape"
            f" {tuple(rows.shape)}"
        )
    if not bool(rows.float().isfinite().all()):
        raise InvalidValue(f"{name} must be finite, and no larger than float32 holds")
    return rows


def _typed(content: Mapping[str, Any], name: str, kind: type[T], default: T | None) -> T:
    value = content.get(name, default)
    if not isinstance(value, kind):
        raise InvalidKind(f"{name} must be {kind.__name__}, got {value!r}")
    return value
