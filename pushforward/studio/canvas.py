"""Observations as arrays that a page draws: images and frames as bytes, points as numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.core.space import Space
from pushforward.data.export.grids import image_bytes

__all__ = ["as_pixels"]


def as_pixels(x: Tensor, space: Space) -> Tensor:
    """Images (n, c, h, w) in the user's units as bytes (n, h, w, 4), RGBA.

    Grey images repeat their level, images of two channels show both as red and green, further
    channels are left out.
    """
    levels = torch.from_numpy(image_bytes(x, space)).movedim(1, -1)
    n, height, width, channels = levels.shape
    pixels = torch.full((n, height, width, 4), 255, dtype=torch.uint8)
    if channels == 1:
        pixels[..., :3] = levels
    else:
        pixels[..., :3] = 0
        pixels[..., : min(3, channels)] = levels[..., :3]
    return pixels
