"""Images enlarged four times: by interpolation, by an SRResNet, and by an SRGAN started from it.

The first network makes the image that errs least, which is smooth; the second, which a critic and
the maps of another network judge, texture that the reduced image does not determine. It errs more
and has more of the originals' gradients.

A few minutes of one CPU thread suffice for graphics such as emoji; the study `super-resolution`
takes an hour for photographs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, MissingExtra
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data import read, split
from pushforward.data.resampling import enlarge
from pushforward.experiments import fit_model
from pushforward.experiments.likeness import likeness
from pushforward.experiments.record_tables import LIKENESS
from pushforward.fitting.trainer import Trainer
from pushforward.models.deep.srgan import SRGAN
from pushforward.models.deep.srresnet import SRResNet
from pushforward.nets.feature_networks import load_efficientnet
from pushforward.plots.latent import sheet
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["NAMES", "run"]

FACTOR, TILE, BATCH = 4, 64, 16
"""Larger images are cut into tiles of 64 pixels."""
STEPS, GAN_STEPS = 4_000, 500
"""At a budget of 1: some three minutes of one thread each."""
WIDTH, BLOCKS, RATE = 32, 6, 2e-3
"""Of the study `super-resolution`."""
HELD_OUT, MEASURED, COLUMNS = 0.15, 200, 8
"""Share of the images that are not trained on, how many of them are measured and shown at most."""
LEAST = 20
"""Images from which there is something to learn and to measure."""
NAMES = ("bicubic", "SRResNet", "SRGAN")


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Fit both networks to most images, and enlarge the others."""
    source = read(str(paths[0]), y=f"low_resolution({FACTOR})", tiles=TILE, channels=3)
    if len(source) < LEAST:
        raise BadSource(f"expected at least {LEAST} images of {TILE} pixels, got {len(source)}")
    train, test = split(source, held_out=HELD_OUT, seed=0)
    batch = test.take(torch.arange(min(len(test), MEASURED)))
    x, y = batch.x, batch.y
    assert y is not None
    features, notes = _features()
    made = {"bicubic": enlarge(y, FACTOR)}
    seconds = {"bicubic": 0.0}
    first = SRResNet(WIDTH, BLOCKS)
    gan = SRGAN(WIDTH, BLOCKS, features=features)
    for name, model, steps, settings in (
        ("SRResNet", first, STEPS, {"optimizers": {"generator": f"adam(rate={RATE})"}}),
        ("SRGAN", gan, GAN_STEPS, {"start": first}),
    ):
        began = time.process_time()
        _fit(model, train, seed, round(budget * steps), settings, run_folder(folder, name.lower()))
        seconds[name] = time.process_time() - began
        made[name] = model.translate(y)
    data = f"{len(x)} held-out images of {getattr(source, 'name', '') or 'the data'} (seed 0)"
    rows = {name: _measured(x, image, source.space, data) for name, image in made.items()}
    for name, spent in seconds.items():
        if spent:
            rows[name]["CPU seconds"] = Record("CPU seconds", spent, 0.0, unit="s", data=data, n=1)
    return Findings(
        {f"{name}: {kind}": record for name, row in rows.items() for kind, record in row.items()},
        ("measure", *NAMES),
        [
            [LIKENESS.get(kind, kind), *(_cell(rows[name].get(kind)) for name in NAMES)]
            for kind in rows["SRResNet"]
        ],
        [
            f"{TILE // FACTOR}x{TILE // FACTOR} to {TILE}x{TILE} pixels; {len(train):,} images for"
            f" training; measured on {data}, all channels",
            "gradient energy below 1 is blur; histograms: intersection with the originals' in CIE"
            " Lab, 1 is best",
            *notes,
        ],
        {"super-resolution": figure(x, y, made, source.space)},
    )


def _features() -> tuple[str, list[str]]:
    """The feature network of the perceptual loss: the default where it is installed."""
    try:
        load_efficientnet("the perceptual loss")
    except MissingExtra:
        return "none", ["without a perceptual loss, which needs the extra [metrics]"]
    return "efficientnet(layer=4)", []


def _fit(
    model: SRResNet | SRGAN,
    train: Source,
    seed: int,
    steps: int,
    settings: Mapping[str, Any],
    folder: Path | None,
) -> None:
    batch = min(BATCH, len(train))
    by = Trainer(steps=max(1, steps), batch=batch, seed=seed, schedule="cosine", **settings)
    fit_model(model, train, by=by, folder=folder)


def _measured(x: Tensor, made: Tensor, space: Space, data: str) -> dict[str, Record]:
    return {record.quantity: record for record in likeness(x, made, space, data)}


def figure(x: Tensor, y: Tensor, made: Mapping[str, Tensor], space: Space) -> Any:
    """Reduced images, what each method made of them, and originals, in named rows."""
    count = min(COLUMNS, len(x))
    small = y[:count].float()
    small = small.repeat_interleave(FACTOR, -2).repeat_interleave(FACTOR, -1)
    rows = {"reduced": small, **made, "original": x}
    block = torch.stack([image[:count].float() for image in rows.values()])
    title = "Enlarged four times: unseen images, not picked"
    return sheet(block, replace(space), down=list(rows), title=title)


def _cell(record: Record | None) -> str:
    if record is None:
        return "–"
    if record.unit == "s":
        return f"{record.value:.0f}"
    return f"{record.value:.3g} ± {record.error:.1g}" if record.error > 0 else f"{record.value:.3g}"
