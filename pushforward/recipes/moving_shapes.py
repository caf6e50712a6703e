r"""Moving shapes by a VGAN: does its mask find what moves?

A disc or a square crosses a still background (`data.formats.moving_shapes`, generated; other clips
with --file). The VGAN is told nothing of shapes or masks: it composes clips of a still background
and a foreground, and its critic sees clips only. What its mask covers is compared with the pixels
that move, and the motion of samples with that of held-out clips.

Ten minutes of one CPU thread show shapes that move before backgrounds, not sharp ones.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.core.scenes import Scenes
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data import read, split
from pushforward.experiments import fit_model
from pushforward.experiments.clips import clip_facts
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.clips import consistency, frames, masks, motion, movement
from pushforward.metrics.scores import scores
from pushforward.models.deep.vgan import VGAN
from pushforward.plots.clips import clip_sheet, film_rows
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = ["run", "learn", "measured", "FRAMES", "SIDE"]

SIDE, FRAMES = 32, 16
"""Clips of a file are brought to this size, and cut to so many frames."""
SHOWN, BATCH = 25_600, 32
"""Clips shown at a budget of 1, in 800 steps: about ten minutes of one thread."""
WIDTH, LATENT = 16, 32
MASK_WEIGHT = 0.6
"""Six times the paper's: what moves covers less of these clips."""
R1, AVERAGE = 0.1, 0.97
"""Without R1 the critic wins early, and samples flicker; averaged weights flicker less, but longer
averages stand still.
"""
TEST, SCENES = 400, 256
"""Clips held out, and samples whose masks are measured: standard errors of a few per cent."""
SHEET = 2
"""Samples shown with their layers, four rows each."""
ASKED = {"mask IoU": "> .5", "motion": ".7 to 1.3"}


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Train a VGAN; measure motion, masks and Fréchet distances; show samples with their layers."""
    source = _clips(str(paths[0]))
    train, rest = split(source, held_out=0.2, seed=seed)
    test = rest.take(torch.arange(min(TEST, len(rest)))).x
    began = time.process_time()
    model = learn(train, seed=seed, budget=budget, folder=run_folder(folder, "vgan"))
    seconds = time.process_time() - began
    samples = model.sample(len(test), rng=derive(seed, "samples"))
    scenes = model.scenes(SCENES, rng=derive(seed, "scenes"))
    data = f"{len(test)} clips of {paths[0].name}, held out (seed {seed})"
    records = measured(test, samples, scenes, source.space, data)
    records["CPU seconds"] = Record(
        "CPU seconds", seconds, 0.0, unit="s", data=data, n=1,
        details={"threads": torch.get_num_threads(), "device": "CPU"},
    )  # fmt: skip
    rows = [[name, _cell(record), _ideal(record)] for name, record in records.items()]
    shown = max(BATCH, round(budget * SHOWN))
    notes = [
        f"{source.space}; {len(train):,} for training, {shown:,} shown in batches of {BATCH}",
        (
            "motion: of samples, as a share of the data's; mask IoU: pixels whose mask is above one"
            " half, with those that move; variances over time, weighted by the mask and by its"
            " complement"
        ),
    ]
    title = f"Clips of {paths[0].name} and of a VGAN, not picked"
    return Findings(
        records,
        ("measure", "VGAN", "ideal"),
        rows,
        notes,
        {"moving-shapes": _figure(test, scenes, source.space, title)},
        {"moving-shapes": film_rows([test[:16], samples[:16]], source.space)},
    )


def learn(
    train: Source,
    *,
    seed: int,
    budget: float = 1.0,
    batch: int | None = None,
    mask_weight: float = MASK_WEIGHT,
    average: float = AVERAGE,
    r1: float = R1,
    folder: Path | None = None,
) -> VGAN:
    """A VGAN of the clips."""
    penalties = (f"r1(gamma={r1})",)
    model = VGAN(latent=LATENT, width=WIDTH, mask_weight=mask_weight, penalties=penalties)
    batch = min(batch or BATCH, len(train))
    shown = max(batch, round(budget * SHOWN))
    by = Trainer(samples=shown, batch=batch, ema=average, seed=seed)
    return fit_model(model, train, by=by, folder=folder)


def measured(
    real: Tensor, samples: Tensor, scenes: Scenes, space: Space, data: str
) -> dict[str, Record]:
    """Motion and consistency of samples, what masks cover, and Fréchet distances, by name."""
    facts = clip_facts(space)
    found = [measure(real, samples, data=data, **facts) for measure in (motion, consistency)]
    found += masks(scenes.x, scenes.mask, data=data, **facts)
    records = {record.quantity: record for record in found}
    for name, features in (("frames", frames(real)), ("movement", movement(real))):
        (record,) = scores(real, samples, features, metrics=["fid"], rng=0, data=data)
        records[f"FID, {name}"] = record
    return records


def _clips(text: str) -> Source:
    """Generated clips, or those of a file."""
    if text.partition(":")[0] == "moving-shapes":
        return read(text)
    return read(text, size=SIDE, frames=FRAMES, channels=3, label=False)


def _cell(record: Record) -> str:
    if record.quantity == "CPU seconds":
        return f"{record.value:.0f}"
    return f"{record.value:.3g} ± {record.error:.1g}"


def _ideal(record: Record) -> str:
    if record.quantity in ASKED:
        return ASKED[record.quantity]
    ideal = record.details.get("ideal")
    return "" if ideal is None else f"{ideal:.3g}"


def _figure(test: Tensor, scenes: Scenes, space: Space, title: str) -> object:
    """Held-out clips, and samples with their masks, foregrounds and backgrounds."""
    rows, names = list(test[:2]), ["data", "data"]
    mask = (space.low + (space.high - space.low) * scenes.mask).expand_as(scenes.x)
    for i in range(SHEET):
        rows += [scenes.x[i], mask[i], scenes.foreground[i], scenes.background[i]]
        names += ["sample", "mask", "foreground", "background"]
    stacked = torch.stack([row.to(torch.float32) for row in rows])
    return clip_sheet(stacked, space, names, title=title)
