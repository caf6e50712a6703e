r"""The E and M steps of normal mixtures of scores of which each row may miss others.

With precisions Λ = Σ⁻¹, a row's missing coordinates m and observed ones o (Bishop 2006, Eq. 2.73),

    x̂_m = μ_m - Λ_mm⁻¹ Λ_mo (x_o - μ_o),       Cov(x_m | x_o) = Λ_mm⁻¹,
    log N(x_o) = log N(x̂; μ, Σ) + ½ (|m| log 2π - log |Λ_mm|),

so only matrices of the size of a row's gaps are inverted, for all rows with as many gaps at once.

Scores of cells have a variance v within the cell, as dequantised data have. Averaged over it, the
log-density of a component is less by ½ Σ_o Λ_oo v_o, and the expected squares more by v: a lower
bound of the log-mass that EM raises, in which nothing collapses onto a cell.

References:
    Ghahramani & Jordan (1994), Supervised learning from incomplete data via an EM approach.
    https://proceedings.neurips.cc/paper/1993/hash/f2201f5191c4e92cc5af043eebfd0946-Abstract.html
    Theis, van den Oord & Bethge (2016), A note on the evaluation of generative models, Eq. 5.
    https://arxiv.org/abs/1511.01844
    Fraley & Raftery (2007), Bayesian regularization for normal mixture estimation.
    https://doi.org/10.1007/s00357-007-0004-5
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.densities.margins import LOG_2PI

__all__ = ["Precisions", "ScoreSums", "expect", "log_densities", "maximise"]


@dataclass
class ScoreSums:
    """Expected sums over rows, by component, about its mean before the pass.

    Args:
        count: Σ r (k,).
        first: Σ r (x̂ - μ) (k, s).
        second: Σ r E[(x - μ)(x - μ)ᵀ] (k, s, s).
        codes: Σ r of each category (k, C).
        log_likelihood: Σ w log p, nats, ().
        weight: Σ w, ().
    """

    count: Tensor
    first: Tensor
    second: Tensor
    codes: Tensor
    log_likelihood: Tensor
    weight: Tensor

    def merge(self, other: ScoreSums) -> ScoreSums:
        """The sums over both sets of rows, in place."""
        self.count += other.count
        self.first += other.first
        self.second += other.second
        self.codes += other.codes
        self.log_likelihood += other.log_likelihood
        self.weight += other.weight
        return self


@dataclass
class Precisions:
    """Components prepared for a pass.

    Args:
        means: (k, s).
        precision: Σ⁻¹ (k, s, s).
        log_determinant: log |Σ| (k,).
    """

    means: Tensor
    precision: Tensor
    log_determinant: Tensor

    @classmethod
    def of(cls, means: Tensor, covariances: Tensor) -> Precisions:
        """Of means (k, s) and covariances (k or 1, s, s)."""
        root = torch.linalg.cholesky(covariances)
        inverse = torch.cholesky_inverse(root)
        volume = 2 * root.diagonal(dim1=1, dim2=2).log().sum(1)
        k = len(means)
        return cls(means, inverse.expand(k, -1, -1), volume.expand(k))


@dataclass
class _Part:
    """One component's view of rows: centred and completed (n, s), and the gaps' covariances."""

    delta: Tensor
    log_density: Tensor
    spread: list[tuple[Tensor, Tensor, Tensor]]


def expect(
    z: Tensor,
    variance: Tensor | None,
    logits: Tensor,
    w: Tensor | None,
    components: Precisions,
) -> tuple[Tensor, ScoreSums]:
    """E step of rows z (n, s), NaN where missing: responsibilities (n, k), weighted, and sums.

    Args:
        z: scores.
        variance: within cells (n, s); None for none.
        logits: the rest of the log-probability of each component (n, k).
        w: weights (n,).
        components: prepared.
    """
    gaps = torch.isnan(z)
    groups = _groups(gaps)
    filled = torch.where(gaps, 0.0, z)
    seen = None if variance is None else torch.where(gaps, 0.0, variance)
    k = len(components.means)
    parts = [_look(filled, gaps, groups, seen, components, i) for i in range(k)]
    logits = logits + torch.stack([p.log_density for p in parts], 1)
    value = logits.logsumexp(1)
    r = (logits - value[:, None]).exp()
    weight = z.new_tensor(float(len(z))) if w is None else w.sum()
    if w is not None:
        r, value = r * w[:, None], value * w
    first = torch.stack([r[:, i] @ p.delta for i, p in enumerate(parts)])
    second = torch.stack([_second(p, r[:, i], seen) for i, p in enumerate(parts)])
    none = z.new_zeros(k, 0)
    return r, ScoreSums(r.sum(0), first, second, none, value.sum(), weight)


def log_densities(z: Tensor, components: Precisions) -> Tensor:
    """Log-density of rows z (n, s) in each component (n, k), NaN integrated out."""
    gaps = torch.isnan(z)
    groups, filled = _groups(gaps), torch.where(gaps, 0.0, z)
    k = len(components.means)
    parts = [_look(filled, gaps, groups, None, components, i).log_density for i in range(k)]
    return torch.stack(parts, 1)


def maximise(
    sums: ScoreSums, means: Tensor, prior: Tensor, strength: float, kind: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (k,), means (k, s) and covariances (k or 1, s, s).

    Each covariance is that of its rows and of `strength` further rows with covariance `prior`.

    Args:
        sums: of the E step.
        means: before it; an empty component keeps its own.
        prior: covariance (s, s).
        strength: in rows.
        kind: 'full', 'diagonal' or 'tied'.
    """
    n = sums.count.clamp_min(1e-10)
    shift = torch.where((sums.count > 1e-6)[:, None], sums.first / n[:, None], 0.0)
    scatter = sums.second - sums.count[:, None, None] * shift[:, :, None] * shift[:, None, :]
    if kind == "tied":
        scatter, n = scatter.sum(0, keepdim=True), sums.count.sum()[None]
    covariance = (scatter + strength * prior) / (n + strength)[:, None, None]
    if kind == "diagonal":
        covariance = torch.diag_embed(covariance.diagonal(dim1=1, dim2=2))
    covariance = (covariance + covariance.mT) / 2
    return sums.count / sums.count.sum(), means + shift, covariance


