"""Pairs of images that this package makes itself, where no photographs are at hand.

* Day and night: houses under a sky; at night it is dark, half of the windows are lit, and there is
  a moon. Which windows are lit cannot be told from the day.
* Aerial views and maps: blocks between streets, a river, parks. The colours of roofs and the noise
  of grass and water cannot be told from the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.random import derive
from pushforward.core.source import Source
from pushforward.data.sources.pairs import Pairs
from pushforward.recipes.translation.task import two_folders

__all__ = ["aerial_and_map", "day_and_night", "folders_or_scenes", "scenes"]

SIDE, SCENES = 64, 800
"""Pixels a side, and how many synthetic scenes."""

Canvas: TypeAlias = NDArray[Any]
"""(height, width, 3), levels as floats."""
Maker: TypeAlias = Callable[[np.random.Generator, int], tuple[Canvas, Canvas]]


def folders_or_scenes(paths: Sequence[Path], make: Maker, seed: int) -> tuple[Source, list[str]]:
    """The pairs of two folders, or synthetic ones where none are given, and a note about these."""
    if paths:
        return two_folders(paths, SIDE), []
    note = "synthetic scenes, made by this package; --file takes a folder of your own"
    return scenes(make, SCENES, SIDE, seed), [note]


def scenes(make: Maker, n: int, side: int, seed: int) -> Pairs:
    """n pairs of a kind as a source; the first of each is the condition.

    Args:
        make: `day_and_night` or `aerial_and_map`.
        side: pixels of height and width.
    """
    rng = np.random.default_rng(derive(seed, "scenes"))
    pairs = [make(rng, side) for _ in range(n)]
    y, x = (_levels([pair[i] for pair in pairs]) for i in (0, 1))
    return Pairs(Arrays(x, name=f"{n} synthetic scenes"), Arrays(y))


def _levels(canvases: list[Canvas]) -> Tensor:
    array = np.stack(canvases).clip(0, 255).round().astype(np.uint8)
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy())


def day_and_night(rng: np.random.Generator, side: int) -> tuple[Canvas, Canvas]:
    """One scene by day and by night."""
    down, across = np.mgrid[:side, :side] / side
    height = down[..., None]
    day = (1 - height) * np.array([90, 150, 225]) + height * np.array([215, 230, 245])
    night = (1 - height) * np.array([8, 10, 30]) + height * np.array([35, 35, 75])
    x, y = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.25)
    disc = (down - y) ** 2 + (across - x) ** 2 < 0.06**2
    day[disc], night[disc] = (255, 240, 170), (225, 225, 210)
    level = rng.uniform(0.55, 0.7) + 0.05 * np.sin(2 * np.pi * (across + rng.uniform()))
    ground = down > level
    green = np.array([95, 150, 70]) * rng.uniform(0.8, 1.15)
    day[ground], night[ground] = green, green * (0.18, 0.2, 0.35)
    for _ in range(int(rng.integers(2, 5))):
        _house(rng, day, night, side)
    return day, night


def _house(rng: np.random.Generator, day: Canvas, night: Canvas, side: int) -> None:
    wide, high = (int(side * rng.uniform(low, 0.36)) for low in (0.2, 0.22))
    left = int(rng.integers(0, side - wide))
    bottom = int(side * rng.uniform(0.75, 0.95))
    colour, roof = rng.uniform(110, 235, 3), rng.uniform(60, 150, 3)
    walls = slice(bottom - high, bottom), slice(left, left + wide)
    day[walls], night[walls] = colour, colour * (0.22, 0.22, 0.36)
    for row in range(max(2, high // 3)):  # a gable
        inset = row * wide // (2 * max(2, high // 3))
        line = bottom - high - 1 - row, slice(left + inset, left + wide - inset)
        day[line], night[line] = roof, roof * (0.2, 0.2, 0.34)
    pane = max(2, side // 16)
    for top in range(bottom - high + pane, bottom - pane, 2 * pane):
        for at in range(left + pane, left + wide - pane, 2 * pane):
            window = slice(top, top + pane), slice(at, at + pane)
            day[window] = (70, 85, 105)
            night[window] = (255, 215, 120) if rng.uniform() < 0.5 else (18, 20, 38)


def aerial_and_map(rng: np.random.Generator, side: int) -> tuple[Canvas, Canvas]:
    """One place from above, and its map."""
    shape = (side, side, 1)
    aerial = np.array([125, 135, 85]) + rng.normal(0, 14, shape)
    plan = np.full((side, side, 3), (242.0, 239.0, 233.0))
    lines = [_streets(rng, side) for _ in range(2)]
    for top, bottom in zip(lines[0], lines[0][1:]):
        for left, right in zip(lines[1], lines[1][1:]):
            _block(rng, aerial, plan, (top + 2, bottom - 2), (left + 2, right - 2))
    for i, places in enumerate(lines):
        for place in places:
            band = slice(max(0, place - 2), max(0, place + 2))
            _street(rng, aerial, plan, (band, slice(None)) if i == 0 else (slice(None), band))
    if rng.uniform() < 0.5:
        down, across = np.mgrid[:side, :side] / side
        middle = rng.uniform(0.2, 0.8) + 0.08 * np.sin(2 * np.pi * (down + rng.uniform()))
        river = np.abs(across - middle) < rng.uniform(0.05, 0.1)
        water = np.array([45, 75, 85]) + rng.normal(0, 6, shape)
        aerial[river], plan[river] = water[river], (170, 211, 223)
    return aerial, plan


def _streets(rng: np.random.Generator, side: int) -> list[int]:
    places = [int(rng.integers(-side // 8, side // 8))]
    while places[-1] < side:
        places.append(places[-1] + int(side * rng.uniform(0.22, 0.4)))
    return places


def _street(
    rng: np.random.Generator, aerial: Canvas, plan: Canvas, at: tuple[slice, slice]
) -> None:
    plan[at] = 255
    aerial[at] = np.array([128, 126, 124]) + rng.normal(0, 7, (*aerial[at].shape[:2], 1))


def _block(
    rng: np.random.Generator,
    aerial: Canvas,
    plan: Canvas,
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> None:
    top, left = max(0, rows[0]), max(0, columns[0])
    at = slice(top, max(0, rows[1])), slice(left, max(0, columns[1]))
    if rng.uniform() < 0.2:  # a park
        plan[at] = (200, 230, 180)
        trees = rng.normal(0, 26, (*aerial[at].shape[:2], 1))
        aerial[at] = np.array([62, 96, 50]) + trees
        return
    for y in range(top + 1, rows[1] - 4, 8):
        for x in range(left + 1, columns[1] - 4, 8):
            if rng.uniform() < 0.8:
                house = slice(y, y + int(rng.integers(4, 7))), slice(x, x + int(rng.integers(4, 7)))
                plan[house] = (217, 208, 201)
                roof = np.array([(165, 85, 65), (140, 140, 145), (110, 80, 70)][rng.integers(3)])
                aerial[house] = roof * rng.uniform(0.85, 1.15)
