"""Facades from maps of their parts, and the maps from photographs, both by pix2pix.

The archive of pix2pix (CMP facades) has side-by-side images, the photograph on the left. The maps'
colours are JPEG's versions of twelve; they are cleaned (`labels`), and per-pixel accuracy is beside
that of calling everything by the most frequent class. Maps are made by their classes: the
cross-entropy of these stands for L1, which takes colours for numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pushforward.core.source import Source
from pushforward.data import read
from pushforward.plots.latent import sheet
from pushforward.recipes.registry import Findings
from pushforward.recipes.translation.task import COLUMNS, Task, Trial, findings, how_made, play

__all__ = ["TO_LABELS", "TO_PHOTO", "pairs", "run"]

SIDE = 64
"""Pixels: four times as many take four times as long."""
TO_PHOTO = Task("labels to photo", "labels", "photo", shown=24_000)
TO_LABELS = Task(
    "photo to labels",
    "photo",
    "labels",
    shown=12_000,
    width=32,
    settings={"colours": "classes"},
    rate=1e-3,
)
SIDES = {TO_PHOTO.name: "side='right', maps='right'", TO_LABELS.name: "side='left', maps='right'"}
"""Which half is the condition of each task."""
ARCHIVE = "facades_train.zip"
"""The archive whose colours are known; those of others are found."""


def pairs(path: Path, task: Task, size: int = SIDE) -> Source:
    """The pairs of a task, from a folder or archive of side-by-side images."""
    palette = ", palette='facades'" if path.name == ARCHIVE else ""
    return read(str(path), y=f"labels({SIDES[task.name]}{palette})", size=size)


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Fit and measure both directions, and draw."""
    trials = []
    for task in (TO_PHOTO, TO_LABELS):
        source = pairs(paths[0], task)
        trials.append(play(task, source, seed=seed, budget=budget, folder=folder))
    note = "photo to labels: the cross-entropy of classes stands for L1"
    result = findings(trials, [note])
    result.images["label-maps"] = label_maps(trials[1])
    return result


def label_maps(trial: Trial) -> Any:
    """Maps made from photographs, and true ones, without the photographs."""
    rows = {how_made(trial.task, name): x for name, x in trial.made.items()}
    rows["labels (truth)"] = trial.x
    blocks = [x[:COLUMNS].float() for x in rows.values()]
    count = min(map(len, blocks))
    stack = blocks[0].new_empty(len(rows), count, *blocks[0].shape[1:])
    for i, block in enumerate(blocks):
        stack[i] = block[:count]
    title = "Label maps made from unseen photographs, not picked"
    return sheet(stack, replace(trial.space), down=list(rows), title=title)
