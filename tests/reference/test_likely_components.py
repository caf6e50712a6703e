"""Densities of rows with cells in several components, against all of them and quadrature."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import integrate, stats
from torch import Tensor

from pushforward.densities.margins import Scores
from pushforward.models.parts.cells import follow, log_masses
from pushforward.models.tabular.likely_components import NEGLIGIBLE, add_log_masses


def rows_with_cells(n: int, d: int, rng: torch.Generator) -> Scores:
    z = 2 * torch.randn(n, d, generator=rng, dtype=torch.float64)
    kind = torch.rand(n, d, generator=rng)
    cell, gap = kind < 0.3, kind > 0.8
    nan = torch.full_like(z, math.nan)
    low, high = torch.where(cell, z - 0.4, nan), torch.where(cell, z + 0.4, nan)
    return Scores(torch.where(cell | gap, nan, z), low, high, torch.zeros_like(z))


def covariance(d: int, rng: torch.Generator) -> Tensor:
    a = torch.randn(d, d, generator=rng, dtype=torch.float64)
    return a @ a.T / d + 0.4 * torch.eye(d, dtype=torch.float64)


def test_components_that_cannot_matter_change_nothing() -> None:
    rng = torch.Generator().manual_seed(0)
    scores = rows_with_cells(200, 8, rng)
    means = 6 * torch.randn(6, 8, generator=rng, dtype=torch.float64)
    covariances = [covariance(8, rng) for _ in means]
    logits = torch.randn(200, 6, generator=rng, dtype=torch.float64)
    every = logits + torch.stack([log_masses(scores, *c) for c in zip(means, covariances)], 1)
    found = add_log_masses(logits, scores, means, covariances)
    torch.testing.assert_close(found.logsumexp(1), every.logsumexp(1), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.softmax(1), every.softmax(1), rtol=0, atol=1e-12)
    left = (found - every).abs() > 1e-6
    assert int(left.sum()) > 50, "none was left out"
    far = found.max(1, keepdim=True).values - NEGLIGIBLE
    assert bool((found <= far + 1e-9)[left].all())
    assert bool((found >= every - 1e-9).all()), "what is left out has an upper bound"


def test_cells_in_the_tail() -> None:
    """P(9 < z < 9.5, 5.2 < y < 5.6) of correlated normals, where Φ(9) rounds to 1."""
    rho = 0.6
    cov = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
    low, high = torch.tensor([[9.0, 5.2]]).double(), torch.tensor([[9.5, 5.6]]).double()
    nan = torch.full_like(low, math.nan)
    scores = Scores(nan, low, high, torch.zeros_like(low))
    found = float(log_masses(scores, torch.zeros(2, dtype=torch.float64), cov))
    spread = math.sqrt(1 - rho**2)

    def scaled(z: float) -> float:
        ends = [(edge - rho * z) / spread for edge in (5.2, 5.6)]
        inner = stats.norm.cdf(ends[1]) - stats.norm.cdf(ends[0])
        return math.exp(-0.5 * (z**2 - 81)) * inner / math.sqrt(2 * math.pi)

    value = math.log(integrate.quad(scaled, 9, 9.5)[0]) - 40.5
    assert abs(found - value) < 2e-3


def test_paths_are_drawn_within_cells_and_given_the_rest() -> None:
    rng = torch.Generator().manual_seed(1)
    scores = rows_with_cells(50, 6, rng)
    paths = follow(scores, torch.zeros(6, dtype=torch.float64), covariance(6, rng), 16)
    noise = torch.randn(50, 6, generator=rng, dtype=torch.float64)
    z = paths.draw(torch.arange(50) % 16, noise)
    means, deviations = paths.given()
    chosen = means[torch.arange(50), torch.arange(50) % 16]
    cell, point = ~torch.isnan(scores.low), ~torch.isnan(scores.z)
    assert bool(((z > scores.low - 1e-9) & (z < scores.high + 1e-9))[cell].all())
    torch.testing.assert_close(z[point], scores.z[point])
    torch.testing.assert_close(chosen[cell | point], z[cell | point])
    assert bool((deviations[~cell & ~point] > 0).all())
    assert bool((deviations[cell | point] == 0).all())
    assert np.isfinite(paths.log_mass().numpy()).all()
