r"""GANs against VAEs, with as many parameters and as many images shown.

    VAE maximises a bound on log p(x): it must explain every image, and blurs what it cannot
    GAN has no density: it need not explain any image, and its critic rejects blur

Both push N(0, I), with the same number of codes, through convolutions (through perceptrons below
16×16). The width of the VAE's dense layer is chosen so that both have the same number of parameters
over all networks; both are shown the same number of images in batches of the same size. Training
time is then a result.

The GAN gets a likelihood from observation noise, p(x) = ∫ N(z; 0, I) N(x; g(z), σ² I) dz; the VAE's
decoder is measured in the same way at the same σ, by annealed importance sampling: a lower bound,
in expectation. Bidirectional Monte Carlo bounds its looseness on images simulated from the model
(`gap`). The VAE is trained at that σ, so its own bound is on the same quantity; a GAN has none.

A run failed if a term or gradient was not finite,
or if the samples cover less than `LEAST` of the balls around real images.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import Diverged, require_positive
from pushforward.core.learner import Learner
from pushforward.core.random import derive, generator
from pushforward.core.records import Record
from pushforward.experiments import fit_model
from pushforward.fitting.augment import dequantise
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.annealing import ais, bdmc
from pushforward.metrics.features import Features
from pushforward.metrics.likelihood import iwae
from pushforward.models.deep.observed import Observed
from pushforward.models.deep.vae import VAE
from pushforward.plots.latent import sheet
from pushforward.plots.measures import measures
from pushforward.recipes.contenders import SIGMA, contenders, parameters
from pushforward.recipes.images import (
    COLUMNS,
    Album,
    album_or_digits,
    block,
    judge,
    likeness,
    taken,
)
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder
from pushforward.recipes.sharpness import energy

__all__ = ["run", "compare", "Trial", "NAMES", "KINDS", "LEAST"]

NAMES = ("VAE", "GAN")
REAL = "trained on"
SAMPLES, BATCH = 160_000, 64
LEAST = 0.1
"""Coverage below which a run has failed; that of equal distributions is .97."""
K, ROWS, DRAWN = 100, 12, 6
"""Draws of the VAE's own bound; test images and simulated images used for annealing."""
TEMPERATURES, CHAINS, LEAPFROGS = 200, 4, 5
KINDS: Mapping[str, str] = {
    "parameters": "parameters",
    "CPU seconds": "training, CPU seconds",
    "own bound": "its own bound, nats",
    "log p": "log p(x) at σ, nats",
    "gap": "bracket's gap at σ, nats",
    "fid": "FID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "sharpness": "sharpness",
    "failed": "failed",
}
"""The measures in order, with their labels."""
DRAWN_KINDS = (
    "log p",
    "fid",
    "precision",
    "recall",
    "density",
    "coverage",
    "sharpness",
    "CPU seconds",
)


@dataclass
class Trial:
    """One run of both.

    Args:
        models: by name; one that diverged is absent.
        samples: samples (n, *shape).
        records: records by name and kind.
    """

    models: dict[str, Learner] = field(default_factory=dict)
    samples: dict[str, Tensor] = field(default_factory=dict)
    records: dict[str, dict[str, Record]] = field(default_factory=dict)


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    runs: int = 1,
    folder: Path | None = None,
) -> Findings:
    """Train both models `runs` times with different seeds; measure, and plot the first run."""
    require_positive(runs=runs)
    dataset, notes = album_or_digits(str(paths[0]), seed)
    features = judge(dataset)
    trials = [compare(dataset, features, seed + i, budget, folder) for i in range(runs)]
    real = yardstick(dataset, features)
    records = {f"{REAL}: {kind}": record for kind, record in real.items()}
    for i, trial in enumerate(trials):
        run_of = "" if runs == 1 else f", run {i}"
        records |= {
            f"{name}: {kind}{run_of}": r
            for name, row in trial.records.items()
            for kind, r in row.items()
        }
    rows = [
        [label, cell([real], kind), *(cell([t.records[n] for t in trials], kind) for n in NAMES)]
        for kind, label in KINDS.items()
    ]
    heads = ("measure", "training images", *NAMES)
    return Findings(
        records,
        heads,
        rows,
        [*notes, *_notes(dataset, features, budget, runs)],
        figures(dataset, trials, real),
    )


