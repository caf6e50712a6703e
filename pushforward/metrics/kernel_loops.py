"""Sums over the entries of a kernel matrix, without the matrix."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from pushforward.core.compiled import loop

__all__ = ["add_cubes"]


@loop
def add_cubes(
    products: NDArray[Any],
    along: NDArray[Any],
    n: int,
    d: int,
    constants: NDArray[Any],
    sums: NDArray[Any],
) -> None:
    """Add the cubic kernel between all different rows to three sums, each pair once.

    Args:
        products: (r, r) float32, xᵀy of all rows.
        along: (r,) cᵀx/d.
        n: the number of real rows, which come first.
        d: the number of columns.
        constants: s and the factor of terms of higher degree (`kernel_distances._Cubic`).
        sums: (3,), within real rows, between both sets, and within generated rows.
    """
    s, higher, share = constants[0], constants[1], 1.0 / d
    rows = len(along)
    for i in range(rows):
        p = along[i]
        edges = (i + 1, max(n, i + 1), rows)
        for side in range(2):
            total = 0.0
            for j in range(edges[side], edges[side + 1]):
                a = float(products[i, j]) * share
                q = along[j]
                rest = (p + q) * higher + s
                cube = ((higher * a + rest) * rest * 3.0 + a * a * (higher * higher)) * a
                total += cube + (rest + s) * 3.0 * p * q * higher
            sums[side if i < n else 2] += total
