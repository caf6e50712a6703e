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


@inlined
def _low(value: Any, size: Any, slack: Any) -> Any:
    """A lower bound on a distance from |x - c|² - |x|²."""
    return np.sqrt(max(0.0, value + size - slack)) * (1 - WIDENED)


@loop
def _from_own(x: Any, r: Any, centre: Any) -> Any:
    """|x - c|² of row r of a tile, in float64."""
    squared = 0.0
    for j in range(len(centre)):
        squared += (np.float64(x[j, r]) - centre[j]) ** 2
    return squared


@loop
def _nearest(x: Any, r: Any, centres: Any, numbers: Any) -> Any:
    """The place of the nearest centre to row r of a tile, and |x - c|²; ties go to the first."""
    best, place = np.inf, 0
    for p in range(len(centres)):
        squared = _from_own(x, r, centres[p])
        if squared < best or (squared == best and numbers[p] < numbers[place]):
            best, place = squared, p
    return place, best


@loop
def _merge(
    at: Any,
    t: Any,
    r: Any,
    g: Any,
    quads: Any,
    near: Any,
    next_: Any,
    p: Any,
    size: Any,
    slack: Any,
    least: Any,
    second: Any,
    place: Any,
    lower: Any,
) -> Any:
    """Take into account the least two values of a row and a group, the first at place p."""
    rest = near
    if p == place[at]:
        second[at] = min(second[at], next_)
        rest = next_
    elif near < least[at]:
        second[at] = min(second[at], min(least[at], next_))
        rest = next_
        if place[at] >= 0:
            h = place[at] // (4 * quads)
            if h == g:
                rest = min(rest, least[at])
            else:
                lower[t, h, r] = min(lower[t, h, r], _low(least[at], size, slack))
        least[at], place[at] = near, p
    else:
        second[at] = min(second[at], near)
    lower[t, g, r] = _low(rest, size, slack)