def _groups(gaps: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Rows (n_m,) with m > 0 gaps, and the gaps' positions (n_m, m), for each m."""
    count = gaps.sum(1)
    groups = []
    for m in count.unique().tolist():
        if m:
            rows = (count == m).nonzero()[:, 0]
            groups.append((rows, gaps[rows].nonzero()[:, 1].view(-1, m)))
    return groups


def _look(
    filled: Tensor,
    gaps: Tensor,
    groups: list[tuple[Tensor, Tensor]],
    variance: Tensor | None,
    components: Precisions,
    i: int,
) -> _Part:
    """Log-densities (n,) of rows in component i, completed rows, and covariances of gaps."""
    precision, s = components.precision[i], filled.shape[1]
    delta = torch.where(gaps, 0.0, filled - components.means[i])
    pull = delta @ precision
    squares = (pull * delta).sum(1)
    correction = torch.zeros_like(squares)
    spread = []
    for rows, at in groups:
        inner = precision[at[:, :, None], at[:, None, :]]
        root = torch.linalg.cholesky(inner)
        force = pull[rows].gather(1, at)
        step = torch.cholesky_solve(force[:, :, None], root)[:, :, 0]
        squares[rows] -= (force * step).sum(1)
        delta[rows[:, None], at] = -step
        volume = root.diagonal(dim1=1, dim2=2).log().sum(1)
        correction[rows] = 0.5 * at.shape[1] * LOG_2PI - volume
        spread.append((rows, at, torch.cholesky_inverse(root)))
    value = correction - 0.5 * (squares + s * LOG_2PI + components.log_determinant[i])
    if variance is not None:
        value = value - 0.5 * (variance @ precision.diagonal())
    return _Part(delta, value, spread)


def _second(part: _Part, r: Tensor, variance: Tensor | None) -> Tensor:
    """Σ r E[(x - μ)(x - μ)ᵀ] (s, s)."""
    s = part.delta.shape[1]
    second = (part.delta * r[:, None]).T @ part.delta
    for rows, at, inverse in part.spread:
        flat = (at[:, :, None] * s + at[:, None, :]).flatten()
        weighted = (inverse * r[rows, None, None]).flatten()
        second.view(-1).index_add_(0, flat, weighted)
    if variance is not None:
        second.diagonal().add_(r @ variance)
    return second
