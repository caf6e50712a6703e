r"""Images by DCGAN and R3GAN, beside the data and the nearest training images.

What a few minutes of one CPU thread achieve, in numbers: Fréchet distance,
precision, recall, density and coverage in a named feature space (a classifier of the data's labels
if there are any, otherwise principal components), against held-out images; and in the same space,
the distance of samples to the training images. Training images are measured as if they were
samples, as a reference for every number.

R3GAN's penalties need gradients of gradients and its networks are deeper: an image costs it about
eight to ten times as much as the DCGAN. Both train for about the same time, on different numbers of
images (`SHOWN`), so the rows do not show which method is better.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource
from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch
from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data import read, split
from pushforward.experiments import fit_model
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.classifiers import classifier
from pushforward.metrics.feature_spaces import pca
from pushforward.metrics.features import Features
from pushforward.metrics.scores import scores
from pushforward.models.deep.dcgan import DCGAN
from pushforward.models.deep.gan import GAN
from pushforward.models.deep.r3gan import R3GAN
from pushforward.plots.latent import sheet
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = [
    "run",
    "album",
    "album_or_digits",
    "judge",
    "likeness",
    "learn",
    "Album",
    "Maker",
    "MAKERS",
]

SIDE = 64
"""Images with a longer side are resized to this many pixels, unless a size is requested."""
TEST, JUDGED, WATCHED = 2000, 10_000, 256
LARGE = 64
"""Side in pixels from which the DCGAN's critic is shown noise that fades.

Without it, the critic wins at once on CIFAR-10.
"""
COMPONENTS = 50
"""Components of the feature space without labels: few compared with the number of images."""
COLUMNS, PAIRS = 16, 12
"""Rows and columns of the image sheets."""
REAL = "trained on"


@dataclass(frozen=True)
class Album:
    """Images to learn from and to measure on.

    Args:
        train: without labels.
        labels: labels of the training images (n,), if there are any.
        test: held-out images (m, *shape).
        space: of one image.
        name: of the set.
        data: how records call the test images.
        test_labels: labels of the test images (m,), if there are any.
    """

    train: Source
    labels: Tensor | None
    test: Tensor
    space: Space
    name: str
    data: str
    test_labels: Tensor | None = None

    def training_rows(self, limit: int | None = None) -> Tensor:
        """The first `limit` training images (n, *shape), or all."""
        return self.train.take(torch.arange(min(len(self.train), limit or len(self.train)))).x


@dataclass(frozen=True)
class Maker:
    """A model and how it is trained.

    Args:
        model: creates a new model.
        large: creates the model for images with sides of `LARGE` pixels or more.
        shown: training images at a budget of 1.
        batch, schedule, ema, optimizer: of the trainer, None or '' for the model's own.
    """

    model: Any
    shown: int
    batch: int = 64
    schedule: str = "constant"
    ema: float | None = None
    optimizer: str = ""
    large: Any = None

    def make(self, space: Space) -> GAN:
        """A new model for images of this space."""
        large = self.large is not None and max(int(n or 0) for n in space.shape[1:]) >= LARGE
        model: GAN = (self.large if large else self.model)()
        return model


MAKERS: Mapping[str, Maker] = {
    "DCGAN": Maker(
        lambda: DCGAN(latent=64, width=16),
        80_000,
        large=lambda: DCGAN(latent=64, width=16, hacks=["input_noise(sigma=0.3)"]),
    ),
    "R3GAN": Maker(
        lambda: R3GAN(latent=64, width=8, blocks=1, gamma=0.5),
        12_000,
        32,
        "cosine",
        0.99,
        "adam(rate=0.001, beta1=0.0, beta2=0.99)",
    ),
}


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train and measure both models, and draw."""
    dataset, notes = album_or_digits(str(paths[0]), seed)
    features = judge(dataset)
    samples: dict[str, Tensor] = {}
    results: dict[str, dict[str, Record]] = {
        REAL: likeness(dataset, dataset.training_rows(len(dataset.test)), features)
    }
    for name, maker in MAKERS.items():
        model, seconds = learn(maker, dataset, seed, budget, run_folder(folder, name))
        samples[name] = model.sample(len(dataset.test), rng=derive(seed, "samples"))
        results[name] = {
            **likeness(dataset, samples[name], features, memory=True),
            "CPU seconds": seconds,
        }
        notes += [
            f"{name}: {s.name}, {s.observed}; try {s.advice}"
            for s in symptoms(model, dataset, seed)
        ]
    records = {
        f"{name}: {kind}": record for name, row in results.items() for kind, record in row.items()
    }
    kinds = list(results["DCGAN"])
    rows = [
        [kind, *(_cell(row[kind]) if kind in row else "–" for row in results.values())]
        for kind in kinds
    ]
    heads = ("measure", "training images", *MAKERS)
    return Findings(
        records,
        heads,
        rows,
        [*notes, *_notes(dataset, features, budget)],
        figures(dataset, samples, results),
    )