def _notes(dataset: Album, features: Features, budget: float, runs: int) -> list[str]:
    """Sentences that describe the experiment."""
    kinds = {name: type(model).__name__ for name, model in contenders(dataset.space).items()}
    sigma = SIGMA * float(dataset.training_rows(2000).std())
    counts = f"{len(dataset.train):,} for training, {round(budget * SAMPLES):,} shown to each"
    return [
        f"{dataset.space}; {counts}; the GAN is a {kinds['GAN']}; {runs}"
        f" run{'s' if runs > 1 else ''}",
        f"measured on {dataset.data}, as many samples (the VAE's without noise), in"
        f" {features.label}",
        (
            f"log p of {min(ROWS, len(dataset.test))} images at σ = {sigma:.3g} levels by AIS, a"
            f" lower bound in expectation; the gap is BDMC's, on {DRAWN} images the model drew"
        ),
        f"sharpness relative to that of the images; failed: diverged, or coverage below {LEAST:g}",
    ]


def compare(
    dataset: Album, features: Features, seed: int, budget: float = 1.0, folder: Path | None = None
) -> Trial:
    """Train both models with one seed and measure them.

    Their runs are stored in the folder, if there is one.
    """
    trial = Trial()
    for name, model in contenders(dataset.space).items():
        row = trial.records[name] = {
            "parameters": Record(
                "parameters", parameters(model, dataset.space), 0.0, data=dataset.name, n=1
            )
        }
        reason = ""
        try:
            row["CPU seconds"] = learn(
                model,
                dataset,
                seed,
                round(budget * SAMPLES),
                run_folder(folder, f"{name}-{seed}"),
            )
            trial.models[name], trial.samples[name] = model, draw(model, len(dataset.test), seed)
            row |= measured(model, trial.samples[name], dataset, features, seed, budget)
            if row["coverage"].value < LEAST:
                reason = f"coverage {row['coverage'].value:.3f}, below {LEAST:g}"
        except Diverged as error:
            reason = str(error)
        row["failed"] = Record(
            "failed",
            float(bool(reason)),
            0.0,
            data=dataset.name,
            n=1,
            details={"reason": reason, "least coverage": LEAST},
        )
    return trial


def learn(
    model: Learner, dataset: Album, seed: int, samples: int, folder: Path | None = None
) -> Record:
    """Fit a model with its usual optimiser; the training time in seconds."""
    how: dict[str, Any] = (
        {"optimizers": {"vae": "adam(rate=0.003)"}, "schedule": "cosine"}
        if isinstance(model, VAE)
        else {}
    )
    began = time.process_time()
    by = Trainer(samples=max(samples, BATCH), batch=BATCH, seed=seed, **how)
    fit_model(model, dataset.train, by=by, folder=folder)
    return taken(time.process_time() - began, dataset)


def draw(model: Any, n: int, seed: int) -> Tensor:
    """Samples; for a VAE the means of p(x|z), as is usual."""
    rng = derive(seed, "samples")
    generated: Tensor = model.sample(n, rng=rng)
    return generated


def measured(
    model: Any, generated: Tensor, dataset: Album, features: Features, seed: int, budget: float
) -> dict[str, Record]:
    """Records by kind.

    Raises:
        Diverged: If the samples are not finite.
    """
    if not bool(generated.isfinite().all()):
        raise Diverged("the samples are not finite")
    noisy = dataset.test.float()
    if dataset.space.integer:  # a density on whole numbers is meaningless
        noisy = dequantise().apply(noisy, dataset.space, generator(derive(seed, "dequantise")))
    bound = (
        {"own bound": iwae(model, noisy, k=K, rng=0, data=dataset.data)}
        if isinstance(model, VAE)
        else {}
    )
    return {
        **bound,
        **bracket(model, noisy, dataset, budget),
        **likeness(dataset, generated, features),
        "sharpness": sharpness(generated, dataset),
    }


