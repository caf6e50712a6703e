"""Bicubic resizing as MATLAB has it: every pixel by a direct evaluation of the kernel."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import pushforward as pf
from pushforward.data.resampling import enlarge, reduce, resize


def keys(t: Fraction) -> Fraction:
    """Keys' cubic with a = -1/2, exactly."""
    t = abs(t)
    if t <= 1:
        return Fraction(3, 2) * t**3 - Fraction(5, 2) * t**2 + 1
    if t < 2:
        return -Fraction(1, 2) * t**3 + Fraction(5, 2) * t**2 - 4 * t + 2
    return Fraction(0)


def along_one(line: list[Fraction], length: int) -> list[Fraction]:
    """A line resized: a sum over all whole numbers near, mirrored at the ends."""
    scale = Fraction(length, len(line))
    stretch = max(Fraction(1), 1 / scale)
    result = []
    for i in range(length):
        centre = (i + Fraction(1, 2)) / scale - Fraction(1, 2)
        total, weights = Fraction(0), Fraction(0)
        for k in range(math.floor(centre - 2 * stretch), math.ceil(centre + 2 * stretch) + 1):
            weight = keys((centre - k) / stretch)
            place = k % (2 * len(line))
            place = place if place < len(line) else 2 * len(line) - 1 - place
            total, weights = total + weight * line[place], weights + weight
        result.append(total / weights)
    return result


def by_hand(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """An image (h, w), bytes: the direction that is reduced most first, rounded after each."""

    def rounded(line: list[Fraction]) -> list[Fraction]:
        return [Fraction(min(255, max(0, math.floor(v + Fraction(1, 2))))) for v in line]

    def vertical(rows: list[list[Fraction]]) -> list[list[Fraction]]:
        columns = [rounded(along_one(list(column), height)) for column in zip(*rows)]
        return [list(row) for row in zip(*columns)]

    def horizontal(rows: list[list[Fraction]]) -> list[list[Fraction]]:
        return [rounded(along_one(row, width)) for row in rows]

    rows = [[Fraction(int(v)) for v in row] for row in image]
    h, w = image.shape
    steps = [vertical, horizontal] if Fraction(height, h) <= Fraction(width, w) else [horizontal]
    steps = steps if len(steps) == 2 else [horizontal, vertical]
    for step in steps:
        rows = step(rows)
    return np.array([[int(v) for v in row] for row in rows], np.uint8)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((12, 16), (3, 4)),
        ((9, 12), (3, 4)),
        ((8, 6), (4, 3)),
        ((3, 4), (12, 16)),
        ((16, 8), (2, 1)),
    ],
)
def test_every_pixel_of_bytes(before: tuple[int, int], after: tuple[int, int]) -> None:
    """S1: noise, in which every weight and every rounding counts."""
    noise = np.random.default_rng(0).integers(0, 256, before, dtype=np.uint8)
    found = resize(torch.from_numpy(noise)[None, None], after)
    assert found.dtype == torch.uint8
    assert np.array_equal(found[0, 0].numpy(), by_hand(noise, *after))


def test_fractions_are_neither_rounded_nor_clipped() -> None:
    step = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    step[..., 4:] = 1
    found = enlarge(step, 2)
    assert float(found.min()) < -0.01
    assert float(found.max()) > 1.01
    line = [Fraction(int(v)) for v in step[0, 0, 0]]
    expected = torch.tensor([float(v) for v in along_one(line, 16)], dtype=torch.float64)
    assert torch.allclose(found[0, 0, 0], expected, atol=1e-12)


def test_sides_are_rounded_up_and_constants_stay() -> None:
    grey = torch.full((1, 3, 10, 7), 77, dtype=torch.uint8)
    assert torch.equal(reduce(grey, 4), torch.full((1, 3, 3, 2), 77, dtype=torch.uint8))
    with pytest.raises(pf.InvalidValue, match="sides of at least one pixel, got 0x4"):
        resize(grey, (0, 4))
