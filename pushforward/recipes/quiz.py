r"""Why not average p(x|z)? Naive Monte Carlo, importance weights and AIS on a known log p(x).

The decoder is linear and normal, x = (z, 0) + σ ε in 2k dimensions with k codes and σ = .1, so p(x)
= N(0, WWᵀ + σ² I) is known, and so is the precision of an average over n draws of the prior. With d
= 2k,

    E p(x|z)² = (4πσ²)^(-d/2) N(x; 0, WWᵀ + σ²/2 I),     n = E p(x|z)² / p(x)² - 1

draws have a relative variance of one. This grows by a factor of 11.7 per dimension of z: a hundred
draws for two codes become 10⁵³ for fifty. Draws near the posterior need far fewer (IWAE, whose q
here is deliberately wrong: the exact posterior's mean, but 1.5 times its standard deviations, for a
factor of 1.2), and so does annealing from the prior (AIS).

Work is counted in evaluations of p(x|z) for one observation. Those of AIS include a gradient, which
costs about as much again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.densities.normals import Normal
from pushforward.metrics.annealing import ais
from pushforward.metrics.likelihood import iwae, naive
from pushforward.models.classical.pca import PCA
from pushforward.plots.comparisons import compare_errors
from pushforward.recipes.registry import Findings

__all__ = ["run", "decoder", "draws_needed", "Widened", "KS", "SIGMA"]

KS = (2, 10, 50)
SIGMA, WIDEN = 0.1, 1.5
ROWS, REPEATS, MANY = 16, 3, 10_000
LEAST, MOST = 10, 10**4.5
"""Evaluations per observation, a factor of √10 apart."""
CHAINS, LEAPFROGS = 2, 5
"""Chains and leapfrog steps of AIS: few, since the budget goes into temperatures."""
METHODS = ("naive Monte Carlo", "IWAE, q 1.5 times too wide", "AIS")


class Widened:
    """A latent-variable model with a posterior that is too wide by `factor`."""

    def __init__(self, model: PCA, factor: float) -> None:
        self.model, self.factor = model, factor
        self.prior, self.likelihood, self.device = model.prior, model.likelihood, model.device
        self.to_model, self.to_condition, self.log_jacobian = (
            model.to_model,
            model.to_condition,
            model.log_jacobian,
        )

    def posterior(self, x: Tensor) -> Normal:
        """N(m, factor² S²) (n, latent), where N(m, S²) is exact."""
        q = self.model.posterior(x)
        return Normal(q.mean, q.log_scale + math.log(self.factor))


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Errors of three estimates against evaluations, and the draws naive Monte Carlo needs."""
    records: dict[str, Record] = {}
    panels: dict[str, dict[str, tuple[Any, Any]]] = {}
    rows = []
    for k in KS:
        model = decoder(k)
        x = model.sample(ROWS, rng=derive(seed, "x", k))
        needed = draws_needed(model.sample(MANY, rng=derive(seed, "needed", k)), k)
        records[f"draws needed, {k}"] = _needed(needed, k, seed)
        curves = errors(model, x.repeat(REPEATS, 1), work_of(budget), seed)
        panels[f"{k} codes"] = curves
        best = []
        for method, (work, found) in curves.items():
            record = Record.of(
                "absolute error",
                found[-1].abs(),
                unit="nats",
                data=_data(k, seed),
                details={"evaluations": int(work[-1])},
            )
            records[f"{method}, {k}"] = record
            best.append(f"{float(found[-1].abs().median()):.2g}")
        rows.append([str(k), f"{float(needed.median()):.1e}", *best])
    evaluations = work_of(budget)[-1]
    heads = ("codes", "draws for unit relative variance", *(f"{m}, nats" for m in METHODS))
    notes = [
        (
            f"median |error| of log p(x) at {evaluations} evaluations per observation (AIS:"
            f" {CHAINS} chains, {LEAPFROGS} leapfrog steps a move); {ROWS} observations simulated"
            f" from the model, {REPEATS} repeats each"
        ),
        (
            f"x = (z, 0) + {SIGMA} ε in 2k dimensions; draws needed are the median over {MANY}"
            " observations"
        ),
    ]
    title = "Why not average p(x|z)? Estimates of log p(x) against its exact value"
    image = compare_errors(
        panels,
        x="evaluations of p(x|z) per observation",
        y="|error| of log p(x), nats",
        line=1.0,
        line_name="1 nat",
        title=title,
    )
    return Findings(records, heads, rows, notes, {"quiz": image})


def decoder(k: int, sigma: float = SIGMA) -> PCA:
    """x = (z, 0) + sigma ε in 2k dimensions: probabilistic PCA with W = [I; 0]."""
    return PCA.of(
        torch.zeros(2 * k, dtype=torch.float64), torch.eye(2 * k, k, dtype=torch.float64), sigma
    )


def draws_needed(x: Tensor, k: int, sigma: float = SIGMA) -> Tensor:
    """n = E p(x|z)² / p(x)² - 1 of observations x (n, 2k), in closed form (n,)."""
    d = x.shape[1]
    log_square = -d / 2 * math.log(4 * math.pi * sigma**2) + _log_normal(x, k, sigma**2 / 2)
    return torch.expm1(log_square - 2 * _log_normal(x, k, sigma**2))


def _log_normal(x: Tensor, k: int, noise: float) -> Tensor:
    """log N(x; 0, [I; 0][I; 0]ᵀ + noise I) (n,)."""
    variance = torch.full_like(x[0], noise)
    variance[:k] += 1
    return -0.5 * (x.square() / variance + (2 * math.pi * variance).log()).sum(1)


def work_of(budget: float) -> list[int]:
    """Evaluations per observation, up to `budget` times the most."""
    steps = max(1, round(2 * math.log10(max(budget, 1e-3) * MOST / LEAST)))
    return [round(LEAST * 10 ** (i / 2)) for i in range(steps + 1)]


def errors(
    model: PCA, x: Tensor, work: Sequence[int], seed: int
) -> dict[str, tuple[Tensor, Tensor]]:
    """Evaluations (m,) and errors (m, n) of every row's estimate, by method.

    AIS needs enough evaluations for two temperatures.
    """
    exact, off = model.log_prob(x), Widened(model, WIDEN)
    found: dict[str, tuple[list[int], list[Tensor]]] = {method: ([], []) for method in METHODS}
    for samples in work:
        rng = derive(seed, "estimate", samples)
        estimates = [
            naive(model, x, samples=samples, shared=False, rng=rng),
            iwae(off, x, k=samples, rng=rng),
        ]
        temperatures = samples // (CHAINS * LEAPFROGS)
        if temperatures >= 2:
            estimates.append(
                ais(
                    model, x, temperatures=temperatures, chains=CHAINS, leapfrogs=LEAPFROGS, rng=rng
                )
            )
        for method, estimate in zip(METHODS, estimates):
            assert estimate.values is not None
            found[method][0].append(samples)
            found[method][1].append(estimate.values - exact)
    return {method: (torch.tensor(w), torch.stack(e)) for method, (w, e) in found.items() if w}


def _needed(needed: Tensor, k: int, seed: int) -> Record:
    facts = {"exact for": "each observation", "over observations": "median", "sigma": SIGMA}
    return Record(
        "draws for unit relative variance",
        float(needed.median()),
        data=_data(k, seed),
        n=len(needed),
        details=facts,
    )


def _data(k: int, seed: int) -> str:
    return f"simulated from x = (z, 0) + {SIGMA} ε, {k} codes, {2 * k} dimensions, seed {seed}"
