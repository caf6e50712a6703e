r"""Covariances of k normal components by kind: their storage and derived quantities.

A `spread` holds covariances (k, d, d) of kind 'full', variances (k, d) of kind 'diagonal' or (k,)
of kind 'spherical', or one covariance (d, d) of kind 'tied'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pushforward.models.classical.missing import Conditional, Independent

__all__ = [
    "EPS",
    "CovarianceKind",
    "Factors",
    "factors",
    "full_covariances",
    "condition_on_observed",
    "initial_spread",
    "variances_of",
]

CovarianceKind = Literal["full", "diagonal", "spherical", "tied"]
EPS = torch.finfo(torch.float64).eps
REGULAR = 1e-4
"""Least eigenvalue of correlations from which Cholesky's factors are as accurate as axes."""


@dataclass(frozen=True)
class Factors:
    """Factors of covariances Σ = D R D, in the scale of correlations R.

    Args:
        deviations: D (k, d).
        least: the least eigenvalue of each R (k,), or a lower bound, at most d times less.
        log_determinants: log |Σ| (k,).
        white: W, upper triangular, with W Wᵀ = Σ⁻¹ (k or 1, d, d); None where Σ is diagonal.
    """

    deviations: Tensor
    least: Tensor
    log_determinants: Tensor
    white: Tensor | None

    def whiten(self, k: int, centred: Tensor) -> Tensor:
        """Map rows x - μ_k (n, d) to coordinates with covariance I."""
        if self.white is None:
            return centred / self.deviations[k]
        return centred @ self.white[k if len(self.white) > 1 else 0]


def factors(
    kind: CovarianceKind, spread: Tensor, d: int, *, exact: bool = False, looped: bool = False
) -> Factors:
    """Factors of the covariances, accurate whatever the units of the columns.

    They are Cholesky's, or with `exact`, and where correlations are near 1, from eigenvectors.
    `looped` says that compiled loops are loaded.
    """
    if kind in ("diagonal", "spherical"):
        deviations = (spread if kind == "diagonal" else spread[:, None].expand(-1, d)).sqrt()
        log_determinants = 2 * deviations.log().sum(1)
        return Factors(deviations, torch.ones_like(deviations[:, 0]), log_determinants, None)
    matrices = spread if kind == "full" else spread[None]
    if looped and not exact:
        found = _factors_in_loops(matrices)
        if found is not None:
            return found
    deviations = matrices.diagonal(dim1=1, dim2=2).sqrt()
    correlations = matrices / deviations[:, None, :] / deviations[:, :, None]
    root, failed = torch.linalg.cholesky_ex(correlations)
    if not exact and not bool(failed.any()):
        one = torch.eye(d, dtype=root.dtype, device=root.device)
        inverse = torch.linalg.solve_triangular(root, one.expand_as(root), upper=False)
        least = inverse.square().sum((1, 2)).reciprocal()
        if bool((least > REGULAR).all()):
            logs = root.diagonal(dim1=1, dim2=2).log() + deviations.log()
            return Factors(deviations, least, 2 * logs.sum(1), inverse.mT / deviations[:, :, None])
    values, axes = torch.linalg.eigh(correlations)
    values = values.clamp_min(4 * d * EPS)
    log_determinants = values.log().sum(1) + 2 * deviations.log().sum(1)
    white = axes / deviations[:, :, None] * values.rsqrt()[:, None, :]
    triangle = torch.linalg.qr(white.flip(1).mT).R.mT.flip(1, 2)
    return Factors(deviations, values.amin(1), log_determinants, triangle)


def _factors_in_loops(matrices: Tensor) -> Factors | None:
    """Cholesky's factors of matrices (m, d, d) on the CPU; None where they may be inaccurate."""
    from pushforward.models.classical.factor_loops import factorise

    deviations = matrices.new_empty(matrices.shape[:2])
    least, logs = torch.empty_like(deviations[:, 0]), torch.empty_like(deviations[:, 0])
    white = torch.empty_like(matrices, memory_format=torch.contiguous_format)
    results = [t.numpy() for t in (deviations, least, logs, white)]
    if not factorise(matrices.contiguous().numpy(), REGULAR, *results):
        return None
    return Factors(deviations, least, logs, white)


def full_covariances(kind: CovarianceKind, means: Tensor, spread: Tensor) -> Tensor:
    """Covariances (k, d, d) of components with these means (k, d) and spread."""
    k, d = means.shape
    if kind in ("full", "tied"):
        return spread.expand(k, d, d)
    return torch.diag_embed(variances_of(kind, means, spread))


def variances_of(kind: CovarianceKind, means: Tensor, spread: Tensor) -> Tensor:
    """Variances (k, d) of components with these means (k, d) and spread."""
    k, d = means.shape
    if kind in ("full", "tied"):
        return spread.diagonal(dim1=-2, dim2=-1).expand(k, d)
    return spread if kind == "diagonal" else spread[:, None].expand(k, d)


def condition_on_observed(
    gap: Tensor, kind: CovarianceKind, means: Tensor, spread: Tensor
) -> Conditional | Independent:
    """The components given that some coordinates are missing (gap (d,)).

    No d × d matrix is built if coordinates are independent.
    """
    if kind in ("full", "tied"):
        return Conditional.of(gap, full_covariances(kind, means, spread))
    return Independent(gap, variances_of(kind, means, spread))


def initial_spread(variance: Tensor, kind: CovarianceKind, k: int, floor: float | Tensor) -> Tensor:
    """The spread of k components that all have these variances (d,), floored."""
    least = torch.as_tensor(floor, dtype=variance.dtype, device=variance.device)
    variance = torch.maximum(variance, least)
    if kind == "tied":
        return torch.diag(variance)
    if kind == "full":
        return torch.diag(variance).expand(k, -1, -1).clone()
    if kind == "diagonal":
        return variance.expand(k, -1).clone()
    return variance.mean().expand(k).clone()
