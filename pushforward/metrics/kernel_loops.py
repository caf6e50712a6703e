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
    start: int,
    n: int,
    constants: NDArray[Any],
    sums: NDArray[Any],
) -> None:
    """Add the cubic kernel between each row and all later ones to three sums.

    Args:
        products: (b, r - start) float32, xᵀy/d of rows start … start + b with rows from start on.
        along: (r,) cᵀx/d of all rows.
        start: the first row.
        n: the number of real rows, which come first.
        constants: s and the factor of terms of higher degree (`kernel_distances._Cubic`).
        sums: (3,), within real rows, between both sets, and within generated rows.
    """
    s, higher = constants[0], constants[1]
    rows = len(along)
    for i in range(len(products)):
        row = start + i
        p = along[row]
        edges = (row + 1, max(n, row + 1), rows)
        for side in range(2):
            total = 0.0
            for j in range(edges[side], edges[side + 1]):
                a = float(products[i, j - start])
                q = along[j]
                rest = (p + q) * higher + s
                cube = ((higher * a + rest) * rest * 3.0 + a * a * (higher * higher)) * a
                total += cube + (rest + s) * 3.0 * p * q * higher
            sums[side if row < n else 2] += total
