"""Rows with missing values: filled block by block, with what is drawn by probabilities."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.core.random import Rng, uniform

__all__ = ["USES", "draw_places", "fill_gaps"]

USES = ("draw", "mean", "mode")
"""What gaps are filled with."""


def fill_gaps(x: Tensor, at_once: int, fill: Callable[[Tensor], Tensor]) -> Tensor:
    """Observations (n, *shape) without NaN.

    Args:
        x: observations; those without NaN stay as they are.
        at_once: rows filled at a time, which bounds the memory.
        fill: rows (m, d), all with gaps, to rows without.
    """
    rows = x.flatten(1)
    filled = rows.clone()
    for part in torch.isnan(rows).any(1).nonzero()[:, 0].split(at_once):
        filled[part] = fill(rows[part])
    return filled.reshape(x.shape)


def draw_places(shares: Tensor, rng: Rng) -> Tensor:
    """One place (n,) per row of shares (n, k), which need not add up to 1, drawn by them."""
    ends = shares.cumsum(1)
    at = uniform(len(ends), 1, rng=rng, like=ends) * ends[:, -1:]
    return torch.searchsorted(ends, at, right=True)[:, 0].clamp_max(ends.shape[1] - 1)
