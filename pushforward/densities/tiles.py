r"""Bumps sorted into tiles of neighbours, with what bounds a tile's part of a kernel sum.

Rows are cut into slabs of equal counts along the first axis, each slab along the second, and so on:
sort-tile-recursive packing (Leutenegger, Lopez & Edgington 1997,
https://doi.org/10.1109/ICDE.1997.582015). Tiles are then ordered along a Z curve over their
positions in the packing, so that `FAMILY` consecutive tiles are neighbours as well.

For a node (a tile or a family of tiles) with bumps of heights exp(a_j) at p_j, and u_j = h_j^-2,

    W exp(-g^2 / 2)  >=  sum_j exp(a_j - u_j |x - p_j|^2 / 2)  >=  W exp(-(U |x - c|^2 + S) / 2),
    W = sum_j exp(a_j),   g = distance of x from the node's box over its largest h_j,
    U, c, S: means of u_j, u_j p_j / U, u_j |p_j - c|^2, weighted by exp(a_j) / W.

The lower bound is Jensen's inequality. A sum that leaves out one bump at distance 0, whose share of
W is at most r, has it with W (1 - r), U / (1 - r) and S / (1 - r).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.direct_sums import Bumps

__all__ = ["FAMILY", "Nodes", "Tiles", "pack"]

FAMILY = 32
"""Tiles in a family."""
FAR = 1e200
"""Coordinate of the empty places of a tile."""


@dataclass(frozen=True)
class Nodes:
    """Boxes of bumps, with the constants of both bounds.

    Args:
        low, high, centre: d tensors (k,) each.
        widest: (k,) the largest bandwidth.
        mass: (k,) log W.
        slope, spread: (k,) U and S.
    """

    low: tuple[Tensor, ...]
    high: tuple[Tensor, ...]
    centre: tuple[Tensor, ...]
    widest: Tensor
    mass: Tensor
    slope: Tensor
    spread: Tensor

    def rows(self, size: int) -> Nodes:
        """The same in rows (k / size, size), filled up with nodes that nothing is near."""

        def fold(values: Tensor, neutral: float) -> Tensor:
            missing = -len(values) % size
            return torch.nn.functional.pad(values, (0, missing), value=neutral).reshape(-1, size)

        return Nodes(
            tuple(fold(v, FAR) for v in self.low),
            tuple(fold(v, FAR) for v in self.high),
            tuple(fold(v, FAR) for v in self.centre),
            fold(self.widest, 1.0),
            fold(self.mass, -math.inf),
            fold(self.slope, 1.0),
            fold(self.spread, 0.0),
        )

    def lessened(self, share: Tensor) -> Nodes:
        """The same with the lower bound of sums that leave out a `share` (k,) of W at most."""
        rest = (1 - share).clamp_min(1e-300)
        return Nodes(
            self.low,
            self.high,
            self.centre,
            self.widest,
            self.mass + rest.log(),
            self.slope / rest,
            self.spread / rest,
        )


class Tiles:
    """Bumps in tiles of at most `size`.

    Args:
        bumps: the bumps (n, d).
        size: rows in a tile.

    Attributes:
        order: (k, size) rows of the bumps; empty places repeat a row of the tile.
        filled: (k, size) whether a place holds a row.
        axes: d tensors (k, size), the coordinates; `FAR` in empty places.
        heights: (k, size) the a_j, or None if all are equal.
        precisions: (k, size) the u_j, or None if all are equal.
        nodes: the tiles as nodes; `families`: consecutive ones together.
    """

    def __init__(self, bumps: Bumps, size: int) -> None:
        self.bumps = bumps
        places = pack(bumps.points, size)
        self.filled = torch.from_numpy(places >= 0)
        self.order = torch.from_numpy(np.where(places >= 0, places, places[:, :1]))
        points, flat = bumps.points, self.order.reshape(-1)
        shape = self.order.shape
        columns = [points[:, a][flat].reshape(shape) for a in range(bumps.dimension)]
        empty = None if bool(self.filled.all()) else ~self.filled
        amplitudes = bumps.amplitudes
        self.top = float(amplitudes.max())
        self.equal_heights = self.top == float(amplitudes.min())
        self.equal_scales = float(bumps.scales.max()) == float(bumps.scales.min())
        heights = amplitudes[flat].reshape(shape)
        scales = bumps.scales[flat].reshape(shape)
        self.heights = None if self.equal_heights else heights
        self.precisions = None if self.equal_scales else scales.square().reciprocal()
        self.nodes = _nodes(columns, scales, heights, empty)
        self.families = _families(self.nodes)
        self.axes = [c if empty is None else c.masked_fill(empty, FAR) for c in columns]

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.order)

    def places(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The tile and the place in it of rows (m,) of the bumps; -1 for rows below 0."""
        size = self.order.shape[1]
        home = torch.full((len(self.bumps.points) + 1,), -1, dtype=torch.int64)
        positions = torch.nonzero(self.filled.reshape(-1))[:, 0]
        home[self.order.reshape(-1)[positions]] = positions
        position = home[rows.clamp_min(-1)]
        tile = torch.div(position, size, rounding_mode="floor")
        return tile, torch.where(position < 0, position, position - tile * size)

    def shares(self) -> tuple[Tensor, Tensor]:
        """The largest share of W of one bump, in each tile and in each family."""
        heights = self.bumps.amplitudes[self.order]
        largest = heights.amax(1)
        families = _by_family(largest, -math.inf).amax(1)
        return (largest - self.nodes.mass).exp(), (families - self.families.mass).exp()


