"""Six translations between synthetic images, as pairs (x, y)."""

from __future__ import annotations

import torch

from pushforward.core.source import Source
from pushforward.data import read
from pushforward.recipes.translation.scenes import aerial_and_map, day_and_night, scenes

__all__ = ["translation_tasks"]


def translation_tasks(n: int, side: int, *, seed: int = 0) -> dict[str, Source]:
    """Pairs of six tasks by name, n images of `side` pixels each: what is made, given what."""
    rows = torch.arange(n)
    town = scenes(aerial_and_map, n, side, seed).take(rows)
    house = scenes(day_and_night, n, side, seed).take(rows)
    assert town.y is not None
    assert house.y is not None
    aerial, plan, day, night = (v.byte() for v in (town.y, town.x, house.y, house.x))
    return {
        "map to aerial view": read(aerial, y=plan),
        "aerial view to map": read(plan, y=aerial),
        "day to night": read(night, y=day),
        "night to day": read(day, y=night),
        "grey to colour": read(day, y="grey"),
        "outlines to image": read(day, y="edges(low=0.01, high=0.03)"),
    }
