"""One picture: opened with its faults named, its channels kept, turned upright, brought to a size.

Grey stays 1 channel, colour 3, anything with transparency 4 (an alpha channel, or one transparent colour); a palette is what
it stands for. Laying a transparent picture flat puts it on white: c = α c + (1 - α) 255. Of an animation or a file of several
pages the first frame is taken. Levels finer than bytes are refused: Pillow would drop their lower bits.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.space import Space
from pushforward.data.files import decoding, require_file, shown
from pushforward.data.image_formats import allowed_formats, bit_depth, has_frames, orientation, repair_transparency, upright_size
from pushforward.data.options import Options

__all__ = [
    "MEGAPIXELS",
    "Header",
    "header",
    "decode",
    "natural_channels",
    "picture_array",
    "item_array",
    "prepare_array",
    "prepare_item",
    "preparation",
]

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
_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_START = 65536
_NETPBM = re.compile(rb"P[1-6]")
_NETPBM_HEADER = re.compile(rb"(P[14](?:(?:\s|#[^\r\n]*[\r\n])+\d+){2}|P[2356](?:(?:\s|#[^\r\n]*[\r\n])+\d+){3})\s")


@dataclass(frozen=True)
class Header:
    """A picture's channels, its size when upright and whether it holds several frames, read without decoding it."""

    channels: int
    height: int
    width: int
    frames: bool = False


@contextmanager
def opened(file: Any, name: str) -> Iterator[Image.Image]:
    """The undecoded picture in a path or binary file, which is closed afterwards; BadSource where there is none, or a deep one."""
    if isinstance(file, Path):
        require_file(file)
        file = open(file, "rb")  # noqa: SIM115 - closed below
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with decoding(name, "the picture is damaged or cut short"):
            start = file.read(32)
            if start[:1] == b"P" or start[:4] == b"\xff\x4f\xff\x51" or start[4:8] in (b"ftyp", b"jP  "):
                start += file.read(_START - len(start))  # formats whose depth or header Pillow does not tell
            picture = _open(file, name, start)
        with picture:
            _refuse_bomb(picture, name)
            _refuse_depth(picture, start, name)
            repair_transparency(picture)
            yield picture


def _open(file: Any, name: str, start: bytes) -> Image.Image:
    if len(start) == _START and _NETPBM.match(start) and not _NETPBM_HEADER.match(start):
        raise BadSource(f"{shown(name)}: its header does not end; replace or remove it")  # Pillow reads it byte by byte
    try:
        return Image.open(file, formats=allowed_formats(name))
    except Image.DecompressionBombError as error:
        raise BadSource(_bomb(name, str(error).split("(")[-1].split(" ")[0])) from error
    except UnidentifiedImageError as error:
        raise BadSource(f"{shown(name)}: is not a picture that can be read; replace or remove it") from error


def _refuse_bomb(picture: Image.Image, name: str) -> None:
    pixels = picture.size[0] * picture.size[1]
    if pixels > MEGAPIXELS * 1_000_000:
        raise BadSource(_bomb(name, str(pixels)))


def _bomb(name: str, pixels: str) -> str:
    count = f"{int(pixels) / 1e6:.0f}" if pixels.isdigit() else "too many"
    return f"{shown(name)}: has {count} megapixels, expected at most {MEGAPIXELS}; shrink it first, or remove it"


def _refuse_depth(picture: Image.Image, start: bytes, name: str) -> None:
    with decoding(name, "the picture is damaged or cut short"):
        depth = bit_depth(picture, start)
    if depth > 8:
        raise _too_deep(name, picture.mode if picture.mode.startswith(("I", "F")) else f"{depth}-bit")


def _too_deep(name: str, levels: str) -> BadSource:
    return BadSource(
        f"{shown(name)}: holds {levels} levels, finer than bytes; expected 8 bits a channel: convert it, or pass an array (.npz)"
    )


def header(file: Any, name: str) -> Header:
    """Channels, upright size and whether there are more frames, from the file's header alone."""
    with opened(file, name) as picture:
        channels = natural_channels(picture, name)
        with decoding(name, "the picture is damaged or cut short"):
            return Header(channels, *upright_size(picture), has_frames(picture))


def decode(file: Any, name: str, options: Options, channels: int) -> np.ndarray[Any, Any]:
    """The picture as bytes (channels, height, width), upright, brought to the size asked for."""
    with opened(file, name) as picture:
        return _prepared(_upright(picture, name), channels, options, name)


