"""Steps of compiled loops on a panel of rows, which is stored with one coordinate after the other.

Each step of a formula is a vector instruction on many rows, whose operands are in the processor's
cache. Arrays are contiguous. Symbols: n rows, d coordinates, k components.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from numpy.typing import NDArray

from pushforward.core.compiled import inlined, loop
from pushforward.core.product_loops import STRIP, add_inner_products, add_products

__all__ = [
    "APART",
    "NARROW",
    "PANEL",
    "add_few_products",
    "add_squares",
    "add_squares_of",
    "load",
    "padded",
    "subtract",
    "subtract_squares",
    "tabulate_fours",
    "whiten",
    "whiten_wide",
]

Array: TypeAlias = NDArray[Any]

PANEL = 256
"""Rows in a panel."""
NARROW = 4
"""Columns up to which plain loops need fewer instructions than products of four columns."""
APART = PANEL + STRIP
"""Distance of its coordinates in memory: by powers of two they would share lines of the cache."""


@inlined
def load(x: Array, start: int, count: int, panel: Array) -> None:
    """Rows start to start + count of x (d, n), and zeros behind them."""
    for i in range(len(x)):
        for p in range(count):
            panel[i, p] = x[i, start + p]
        for p in range(count, PANEL):
            panel[i, p] = 0


@inlined
def add_squares(panel: Array, scales: Array, origins: Array, count: int, squares: Array) -> None:
    """Σ_i (scale_i x_i - origin_i)² of the rows of a panel, four coordinates at a time."""
    whole = len(scales) // 4 * 4
    for p in range(count):
        squares[p] = 0
    for i in range(0, whole, 4):
        s, t, u, v = scales[i], scales[i + 1], scales[i + 2], scales[i + 3]
        a, b, c, e = origins[i], origins[i + 1], origins[i + 2], origins[i + 3]
        for p in range(count):
            one, two = s * panel[i, p] - a, t * panel[i + 1, p] - b
            three, four = u * panel[i + 2, p] - c, v * panel[i + 3, p] - e
            squares[p] += (one * one + two * two) + (three * three + four * four)
    for i in range(whole, len(scales)):
        s, a = scales[i], origins[i]
        for p in range(count):
            one = s * panel[i, p] - a
            squares[p] += one * one


@inlined
def subtract(panel: Array, mean: Array, count: int, centred: Array) -> None:
    """x - μ of a panel."""
    for i in range(len(mean)):
        m = mean[i]
        for p in range(count):
            centred[i, p] = panel[i, p] - m


@inlined
def whiten(centred: Array, root: Array, count: int, white: Array) -> None:
    """Wᵀ x of a panel, W upper triangular."""
    for j in range(len(root)):
        t = root[0, j]
        for p in range(count):
            white[j, p] = t * centred[0, p]
        whole = 1 + j // 4 * 4
        for i in range(1, whole, 4):
            a, b, c, e = root[i, j], root[i + 1, j], root[i + 2, j], root[i + 3, j]
            for p in range(count):
                one, two = a * centred[i, p] + b * centred[i + 1, p], c * centred[i + 2, p]
                white[j, p] += one + (two + e * centred[i + 3, p])
        for i in range(whole, j + 1):
            t = root[i, j]
            for p in range(count):
                white[j, p] += t * centred[i, p]


@inlined
def add_few_products(weighted: Array, panel: Array, stop: int, count: int, sums: Array) -> None:
    """Adds Σ w x_j of a panel for the coordinates j before `stop`, four at a time."""
    whole, zero = stop // 4 * 4, panel.dtype.type(0)
    for j in range(0, whole, 4):
        a, b, c, e = zero, zero, zero, zero
        for p in range(count):
            value = weighted[p]
            a += value * panel[j, p]
            b += value * panel[j + 1, p]
            c += value * panel[j + 2, p]
            e += value * panel[j + 3, p]
        sums[j] += a
        sums[j + 1] += b
        sums[j + 2] += c
        sums[j + 3] += e
    for j in range(whole, stop):
        a = zero
        for p in range(count):
            a += weighted[p] * panel[j, p]
        sums[j] += a


@inlined
def subtract_squares(
    white: Array, mean: Array, count: int, logits: Array, k: int, constant: float
) -> None:
    """Logits of component k: constant - ½ Σ (x - mean)²."""
    half = white.dtype.type(0.5)
    for p in range(count):
        logits[k, p] = 0
    for i in range(len(mean)):
        m = mean[i]
        for p in range(count):
            z = white[i, p] - m
            logits[k, p] += z * z
    for p in range(count):
        logits[k, p] = constant - half * logits[k, p]


@loop
def padded(d: int) -> int:
    """d filled up to a multiple of four, where products take four columns at a time."""
    return d if d <= NARROW else -(-d // 4) * 4


@inlined
def tabulate_fours(rows: Array, table: Array) -> None:
    """The table (groups, columns / 4, 16) of rows (4 groups, columns), for `add_products`."""
    for i in range(len(rows)):
        for j in range(rows.shape[1]):
            table[i // 4, j // 4, 4 * (i % 4) + j % 4] = rows[i, j]


@inlined
def whiten_wide(centred: Array, table: Array, zeros: Array, count: int, white: Array) -> None:
    """Wᵀ x of a panel, W upper triangular, by strips of rows, which stay in the cache."""
    for begin in range(0, count, STRIP):
        for g in range(len(table)):
            stop = 4 * g + 4
            add_products(
                centred[:stop], begin, begin + STRIP, table[g, : g + 1], zeros, white[4 * g : stop]
            )


@inlined
def add_squares_of(weighted: Array, panel: Array, count: int, sums: Array) -> None:
    """Adds Σ w x xᵀ of a panel; its lower triangle is right."""
    for i in range(0, len(panel), 4):
        add_inner_products(weighted[i : i + 4], panel, i // 2 + 2, count, sums[i : i + 4])