def _notes(dataset: Album, features: Features, budget: float) -> list[str]:
    """Sentences that describe the experiment."""
    counts = ", ".join(f"{name} {round(budget * maker.shown):,}" for name, maker in MAKERS.items())
    sure = (
        f"; it names {features.facts['accuracy']:.0%} of held-out labels"
        if "accuracy" in features.facts
        else ""
    )
    return [
        (
            f"{dataset.space}; {len(dataset.train):,} for training; images shown: {counts}: far"
            " fewer than in published results"
        ),
        f"measured on {dataset.data}, as many samples, in {features.label}{sure}",
        (
            "density and coverage of equal distributions: 1 and .97; 'closer' is .5 for new samples"
            " and more for repeated ones, 'suspicious' .01 (nearest training image, relative to"
            " held-out images)"
        ),
    ]


# --------------------------------------------------------------------------------------- the images


def album(text: str, seed: int, limit: int = TEST) -> Album:
    """Images by name or path; NAME@SIZE resizes them.

    MNIST has its own test digits; of other sets, a fifth is held out.
    """
    source = _read(text)
    if source.space.kind != "images":
        raise BadSource(
            f"{text}: expected images, got {source.space}; pass --file with a folder of images,"
            " digits or mnist"
        )
    labels = (
        source.y
        if isinstance(source, Arrays)
        and source.condition_space is not None
        and source.condition_space.is_label
        else None
    )
    plain = (
        Arrays(source.x, space=source.space, name=text) if isinstance(source, Arrays) else source
    )
    if text == "mnist":
        train, remaining = plain, read("mnist:test")
        unseen = remaining.take(torch.arange(len(remaining))).y
    else:
        train, remaining = split(plain, held_out=0.2, seed=seed)
        labels, unseen = (
            (None, None) if labels is None else (labels[train.rows], labels[remaining.rows])
        )
    count = min(len(remaining), limit)
    label = f"{count} images of {Path(text).name}" + (
        ":test" if text == "mnist" else f", held out (seed {seed})"
    )
    unseen_labels = None if unseen is None else unseen.flatten()[:count]
    return Album(
        train,
        labels,
        remaining.take(torch.arange(count)).x,
        source.space,
        Path(text).name,
        label,
        unseen_labels,
    )


def album_or_digits(text: str, seed: int, limit: int = TEST) -> tuple[Album, list[str]]:
    """The images, or scikit-learn's digits if MNIST is not available, and a note about it."""
    try:
        return album(text, seed, limit), []
    except BadSource:
        if text != "mnist":
            raise
        remedy = "`pushforward data mnist --download` fetches it, or point PUSHFORWARD_DATA at it"
        return album("digits", seed, limit), [
            f"MNIST was not found, so these are scikit-learn's digits, 8×8; {remedy}"
        ]


def _read(text: str) -> Source:
    where, at, size = text.rpartition("@")
    if at and size.isdigit():
        return read(where, size=int(size))
    source = read(text)
    sides = source.space.shape[1:]
    large = source.space.kind == "images" and any(side is None or side > SIDE for side in sides)
    return read(text, size=SIDE) if large else source


# --------------------------------------------------------------------------------- what is measured