@loop
def _merge_tile(
    t: Any,
    g: Any,
    quads: Any,
    near: Any,
    next_: Any,
    owner: Any,
    size: Any,
    slack: Any,
    least: Any,
    second: Any,
    place: Any,
    lower: Any,
) -> Any:
    """As `_merge`, for all rows of a tile, without branches."""
    base, beyond = np.int32(4 * g * quads), np.int32(4 * (g + 1) * quads)
    for r in range(TILE):
        o = place[r]
        if near[r] < least[r] and o >= 0 and (o < base or o >= beyond):
            h = o // (4 * quads)
            lower[t, h, r] = min(lower[t, h, r], _low(least[r], size[r], slack[r]))
    bounds = lower[t, g]
    for r in range(TILE):
        o, p, v, w, a = place[r], base + owner[r], near[r], next_[r], least[r]
        same = p == o
        less = (v < a) & (not same)
        rest = w if same | less else v
        rest = min(rest, a) if less & (o >= base) & (o < beyond) else rest
        other = min(a, w) if less else v
        second[r] = min(second[r], w if same else other)
        least[r], place[r] = v if less else a, p if less else o
        bounds[r] = _low(rest, size[r], slack[r])


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
    start: Any,
    stop: Any,
) -> Any:
    """Nearest centres of groups of tiles start to stop; returns the number of comparisons, in rows.

    Args:
        x, sizes, table, lengths, error, norm: as for `nearest_loops.search_all`.
        centres: (k, d) in float64, those of a group next to each other.
        numbers: of the centres (k,).
        quads: a quarter of the centres of a group.
        drift: how far each centre has moved (k,), rounded up.
        lower: bounds on the distance to each group's centres but one's own (tiles, groups, TILE).
        upper: bounds on the distance to the own centre (tiles, TILE).
        places: of the own centres (tiles, TILE), int32; -1 if unknown.
        start, stop: groups of tiles.
    """
    columns, kind, groups = x.shape[1], x.dtype, lower.shape[1]
    near, next_, owner = np.empty(TILE, kind), np.empty(TILE, kind), np.empty(TILE, np.int32)
    part, some, compact = (
        np.empty((4, TILE), kind),
        np.empty(GROUP * TILE, np.int64),
        np.zeros((columns, TILE), kind),
    )
    count = GROUP * TILE
    least, second, slack = np.empty(count, kind), np.empty(count, kind), np.empty(count, kind)
    place, need, lowest = np.empty(count, np.int32), np.empty(count, np.uint8), np.empty(TILE)
    fall, compared = np.zeros(groups), 0
    for p in range(len(centres)):
        fall[p // (4 * quads)] = max(fall[p // (4 * quads)], drift[p])
    for super_ in range(start, stop):
        first, last = super_ * GROUP, min((super_ + 1) * GROUP, len(x))
        for t in range(first, last):
            lowest[:] = np.inf
            for g in range(groups):
                for r in range(TILE):
                    bound = lower[t, g, r] - fall[g]
                    lower[t, g, r] = bound
                    lowest[r] = min(lowest[r], bound)
            for r in range(TILE):
                at, p = (t - first) * TILE + r, places[t, r]
                least[at], second[at], place[at], need[at] = np.inf, np.inf, p, 1
                slack[at] = error * (sizes[t, r] + norm)
                if p < 0:
                    upper[t, r] = np.inf
                    continue
                upper[t, r] = (upper[t, r] + drift[p]) * (1 + WIDENED)
                if upper[t, r] < lowest[r]:
                    need[at] = 0
                    continue
                squared = _from_own(x[t], r, centres[p])
                least[at], upper[t, r] = squared - sizes[t, r], np.sqrt(squared) * (1 + WIDENED)
                need[at] = not upper[t, r] < lowest[r]
        for g in range(groups):
            own, own_lengths = (
                table[g * quads : (g + 1) * quads],
                lengths[g * quads : (g + 1) * quads],
            )
            waiting = 0
            for t in range(first, last):
                begun = waiting
                for r in range(TILE):
                    at = (t - first) * TILE + r
                    if need[at] and not upper[t, r] < lower[t, g, r]:
                        some[waiting] = at
                        waiting += 1
                compared += waiting - begun
                if waiting - begun >= MOST:
                    compare(x[t], own, own_lengths, len(own), near, next_, owner, part)
                    if waiting - begun == TILE:
                        a = (t - first) * TILE
                        b = a + TILE
                        _merge_tile(
                            t,
                            g,
                            quads,
                            near,
                            next_,
                            owner,
                            sizes[t],
                            slack[a:b],
                            least[a:b],
                            second[a:b],
                            place[a:b],
                            lower,
                        )
                        waiting = begun
                    for i in range(begun, waiting):
                        at = some[i]
                        r = at % TILE
                        p, size = 4 * g * quads + owner[r], sizes[t, r]
                        _merge(
                            at,
                            t,
                            r,
                            g,
                            quads,
                            near[r],
                            next_[r],
                            p,
                            size,
                            slack[at],
                            least,
                            second,
                            place,
                            lower,
                        )
                    waiting = begun
            for begun in range(0, waiting, TILE):
                rows = min(TILE, waiting - begun)
                for i in range(rows):
                    at = some[begun + i]
                    for j in range(columns):
                        compact[j, i] = x[first + at // TILE, j, at % TILE]
                compare(compact, own, own_lengths, len(own), near, next_, owner, part)
                for i in range(rows):
                    at = some[begun + i]
                    t, r = first + at // TILE, at % TILE
                    p, size = 4 * g * quads + owner[i], sizes[t, r]
                    _merge(
                        at,
                        t,
                        r,
                        g,
                        quads,
                        near[i],
                        next_[i],
                        p,
                        size,
                        slack[at],
                        least,
                        second,
                        place,
                        lower,
                    )
        for at in range((last - first) * TILE):
            if not need[at]:
                continue
            t, r = first + at // TILE, at % TILE
            # Not <=, which is false for NaN (from an overflow).
            if not second[at] - least[at] > slack[at]:
                p, squared = _nearest(x[t], r, centres, numbers)
                if place[at] >= 0 and p != place[at]:
                    h = place[at] // (4 * quads)
                    lower[t, h, r] = min(lower[t, h, r], _low(least[at], sizes[t, r], slack[at]))
                place[at], upper[t, r] = p, np.sqrt(squared) * (1 + WIDENED)
            elif place[at] != places[t, r]:
                squared = max(0.0, least[at] + sizes[t, r] + slack[at])
                upper[t, r] = np.sqrt(squared) * (1 + WIDENED)
            places[t, r] = place[at]
    return compared
