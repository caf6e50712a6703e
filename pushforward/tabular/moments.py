"""Means and standard deviations of normal distributions and their mixtures, in closed form."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

__all__ = ["closed_moments"]


@runtime_checkable
class _Mixture(Protocol):
    """A fitted mixture of normal distributions."""

    weights_: Tensor
    means_: Tensor
    covariances_: Tensor


@runtime_checkable
class _Normal(Protocol):
    """A fitted normal distribution."""

    mean_: Tensor
    covariance_: Tensor


def closed_moments(distribution: object) -> tuple[Tensor, Tensor] | None:
    """Exact means and standard deviations (d,) of normal distributions and their mixtures.

    None for others.
    """
    if isinstance(distribution, _Mixture):
        weights, means = distribution.weights_, distribution.means_
        mean = weights @ means
        variances = distribution.covariances_.diagonal(dim1=1, dim2=2)
        return mean, (weights @ (variances + (means - mean).square())).sqrt()
    if isinstance(distribution, _Normal):
        return distribution.mean_, distribution.covariance_.diagonal().clamp_min(0).sqrt()
    return None
