"""Images from their outlines (Canny's), by pix2pix, from any folder of images; by default emoji.

Flat areas say nothing of their colour: L1 alone makes them pale, a critic does not.
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
"""Pixels that images are brought to."""
TASK = Task("edges to image", "edges", "image", shown=30_000, batch=8)


def pairs(path: Path) -> Source:
    """Images with their outlines as conditions; transparency is laid on white."""
    return read(str(path), y="edges", size=SIDE, channels=3)


def run(
    paths: Sequence[Path],
    *,
    seed: int = 0,
    players: Sequence[str] = (),
    budget: float = 1.0,
    folder: Path | None = None,
) -> Findings:
    """Fit and measure, and draw."""
    trial = play(TASK, pairs(paths[0]), seed=seed, budget=budget, folder=folder)
    return findings([trial])
