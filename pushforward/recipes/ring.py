r"""The ring x = z/10 + z/‖z‖, z ~ N(0, I): a push-forward with known density, and a VAE of it.

The map sends the radius of z to R = 1 + ‖z‖/10, so R has density f(r) = 100 (r - 1) exp(-50
(r - 1)²), r > 1, and the angle is uniform: p(x) = f(R) / 2πR (V1 of the tests: E log p =
-.5937420). With noise N(0, σ² I) on it, σ = .05,

    p(x) = ∫ f(r) exp(-(ρ - r)²/2σ²) e^{-ρr/σ²} I_0(ρr/σ²) / 2πσ² dr,     ρ = ‖x‖,

the integral over the angle being Bessel's function. A VAE with the same σ could represent this
distribution exactly but for one thing: its decoder is continuous, so the neighbourhood of z = 0 is
mapped across the hole, and some mass lies inside the ring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.random import Rng, derive, generator, normal
from pushforward.core.records import Record
from pushforward.densities.likelihoods import GaussianLikelihood
from pushforward.experiments import fit_model
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.likelihood import iwae, naive
from pushforward.models.deep.vae import VAE
from pushforward.plots.comparisons import compare_densities
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "draw", "learn", "log_density", "radial_share", "SIGMA"]

SIGMA = 0.05
ROWS, TEST, DRAWS = 20_000, 4000, 20_000
SAMPLES, BATCH = 2_000_000, 256
K, CODES = 1000, 20_000
INSIDE = 0.95
LIMIT, CELLS = 1.6, 96
NODES, STEPS = 160, 2000
"""Nodes of Gauss-Legendre quadrature over radii 1 to 2, and of the table of shares.

Less than e^-50 of the mass lies beyond.
"""


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train on the noisy ring; compare densities, radii and the mass inside with exact values."""
    train, test = draw(ROWS, rng=derive(seed, "train")), draw(TEST, rng=derive(seed, "test"))
    model = learn(
        train, seed=seed, samples=round(budget * SAMPLES), folder=run_folder(folder, "vae")
    )
    samples = model.sample(DRAWS, rng=derive(seed, "samples")).double()
    records = measured(model, test, samples, seed)
    fitted, exact, inside = (records[key] for key in ("fitted", "exact", "inside, fitted"))
    rows = [
        [
            "E log p, nats",
            f"{exact.value:.3f} ± {exact.error:.3f}",
            f"≥ {fitted.value:.3f} ± {fitted.error:.3f}",
        ],
        ["KS distance of the radius", "0", f"{records['radius'].value:.4f}"],
        [
            f"share with radius below {INSIDE}",
            f"{radial_share(INSIDE):.2%}",
            f"{inside.value:.2%} ± {inside.error:.2%}",
        ],
    ]
    gap = records["exact minus fitted"]
    notes = [
        (
            f"{ROWS} training points, {TEST} to measure on, {DRAWS} samples; with the noise, E log"
            " p is -.868 exactly"
        ),
        (
            f"the VAE's density is {gap.value:.3f} ± {gap.error:.3f} nats a point short of the"
            " exact one, on the same points"
        ),
    ]
    return Findings(
        records, ("what", "exact", "VAE"), rows, notes, {"ring": image(model, train, samples, seed)}
    )


def draw(n: int, *, rng: Rng = None, sigma: float = SIGMA) -> Tensor:
    """Sample n points (n, 2) of the noisy ring, float64."""
    stream = generator(rng)
    z = normal(n, 2, rng=stream, dtype=torch.float64)
    length: Tensor = z.norm(dim=1, keepdim=True)
    noise = normal(n, 2, rng=stream, dtype=torch.float64)
    return z / 10 + z / length + sigma * noise


def learn(x: Tensor, *, seed: int, samples: int, folder: Path | None = None) -> VAE:
    """A VAE with the ring's noise and full posteriors, since posteriors are not axis-aligned."""
    # in the model's coordinates, where the data have sd 1
    sigma = SIGMA / float(x.std(0, correction=0).square().mean().sqrt())
    model = VAE(
        latent=2,
        hidden=(64,) * 4,
        likelihood=GaussianLikelihood(sigma=sigma),
        posterior="full",
        objective="iwae(k=10)",
    )
    by = Trainer(
        samples=max(samples, BATCH),
        batch=BATCH,
        seed=seed,
        schedule="cosine",
        optimizers={"vae": "adam(rate=0.003)"},
    )
    return fit_model(model, x.float(), by=by, folder=folder)


