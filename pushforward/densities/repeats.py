"""Repetition of rows, and detachment from the gradient, for tensors and distributions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar, cast

from torch import Tensor

from pushforward.core.scalars import IsDataclass

__all__ = ["repeat", "detach"]

R = TypeVar("R")


def repeat(rows: R, k: int) -> R:
    """Rows (n, …) of a tensor or of a distribution's tensors,
    repeated k times as blocks: (k n, …).
    """
    if k == 1:
        return rows
    if isinstance(rows, Tensor):
        return cast(R, rows.repeat(k, *[1] * (rows.ndim - 1)))
    return _map_tensors(rows, lambda t: t.repeat(k, *[1] * (t.ndim - 1)))


def detach(distribution: R) -> R:
    """The distribution with detached parameters."""
    return _map_tensors(distribution, lambda t: t.detach())


def _map_tensors(distribution: R, change: Callable[[Tensor], Tensor]) -> R:
    kind: Callable[..., R] = type(distribution)
    return kind(
        **{
            f.name: _apply(getattr(distribution, f.name), change)
            for f in dataclasses.fields(cast(IsDataclass, distribution))
        }
    )


def _apply(value: Tensor | int | None, change: Callable[[Tensor], Tensor]) -> Tensor | int | None:
    return value if value is None or isinstance(value, int) else change(value)
