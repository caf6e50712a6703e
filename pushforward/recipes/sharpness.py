r"""Sharpness of a VAE's reconstructions against the sigma of its likelihood N(f(z), σ² I).

    -ELBO = E ‖x - f(z)‖² / 2σ² + d/2 log 2πσ² + KL(q(z|x) ‖ p(z))

A large σ makes errors cheap: details that cost more in the last term than they save in the first
are dropped, strokes lose their edges, and units die (the rate falls). A small σ brings everything
back at the price of a higher rate, and in the end reconstructs noise; samples of the prior then
fall between the digits. A trained σ ends where the bound is best. Sharpness is the gradient energy,
Σ (differences of neighbouring pixels)², relative to that of the images. σ and errors are in the
images' levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.random import derive, generator
from pushforward.core.records import Record
from pushforward.densities.likelihoods import GaussianLikelihood
from pushforward.densities.normals import Normal, kl_divergence
from pushforward.experiments import fit_model
from pushforward.fitting.augment import dequantise
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.latents import active_units
from pushforward.metrics.likelihood import elbo, iwae
from pushforward.models.deep.vae import VAE
from pushforward.plots.comparisons import compare_settings
from pushforward.plots.latent import sheet
from pushforward.recipes.mnist import Parts, parts
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "measured", "energy", "SIGMAS"]

SIGMAS = (1.6, 0.8, 0.4, 0.2, 0.1)
"""Sigmas in standard deviations of the images' pixels; one more model trains its sigma."""
LATENT, HIDDEN = 16, (256,)
"""Hidden layers of each model: small, since there are six models."""
SAMPLES, BATCH = 250_000, 64
"""Images shown to each model, and batch size."""
K, SHOWN = 200, 7
"""Draws of the bound per image, and images in the figure."""
KINDS = (
    "sharpness of reconstructions",
    "sharpness of samples",
    "rate",
    "error",
    "active units",
    "ELBO",
    "importance-weighted bound",
)

HEADS = (
    "sigma",
    "sharpness, restored",
    "sharpness, samples",
    "rate",
    "error a pixel",
    "units",
    "ELBO",
    "bound",
)
"""Of the table: sigma, then `KINDS`."""


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """One VAE per sigma and one that trains it: reconstructions, samples and measures."""
    dataset = parts(str(paths[0]), seed)
    noisy = dequantised(dataset, seed)
    choices = (*SIGMAS, None)
    models = [
        learn(
            sigma,
            dataset,
            seed,
            round(budget * SAMPLES),
            run_folder(folder, f"vae-sigma-{'fitted' if sigma is None else sigma}"),
        )
        for sigma in choices
    ]
    sigmas = [sigma_of(model) for model in models]
    names = [
        f"{sigma:.2f}" + (" (fitted)" if g is None else "") for sigma, g in zip(sigmas, choices)
    ]
    results = [
        measured(model, noisy, float(energy(dataset.test.float()).mean()), dataset.data, seed)
        for model in models
    ]
    records = {
        f"{kind}, sigma {name}": row[kind] for name, row in zip(names, results) for kind in KINDS
    }
    rows = [
        [name, *(_cell(kind, row[kind]) for kind in KINDS)] for name, row in zip(names, results)
    ]
    best = max(range(len(results)), key=lambda i: results[i][KINDS[-1]].value)
    notes = [
        (
            f"{len(dataset.train)} training images, {round(budget * SAMPLES)} shown to each model"
            f" of {LATENT} codes; measured on {dataset.data}"
        ),
        (
            "sigma and error in levels; sharpness relative to that of the images; rate and bounds"
            f" in nats an image (the last of {K} draws); bounds of integer images after"
            " dequantising"
        ),
        f"the highest bound has sigma {names[best]}",
    ]
    prior_samples = {
        "sharpness": sheets(models, names, dataset, seed),
        "sharpness-curves": curves(sigmas, results),
    }
    return Findings(records, HEADS, rows, notes, prior_samples)


def learn(
    sigma: float | None, dataset: Parts, seed: int, samples: int, folder: Path | None = None
) -> VAE:
    """A VAE at one sigma (standard deviations of a pixel), or with sigma fitted."""
    by = Trainer(
        samples=max(samples, BATCH),
        batch=BATCH,
        seed=seed,
        schedule="cosine",
        optimizers={"vae": "adam(rate=0.002)"},
    )
    model = VAE(latent=LATENT, hidden=HIDDEN, likelihood=GaussianLikelihood(sigma=sigma))
    return fit_model(model, dataset.train, by=by, folder=folder)


@torch.no_grad()
def sigma_of(model: VAE) -> float:
    """Root mean square of sigma over pixels, in the images' levels."""
    distribution = model.likelihood(model.prior(1).mean)
    assert isinstance(distribution, Normal)
    return float(
        (distribution.scale * model.scaling.scale)
        .expand_as(distribution.mean)
        .square()
        .mean()
        .sqrt()
    )


