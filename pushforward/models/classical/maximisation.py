r"""The M step of normal mixtures, with a floor under variances.

    N_k = Σ r,   π_k = N_k / N,   μ_k = Σ r x / N_k,   Σ_k = Σ r x xᵀ / N_k - μ_k μ_kᵀ,

whose eigenvalues below `floor` are raised to it. That is the maximiser under the constraint Σ_k ⪰
floor, so the likelihood never decreases; adding the floor to the diagonal lacks this property. The
floor is one variance for each coordinate: Σ_k - diag(floor) has no negative eigenvalue.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.models.classical.covariance_kinds import EPS, CovarianceKind
from pushforward.models.classical.mixture_sums import Expected, pairs

__all__ = ["at_floor", "maximise", "maximise_in_loops"]

DEAD = 1e-10
"""Share of an equal part of the rows at or below which a component counts as empty: rounding error.
"""
AT_FLOOR = 1 + 1e-6
"""Relative distance from the floor that counts as none.

It is above rounding error and below any relevant difference.
"""


def maximise(
    sums: Expected,
    kind: CovarianceKind,
    floor: float | Tensor,
    means: Tensor,
    spread: Tensor,
    origins: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, means and floored spread.

    Args:
        sums: of the E step.
        kind: of the covariances.
        floor: the least variance, of all coordinates or of each (d,).
        means, spread: kept by empty components; may be empty tensors.
        origins: origins of the sums (k, d); None for 0.
    """
    count = sums.count
    alive = count > DEAD * count.sum() / len(count)
    n = torch.where(alive, count, 1.0)
    new = sums.first / n[:, None]
    floor = torch.as_tensor(floor, dtype=new.dtype, device=new.device).expand(new.shape[1])
    if kind == "full":
        k, d = new.shape
        i, j = pairs(d, new.device)
        second = new.new_empty(k, d, d)
        second[:, i, j] = second[:, j, i] = sums.second / n[:, None]
        wide = _clip(second - new[:, :, None] * new[:, None, :], floor)
    elif kind == "tied":
        # For empty components, count · mean meanᵀ is 0.
        between = torch.einsum("k,ki,kj->ij", count, new, new)
        wide = _clip((sums.second - between) / count.sum(), floor)
    else:
        wide = sums.second / n[:, None] - new.square()
        if kind == "spherical":
            wide = torch.maximum(wide.mean(1), floor.mean())
        else:
            wide = torch.maximum(wide, floor)
    if origins is not None:
        new = new + origins
    if kind != "tied" and spread.shape == wide.shape:
        wide = torch.where(alive.reshape(-1, *[1] * (wide.ndim - 1)), wide, spread)
    if len(means) == len(new):
        new = torch.where(alive[:, None], new, means)
    return torch.where(alive, count, 0.0) / count.sum(), new, wide


def maximise_in_loops(
    sums: Expected,
    kind: CovarianceKind,
    floor: Tensor,
    means: Tensor,
    spread: Tensor,
    origins: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `maximise`, on the CPU, with compiled loops where they can."""
    from pushforward.models.classical import maximisation_loops

    loops: Any = maximisation_loops
    if kind == "tied" or origins is None:
        return maximise(sums, kind, floor, means, spread, origins)
    (k, d), common = means.shape, spread.ndim == 1
    before = spread[:, None] if common else spread
    weights, new, wide = means.new_empty(k), torch.empty_like(means), torch.empty_like(before)
    results = [t.numpy() for t in (weights, new, wide)]
    parts: list[Any] = [sums.count, sums.first, sums.second]
    about = [origins, means, before, floor.expand(d)]
    least = DEAD * float(sums.count.sum()) / k
    if kind == "full":
        parts += pairs(d, means.device)
    arrays = [t.contiguous().numpy() for t in parts + about]
    if kind != "full":
        loops.maximise_independent(*arrays, least, common, *results)
    elif not loops.maximise_full(*arrays, least, 8 * d * EPS, *results):  # raised to the floor
        return maximise(sums, kind, floor, means, spread, origins)
    return weights, new, wide[:, 0] if common else wide


def at_floor(spread: Tensor, kind: CovarianceKind, floor: Tensor) -> Tensor:
    """Which components (k,), or one for all (1,), are at the variance floor in some direction."""
    if kind == "spherical":
        return spread <= floor.mean() * AT_FLOOR
    if kind == "diagonal":
        return (spread <= floor * AT_FLOOR).any(1)
    matrices = spread if kind == "full" else spread[None]
    return ~_exceeds(matrices, _units(matrices, floor), AT_FLOOR)


def _exceeds(covariance: Tensor, unit: Tensor, least: float) -> Tensor:
    """Whether all eigenvalues of Σ (…, d, d) in units of deviations (…, d) are above `least`.

    They are where Σ - least has a Cholesky factor, which is found in a tenth of the time.
    """
    scaled = covariance / unit[..., None, :] / unit[..., :, None]
    scaled.diagonal(dim1=-2, dim2=-1).sub_(least)
    above: Tensor = torch.linalg.cholesky_ex(scaled).info == 0
    return above


def _units(covariance: Tensor, floor: Tensor) -> Tensor:
    """The least deviations (…, d).

    Those of the floor, or the least that float64 resolves beside each coordinate's variance.
    """
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    return torch.maximum(floor, 8 * covariance.shape[-1] * EPS * variance).sqrt()


def _clip(covariance: Tensor, floor: Tensor) -> Tensor:
    """Symmetric matrices with eigenvalues, in units of the floor (d,), below 1 raised to it."""
    covariance = (covariance + covariance.mT) / 2
    unit = _units(covariance, floor)
    if bool(_exceeds(covariance, unit, 1).all()):
        return covariance
    values, axes = torch.linalg.eigh(covariance / unit[..., None, :] / unit[..., :, None])
    if bool((values >= 1).all()):
        return covariance
    raised = (axes * values.clamp_min(1)[..., None, :]) @ axes.mT
    result: Tensor = raised * unit[..., None, :] * unit[..., :, None]
    return result
