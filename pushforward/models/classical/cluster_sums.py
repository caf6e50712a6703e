"""What rows contribute to the centres of k-means: sums that merge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["EMPTY", "ClusterSums", "refilled"]

EMPTY = 1e-14
"""Share of all weight at or below which a centre owns nothing: rounding, of rows that left it."""


@dataclass
class ClusterSums:
    """What rows contribute to their centres.

    Args:
        count: Σ w of each centre (k,).
        sums: Σ w x of each centre (k, d).
        squares: Σ w |x|², ().
        moved: number of rows that changed their centre, ().
        reach: the largest |x|², ().
        far: in passes that ask for them, the rows farthest from their centres, each as [distance²,
            weight, centre, x] (m, d+3), falling.
        inertia: in passes that ask for it, Σ w |x - c|² by differences, ().
    """

    count: Tensor
    sums: Tensor
    squares: Tensor
    moved: Tensor
    reach: Tensor | None = None
    far: Tensor | None = None
    inertia: Tensor | None = None

    def merge(self, other: ClusterSums) -> ClusterSums:
        """Of both sets of rows."""
        reach = far = inertia = None
        if self.reach is not None and other.reach is not None:
            reach = torch.maximum(self.reach, other.reach)
        if self.far is not None and other.far is not None:
            far = _farthest(torch.cat([self.far, other.far]), len(self.far))
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

    def spread(self, centres: Tensor) -> Tensor:
        """Σ w |x - c|² () about centres (k, d), from the sums; rounding may leave it negative."""
        lengths = (self.count * centres.square().sum(1)).sum()
        return self.squares - 2 * (centres * self.sums).sum() + lengths


def refilled(sums: ClusterSums, centres: Tensor, empty: Tensor) -> tuple[ClusterSums, Tensor]:
    """Sums and centres after each empty centre has taken a row far from its own centre.

    As in scikit-learn the row is taken from its owner's sums, so that the inertia falls by all of
    its distance.
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


def _farthest(rows: Tensor, count: int) -> Tensor:
    """The first `count` of rows [distance², …] by falling distance; of equal ones the earlier."""
    return rows[rows[:, 0].argsort(descending=True, stable=True)[:count]]
