r"""Kernel sums over the tiles that matter at each query, within a relative tolerance.

Queries are gathered into groups of neighbours. Families of tiles, then tiles, are kept or dropped
by the bounds of `tiles`, for a whole group and then for each query: with a lower bound F of f, a
node of mass W out of a total M is dropped if its part is at most

    tolerance / 4  F W / M     (families, then tiles, for a group), or
    tolerance / 2  F / k       (one of the k tiles left to a query),

so that the dropped parts together stay below `tolerance` f, in the far tails too, where F is as
small as f. Where tiles are wide beside the bandwidth, the likeliest tile of a query is summed first
and gives a better F. What is left is summed by differences, in the log domain of each tile. Compact
kernels are summed over all tiles in reach, exactly.

Reference: Gray & Moore (2003), Nonparametric density estimation: toward computational tractability,
https://doi.org/10.1137/1.9781611972733.19 (bounds by boxes).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.densities.direct_sums import Bumps
from pushforward.densities.tile_rows import TileRows, exp_, scatter_log_sums
from pushforward.densities.tile_search import Block, TileSearch
from pushforward.densities.tiles import Tiles, pack

__all__ = ["TILE", "TreeSums"]

TILE = 128  # most points in a tile
GROUP = 8  # most queries in a group
DENSE = 1 << 21  # bounds of families computed at a time
WIDE = 2.0  # mean squared distance from the centre, in bandwidths, from which a tile is wide


class TreeSums:
    """Bumps sorted into tiles, to be summed at any queries.

    Args:
        bumps: the bumps to sum.
        tolerance: largest relative error of f from dropped tiles
            (Gaussian, exponential); compact kernels drop nothing.
    """

    def __init__(self, bumps: Bumps, tolerance: float = 1e-11) -> None:
        self.bumps, self.tolerance = bumps, max(tolerance, 1e-300)
        self.tiles = Tiles(bumps, TILE)
        self.rows = TileRows(self.tiles)

    def log_sums(self, queries: Tensor, *, exclude: Tensor | None = None) -> Tensor:
        """(m,) log f at (m, d) queries.

        `exclude` as in `direct_sums.log_sums`, in the caller's numbering.
        """
        out = torch.full((len(queries),), -math.inf, dtype=torch.float64)
        search = TileSearch(self.tiles, self.tolerance, excluding=exclude is not None)
        home = None if exclude is None else self.tiles.places(exclude)
        for rows in self._groups(queries):
            at = queries[rows]
            places = None if home is None else (home[0][rows], home[1][rows])
            value = torch.full((rows.numel(),), -math.inf, dtype=torch.float64)
            for block in search.blocks(at):
                self._add_block(value, block, at, places)
            out[rows.reshape(-1)] = value
        return out

    def pairs(self, queries: Tensor) -> float:
        """Pairs of points and queries in the tiles that may matter, per query."""
        search = TileSearch(self.tiles, self.tolerance)
        blocks = (block for rows in self._groups(queries) for block in search.blocks(queries[rows]))
        return sum(block.upper.numel() for block in blocks) * TILE / max(1, len(queries))

    def _groups(self, queries: Tensor) -> list[Tensor]:
        """Rows of the queries in groups of neighbours, many groups (k, g) at a time."""
        if len(queries) == 0:
            return []
        size = GROUP if len(queries) > 4 * GROUP else 1
        places = torch.from_numpy(pack(queries, size))
        places = torch.where(places >= 0, places, places[:, :1])
        step = max(1, DENSE // len(self.tiles.families.mass))
        return list(places.split(step))

    def _add_block(
        self, out: Tensor, block: Block, queries: Tensor, home: tuple[Tensor, Tensor] | None
    ) -> None:
        """Set log f of a block's groups in `out` (k g,)."""
        keep = torch.ones(block.upper.shape, dtype=torch.bool)
        sums: list[tuple[Tensor, Tensor]] = []
        if self.bumps.kernel.compact:
            keep = block.upper > -math.inf
        else:
            counts = torch.diff(torch.tensor([*block.starts, len(block.group)]))
            floor, best = self._floors(block, counts)
            if bool(best.any()):
                sums.append(self._sum(best, block, queries, home))
                index, value = sums[0]
                first = scatter_log_sums(value, index, len(out)).reshape(queries.shape[:2])
                present = block.group[torch.from_numpy(block.starts)]
                floor = torch.maximum(floor, first[present])
            share = (math.log(self.tolerance / 2) - counts.double().log())[:, None]
            keep = block.upper > (floor + share).repeat_interleave(counts, 0)
            keep &= ~best
        sums.append(self._sum(keep, block, queries, home))
        index, value = (torch.cat(parts) for parts in zip(*sums, strict=True))
        found = scatter_log_sums(value, index, len(out))
        torch.maximum(out, found, out=out)

    def _floors(self, block: Block, counts: Tensor) -> tuple[Tensor, Tensor]:
        """(s, g) lower bounds of log f, and (r, g) the likeliest tiles where tiles are wide."""
        import numpy as np

        lower = block.lower.numpy()
        top = torch.from_numpy(np.maximum.reduceat(lower, block.starts, axis=0))
        long = top.repeat_interleave(counts, 0)
        total = np.add.reduceat(exp_(block.lower - long).numpy(), block.starts, axis=0)
        wide = self.tiles.nodes.spread[block.tile, None] > WIDE
        return top + torch.from_numpy(total).log_(), wide & (block.lower == long)

    def _sum(
        self, keep: Tensor, block: Block, queries: Tensor, home: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """The queries and log sums of the rows kept, (c,) each."""
        row, member = torch.nonzero(keep).T
        index = block.group[row] * queries.shape[1] + member
        tile, flat = block.tile[row], queries.reshape(-1, queries.shape[2])
        place = None
        if home is not None:
            place = torch.where(home[0].reshape(-1)[index] == tile, home[1].reshape(-1)[index], -1)
        columns = [flat[:, a].contiguous()[index] for a in range(flat.shape[1])]
        return index, self.rows.log_sums(columns, tile, place)
