"""Distances between two sets of rows, in blocks of bounded memory.

|a - b|² = |a|² + |b|² - 2 aᵀb in float64; both sets should be centred first. Where a distance is reported rather than compared it
is computed again from the difference, which does not cancel.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue

__all__ = ["squared_distances", "radii", "nearest"]

BLOCK_NUMBERS = 1 << 24


def squared_distances(x: Tensor, reference: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """(rows of x, their squared distances (b, m) to all reference rows), a block at a time."""
    norms = reference.square().sum(1)
    size = max(1, BLOCK_NUMBERS // max(1, len(reference)))
    for start in range(0, len(x), size):
        part = x[start : start + size]
        squares = torch.addmm(norms, part, reference.T, alpha=-2).add_(part.square().sum(1)[:, None]).clamp_min_(0)
        yield slice(start, start + len(part)), squares


def radii(x: Tensor, k: int) -> Tensor:
    """Squared distance (n,) from each row to its k-th nearest other row."""
    if not 1 <= k < len(x):
        raise InvalidValue(f"k must lie between 1 and the number of other rows, {len(x) - 1}, got {k}; bring more rows or lower k")
    found = x.new_empty(len(x))
    for rows, squares in squared_distances(x, x):
        own = torch.arange(rows.start, rows.stop)
        squares[own - rows.start, own] = torch.inf  # itself, which the matrix product need not put at exactly 0
        found[rows] = squares.kthvalue(k, 1).values
    return found


def nearest(x: Tensor, reference: Tensor, *, itself: bool = False) -> tuple[Tensor, Tensor]:
    """Distance (n,) and number (n,) of the nearest reference row; `itself`: x are the reference rows, none its own neighbour."""
    index = torch.empty(len(x), dtype=torch.int64)
    for rows, squares in squared_distances(x, reference):
        if itself:
            own = torch.arange(rows.start, rows.stop)
            squares[own - rows.start, own] = torch.inf
        index[rows] = squares.argmin(1)
    distance = torch.cat([(a - reference[i]).norm(dim=1) for a, i in zip(x.split(4096), index.split(4096))])
    return distance, index
