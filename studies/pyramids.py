"""A LAPGAN beside a DCGAN with as many parameters and as much CPU time: the recipe's numbers.

One run is one seed: of the initialisation, the order and the noise. The split and the feature space
are those of seed 0 throughout: a classifier of CIFAR-10's labels, or of the categories of emoji.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

import pushforward as pf
from pushforward.data import split
from pushforward.recipes import pyramid
from pushforward.recipes.images import Album, album, judge, likeness
from studies.study import RUNS, Study, at_least, keep_figures

__all__ = ["STUDIES", "emoji"]

LEAST_RATIO = 1.5
"""Times that another coarse image's detail is farther from real images than its own: asked for."""
BUDGETS = {"cifar10-batch1": 3.0, "emoji": 1.0}
"""An image of 64 pixels takes the LAPGAN about four times as long as one of 32."""


def emoji() -> Album:
    """Emoji of 64x64 pixels on white, a fifth held out, with their categories as labels."""
    folder = Path(os.environ["PUSHFORWARD_DATA"]) / "emoji"
    path = folder / "twemoji64.zip"
    with (folder / "twemoji64.csv").open(newline="", encoding="utf-8") as table:
        category = {row["file"]: row["category"] for row in csv.DictReader(table)}
    with ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".png"))
    kinds = sorted(set(category.values()))
    labels = torch.tensor([kinds.index(category[Path(name).name]) for name in names])
    source = pf.read(path, channels=3)
    x = source.take(torch.arange(len(source))).x
    assert len(x) == len(labels)
    train, test = split(pf.Arrays(x, space=source.space, name="emoji"), held_out=0.2, seed=0)
    held_out = test.take(torch.arange(len(test))).x
    data = f"{len(held_out)} images of emoji, held out (seed 0)"
    return Album(
        train, labels[train.rows], held_out, source.space, "emoji", data, labels[test.rows]
    )


def compare(name: str, seed: int) -> Mapping[str, Any]:
    """One run of both models on a named set: all measures, and those of training images."""
    dataset = emoji() if name == "emoji" else album(name, 0)
    features = judge(dataset)
    place = RUNS / f"lapgan-{name}-{seed}"
    trial = pyramid.compare(dataset, features, seed, BUDGETS[name], place)
    keep_figures(pyramid.figures(dataset, trial), place)
    real = likeness(dataset, dataset.training_rows(len(dataset.test)), features)
    results: dict[str, Any] = {
        "features": features.label,
        "held-out labels that the features' classifier knows": features.facts["accuracy"],
        "test images": len(dataset.test),
    }
    rows = {pyramid.REAL: real, **trial.records}
    results |= {f"{who}: {kind}": r.value for who, row in rows.items() for kind, r in row.items()}
    results |= {f"FID, detail {part}": record.value for part, record in trial.parts.items()}
    results["shuffled against own"] = trial.parts["shuffled"].value / trial.parts["own"].value
    return results


STUDIES = [
    Study(
        f"lapgan-{short}",
        f"LAPGAN ({sizes}) and DCGAN of as many parameters and as much CPU time on {words}",
        partial(compare, name),
        {"shuffled against own": at_least(LEAST_RATIO)},
        seeds=3,
        needs=short,
    )
    for short, name, sizes, words in (
        ("cifar10", "cifar10-batch1", "16 to 32 pixels", "batch 1 of CIFAR-10"),
        ("emoji", "emoji", "32 to 64 pixels", "emoji"),
    )
]
