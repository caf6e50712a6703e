"""Cholesky's factors of small matrices in compiled loops, where a routine's call costs more."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushforward.core.compiled import loop

__all__ = ["factorise", "find_root"]

Array: TypeAlias = NDArray[Any]


@loop
def find_root(matrix: Array, root: Array) -> Any:
    """Writes the lower triangle L with L Lᵀ = matrix (d, d); whether the matrix is definite."""
    for j in range(len(matrix)):
        total = matrix[j, j]
        for i in range(j):
            total -= root[j, i] * root[j, i]
        if not total > 0:
            return False
        root[j, j] = math.sqrt(total)
        for k in range(j + 1, len(matrix)):
            total = matrix[k, j]
            for i in range(j):
                total -= root[k, i] * root[j, i]
            root[k, j] = total / root[j, j]
    return True


@loop
def factorise(
    matrices: Array, regular: float, deviations: Array, least: Array, logs: Array, white: Array
) -> Any:
    """Factors of covariances; whether all could be found.

    Args:
        matrices: Σ = D R D (m, d, d).
        regular: the bound of the least eigenvalue of R above which factors are accurate.
        deviations: D (m, d).
        least: lower bounds of the least eigenvalues of R (m,).
        logs: log |Σ| (m,).
        white: upper triangular W with W Wᵀ = Σ⁻¹ (m, d, d).
    """
    m, d = matrices.shape[:2]
    scaled, root, inverse = np.empty((d, d)), np.empty((d, d)), np.zeros((d, d))
    for c in range(m):
        for i in range(d):
            deviations[c, i] = math.sqrt(matrices[c, i, i])
        for i in range(d):
            for j in range(i + 1):
                scaled[i, j] = matrices[c, i, j] / deviations[c, i] / deviations[c, j]
        if not find_root(scaled, root):
            return False
        logs[c], squares = 0.0, 0.0
        for i in range(d):  # the rows of L⁻¹
            for j in range(i):
                inverse[i, j] = 0.0
            for k in range(i):
                share = root[i, k]
                for j in range(k + 1):
                    inverse[i, j] -= share * inverse[k, j]
            for j in range(i):
                inverse[i, j] /= root[i, i]
            inverse[i, i] = 1 / root[i, i]
            for j in range(i + 1):
                squares += inverse[i, j] * inverse[i, j]
                white[c, j, i] = inverse[i, j] / deviations[c, j]
            for j in range(i):
                white[c, i, j] = 0.0
            logs[c] += 2 * (math.log(root[i, i]) + math.log(deviations[c, i]))
        least[c] = 1 / squares
        if not least[c] > regular:
            return False
    return True
