"""Maps from aerial views, by pix2pix: two folders of yours, or synthetic places.

A map follows from the view, up to the noise of grass and water, so L1 alone does well here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pushforward.recipes.registry import Findings
from pushforward.recipes.translation.scenes import aerial_and_map, scenes
from pushforward.recipes.translation.task import Task, findings, play, two_folders

__all__ = ["TASK", "run"]

SIDE, SCENES = 64, 800
"""Pixels a side, and how many synthetic scenes."""
TASK = Task("aerial to map", "aerial view", "map", shown=16_000)


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Fit and measure, and draw."""
    if paths:
        source, notes = two_folders(paths, SIDE), []
    else:
        source = scenes(aerial_and_map, SCENES, SIDE, seed)
        notes = ["synthetic scenes, made by this package; --file takes a folder of your own"]
    trial = play(TASK, source, seed=seed, budget=budget, folder=folder)
    return findings([trial], notes)