def judge(dataset: Album) -> Features:
    """The feature space: a classifier of the labels, or else principal components.

    There are as many components as the test images allow. It depends on the data alone, so that
    runs of several seeds are measured in one space.

    It depends on the data alone, so that runs of several seeds are measured in one space.
    """
    rows = dataset.training_rows(JUDGED)
    if dataset.labels is None:
        return pca(rows, max(1, min(COMPONENTS, len(dataset.test) // 4)))
    return classifier(rows, dataset.labels[: len(rows)], rng=0)


def likeness(
    dataset: Album, samples: Tensor, features: Features, *, memory: bool = False
) -> dict[str, Record]:
    """FID, precision, recall, density and coverage of samples (n, *shape).

    With `memory`, also how near they are to training images.
    """
    metrics = ("fid", "prdc", *(("memorisation",) if memory else ()))
    train = dataset.training_rows() if memory else None
    return {
        r.quantity: r
        for r in scores(
            dataset.test, samples, features, metrics=metrics, train=train, rng=0, data=dataset.data
        )
    }


def learn(
    maker: Maker, dataset: Album, seed: int, budget: float, folder: Path | None = None
) -> tuple[GAN, Record]:
    """The fitted model and its training time in seconds."""
    how: dict[str, Any] = {
        "batch": maker.batch,
        "seed": seed,
        "schedule": maker.schedule,
        "ema": maker.ema,
    }
    if maker.optimizer:
        how["optimizers"] = dict.fromkeys(("critic", "generator"), maker.optimizer)
    began = time.process_time()
    by = Trainer(samples=max(maker.batch, round(budget * maker.shown)), **how)
    model = fit_model(maker.make(dataset.space), dataset.train, by=by, folder=folder)
    return model, taken(time.process_time() - began, dataset)


def symptoms(model: GAN, dataset: Album, seed: int) -> Sequence[Symptom]:
    """Symptoms that the fitted model reports on held-out images.

    There are none for a single image, which has no diversity.
    """
    if len(dataset.test) < 2:
        return []
    inputs = Batch(model.to_model(dataset.test[:WATCHED]))
    return model.symptoms(model.vitals(inputs, rng=derive(seed, "vitals")))


def taken(seconds: float, dataset: Album) -> Record:
    """Training time as a record."""
    facts = {"threads": torch.get_num_threads(), "device": "CPU"}
    return Record("CPU seconds", seconds, 0.0, unit="s", data=dataset.name, n=1, details=facts)


def _cell(record: Record) -> str:
    if record.quantity == "CPU seconds":
        return f"{record.value:.0f}"
    digits = 2 if abs(record.value) >= 10 else 3
    return f"{record.value:.{digits}f} ± {record.error:.{digits}f}"


# -------------------------------------------------------------------------------------- the figures


def figures(
    dataset: Album, samples: Mapping[str, Tensor], results: Mapping[str, Mapping[str, Record]]
) -> dict[str, Any]:
    """The figures: samples below held-out images, and the samples nearest to training images."""
    columns = min(COLUMNS, len(dataset.test) // 2)
    blocks = [block(dataset.test, columns), *(block(x, columns) for x in samples.values())]
    down = [word for name in ("data", *samples) for word in (name, "")]
    rows, words, label = [], [], results[next(iter(samples))]["suspicious"].details["feature_space"]
    for name, x in samples.items():
        pairs = results[name]["suspicious"].details["pairs"][:PAIRS]
        theirs = dataset.train.take(torch.tensor([train for _, train, _ in pairs])).x
        rows += [x[[i for i, _, _ in pairs]].to(theirs), theirs]
        words += [name, "training"]
    title = f"Samples beside {dataset.name}, not picked"
    neighbours = (
        f"The {len(pairs)} samples nearest to a training image, and that image\n(in"
        f" {label.split(' #')[0]})"
    )
    return {
        "images": sheet(torch.cat(blocks).to(dataset.test), dataset.space, down=down, title=title),
        "images-nearest": sheet(torch.stack(rows), dataset.space, down=words, title=neighbours),
    }


def block(x: Tensor, columns: int, rows: int = 2) -> Tensor:
    """The first images as a grid (rows, columns, *shape)."""
    return x[: rows * columns].reshape(rows, columns, *x.shape[1:]).float()
