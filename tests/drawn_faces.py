"""Drawn faces: emoji with a position, a colour, a gaze and a mood, as small images."""

from __future__ import annotations

import colorsys

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

__all__ = ["face", "faces"]

SCALE = 4
"""Faces are drawn so much larger, and reduced."""


def face(mood: float, gaze: float = 0.0, hue: float = 0.13, side: int = 32) -> Image.Image:
    """A face.

    Args:
        mood: from -1, sad, to 1, happy.
        gaze: from -1, to the left, to 1.
        hue: of its skin, from 0 to 1.
        side: of the image, in pixels.
    """
    large = side * SCALE
    image = Image.new("RGB", (large, large), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    skin = tuple(round(255 * level) for level in colorsys.hsv_to_rgb(hue, 0.75, 1.0))
    unit = large / 32
    draw.ellipse([2 * unit, 2 * unit, 30 * unit, 30 * unit], fill=skin)
    for x in (11, 21):
        at = x + 1.2 * gaze
        draw.ellipse(
            [(at - 1.6) * unit, 10 * unit, (at + 1.6) * unit, 14.5 * unit], fill=(60, 40, 20)
        )
    across = np.linspace(-1, 1, 25)
    down = 21 + 4 * mood * (0.5 - across**2)
    points = [((16 + 7 * x) * unit, y * unit) for x, y in zip(across, down)]
    draw.line(points, fill=(110, 40, 20), width=round(1.8 * unit), joint="curve")
    return image.resize((side, side), Image.Resampling.LANCZOS)


def faces(n: int, seed: int = 0) -> Tensor:
    """Bytes (n, 3, 32, 32)."""
    rng = np.random.default_rng(seed)
    images = [
        face(rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.08, 0.17)) for _ in range(n)
    ]
    return torch.from_numpy(
        np.stack([np.asarray(image) for image in images]).transpose(0, 3, 1, 2).copy()
    )
