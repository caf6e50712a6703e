r"""Compiled passes over rows that keep a lower bound for each group of centres.

Centres that are close form a group. If none of them has moved by more than δ, the bound on the
distance to the nearest falls by δ; while it exceeds that to a row's own centre, the row need
not be compared with the group. Rows that must be are collected in tiles.

Reference: Ding et al. (2015), Yinyang k-means. https://proceedings.mlr.press/v37/ding15.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pushforward.core.compiled import inlined, loop
from pushforward.models.classical.nearest_loops import GROUP, TILE, compare

__all__ = ["search_bounded"]

MOST = 40
"""A tile of which this many rows must be compared with a group is compared whole."""
WIDENED = 1e-6
"""Bounds are widened by this share in every pass, more than their rounding error in float32."""
SHIFT, LAST = TILE.bit_length() - 1, TILE - 1
"""A row's number within some tiles, shifted by so many bits, is its tile's; the rest is in LAST."""


@inlined
def _low(value: Any, size: Any, slack: Any) -> Any:
    """A lower bound on a distance from |x - c|² - |x|²; 0 for a NaN."""
    squared = value + size - slack
    return np.sqrt(squared if squared > 0 else np.float32(0)) * np.float32(1 - WIDENED)


@loop
def _from_own(x: Any, r: int, centre: Any) -> Any:
    """|x - c|² of row r of a tile, in float64."""
    squared = 0.0
    for j in range(len(centre)):
        squared += (np.float64(x[j, r]) - centre[j]) ** 2
    return squared


@loop
def _nearest(x: Any, r: int, centres: Any, numbers: Any) -> Any:
    """The place of the nearest centre to row r of a tile, and |x - c|²; ties go to the first."""
    best, place = np.inf, 0
    for p in range(len(centres)):
        squared = _from_own(x, r, centres[p])
        if squared < best or (squared == best and numbers[p] < numbers[place]):
            best, place = squared, p
    return place, best


@loop
def _loosen(t: int, fall: Any, lower: Any, lowest: Any) -> Any:
    """Lower a tile's bounds by the groups' movements; write each row's lowest."""
    lowest[:] = np.inf
    for g in range(len(fall)):
        for r in range(TILE):
            bound = lower[t, g, r] - fall[g]
            lower[t, g, r] = bound
            lowest[r] = bound if bound < lowest[r] else lowest[r]


@loop
def _begin(
    x: Any, t: int, a: Any, centres: Any, drift: Any, lowest: Any, bounds: Any, state: Any
) -> Any:
    """Begin the state of tile t's rows, from a; ones whose bounds exclude the others need nothing.

    bounds: lower, upper and places, and state as `search_bounded` holds them.
    """
    (_, upper, places), (least, second, place, need, sizes, _) = bounds, state
    for r in range(TILE):
        p, at = places[t, r], a + r
        # A row that needs nothing is below all values, which do not change its place.
        least[at], second[at], place[at], need[at] = np.inf, np.inf, p, 1
        if p < 0:
            upper[t, r] = np.inf
            continue
        upper[t, r] = (upper[t, r] + drift[p]) * (1 + WIDENED)
        if not upper[t, r] < lowest[r]:
            squared = _from_own(x[t], r, centres[p])
            least[at], upper[t, r] = squared - sizes[at], np.sqrt(squared) * (1 + WIDENED)
        if upper[t, r] < lowest[r]:
            least[at], need[at] = -np.inf, 0


@loop
def _select(t: int, g: Any, a: Any, bounds: Any, need: Any, some: Any, count: int) -> Any:
    """Append rows of tile t, numbered from a, that group g's bounds do not exclude."""
    lower, upper, _ = bounds
    for r in range(TILE):
        some[count] = a + r
        # Not >=, which is false for NaN (from an overflow).
        count += (need[a + r] != 0) & (not upper[t, r] < lower[t, g, r])
    return count


@loop
def _collect(x: Any, first: Any, some: Any, begun: Any, rows: Any, compact: Any, state: Any) -> Any:
    """Copy some rows of the tiles from `first`, and their state, to a tile and the state's end."""
    columns, flat = x.shape[1], x.reshape(-1)
    for j in range(columns):
        for i in range(rows):
            at = some[begun + i]
            compact[j, i] = flat[((first + (at >> SHIFT)) * columns + j) * TILE + (at & LAST)]
    least, second, place, _, sizes, slack = state
    for i in range(rows):
        at, to = some[begun + i], GROUP * TILE + i
        least[to], second[to], place[to] = least[at], second[at], place[at]
        sizes[to], slack[to] = sizes[at], slack[at]


@loop
def _leave(
    t: int, a: Any, base: Any, beyond: Any, some: Any, rows: Any, near: Any, state: Any, lower: Any
) -> Any:
    """Let bounds of other groups hold for the centres that rows leave for base to beyond - 1.

    The state of rows is from a; they are the rows `some` of the tiles from t.
    """
    least, _, place, _, sizes, slack = state
    for i in range(rows):
        p = place[a + i]
        if near[i] < least[a + i] and p >= 0 and (p < base or p >= beyond):
            own, h, r = t + (some[i] >> SHIFT), p // (beyond - base), some[i] & LAST
            bound = _low(least[a + i], sizes[a + i], slack[a + i])
            lower[own, h, r] = min(lower[own, h, r], bound)


