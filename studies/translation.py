"""pix2pix by L1 alone, by a GAN alone and by both, on pairs that none was trained on.

Facades: the archive's 400 pairs, of which 60 are held out (seed 0); label maps cleaned to twelve
colours; at 64 and at 128 pixels. Published (Isola et al. 2017, Table 1, Cityscapes,
per-pixel accuracy of a segmenter on photographs made from labels): L1 .42, GAN .22, L1 + cGAN .66;
here sharpness and L1 are measured instead, and accuracy in the other direction. Colours: batch 1 of
CIFAR-10 in Lab. Edges: emoji. Published intersections of histograms of L, a, b: L1 .81, .69, .70;
L1 + cGAN .86, .84, .82 (Table 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pushforward.core.source import Source
from pushforward.recipes.translation import colourise, edges, facades, two_colours
from pushforward.recipes.translation.task import ALL, PLAYERS, Task, figure, play
from studies.study import RUNS, Study, at_least, at_most, data_folder, keep_figures

__all__ = ["STUDIES"]

LARGE = replace(facades.TO_PHOTO, name="labels to photo at 128", shown=16_000)
"""At 128 pixels an image takes four times as long as at 64."""
ERROR, ENERGY = "L1 + GAN: error, relative to L1 alone", "L1 + GAN: energy, relative to L1 alone"
BEYOND = "L1: pixel accuracy above the largest class"
COLOURS = {name: f"L1 + GAN: histogram of {name}, relative to L1 alone" for name in "ab"}


def _data(*parts: str) -> Path:
    folder = data_folder()
    assert folder is not None
    return folder.joinpath(*parts)


def facade_pairs(task: Task, size: int) -> Source:
    """Pairs of the archive for a task."""
    return facades.pairs(_data("facades", facades.ARCHIVE), task, size)


def emoji() -> Source:
    """Emoji with their outlines."""
    return edges.pairs(_data("emoji", "twemoji64.zip"))


def cifar() -> Source:
    """Batch 1 of CIFAR-10 with its lightness."""
    return colourise.pairs("cifar10-batch1")


def compared(
    task: Task,
    pairs: Callable[[], Source],
    players: Mapping[str, Mapping[str, Any]],
    seed: int,
) -> Mapping[str, Any]:
    """All measures of each player, and those of L1 + GAN relative to L1's."""
    place = RUNS / f"{task.name}-{seed}"
    trial = play(task, pairs(), seed=seed, folder=place, players=players)
    images = {"pairs": figure(trial)}
    if task is facades.TO_LABELS:
        images["label-maps"] = facades.label_maps(trial)
    keep_figures(images, place)
    results: dict[str, Any] = {
        "pairs shown": task.shown,
        "width": task.width,
        "batch": task.batch,
        "measured on": trial.records["L1"]["psnr"].data,
    }
    for name, row in trial.records.items():
        results |= {f"{name}: {kind}": record.value for kind, record in row.items()}

    def relative(kind: str) -> float:
        return trial.records["L1 + GAN"][kind].value / trial.records["L1"][kind].value

    results |= {ERROR: relative("absolute_error"), ENERGY: relative("gradient_energy")}
    results |= {text: relative(f"histogram_{name}") for name, text in COLOURS.items()}
    row = trial.records["L1"]
    if "majority" in row:
        results[BEYOND] = row["pixel_accuracy"].value - row["majority"].value
    return results


def shapes(seed: int) -> Mapping[str, Any]:
    """Saturation and error of the ambiguous toy, by player."""
    _, records, _ = two_colours.trial(seed)
    return {f"{name}: {kind}": r.value for name, row in records.items() for kind, r in row.items()}


def _study(
    name: str,
    what: str,
    task: Task,
    pairs: Callable[[], Source],
    targets: Mapping[str, Any],
    needs: str,
    players: Mapping[str, Mapping[str, Any]] = PLAYERS,
) -> Study:
    line = f"pix2pix by {', '.join(players)}: {what}, {task.shown:,} pairs shown"
    return Study(name, line, partial(compared, task, pairs, players), targets, 1, needs)


SHARPER = {ERROR: at_most(1.3), ENERGY: at_least(1.5)}
COLOURFUL = {text: at_least(1.0) for text in COLOURS.values()}
STUDIES = [
    Study(
        "pix2pix-two-colours",
        "pix2pix by L1 and L1 + GAN: shapes of two equally likely colours",
        shapes,
        {"L1: saturation": at_most(0.3), "L1 + GAN: saturation": at_least(0.7)},
    ),
    _study(
        "pix2pix-facades-64",
        "facades from label maps at 64 pixels",
        facades.TO_PHOTO,
        partial(facade_pairs, facades.TO_PHOTO, 64),
        SHARPER,
        "facades",
        ALL,
    ),
    _study(
        "pix2pix-facades-128",
        "facades from label maps at 128 pixels",
        LARGE,
        partial(facade_pairs, facades.TO_PHOTO, 128),
        SHARPER,
        "facades",
        ALL,
    ),
    _study(
        "pix2pix-facades-labels",
        "label maps from facades at 64 pixels",
        facades.TO_LABELS,
        partial(facade_pairs, facades.TO_LABELS, 64),
        {BEYOND: at_least(0.15)},
        "facades",
    ),
    _study(
        "pix2pix-colours",
        "batch 1 of CIFAR-10 coloured in Lab",
        colourise.TASK,
        cifar,
        COLOURFUL,
        "cifar10",
    ),
    _study(
        "pix2pix-edges",
        "emoji from their edges at 64 pixels",
        edges.TASK,
        emoji,
        COLOURFUL,
        "emoji",
    ),
]
