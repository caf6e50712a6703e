"""Clips of a disc or a square that crosses a still background, whose masks are known.

The shape crosses from one side to the other, across or along, on a slightly bent path; it is bright
and the background dark, with a gradient of two colours. Edges are antialiased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.random import generator, integers, uniform

__all__ = ["FRAMES", "FRAME_RATE", "SIDE", "MovingShapes", "moving_shapes"]

SIDE, FRAMES = 32, 16
"""Pixels a side and frames, unless told otherwise: a VGAN of these learns in minutes on a CPU."""
FRAME_RATE = 8.0
"""Frames per second at which they are shown: a shape crosses in two seconds."""
DARKEST_SHAPE, BRIGHTEST_GROUND = 0.35, 0.3
"""As shares of the brightest level: shapes stand out from any background."""
SMALLEST, LARGEST = 0.10, 0.18
"""Radius of a disc, or half a square's side, as shares of the image's side."""
ENDS = 0.15
"""Share of the side in which a path begins and ends."""
BEND = 0.12
"""Largest distance of a path from a straight one, as a share of the side."""


@dataclass(frozen=True)
class MovingShapes:
    """Clips, and where their shapes are.

    Args:
        clips: (n, 3, frames, side, side), bytes.
        masks: (n, 1, frames, side, side), the share of every pixel that the shape covers.
    """

    clips: Tensor
    masks: Tensor


def moving_shapes(n: int, *, side: int = SIDE, frames: int = FRAMES, seed: int = 0) -> MovingShapes:
    """n clips, and the exact masks of their shapes.

    Args:
        n: number of clips.
        side: pixels a side.
        frames: of a clip.
        seed: the same seed gives the same clips.
    """
    stream = generator(seed)

    def one(low: float, high: float) -> Tensor:
        return low + (high - low) * uniform(n, rng=stream)

    radius = side * one(SMALLEST, LARGEST)
    round_ones = integers(2, (n,), rng=stream).bool()
    downwards = integers(2, (n,), rng=stream).bool()
    backwards = integers(2, (n,), rng=stream).bool()
    start, end, level = one(0, ENDS), one(1 - ENDS, 1), one(0.25, 0.75)
    start, end = torch.where(backwards, end, start), torch.where(backwards, start, end)
    bend = one(-BEND, BEND)
    share = torch.linspace(0, 1, frames)
    along = side * (start[:, None] + (end - start)[:, None] * share)
    across = side * (level[:, None] + bend[:, None] * (math.pi * share).sin())
    x = torch.where(downwards[:, None], across, along)
    y = torch.where(downwards[:, None], along, across)
    pixels = torch.arange(side) + 0.5
    dx = (pixels - x[:, :, None]).abs()[:, :, None, :]
    dy = (pixels - y[:, :, None]).abs()[:, :, :, None]
    distance = torch.where(
        round_ones[:, None, None, None], torch.hypot(dx, dy), torch.maximum(dx, dy)
    )
    masks = (radius[:, None, None, None] - distance + 0.5).clamp(0, 1)[:, None]
    colour = _colours(n, DARKEST_SHAPE, 1.0, stream)
    first, second = (_colours(n, 0.0, BRIGHTEST_GROUND, stream) for _ in range(2))
    angle = 2 * math.pi * uniform(n, rng=stream)
    slope = pixels / side - 0.5
    ramp = 0.5 + 0.7 * (  # 0.7 of a unit square's diagonal stays between 0 and 1
        angle.cos()[:, None, None] * slope + angle.sin()[:, None, None] * slope[:, None]
    )
    ramp = ramp.clamp(0, 1)[:, None]
    ground = first[:, :, None, None] * (1 - ramp) + second[:, :, None, None] * ramp
    made = masks * colour[:, :, None, None, None] + (1 - masks) * ground[:, :, None]
    return MovingShapes((255 * made).round().to(torch.uint8), masks)


def _colours(n: int, low: float, high: float, stream: torch.Generator) -> Tensor:
    """(n, 3) with the largest channel between the middle and `high`, the others above `low`."""
    colours = low + (high - low) * uniform(n, 3, rng=stream)
    lit = integers(3, (n,), rng=stream)
    colours[torch.arange(n), lit] = (low + high) / 2 + (high - low) / 2 * uniform(n, rng=stream)
    return colours
