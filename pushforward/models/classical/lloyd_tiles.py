"""Passes of k-means on the CPU, in compiled loops over tiles of rows.

The first pass compares all rows with all centres. In few columns, rows are then reordered so that
neighbours share a tile: by their centres, and these along a k-d tree. From then on the box of a
tile excludes most centres; where it does not, all are compared again. In many columns, bounds for
groups of centres are kept once the centres have settled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pushforward.core.phase import Batch
from pushforward.models.classical.cluster_sums import ClusterSums

__all__ = [
    "LONGEST_REST",
    "SHORTEST_REST",
    "WIDE",
    "Tables",
    "Tiles",
    "centred",
    "owners_in_tiles",
]

FEWEST_CENTRES, FEWEST_ROWS, MOST_COLUMNS = 32, 512, 8
"""Boxes are tried if there are this many centres, and rows of a block, in so few columns."""
SPARED = 0.5
"""Boxes pay off if they leave less than this share of the centres."""
CHANGED = 0.25
"""If more than this share of the rows changes its centre, all sums are accumulated afresh."""
PIECES, PIECE_ROWS, ROWS_EACH = 8, 4096, 8
"""Most pieces of a block that are summed apart; fewest rows of one, and fewest per centre."""
MANY_CENTRES, LEAST_EACH, QUADS = 128, 4, 8
"""Bounds are kept for this many centres, with so many rows each; a group is four times so many."""
SHORTEST_REST, LONGEST_REST = 3, 24
"""Passes without bounds before they are tried again: doubling from the first number to the second.
"""
LEFT = 0.25
"""Bounds pay off if they leave less than this share of the comparisons of rows with groups."""
SETTLED, SETTLED_PRODUCTS = 0.02, 1 << 17
"""Bounds exclude something once less than this share of the rows changes its centre in a pass; the
share is in proportion to the products of a row, where they are fewer than these: bounds cost about
as much.
"""
WIDENED = 1e-6
"""Share by which movements are rounded up, more than their rounding error."""
WORK = 1 << 18
"""Products that are worth a thread of their own."""
WIDE = 24
"""Columns from which sums are accumulated row by row."""


@dataclass
class Tables:
    """The centres of a pass as loops read them.

    Args:
        centres: (k, d) in float64.
        table, lengths: as `nearest_loops.search_all` describes them, in the rows' type.
        norm: the largest |c|².
        error: relative rounding error of a difference of squared distances.
        before: the centres of the last pass (k, d), if they are known.
    """

    centres: Any
    table: Any
    lengths: Any
    norm: float
    error: float
    before: Any = None

    @classmethod
    def of(cls, centres: Tensor, dtype: torch.dtype, before: Tensor | None = None) -> Tables:
        """The tables for rows of this type."""
        from pushforward.models.classical.cluster_loops import tabulate

        kind = np.float32 if dtype == torch.float32 else np.float64
        clusters, dimensions = centres.shape
        columns, groups = columns_of(dimensions), -(-clusters // 4)
        width = min(4, columns)
        table = np.empty((groups, columns // width, 4 * width), kind)
        lengths, own = np.empty((groups, 4), kind), np.ascontiguousarray(centres.numpy())
        norm = tabulate(own, table, lengths)
        error = 8 * float(np.finfo(kind).eps) * dimensions**0.5
        return cls(own, table, lengths, norm, error, None if before is None else before.numpy())


def columns_of(dimensions: int) -> int:
    """Columns of a tile: 2, 4 or a multiple of 8."""
    return next((few for few in (2, 4) if dimensions <= few), -(-dimensions // 8) * 8)


class Tiles:
    """What a resident block keeps between passes: its rows in tiles, their centres and sums."""

    derived: ClassVar = ("tiles", "boxes", "sizes", "totals", "weights")
    """Values derived from the rows, which checkpoints need not store."""

    def __init__(self) -> None:
        self.tiles: Any = None
        self.boxes: Any = None
        self.weights: Any = None
        self.sizes: Any = None
        self.totals: Any = None
        self.order: Tensor | None = None
        self.owner: Tensor | None = None
        self.sums: ClusterSums | None = None
        self.version = -1
        self.grouped = self.excluding = self.bounded = False
        self.groups: Tensor | None = None
        self.lower, self.upper = torch.empty(0), torch.empty(0)
        self.places = torch.empty(0, dtype=torch.int32)
        self.plain, self.rest = 0, SHORTEST_REST

    def advance(self, batch: Batch, tables: Tables) -> ClusterSums:
        """Assign the rows of a block to their nearest centres; returns the sums."""
        before, rows = self.owner, len(batch.x)
        if not rows:
            return _no_sums(tables)
        clusters, dimensions = tables.centres.shape
        many = clusters >= FEWEST_CENTRES and rows >= FEWEST_ROWS and dimensions <= MOST_COLUMNS
        if before is not None and many and not self.grouped:
            self._group(batch, tables)
            before = self.owner
        self._fill(batch)
        bounded = before is not None and self._bounds(tables)
        if bounded and self.plain:
            self.plain, bounded = self.plain - 1, False
        owner = self._search_bounded(tables) if bounded else self._search(tables)
        self.bounded = bounded
        self.owner = torch.from_numpy(owner)
        if self.sums is None or before is None:
            squares, reach = self._lengths()
            moved: float = rows
        else:
            from pushforward.models.classical.cluster_loops import count_changes

            squares, reach = self.sums.squares, self.sums.reach
            moved = count_changes(before.numpy().reshape(-1), owner.reshape(-1), 0, rows)
            if not moved:
                return replace(self.sums, moved=torch.zeros_like(squares))
        count, total = self._sums(batch, before, owner, moved, tables)
        return ClusterSums(count, total, squares, squares.new_tensor(float(moved)), reach)

    def owners(self, rows: int) -> Tensor:
        """The centre of each row, in the block's order (rows,), int64."""
        assert self.owner is not None
        own = self.owner.reshape(-1)[:rows].to(torch.int64)
        return own if self.order is None else torch.empty_like(own).index_copy_(0, self.order, own)

    def _fill(self, batch: Batch) -> None:
        """Copy the rows to tiles, unless they are there."""
        if self.tiles is not None:
            return
        from pushforward.core.threads import in_threads
        from pushforward.models.classical.cluster_loops import fill_tiles
        from pushforward.models.classical.nearest_loops import TILE

        rows = np.ascontiguousarray(batch.x.flatten(1).numpy())
        count, dimensions = rows.shape
        tiles = -(-count // TILE)
        self.tiles = np.empty((tiles, columns_of(dimensions), TILE), rows.dtype)
        self.boxes = np.empty((tiles, 2, dimensions))
        self.sizes, self.totals = np.empty((tiles, TILE), rows.dtype), np.empty((tiles, 2))
        order = np.arange(count) if self.order is None else self.order.numpy()
        self.weights = np.empty(0)
        if batch.weights is not None:
            self.weights = batch.weights.to(torch.float64).numpy()[order]
        how = (rows, order, self.weights, self.tiles, self.boxes, self.sizes, self.totals)
        least = 1 + WORK // (4 * TILE * dimensions)
        in_threads(partial(fill_tiles, *how), tiles, least=least)

    def _lengths(self) -> tuple[Tensor, Tensor | None]:
        """Σ w |x|² () and the largest |x|² ()."""
        total, largest = float(self.totals[:, 0].sum()), float(self.totals[:, 1].max())
        return torch.tensor(total, dtype=torch.float64), torch.tensor(largest, dtype=torch.float64)

    def _group(self, batch: Batch, tables: Tables) -> None:
        """Reorder the rows by their centres, and these along a k-d tree."""
        rows = len(batch.x)
        owner = self.owners(rows)
        rank = np.empty(len(tables.centres), np.uint16 if len(tables.centres) < 1 << 16 else int)
        rank[_along_tree(tables.centres)] = np.arange(len(rank))
        order = torch.from_numpy(np.argsort(rank[owner.numpy()], kind="stable"))
        assert self.owner is not None
        padded = self.owner.new_zeros(self.owner.numel())
        padded[:rows] = owner[order]
        self.order, self.owner = order, padded.reshape(self.owner.shape)
        self.grouped = self.excluding = True
        self.tiles = None

    def _search(self, tables: Tables) -> Any:
        """The centres of the rows of all tiles (tiles, TILE), int32."""
        from pushforward.core.threads import in_threads
        from pushforward.models.classical.nearest_loops import (
            GROUP,
            TILE,
            search_all,
            search_boxes,
        )

        count, columns = len(self.tiles), self.tiles.shape[1]
        owner = np.empty((count, TILE), np.int32)
        how = (tables.table, tables.lengths, tables.centres, tables.error, tables.norm, owner)
        each = TILE * columns * len(tables.centres)
        if not self.excluding:
            search = partial(search_all, self.tiles, self.sizes, *how)
            in_threads(search, count, least=1 + WORK // each, pieces=4)
            return owner
        compared = np.empty(count, np.int32)
        search = partial(search_boxes, self.tiles, self.sizes, self.boxes, *how, compared)
        in_threads(search, -(-count // GROUP), least=1 + 4 * WORK // (each * GROUP), pieces=4)
        self.excluding = float(compared.mean()) < SPARED * len(tables.centres)
        return owner

    def _bounds(self, tables: Tables) -> bool:
        """Whether bounds for groups of centres are worth keeping."""
        clusters, dimensions = tables.centres.shape
        rows = len(self.tiles) * self.tiles.shape[2]
        kept = rows >= LEAST_EACH * clusters
        share = SETTLED * min(1, clusters * self.tiles.shape[1] / SETTLED_PRODUCTS)
        settled = self.sums is not None and float(self.sums.moved) < share * rows
        return clusters >= MANY_CENTRES and dimensions > MOST_COLUMNS and kept and settled

    def _search_bounded(self, tables: Tables) -> Any:
        """As `_search`, without groups of centres that bounds exclude."""
        from pushforward.core.threads import in_threads
        from pushforward.models.classical.bound_loops import search_bounded
        from pushforward.models.classical.nearest_loops import GROUP

        count, rows = len(self.tiles), self.tiles.shape[2]
        if self.groups is None:
            self.groups = torch.from_numpy(_along_tree(tables.centres))
        numbers, known = self.groups.numpy(), self.bounded and tables.before is not None
        if not known:
            assert self.owner is not None
            groups = -(-len(numbers) // (4 * QUADS))
            self.lower = torch.full((count, groups, rows), -torch.inf)
            self.upper = torch.full((count, rows), torch.inf)
            self.places = torch.from_numpy(np.argsort(numbers).astype(np.int32)[self.owner.numpy()])
        centres = np.ascontiguousarray(tables.centres[numbers])
        own = Tables.of(torch.from_numpy(centres), torch.from_numpy(self.tiles).dtype)
        moved = 0.0 if tables.before is None else tables.before[numbers] - centres
        drift = np.sqrt(np.square(np.zeros_like(centres) + moved).sum(1))
        drift = drift * (1 + WIDENED) + 4 * np.finfo(np.float32).eps * tables.norm**0.5
        how = (own.table, own.lengths, centres, numbers, own.error, own.norm, QUADS, drift)
        state = (self.lower.numpy(), self.upper.numpy(), self.places.numpy())
        compared = np.empty(-(-count // GROUP), np.int64)
        search = partial(search_bounded, self.tiles, self.sizes, *how, *state, compared)
        in_threads(search, len(compared), least=1, pieces=4)
        if known and compared.sum() > LEFT * self.lower.numel():
            self.plain, self.rest = self.rest, min(2 * self.rest, LONGEST_REST)
        elif known:
            self.rest = SHORTEST_REST
        return numbers.astype(np.int32)[self.places.numpy()]

    def _sums(
        self, batch: Batch, before: Tensor | None, owner: Any, moved: float, tables: Tables
    ) -> tuple[Tensor, Tensor]:
        """Σ w (k,) and Σ w x (k, d) of each centre."""
        from pushforward.core.threads import in_threads
        from pushforward.models.classical import cluster_loops

        (clusters, dimensions), rows = tables.centres.shape, len(batch.x)
        pieces = max(1, min(PIECES, rows // max(PIECE_ROWS, ROWS_EACH * clusters)))
        parts = np.empty((pieces, clusters, dimensions + 1))
        known = self.sums if before is not None and moved <= CHANGED * rows else None
        owners = (owner,) if known is None or before is None else (before.numpy(), owner)
        if self.order is None and dimensions >= WIDE:
            long = np.ascontiguousarray(batch.x.flatten(1).numpy())
            flat = [some.reshape(-1) for some in owners]
            loops: Any = (cluster_loops.add_long_rows, cluster_loops.add_long_changes)
            how: Any = (long, *flat, self.weights, parts)
        else:
            loops = (cluster_loops.add_rows, cluster_loops.add_changes)
            how = (self.tiles, *owners, self.weights, rows, parts)
        alone = 4 * rows * dimensions < WORK
        in_threads(partial(loops[len(owners) - 1], *how), pieces, least=pieces if alone else 1)
        total = torch.from_numpy(parts[0] if pieces == 1 else parts.sum(0))
        count, sums = total[:, -1].contiguous(), total[:, :-1].contiguous()
        return (count, sums) if known is None else (known.count + count, known.sums + sums)


def owners_in_tiles(rows: Tensor, centres: Tensor) -> Tensor:
    """Nearest centres (n,) of rows (n, d) on the CPU, in float64."""
    tiles = Tiles()
    tiles._fill(Batch(rows))
    owner = tiles._search(Tables.of(centres, torch.float64))
    return torch.from_numpy(owner).reshape(-1)[: len(rows)].to(torch.int64)


def centred(rows: Tensor, origin: Tensor, unit: float, dtype: torch.dtype) -> Tensor:
    """Rows (n, d) on the CPU about an origin (d,) and in a unit, rounded to `dtype` at the end."""
    from pushforward.core.threads import in_threads
    from pushforward.models.classical.cluster_loops import centre_rows

    # By NumPy, which asks for large pages: in new memory, small ones take longer than the sums.
    out = np.empty(rows.shape, np.float32 if dtype == torch.float32 else np.float64)
    how = (np.ascontiguousarray(rows.numpy()), origin.numpy(), unit, out)
    in_threads(partial(centre_rows, *how), len(rows), least=1 + WORK // max(1, rows.shape[1]))
    return torch.from_numpy(out)


def _no_sums(tables: Tables) -> ClusterSums:
    zeros = torch.zeros(tables.centres.shape, dtype=torch.float64)
    nothing = zeros.new_zeros(())
    return ClusterSums(zeros.new_zeros(len(zeros)), zeros, nothing, nothing, nothing)


def _along_tree(points: Any) -> Any:
    """An order (k,) of points (k, d) in which neighbours are close: the leaves of a k-d tree."""
    count = len(points)
    order, segment = np.arange(count), np.zeros(count, np.int64)
    for _ in range((count - 1).bit_length()):
        starts = np.flatnonzero(np.r_[True, segment[1:] != segment[:-1]])
        own = points[order]
        extent = np.maximum.reduceat(own, starts) - np.minimum.reduceat(own, starts)
        number = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, count]))
        widest = extent.argmax(1)[number]
        by = np.lexsort((own[np.arange(count), widest], number))
        order = order[by]
        sizes = np.diff(np.r_[starts, count])
        place = np.arange(count) - starts[number]
        segment = 2 * number + (2 * place >= sizes[number])
    return order
