r"""Compiled loops for nearest centres of rows in tiles.

A tile holds `TILE` rows column by column, so that each instruction handles several rows. A pass
over it compares the rows with four centres at a time,

    |x - c|² - |x|² = |c|² - 2 c·x,

and keeps for each row the smallest value, the next and the centre; nothing of size (n, k) is
written. If two values agree up to rounding, the row is decided by differences in float64, ties in
favour of the first centre.

With many centres, most are excluded for all rows of a tile: c is farther than z from every point of
a box if it is from the box's corner v that is farthest in the direction c - z,

    |c - v|² > |z - v|².

Reference: Kanungo et al. (2002), An efficient k-means clustering algorithm, section 2.
https://doi.org/10.1109/TPAMI.2002.1017616
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.np.unsafe import ndarray

from pushforward.core.compiled import inlined, loop
from pushforward.core.product_loops import add_products

to_fixed_tuple: Any = ndarray.to_fixed_tuple

__all__ = ["GROUP", "TILE", "compare", "search_all", "search_boxes"]

TILE = 64
"""Rows of a tile."""
GROUP = 16
"""Tiles whose common box excludes centres first."""
ROUNDING = 1e-12
"""Share of the squared lengths below which a comparison with a corner is left open."""


@inlined
def _two(x: Any, r: int, c: Any, s: Any) -> Any:
    """Four values plus the products of two columns."""
    return (
        s[0] + x[0, r] * c[0] + x[1, r] * c[1],
        s[1] + x[0, r] * c[2] + x[1, r] * c[3],
        s[2] + x[0, r] * c[4] + x[1, r] * c[5],
        s[3] + x[0, r] * c[6] + x[1, r] * c[7],
    )


@inlined
def _four(x: Any, r: int, c: Any, s: Any) -> Any:
    """Four values plus the products of four columns."""
    a, b, p, q = x[0, r], x[1, r], x[2, r], x[3, r]
    return (
        s[0] + a * c[0] + b * c[1] + p * c[2] + q * c[3],
        s[1] + a * c[4] + b * c[5] + p * c[6] + q * c[7],
        s[2] + a * c[8] + b * c[9] + p * c[10] + q * c[11],
        s[3] + a * c[12] + b * c[13] + p * c[14] + q * c[15],
    )


@inlined
def _smaller(value: Any, k: Any, near: Any, next_: Any, owner: Any) -> Any:
    """The least two values, and the centre of the first, with one more."""
    less = value < near
    other = near if less else value
    return value if less else near, other if other < next_ else next_, k if less else owner


@inlined
def _keep(s: Any, k: Any, r: int, near: Any, next_: Any, owner: Any) -> Any:
    """Compare row r with the centres k to k + 3."""
    a, b, o = _smaller(s[0], k, near[r], next_[r], owner[r])
    a, b, o = _smaller(s[1], k + np.int32(1), a, b, o)
    a, b, o = _smaller(s[2], k + np.int32(2), a, b, o)
    a, b, o = _smaller(s[3], k + np.int32(3), a, b, o)
    near[r], next_[r], owner[r] = a, b, o


@loop
def compare(
    x: Any, table: Any, lengths: Any, groups: Any, near: Any, next_: Any, owner: Any, part: Any
) -> Any:
    """The least two values of each row of a tile, and the first one's centre.

    x (columns, TILE), table (groups, columns / 4, 16) of -2c, or (groups, 1, 8) for two columns,
    and lengths (groups, 4) of |c|²; part (4, TILE) is working memory.
    """
    columns = x.shape[0]
    near[:], next_[:], owner[:] = np.inf, np.inf, 0
    for g in range(groups):
        s, k = to_fixed_tuple(lengths[g], 4), np.int32(4 * g)
        if columns == 2:
            c = to_fixed_tuple(table[g, 0], 8)
            for r in range(TILE):
                _keep(_two(x, r, c, s), k, r, near, next_, owner)
            continue
        if columns == 4:
            c = to_fixed_tuple(table[g, 0], 16)
            for r in range(TILE):
                _keep(_four(x, r, c, s), k, r, near, next_, owner)
            continue
        add_products(x, 0, TILE, table[g], lengths[g], part)
        for r in range(TILE):
            t = (part[0, r], part[1, r], part[2, r], part[3, r])
            _keep(t, k, r, near, next_, owner)


@loop
def _decide(x: Any, r: int, some: Any, count: int, centres: Any) -> Any:
    """The nearest of `some` centres to row r of a tile, by differences in float64."""
    best, owner = np.inf, some[0]
    for i in range(count):
        k, squared = some[i], 0.0
        for j in range(centres.shape[1]):
            squared += (np.float64(x[j, r]) - centres[k, j]) ** 2
        if squared < best:
            best, owner = squared, k
    return owner


@loop
def _settle(
    x: Any,
    size: Any,
    some: Any,
    count: int,
    centres: Any,
    error: Any,
    norm: Any,
    near: Any,
    next_: Any,
    owner: Any,
    result: Any,
) -> Any:
    """Write each row's centre, from positions in `some`; close rows are decided in float64."""
    close = 0
    for r in range(TILE):
        # Not <=, which is false for NaN (from an overflow).
        close += not next_[r] - near[r] > error * (size[r] + norm)
        result[r] = some[owner[r]]
    if close and count > 1:
        for r in range(TILE):
            if not next_[r] - near[r] > error * (size[r] + norm):
                result[r] = _decide(x, r, some, count, centres)


