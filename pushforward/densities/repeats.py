"""The same rows several times, or cut off from the gradient: tensors and distributions alike."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

__all__ = ["repeated", "frozen"]


def repeated(rows: Any, k: int) -> Any:
    """Rows (n, …) of a tensor or of a distribution's tensors,
    one block after the other k times: (k n, …).
    """
    if k == 1:
        return rows
    if isinstance(rows, Tensor):
        return rows.repeat(k, *[1] * (rows.ndim - 1))
    return _each(rows, lambda t: t.repeat(k, *[1] * (t.ndim - 1)))


def frozen(distribution: Any) -> Any:
    """The distribution at the same parameters, to which no gradient flows."""
    return _each(distribution, lambda t: t.detach())


def _each(distribution: Any, change: Any) -> Any:
    return type(distribution)(
        **{f.name: change(getattr(distribution, f.name)) for f in dataclasses.fields(distribution)}
    )
