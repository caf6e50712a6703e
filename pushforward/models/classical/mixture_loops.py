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
from pushforward.core.product_loops import add_inner_products
from pushforward.models.classical.panel_loops import (
    APART,
    NARROW,
    PANEL,
    add_few_products,
    add_squares,
    add_squares_of,
    load,
    padded,
    subtract,
    subtract_squares,
    tabulate_fours,
    whiten,
    whiten_wide,
)

__all__ = ["BLOCK", "expect_full", "expect_independent", "expect_tied"]

Array: TypeAlias = NDArray[Any]

BLOCK = 2048
"""Rows whose sums are kept apart."""


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
    zero, least = total, r.dtype.type(1e-30 if r.itemsize == 4 else 1e-290)
    for p in range(count):
        share = logits[k, p] if logits[k, p] > least else zero  # less is subnormal soon, and slow
        r[p] = share * factor[p]
        total += r[p]
    for p in range(count, PANEL):
        r[p] = 0
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
        seconds: Σ r (x - μ)(x - μ)ᵀ (b, k, d, d), the lower triangles; above them anything. d
            filled up to a multiple of four.
        totals: Σ w log p, Σ w (b, 2).
    """
    (k, d), kind = means.shape, x.dtype
    wide = padded(d)
    panel, centred = np.zeros((d, APART), kind), np.zeros((wide, APART), kind)
    white, logits = np.zeros((wide, APART), kind), np.empty((k, APART), kind)
    top, factor, r = np.empty(PANEL, kind), np.empty(PANEL, kind), np.empty(PANEL, kind)
    origin, zeros = np.zeros(d, kind), np.zeros(4, kind)
    tables = np.zeros((k, wide // 4, wide // 4, 16), kind)
    if d > NARROW:
        for c in range(k):
            tabulate_fours(roots[c].T, tables[c])
    for block in range(first, last):
        for start in range(block * BLOCK, min((block + 1) * BLOCK, x.shape[1]), PANEL):
            count = min(PANEL, (block + 1) * BLOCK - start, x.shape[1] - start)
            load(x, start, count, panel)
            for c in range(k):
                subtract(panel, means[c], PANEL, centred)
                if d <= NARROW:
                    whiten(centred, roots[c], count, white)
                else:
                    whiten_wide(centred, tables[c], zeros, count, white)
                subtract_squares(white, origin, count, logits, c, constants[c])
            normalise(logits, w, start, count, top, factor, totals[block])
            for c in range(k):
                sums[block, c, 0] += weigh(logits, c, factor, count, r)
                subtract(panel, means[c], PANEL, centred)
                for i in range(d):
                    total = kind.type(0)
                    for p in range(PANEL):
                        white[i, p] = r[p] * centred[i, p]
                        total += white[i, p]
                    sums[block, c, 1 + i] += total
                    if d <= NARROW:
                        add_few_products(white[i], centred, i + 1, count, seconds[block, c, i])
                if d > NARROW:
                    add_squares_of(white, centred, count, seconds[block, c])


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
        seconds: Σ w x xᵀ (b, d, d), the lower triangle; above it anything. d filled up to a
            multiple of four.
        totals: Σ w log p, Σ w (b, 2).
    """
    (k, d), kind = means.shape, x.dtype
    wide = padded(d)
    panel, white = np.zeros((wide, APART), kind), np.zeros((wide, APART), kind)
    logits, r = np.empty((k, APART), kind), np.zeros((4, APART), kind)
    top, factor = np.empty(PANEL, kind), np.empty(PANEL, kind)
    zeros, own = np.zeros(4, kind), np.zeros((4, wide))
    roots = np.zeros((wide // 4, wide // 4, 16), kind)
    if d > NARROW:
        tabulate_fours(root.T, roots)
    for block in range(first, last):
        for start in range(block * BLOCK, min((block + 1) * BLOCK, x.shape[1]), PANEL):
            count = min(PANEL, (block + 1) * BLOCK - start, x.shape[1] - start)
            load(x, start, count, panel)
            if d <= NARROW:
                whiten(panel, root, count, white)
            else:
                whiten_wide(panel, roots, zeros, count, white)
            for c in range(k):
                subtract_squares(white, means[c], count, logits, c, constants[c])
            normalise(logits, w, start, count, top, factor, totals[block])
            for c in range(0, k, 4):
                some = min(4, k - c)
                for i in range(some):
                    sums[block, c + i, 0] += weigh(logits, c + i, factor, count, r[i])
                if d <= NARROW:
                    for i in range(some):
                        add_few_products(r[i], panel, d, count, sums[block, c + i, 1:])
                    continue
                own[:] = 0
                add_inner_products(r, panel, wide // 2, count, own)
                for i in range(some):
                    sums[block, c + i, 1:] += own[i, :d]
            for i in range(d):
                for p in range(count):
                    white[i, p] = panel[i, p] if len(w) == 0 else panel[i, p] * w[start + p]
                for p in range(count, PANEL):
                    white[i, p] = 0
                if d <= NARROW:
                    add_few_products(white[i], panel, i + 1, count, seconds[block, i])
            if d > NARROW:
                add_squares_of(white, panel, count, seconds[block])