def _upright(picture: Image.Image, name: str) -> Image.Image:
    """The picture, decoded and turned as its metadata say."""
    turned = orientation(picture)
    with decoding(name, "the picture is damaged or cut short"), _unmapped(picture):
        picture.load()
    return picture.transpose(_TURNS[turned]) if turned in _TURNS else picture


@contextmanager
def _unmapped(picture: Image.Image) -> Iterator[None]:
    """While a TIFF is decoded, without its file's name: Pillow would map the file with the row length of the turned image."""
    if picture.format != "TIFF" or not hasattr(picture, "filename"):
        yield
        return
    filename, picture.filename = picture.filename, ""
    try:
        yield
    finally:
        picture.filename = filename


def _prepared(picture: Image.Image, channels: int, options: Options, name: str) -> np.ndarray[Any, Any]:
    picture = with_channels(picture, channels, name)
    return picture_array(_fit(picture, options) if options.size is not None else picture, channels)


def item_array(picture: Image.Image, name: str, options: Options) -> np.ndarray[Any, Any]:
    """A picture that is an item of a dataset as bytes (channels, height, width): treated as the file it came from would be."""
    _refuse_depth(picture, _start_of(picture, name), name)
    repair_transparency(picture)
    channels = options.channels or natural_channels(picture, name)
    return _prepared(_upright(picture, name), channels, options, name)


def _start_of(picture: Image.Image, name: str) -> bytes:
    """The first bytes of the file behind an opened picture, where its format needs them and the file is still at hand."""
    file = getattr(picture, "fp", None)
    if picture.format != "JPEG2000" or file is None:
        return b""
    with decoding(name, "the picture is damaged or cut short"):
        place = file.tell()
        file.seek(0)
        start: bytes = file.read(_START)
        file.seek(place)
    return start


def natural_channels(picture: Image.Image, name: str) -> int:
    """1, 3 or 4: what the picture holds; BadSource for a mode of other levels than bytes."""
    if picture.mode in ("P", "1", "L", "RGB") and "transparency" in picture.info:
        return 4
    if picture.mode == "P":
        return 3
    if picture.mode in _CHANNELS:
        return _CHANNELS[picture.mode]
    raise _too_deep(name, picture.mode)


def with_channels(picture: Image.Image, channels: int, name: str = "the picture") -> Image.Image:
    """The picture in 1, 3 or 4 channels; transparency that is lost is laid on white."""
    transparent = picture.mode in _ALPHA or "transparency" in picture.info
    if picture.mode == _MODES[channels] and (channels == 4 or not transparent):
        return picture
    picture = _as_colour(picture, name)
    if transparent:
        picture = picture.convert("RGBA")
        if channels < 4:
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert(_MODES[channels])


def _as_colour(picture: Image.Image, name: str) -> Image.Image:
    """Modes that Pillow converts only by way of another one, brought to RGB or LA; others as they are."""
    if picture.mode == "La":
        return picture.convert("LA")
    if picture.mode in ("CMYK", "HSV", "RGBX"):
        return picture.convert("RGB")
    return _lab_to_rgb(picture, name) if picture.mode == "LAB" else picture


def _lab_to_rgb(picture: Image.Image, name: str) -> Image.Image:
    try:
        from PIL import ImageCms

        return ImageCms.applyTransform(picture, _lab_transform())  # type: ignore[return-value]
    except ImportError as error:
        raise BadSource(f"{shown(name)}: holds Lab colours, which this Pillow cannot convert; save it as RGB") from error


@lru_cache(maxsize=1)
def _lab_transform() -> Any:
    from PIL import ImageCms

    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


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
    want = options.channels or x.shape[1]
    target = options.size or tuple(x.shape[2:])
    if tuple(x.shape[1:]) == (want, *target):
        out = x
    else:
        out = np.empty((len(x), want, *target), np.uint8)
        for i in range(len(x)):
            out[i] = prepare_item(np.asarray(x[i].cpu() if tensor else x[i]), options)
    space = space or Space.infer(np.asarray(out[:1].cpu() if isinstance(out, Tensor) else out[:1]))
    asked = preparation(options)
    return out, replace(
        space, shape=tuple(out.shape[1:]), form=space.form, preparation=asked["preparation"], extra={**space.extra, **asked["extra"]}
    )


def prepare_item(x: np.ndarray[Any, Any], options: Options) -> np.ndarray[Any, Any]:
    """One byte picture (1, 3 or 4 channels, height, width), brought to the size and channels asked for."""
    picture = Image.fromarray(x[0] if len(x) == 1 else np.ascontiguousarray(x.transpose(1, 2, 0)))
    return _prepared(picture, options.channels or len(x), options, "the picture")