@loop
def search_all(
    x: Any,
    sizes: Any,
    table: Any,
    lengths: Any,
    centres: Any,
    error: Any,
    norm: Any,
    result: Any,
    start: int,
    stop: int,
) -> Any:
    """Nearest centres of the tiles start to stop, compared with all centres.

    Args:
        x: tiles (tiles, columns, TILE).
        sizes: |x|² of their rows (tiles, TILE).
        table: -2c (groups of four, columns / 4, 16).
        lengths: |c|² (groups, 4); infinite for missing ones.
        centres: (k, d) in float64.
        error: relative rounding error of two values' difference.
        norm: the largest |c|².
        result: numbers of the centres (tiles, TILE), int32.
        start, stop: tiles.
    """
    near, next_ = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
    owner, part = np.empty(TILE, np.int32), np.empty((4, TILE), x.dtype)
    every = np.arange(len(centres)).astype(np.int32)
    for t in range(start, stop):
        compare(x[t], table, lengths, len(lengths), near, next_, owner, part)
        _settle(
            x[t], sizes[t], every, len(every), centres, error, norm, near, next_, owner, result[t]
        )


@loop
def _exclude(
    low: Any, high: Any, some: Any, columns: Any, count: int, squares: Any, margin: Any, kept: Any
) -> Any:
    """Keep the centres that may be nearest to a point of a box; returns their number.

    low, high (d,): the box; columns (d, ≥ count): the centres; squares: their lengths; some:
    their numbers. Kept ones move to the front of all three; kept and margin are working memory.
    """
    dimensions = len(low)
    margin[:count] = 0
    for j in range(dimensions):
        middle = (low[j] + high[j]) / 2
        for i in range(count):
            margin[i] += (columns[j, i] - middle) ** 2
    z, best, size = 0, np.inf, 0.0
    for i in range(count):
        if margin[i] < best:
            z, best = i, margin[i]
    margin[:count] = 0
    for j in range(dimensions):
        a, b, c = low[j], high[j], columns[j, z]
        size += max(a * a, b * b)
        for i in range(count):
            away = columns[j, i] - c
            margin[i] += away * (columns[j, i] + c - 2 * (b if away > 0 else a))
    size, left = size + squares[z], 0
    for i in range(count):
        if not margin[i] > ROUNDING * (size + squares[i]):
            kept[left] = i
            left += 1
    for i in range(left):
        some[i], squares[i] = some[kept[i]], squares[kept[i]]
    for j in range(dimensions):
        for i in range(left):
            columns[j, i] = columns[j, kept[i]]
    return left


@loop
def _gather(table: Any, lengths: Any, some: Any, count: int, own: Any, own_lengths: Any) -> Any:
    """The table of some centres; the rest of the last group is infinitely far."""
    width = table.shape[2] // 4
    for i in range(4 * ((count + 3) // 4)):
        g, at = i // 4, (i % 4) * width
        if i < count:
            h, of = some[i] // 4, (some[i] % 4) * width
            own_lengths[g, i % 4] = lengths[h, some[i] % 4]
            for j in range(table.shape[1]):
                for v in range(width):
                    own[g, j, at + v] = table[h, j, of + v]
        else:
            own_lengths[g, i % 4] = np.inf
            for j in range(table.shape[1]):
                for v in range(width):
                    own[g, j, at + v] = 0


@loop
def search_boxes(
    x: Any,
    sizes: Any,
    boxes: Any,
    table: Any,
    lengths: Any,
    centres: Any,
    error: Any,
    norm: Any,
    result: Any,
    compared: Any,
    start: int,
    stop: int,
) -> Any:
    """Nearest centres of groups of tiles start to stop, without those that their boxes exclude.

    Args:
        x, sizes, table, lengths, centres, error, norm, result: as for `search_all`.
        boxes: of each tile, lowest and highest values (tiles, 2, d).
        compared: number of centres compared with each tile's rows (tiles,), int32.
        start, stop: groups of tiles.
    """
    clusters, dimensions = centres.shape
    near, next_ = np.empty(TILE, x.dtype), np.empty(TILE, x.dtype)
    owner, part = np.empty(TILE, np.int32), np.empty((4, TILE), x.dtype)
    own, own_lengths = np.empty_like(table), np.empty_like(lengths)
    columns, all_columns = np.empty((dimensions, clusters)), np.empty((dimensions, clusters))
    squares, all_squares = np.empty(clusters), np.empty(clusters)
    some, all_some = np.empty(clusters, np.int32), np.empty(clusters, np.int32)
    margin, kept = np.empty(clusters), np.empty(clusters, np.int32)
    low, high = np.empty(dimensions), np.empty(dimensions)
    for group in range(start, stop):
        first, last = group * GROUP, min((group + 1) * GROUP, len(x))
        for j in range(dimensions):
            low[j], high[j] = boxes[first, 0, j], boxes[first, 1, j]
            for t in range(first + 1, last):
                low[j], high[j] = min(low[j], boxes[t, 0, j]), max(high[j], boxes[t, 1, j])
        for k in range(clusters):
            all_some[k], all_squares[k] = k, 0
            for j in range(dimensions):
                all_columns[j, k] = centres[k, j]
                all_squares[k] += centres[k, j] ** 2
        many = _exclude(low, high, all_some, all_columns, clusters, all_squares, margin, kept)
        for t in range(first, last):
            for i in range(many):
                some[i], squares[i] = all_some[i], all_squares[i]
            for j in range(dimensions):
                for i in range(many):
                    columns[j, i] = all_columns[j, i]
            count = _exclude(boxes[t, 0], boxes[t, 1], some, columns, many, squares, margin, kept)
            compared[t] = count
            if count == 1:
                result[t, :] = some[0]
                continue
            _gather(table, lengths, some, count, own, own_lengths)
            compare(x[t], own, own_lengths, (count + 3) // 4, near, next_, owner, part)
            _settle(
                x[t], sizes[t], some, count, centres, error, norm, near, next_, owner, result[t]
            )
