"""Grids of many images in one, in reading order; tiny images are enlarged by whole pixels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.space import Space

__all__ = ["clip_grid", "frame_space", "image_bytes", "image_grid", "to_image"]

_LEGIBLE = 48
"""Pixels a side up to which images are enlarged: smaller ones are hard to see on a screen."""
_LARGEST = 16384
"""Pixels a side of a grid: what viewers still open."""
_BLOCK = 1 << 21
"""Numbers converted to bytes at a time: 16 MB of float64."""


def image_grid(
    x: Tensor, space: Space, columns: int | None = None, *, padding: int = 2
) -> Image.Image:
    """Images (n, channels, height, width) in the user's units as one image,
    `columns` per row (about √n).

    Images smaller than 48 pixels are enlarged by a whole factor;
    gaps are white, or transparent for 4 channels.
    """
    levels = image_bytes(x, space)
    n, channels, height, width = levels.shape
    if n == 0:
        raise ShapeMismatch("a grid needs at least one image, got none")
    if columns is not None and columns < 1:
        raise InvalidValue(f"columns must be at least 1, got {columns}")
    columns = min(columns or math.ceil(math.sqrt(n)), n)
    rows = math.ceil(n / columns)
    factor = max(1, math.ceil(_LEGIBLE / max(height, width)))
    step_y, step_x = height * factor + padding, width * factor + padding
    if max(rows * step_y, columns * step_x) > _LARGEST:
        raise InvalidValue(
            f"a grid of {n} images of {height}×{width} would exceed {_LARGEST} pixels per side;"
            " write fewer, or to a folder (path/)"
        )
    canvas = np.full(
        (channels, rows * step_y + padding, columns * step_x + padding),
        0 if channels == 4 else 255,
        np.uint8,
    )
    for i, image in enumerate(levels.repeat(factor, 2).repeat(factor, 3)):
        top, left = padding + (i // columns) * step_y, padding + (i % columns) * step_x
        canvas[:, top : top + height * factor, left : left + width * factor] = image
    return to_image(canvas)


def clip_grid(x: Tensor, space: Space, frames: int = 8, *, padding: int = 2) -> Image.Image:
    """Clips (n, channels, time, height, width) as one image:
    a row each, of at most `frames` evenly spaced frames.
    """
    count = min(frames, x.shape[2])
    at = torch.linspace(0, x.shape[2] - 1, count).round().to(torch.int64)
    stills = x[:, :, at].transpose(1, 2).flatten(0, 1)
    return image_grid(stills, frame_space(space), count, padding=padding)


def frame_space(space: Space) -> Space:
    """The space of single frames of clips, with the clips' range."""
    channels, _, height, width = space.shape
    return replace(space, kind="images", shape=(channels, height, width), form="tensor", extra={})


def image_bytes(x: Tensor, space: Space) -> NDArray[Any]:
    """Images as bytes 0..255: the space's range stretched over them, other values clipped."""
    if space.kind != "images" or x.ndim != 4:
        raise ShapeMismatch(
            f"expected images (n, channels, height, width), got shape {tuple(x.shape)} in a space"
            f" of {space}"
        )
    x = x.detach().cpu()
    low, high = space.low, space.high
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        numbers = x.to(torch.float64).nan_to_num()
        low, high = float(numbers.min()), float(numbers.max())
    levels = torch.empty(x.shape, dtype=torch.uint8)
    for rows in torch.arange(x.shape[2]).split(max(1, _BLOCK // max(1, x[:, :, :1].numel()))):
        part = x[:, :, rows].to(torch.float64).nan_to_num()
        scaled = (part.clamp(low, high) - low) / (high - low if high > low else 1.0)
        levels[:, :, rows] = (scaled * 255).round().to(torch.uint8)
    return levels.numpy()


def to_image(image: NDArray[Any]) -> Image.Image:
    """Bytes (channels, height, width) as an image of 1, 3 or 4 channels."""
    if image.shape[0] not in (1, 3, 4):
        raise ShapeMismatch(f"an image has 1, 3 or 4 channels, got {image.shape[0]}")
    return Image.fromarray(
        image[0] if image.shape[0] == 1 else np.ascontiguousarray(image.transpose(1, 2, 0))
    )
