"""Images of more than 8 bits a channel: refused for training, reduced where an image is used."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pushforward.core.errors import BadSource
from pushforward.data.files import decoding, printable
from pushforward.data.formats.image_formats import bit_depth

__all__ = ["in_bytes", "refuse_depth", "too_deep"]

STEP = 257
"""Levels of 16 bits in one of 8: 65535 / 255."""


def refuse_depth(image: Image.Image, start: bytes, name: str) -> None:
    """Raise BadSource for levels finer than bytes.

    Args:
        image: a newly opened image.
        start: the first bytes of its file.
        name: in the message.
    """
    with decoding(name, "the image is damaged or cut short"):
        depth = bit_depth(image, start)
    if depth > 8:
        raise too_deep(name, image.mode if image.mode.startswith(("I", "F")) else f"{depth}-bit")


def in_bytes(image: Image.Image, name: str) -> Image.Image:
    """The image with greys of 16 bits rounded to 8; Pillow reduces colours by itself.

    Raises:
        BadSource: For fractions and levels of 32 bits, whose range is not known.
    """
    wide = image.mode == "I" and image.format in ("PNG", "PPM")
    if not (wide or image.mode.startswith("I;16")):
        if image.mode in ("F", "I"):
            raise too_deep(name, image.mode)
        return image
    with decoding(name, "the image is damaged or cut short"):
        levels = np.asarray(image).astype(np.float64) / STEP
        reduced = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
    reduced.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return reduced


def too_deep(name: str, levels: str) -> BadSource:
    """The error for levels finer than bytes."""
    return BadSource(
        f"{printable(name)}: holds {levels} levels, finer than bytes; expected 8 bits a channel:"
        " convert it, or pass an array (.npz)"
    )