def dequantised(dataset: Parts, seed: int) -> Tensor:
    """The test images, dequantised if they are integers."""
    return (
        dequantise().apply(
            dataset.test.float(), dataset.space, generator(derive(seed, "dequantise"))
        )
        if dataset.space.integer
        else dataset.test
    )


@torch.no_grad()
def measured(model: VAE, x: Tensor, reference: float, data: str, seed: int) -> dict[str, Record]:
    """Records by kind, on held-out images x (n, channels, height, width).

    `reference` is their mean gradient energy without the added noise.
    """
    q = model.posterior(model.to_model(x))
    restored = model.decode(q.mean)
    prior_samples = model.sample(len(x), rng=derive(seed, "samples"), using="mean")
    prior = model.prior(len(x))
    assert isinstance(prior, Normal)
    rate = Record.of("rate", kl_divergence(q, prior), unit="nats", data=data)
    results = [
        Record.of(
            "gradient energy",
            energy(restored) / reference,
            unit="relative to the images",
            bound="estimate",
            data=data,
        ),
        Record.of(
            "gradient energy",
            energy(prior_samples) / reference,
            unit="relative to the images",
            bound="estimate",
            data=f"{len(x)} samples",
        ),
        rate,
        Record.of(
            "root mean squared error",
            (x - restored).square().flatten(1).mean(1).sqrt(),
            unit="levels",
            data=data,
        ),
        active_units(model, x, data=data),
        elbo(model, x, rng=0, data=data),
        iwae(model, x, k=K, rng=0, data=data),
    ]
    return dict(zip(KINDS, results))


def energy(x: Tensor) -> Tensor:
    """Σ (differences of neighbouring pixels)² of each image (n,)."""
    across, along = x.diff(dim=-1), x.diff(dim=-2)
    return across.square().flatten(1).sum(1) + along.square().flatten(1).sum(1)


def _cell(kind: str, record: Record) -> str:
    if kind == "active units":
        return f"{record.value:.0f}"
    digits = 1 if record.unit == "nats" else 2
    sign = "≥ " if record.bound == "lower bound" else ""
    return f"{sign}{record.value:.{digits}f}" + (
        f" ± {record.error:.{digits}f}" if math.isfinite(record.error) else ""
    )


@torch.no_grad()
def sheets(models: Sequence[VAE], names: Sequence[str], dataset: Parts, seed: int) -> Any:
    """The figure: held-out images, reconstructions and, on the right, samples."""
    originals = dataset.test[:SHOWN].float()
    gap = torch.full_like(originals[:1], dataset.space.high)
    rows = [torch.cat([originals, gap, dataset.test[SHOWN : 2 * SHOWN].float()])]
    for model in models:
        prior_samples = model.sample(SHOWN, rng=derive(seed, "drawn"), using="mean")
        rows.append(torch.cat([model.decode(model.encode(originals)), gap, prior_samples]))
    down = ["images", *(f"σ = {name}" for name in names)]
    across = [
        *[""] * (SHOWN // 2),
        f"restored from {LATENT} codes",
        *[""] * SHOWN,
        "drawn from the prior",
        *[""] * (SHOWN // 2),
    ]
    return sheet(
        torch.stack(rows),
        dataset.space,
        across=across,
        down=down,
        title="Restored and drawn by VAEs of different sigma (levels)",
    )


def curves(sigmas: Sequence[float], results: Sequence[Mapping[str, Record]]) -> Any:
    """The figure: sharpness, rate, active units, error and bound against sigma.

    The fitted sigma is a vertical line.
    """

    def line(kind: str) -> tuple[list[float], list[float]]:
        fixed = [row[kind] for row in results[:-1]]
        return [r.value for r in fixed], [r.error if math.isfinite(r.error) else 0.0 for r in fixed]

    panels = [
        ("sharpness, relative to the images", {"restored": KINDS[0], "samples": KINDS[1]}),
        ("rate, nats an image", {"rate": "rate"}),
        ("active units", {"active units": "active units"}),
        ("lower bounds of log p(x), nats", {"ELBO": "ELBO", f"{K} draws": KINDS[-1]}),
    ]
    marked = [
        {name: results[-1][kind].value for name, kind in lines.items()} for _, lines in panels
    ]
    return compare_settings(
        sigmas[:-1],
        [(label, {name: line(kind) for name, kind in lines.items()}) for label, lines in panels],
        x="sigma, levels",
        mark=sigmas[-1],
        marked=marked,
        mark_name="fitted",
        title=f"What sigma decides (VAE of {LATENT} codes, held-out images)",
    )
