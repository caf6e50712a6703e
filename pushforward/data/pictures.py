"""One picture: opened with its faults named, its channels kept, turned upright, brought to a size.

Grey stays 1 channel, colour 3, anything with transparency 4; a palette is what it stands for. Laying a transparent
picture flat puts it on white: c = α c + (1 - α) 255.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.space import Space
from pushforward.data.options import Options

__all__ = ["MEGAPIXELS", "Header", "header", "decode", "natural_channels", "picture_array", "prepare_array", "preparation"]

MEGAPIXELS = 100
"""Pictures above this many million pixels are refused before they are decoded."""

_CHANNELS = {
    "1": 1,
    "L": 1,
    "RGB": 3,
    "RGBX": 3,
    "CMYK": 3,
    "YCbCr": 3,
    "LAB": 3,
    "HSV": 3,
    "RGBA": 4,
    "RGBa": 4,
    "LA": 4,
    "La": 4,
    "PA": 4,
}
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Header:
    """A picture's channels and its size when upright, read without decoding it."""

    channels: int
    height: int
    width: int


@contextmanager
def opened(file: Any, name: str) -> Iterator[Image.Image]:
    """The picture in a path or binary file; every fault becomes a BadSource that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file) as picture:
                _refuse_bomb(picture, name)
                yield picture
    except BadSource:
        raise
    except Image.DecompressionBombError as error:
        raise BadSource(_bomb(name, str(error).split("(")[-1].split(" ")[0])) from error
    except UnidentifiedImageError as error:
        raise BadSource(f"{name}: is not a picture that can be read; replace or remove it") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadSource(f"{name}: the picture is damaged or cut short ({reason}); replace or remove it") from error


def _refuse_bomb(picture: Image.Image, name: str) -> None:
    pixels = picture.size[0] * picture.size[1]
    if pixels > MEGAPIXELS * 1_000_000:
        raise BadSource(_bomb(name, str(pixels)))


def _bomb(name: str, pixels: str) -> str:
    shown = f"{int(pixels) / 1e6:.0f}" if pixels.isdigit() else "too many"
    return f"{name}: has {shown} megapixels, expected at most {MEGAPIXELS}; shrink it first, or remove it"


def header(file: Any, name: str) -> Header:
    """Channels and upright size, from the file's header alone."""
    with opened(file, name) as picture:
        width, height = picture.size
        if _orientation(picture) in _SIDEWAYS:
            width, height = height, width
        return Header(natural_channels(picture, name), height, width)


def decode(file: Any, name: str, options: Options, channels: int) -> np.ndarray[Any, Any]:
    """The picture as bytes (channels, height, width), upright, brought to the size asked for."""
    with opened(file, name) as picture:
        if _orientation(picture) > 1:
            picture = ImageOps.exif_transpose(picture)
        if options.size is not None:
            return picture_array(_fit(with_channels(picture, channels), options), channels)
        return picture_array(picture, channels)


def natural_channels(picture: Image.Image, name: str) -> int:
    """1, 3 or 4: what the picture holds; BadSource for levels finer than bytes."""
    if picture.mode == "P":
        return 4 if "transparency" in picture.info else 3
    if picture.mode in _CHANNELS:
        return _CHANNELS[picture.mode]
    raise BadSource(
        f"{name}: holds {picture.mode} levels, finer than bytes; expected 8 bits a channel: convert it, or pass an array (.npz)"
    )


def with_channels(picture: Image.Image, channels: int) -> Image.Image:
    """The picture in 1, 3 or 4 channels; transparency that is lost is laid on white."""
    if picture.mode == _MODES[channels]:
        return picture
    transparent = picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or (picture.mode == "P" and "transparency" in picture.info)
    if transparent and channels < 4:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert(_MODES[channels])


def picture_array(picture: Image.Image, channels: int) -> np.ndarray[Any, Any]:
    """Bytes (channels, height, width)."""
    array = np.asarray(with_channels(picture, channels))
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _fit(picture: Image.Image, options: Options) -> Image.Image:
    assert options.size is not None
    size = options.size[1], options.size[0]
    if picture.size == size:
        return picture
    if options.fit == "stretch":
        return picture.resize(size, Image.Resampling.BICUBIC)
    if options.fit == "crop":
        return ImageOps.fit(picture, size, Image.Resampling.BICUBIC)
    return ImageOps.pad(picture, size, Image.Resampling.BICUBIC, color=(0, 0, 0, 0) if picture.mode == "RGBA" else 0)


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation 1..8, without decoding a picture that has none."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1
    return int(picture.getexif().get(0x0112, 1) or 1)


def preparation(options: Options) -> dict[str, Any]:
    """What a space records of how its pictures were prepared: arguments for `Space`."""
    prepared: dict[str, Any] = {}
    words = []
    if options.size is not None:
        prepared.update(size=list(options.size), fit=options.fit)
        height, width = options.size
        words.append(f"size {height if height == width else f'{height}×{width}'}, {options.fit}")
    if options.channels is not None:
        prepared["channels"] = options.channels
        words.append(f"{options.channels} channel{'s' if options.channels > 1 else ''}")
    return {"preparation": ", ".join(words), "extra": {"prepared": prepared} if prepared else {}}


def prepare_array(x: Any, space: Space | None, options: Options) -> tuple[Any, Space]:
    """Byte pictures (n, channels, height, width) held as an array, brought to the size and channels asked for."""
    tensor = isinstance(x, Tensor)
    if (x.dtype != torch.uint8) if tensor else (x.dtype != np.uint8):
        raise InvalidValue(
            f"{options.name or 'pictures'}: size and channels work on byte pictures (uint8), got {x.dtype}; convert to bytes first"
        )
    have = x.shape[1]
    want = options.channels or have
    target = options.size or tuple(x.shape[2:])
    out = np.empty((len(x), want, *target), np.uint8)
    sized = replace(options, size=target)
    for i in range(len(x)):
        array = np.asarray(x[i].cpu() if tensor else x[i])
        picture = Image.fromarray(array[0] if have == 1 else np.ascontiguousarray(array.transpose(1, 2, 0)))
        out[i] = picture_array(_fit(with_channels(picture, want), sized), want)
    space = space or Space.infer(out[:1])
    asked = preparation(options)
    return out, replace(
        space, shape=out.shape[1:], form=space.form, preparation=asked["preparation"], extra={**space.extra, **asked["extra"]}
    )
