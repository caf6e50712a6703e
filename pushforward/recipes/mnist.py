"""Handwritten digits by a VAE: the plane of two codes, and samples of twenty.

With two codes the whole model can be shown: the decoder's mean on a grid over [-3, 3]². With
twenty, likelihood and sharpness are higher, but the model can only be sampled. Pixels are Bernoulli
variables, sampled anew from the grey levels at every step (dynamic binarisation), so that the
likelihood is a probability of black and white images; the test digits are binarised once, with the
seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward.core.errors import BadSource
from pushforward.core.random import derive, generator
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data import read, split
from pushforward.experiments import fit_model
from pushforward.fitting.augment import binarise
from pushforward.fitting.trainer import Trainer
from pushforward.latent.grids import grid
from pushforward.metrics.likelihood import elbo, iwae
from pushforward.models.deep.vae import VAE
from pushforward.plots.latent import decoded_grid, sheet
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "Parts", "parts", "coins", "model_of"]

STEPS, REACH = 20, 3.0
"""A grid of 20 by 20 codes over ±3 standard deviations."""
SAMPLES, BATCH = 600_000, 100
"""Images shown, ten passes over 60 000 digits, and the paper's batch size."""
TEST, K = 1000, 500
"""Test digits, and draws per digit.

The bound's standard error over digits is far above that over draws.
"""
LATENTS = (2, 20)
"""Dimensions of the codes: two can be drawn; twenty are the paper's largest figure."""
COLUMNS = 16
"""Columns of the image sheets."""


class Parts(NamedTuple):
    """Training images, test images (n, *shape), their space and their description in records."""

    train: Source
    test: Tensor
    space: Space
    data: str


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train both models, bound the likelihood of test digits, and draw."""
    dataset = parts(str(paths[0]), seed)
    black_and_white = coins(dataset, seed)
    models = {
        latent: learn(
            latent,
            dataset.train,
            seed,
            round(budget * SAMPLES),
            run_folder(folder, f"vae-{latent}"),
        )
        for latent in LATENTS
    }
    bounds = {
        latent: measured(latent, model, black_and_white, dataset.data)
        for latent, model in models.items()
    }
    records = {key: record for row in bounds.values() for key, record in row.items()}
    rows = [
        [f"{latent}", *(f"≥ {r.value:.2f} ± {r.error:.2f}" for r in row.values())]
        for latent, row in bounds.items()
    ]
    notes = [
        (
            f"{len(dataset.train)} training images, {round(budget * SAMPLES)} shown to each model;"
            f" measured on {dataset.data}, binarised"
        ),
        (
            f"the importance-weighted bound has {K} draws an image; nats per image, mass of black"
            " and white images"
        ),
    ]
    heads = ("codes", "ELBO, nats", "importance-weighted bound, nats")
    return Findings(records, heads, rows, notes, images(models, dataset, black_and_white, seed))


def parts(name: str, seed: int) -> Parts:
    """Training and test images by name or path.

    MNIST has its own test digits; of other sets, a fifth is held out. There are at most TEST test
    images.
    """
    try:
        source = read(name, label=False)
        train, test = (
            (source, read("mnist:test", label=False))
            if name == "mnist"
            else split(source, held_out=0.2, seed=seed)
        )
    except BadSource as error:
        if name != "mnist":
            raise
        remedy = (
            "`pushforward data mnist --download` fetches it, or point PUSHFORWARD_DATA at it;"
            " --file digits does without"
        )
        raise BadSource(f"MNIST was not found; {remedy} ({error})") from error
    if source.space.kind != "images":
        raise BadSource(
            f"{name}: expected images, got {source.space}; pass --file with a folder of images,"
            " digits or mnist"
        )
    count = min(len(test), TEST)
    label = f"{count} images of {name}" + (
        ":test" if name == "mnist" else f", held out (seed {seed})"
    )
    return Parts(train, test.take(torch.arange(count)).x, source.space, label)


def coins(dataset: Parts, seed: int) -> Tensor:
    """The test images in black and white, sampled once from their grey levels."""
    return binarise().apply(dataset.test, dataset.space, generator(derive(seed, "binarise")))


def model_of(latent: int) -> VAE:
    """The published layout for the plane (784-500-501-2), or one layer of 400."""
    # without warming up, both codes of so deep a network often die at the beginning
    if latent == 2:
        return VAE(
            latent=2, network="plane", likelihood="bernoulli", objective="elbo(warm_up=0.25)"
        )
    return VAE(latent=latent, hidden=(400,), likelihood="bernoulli")


def learn(latent: int, train: Source, seed: int, samples: int, folder: Path | None = None) -> VAE:
    """Fit a model to images that are binarised anew at every step."""
    by = Trainer(
        samples=max(samples, BATCH),
        batch=BATCH,
        seed=seed,
        schedule="cosine",
        augment=["binarise"],
        optimizers={"vae": "adam(rate=0.001)"},
    )
    return fit_model(model_of(latent), train, by=by, folder=folder)


def measured(latent: int, model: VAE, x: Tensor, data: str) -> dict[str, Record]:
    """Both bounds on log P(x)."""
    return {
        f"ELBO, {latent}": elbo(model, x, rng=0, data=f"{data}, binarised"),
        f"importance-weighted, {latent}": iwae(model, x, k=K, rng=0, data=f"{data}, binarised"),
    }


@torch.no_grad()
def images(
    models: dict[int, VAE], dataset: Parts, black_and_white: Tensor, seed: int
) -> dict[str, Any]:
    """The figures: the plane, samples, and test images with both models' reconstructions."""
    plane, deep = models[2], models[LATENTS[-1]]
    laid = grid(plane, STEPS, reach=REACH)
    generated = deep.sample(8 * COLUMNS, rng=derive(seed, "samples"), using="mean").reshape(
        8, COLUMNS, *dataset.test.shape[1:]
    )
    subset = slice(0, COLUMNS)
    restored = [
        dataset.test[subset],
        black_and_white[subset],
        *(m.decode(m.encode(black_and_white[subset])) for m in models.values()),
    ]
    down = ["original", "black and white", *(f"{latent} codes" for latent in models)]
    codes = LATENTS[-1]
    return {
        "mnist-plane": decoded_grid(
            laid,
            dataset.space,
            title=f"The plane of two codes, decoded from -{REACH:g} to {REACH:g}",
        ),
        "mnist-samples": sheet(
            generated, dataset.space, title=f"Samples of a VAE with {codes} codes (means of p(x|z))"
        ),
        "mnist-reconstructions": sheet(
            torch.stack([r.to(dataset.test.dtype) for r in restored]),
            dataset.space,
            down=down,
            title="Held-out images and reconstructions",
        ),
    }
