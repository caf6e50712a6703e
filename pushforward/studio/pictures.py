"""Pictures that a page sends, in memory only, and pictures that it is shown."""

from __future__ import annotations

import io
import threading
import warnings

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pushforward.core.errors import BadSource, printable
from pushforward.data.formats.image_formats import allowed_formats
from pushforward.data.formats.images import (
    Header,
    decode,
    header,
    image_array,
    natural_channels,
    opened,
    turned_upright,
)
from pushforward.data.image_inputs import ImageInputs, image_channels
from pushforward.data.options import Options

__all__ = [
    "MEGAPIXELS",
    "ONE_PHOTO",
    "as_rgba",
    "check_picture",
    "count_pixels",
    "read_input",
    "read_photo",
]

MEGAPIXELS = 40
"""Pictures of more pixels are refused before they are decoded."""
ONE_PHOTO = threading.Lock()
"""Photographs are changed at their own size one at a time: the largest take a gigabyte."""


def check_picture(data: bytes, name: str) -> Header:
    """What the header of a picture says.

    Raises:
        BadSource: If it is none, or has too many pixels.
    """
    if not data:
        raise BadSource("no picture came with the request; choose a file")
    count_pixels(data, name)
    return header(io.BytesIO(data), name, reduced=True)


def count_pixels(data: bytes, name: str) -> int:
    """The number of pixels that the header of a picture claims; 0 if it is none.

    Raises:
        BadSource: If they are too many.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=allowed_formats(name)) as image:
                pixels: int | None = image.width * image.height
        except Image.DecompressionBombError:
            pixels = None
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            return 0  # who decodes it says what is wrong
    if pixels is None or pixels > MEGAPIXELS * 1_000_000:
        count = "far too many" if pixels is None else f"{pixels / 1e6:.0f}"
        raise BadSource(
            f"{printable(name)}: has {count} megapixels, expected at most {MEGAPIXELS}; shrink it"
            " first"
        )
    return pixels


def read_input(data: bytes, name: str, inputs: ImageInputs) -> Tensor:
    """A picture (c, h, w) as a model takes it."""
    options = Options(label=False, size=inputs.size, fit=inputs.fit)
    channels = image_channels(inputs.space)
    return inputs.levels(decode(io.BytesIO(data), name, options, channels, reduced=True))


def read_photo(data: bytes, name: str) -> Tensor:
    """A picture in its own channels, 1, 3 or 4, and size, as bytes (c, h, w)."""
    with opened(io.BytesIO(data), name, reduced=True) as image:
        channels = natural_channels(image, name)
        array = image_array(turned_upright(image, name), channels)
        return torch.from_numpy(np.array(array))


def as_rgba(levels: Tensor) -> Tensor:
    """Bytes (c, h, w) of 1, 3 or 4 channels as (1, h, w, 4)."""
    channels, height, width = levels.shape
    pixels = torch.full((1, height, width, 4), 255, dtype=torch.uint8)
    shown = levels[:1] if channels < 3 else levels
    pixels[0, ..., : max(3, len(shown))] = shown.movedim(0, -1)
    return pixels
