"""The same rows several times, or cut off from the gradient: tensors and distributions alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar, cast

from torch import Tensor

from pushforward.core.scalars import IsDataclass

__all__ = ["repeated", "frozen"]

R = TypeVar("R")


def repeated(rows: R, k: int) -> R:
    """Rows (n, …) of a tensor or of a distribution's tensors,
    one block after the other k times: (k n, …).
    """
    if k == 1:
        return rows
    if isinstance(rows, Tensor):
        return cast(R, rows.repeat(k, *[1] * (rows.ndim - 1)))
    return _each(rows, lambda t: t.repeat(k, *[1] * (t.ndim - 1)))


def frozen(distribution: R) -> R:
    """The distribution at the same parameters, to which no gradient flows."""
    return _each(distribution, lambda t: t.detach())


def _each(distribution: R, change: Callable[[Tensor], Tensor]) -> R:
    kind: Callable[..., R] = type(distribution)
    return kind(
        **{
            f.name: _changed(getattr(distribution, f.name), change)
            for f in dataclasses.fields(cast(IsDataclass, distribution))
        }
    )


def _changed(value: Tensor | int | None, change: Callable[[Tensor], Tensor]) -> Tensor | int | None:
    return value if value is None or isinstance(value, int) else change(value)
