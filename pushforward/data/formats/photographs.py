"""Photographs as they are: their own channels and size, with what the camera noted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pushforward.data.formats.image_lists import ImageFile
from pushforward.data.formats.images import image_array, natural_channels, opened, turned_upright

__all__ = ["Photograph", "read_photograph"]

KEPT = (270, 271, 272, 305, 306, 315, 33432, 0x8769, 0x8825)
"""EXIF tags that hold for an enlarged image, too: description, make, model, software, date, artist,
copyright, the camera's settings and the place; not the size, the orientation or a thumbnail."""
SETTINGS, SIZES = 0x8769, (0xA002, 0xA003)
"""The tag of the camera's settings, and those among them that state the size."""
PROFILED = ("L", "RGB", "RGBA", "LA")
"""Modes whose colour profile holds for the bytes read; those of others are converted."""


@dataclass(frozen=True)
class Photograph:
    """An image, upright, as bytes (1, 3 or 4 channels, height, width).

    Args:
        exif, profile: its EXIF and its ICC profile; empty if it has none.
    """

    levels: NDArray[Any]
    exif: bytes = b""
    profile: bytes = b""


def read_photograph(file: ImageFile) -> Photograph:
    """The photograph in a file.

    Raises:
        BadSource: If it is not an image, or deeper than 16 bits.
    """
    with opened(file.open(), file.display_name, reduced=True) as image:
        channels = natural_channels(image, file.display_name)
        profile = image.info.get("icc_profile") if image.mode in PROFILED else None
        array = image_array(turned_upright(image, file.display_name), channels)
        writable = np.array(array)  # Pillow's may not be written to
        return Photograph(writable, _exif(image), profile or b"")


def _exif(image: Image.Image) -> bytes:
    """The tags that are kept; damaged metadata is left out, as image viewers do."""
    try:
        before, kept = image.getexif(), Image.Exif()
        for tag in KEPT:
            if tag not in before:
                continue
            value: Any = before[tag]
            if tag >= SETTINGS:
                value = dict(before.get_ifd(tag))
                value = {key: v for key, v in value.items() if key not in SIZES}
            kept[tag] = value
        return kept.tobytes() if len(kept) else b""
    except Exception:
        return b""
