"""All eigenvalues of a symmetric matrix, and eigenvectors of the largest only.

The matrix is reduced to a tridiagonal one, Q T Qᵀ. The eigenvalues of T cost d² operations, and K
of its eigenvectors Kd; rotating those by Q costs 2 K d². A complete decomposition instead rotates d
vectors, and takes three to five times as long as the reduction. Both are backward stable, with
errors of about d ε times the largest eigenvalue.

References:
    Dhillon, Parlett & Vömel (2006), The design and implementation of the MRRR algorithm.
    https://doi.org/10.1145/1186785.1186788
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.models.classical.covariance import decompose

__all__ = ["Spectrum"]

COLUMNS, SHARE = 100, 0.15
"""With fewer columns, or more than this share of the axes, a complete decomposition is as fast."""
ERRORS = 16.0
"""Largest residual, and departure from orthonormality, in units of d ε: ten times those seen."""
WIDTH = 32
"""Columns reduced together, which LAPACK takes too."""


class Spectrum:
    """Falling eigenvalues (d,) of a symmetric positive matrix (d, d), and its first axes on demand.

    Args:
        matrix: float64; small negative eigenvalues, which are rounding, become 0.
        axes: how many of them are expected to be asked for, None if unknown.

    Example:
        >>> matrix = torch.diag(torch.tensor([1., 3., 2.], dtype=torch.float64))
        >>> spectrum = Spectrum(matrix)
        >>> spectrum.values.tolist(), spectrum.axes(1).abs().tolist()
        ([3.0, 2.0, 1.0], [[0.0, 1.0, 0.0]])
    """

    def __init__(self, matrix: Tensor, axes: int | None = None) -> None:
        self._matrix = matrix
        self._all: Tensor | None = None
        self._reduced: _Reduced | None = None
        d = len(matrix)
        few = matrix.device.type == "cpu" and d >= COLUMNS and (axes is None or axes < SHARE * d)
        if few and bool(torch.isfinite(matrix).all()):
            self._reduced = _Reduced.of(matrix.numpy())
        if self._reduced is None:
            self.values = self._decompose()
        else:
            self.values = torch.from_numpy(self._reduced.values[::-1].copy()).clamp_min_(0)

    def axes(self, k: int) -> Tensor:
        """The first k eigenvectors in rows (k, d)."""
        if self._all is None and self._reduced is not None and k < SHARE * len(self._matrix):
            found = self._reduced.vectors(k)
            if found is not None:
                axes = torch.from_numpy(found.T[::-1].copy())
                if self._holds(axes):
                    return axes
        if self._all is None:
            self._decompose()
        assert self._all is not None
        return self._all[:k]

    def _decompose(self) -> Tensor:
        """Decompose completely; return the eigenvalues."""
        values, axes = decompose(self._matrix)
        self._all = axes.T.flip(0)
        return values.flip(0).clamp_min(0)

    def _holds(self, axes: Tensor) -> bool:
        """Whether the axes (k, d) are orthonormal and solve the eigenvalue problem."""
        k, d = axes.shape
        bound = ERRORS * d * torch.finfo(torch.float64).eps
        gram = axes @ axes.T
        gram.diagonal().sub_(1)
        rest = axes @ self._matrix - self.values[:k, None] * axes
        top = float(self.values[0])
        return float(gram.abs().max()) <= bound and float(rest.abs().max()) <= bound * top


class _Reduced:
    """A symmetric matrix as Q T Qᵀ: T by its diagonals, Q by the reflections that make it."""

    def __init__(self, reflections: Any, factors: Any, diagonal: Any, beside: Any) -> None:
        from scipy.linalg.lapack import dsterf

        self.reflections, self.factors = reflections, factors
        self.diagonal, self.beside = diagonal, beside
        self.values, self.failed = dsterf(diagonal, beside)

    @classmethod
    def of(cls, matrix: NDArray[Any]) -> _Reduced | None:
        """None if the eigenvalues do not converge."""
        from scipy.linalg.lapack import dsytrd

        # The copy is read by columns, which for a symmetric matrix are its rows.
        copy = np.array(matrix, order="F")
        lwork = WIDTH * len(copy)
        reflections, diagonal, beside, factors, _ = dsytrd(
            copy, lower=1, lwork=lwork, overwrite_a=1
        )
        reduced = cls(reflections, factors, diagonal, beside)
        return None if reduced.failed else reduced

    def vectors(self, k: int) -> NDArray[Any] | None:
        """Eigenvectors of the k largest eigenvalues, in columns (d, k), rising; None if lost."""
        from scipy.linalg.lapack import dormqr, dstemr

        d = len(self.diagonal)
        beside = np.append(self.beside, 0.0)
        found, _, rows, failed = dstemr(
            self.diagonal, beside, 2, 0.0, 0.0, d - k + 1, d, lwork=18 * d, liwork=10 * d
        )
        if failed or found != k:
            return None
        rows = np.asfortranarray(rows[:, :k])
        # The first reflection begins at the second row, as the first row is left as it is.
        rotated, _, failed = dormqr(
            "L", "N", self.reflections[1:, :-1], self.factors, rows[1:], WIDTH * max(k, 1)
        )
        rows[1:] = rotated
        return None if failed else rows
