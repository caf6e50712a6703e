r"""InfoGAN's categories beside the labels, and what its continuous codes change.

The bound on the information in samples about their category reaches nearly the full entropy after a
minute, long before samples are digits: almost any ten groups can be recognised. The groups found
are the easiest ones, and three measures make these the digits. Noise is narrow, so that the
category decides what a sample shows, and the noise only how it looks. The critic sees images that
are randomly rotated, slanted, resized and shifted, so that none of these can be the category. And
two such views of a real image must agree, so that the groups of real images are those of the
samples. The result still depends on the initialisation, so there are several starts, and the best
is continued.

Measured on held-out images, if they have labels: the error of the category as a classifier, each
category matched with one label, and the purity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.phase import Batch
from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.experiments import fit_model
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.clusters import purity
from pushforward.models.deep.infogan import InfoGAN
from pushforward.plots.latent import sheet
from pushforward.recipes.images import Album, album_or_digits
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "learn", "with_views", "plain", "measured", "shown"]

CATEGORIES, NUMBERS = 10, 2
"""As for digits in Chen et al. (2016), https://arxiv.org/abs/1606.03657."""
WIDTH = 16
"""A quarter of the paper's, for one CPU."""
STARTS, START, SHOWN = 3, 60_000, 100_000
"""Initialisations, images shown to each, and further images shown to the best of them."""
BATCH = 32
"""Batch size: small, for many steps in the same time."""
RATE = "adam(rate=0.0005, beta1=0.5)"
TEST, VITAL = 10_000, 2000
"""Held-out images, and samples for the vital signs."""
REAL, DRAWN, STEPS = 8, 8, 5
"""Rows and columns of the image sheets."""


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train without labels, compare with the labels, and draw."""
    dataset, notes = album_or_digits(str(paths[0]), seed, TEST)
    model = learn(with_views, dataset.train, seed, budget, run_folder(folder, "infogan"))
    category = model.parts(codes(model, dataset.test)).categories[0].argmax(1)
    records = measured(model, dataset, category)
    rows = [[name, f"{r.value:.3f} ± {r.error:.3f}"] for name, r in records.items()]
    notes += [
        (
            f"{dataset.space}; {len(dataset.train):,} training images, without labels,"
            f" {shown(budget):,} shown; measured on {dataset.data}"
        ),
        (
            f"L_I is at most ln {CATEGORIES} = {torch.tensor(CATEGORIES).log():.3f} nats, where"
            " every sample's category can be read off it"
        ),
    ]
    if dataset.test_labels is None:
        notes.append("these images have no labels to compare the categories with")
    return Findings(records, ("what", "value"), rows, notes, images(model, dataset, category, seed))


# ----------------------------------------------------------------------------------------- learning


def with_views() -> InfoGAN:
    """InfoGAN with categories that affine maps do not change and noise that matters less."""
    return plain(weight=0.3, noise_scale=0.3, view_weight=1.0, critic_augment=("affine",))


def plain(**settings: Any) -> InfoGAN:
    """The paper's objective: one code of ten categories and two continuous codes."""
    return InfoGAN(
        categories=(CATEGORIES,), continuous=NUMBERS, network=f"dcgan(width={WIDTH})", **settings
    )


def learn(
    make: Callable[[], InfoGAN],
    x: Source | Tensor,
    seed: int,
    budget: float = 1.0,
    folder: Path | None = None,
) -> InfoGAN:
    """Train several short starts and continue the one whose views of real images agree most.

    No label is used. The groups are settled early, as in k-means, and so is the quality of a start.
    Without views there is no measure of it, and all images are shown to one model.

    The groups are decided early, as in k-means, and so is the quality of a start. Without views
    nothing measures it: then all images are shown to one model.
    """
    if not make().view_weight:
        return fitted(make(), x, seed, shown(budget), folder=folder)
    starts = [fitted(make(), x, derive(seed, "start", i), budget * START) for i in range(STARTS)]
    subset = x[:VITAL] if isinstance(x, Tensor) else x.take(torch.arange(min(len(x), VITAL))).x
    worth = [
        start.vitals(Batch(start.to_model(subset)), rng=0)["information_views"] for start in starts
    ]
    best = starts[max(range(STARTS), key=worth.__getitem__)]
    return fitted(make(), x, seed, budget * SHOWN, start=best, folder=folder)


