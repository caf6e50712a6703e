r"""Fréchet distance between normal distributions with the moments of two sets of features (FID):

    F = |m₁ - m₂|² + tr(S₁ + S₂ - 2 (S₁S₂)^½),   tr (S₁S₂)^½ = Σ √λ,
        λ the eigenvalues of M = S₁^½ S₂ S₁^½ (symmetric).

Error bar: F is smooth in the moments, with ∂F/∂m₂ = 2 (m₂ - m₁) and ∂F/∂S₂ = I - T, where T = S₁^½
M^-½ S₁^½ transports the second distribution to the first (T S₂ T = S₁). A row x of the second set
therefore moves F by its influence

    h(x) = 2 (m₂ - m₁)ᵀ(x - m₂) + (x - m₂)ᵀ (I - T)(x - m₂) - tr S₂(I - T),

so that var F ≈ var h₁/n₁ + var h₂/n₂. For equal distributions F
is quadratic in the noise, so the error bar is rough.

Bias: F of n rows is too large by about c/n (Chong & Forsyth 2020,
https://arxiv.org/abs/1911.07023), so F of halves minus F of all rows estimates it. The record's
value is the plain F, as in the literature; details hold 'bias' and 'without_bias'. References:
Heusel et al. (2017), GANs trained by a two time-scale update rule converge to a local Nash
equilibrium, Eq. 6. https://arxiv.org/abs/1706.08500 Dowson & Landau (1982), The Fréchet distance
between multivariate normal distributions. https://doi.org/10.1016/0047-259X(82)90077-X
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import ShapeMismatch
from pushforward.core.random import Rng, generator, permutation
from pushforward.core.records import Record
from pushforward.metrics.features import Features
from pushforward.metrics.gauge import exponent_of, power_of_two, restore_units
from pushforward.metrics.pairs import Pair, known_seed, warn_few_rows

__all__ = ["fid", "frechet_distance"]


def fid(
    real: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    rng: Rng = 0,
    data: str = "",
) -> Record:
    """Fréchet distance of generated rows (m, *shape) from real rows (n, *shape) in a feature space.

    The space is raw by default. Warns (`FewRows`) if either set has no more rows than features: its
    covariance is then singular, and the distance far too large even for equal distributions.
    """
    pair = Pair.of(real, generated, features, data)
    fewest, d = min(len(pair.real), len(pair.generated)), pair.dimension
    details: dict[str, Any] = {}
    if fewest <= d:
        note = (
            f"{len(pair.real)} real and {len(pair.generated)} generated rows in {d} features:"
            " covariances are singular and the distance is too large, its error bar rough; bring"
            f" more than {d} rows, or use fewer features: pca({max(1, fewest // 10)})"
        )
        warn_few_rows("fid", note)
        details = {"note": note}
    one, two = pair.centred()
    value = _distance(one, two)
    numbers = [value, _error(one, two), _bias(one, two, value, rng)]
    value, error, bias = restore_units("fid", numbers, 2 * exponent_of(pair.gauge.scale)).tolist()
    return pair.record(
        "fid", value, error, bias=bias, without_bias=value - bias, seed=known_seed(rng), **details
    )


def frechet_distance(
    mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor
) -> float:
    """The distance from means (d,) and covariances (d, d), in squared units of the features."""
    d = len(mean)
    if (
        mean.shape != other_mean.shape
        or covariance.shape != (d, d)
        or other_covariance.shape != (d, d)
    ):
        shapes = [tuple(t.shape) for t in (mean, covariance, other_mean, other_covariance)]
        raise ShapeMismatch(
            f"expected means (d,) and covariances (d, d) of one dimension, got {shapes}"
        )
    m, s, other_m, other_s = (
        t.detach().to("cpu", torch.float64)
        for t in (mean, covariance, other_mean, other_covariance)
    )
    gap = m - other_m
    unit = (
        power_of_two(
            max(
                float(gap.abs().max()),
                *(math.sqrt(float(each.abs().max())) for each in (s, other_s)),
            )
        )
        if d
        else 1.0
    )
    # whose products are representable at any scale
    gap, s, other_s = gap / unit, s / unit / unit, other_s / unit / unit
    root = _matrix_root(s)
    trace = torch.linalg.eigvalsh(_symmetrise(root @ other_s @ root)).clamp_min(0).sqrt().sum()
    value = max(0.0, float(gap.square().sum() + s.trace() + other_s.trace() - 2 * trace))
    return float(restore_units("the Fréchet distance", [value], 2 * exponent_of(unit))[0])


def _distance(x: Tensor, other: Tensor) -> float:
    return frechet_distance(x.mean(0), _covariance(x), other.mean(0), _covariance(other))


def _bias(x: Tensor, other: Tensor, value: float, rng: Rng) -> float:
    """The mean distance between halves minus that between all rows; NaN if halves are too small."""
    if min(len(x), len(other)) // 2 <= x.shape[1]:
        return math.nan
    stream = generator(rng)
    x, other = x[permutation(len(x), rng=stream)], other[permutation(len(other), rng=stream)]
    halves = zip(x.tensor_split(2), other.tensor_split(2))
    return sum(_distance(a, b) for a, b in halves) / 2 - value


def _error(x: Tensor, other: Tensor) -> float:
    """The standard error from the influences of both sets."""
    s, other_s = _covariance(x), _covariance(other)
    gap = other.mean(0) - x.mean(0)
    ahead, back = (
        _influence(x, -gap, _transport(other_s, s)),
        _influence(other, gap, _transport(s, other_s)),
    )
    return math.sqrt(float(ahead.var() / len(x) + back.var() / len(other)))


def _influence(x: Tensor, gap: Tensor, transport: Tensor) -> Tensor:
    """h(x) of every row (n,), up to a constant."""
    centred = x - x.mean(0)
    return 2 * centred @ gap + (centred * (centred - centred @ transport)).sum(1)


def _transport(s: Tensor, other: Tensor) -> Tensor:
    """T = S^½ (S^½ S' S^½)^-½ S^½, which transports N(0, S') to N(0, S).

    Without null directions.
    """
    root = _matrix_root(s)
    values, axes = torch.linalg.eigh(_symmetrise(root @ other @ root))
    regular = values > values.amax() * len(values) * torch.finfo(values.dtype).eps
    inverse = torch.where(regular, values.clamp_min(torch.finfo(values.dtype).tiny).rsqrt(), 0.0)
    half = root @ axes
    transport: Tensor = (half * inverse) @ half.T
    return transport


def _matrix_root(s: Tensor) -> Tensor:
    """The symmetric square root of a covariance; negative eigenvalues are set to 0."""
    values, axes = torch.linalg.eigh(_symmetrise(s))
    root: Tensor = (axes * values.clamp_min(0).sqrt()) @ axes.T
    return root


def _symmetrise(s: Tensor) -> Tensor:
    return (s + s.T) / 2


def _covariance(x: Tensor) -> Tensor:
    """The covariance with divisor n - 1, as in the literature."""
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)