@loop
def _merge(a: Any, base: Any, beyond: Any, found: Any, state: Any) -> Any:
    """Take into account the least two values of TILE rows, from a, and a group, without branches.

    The group's centres are at the places base to beyond - 1. Its bounds replace the least values.
    """
    (near, next_, owner), (least, second, place, _, sizes, slack) = found, state
    for r in range(TILE):
        at = a + r
        o, p, v, w, u = place[at], np.int32(base + owner[r]), near[r], next_[r], least[at]
        same = p == o
        less = (v < u) & (not same)
        rest = w if same | less else v
        # The centre left is of this group.
        rest = u if less & (o >= base) & (o < beyond) & (u < rest) else rest
        other = (u if u < w else w) if less else v
        other = w if same else other
        second[at] = other if other < second[at] else second[at]
        least[at], place[at] = v if less else u, p if less else o
        near[r] = _low(rest, sizes[at], slack[at])


@loop
def _finish(x: Any, t: int, a: Any, about: Any, bounds: Any, state: Any) -> Any:
    """Write the places of tile t's rows, numbered from a; close rows are decided in float64.

    about: the centres, their numbers and a quarter of a group's, as `search_bounded` takes them.
    """
    (centres, numbers, quads), (lower, upper, places) = about, bounds
    least, second, place, need, sizes, slack = state
    for r in range(TILE):
        at = a + r
        if not need[at]:
            continue
        # Not <=, which is false for NaN (from an overflow).
        if not second[at] - least[at] > slack[at]:
            p, squared = _nearest(x[t], r, centres, numbers)
            if place[at] >= 0 and p != place[at]:
                h = place[at] // (4 * quads)
                lower[t, h, r] = min(lower[t, h, r], _low(least[at], sizes[at], slack[at]))
            place[at], upper[t, r] = p, np.sqrt(squared) * (1 + WIDENED)
        elif place[at] != places[t, r]:
            squared = max(0.0, least[at] + sizes[at] + slack[at])
            upper[t, r] = np.sqrt(squared) * (1 + WIDENED)
        places[t, r] = place[at]


@loop
def search_bounded(
    x: Any,
    sizes: Any,
    table: Any,
    lengths: Any,
    centres: Any,
    numbers: Any,
    error: Any,
    norm: Any,
    quads: Any,
    drift: Any,
    lower: Any,
    upper: Any,
    places: Any,
    compared: Any,
    start: int,
    stop: int,
) -> Any:
    """Nearest centres of groups of tiles start to stop.

    Args:
        x, sizes, table, lengths, error, norm: as for `nearest_loops.search_all`.
        centres: (k, d) in float64, those of a group next to each other.
        numbers: of the centres (k,).
        quads: a quarter of the centres of a group.
        drift: how far each centre has moved (k,), rounded up.
        lower: bounds on the distance to each group's centres but one's own (tiles, groups, TILE).
        upper: bounds on the distance to the own centre (tiles, TILE).
        places: of the own centres (tiles, TILE), int32; -1 if unknown.
        compared: number of comparisons of a row with a group, of each group of tiles, int64.
        start, stop: groups of tiles.
    """
    kind, groups, room = x.dtype, lower.shape[1], GROUP * TILE
    near, next_, owner = np.empty(TILE, kind), np.empty(TILE, kind), np.empty(TILE, np.int32)
    found, part = (near, next_, owner), np.empty((4, TILE), kind)
    compact, some, every = (
        np.zeros((x.shape[1], TILE), kind),
        np.empty(room + 1, np.int64),
        np.arange(TILE),
    )
    # Of a group's rows, and behind them of rows collected in one tile: the least value, the next,
    # the place of the first, whether it must be compared, |x|² and what rounding may change.
    count = room + TILE
    least, second, slack = np.zeros(count, kind), np.zeros(count, kind), np.zeros(count, kind)
    place, need, own_sizes = np.zeros(count, np.int32), np.zeros(count, np.uint8), slack.copy()
    state, bounds = (least, second, place, need, own_sizes, slack), (lower, upper, places)
    about = centres, numbers, quads
    fall, lowest = np.zeros(groups, np.float32), np.empty(TILE, np.float32)
    for p in range(len(centres)):
        g = p // (4 * quads)
        fall[g] = max(fall[g], np.float32(drift[p]))
    for super_ in range(start, stop):
        first, last = super_ * GROUP, min((super_ + 1) * GROUP, len(x))
        compared[super_] = 0
        for t in range(first, last):
            a = (t - first) * TILE
            for r in range(TILE):
                own_sizes[a + r], slack[a + r] = sizes[t, r], error * (sizes[t, r] + norm)
            _loosen(t, fall, lower, lowest)
            _begin(x, t, a, centres, drift, lowest, bounds, state)
        for g in range(groups):
            own = table[g * quads : (g + 1) * quads]
            own_lengths = lengths[g * quads : (g + 1) * quads]
            base, beyond, waiting = np.int32(4 * g * quads), np.int32(4 * (g + 1) * quads), 0
            for t in range(first, last):
                a, begun = (t - first) * TILE, waiting
                waiting = _select(t, g, a, bounds, need, some, waiting)
                compared[super_] += waiting - begun
                if waiting - begun < MOST:
                    continue
                waiting = begun
                compare(x[t], own, own_lengths, len(own), near, next_, owner, part)
                _leave(t, a, base, beyond, every, TILE, near, state, lower)
                _merge(a, base, beyond, found, state)
                for r in range(TILE):
                    lower[t, g, r] = near[r]
            for begun in range(0, waiting, TILE):
                rows = min(TILE, waiting - begun)
                _collect(x, first, some, begun, rows, compact, state)
                compare(compact, own, own_lengths, len(own), near, next_, owner, part)
                _leave(first, room, base, beyond, some[begun:], rows, near, state, lower)
                _merge(room, base, beyond, found, state)
                for i in range(rows):
                    at, of = some[begun + i], room + i
                    lower[first + (at >> SHIFT), g, at & LAST] = near[i]
                    least[at], second[at], place[at] = least[of], second[of], place[of]
        for t in range(first, last):
            _finish(x, t, (t - first) * TILE, about, bounds, state)
