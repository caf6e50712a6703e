r"""Selection of the number of principal components.

Minka's evidence is Laplace's approximation of p(X | K),

    ln p(X|K) ≈ ln p(U) - N/2 Σ_{k≤K} ln l_k - N(d-K)/2 ln σ² + (m+K)/2 ln 2π
                - ½ ln|A_Z| - K/2 ln N,
    m = dK - K(K+1)/2,
    ln|A_Z| = Σ_{i≤K} Σ_{j>i} ln[(1/l̂_j - 1/l̂_i)(l_i - l_j) N],   l̂_j = l_j (j ≤ K), σ² (j > K),

and the held-out likelihood needs only the covariances of two halves of the rows.

Reference:
    Minka (2000), Automatic choice of dimensionality for PCA, Eq. 76-82.
    https://proceedings.neurips.cc/paper/2000/hash/7503cfacd12053d309b6bed5c89de212-Abstract.html
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.models.classical.covariance import resolution

__all__ = ["log_evidence", "held_out_likelihood"]


def log_evidence(spectrum: Tensor, d: int, count: float) -> Tensor:
    """Minka's log-evidence for K = 1 … (d - 1, or the rank if lower), nats.

    Args:
        spectrum: the eigenvalues of the 1/N covariance, falling; fewer than d if others are zero.
        d: the number of coordinates.
        count: N.
    """
    values = torch.zeros(d, dtype=torch.float64, device=spectrum.device)
    # In units of the largest eigenvalue nothing overflows; the evidence then differs by a constant.
    top = float(spectrum[0]) or 1.0
    values[: len(spectrum)] = spectrum / top
    floor = 4 * d * torch.finfo(torch.float64).eps
    rank = min(int((values > floor).sum()), d - 1)
    scores = []
    index = torch.arange(d, device=values.device)
    half = (d - index.double()) / 2
    surfaces = torch.lgamma(half) - half * math.log(math.pi)
    for k in range(1, rank + 1):
        noise = values[k:].mean().clamp_min(floor)
        fitted = torch.where(index < k, values.clamp_min(floor), noise)
        inverses = 1 / fitted[None, :] - 1 / fitted[:k, None]
        gaps = (values[:k, None] - values[None, :]) * inverses
        later = index[None, :] > index[:k, None]
        curvature = (gaps[later].clamp_min(1e-300).log() + math.log(count)).sum()
        free = d * k - k * (k + 1) / 2
        variances = values[:k].log().sum() + (d - k) * noise.log()
        score = surfaces[:k].sum() - k * math.log(2) - count / 2 * variances
        score = score + (free + k) / 2 * math.log(2 * math.pi) - curvature / 2
        scores.append(score - k / 2 * math.log(count))
    if not scores:
        return values.new_zeros(0)
    return torch.stack(scores) - count / 2 * d * math.log(top)


def held_out_likelihood(
    mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor
) -> Tensor:
    """Mean log-likelihood (d - 1,) of other rows, nats, under K = 1 … d - 1 components.

    Args:
        mean, covariance: of the rows the components are fitted to, (d,) and (d, d).
        other_mean, other_covariance: of the rows whose likelihood is computed.
    """
    d = len(mean)
    values, axes = torch.linalg.eigh(covariance)
    values, axes = values.flip(0).clamp_min(0), axes.flip(1)
    floor = resolution(values, mean)
    delta = other_mean - mean
    spread = (axes * (other_covariance @ axes)).sum(0) + (delta @ axes).square()
    rest = torch.arange(d, 0, -1, dtype=values.dtype, device=values.device) - 1
    noise = (values.sum() - values.cumsum(0)) / rest.clamp_min(1)
    noise = noise.clamp_min(floor)
    floored = values.clamp_min(floor)
    scaled = (spread / floored).cumsum(0) + (spread.sum() - spread.cumsum(0)) / noise
    constant = d * math.log(2 * math.pi)
    total = constant + floored.log().cumsum(0) + rest * noise.log() + scaled
    likelihoods: Tensor = -0.5 * total[: max(d - 1, 1)]
    return likelihoods
