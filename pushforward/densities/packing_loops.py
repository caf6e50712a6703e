"""Loops that sort bumps into leaves of neighbours and bound them by boxes (see `tree_sums`)."""

from __future__ import annotations

import math

import numpy as np

from pushforward.core.compiled import inlined, loop

__all__ = ["fill_leaves", "join_boxes", "join_moments", "sort_parts"]

DIGIT = 256  # values of a digit of the keys: 8 of their 32 bits


@inlined
def _key(value: float) -> np.uint32:
    """A number to 32 bits in the same order, to single precision."""
    bits = np.float32(value).view(np.uint32)
    return ~bits if bits >> np.uint32(31) else bits | np.uint32(1 << 31)


@loop
def sort_parts(
    points: np.ndarray,
    axis: int,
    middle: float,
    factor: float,
    rows: np.ndarray,
    work: np.ndarray,
    keys: np.ndarray,
    parts: int,
    start: int,
    stop: int,
) -> None:
    """Sort the rows within parts start to stop, of `parts` like ones, by their distance on an axis.

    A radix sort by four digits; digits that all rows share are skipped. `rows` (n,) is in place,
    `work` (n,) and `keys` (2, n) are space to work in.
    """
    n = len(rows)
    counts = np.empty((4, DIGIT), np.int64)
    for part in range(start, stop):
        first, last = n * part // parts, n * (part + 1) // parts
        counts[:] = 0
        for i in range(first, last):
            key = _key((points[rows[i], axis] - middle) * factor)
            keys[0, i] = key
            for digit in range(4):
                counts[digit, (key >> np.uint32(8 * digit)) & np.uint32(DIGIT - 1)] += 1
        source, source_keys, target, target_keys = rows, keys[0], work, keys[1]
        for digit in range(4):
            shift = np.uint32(8 * digit)
            count = counts[digit]
            shared = (source_keys[first] >> shift) & np.uint32(DIGIT - 1)
            if count[shared] == last - first:
                continue
            place = first
            for value in range(DIGIT):
                count[value], place = place, place + count[value]
            for i in range(first, last):
                key = source_keys[i]
                value = (key >> shift) & np.uint32(DIGIT - 1)
                target[count[value]] = source[i]
                target_keys[count[value]] = key
                count[value] += 1
            source, target = target, source
            source_keys, target_keys = target_keys, source_keys
        if source is not rows:
            for i in range(first, last):
                rows[i] = work[i]


@loop
def fill_leaves(
    points: np.ndarray,
    factor: float,
    rows: np.ndarray,
    cells: np.ndarray,
    boxes: np.ndarray,
    places: np.ndarray,
    start: int,
    stop: int,
) -> None:
    """Copy rows, times a factor, into leaves start to stop, and find their boxes.

    Empty places of `cells` (leaves, d, size) are infinitely far; `places` (n,) are where rows went.
    """
    n, leaves, size = len(rows), len(cells), cells.shape[2]
    for leaf in range(start, stop):
        first, last = n * leaf // leaves, n * (leaf + 1) // leaves
        place = leaf * size
        for i in range(first, last):
            places[rows[i]] = place + i - first
        for axis in range(points.shape[1]):
            low, high = math.inf, -math.inf
            for i in range(first, last):
                value = points[rows[i], axis] * factor
                cells[leaf, axis, i - first] = value
                low, high = min(low, value), max(high, value)
            for i in range(last - first, size):
                cells[leaf, axis, i] = math.inf
            boxes[leaves - 1 + leaf, axis, 0] = low
            boxes[leaves - 1 + leaf, axis, 1] = high


@loop
def join_boxes(boxes: np.ndarray) -> None:
    """The boxes of inner nodes, from those of their two children."""
    for node in range(len(boxes) // 2 - 1, -1, -1):
        one, two = boxes[2 * node + 1], boxes[2 * node + 2]
        for axis in range(boxes.shape[1]):
            boxes[node, axis, 0] = min(one[axis, 0], two[axis, 0])
            boxes[node, axis, 1] = max(one[axis, 1], two[axis, 1])


@loop
def join_moments(cells: np.ndarray, count: int, moments: np.ndarray) -> None:
    """Each node's count, mean squared distance from its mean, and mean (nodes, 2 + d)."""
    leaves, d = cells.shape[:2]
    for leaf in range(leaves):
        node = moments[leaves - 1 + leaf]
        here = count * (leaf + 1) // leaves - count * leaf // leaves
        node[0], node[1] = here, 0.0
        for axis in range(d):
            cell = cells[leaf, axis, :here]
            origin, mean = cell[0], 0.0
            for value in cell:
                mean += value - origin
            mean = origin + mean / here
            for value in cell:
                node[1] += (value - mean) * (value - mean) / here
            node[2 + axis] = mean
    for inner in range(leaves - 2, -1, -1):
        node, one, two = moments[inner], moments[2 * inner + 1], moments[2 * inner + 2]
        node[0] = one[0] + two[0]
        share = two[0] / node[0]
        node[1] = (1 - share) * one[1] + share * two[1]
        for axis in range(2, 2 + d):
            between = two[axis] - one[axis]
            node[axis] = one[axis] + share * between
            node[1] += share * (1 - share) * between * between
