"""Which tiles matter at which queries (see `tree_sums` for the rules)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.tile_rows import log_sum_exp, scatter_log_sums
from pushforward.densities.tiles import FAMILY, Nodes, Tiles

__all__ = ["Block", "TileSearch"]

PAIRS = 1 << 20
"""Pairs of queries and tiles in a block."""


@dataclass(frozen=True)
class Block:
    """Groups of queries, each with its run of tiles.

    Args:
        group: (r,) the group of each row, ascending.
        tile: (r,) its tile.
        upper: (r, g) log of the upper bound of the tile's part, at each query of the group.
        lower: (r, g) log of the lower bound.
        starts: the first row of each group that has rows.
    """

    group: Tensor
    tile: Tensor
    upper: Tensor
    lower: Tensor
    starts: np.ndarray


class TileSearch:
    """Bounds of tiles at queries.

    Args:
        tiles: the bumps.
        tolerance: share of f that may be dropped; half of it is left to the caller.
        excluding: whether sums leave out one bump at the query's place.
    """

    def __init__(self, tiles: Tiles, tolerance: float, *, excluding: bool = False) -> None:
        self.tiles = tiles
        self.kernel, self.separable = tiles.bumps.kernel, tiles.bumps.separable
        self.nodes, self.families = tiles.nodes, tiles.families
        if excluding:
            shares = tiles.shares()
            self.nodes = self.nodes.lessened(shares[0])
            self.families = self.families.lessened(shares[1])
        self.members = self.nodes.rows(FAMILY)
        self.single = self.nodes.rows(1)
        self.mass = tiles.nodes.mass[:, None]
        self.slack = math.log(tolerance / 4) - float(tiles.nodes.mass.logsumexp(0))

    def blocks(self, queries: Tensor) -> Iterator[Block]:
        """The tiles that may matter to groups of queries (k, g, d)."""
        columns = [column.contiguous() for column in queries.permute(2, 0, 1)]
        low = [column.amin(1, keepdim=True) for column in columns]
        high = [column.amax(1, keepdim=True) for column in columns]
        upper, floor = self._bounds(low, high, self.families, None)
        if not self.kernel.compact:
            near = self._bounds(low, high, self.members, floor.argmax(1))[1]
            floor = torch.maximum(log_sum_exp(floor), log_sum_exp(near))[:, None]
        group, family = torch.nonzero(self._keep(upper, floor)).T
        low, high = [v[group] for v in low], [v[group] for v in high]
        upper, lower = self._bounds(low, high, self.members, family)
        if not self.kernel.compact:
            better = scatter_log_sums(log_sum_exp(lower), group, len(floor))
            floor = torch.maximum(floor[:, 0], better)[group, None]
        row, member = torch.nonzero(self._keep(upper, floor)).T
        tile, group = family[row] * FAMILY + member, group[row]
        for rows in _runs(group, max(1, PAIRS // queries.shape[1])):
            yield self._block(columns, group[rows], tile[rows])

    def _block(self, columns: list[Tensor], group: Tensor, tile: Tensor) -> Block:
        at = [column[group] for column in columns]
        upper, lower = self._bounds(at, at, self.single, tile)
        return Block(group, tile, upper.add_(self.mass[tile]), lower, _starts(group))

    def _keep(self, upper: Tensor, floor: Tensor) -> Tensor:
        return upper > -math.inf if self.kernel.compact else upper > floor + self.slack

    def _bounds(
        self, low: list[Tensor], high: list[Tensor], nodes: Nodes, index: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Log of the profile at the least distance, and of the lower bound of the node's part.

        `low`, `high` (one tensor for each axis) are the corners of boxes of queries, the same for
        single queries.
        """

        def pick(values: Tensor) -> Tensor:
            return values if index is None else torch.index_select(values, 0, index)

        single = low is high
        gap: Tensor | None = None
        far: Tensor | None = None
        for a in range(len(low)):
            away = torch.maximum(pick(nodes.low[a]) - high[a], low[a] - pick(nodes.high[a]))
            away = away.clamp_min_(0)
            centre = pick(nodes.centre[a])
            if single:
                reach = low[a] - centre
            else:
                reach = torch.maximum(centre - low[a], high[a] - centre)
            if self.kernel.compact and self.separable:
                gap = away if gap is None else torch.maximum(gap, away)
            else:
                gap = away.square_() if gap is None else gap.addcmul_(away, away)
            far = reach.square() if far is None else far.addcmul_(reach, reach)
        assert gap is not None
        assert far is not None
        if self.kernel.compact:
            widest = pick(nodes.widest)
            inside = gap < widest * (1 + 1e-12)
            if not self.separable:
                inside = gap.sqrt_() < widest * (1 + 1e-12)
            return torch.where(inside, 0.0, -math.inf), far
        upper = gap.div_(pick(nodes.widest).square())
        mean = far.mul_(pick(nodes.slope)).add_(pick(nodes.spread))
        if self.kernel.name == "gaussian":
            return upper.mul_(-0.5), mean.mul_(-0.5).add_(pick(nodes.mass))
        axes = len(low) if self.separable else 1
        return upper.sqrt_().neg_(), mean.mul_(axes).sqrt_().neg_().add_(pick(nodes.mass))


def _starts(group: Tensor) -> np.ndarray:
    """Positions where a sorted (r,) tensor changes, with the first."""
    g = group.numpy()
    starts: np.ndarray = np.flatnonzero(np.concatenate([[True], g[1:] != g[:-1]]))
    return starts if len(g) else starts[:0]


def _runs(group: Tensor, most: int) -> Iterator[slice]:
    """Slices of rows of whole groups, of at most `most` rows unless one group has more."""
    if len(group) == 0:
        return
    ends = np.append(_starts(group)[1:], len(group))
    start = 0
    while start < len(group):
        last = int(np.searchsorted(ends, start + most, side="right"))
        first = int(np.searchsorted(ends, start, side="right"))
        stop = int(ends[max(last - 1, first)])
        yield slice(start, stop)
        start = stop
