r"""Correlations of latent normal scores from those of what is observed of them.

A column's score s(z) is z itself, or constant in cells. With a_n = E[s(z) h_n(z)] its coefficients
in normalised Hermite polynomials, and z, z' standard normal with correlation ρ (Mehler's formula),

    Cov(s(z), s'(z')) = Σ_{n ≥ 1} a_n a'_n ρⁿ,

which rises with ρ and is inverted here: what cells take from a correlation is given back, as with
polychoric correlations.

References:
    Mehler (1866), Ueber die Entwicklung einer Function von beliebig vielen Variablen nach
    Laplaceschen Functionen höherer Ordnung. https://doi.org/10.1515/crll.1866.66.161
    Schäfer & Strimmer (2005), A shrinkage approach to large-scale covariance matrix estimation.
    https://doi.org/10.2202/1544-6115.1175
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.densities.margins import LOG_2PI, WIDE, Margins, log_normal_mass, truncated_moments

__all__ = ["hermite_coefficients", "latent_correlation", "order_categories", "shrink"]

TERMS = 48
"""Terms of Mehler's series; correlations are limited so that the rest is small."""
LARGEST = 0.995
"""Largest correlation of two columns with cells."""
HALVINGS = 40
"""Steps of bisection: 2^-40 is below any statistical error."""
STEPS = 41
"""Shares of the observed correlations that are tried."""
LEAST = 1e-6
"""Least eigenvalue of a correlation matrix."""
MOST_INDICATORS = 64
"""Categories of a column, the most common, that count for the order of others."""
ORDER_ROWS = 20_000
"""Rows from which the order of categories is taken."""


def hermite_coefficients(margins: Margins) -> Tensor:
    """a_1 … a_N of each column (s, N), for scores of variance 1; (1, 0, …) without wide cells."""
    out = torch.zeros(len(margins), TERMS, dtype=torch.float64)
    out[:, 0] = 1
    for j in range(len(margins)):
        m = int(margins.sizes[j])
        wide = margins.single[j, :m] & (margins.mass[j, :m] >= WIDE)
        if margins.kind != "none" and bool(wide.any()):
            edges = margins.cell_scores(j)
            low, high = edges[:-1][wide], edges[1:][wide]
            _, within = truncated_moments(low, high)
            lost = (log_normal_mass(low, high).exp() * within).sum()
            out[j] += _cell_part(low, high).sum(1)
            out[j] /= (1 - lost).clamp_min(1e-12).sqrt()
    return out


def _cell_part(low: Tensor, high: Tensor) -> Tensor:
    """What each cell (m,) adds to a_1 … a_N: its mean score in place of z, (N, m)."""
    mean, _ = truncated_moments(low, high)
    density = [torch.exp(-0.5 * (z.square() + LOG_2PI)) for z in (low, high)]
    before = [torch.zeros_like(low), torch.zeros_like(high)]
    masses = [log_normal_mass(low, high).exp()]  # integrals of h_0, h_1, … over the cell
    current = density
    for n in range(1, TERMS + 2):
        masses.append((current[0] - current[1]) / math.sqrt(n))
        following = [
            (z * c - math.sqrt(n - 1) * b) / math.sqrt(n)
            for z, c, b in zip((low, high), current, before)
        ]
        before, current = current, following
    parts = []
    for n in range(1, TERMS + 1):
        of_z = math.sqrt(n + 1) * masses[n + 1] + math.sqrt(n) * masses[n - 1]
        parts.append(mean * masses[n] - of_z)
    return torch.stack(parts)


def latent_correlation(covariance: Tensor, coefficients: Tensor) -> Tensor:
    """Correlations (s, s) of z from the covariance of scores and coefficients (s, N)."""
    deviation = covariance.diagonal().clamp_min(1e-300).sqrt()
    observed = (covariance / deviation / deviation[:, None]).clamp(-1, 1)
    a = coefficients
    cells = coefficients[:, 1:].abs().amax(1) > 0
    out = observed / (a[:, 0] * a[:, None, 0]).clamp_min(1e-3)
    for i in cells.nonzero()[:, 0].tolist():
        others = cells.nonzero()[:, 0]
        out[i, others] = _invert(observed[i, others], a[i] * a[others])
    out = (out + out.T) / 2
    out = out.clamp(-1, 1)
    out[cells] = out[cells].clamp(-LARGEST, LARGEST)
    out[:, cells] = out[:, cells].clamp(-LARGEST, LARGEST)
    out.fill_diagonal_(1.0)
    return out


