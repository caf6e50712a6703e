r"""The E and M steps of normal mixtures of scores of which each row may miss others.

With precisions Λ = Σ⁻¹, a row's missing coordinates m and observed ones o (Bishop 2006, Eq. 2.73),

    x̂_m = μ_m - Λ_mm⁻¹ Λ_mo (x_o - μ_o),       Cov(x_m | x_o) = Λ_mm⁻¹,
    log N(x_o) = log N(x̂; μ, Σ) + ½ (|m| log 2π - log |Λ_mm|),

so only matrices of the size of a row's gaps are inverted: one for each pattern of gaps, for all
patterns with as many gaps at once.

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
    Friedman (1989), Regularized discriminant analysis, Eq. 13-18.
    https://doi.org/10.1080/01621459.1989.10478752
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.densities.margins import LOG_2PI

__all__ = ["Precisions", "ScoreSums", "expect", "log_densities", "maximise"]


BITS = 62
"""Columns at most for patterns of gaps to be sought: they are the bits of a number."""


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
class _Gaps:
    """Rows (n_m,) with m > 0 gaps, and their patterns of gaps.

    Args:
        rows: (n_m,).
        at: positions of the gaps of each pattern (p, m).
        pattern: of each row (n_m,).
    """

    rows: Tensor
    at: Tensor
    pattern: Tensor


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
    filled = torch.where(gaps, 0.0, z)
    seen = None if variance is None else torch.where(gaps, 0.0, variance)
    delta, log_density, spread = _look(filled, gaps, seen, components)
    logits = logits + log_density.T
    value = logits.logsumexp(1)
    r = (logits - value[:, None]).exp()
    weight = z.new_tensor(float(len(z))) if w is None else w.sum()
    if w is not None:
        r, value = r * w[:, None], value * w
    share = r.T[:, :, None]
    first = (delta * share).sum(1)
    second = (delta * share).mT @ delta
    _add_spread(second, spread, r)
    if seen is not None:
        second.diagonal(dim1=1, dim2=2).add_(r.T @ seen)
    none = z.new_zeros(len(second), 0)
    return r, ScoreSums(r.sum(0), first, second, none, value.sum(), weight)


def log_densities(z: Tensor, components: Precisions) -> Tensor:
    """Log-density of rows z (n, s) in each component (n, k), NaN integrated out."""
    gaps = torch.isnan(z)
    return _look(torch.where(gaps, 0.0, z), gaps, None, components)[1].T


def maximise(
    sums: ScoreSums,
    means: Tensor,
    prior: Tensor,
    strength: float,
    kind: str,
    pooled: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (k,), means (k, s) and covariances (k or 1, s, s).

    Each covariance is that of its rows and of `strength` further rows with covariance `prior`, a
    share of which have instead the covariance within all components together.

    Args:
        sums: of the E step.
        means: before it; an empty component keeps its own.
        prior: covariance (s, s).
        strength: in rows.
        kind: 'full', 'diagonal' or 'tied'.
        pooled: that share, of several full covariances.
    """
    n = sums.count.clamp_min(1e-10)
    shift = torch.where((sums.count > 1e-6)[:, None], sums.first / n[:, None], 0.0)
    scatter = sums.second - sums.count[:, None, None] * shift[:, :, None] * shift[:, None, :]
    if kind == "tied":
        scatter, n = scatter.sum(0, keepdim=True), sums.count.sum()[None]
    if kind == "full" and len(n) > 1:
        within = scatter.sum(0) / sums.count.sum()
        prior = pooled * within + (1 - pooled) * prior
    covariance = (scatter + strength * prior) / (n + strength)[:, None, None]
    if kind == "diagonal":
        covariance = torch.diag_embed(covariance.diagonal(dim1=1, dim2=2))
    covariance = (covariance + covariance.mT) / 2
    return sums.count / sums.count.sum(), means + shift, covariance


def _groups(gaps: Tensor) -> list[_Gaps]:
    """Rows with gaps by their number, from where they are (n, s)."""
    patterns, which = _patterns(gaps)
    count = patterns.sum(1)
    groups = []
    for m in count.unique().tolist():
        if m:
            chosen = count == m
            at = patterns[chosen].nonzero()[:, 1].view(-1, m)
            rows = chosen[which].nonzero()[:, 0]
            groups.append(_Gaps(rows, at, (chosen.cumsum(0) - 1)[which[rows]]))
    return groups


def _patterns(gaps: Tensor) -> tuple[Tensor, Tensor]:
    """Patterns (p, s) of gaps (n, s), and that of each row (n,)."""
    n, s = gaps.shape
    if s > BITS:
        return gaps, torch.arange(n, device=gaps.device)
    bits = 2 ** torch.arange(s, device=gaps.device)
    codes, which = torch.unique((gaps * bits).sum(1), return_inverse=True)
    return (codes[:, None] & bits) > 0, which


def _look(
    filled: Tensor, gaps: Tensor, variance: Tensor | None, components: Precisions
) -> tuple[Tensor, Tensor, list[tuple[_Gaps, Tensor]]]:
    """Centred and completed rows (k, n, s), their log-densities (k, n), covariances of gaps.

    The covariances are those of each pattern (k, p, m, m).
    """
    precision, s = components.precision, filled.shape[1]
    delta = torch.where(gaps, 0.0, filled - components.means[:, None])
    pull = delta @ precision
    squares = (pull * delta).sum(2)
    correction = torch.zeros_like(squares)
    spread = []
    for group in _groups(gaps):
        at, rows = group.at, group.rows
        root = torch.linalg.cholesky(precision[:, at[:, :, None], at[:, None, :]])
        inverse = torch.cholesky_inverse(root)
        where = at[group.pattern].expand(len(precision), -1, -1)
        force = pull[:, rows].gather(2, where)
        step = (inverse[:, group.pattern] @ force[:, :, :, None])[:, :, :, 0]
        squares[:, rows] -= (force * step).sum(2)
        delta[:, rows] = delta[:, rows].scatter(2, where, -step)
        volume = root.diagonal(dim1=2, dim2=3).log().sum(2)
        correction[:, rows] = 0.5 * at.shape[1] * LOG_2PI - volume[:, group.pattern]
        spread.append((group, inverse))
    constant = s * LOG_2PI + components.log_determinant[:, None]
    value = correction - 0.5 * (squares + constant)
    if variance is not None:
        value = value - 0.5 * (variance @ precision.diagonal(dim1=1, dim2=2).T).T
    return delta, value, spread


def _add_spread(second: Tensor, spread: list[tuple[_Gaps, Tensor]], r: Tensor) -> None:
    """Add the gaps' covariances, weighted by r (n, k), to second moments (k, s, s), in place."""
    k, s = second.shape[:2]
    flat = second.view(k, -1)
    for group, inverse in spread:
        total = r.new_zeros(k, len(group.at)).index_add_(1, group.pattern, r[group.rows].T)
        places = (group.at[:, :, None] * s + group.at[:, None, :]).flatten()
        flat.index_add_(1, places, (inverse * total[:, :, None, None]).flatten(1))
