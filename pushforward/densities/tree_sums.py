r"""Kernel sums that skip leaves of distant points within an error bound; exact for compact kernels.

Points and queries are each cut by a k-d tree into blocks of neighbours.
For a block of queries Q and a leaf P,

    sum over P of w_i h_i^-d k(|x - p_i| / h_i) / Z  <=  exp(u_P),
        u_P = log sum over P of exp(a_i) + log k(gap / max h_i),

where gap is the least distance between the two bounding boxes. A leaf out of a compact kernel's
reach has u_P = -inf and costs nothing. For other kernels the nearest leaves are summed first, for a
lower bound of f over the block; then the leaves with the smallest u_P are dropped as long as their
total stays below `tolerance` times that bound. The relative error is therefore at most `tolerance`
at every query, even in the far tails.

Reference: Gray & Moore (2003), Nonparametric density estimation: toward computational tractability
(dual trees), https://doi.org/10.1137/1.9781611972733.19; here both trees are flattened to their
leaves, which gives dense blocks.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.direct_sums import Bumps, log_sums

__all__ = ["TreeSums", "split_leaves"]

LEAF = 128  # most points in a leaf
FIRST = 4  # leaves summed for the lower bound


def split_leaves(points: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A permutation of the rows of `points` (n, d),
    and the (k + 1,) bounds of leaves of ≤ `size` rows in it.

    Leaves are larger only if rows coincide.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(points, leafsize=size, balanced_tree=False, compact_nodes=False)
    starts: list[int] = []
    pending: list[Any] = [tree.tree]
    while pending:
        node = pending.pop()
        if node.split_dim == -1:
            starts.append(node.start_idx)
        else:
            pending += [node.greater, node.lesser]
    return tree.indices, np.array([*sorted(starts), len(points)])


class TreeSums:
    """Bumps sorted into leaves, to be summed at any queries.

    Args:
        bumps: the bumps to sum.
        tolerance: largest relative error of f from dropped leaves
            (Gaussian, exponential); compact kernels drop nothing.
    """

    def __init__(self, bumps: Bumps, tolerance: float = 1e-11) -> None:
        self.tolerance = tolerance
        order, self.bounds = split_leaves(bumps.points.numpy(), LEAF)
        self.order = torch.from_numpy(order)
        self.bumps = bumps.take(self.order)
        starts = self.bounds[:-1]
        points, amplitudes = self.bumps.points.numpy(), self.bumps.amplitudes.numpy()
        self.low = np.minimum.reduceat(points, starts)
        self.high = np.maximum.reduceat(points, starts)
        self.widest = np.maximum.reduceat(self.bumps.scales.numpy(), starts)
        top = np.maximum.reduceat(amplitudes, starts)
        sizes = np.diff(self.bounds)
        self.mass = (
            np.log(np.add.reduceat(np.exp(amplitudes - np.repeat(top, sizes)), starts)) + top
        )

    def log_sums(self, queries: Tensor, *, exclude: Tensor | None = None) -> Tensor:
        """(m,) log f at (m, d) queries.

        `exclude` as in `direct_sums.log_sums`, in the caller's numbering.
        """
        out = torch.empty(len(queries), dtype=torch.float64)
        for index in self.blocks(queries):
            skip = None if exclude is None else self._renumbered(exclude[index])
            out[index] = self._block(queries[index], skip)
        return out

    def blocks(self, queries: Tensor) -> list[Tensor]:
        """Rows of `queries` in groups of neighbours."""
        size = min(256, max(16, len(queries) // 64))
        if len(queries) <= size:
            return [torch.arange(len(queries))] if len(queries) else []
        order, bounds = split_leaves(queries.numpy(), size)
        return list(torch.from_numpy(order).split(np.diff(bounds).tolist()))

    def pairs(self, queries: Tensor, sample: int = 8) -> float:
        """Predicted pairs per query, from the leaves within reach of a few blocks of queries."""
        sizes, counts = np.diff(self.bounds), []
        blocks = self.blocks(queries)
        for index in blocks[:: max(1, len(blocks) // sample)]:
            upper = self._upper(queries[index].numpy())
            reach = upper > upper.max() - 12 + math.log(self.tolerance)
            counts.append((sizes[reach].sum() + FIRST * LEAF) * len(index))
        rows = sum(len(index) for index in blocks[:: max(1, len(blocks) // sample)])
        return float(sum(counts)) / max(1, rows)

    def _upper(self, queries: np.ndarray) -> np.ndarray:
        """(leaves,) the bounds u_P for one block of queries."""
        gap = np.maximum(0, np.maximum(self.low - queries.max(0), queries.min(0) - self.high))
        if self.bumps.separable:
            gaps = [self._profile(axis / self.widest) for axis in gap.T]
            product_bound: np.ndarray = self.mass + np.sum(gaps, axis=0)
            return product_bound
        distance = np.sqrt(np.square(gap).sum(1))
        radial_bound: np.ndarray = self.mass + self._profile(distance / self.widest)
        return radial_bound

    def _profile(self, r: np.ndarray) -> np.ndarray:
        if self.bumps.kernel.name == "gaussian":
            exponents: np.ndarray = -0.5 * r * r
            return exponents
        return self.bumps.kernel.log_profile(torch.from_numpy(r)).numpy()

    def _block(self, queries: Tensor, exclude: Tensor | None) -> Tensor:
        upper = self._upper(queries.numpy())
        near = np.flatnonzero(upper > -math.inf)
        near = near[np.argsort(-upper[near], kind="stable")]
        if self.bumps.kernel.compact or len(near) <= 2 * FIRST:
            return self._sum(near, queries, exclude)
        first = self._sum(near[:FIRST], queries, exclude)
        rest = near[FIRST:]
        rest = rest[: self._needed(upper[rest], float(first.min()))]
        return torch.logaddexp(first, self._sum(rest, queries, exclude))

    def _needed(self, upper: np.ndarray, floor: float) -> int:
        """How many leaves, in falling order of their bounds,
        must be summed to keep the tolerance.
        """
        if floor == -math.inf:
            return len(upper)
        dropped = np.cumsum(np.exp(np.minimum(upper[::-1] - floor, 700.0)))
        return len(upper) - int(np.searchsorted(dropped, self.tolerance, side="right"))

    def _sum(self, selected: np.ndarray, queries: Tensor, exclude: Tensor | None) -> Tensor:
        if len(selected) == 0:
            return torch.full((len(queries),), -math.inf, dtype=torch.float64)
        selected = np.sort(selected)
        starts, sizes = self.bounds[selected], np.diff(self.bounds)[selected]
        rows = np.arange(sizes.sum()) + np.repeat(
            starts - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes
        )
        if exclude is not None:
            place = np.searchsorted(rows, exclude.numpy()).clip(max=len(rows) - 1)
            exclude = torch.from_numpy(np.where(rows[place] == exclude.numpy(), place, -1))
        index = torch.from_numpy(rows)
        centre = queries[0]
        near = self.bumps.take(index)
        shifted = Bumps(
            near.points - centre, near.scales, near.log_weights, near.kernel, near.shape
        )
        return log_sums(shifted, queries - centre, exclude=exclude)

    def _renumbered(self, exclude: Tensor) -> Tensor:
        """The caller's row numbers in sorted order (-1 is kept)."""
        inverse = torch.empty_like(self.order)
        inverse[self.order] = torch.arange(len(self.order))
        return torch.where(exclude < 0, exclude, inverse[exclude.clamp_min(0)])