def fitted(
    model: InfoGAN,
    x: Source | Tensor,
    seed: int,
    shown: float,
    start: InfoGAN | None = None,
    folder: Path | None = None,
) -> InfoGAN:
    """A trainer with the same decaying rate for both players.

    Batches are small, because the number of updates counts.
    """
    how: dict[str, Any] = {
        "schedule": "linear",
        "ema": 0.999,
        "optimizers": {"critic": RATE, "generator": RATE},
    }
    budget = max(BATCH, round(shown))
    by = Trainer(samples=budget, batch=min(BATCH, len(x)), seed=seed, start=start, **how)
    return fit_model(model, x, by=by, folder=folder)


def shown(budget: float = 1.0) -> int:
    """Images shown in a run, over all starts."""
    return STARTS * max(BATCH, round(budget * START)) + max(BATCH, round(budget * SHOWN))


@torch.no_grad()
def codes(model: InfoGAN, x: Tensor) -> Tensor:
    """Codes (n, code_width) of images (n, *shape)."""
    return torch.cat([model.encode(part) for part in x.split(500)])


@torch.no_grad()
def measured(model: InfoGAN, dataset: Album, category: Tensor) -> dict[str, Record]:
    """L_I of the category, its purity and its error as a classifier of the test images.

    Categories (m,) are matched with labels one to one.
    """
    z = model.prior(VITAL).rsample(rng=0)
    information = model.information(model.critic(model.push(z))[-1], z)["categories"]
    measures = {
        "L_I": Record.of("L_I", information, unit="nats", bound="lower bound", data="samples")
    }
    if dataset.test_labels is None:
        return measures
    matched = purity(category, dataset.test_labels, matched=True, data=dataset.data)
    error = Record(
        "error",
        1 - matched.value,
        matched.error,
        data=dataset.data,
        n=matched.n,
        details=matched.details,
    )
    return {
        "error, best matching": error,
        "purity": purity(category, dataset.test_labels, data=dataset.data),
        **measures,
    }


# ------------------------------------------------------------------------------------------- images


@torch.no_grad()
def images(model: InfoGAN, dataset: Album, category: Tensor, seed: int) -> dict[str, Any]:
    """Test images and samples of each category, and samples with varied continuous codes."""
    z = model.prior(DRAWN * CATEGORIES).rsample(rng=derive(seed, "samples"))
    first, last = model.latent, model.latent + CATEGORIES
    z[:, first:last] = torch.eye(CATEGORIES).repeat_interleave(DRAWN, 0)
    samples = model.decode(z).reshape(CATEGORIES, DRAWN, *dataset.test.shape[1:])
    blank = torch.full_like(dataset.test[:1], dataset.space.high or 0.0)
    real = torch.stack(
        [
            torch.cat([dataset.test[category == k][:REAL], blank.expand(REAL, *blank.shape[1:])])[
                :REAL
            ]
            for k in range(CATEGORIES)
        ]
    )
    down = [named(k, category, dataset.test_labels) for k in range(CATEGORIES)]
    across = ["held out", *[""] * (REAL - 1), "samples", *[""] * (DRAWN - 1)]
    grid = torch.cat([real.to(samples), samples], 1)

    moved = z.reshape(CATEGORIES, DRAWN, -1)[:, :1].repeat(1, NUMBERS * STEPS, 1)
    moved[..., last:] = 0
    values = torch.linspace(-1, 1, STEPS)
    for i in range(NUMBERS):
        moved[:, i * STEPS : (i + 1) * STEPS, last + i] = values
    turned = model.decode(moved.flatten(0, 1)).reshape(
        CATEGORIES, NUMBERS * STEPS, *dataset.test.shape[1:]
    )
    words = [f"{value:g}" for _ in range(NUMBERS) for value in values.tolist()]
    names = ("first number, then second", "")
    return {
        "codes": sheet(
            grid,
            dataset.space,
            across=across,
            down=down,
            title="Images by the category that InfoGAN finds, and its samples",
        ),
        "codes-numbers": sheet(
            turned,
            dataset.space,
            across=words,
            down=down,
            names=names,
            title="The same code, its two numbers moved",
        ),
    }


def named(k: int, category: Tensor, labels: Tensor | None) -> str:
    """A category's most common label and its share."""
    if labels is None or not bool((category == k).any()):
        return f"{k}"
    class_labels = labels[category == k]
    common = class_labels.mode().values
    return f"{k}: {float((class_labels == common).double().mean()):.0%} are {int(common)}"
