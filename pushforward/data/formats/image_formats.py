"""The supported image formats, and facts Pillow does not report: depth, frames and orientation.

Only the decoders listed here ever see a file: others in Pillow start external programs (EPS and PDF
through Ghostscript) or are rarely tested. TGA has no signature, so it is tried only for files with
its suffix.
"""

from __future__ import annotations

import importlib
import struct
from functools import lru_cache
from typing import Any

from PIL import Image

__all__ = [
    "ANIMATED",
    "DEMUXERS",
    "FILMS",
    "SUFFIXES",
    "allowed_formats",
    "bit_depth",
    "has_frames",
    "orientation",
    "upright_size",
    "repair_transparency",
]

_FORMATS = {
    "PNG": ("Png", (".png", ".apng")),
    "JPEG": ("Jpeg", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")),
    "BMP": ("Bmp", (".bmp",)),
    "DIB": ("Bmp", (".dib",)),
    "GIF": ("Gif", (".gif",)),
    "WEBP": ("WebP", (".webp",)),
    "TIFF": ("Tiff", (".tif", ".tiff")),
    "PPM": ("Ppm", (".pgm", ".ppm", ".pbm", ".pnm")),
    "JPEG2000": ("Jpeg2K", (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc")),
    "AVIF": ("Avif", (".avif", ".avifs")),
    "QOI": ("Qoi", (".qoi",)),
    "TGA": ("Tga", (".tga",)),
}

SUFFIXES = tuple(s for _, suffixes in _FORMATS.values() for s in suffixes)
"""The supported suffixes of image files, in lower case."""

DEMUXERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".webm": "matroska",
    ".mkv": "matroska",
    ".avi": "avi",
    ".mpg": "mpeg",
    ".mpeg": "mpeg",
}
"""By suffix, how FFmpeg takes a film apart: left to itself it would also follow playlists."""
FILMS = tuple(DEMUXERS)
"""The suffixes of films, in lower case."""
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats whose further images are frames in time, not pages."""

_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations in which height and width change places."""
_ORIENTATION = 0x0112
"""The number of EXIF's tag 'Orientation' (0x0112)."""
_TRANSPARENCY_SCALE = {"L;2": (4, 85), "L;4": (16, 17)}


@lru_cache(maxsize=2)
def _available(tga: bool) -> tuple[str, ...]:
    """The allowed formats that this Pillow can decode."""
    names = []
    for name, (module, _) in _FORMATS.items():
        if name == "TGA" and not tga:
            continue
        try:
            importlib.import_module(f"PIL.{module}ImagePlugin")
        except ImportError:  # an older Pillow
            continue
        if name in Image.OPEN:
            names.append(name)
    return tuple(names)


def allowed_formats(name: str) -> tuple[str, ...]:
    """The decoders for a file of this name; its content decides among them, not its suffix."""
    return _available(name.lower().endswith(".tga"))


def bit_depth(image: Image.Image, start: bytes) -> int:
    """Bits per channel in the file, before decoding: Pillow keeps only the high byte beyond 8.

    Args:
        image: a newly opened image.
        start: the first bytes of the file, for formats whose depth Pillow does not report.
    """
    if image.mode.startswith("I;16"):
        return 16
    if image.mode in ("I", "F"):
        return 32
    if image.format == "TIFF":
        return max((int(b) for b in _tag(image, 258, (8,))), default=8)
    if image.format == "JPEG2000":
        return _jpeg2000_depth(start)
    if image.format == "AVIF":
        return _avif_depth(start)
    for tile in getattr(image, "tile", ()):
        args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if image.format == "PNG" and any(isinstance(a, str) and ";16" in a for a in args):
            return 16
        # the highest level
        if image.format == "PPM" and any(isinstance(a, int) and a > 255 for a in args):
            return 16
    return 8


def _jpeg2000_depth(start: bytes) -> int:
    """From the SIZ marker: the deepest component."""
    place = start.find(b"\xff\x4f\xff\x51")
    siz = start[place + 4 :] if place >= 0 else b""
    if len(siz) < 38:
        return 8
    components = struct.unpack_from(">H", siz, 36)[0]
    return max(((b & 0x7F) + 1 for b in siz[38 : 38 + 3 * components : 3]), default=8)


def _avif_depth(start: bytes) -> int:
    """From the AV1 configuration: bit 6 of its third byte marks more than 8 bits."""
    place = start.find(b"av1C")
    return 10 if place >= 0 and len(start) > place + 6 and start[place + 6] & 0x40 else 8


def has_frames(image: Image.Image) -> bool:
    """Whether an animation or a multi-page file was opened, of which Pillow shows the first image.

    Not for MPO, whose further images are previews and depth maps of a JPEG.
    """
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


def orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8 yet to be applied; 1 if the metadata cannot be read.

    Pillow rotates TIFFs itself when decoding.
    """
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return 1  # reading EXIF of a PNG without it would decode the image
    return _valid(_exif_orientation(image))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an opened, undecoded image after rotation to upright."""
    width, height = image.size
    turned = orientation(image)
    if image.format == "TIFF":  # some versions of Pillow already return the upright size
        width, height = int(_tag(image, 256, (width,))[0]), int(_tag(image, 257, (height,))[0])
        turned = _valid(_tag(image, _ORIENTATION, (1,))[0])
    return (width, height) if turned in _SIDEWAYS else (height, width)


def repair_transparency(image: Image.Image) -> None:
    """Scale the transparent level of a 2- or 4-bit grey PNG to the 8 bits of its pixels."""
    level = image.info.get("transparency")
    if image.format != "PNG" or image.mode not in ("1", "L") or not isinstance(level, int):
        return
    if image.mode == "1":  # releases of Pillow before 13 leave the level as it is in the file
        image.info["transparency"] = 255 if level else 0
        return
    for tile in getattr(image, "tile", ()):
        levels, scale = _TRANSPARENCY_SCALE.get(tile[3] if isinstance(tile[3], str) else "", (0, 1))
        if level < levels:
            image.info["transparency"] = level * scale


def _exif_orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata is ignored, as in image viewers
        return 1


def _valid(value: object) -> int:
    return int(value) if isinstance(value, (int, float)) and value in range(1, 9) else 1


def _tag(image: Image.Image, number: int, default: tuple[Any, ...]) -> tuple[Any, ...]:
    """A TIFF tag's values."""
    value = image.tag_v2.get(number, default)  # type: ignore[attr-defined]
    return value if isinstance(value, tuple) else (value,)
