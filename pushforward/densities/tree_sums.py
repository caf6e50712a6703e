r"""Kernel sums over the bumps that matter at each query, within a relative tolerance.

Bumps are sorted into leaves of like counts: rows are cut into slabs along one axis, each slab along
the next, and so on (sort-tile-recursive packing, Leutenegger, Lopez & Edgington 1997,
https://doi.org/10.1109/ICDE.1997.582015). The numbers of slabs are powers of two, so that leaves
are those of a balanced binary tree, whose nodes have boxes. A query walks down the tree, nearest
box first. With F what it has summed so far, and W the summed heights of all M bumps' profiles, a
node of height w and distance g from the query is dropped if its part is at most

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
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.direct_sums import Bumps

if TYPE_CHECKING:
    from pushforward.densities.tree_loops import Tree

__all__ = ["LEAF", "TreeSums"]

LEAF = 64  # most points in a leaf
BLOCK = 8  # places of leaves are a multiple of this
QUERIES = 128  # queries worth a thread
SAMPLE = 1024  # rows that tell how an axis spreads


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
        self.unit = 2.0 ** math.frexp(float(bumps.scales.numpy().max()))[1]
        self.top = float(bumps.amplitudes.numpy().max())
        self.places, self.tree = _plant(bumps, self.unit, self.top, self.tolerance)

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
        return self.tree.cells.shape[1] // (len(self.tree.boxes) // 2 + 1)

    def _walk(self, queries: Tensor, exclude: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
        """Log sums (m,), and leaves summed (m,)."""
        from pushforward.core.compiled import in_threads
        from pushforward.densities.tree_loops import sum_compact, sum_unbounded

        at = np.ascontiguousarray(queries.numpy() / self.unit)
        skip = np.full(len(at), -1)
        if exclude is not None:
            rows = exclude.numpy()
            skip = np.where(rows >= 0, self.places[rows], -1)
        out, leaves = np.empty(len(at)), np.empty(len(at), np.int64)
        sums = sum_compact if self.bumps.kernel.compact else sum_unbounded
        call = partial(sums, self.tree, at, skip, out, leaves)
        in_threads(call, len(at), least=QUERIES, pieces=16)
        out *= math.log(2)
        out += self.top
        return out, leaves


def _plant(
    bumps: Bumps, unit: float, top: float, tolerance: float
) -> tuple[np.ndarray, Tree]:
    """The place of each bump (n,), and the tree."""
    from pushforward.core.compiled import in_threads
    from pushforward.densities import packing_loops as packing
    from pushforward.densities.tree_loops import KERNELS, Tree

    points = np.ascontiguousarray(bumps.points.numpy() / unit)
    n, d = points.shape
    bits = _bits(points, max(0, math.ceil(math.log2(n / LEAF))))
    rows, leaves = _sorted(points, bits), 2 ** sum(bits.values())
    size = -(-n // leaves)
    size += -size % BLOCK
    cells, boxes = np.empty((d, leaves * size)), np.empty((2 * leaves - 1, d, 2))
    places = np.empty(n, np.int64)
    fill = partial(packing.fill_leaves, points, rows, size, cells, boxes, places)
    in_threads(fill, leaves, least=128)
    packing.join_boxes(boxes)

    def placed(values: np.ndarray, empty: float) -> np.ndarray:
        out = np.full(leaves * size, empty)
        out[places] = values
        return out

    heights = (bumps.amplitudes.numpy() - top) / math.log(2)
    total = math.log2(np.exp2(heights).sum())
    scales = bumps.scales.numpy() / unit
    equal = bool(scales.min() == scales.max())
    widths = np.empty(0) if equal else placed(_reach(bumps, scales), 1.0)
    widest = np.full(2 * leaves - 1, scales[0])
    if not equal:
        _join_widest(widest, placed(scales, 0.0).reshape(leaves, size).max(1))
    kernel, nodes = bumps.kernel.name, 0
    level = not heights.any()
    if equal and level and (kernel == "tophat" or kernel == "epanechnikov" and not bumps.separable):
        nodes = len(boxes)
    moments = np.empty((nodes, 2 + d))
    if nodes:
        packing.join_moments(cells, n, moments)
    return places, Tree(
        cells,
        boxes,
        _reach(bumps, widest),
        np.empty(0) if level else placed(heights, 0.0),
        widths,
        moments,
        KERNELS.index(kernel),
        bumps.separable,
        math.log2(tolerance / 2) - total,
    )


def _reach(bumps: Bumps, scales: np.ndarray) -> np.ndarray:
    """Energies of bumps at distance 1, in bits; bandwidths of compact ones."""
    if bumps.kernel.compact:
        return scales
    energy: np.ndarray = 1 / scales if bumps.kernel.name == "exponential" else 0.5 / scales / scales
    return energy / math.log(2)


def _join_widest(widest: np.ndarray, leaves: np.ndarray) -> None:
    """Set the largest bandwidth of each node from those of the leaves."""
    while len(leaves):
        count = len(leaves)
        widest[count - 1 : 2 * count - 1] = leaves
        leaves = leaves.reshape(-1, 2).max(1) if count > 1 else leaves[:0]


def _bits(points: np.ndarray, bits: int) -> dict[int, int]:
    """The axes that are cut, in order, and the logs of the numbers of parts.

    Each doubling goes to the axis along which parts are widest.
    """
    some = points[:: max(1, len(points) // SAMPLE)]
    spread = np.abs(some - np.median(some, 0)).mean(0)
    cuts = np.zeros(points.shape[1], np.int64)
    for _ in range(bits):
        axis = int(spread.argmax())
        cuts[axis] += 1
        spread[axis] /= 2
    return {int(axis): int(cuts[axis]) for axis in np.argsort(-cuts, kind="stable") if cuts[axis]}


def _sorted(points: np.ndarray, bits: dict[int, int]) -> np.ndarray:
    """The rows in the order of the leaves."""
    from pushforward.core.compiled import in_threads
    from pushforward.densities.packing_loops import sort_parts

    n, parts = len(points), 1
    rows, work, keys = np.arange(n), np.empty(n, np.int64), np.empty((2, n), np.uint32)
    for axis, more in bits.items():
        middle = float(np.median(points[:: max(1, n // SAMPLE), axis]))
        sort = partial(sort_parts, points, axis, middle, rows, work, keys, parts)
        in_threads(sort, parts, least=8)
        parts *= 2**more
    return rows
