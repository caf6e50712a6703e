"""Black-and-white photographs coloured in Lab: lightness stays, a and b are made by pix2pix.

With L1 alone colours are those that err least, pale and brown; with a critic they are as strong as
in the data. The intersections of the histograms of a and b measure that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pushforward.core.source import Source
from pushforward.data import read
from pushforward.recipes.registry import Findings
from pushforward.recipes.translation.task import Task, findings, play

__all__ = ["TASK", "pairs", "run"]

SIDE = 64
"""Pixels that larger images are brought to."""
TASK = Task(
    "grey to colour",
    "grey",
    "colour",
    shown=40_000,
    batch=16,
    settings={"colours": "lab"},
)


def pairs(text: str) -> Source:
    """Images in colour by name or path, with their lightness as conditions."""
    small = text.startswith("cifar10")
    return read(text, y="lightness", **({} if small else {"size": SIDE, "channels": 3}))  # type: ignore[arg-type]


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Fit and measure, and draw."""
    trial = play(TASK, pairs(str(paths[0])), seed=seed, budget=budget, folder=folder)
    return findings([trial])
