"""Shots of a player who does not exist, for pictures that need no table.

Half of them are behind the arc, most of the others at the rim, few in between, which is how shots
are spread today. The shares are round numbers of our own; the court is that of the rules.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.core.random import Rng, generator, normal, uniform
from pushforward.recipes.basketball.court import ARC, CORNER, RIM

__all__ = ["ZONES", "invented_shots"]

ZONES = {"rim": 0.30, "mid-range": 0.20, "left corner": 0.05, "right corner": 0.05, "arc": 0.40}
"""Shares of the shots."""
MEET = math.sqrt(ARC**2 - CORNER**2)
"""Feet beyond the rim at which the straight parts of the three-point line end."""


def invented_shots(n: int, *, rng: Rng = None) -> Tensor:
    """n places (n, 2) on half a court, feet from the middle and from the baseline, float64."""
    stream = generator(rng)
    ends = (torch.tensor(list(ZONES.values())).cumsum(0) * n).round().long().tolist()
    sizes = [end - start for start, end in zip([0, *ends], ends)]
    parts = [
        _around(sizes[0], 0.0, 1.9, (0.0, math.pi), stream),
        _around(sizes[1], 13.0, 3.5, (0.0, math.pi), stream),
        _corner(sizes[2], -1.0, stream),
        _corner(sizes[3], 1.0, stream),
        _around(sizes[4], ARC + 1.4, 0.9, (0.42, math.pi - 0.42), stream),
    ]
    x = torch.cat(parts)
    return torch.stack([x[:, 0].clamp(-25.0, 25.0), x[:, 1].clamp(0.0, 47.0)], 1)


def _around(
    n: int, distance: float, spread: float, angles: tuple[float, float], rng: torch.Generator
) -> Tensor:
    """Places at about this distance from the rim, between two angles (0 is the shooter's left)."""
    radius = (distance + spread * normal(n, rng=rng, dtype=torch.float64)).abs()
    low, high = angles
    angle = low + (high - low) * uniform(n, rng=rng, dtype=torch.float64)
    return torch.stack([RIM[0] + radius * angle.cos(), RIM[1] + radius * angle.sin()], 1)


def _corner(n: int, side: float, rng: torch.Generator) -> Tensor:
    """Places behind the straight part of the line, close to it."""
    across = CORNER + 0.8 + 0.5 * normal(n, rng=rng, dtype=torch.float64).abs()
    along = RIM[1] + MEET * (uniform(n, rng=rng, dtype=torch.float64) * 1.4 - 0.6)
    return torch.stack([side * across, along], 1)
