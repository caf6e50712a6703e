r"""Decompositions of covariance matrices that are accurate whatever the units of the columns.

Matrices are decomposed in the scale of correlations, Σ = D R D with D the standard deviations, so
that columns in very different units cost no digits: densities are equivariant under a change of any
column's unit. Eigenvalues of R are floored, never shifted: one below 4 d ε is a rounded zero, and
is raised to it. Data that do not vary in some direction thus keep a finite density there, very high
on the data and very low elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.errors import Diverged

__all__ = [
    "LEAST",
    "Correlation",
    "decompose",
    "is_few",
    "log_density_of",
    "resolution",
    "root",
]

LEAST = math.ulp(0.0)
"""The smallest positive float64.

It keeps logarithms and quotients finite below any representable variance.
"""
NUMPY_COLUMNS = 64
"""From this many columns NumPy's LAPACK is half again as fast as torch's on the CPU."""
FEW = 1 << 12
"""Numbers up to which calls of torch take longer than the arithmetic."""
CONSTANT = 1e-8
"""Deviation assigned to a constant coordinate, as a share of its size: √ε of float64."""


def decompose(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (d,), rising, and eigenvectors in columns (d, d)."""
    if covariance.device.type != "cpu" or len(covariance) < NUMPY_COLUMNS:
        values, axes = torch.linalg.eigh(covariance)
        return values, axes
    result = np.linalg.eigh(covariance.numpy())
    return torch.from_numpy(result.eigenvalues), torch.from_numpy(result.eigenvectors)


def resolution(spectrum: Tensor, mean: Tensor) -> float:
    """The smallest variance that float64 can distinguish from zero.

    It is 4 d ε times the largest eigenvalue, and at least the rounding error of the mean. If
    nothing varies it is (1e-8 |mean|)², or 1e-16 if everything is 0.
    """
    top, size = float(spectrum.max()), float(mean.abs().max())
    eps = torch.finfo(torch.float64).eps
    least = (eps * size) ** 2
    if top > least:
        return max(4 * len(mean) * eps * top, least, LEAST)
    return (CONSTANT * (size or 1.0)) ** 2