def log_density(radius: Tensor, sigma: float = SIGMA) -> Tensor:
    """log p(x) of points at these radii (n,), nats; exact up to the quadrature."""
    nodes, weights = (
        torch.as_tensor(values) / 2 for values in np.polynomial.legendre.leggauss(NODES)
    )
    r = nodes + 1.5
    mass = 100 * (r - 1) * torch.exp(-50 * (r - 1).square()) * weights
    rho = radius.double()[:, None]
    bell = -(rho - r).square() / (2 * sigma**2)
    return torch.logsumexp(
        bell + (torch.special.i0e(rho * r / sigma**2) * mass).log(), 1
    ) - math.log(2 * math.pi * sigma**2)


def radial_share(radius: float, sigma: float = SIGMA) -> float:
    """P(‖x‖ < radius)."""
    return float(shares_below(torch.tensor([radius], dtype=torch.float64), sigma)[0])


def shares_below(radius: Tensor, sigma: float = SIGMA) -> Tensor:
    """P(‖x‖ < radius) of each (n,), by the midpoint rule and linear interpolation."""
    width = 2.2 / STEPS
    centre = (torch.arange(STEPS, dtype=torch.float64) + 0.5) * width
    ends = torch.cat(
        [
            torch.zeros(1, dtype=torch.float64),
            (2 * math.pi * centre * log_density(centre, sigma).exp() * width).cumsum(0),
        ]
    )
    at = (radius.double() / width).clamp(0, STEPS - 1e-9)
    low = at.floor().long()
    return ends[low] + (at - low) * (ends[low + 1] - ends[low])


def measured(model: VAE, test: Tensor, samples: Tensor, seed: int) -> dict[str, Record]:
    """The quantities compared with the exact distribution."""
    data = f"ring + N(0, {SIGMA}²), {len(test)} points, seed {seed}"
    description = f"{len(samples)} samples of the VAE"
    fitted = iwae(model, test.float(), k=K, rng=derive(seed, "iwae"), data=data)
    exact = Record.of(
        "log_prob",
        log_density(test.norm(dim=1)),
        unit="nats",
        measure="density per unit",
        data=data,
    )
    assert fitted.values is not None
    assert exact.values is not None
    radius = samples.norm(dim=1)
    inside = Record.of(
        "share",
        (radius < INSIDE).double(),
        bound="estimate",
        data=description,
        details={"exact": radial_share(INSIDE)},
    )
    return {
        "fitted": fitted,
        "exact": exact,
        "exact minus fitted": Record.of(
            "log_prob less bound",
            exact.values - fitted.values,
            unit="nats",
            bound="upper bound",
            data=data,
        ),
        "radius": Record(
            "Kolmogorov-Smirnov distance",
            distance(radius),
            bound="estimate",
            data=description,
            n=len(radius),
        ),
        "inside, fitted": inside,
        "inside, data": Record.of(
            "share", (test.norm(dim=1) < INSIDE).double(), bound="estimate", data=data
        ),
    }


def distance(radius: Tensor) -> float:
    """sup |F_n - F| of radii (n,) from the exact distribution."""
    n, below = len(radius), shares_below(radius.sort().values)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    return float(torch.maximum((steps[1:] - below).abs(), (below - steps[:-1]).abs()).max())


def image(model: VAE, train: Tensor, samples: Tensor, seed: int, *, codes: int = CODES) -> Any:
    """The figure: data, samples, fitted and exact density, on the same axes and colour scale.

    Args:
        codes: that the fitted density is an average over.
    """
    axis = -LIMIT + (torch.arange(CELLS, dtype=torch.float64) + 0.5) * (2 * LIMIT / CELLS)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)
    fitted = naive(model, grid.float(), samples=codes, rng=derive(seed, "grid")).values
    assert fitted is not None
    maps = {"density, fitted": fitted, "density, exact": log_density(grid.norm(dim=1))}
    points = {"data": train[:3000], "samples of the VAE": samples[:3000]}
    title = f"The ring x = z/10 + z/‖z‖ + N(0, {SIGMA}²)"
    return compare_densities(
        points,
        {k: v.exp().reshape(CELLS, CELLS) for k, v in maps.items()},
        limit=LIMIT,
        title=title,
    )