def _invert(target: Tensor, products: Tensor) -> Tensor:
    """ρ (m,) with Σ products_n ρⁿ (m, N) = target, by bisection."""
    low, high = torch.full_like(target, -LARGEST), torch.full_like(target, LARGEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        value = torch.zeros_like(middle)
        for n in range(products.shape[1] - 1, -1, -1):  # Horner
            value = (value + products[:, n]) * middle
        below = value < target
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def shrink(latent: Tensor, observed: Tensor, rows: float) -> tuple[Tensor, float]:
    """A positive definite correlation matrix (s, s) and the share λ of the identity in it.

    Correlations of cells are estimated pair by pair, and few rows may let categories determine each
    other: as much of the observed correlations is mixed in as keeps the least eigenvalue from
    falling below a share of theirs, min(½, 5/√n).

    λ = Σ Var(r_ij) / Σ r_ij² over i ≠ j, at most 1, with Var(r) = (1 - r²)² / n for normal scores;
    that minimises the expected squared error.

    Args:
        latent: correlations of the latent scores (s, s).
        observed: correlations of what is observed of them (s, s).
        rows: n.
    """
    s = len(latent)
    away = ~torch.eye(s, dtype=torch.bool, device=latent.device)
    r = latent[away]
    error = (1 - r.square()).square().sum() / max(rows, 1.0)
    share = float((error / r.square().sum().clamp_min(1e-300)).clamp(0, 1)) if s > 1 else 0.0
    shrunk = [torch.where(away, (1 - share) * m, m) for m in (latent, observed)]
    least = float(torch.linalg.eigvalsh(shrunk[1]).min()) if s else 1.0
    least *= min(0.5, 5 / math.sqrt(max(rows, 1.0)))
    for part in torch.linspace(0, 1, STEPS, dtype=torch.float64).tolist():
        mixed = (1 - part) * shrunk[0] + part * shrunk[1]
        values, axes = torch.linalg.eigh(mixed)
        if not s or float(values.min()) >= least:
            break
    if s and float(values.min()) < LEAST:
        mixed = (axes * values.clamp_min(LEAST)) @ axes.T
        deviation = mixed.diagonal().sqrt()
        mixed = mixed / deviation / deviation[:, None]
    mixed = (mixed + mixed.T) / 2
    mixed.fill_diagonal_(1.0)
    return mixed, share


def order_categories(
    rows: Tensor, categories: Sequence[int], ordered: Sequence[bool], weights: Tensor | None
) -> Tensor:
    """The rank of each category (C,), of all categorical columns side by side.

    By the mean of the first principal axis of all other columns (numbers standardised, categories
    as in multiple correspondence analysis); columns with an order, or two categories, keep theirs.

    Args:
        rows: (n, d), NaN where missing, codes of categories.
        categories: of each column (d,); 0 for numbers.
        ordered: whether a column's categories have an order (d,).
        weights: (n,).
    """
    rows = rows[:ORDER_ROWS]
    w = rows.new_ones(len(rows)) if weights is None else weights[: len(rows)].to(rows)
    w = (w / w.sum()).sqrt()[:, None]
    blocks = [_features(rows[:, j], count) * w for j, count in enumerate(categories)]
    ranks = []
    for j, count in enumerate(categories):
        if not count:
            continue
        rank = torch.arange(count, dtype=torch.float64)
        others = [b for i, b in enumerate(blocks) if i != j]
        if count > 2 and not ordered[j] and others:
            features = torch.cat(others, 1)
            axis = torch.linalg.eigh(features.T @ features)[1][:, -1]
            scores = (features @ axis) / w[:, 0].clamp_min(1e-300)
            known = ~torch.isnan(rows[:, j])
            codes = rows[known, j].to(torch.int64)
            total = torch.zeros(count, dtype=torch.float64).index_add_(0, codes, scores[known])
            number = torch.zeros(count, dtype=torch.float64).index_add_(
                0, codes, torch.ones_like(scores[known])
            )
            rank = (total / (number + 1)).argsort(stable=True).argsort().to(torch.float64)
        ranks.append(rank)
    return torch.cat(ranks) if ranks else torch.zeros(0, dtype=torch.float64)


def _features(column: Tensor, count: int) -> Tensor:
    """A standardised number (n, 1), or indicators of categories over √p (n, K); 0 if missing."""
    known = ~torch.isnan(column)
    if not count:
        centre = column[known].median() if bool(known.any()) else column.new_zeros(())
        u = torch.where(known, column - centre, 0.0)
        ranks = u.argsort().argsort().to(torch.float64)
        ranks = torch.where(known, ranks - ranks[known].mean(), 0.0)
        return (ranks / ranks.square().mean().sqrt().clamp_min(1e-300))[:, None]
    codes = torch.where(known, column, 0.0).to(torch.int64)
    number = torch.bincount(codes[known], minlength=count)
    common = number.argsort(descending=True, stable=True)[:MOST_INDICATORS]
    indicator = (codes[:, None] == common).to(torch.float64) * known[:, None]
    share = number[common] / known.sum().clamp_min(1)
    return torch.where(known[:, None], indicator - share, 0.0) / share.clamp_min(1e-3).sqrt()
