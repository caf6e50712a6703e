r"""Kernel sums over the bumps that matter at each query, within a relative tolerance.

Bumps are sorted into leaves of like counts: rows are cut into slabs along one axis, each slab along
the next, and so on (sort-tile-recursive packing, Leutenegger, Lopez & Edgington 1997,
https://doi.org/10.1109/ICDE.1997.582015). The numbers of slabs are powers of two, so that leaves
are those of a balanced binary tree, whose nodes have boxes. A query walks down the tree, nearest
box first. With F what it has summed so far, and W the summed heights of all bumps, a node of summed
height w at distance g is dropped if the most that it can add is at most its share,

    w k(g / h)  <=  tolerance / 2  F w / W,      h the widest bandwidth in the node,

so that all that is dropped is below `tolerance` f, in the far tails too, where F is as small as f.
What is left is summed by differences, relative to the largest term. Compact kernels are summed over
all leaves in reach, exactly; equal top-hats and Epanechnikov bumps over nodes that lie inside their
supports by the nodes' counts and moments.

Reference: Gray & Moore (2003), Nonparametric density estimation: toward computational tractability,
https://doi.org/10.1137/1.9781611972733.19 (bounds by boxes).
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.direct_sums import Bumps, is_shared
from pushforward.densities.trees import pack, plant

__all__ = ["TreeSums"]

QUERIES = 128  # queries worth a thread
MOST, LEAST = 1e300, 1e-150  # largest coordinate, and smallest bandwidth, over the largest one


class TreeSums:
    """Bumps sorted into leaves, to be summed at any queries.

    Args:
        bumps: the bumps to sum.
        tolerance: largest relative error of f from dropped nodes
            (Gaussian, exponential); compact kernels drop nothing.
    """

    def __init__(self, bumps: Bumps, tolerance: float = 1e-11) -> None:
        self.bumps, self.tolerance = bumps, max(tolerance, 1e-300)
        # a power of two, which changes no digit: squares stay in range
        self.unit = 2.0 ** math.frexp(bumps.widest)[1]
        low, high = bumps.box
        far, narrow = max(high.max(), -low.min()) / self.unit, bumps.narrowest / self.unit
        if not (far < MOST and narrow > LEAST):
            raise InvalidValue(
                f"the points reach to {far:.3g} of the largest bandwidth and the smallest is"
                f" {narrow:.3g} of it, which leaves float64's range; choose others"
            )
        amplitudes = bumps.amplitudes
        self.top = float(amplitudes[0] if is_shared(amplitudes) else amplitudes.max())
        self.places, self.tree = plant(bumps, self.unit, self.top, self.tolerance)

    def log_sums(self, queries: Tensor, *, exclude: Tensor | None = None) -> Tensor:
        """(m,) log f at (m, d) queries.

        `exclude` as in `direct_sums.log_sums`, in the caller's numbering.
        """
        return torch.from_numpy(self._walk(queries, exclude)[0])

    def pairs(self, queries: Tensor) -> float:
        """Pairs of points and queries in the leaves that matter, per query."""
        return float(self._walk(queries, None)[1].mean()) * self.size

    @property
    def size(self) -> int:
        """Places in a leaf."""
        return int(self.tree.cells.shape[2])

    def _walk(self, queries: Tensor, exclude: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
        """Log sums (m,), and leaves summed (m,)."""
        from pushforward.core.threads import in_threads
        from pushforward.densities.tree_loops import sum_compact, sum_unbounded

        with np.errstate(over="ignore"):
            at = np.clip(np.ascontiguousarray(queries.numpy() / self.unit), -MOST, MOST)
        skip = np.full(len(at), -1, np.int32)
        if exclude is not None:
            rows = exclude.numpy()
            skip = np.where(rows >= 0, self.places[rows], np.int32(-1))
        out, leaves = np.empty(len(at)), np.empty(len(at), np.int64)
        sums = sum_compact if self.bumps.kernel.compact else sum_unbounded
        order = pack(at, 256) if len(at) > QUERIES else np.arange(len(at))
        call = partial(sums, self.tree, at, order, skip, out, leaves)
        in_threads(call, len(at), least=QUERIES, pieces=16)
        out *= math.log(2)
        out += self.top
        return out, leaves
