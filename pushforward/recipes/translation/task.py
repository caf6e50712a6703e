"""What the tasks have in common: two translators of as many steps, measured on unseen pairs.

One is fitted by the absolute error (L1) alone, one by L1 and a conditional GAN. What the first
cannot know it averages: it is nearer to the original, pixel by pixel, but blurred and pale; the
second looks more like an original and errs more. Measures are those of `pushforward evaluate`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadSource
from pushforward.core.phase import adam
from pushforward.core.random import derive, generator
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.data import read, split
from pushforward.experiments import fit_model
from pushforward.experiments.likeness import likeness
from pushforward.experiments.record_tables import LIKENESS
from pushforward.experiments.run_sheets import as_colour
from pushforward.fitting.trainer import Trainer
from pushforward.metrics.translations import variation
from pushforward.models.deep.pix2pix import Pix2Pix
from pushforward.plots.latent import sheet
from pushforward.recipes.registry import Findings
from pushforward.recipes.runs import run_folder

__all__ = [
    "ALL",
    "PLAYERS",
    "Task",
    "Trial",
    "figure",
    "findings",
    "how_made",
    "learn",
    "play",
    "two_folders",
]

PLAYERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"L1": {"game": "none"}, "L1 + GAN": {}}
)
"""Settings of Pix2Pix by what it is fitted by."""
ALL = MappingProxyType({"L1": PLAYERS["L1"], "GAN": {"weight": 0.0}, "L1 + GAN": {}})
"""The same with the GAN alone, for studies."""
MEASURED = 200
"""Unseen pairs that are measured at most: the error of an accuracy is then a few per cent."""
VARIED, TRANSLATIONS = 64, 4
"""Conditions and translations of each, by which variation is measured."""
COLUMNS = 8
"""Pairs in a figure."""
HELD_OUT = 0.15
"""Share of the pairs that are not trained on."""
LEAST = 10
"""Pairs from which there is something to learn and to measure."""


@dataclass(frozen=True)
class Task:
    """What is made from what, and how long.

    Args:
        name: such as 'labels to photo'.
        given, made: what rows of figures are called.
        shown: training pairs shown at a budget of 1.
        width, batch: of Pix2Pix and its trainer.
        settings: of Pix2Pix, besides.
        rate: of the generator; the model's own if None.
        augment: of its trainer; the model's own (enlarged, cut and mirrored) if None.
    """

    name: str
    given: str
    made: str
    shown: int
    width: int = 16
    batch: int = 4
    settings: Mapping[str, Any] = field(default_factory=dict)
    rate: float | None = None
    augment: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Trial:
    """Unseen pairs and what was made of them.

    Args:
        task: of the trial.
        x, y: originals and conditions (n, …), user's units.
        made: by what each model was fitted by, (n, …).
        space, condition_space: of originals and conditions.
        records: by what each model was fitted by, and quantity.
    """

    task: Task
    x: Tensor
    y: Tensor
    made: Mapping[str, Tensor]
    space: Space
    condition_space: Space
    records: Mapping[str, Mapping[str, Record]]


def learn(
    task: Task,
    player: Mapping[str, Any],
    train: Source,
    *,
    seed: int,
    shown: int,
    folder: Path | None = None,
) -> Pix2Pix:
    """The fitted translator."""
    model = Pix2Pix(width=task.width, **{**task.settings, **player})
    batch = min(task.batch, len(train))
    by = Trainer(
        samples=max(batch, shown),
        batch=batch,
        seed=seed,
        schedule="linear(start=0.5)",
        augment=task.augment,
        optimizers={} if task.rate is None else {"generator": adam(task.rate, beta1=0.5)},
    )
    return fit_model(model, train, by=by, folder=folder)


def play(
    task: Task,
    source: Source,
    *,
    seed: int = 0,
    budget: float = 1.0,
    folder: Path | None = None,
    players: Mapping[str, Mapping[str, Any]] = PLAYERS,
) -> Trial:
    """Fit each player to most of the pairs, and measure it on the others."""
    if len(source) < LEAST:
        raise BadSource(f"expected at least {LEAST} pairs of images, got {len(source)}")
    train, test = split(source, held_out=HELD_OUT, seed=0)
    batch = test.take(torch.arange(min(len(test), MEASURED)))
    x, y = batch.x, batch.y
    condition_space = source.condition_space
    assert y is not None
    assert condition_space is not None
    data = f"{len(x)} held-out pairs of {getattr(source, 'name', '') or 'the images'} (seed 0)"
    made: dict[str, Tensor] = {}
    records: dict[str, dict[str, Record]] = {}
    for name, player in players.items():
        began = time.process_time()
        place = run_folder(folder, f"{task.name}-{name}")
        shown = round(budget * task.shown)
        model = learn(task, player, train, seed=seed, shown=shown, folder=place)
        seconds = time.process_time() - began
        made[name] = model.translate(y, rng=generator(derive(seed, "translated")))
        draws = [
            model.translate(y[:VARIED], rng=generator(derive(seed, f"variation {i}")))
            for i in range(TRANSLATIONS)
        ]
        ends = {"low": source.space.low, "high": source.space.high}
        measured = [
            *likeness(x, made[name], source.space, data),
            *variation(torch.stack(draws), x[:VARIED], data=data, **ends),
            Record("CPU seconds", seconds, 0.0, unit="s", data=data, n=1),
        ]
        records[name] = {record.quantity: record for record in measured}
    return Trial(task, x, y, made, source.space, condition_space, records)


def findings(trials: Sequence[Trial], notes: Sequence[str] = ()) -> Findings:
    """The measures of all trials in a table, and a figure of each."""
    players = list(trials[0].made)
    records, rows, images = {}, [], {}
    for trial in trials:
        name = trial.task.name
        for player, row in trial.records.items():
            records.update({f"{name}, {player}: {kind}": r for kind, r in row.items()})
        kinds = list(trial.records[players[0]])
        rows += [
            [
                name,
                LIKENESS.get(kind, kind),
                *(_cell(trial.records[player][kind]) for player in players),
            ]
            for kind in kinds
        ]
        images[name.replace(" ", "-")] = figure(trial)
    first = trials[0]
    size = "x".join(str(side) for side in first.space.shape[-2:])
    data = first.records[players[0]]["psnr"].data
    told = [
        f"{size} pixels, width {first.task.width}; measured on {data}",
        "L1: fitted by the absolute error alone; L1 + GAN: by it and a critic. Gradient energy"
        " below 1 is blur; histograms: intersection with the originals' in CIE Lab, 1 is best;"
        " variation: how much translations of one image differ by the noise",
    ]
    return Findings(records, ("task", "measure", *players), rows, [*notes, *told], images)


def figure(trial: Trial) -> Any:
    """Conditions, what each model made of them, and originals, in named rows."""
    count = min(COLUMNS, len(trial.x))
    rows = {trial.task.given: as_colour(trial.y, trial.condition_space, trial.space)}
    results = {how_made(trial.task, name): x for name, x in trial.made.items()}
    results[f"{trial.task.made} (truth)"] = trial.x
    rows |= {name: as_colour(x, trial.space, trial.space) for name, x in results.items()}
    space = replace(trial.space, shape=(3, *trial.space.shape[-2:]))
    block = torch.stack([x[:count].float() for x in rows.values()])
    title = f"{trial.task.name[0].upper()}{trial.task.name[1:]}: unseen pairs, not picked"
    return sheet(block, space, down=list(rows), title=title)


def how_made(task: Task, player: str) -> str:
    """The name of a row of images by what their model was fitted by."""
    error = "cross-entropy" if task.settings.get("colours") == "classes" else "L1"
    return f"by {player.replace('L1', error)}"


def two_folders(paths: Sequence[Path], size: int, **settings: Any) -> Source:
    """Images in the second folder with those of the same names in the first as conditions.

    Args:
        size: pixels a side.
        settings: further arguments of `pushforward.read`.
    """
    given, made = paths
    return read(str(made), y=str(given), size=size, channels=3, **settings)


def _cell(record: Record) -> str:
    if record.unit == "s":
        return f"{record.value:.0f}"
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) else ""
    return f"{record.value:.3g}{error}"
