"""Mergeable sums of rows for the centres of k-means."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

__all__ = ["EMPTY", "ClusterSums", "Step", "refill"]

EMPTY = 1e-14
"""Share of all weight at or below which a centre is empty.

It covers the rounding error of rows that left it.
"""


@dataclass
class ClusterSums:
    """The contributions of rows to their centres.

    Args:
        count: Σ w of each centre (k,).
        sums: Σ w x of each centre (k, d).
        squares: Σ w |x|², ().
        moved: number of rows that changed their centre, ().
        reach: the largest |x|², ().
        far: in passes that request them, the rows farthest from their centres, each as [distance²,
            weight, centre, x] (m, d+3), falling.
        inertia: in passes that request it, Σ w |x - c|² by differences, ().
    """

    count: Tensor
    sums: Tensor
    squares: Tensor
    moved: Tensor
    reach: Tensor | None = None
    far: Tensor | None = None
    inertia: Tensor | None = None

    def merge(self, other: ClusterSums) -> ClusterSums:
        """The sums over both sets of rows."""
        reach = far = inertia = None
        if self.reach is not None and other.reach is not None:
            reach = torch.maximum(self.reach, other.reach)
        if self.far is not None and other.far is not None:
            far = _take_farthest(torch.cat([self.far, other.far]), len(self.far))
        if self.inertia is not None and other.inertia is not None:
            inertia = self.inertia + other.inertia
        return ClusterSums(
            self.count + other.count,
            self.sums + other.sums,
            self.squares + other.squares,
            self.moved + other.moved,
            reach,
            far,
            inertia,
        )


@dataclass
class Step:
    """The step of the centres that follows from the sums.

    Args:
        centres: the new ones (k, d); an empty one stays, as its remaining sums are rounding error.
        total: Σ w.
        spread_before, spread: Σ w |x - c|² about the old and the new centres, from the sums; they
            may be negative by rounding.
        variance: mean variance of the columns.
        moved: summed squared movement.
        empty: number of empty centres.
    """

    centres: Tensor
    total: float
    spread_before: float
    spread: float
    variance: float
    moved: float
    empty: int

    @classmethod
    def of(cls, centres: Tensor, sums: ClusterSums, seen: Tensor) -> Step:
        """Move centres (k, d) by Σ w (x - c) over the weights they have seen so far (k,)."""
        squares = float(sums.squares)
        if centres.device.type == "cpu":
            from pushforward.models.classical.cluster_loops import advance

            new, numbers = torch.empty_like(centres), np.empty(6)
            how = (centres.numpy(), sums.count.numpy(), sums.sums.numpy(), seen.numpy())
            advance(*how, EMPTY, new.numpy(), numbers)
            total, before, after, between, moved, empty = numbers.tolist()
        else:
            new, numbers_ = _advance(centres, sums, seen)
            total, before, after, between, moved, empty = numbers_
        mean = between / total if total else float("nan")
        width = centres.shape[1]
        variance = (squares - mean) / (total * width) if total else float("nan")
        return cls(new, total, squares + before, squares + after, variance, moved, int(empty))


def _advance(centres: Tensor, sums: ClusterSums, seen: Tensor) -> tuple[Tensor, list[float]]:
    """As `cluster_loops.advance`, on any device."""
    count, total = sums.count, sums.count.sum()
    owning = count > EMPTY * total
    step = (sums.sums - count[:, None] * centres) / seen.clamp_min(1e-300)[:, None]
    new = torch.where(owning[:, None], centres + step, centres)
    lengths = [
        (count * c.square().sum(1)).sum() - 2 * (c * sums.sums).sum() for c in (centres, new)
    ]
    between, moved = sums.sums.sum(0).square().sum(), (new - centres).square().sum()
    return new, torch.stack([total, *lengths, between, moved, (~owning).sum().to(total)]).tolist()


def refill(sums: ClusterSums, centres: Tensor, empty: Tensor) -> tuple[ClusterSums, Tensor]:
    """Move each empty centre to a row far from its own centre; return the new sums and centres.

    As in scikit-learn, the row is removed from its owner's sums,
    so that the inertia falls by its distance.
    """
    assert sums.far is not None
    count, total, centres = sums.count.clone(), sums.sums.clone(), centres.clone()
    for k, row in zip(empty.nonzero()[:, 0].tolist(), sums.far):
        distance, weight, owner, x = float(row[0]), row[1], int(row[2]), row[3:]
        if distance > 0:
            count[owner] = count[owner] - weight
            total[owner] = total[owner] - weight * x
            count[k], total[k], centres[k] = weight, weight * x, x
    return replace(sums, count=count, sums=total), centres


def _take_farthest(rows: Tensor, count: int) -> Tensor:
    """The first `count` rows [distance², …] by falling distance; ties keep their order."""
    return rows[rows[:, 0].argsort(descending=True, stable=True)[:count]]
