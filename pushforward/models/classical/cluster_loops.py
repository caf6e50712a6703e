"""Compiled loops for the sums of clusters, and for the step of the centres that follows from them.

Sums are accumulated for fixed pieces of rows and added in order, so that they do not depend on the
number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pushforward.core.compiled import inlined, loop
from pushforward.models.classical.nearest_loops import TILE

__all__ = [
    "add_changes",
    "add_long_changes",
    "add_long_rows",
    "add_rows",
    "advance",
    "centre_rows",
    "count_changes",
    "fill_tiles",
    "tabulate",
]


@loop
def centre_rows(rows: Any, origin: Any, unit: Any, out: Any, start: int, stop: int) -> Any:
    """Write (x - origin) / unit of the rows start to stop (n, d), computed in float64, to `out`."""
    for i in range(start, stop):
        for j in range(len(origin)):
            out[i, j] = (np.float64(rows[i, j]) - origin[j]) / unit


@loop
def fill_tiles(
    rows: Any,
    order: Any,
    weights: Any,
    tiles: Any,
    boxes: Any,
    sizes: Any,
    totals: Any,
    start: int,
    stop: int,
) -> Any:
    """Copy rows to the tiles start to stop, with their boxes and sizes.

    Args:
        rows: (n, d).
        order: their numbers in the order of the tiles (n,).
        weights: in this order (n,), or empty for ones.
        tiles: (tiles, columns, TILE); missing rows repeat a tile's first, missing columns are 0.
        boxes: lowest and highest values (tiles, 2, d), in float64.
        sizes: |x|² of their rows (tiles, TILE).
        totals: Σ w |x|² and the largest |x|² of each tile (tiles, 2), in float64.
        start, stop: tiles.
    """
    n, dimensions = rows.shape
    lengths = np.empty(TILE)
    for t in range(start, stop):
        for r in range(TILE):
            at = t * TILE + r
            i = order[at] if at < n else order[t * TILE]
            for j in range(dimensions):
                tiles[t, j, r] = rows[i, j]
        for j in range(dimensions, tiles.shape[1]):
            tiles[t, j, :] = 0
        lengths[:] = 0
        for j in range(dimensions):
            low = high = tiles[t, j, 0]
            for r in range(TILE):
                value = tiles[t, j, r]
                low = value if value < low else low
                high = value if value > high else high
                lengths[r] += np.float64(value) * np.float64(value)
            boxes[t, 0, j], boxes[t, 1, j] = low, high
        sizes[t] = lengths
        total = largest = 0.0
        for r in range(min(TILE, n - t * TILE)):
            total += lengths[r] * (weights[t * TILE + r] if len(weights) else 1.0)
            largest = max(largest, lengths[r])
        totals[t, 0], totals[t, 1] = total, largest


@loop
def tabulate(centres: Any, table: Any, lengths: Any) -> Any:
    """Fill table (groups, columns / width, 4 width) with -2c and lengths (groups, 4) with |c|².

    Returns the largest |c|²; missing centres are infinitely far.
    """
    table[:], lengths[:] = 0, np.inf
    width, largest = table.shape[2] // 4, 0.0
    for k in range(len(centres)):
        squared = 0.0
        for j in range(centres.shape[1]):
            value = centres[k, j]
            squared += value * value
            table[k // 4, j // width, (k % 4) * width + j % width] = -2 * value
        lengths[k // 4, k % 4] = squared
        largest = max(largest, squared)
    return largest


@loop
def count_changes(old: Any, new: Any, start: int, stop: int) -> Any:
    """Number of rows start to stop whose centre changed."""
    changed = 0
    for i in range(start, stop):
        changed += old[i] != new[i]
    return changed


@inlined
def _add(tiles: Any, t: int, r: int, k: int, w: Any, sums: Any) -> Any:
    """Add w times a row, and w itself, to the sums of centre k."""
    last = sums.shape[1] - 1
    for j in range(last):
        sums[k, j] += w * np.float64(tiles[t, j, r])
    sums[k, last] += w


@loop
def _alike(owner: Any) -> Any:
    """Whether all rows have one centre."""
    same = True
    for r in range(1, TILE):
        same &= owner[r] == owner[0]
    return same


@loop
def add_rows(
    tiles: Any, owner: Any, weights: Any, count: int, sums: Any, start: int, stop: int
) -> Any:
    """Σ w x and, in the last column, Σ w of each centre, of the pieces start to stop.

    tiles (tiles, columns, TILE), owner (tiles, TILE), weights (count,) or empty for ones, sums
    (pieces, k, d + 1).
    """
    pieces, last = len(sums), sums.shape[2] - 1
    for p in range(start, stop):
        own = sums[p]
        own[:] = 0
        for t in range(len(tiles) * p // pieces, len(tiles) * (p + 1) // pieces):
            rows = min(TILE, count - t * TILE)
            if len(weights):
                for r in range(rows):
                    _add(tiles, t, r, owner[t, r], weights[t * TILE + r], own)
            elif rows == TILE and _alike(owner[t]):
                k = owner[t, 0]
                for j in range(last):
                    total = 0.0
                    for r in range(TILE):
                        total += np.float64(tiles[t, j, r])
                    own[k, j] += total
                own[k, last] += TILE
            elif last == 2:
                for r in range(rows):
                    k = owner[t, r]
                    own[k, 0] += np.float64(tiles[t, 0, r])
                    own[k, 1] += np.float64(tiles[t, 1, r])
                    own[k, 2] += 1
            else:
                for r in range(rows):
                    _add(tiles, t, r, owner[t, r], 1.0, own)


@loop
def add_changes(
    tiles: Any, old: Any, new: Any, weights: Any, count: int, sums: Any, start: int, stop: int
) -> Any:
    """As `add_rows`, of rows that changed their centre: added to the new, taken from the old."""
    pieces = len(sums)
    for p in range(start, stop):
        own = sums[p]
        own[:] = 0
        for t in range(len(tiles) * p // pieces, len(tiles) * (p + 1) // pieces):
            for r in range(min(TILE, count - t * TILE)):
                if old[t, r] != new[t, r]:
                    w = weights[t * TILE + r] if len(weights) else 1.0
                    _add(tiles, t, r, new[t, r], w, own)
                    _add(tiles, t, r, old[t, r], -w, own)


@inlined
def _add_row(row: Any, k: int, w: Any, sums: Any) -> Any:
    """Add w times a row (d,), and w itself, to the sums of centre k."""
    own, last = sums[k], len(row)
    for j in range(last):
        own[j] += w * np.float64(row[j])
    own[last] += w


@inlined
def _rows_of_piece(p: int, pieces: int, count: int) -> Any:
    """The first row of a piece, and the one after its last: whole tiles of all `count` rows."""
    tiles = -(-count // TILE)
    return tiles * p // pieces * TILE, min(count, tiles * (p + 1) // pieces * TILE)


@loop
def add_long_rows(rows: Any, owner: Any, weights: Any, sums: Any, start: int, stop: int) -> Any:
    """As `add_rows`, of rows (n, d), whose columns are next to each other; owner (≥ n,)."""
    for p in range(start, stop):
        own = sums[p]
        own[:] = 0
        first, end = _rows_of_piece(p, len(sums), len(rows))
        for i in range(first, end):
            _add_row(rows[i], owner[i], weights[i] if len(weights) else 1.0, own)


@loop
def add_long_changes(
    rows: Any, old: Any, new: Any, weights: Any, sums: Any, start: int, stop: int
) -> Any:
    """As `add_changes`, of rows (n, d), whose columns are next to each other."""
    for p in range(start, stop):
        own = sums[p]
        own[:] = 0
        first, end = _rows_of_piece(p, len(sums), len(rows))
        for i in range(first, end):
            if old[i] != new[i]:
                w = weights[i] if len(weights) else 1.0
                _add_row(rows[i], new[i], w, own)
                _add_row(rows[i], old[i], -w, own)


@loop
def advance(
    centres: Any, count: Any, sums: Any, seen: Any, empty: Any, new: Any, numbers: Any
) -> Any:
    """Move centres (k, d) by (sums - count c) / seen, but for empty ones, to `new`.

    Writes to `numbers`: Σ count; Σ count |c|² - 2 Σ c·sums of the old and of the new centres;
    |Σ sums|²; the summed squared movement; and the number of empty centres.
    """
    clusters, dimensions = centres.shape
    total = 0.0
    for k in range(clusters):
        total += count[k]
    old_spread = new_spread = moved = between = bare = 0.0
    for k in range(clusters):
        weight = max(seen[k], 1e-300)
        owning = count[k] > empty * total
        bare += 0 if owning else 1
        for j in range(dimensions):
            c, s, n = centres[k, j], sums[k, j], count[k]
            e = c + (s - n * c) / weight if owning else c
            new[k, j] = e
            old_spread += n * c * c - 2 * c * s
            new_spread += n * e * e - 2 * e * s
            moved += (e - c) ** 2
    for j in range(dimensions):
        column = 0.0
        for k in range(clusters):
            column += sums[k, j]
        between += column * column
    numbers[0], numbers[1], numbers[2] = total, old_spread, new_spread
    numbers[3], numbers[4], numbers[5] = between, moved, bare
