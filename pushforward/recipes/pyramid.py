r"""A LAPGAN beside a DCGAN with as many parameters and as much CPU time.

The LAPGAN's level adds detail to images of half the size. Whether it looks at them is measured: the
detail is added to the coarse image it was made for, and to another one (`shuffled`). The Fréchet
distance of both, and of the coarse images alone, is to the held-out images that the coarse ones
come from, so that the real detail would be at 0.

The DCGAN has the width that brings it nearest to the LAPGAN's number of parameters over all
networks, and is shown as many images as take as long: each model's time for one image is measured
first, in a short fit.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, FitWarning
from pushforward.core.learner import Learner
from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.core.space import Space
from pushforward.experiments import fit_model
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.features import Features
from pushforward.metrics.frechet import fid
from pushforward.models.deep.dcgan import DCGAN
from pushforward.models.deep.lapgan import LAPGAN
from pushforward.nets.pyramids import expand, shrink
from pushforward.plots.latent import sheet
from pushforward.recipes.contenders import parameters
from pushforward.recipes.images import LARGE, Album, album, judge, likeness, taken
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "compare", "Trial", "NAMES", "PARTS", "SHOWN"]

NAMES = ("LAPGAN", "DCGAN")
REAL = "trained on"
SHOWN, BATCH = 40_000, 16
"""Images shown to the LAPGAN at a budget of 1."""
PILOT = 10
"""Batches of the fits that measure the time for one image."""
LATENT, WIDTH, BASE = 64, 16, "dcgan(width=32)"
RATES = {
    "critic0": "adam(rate=0.0005, beta1=0.0, beta2=0.99)",
    "generator0": "adam(rate=0.0005, beta1=0.0, beta2=0.99)",
    "critic1": "adam(rate=0.0005, beta1=0.5)",
    "generator1": "adam(rate=0.0005, beta1=0.5)",
}
PENALTY, BASE_PENALTY, DECAY = "r1(gamma=10.0)", "r1(gamma=1.0)", 0.995
"""Of the LAPGAN: the optimisers of its detail and of its coarsest level, the penalties on their
critics, the average of weights. With the published SGD, with a faster critic or a penalty of 1 on
the detail's, the game swings so much that after minutes the detail of emoji hardly depends on the
coarse image (training images held out).
"""
SMALL = 16
"""Sides below which the coarse images are too small for convolutions."""
WIDEST = 256
"""The widest DCGAN tried."""
COLUMNS = 12
PARTS = ("own", "shuffled", "coarse alone")
"""What is added to coarse images: their own detail, that of others, or none."""


@dataclass
class Trial:
    """One run of both models.

    Args:
        models: by name.
        samples: samples (n, *shape) by name.
        records: records by name and kind.
        parts: the Fréchet distance by `PARTS`.
        made: images with detail by `PARTS`.
    """

    models: dict[str, Learner] = field(default_factory=dict)
    samples: dict[str, Tensor] = field(default_factory=dict)
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    parts: dict[str, Record] = field(default_factory=dict)
    made: dict[str, Tensor] = field(default_factory=dict)


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train both models, measure them and the detail of the LAPGAN's last level, and draw."""
    dataset, notes = album_or_digits(str(paths[0]), seed)
    features = judge(dataset)
    trial = compare(dataset, features, seed, budget, folder)
    real = likeness(dataset, dataset.training_rows(len(dataset.test)), features)
    rows = {REAL: real, **trial.records}
    records = {f"{name}: {kind}": r for name, row in rows.items() for kind, r in row.items()}
    records |= {f"detail: {part}": record for part, record in trial.parts.items()}
    kinds = list(trial.records["LAPGAN"])
    table = [[kind, *(_cell(row.get(kind)) for row in rows.values())] for kind in kinds]
    table += [[f"FID, detail {part}", "–", _cell(trial.parts[part]), "–"] for part in PARTS]
    return Findings(
        records,
        ("measure", "training images", *NAMES),
        table,
        [*notes, *_notes(dataset, features, trial)],
        figures(dataset, trial),
    )


def album_or_digits(text: str, seed: int) -> tuple[Album, list[str]]:
    """The images, or scikit-learn's digits if CIFAR-10 is not available, and a note about it."""
    try:
        return album(text, seed), []
    except BadSource:
        if text != "cifar10-batch1":
            raise
        return album("digits", seed), [
            "CIFAR-10 was not found, so these are scikit-learn's digits, 8×8; point"
            " PUSHFORWARD_DATA at a folder with cifar10/data_batch_1.png"
        ]


def _notes(dataset: Album, features: Features, trial: Trial) -> list[str]:
    ratio = trial.parts["shuffled"].value / trial.parts["own"].value
    return [
        f"{dataset.space}; {len(dataset.train):,} for training",
        f"measured on {dataset.data}, as many samples, in {features.label}",
        f"detail added to another coarse image than its own: {ratio:.1f} times the distance; coarse"
        " images are those of the held-out images, to which the distance is",
    ]


# ----------------------------------------------------------------------------------------- a trial


def compare(
    dataset: Album, features: Features, seed: int, budget: float = 1.0, folder: Path | None = None
) -> Trial:
    """Train both models with one seed and measure them; their runs are stored in the folder."""
    trial, space = Trial(), dataset.space
    shown = max(BATCH, round(budget * SHOWN))
    for name, model in contenders(space).items():
        if name == "DCGAN":
            shown = max(
                BATCH, round(shown * _pace(pyramid(space), dataset) / _pace(model, dataset))
            )
        began = time.process_time()
        fit_model(
            model,
            dataset.train,
            by=_trainer(model, seed, samples=shown),
            folder=run_folder(folder, f"{name}-{seed}"),
        )
        seconds = time.process_time() - began
        trial.models[name] = model
        trial.samples[name] = model.sample(len(dataset.test), rng=derive(seed, "samples"))
        trial.records[name] = {
            **likeness(dataset, trial.samples[name], features),
            "parameters": _count("parameters", parameters(model, space), dataset),
            "images shown": _count("images shown", shown, dataset),
            "CPU seconds": taken(seconds, dataset),
        }
    measure_detail(trial, dataset, features, seed)
    return trial