def bracket(model: Any, noisy: Tensor, dataset: Album, budget: float) -> dict[str, Record]:
    """AIS on test images at the common sigma, and the BDMC gap on simulated images."""
    sigma = SIGMA * float(dataset.training_rows(2000).std())
    observed = Observed(model, sigma)
    how: dict[str, Any] = {
        "temperatures": max(10, round(min(1.0, budget) * TEMPERATURES)),
        "chains": CHAINS,
        "leapfrogs": LEAPFROGS,
        "rng": 0,
    }
    lower = ais(
        observed, noisy[:ROWS], data=f"the first {min(ROWS, len(noisy))} of {dataset.data}", **how
    )
    both = bdmc(observed, n=DRAWN, wide=1e12, **how)  # the gap is reported as it is
    gap = Record.of(
        "gap",
        both.gaps,
        unit="nats",
        bound="estimate",
        data=f"{DRAWN} images drawn by the model",
        details={"sigma": sigma},
    )
    return {"log p": lower, "gap": gap}


def sharpness(generated: Tensor, dataset: Album) -> Record:
    """Gradient energy (see the recipe `sharpness`) relative to that of held-out images."""
    bound = float(energy(dataset.test.float()).mean())
    return Record.of(
        "gradient energy",
        energy(generated) / bound,
        unit="relative to the images",
        bound="estimate",
        data=f"{len(generated)} samples",
    )


def yardstick(dataset: Album, features: Features) -> dict[str, Record]:
    """The measures of training images in place of samples."""
    real = dataset.training_rows(len(dataset.test))
    return {**likeness(dataset, real, features), "sharpness": sharpness(real, dataset)}


def cell(rows: Sequence[Mapping[str, Record]], kind: str) -> str:
    """A number with its error, or the median and range over several runs."""
    entries = [row[kind] for row in rows if kind in row]
    if not entries:
        return "–"
    if kind == "failed":
        return f"{sum(r.value for r in entries):.0f} of {len(entries)}"
    values = [r.value for r in entries]
    sign = "≥ " if entries[0].bound == "lower bound" else ""
    digits = 0 if kind in ("parameters", "CPU seconds") else 1 if entries[0].unit == "nats" else 2
    if len(entries) > 1:
        return (
            f"{sign}{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to"
            f" {max(values):.{digits}f})"
        )
    error = (
        f" ± {entries[0].error:.{digits}f}"
        if entries[0].error > 0 and math.isfinite(entries[0].error)
        else ""
    )
    return f"{sign}{values[0]:.{digits}f}{error}"


def figures(dataset: Album, trials: Sequence[Trial], real: Mapping[str, Record]) -> dict[str, Any]:
    """The figures: images with samples, and the measures."""
    columns, first = min(COLUMNS, len(dataset.test) // 2), trials[0]
    parts = {"data": dataset.test, **first.samples}
    panel = torch.cat([block(x, columns).to(torch.float32) for x in parts.values()])
    panels = {
        label: {
            name: [
                (row[kind].value, row[kind].error)
                for row in (t.records[name] for t in trials)
                if kind in row
            ]
            for name in NAMES
        }
        for kind, label in KINDS.items()
        if kind in DRAWN_KINDS
    }
    generated = {kind: rows for kind, rows in panels.items() if any(rows.values())}
    lines = {KINDS[kind]: record.value for kind, record in real.items() if kind in DRAWN_KINDS}
    down = [word for name in parts for word in (name, "")]
    title = "GAN and VAE, as many parameters, as many images shown" + (
        " (bars: two standard errors)" if len(trials) == 1 else ""
    )
    return {
        "gans-against-vaes": sheet(
            panel, dataset.space, down=down, title=f"Samples beside {dataset.name}, not picked"
        ),
        "gans-against-vaes-measures": measures(
            generated, lines=lines, line_name="training images", title=title
        ),
    }
