"""Log-densities of rows under each component of a mixture, in compiled loops.

Rows are turned in panels, as in `mixture_loops`; each row's results depend on it alone.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushforward.core.compiled import inlined, loop
from pushforward.models.classical.panel_loops import APART, PANEL, add_squares, subtract, whiten

__all__ = ["score_full", "score_independent"]

Array: TypeAlias = NDArray[Any]


@inlined
def turn(x: Array, start: int, count: int, panel: Array) -> None:
    """Rows start to start + count of x (n, d), with one coordinate after the other."""
    for p in range(count):
        for i in range(x.shape[1]):
            panel[i, p] = x[start + p, i]


@inlined
def write(squares: Array, constant: float, start: int, count: int, logits: Array) -> None:
    """constant - ½ squares; -inf where squares overflowed."""
    for p in range(count):
        finite = squares[p] < np.inf
        logits[start + p] = constant - 0.5 * squares[p] if finite else -np.inf


@loop
def score_full(
    x: Array, means: Array, roots: Array, constants: Array, first: int, last: int, logits: Array
) -> None:
    """Covariances with these roots.

    Args:
        x: rows (n, d).
        means, roots: μ (k, d) and upper triangular W (k or 1, d, d) with W Wᵀ = Σ⁻¹.
        constants: of the logits (k,).
        first, last: rows.
        logits: constant - ½ (x - μ)ᵀ Σ⁻¹ (x - μ), (k, n).
    """
    k, d = means.shape
    panel, centred = np.empty((d, APART)), np.empty((d, APART))
    white, squares = np.empty((d, APART)), np.empty(PANEL)
    ones, zeros = np.ones(d), np.zeros(d)
    for start in range(first, last, PANEL):
        count = min(PANEL, last - start)
        turn(x, start, count, panel)
        for c in range(k):
            subtract(panel, means[c], count, centred)
            whiten(centred, roots[c if len(roots) > 1 else 0], count, white)
            add_squares(white, ones, zeros, count, squares)
            write(squares, constants[c], start, count, logits[c])


@loop
def score_independent(
    x: Array,
    means: Array,
    deviations: Array,
    constants: Array,
    first: int,
    last: int,
    logits: Array,
) -> None:
    """Independent coordinates with these deviations (k, d); else as `score_full`."""
    k, d = means.shape
    panel, centred = np.empty((d, APART)), np.empty((d, APART))
    squares, zeros, inverses = np.empty(PANEL), np.zeros(d), 1 / deviations
    for start in range(first, last, PANEL):
        count = min(PANEL, last - start)
        turn(x, start, count, panel)
        for c in range(k):
            subtract(panel, means[c], count, centred)
            add_squares(centred, inverses[c], zeros, count, squares)
            write(squares, constants[c], start, count, logits[c])
