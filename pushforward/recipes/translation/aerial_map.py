"""Maps from aerial views, by pix2pix: two folders of yours, or synthetic places.

A map follows from the view, up to the noise of grass and water, so L1 alone does well here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pushforward.recipes.registry import Findings
from pushforward.recipes.translation.scenes import aerial_and_map, folders_or_scenes
from pushforward.recipes.translation.task import Task, findings, play

__all__ = ["TASK", "run"]

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
    source, notes = folders_or_scenes(paths, aerial_and_map, seed)
    trial = play(TASK, source, seed=seed, budget=budget, folder=folder)
    return findings([trial], notes)