def contenders(space: Space) -> dict[str, Any]:
    """A LAPGAN, and the DCGAN whose number of parameters is nearest, for images of a space."""
    lapgan = pyramid(space)
    target = parameters(lapgan, space)
    low, high = 1, WIDEST  # the number grows with the width
    while low < high:
        middle = (low + high) // 2
        if parameters(_dcgan(middle, space), space) < target:
            low = middle + 1
        else:
            high = middle
    width = min(
        (low - 1, low), key=lambda w: abs(parameters(_dcgan(max(w, 1), space), space) - target)
    )
    return {"LAPGAN": lapgan, "DCGAN": _dcgan(max(width, 1), space)}


def pyramid(space: Space) -> LAPGAN:
    """A new LAPGAN for images of a space, whose coarsest images have half the size."""
    small = min(int(side or 0) for side in space.shape[1:]) < SMALL
    base = "mlp(hidden=(256, 256))" if small else BASE
    return LAPGAN(
        latent=LATENT, width=WIDTH, base=base, penalties=[PENALTY], base_penalties=[BASE_PENALTY]
    )


def _dcgan(width: int, space: Space) -> DCGAN:
    """A DCGAN; of large images its critic is shown noise, without which it wins at once."""
    large = max(int(side or 0) for side in space.shape[1:]) >= LARGE
    hacks = ["input_noise(sigma=0.3)"] if large else []
    return DCGAN(latent=LATENT, width=width, hacks=hacks)


def _trainer(model: Learner, seed: int, samples: int) -> Trainer:
    if not isinstance(model, LAPGAN):
        return Trainer(batch=BATCH, seed=seed, samples=samples)
    return Trainer(batch=BATCH, seed=seed, samples=samples, optimizers=RATES, ema=DECAY)


def _pace(model: Learner, dataset: Album) -> float:
    """CPU seconds per image, measured on a copy."""
    copy = type(model)(**model.hyperparameters())
    seconds = []
    for batches in (1, 1 + PILOT):
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # after so few batches, of course
            fit_model(copy, dataset.train, by=_trainer(copy, 0, samples=batches * BATCH))
        seconds.append(time.process_time() - began)
    return (seconds[1] - seconds[0]) / (PILOT * BATCH)


def measure_detail(trial: Trial, dataset: Album, features: Features, seed: int) -> None:
    """The Fréchet distance of held-out coarse images with detail, by `PARTS`."""
    model = trial.models["LAPGAN"]
    assert isinstance(model, LAPGAN)
    x = dataset.test.float()
    coarse = shrink(x)
    detail = model.residuals(coarse, rng=derive(seed, "detail"))
    enlarged = expand(coarse, (x.shape[-2], x.shape[-1]))
    trial.made = dict(zip(PARTS, (enlarged + detail, enlarged + detail.roll(1, 0), enlarged)))
    trial.parts = {
        part: fid(x, images, features=features, rng=0, data=dataset.data)
        for part, images in trial.made.items()
    }


def _count(quantity: str, value: float, dataset: Album) -> Record:
    return Record(quantity, value, 0.0, data=dataset.name, n=1)


def _cell(record: Record | None) -> str:
    if record is None:
        return "–"
    if record.error == 0:
        return f"{record.value:,.0f}"
    digits = 2 if abs(record.value) >= 10 else 3
    return f"{record.value:.{digits}f} ± {record.error:.{digits}f}"


# -------------------------------------------------------------------------------------- the figures


def figures(dataset: Album, trial: Trial) -> dict[str, Any]:
    """The figures: what the last level does, and samples of both models."""
    columns = min(COLUMNS, len(dataset.test))
    x = dataset.test[:columns].float()
    rows = {
        "coarse": trial.made["coarse alone"],
        "residual": trial.made["own"] - trial.made["coarse alone"] + _middle(dataset.space),
        "result": trial.made["own"],
        "real": x,
    }
    detail = torch.stack([_clipped(images[:columns], dataset.space) for images in rows.values()])
    model = trial.models["LAPGAN"]
    assert isinstance(model, LAPGAN)
    *_, enlarged, result = _stages(model, columns)
    samples = {
        "LAPGAN: coarse": enlarged,
        "LAPGAN: result": result,
        "DCGAN": trial.samples["DCGAN"][:columns],
        "real": x,
    }
    page = torch.stack([_clipped(images, dataset.space) for images in samples.values()])
    title = "LAPGAN: detail for held-out coarse images, not picked"
    return {
        "lapgan-detail": sheet(detail, dataset.space, down=list(rows), title=title),
        "lapgan": sheet(page, dataset.space, down=list(samples), title="Samples, not picked"),
    }


def _stages(model: LAPGAN, columns: int) -> list[Tensor]:
    """Samples of every level at the finest size, coarse to fine."""
    images = model.stages(model.prior(columns).sample(rng=0))
    for size in [(x.shape[-2], x.shape[-1]) for x in images[1:]]:
        images = [x if x.shape[-2:] == size else expand(x, size) for x in images]
    return images


def _middle(space: Space) -> float:
    return (space.low + space.high) / 2


def _clipped(x: Tensor, space: Space) -> Tensor:
    return x.clamp(space.low, space.high)
