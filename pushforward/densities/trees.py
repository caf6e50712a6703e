"""Bumps sorted into the leaves of a balanced tree, to be summed by `tree_sums`."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from pushforward.densities.direct_sums import Bumps, is_shared

__all__ = ["KERNELS", "LEAF", "Tree", "pack", "plant"]

KERNELS = ("gaussian", "exponential", "epanechnikov", "tophat", "triangular", "biweight", "cosine")
"""Kernels by number."""

LEAF = 64
"""Most points in a leaf."""

BLOCK = 8  # places of leaves are a multiple of this
SAMPLE = 1024  # rows that tell how an axis spreads


class Tree(NamedTuple):
    """Bumps in leaves, as the loops take them.

    Args:
        cells: (leaves, d, size) coordinates, infinite in empty places.
        boxes: (nodes, d, 2) ends; node k has the children 2 k + 1 and 2 k + 2, leaves are last.
        reach: (nodes,) of the widest bump: of its energy at distance 1, or its bandwidth (compact).
        heights: (leaves, size) logs of the bumps' heights over the largest; empty if all are equal.
        widths: (leaves, size) as `reach`, of each bump; empty if all are equal.
        moments: (nodes, 2 + d) count, mean squared distance from the mean, and mean; or empty.
        kernel: number in `KERNELS`.
        separable: whether the kernel is a product over the axes.
        slack: log of the share of the sum that a unit of height may lose.
    """

    cells: np.ndarray
    boxes: np.ndarray
    reach: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    moments: np.ndarray
    kernel: int
    separable: bool
    slack: float


def plant(bumps: Bumps, unit: float, top: float, tolerance: float) -> tuple[np.ndarray, Tree]:
    """The place of each bump (n,), and the tree."""
    from pushforward.core.threads import in_threads
    from pushforward.densities import packing_loops as packing

    points = np.ascontiguousarray(bumps.points.numpy())
    n, d = points.shape
    leaves = 2 ** max(0, math.ceil(math.log2(n / LEAF)))
    rows = pack(points, leaves, unit)
    size = -(-n // leaves)
    size += -size % BLOCK
    cells, boxes = np.empty((leaves, d, size)), np.empty((2 * leaves - 1, d, 2))
    places = np.empty(n, np.int32)
    fill = partial(packing.fill_leaves, points, 1 / unit, rows, cells, boxes, places)
    in_threads(fill, leaves, least=128)
    packing.join_boxes(boxes)

    def placed(values: np.ndarray, empty: float) -> np.ndarray:
        out = np.full(leaves * size, empty)
        out[places] = values
        return out.reshape(leaves, size)

    equal, level, heights, total = True, True, np.empty(0), math.log2(n)
    if not is_shared(bumps.amplitudes):
        heights = (bumps.amplitudes.numpy() - top) / math.log(2)
        level, total = not heights.any(), math.log2(np.exp2(heights).sum())
    scales = bumps.scales[:1].numpy() / unit
    if not is_shared(bumps.scales):
        scales = bumps.scales.numpy() / unit
        equal = bool(scales.min() == scales.max())
    widths = np.empty((0, size)) if equal else placed(_reach(bumps, scales), 1.0)
    widest = np.full(2 * leaves - 1, scales[0])
    if not equal:
        _join_widest(widest, placed(scales, 0.0).max(1))
    kernel, nodes = bumps.kernel.name, 0
    summed_whole = kernel == "tophat" or (kernel == "epanechnikov" and not bumps.separable)
    if summed_whole and equal and level:
        nodes = len(boxes)
    moments = np.empty((nodes, 2 + d))
    if nodes:
        packing.join_moments(cells, n, moments)
    return places, Tree(
        cells,
        boxes,
        _reach(bumps, widest),
        np.empty((0, size)) if level else placed(heights, 0.0),
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
    with np.errstate(over="ignore"):
        spread = np.abs(some - np.median(some, 0)).mean(0)
    cuts = np.zeros(points.shape[1], np.int64)
    for _ in range(bits):
        axis = int(spread.argmax())
        cuts[axis] += 1
        spread[axis] /= 2
    return {int(axis): int(cuts[axis]) for axis in np.argsort(-cuts, kind="stable") if cuts[axis]}


def pack(points: np.ndarray, leaves: int, unit: float = 1.0) -> np.ndarray:
    """The rows (n,) in the order of `leaves` like parts, a power of two of them.

    `unit` is a number beside which coordinates matter.
    """
    from pushforward.core.threads import in_threads
    from pushforward.densities.packing_loops import sort_parts

    n, parts = len(points), 1
    rows, work = np.arange(n, dtype=np.int32), np.empty(n, np.int32)
    keys = np.empty((2, n), np.uint32)
    for axis, more in _bits(points, leaves.bit_length() - 1).items():
        middle = float(np.median(points[:: max(1, n // SAMPLE), axis]))
        sort = partial(sort_parts, points, axis, middle, 1 / unit, rows, work, keys, parts)
        in_threads(sort, parts, least=8)
        parts *= 2**more
    return rows
