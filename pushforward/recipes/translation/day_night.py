"""Scenes by night from scenes by day, by pix2pix: two folders of yours, or synthetic scenes.

Which windows are lit at night cannot be told from the day: the model decides, or blurs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pushforward.recipes.registry import Findings
from pushforward.recipes.translation.scenes import day_and_night, folders_or_scenes
from pushforward.recipes.translation.task import Task, findings, play

__all__ = ["TASK", "run"]

TASK = Task("day to night", "day", "night", shown=16_000)


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Fit and measure, and draw."""
    source, notes = folders_or_scenes(paths, day_and_night, seed)
    trial = play(TASK, source, seed=seed, budget=budget, folder=folder)
    return findings([trial], notes)
