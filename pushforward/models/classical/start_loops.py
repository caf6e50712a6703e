"""Compiled loops for the start of a mixture: rows in its coordinates, and their nearest centres.

Rows are kept with one coordinate after the other, as the loops of `mixture_loops` read them. Sums
of a fixed number of rows are kept apart and added in order, so they do not depend on the number of
threads. Symbols: n rows, d coordinates, k centres, b blocks of BLOCK rows.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushforward.core.compiled import loop
from pushforward.models.classical.mixture_loops import BLOCK
from pushforward.models.classical.panel_loops import APART, PANEL, add_squares, load

__all__ = ["assign", "find_spread", "standardise"]

Array: TypeAlias = NDArray[Any]

STRIP = 32
"""Rows that are turned at a time: they and their coordinates stay in the cache."""


@loop
def standardise(rows: Array, shift: Array, scale: Array, first: int, last: int, out: Array) -> None:
    """Writes (x - shift) / scale of the rows first to last, computed in float64.

    Args:
        rows: (n, d).
        shift, scale: (d,).
        first, last: rows.
        out: (d, n).
    """
    for start in range(first, last, STRIP):
        stop = min(start + STRIP, last)
        for i in range(rows.shape[1]):
            origin, unit = shift[i], scale[i]
            for p in range(start, stop):
                out[i, p] = (np.float64(rows[p, i]) - origin) / unit


@loop
def assign(
    x: Array, w: Array, centres: Array, first: int, last: int, owner: Array, sums: Array
) -> None:
    """The nearest centre of each row, by differences, and the sums of each centre's rows.

    Args:
        x, w: rows (d, n), weights (n,) or (0,).
        centres: (k, d).
        first, last: blocks.
        owner: nearest centre (n,).
        sums: Σ w, Σ w x (b, k, 1 + d).
    """
    (k, d), n = centres.shape, x.shape[1]
    panel, ones = np.empty((d, APART)), np.ones(d)
    least, squares = np.empty(PANEL), np.empty(PANEL)
    own: Any = np.empty(PANEL, np.int64)
    for block in range(first, last):
        for start in range(block * BLOCK, min((block + 1) * BLOCK, n), PANEL):
            count = min(PANEL, (block + 1) * BLOCK - start, n - start)
            load(x, start, count, panel)
            for p in range(count):
                least[p], own[p] = np.inf, 0
            for c in range(k):
                add_squares(panel, ones, centres[c], count, squares)
                for p in range(count):
                    nearer = squares[p] < least[p]
                    least[p] = squares[p] if nearer else least[p]
                    own[p] = c if nearer else own[p]
            for p in range(count):
                c, weight = own[p], w[start + p] if len(w) else 1.0
                owner[start + p] = c
                sums[block, c, 0] += weight
                for i in range(d):
                    sums[block, c, 1 + i] += weight * panel[i, p]


@loop
def find_spread(
    x: Array, w: Array, means: Array, owner: Array, first: int, last: int, sums: Array, size: Array
) -> None:
    """The squares of rows about their cluster's mean, and their largest sizes.

    Args:
        x, w: rows (d, n), weights (n,) or (0,).
        means: of the clusters (k, d).
        owner: cluster of each row (n,).
        first, last: blocks.
        sums: Σ w (x - mean)² (b, d).
        size: the largest |x| (b, d).
    """
    d, n = x.shape
    for block in range(first, last):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, n)
        for i in range(d):
            total = largest = 0.0
            for p in range(start, stop):
                z = x[i, p] - means[owner[p], i]
                total += z * z * (w[p] if len(w) else 1.0)
                largest = max(largest, abs(x[i, p]))
            sums[block, i], size[block, i] = total, largest
