"""The E step of normal mixtures in compiled loops: a few rows at a time, without temporaries.

Rows are stored with one coordinate after the other and read once, in panels, so that each step of a
formula is a vector instruction on many rows whose operands are in the processor's cache. Components
use differences x - μ_k; full and independent ones sum about their means. Sums of a fixed number of
rows are kept apart and added in order, so they do not depend on the number of threads.

Each loop works on blocks `first` to `last` of BLOCK rows. Arrays are contiguous; `w` is empty where
rows have no weights. Symbols: n rows, d coordinates, k components, b blocks.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushforward.core.compiled import inlined, loop
from pushforward.core.elementary_loops import exponential, logarithm

__all__ = ["BLOCK", "expect_full", "expect_independent", "expect_tied"]

Array: TypeAlias = NDArray[Any]

BLOCK = 2048
"""Rows whose sums are kept apart."""
PANEL = 256
"""Rows in a panel."""
APART = PANEL + 8
"""Distance of its coordinates in memory: by powers of two they would share lines of the cache."""


@inlined
def load(x: Array, start: int, count: int, panel: Array) -> None:
    """Rows start to start + count of x (d, n)."""
    for i in range(len(x)):
        for p in range(count):
            panel[i, p] = x[i, start + p]


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
def add_products(weighted: Array, panel: Array, stop: int, count: int, sums: Array) -> None:
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


@inlined
def normalise(
    logits: Array, w: Array, start: int, count: int, top: Array, factor: Array, total: Array
) -> None:
    """exp(logit - top) in place, and factors that make them weighted responsibilities.

    Adds Σ w log p and Σ w to `total`.
    """
    for p in range(count):
        top[p] = logits[0, p]
        factor[p] = 0
    for k in range(1, len(logits)):
        for p in range(count):
            value = logits[k, p]
            top[p] = value if value > top[p] else top[p]
    for k in range(len(logits)):
        for p in range(count):
            share = exponential(logits[k, p] - top[p])
            logits[k, p] = share
            factor[p] += share
    value, one = 0.0, top.dtype.type(1)
    if len(w):
        weight = 0.0
        for p in range(count):
            weight += np.float64(w[start + p])
            value += w[start + p] * (top[p] + logarithm(np.float64(factor[p])))
            factor[p] = w[start + p] / factor[p]
        total[1] += weight
    else:
        for p in range(count):
            value += top[p] + logarithm(np.float64(factor[p]))
            factor[p] = one / factor[p]
        total[1] += count
    total[0] += value


@inlined
def weigh(logits: Array, k: int, factor: Array, count: int, r: Array) -> Any:
    """Responsibilities of component k for the rows of a panel, and their sum."""
    total: Any = r.dtype.type(0)
    for p in range(count):
        r[p] = logits[k, p] * factor[p]
        total += r[p]
    return total


@loop
def expect_full(
    x: Array,
    w: Array,
    means: Array,
    roots: Array,
    constants: Array,
    first: int,
    last: int,
    sums: Array,
    seconds: Array,
    totals: Array,
) -> None:
    """Full covariances.

    Args:
        x, w: rows (d, n) and weights (n,) or (0,).
        means, roots: μ (k, d) and upper triangular W (k, d, d) with W Wᵀ = Σ⁻¹.
        constants: log π - ½ log |2π Σ| (k,).
        first, last: blocks.
        sums: Σ r, Σ r (x - μ) (b, k, 1 + d).
        seconds: Σ r (x - μ)(x - μ)ᵀ (b, k, d, d), the lower triangles.
        totals: Σ w log p, Σ w (b, 2).
    """
    (k, d), kind = means.shape, x.dtype
    panel, centred = np.empty((d, APART), kind), np.empty((d, APART), kind)
    white, logits = np.empty((d, APART), kind), np.empty((k, APART), kind)
    top, factor, r = np.empty(PANEL, kind), np.empty(PANEL, kind), np.empty(PANEL, kind)
    origin = np.zeros(d, kind)
    for block in range(first, last):
        for start in range(block * BLOCK, min((block + 1) * BLOCK, x.shape[1]), PANEL):
            count = min(PANEL, (block + 1) * BLOCK - start, x.shape[1] - start)
            load(x, start, count, panel)
            for c in range(k):
                subtract(panel, means[c], count, centred)
                whiten(centred, roots[c], count, white)
                subtract_squares(white, origin, count, logits, c, constants[c])
            normalise(logits, w, start, count, top, factor, totals[block])
            for c in range(k):
                sums[block, c, 0] += weigh(logits, c, factor, count, r)
                subtract(panel, means[c], count, centred)
                for i in range(d):
                    total = kind.type(0)
                    for p in range(count):
                        white[0, p] = r[p] * centred[i, p]
                        total += white[0, p]
                    sums[block, c, 1 + i] += total
                    add_products(white[0], centred, i + 1, count, seconds[block, c, i])


@loop
def expect_independent(
    x: Array,
    w: Array,
    means: Array,
    inverses: Array,
    constants: Array,
    first: int,
    last: int,
    sums: Array,
    totals: Array,
) -> None:
    """Independent coordinates.

    Args:
        x, w: rows (d, n) and weights (n,) or (0,).
        means, inverses: μ / σ and 1 / σ (k, d).
        constants: log π - ½ log |2π Σ| (k,).
        first, last: blocks.
        sums: Σ r, Σ r z, Σ r z² (b, k, 1 + 2 d) of z = (x - μ) / σ.
        totals: Σ w log p, Σ w (b, 2).
    """
    (k, d), kind = means.shape, x.dtype
    panel, logits = np.empty((d, APART), kind), np.empty((k, APART), kind)
    top, factor, r = np.empty(PANEL, kind), np.empty(PANEL, kind), np.empty(PANEL, kind)
    half = kind.type(0.5)
    for block in range(first, last):
        for start in range(block * BLOCK, min((block + 1) * BLOCK, x.shape[1]), PANEL):
            count = min(PANEL, (block + 1) * BLOCK - start, x.shape[1] - start)
            load(x, start, count, panel)
            for c in range(k):
                constant = constants[c]
                add_squares(panel, inverses[c], means[c], count, r)
                for p in range(count):
                    logits[c, p] = constant - half * r[p]
            normalise(logits, w, start, count, top, factor, totals[block])
            for c in range(k):
                sums[block, c, 0] += weigh(logits, c, factor, count, r)
                for i in range(d):
                    m, scale, one, two = means[c, i], inverses[c, i], kind.type(0), kind.type(0)
                    for p in range(count):
                        z = scale * panel[i, p] - m
                        weighted = r[p] * z
                        one += weighted
                        two += weighted * z
                    sums[block, c, 1 + i] += one
                    sums[block, c, 1 + d + i] += two


@loop
def expect_tied(
    x: Array,
    w: Array,
    means: Array,
    root: Array,
    constants: Array,
    first: int,
    last: int,
    sums: Array,
    seconds: Array,
    totals: Array,
) -> None:
    """One covariance for all components.

    Args:
        x, w: rows (d, n) and weights (n,) or (0,).
        means: Wᵀ μ (k, d).
        root: upper triangular W (d, d) with W Wᵀ = Σ⁻¹.
        constants: log π - ½ log |2π Σ| (k,).
        first, last: blocks.
        sums: Σ r, Σ r x (b, k, 1 + d).
        seconds: Σ w x xᵀ (b, d, d), the lower triangle.
        totals: Σ w log p, Σ w (b, 2).
    """
    (k, d), kind = means.shape, x.dtype
    panel, white = np.empty((d, APART), kind), np.empty((d, APART), kind)
    logits, r = np.empty((k, APART), kind), np.empty(PANEL, kind)
    top, factor = np.empty(PANEL, kind), np.empty(PANEL, kind)
    for block in range(first, last):
        for start in range(block * BLOCK, min((block + 1) * BLOCK, x.shape[1]), PANEL):
            count = min(PANEL, (block + 1) * BLOCK - start, x.shape[1] - start)
            load(x, start, count, panel)
            whiten(panel, root, count, white)
            for c in range(k):
                subtract_squares(white, means[c], count, logits, c, constants[c])
            normalise(logits, w, start, count, top, factor, totals[block])
            for c in range(k):
                sums[block, c, 0] += weigh(logits, c, factor, count, r)
                add_products(r, panel, d, count, sums[block, c, 1:])
            for i in range(d):
                for p in range(count):
                    r[p] = panel[i, p] if len(w) == 0 else panel[i, p] * w[start + p]
                add_products(r, panel, i + 1, count, seconds[block, i])