def pack(points: Tensor, size: int) -> np.ndarray:
    """(k, size) rows of points (n, d) in k tiles, -1 in empty places; each tile has a row."""
    n = len(points)
    columns = [np.ascontiguousarray(column) for column in points.numpy().T]
    count = max(1, -(-n // size))
    extents = np.array([column.max() - column.min() for column in columns])
    axes = np.argsort(-extents, kind="stable")[: max(1, int(math.log2(count) + 1))]
    parts: list[int] = []
    for left in range(len(axes), 0, -1):
        parts.append(max(1, math.ceil(round(count ** (1 / left), 9))))
        count = -(-count // parts[-1])
    rows = _order(columns[axes[0]])[None]
    for depth, (axis, part) in enumerate(zip(axes, parts, strict=True)):
        if depth:
            rows = _sort(rows, columns[axis])
        rows = _cut(rows, part)
    keep = rows[:, 0] >= 0
    return rows[np.flatnonzero(keep)[np.argsort(_z_curve(parts)[keep], kind="stable")]]


def _order(values: np.ndarray) -> np.ndarray:
    """The rows in the order of their values, to single precision around the middle.

    Two passes of radix sort by 16 bits: a third of the time of a comparison sort.
    """
    middle = np.median(values[:: max(1, len(values) // 1024)])
    with np.errstate(over="ignore"):
        bits = (values - middle).astype(np.float32).view(np.uint32)
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    order = np.argsort(bits.astype(np.uint16), kind="stable")
    high = (bits >> np.uint32(16)).astype(np.uint16)
    ordered: np.ndarray = order[np.argsort(high[order], kind="stable")]
    return ordered


def _sort(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Each row of indices (b, l) in the order of their values, -1 last."""
    keys = values[rows]
    keys[rows < 0] = math.inf
    order = np.argsort(keys, axis=1)
    order += np.arange(len(rows))[:, None] * rows.shape[1]
    ordered: np.ndarray = rows.reshape(-1)[order]
    return ordered


def _cut(rows: np.ndarray, parts: int) -> np.ndarray:
    """Each row of indices (b, l), -1 last, cut into `parts` of like counts: (b parts, l')."""
    blocks, length = rows.shape
    filled = (rows >= 0).sum(1)
    bounds = filled[:, None] * np.arange(parts + 1) // parts
    starts, sizes = bounds[:, :-1].reshape(-1), np.diff(bounds, axis=1).reshape(-1)
    width = max(1, int(sizes.max()))
    places = np.arange(width)
    flat = (np.repeat(np.arange(blocks) * length, parts) + starts)[:, None] + places
    out: np.ndarray = rows.reshape(-1)[np.minimum(flat, rows.size - 1)]
    if int(sizes.min()) < width:
        out[places >= sizes[:, None]] = -1
    return out


def _z_curve(parts: list[int]) -> np.ndarray:
    """Keys of the cells of a grid of `parts` along each axis, in row-major order."""
    cells = np.indices(parts).reshape(len(parts), -1)
    key = np.zeros(cells.shape[1], dtype=np.int64)
    bits = max(1, math.ceil(math.log2(max(parts))) + 1)
    bits = min(bits, 62 // len(parts))
    for bit in range(bits):
        for axis, cell in enumerate(cells):
            key |= ((cell >> bit) & 1) << (bit * len(parts) + axis)
    return key


def _nodes(columns: list[Tensor], scales: Tensor, heights: Tensor, empty: Tensor | None) -> Nodes:
    """The nodes of tiles with columns, scales and heights (k, size)."""
    low, high = tuple(c.amin(1) for c in columns), tuple(c.amax(1) for c in columns)
    if empty is not None:
        heights = heights.masked_fill(empty, -math.inf)
    top = heights.amax(1, keepdim=True)
    weights = (heights - top).exp()
    total = weights.sum(1)
    weights = weights / total[:, None]
    precisions = scales.square().reciprocal()
    weights = weights * precisions
    slope = weights.sum(1)
    weights = weights / slope[:, None]
    centre, square = [], torch.zeros_like(slope)
    for column, left, right in zip(columns, low, high, strict=True):
        at = (left + right) / 2
        away = column - at[:, None]
        mean = (weights * away).sum(1)
        centre.append(at + mean)
        square += (weights * (away - mean[:, None]).square()).sum(1)
    mass = top[:, 0] + total.log()
    return Nodes(low, high, tuple(centre), scales.amax(1), mass, slope, slope * square)


def _families(nodes: Nodes) -> Nodes:
    """Consecutive nodes merged."""
    low = tuple(_by_family(v, math.inf).amin(1) for v in nodes.low)
    high = tuple(_by_family(v, -math.inf).amax(1) for v in nodes.high)
    mass = _by_family(nodes.mass, -math.inf)
    total = mass.logsumexp(1)
    weights = (mass - total[:, None]).exp()
    slopes = weights * _by_family(nodes.slope, 0.0)
    slope = slopes.sum(1)
    shares = slopes / slope[:, None]
    spread = (weights * _by_family(nodes.spread, 0.0)).sum(1)
    centre, square = [], torch.zeros_like(slope)
    for axis, left, right in zip(nodes.centre, low, high, strict=True):
        at = (left + right) / 2
        away = torch.where(shares > 0, _by_family(axis, 0.0) - at[:, None], 0.0)
        mean = (shares * away).sum(1)
        centre.append(at + mean)
        square += (shares * (away - mean[:, None]).square()).sum(1)
    widest = _by_family(nodes.widest, 0.0).amax(1)
    return Nodes(low, high, tuple(centre), widest, total, slope, spread + slope * square)


def _by_family(values: Tensor, neutral: float) -> Tensor:
    """(k,) to (families, FAMILY), filled up with `neutral`."""
    missing = -len(values) % FAMILY
    return torch.nn.functional.pad(values, (0, missing), value=neutral).reshape(-1, FAMILY)
