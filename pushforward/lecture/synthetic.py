"""Synthetic basketball for the lecture: shots, moves and players, drawn at random.

Nobody's statistics: tables of real shots are not part of this package. `pushforward recipe curry`
makes the same figures from a table of yours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.core.random import Rng, generator, integers, normal, uniform

__all__ = ["made", "moves", "shooting_maps", "shots"]

ARC, RIM = 23.75, 5.25
"""Feet: radius of the three-point line, and distance of the rim from the baseline."""
CELLS, FEET = (18, 25), 2.0
"""Cells along and across the half court in front of the basket, and their side."""
STEPS, SECONDS = 25, 0.2
"""Five seconds of a player's path."""
F64 = torch.float64


def shots(n: int = 2000, *, rim: float = 0.35, middle: float = 0.25, rng: Rng = 0) -> Tensor:
    """Places of shots (n, 2), feet: across from the middle, and along from the baseline.

    Args:
        rim: share of shots at the rim.
        middle: share of shots from mid-range; the others are three-pointers.
    """
    stream = generator(rng)
    u = uniform(n, rng=stream, dtype=F64)
    angle = math.pi * uniform(n, rng=stream, dtype=F64)
    beyond = ARC + 1.2 * normal(n, rng=stream, dtype=F64).abs() + 0.2
    elbow = torch.tensor([[-8.0, 19.0], [8.0, 19.0], [0.0, 14.0]], dtype=F64)[
        integers(3, (n,), rng=stream)
    ]
    noise = normal(n, 2, rng=stream, dtype=F64)
    arc = torch.stack([beyond * angle.cos(), RIM + beyond * angle.sin()], 1)
    corner = arc[:, 0].abs() > 22.5  # the line is straight there
    arc[corner, 0] = arc[corner, 0].sign() * (22.8 + 0.5 * noise[corner, 0].abs())
    near = torch.tensor([0.0, RIM + 1], dtype=F64) + 1.8 * noise
    x = torch.where((u < rim)[:, None], near, arc)
    x = torch.where(((u >= rim) & (u < rim + middle))[:, None], elbow + 2.5 * noise, x)
    return torch.stack([x[:, 0].clamp(-24.9, 24.9), x[:, 1].clamp(0.2, 46)], 1)


def made(x: Tensor, *, rng: Rng = 1) -> Tensor:
    """Whether shots from places (n, 2) go in: a chance of 65 % at the rim, falling to 33 % at the
    arc and beyond.

    Args:
        rng: another seed than that of `shots`, whose first numbers choose the kind of shot.
    """
    far = (x - torch.tensor([0.0, RIM], dtype=x.dtype)).norm(dim=1) / ARC
    chance: Tensor = 0.65 - 0.32 * far.clamp(max=1)
    return uniform(len(x), rng=generator(rng), dtype=F64) < chance


def moves(n: int = 2000, *, rng: Rng = 0) -> Tensor:
    """Paths (n, 25, 2) of five seconds, feet: ahead of and to the left of the start.

    The first step points ahead; speed and curvature change slowly.
    """
    stream = generator(rng)
    speed = 4 + 12 * uniform(n, 1, rng=stream, dtype=F64)
    push = 0.25 * normal(n, 1, rng=stream, dtype=F64)
    turn = 0.035 * normal(n, 1, rng=stream, dtype=F64)
    t = torch.arange(STEPS, dtype=F64)[None]
    pace = (speed * (1 + push * t / STEPS).clamp_min(0.1)) * SECONDS
    wobble = 0.02 * normal(n, STEPS, rng=stream, dtype=F64).cumsum(1)
    heading = turn * t + wobble
    steps = torch.stack([pace * heading.cos(), pace * heading.sin()], -1)
    return steps.cumsum(1) - steps[:, :1]


def shooting_maps(players: int = 400, attempts: int = 600, *, rng: Rng = 0) -> Tensor:
    """Shares of each player's shots (players, 1, 18, 25) in cells of two by two feet."""
    stream = generator(rng)
    maps = []
    for _ in range(players):
        a, b, c = (-uniform(3, rng=stream, dtype=F64).log()).tolist()
        share = a + b + c
        x = shots(attempts, rim=a / share, middle=b / share, rng=stream)
        column = ((x[:, 0] + 25) / FEET).long().clamp(0, CELLS[1] - 1)
        row = (x[:, 1] / FEET).long().clamp(0, CELLS[0] - 1)
        cells = torch.bincount(row * CELLS[1] + column, minlength=CELLS[0] * CELLS[1])
        maps.append(cells.reshape(1, *CELLS) / attempts)
    return torch.stack(maps)