@dataclass(frozen=True)
class Correlation:
    """A covariance as Σ = D A diag(values) Aᵀ D.

    Args:
        deviations: the diagonal of D, (d,).
        values: eigenvalues of the correlations, floored, rising, (d,).
        axes: eigenvectors A of the correlations, in columns (d, d).
        still: number of directions without variation: constant coordinates and floored eigenvalues.
    """

    deviations: Tensor
    values: Tensor
    axes: Tensor
    still: int

    @classmethod
    def of(cls, covariance: Tensor, mean: Tensor, *, common: bool = False) -> Correlation:
        """Decompose a covariance (d, d).

        The mean (d,) determines which variances are rounding error, and the scale of constant
        coordinates, a share of their size. With `common` that scale is instead the least relevant
        one beside the largest deviation.
        """
        eps, variance = torch.finfo(torch.float64).eps, covariance.diagonal()
        varies = variance > (eps * mean).square()
        top = float(torch.where(varies, variance, 0.0).max()) if len(mean) else 0.0
        unit = math.sqrt(4 * len(mean) * eps * top) if top > 0 else CONSTANT
        size = mean.abs()
        by_size = (size > 0) & (not common or top == 0)
        still = torch.where(by_size, CONSTANT * size, unit)
        deviations = torch.where(varies, variance.clamp_min(0).sqrt(), still)
        correlation = covariance / deviations / deviations[:, None]
        both, identity = varies & varies[:, None], torch.eye(len(mean)).to(correlation)
        correlation = torch.where(both, (correlation + correlation.T) / 2, identity)
        values, axes = decompose(correlation)
        floor = 4 * len(mean) * eps
        count = int((~varies).sum()) + int((values < floor).sum())
        return cls(deviations, values.clamp_min(floor), axes, count)

    def principal(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (d,) of Σ, falling, and eigenvectors in rows (d, d).

        Jacobi's method on diag(values)^½ Aᵀ D computes each with high relative accuracy, unlike
        methods that depend on the scales of the columns.

        Reference:
            Demmel & Veselić (1992), Jacobi's method is more accurate than QR.
            https://doi.org/10.1137/0613074
        """
        from scipy.linalg.lapack import dgejsv

        factor = (self.values.sqrt()[:, None] * self.axes.T * self.deviations).cpu()
        singular, _, right, work, _, failed = dgejsv(factor.numpy(), joba=2, jobu=3, jobv=0)
        if failed:
            raise Diverged(
                "the eigenvectors of the covariance did not converge; standardise the columns first"
            )
        values = torch.from_numpy(singular * (work[0] / work[1])).square()
        return values.to(self.values), torch.from_numpy(right).T.contiguous().to(self.values)

    @cached_property
    def _white(self) -> Tensor:
        """A diag(values)^-½ (d, d)."""
        return self.axes / self.values.sqrt()

    @cached_property
    def _constant(self) -> float:
        """d ln 2π + log |Σ|."""
        return len(self.values) * math.log(2 * math.pi) + float(self.log_determinant)

    def whiten(self, centred: Tensor) -> Tensor:
        """Map centred rows (n, d) to coordinates with covariance I."""
        return (centred / self.deviations) @ self._white

    @property
    def log_determinant(self) -> Tensor:
        """log |Σ|, ()."""
        return self.values.log().sum() + 2 * self.deviations.log().sum()

    def log_density(self, centred: Tensor) -> Tensor:
        """log N(x; μ, Σ) (n,) in nats of rows x - μ (n, d); -inf if squares overflow float64."""
        return log_density_of(self.whiten(centred).square_().sum(1), self._constant)

    def log_density_of_few(self, rows: Tensor, mean: Tensor) -> Tensor:
        """`log_density` of rows (n, *shape) for which `is_few` holds, about the mean (d,)."""
        deviations, white = self._arrays
        with np.errstate(over="ignore", invalid="ignore"):
            x = rows.numpy() if rows.ndim == 2 else rows.flatten(1).numpy()
            centred = x - mean.numpy()
            centred /= deviations
            scaled = centred @ white
            scaled *= scaled
            values = np.add.reduce(scaled, 1)
            values += self._constant
            values *= -0.5
            if math.isnan(np.add.reduce(values)):
                values[np.isnan(values)] = -math.inf
        return torch.from_numpy(values)

    @cached_property
    def _arrays(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The deviations (d,) and A diag(values)^-½ (d, d) as NumPy's arrays."""
        return self.deviations.numpy(), self._white.numpy()

    def solve(self, rows: Tensor) -> Tensor:
        """Rows (n, d) times Σ⁻¹."""
        return self.whiten(rows) / self.values.sqrt() @ self.axes.T / self.deviations


def is_few(rows: Tensor) -> bool:
    """Whether NumPy's functions take less time for rows on the CPU than torch's."""
    return type(rows) is Tensor and rows.device.type == "cpu" and rows.numel() <= FEW


def log_density_of(squares: Tensor, constant: float) -> Tensor:
    """-½ (constant + squares) (n,), in place; -inf where squares overflowed."""
    return squares.add_(constant).mul_(-0.5).nan_to_num_(nan=-math.inf, neginf=-math.inf)


def root(covariance: Tensor) -> Tensor:
    """B (…, d, d) with B Bᵀ = Σ, for sampling; 0 for constant coordinates.

    The Cholesky factor of the correlations, which is as stable as Σ (eigenvectors may rotate); from
    eigenvectors if the correlations are singular.
    """
    deviations = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    safe = torch.where(deviations > 0, deviations, 1.0)
    correlation = covariance / safe[..., None, :] / safe[..., :, None]
    correlation = (correlation + correlation.mT) / 2
    factor, failed = torch.linalg.cholesky_ex(correlation)
    if bool(failed.any()):
        values, axes = torch.linalg.eigh(correlation)
        by_axes = axes * values.clamp_min(0).sqrt()[..., None, :]
        factor = torch.where((failed > 0)[..., None, None], by_axes, factor)
    root_factor: Tensor = deviations[..., :, None] * factor
    return root_factor
