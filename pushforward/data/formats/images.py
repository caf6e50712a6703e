"""Single images: opened with named faults, channels preserved, rotated upright, resized.

Grey images keep 1 channel, colour 3, transparency 4 (an alpha channel, or one transparent colour);
palettes are expanded. Removing transparency composes on white: c = α c + (1 - α) 255. Only the
first frame or page is used. Levels deeper than 8 bits are refused, since Pillow would drop their
lower bits; where an image is used and not learnt from, 16 bits are reduced to 8 (`reduced=True`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pushforward.core.data_types import ArrayOrTensor, BinaryFile
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.space import Space
from pushforward.data.files import decoding, printable, require_file
from pushforward.data.formats.image_depths import in_bytes, refuse_depth, too_deep
from pushforward.data.formats.image_formats import (
    ANIMATED,
    allowed_formats,
    has_frames,
    orientation,
    repair_transparency,
    upright_size,
)
from pushforward.data.options import Options

__all__ = [
    "MEGAPIXELS",
    "Header",
    "header",
    "decode",
    "decode_image",
    "natural_channels",
    "opened",
    "turned_upright",
    "image_array",
    "item_array",
    "prepare_array",
    "prepare_image",
    "prepare_item",
    "preparation",
]

MEGAPIXELS = 100
"""Images above this many megapixels are refused before decoding."""

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
"""Bytes in which a header must end: those of the formats that are looked at here are a few hundred
long, comments apart.
"""
_NETPBM = re.compile(rb"P[1-6]")
_NETPBM_HEADER = re.compile(
    rb"(P[14](?:(?:\s|#[^\r\n]*[\r\n])+\d+){2}|P[2356](?:(?:\s|#[^\r\n]*[\r\n])+\d+){3})\s"
)


@dataclass(frozen=True)
class Header:
    """An image's channels, upright size and whether it has several frames,
    read without decoding.
    """

    channels: int
    height: int
    width: int
    frames: bool = False
    animated: bool = False
    """Whether the frames follow each other in time; pages do not."""


@contextmanager
def opened(file: Path | BinaryFile, name: str, *, reduced: bool = False) -> Iterator[Image.Image]:
    """The undecoded image in a path or binary file; closed afterwards.

    Args:
        reduced: whether images of up to 16 bits a channel are reduced to 8.

    Raises:
        BadSource: If it is not an image, or deeper than 8 bits.
    """
    if isinstance(file, Path):
        require_file(file)
        file = open(file, "rb")  # noqa: SIM115 - closed below
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with decoding(name, "the image is damaged or cut short"):
            start = file.read(32)
            if (
                start[:1] == b"P"
                or start[:4] == b"\xff\x4f\xff\x51"
                or start[4:8] in (b"ftyp", b"jP  ")
            ):
                # formats whose depth or header Pillow does not report
                start += file.read(_START - len(start))
            image = _open(file, name, start)
        with image:
            _refuse_bomb(image, name)
            if reduced:
                image = in_bytes(image, name)
            else:
                refuse_depth(image, start, name)
            repair_transparency(image)
            yield image


def _open(file: BinaryFile, name: str, start: bytes) -> Image.Image:
    if len(start) == _START and _NETPBM.match(start) and not _NETPBM_HEADER.match(start):
        # Pillow reads it byte by byte
        raise BadSource(f"{printable(name)}: its header has no end; replace or remove it")
    try:
        return Image.open(cast(IO[bytes], file), formats=allowed_formats(name))
    except Image.DecompressionBombError as error:
        raise BadSource(_bomb(name, str(error).split("(")[-1].split(" ")[0])) from error
    except UnidentifiedImageError as error:
        raise BadSource(
            f"{printable(name)}: is not an image that can be read; replace or remove it"
        ) from error


def _refuse_bomb(image: Image.Image, name: str) -> None:
    pixels = image.size[0] * image.size[1]
    if pixels > MEGAPIXELS * 1_000_000:
        raise BadSource(_bomb(name, str(pixels)))


def _bomb(name: str, pixels: str) -> str:
    count = f"{int(pixels) / 1e6:.0f}" if pixels.isdigit() else "too many"
    return (
        f"{printable(name)}: has {count} megapixels, expected at most {MEGAPIXELS}; shrink it"
        " first, or remove it"
    )


def header(file: Path | BinaryFile, name: str, *, reduced: bool = False) -> Header:
    """Channels, upright size and presence of further frames, from the file's header alone."""
    with opened(file, name, reduced=reduced) as image:
        channels = natural_channels(image, name)
        with decoding(name, "the image is damaged or cut short"):
            several = has_frames(image)
            return Header(
                channels, *upright_size(image), several, several and image.format in ANIMATED
            )


def decode(
    file: Path | BinaryFile, name: str, options: Options, channels: int, *, reduced: bool = False
) -> NDArray[Any]:
    """The image as bytes (channels, height, width), upright and in the requested size."""
    with opened(file, name, reduced=reduced) as image:
        return prepare_image(turned_upright(image, name), channels, options, name)


def decode_image(file: Path | BinaryFile, name: str) -> Image.Image:
    """The image, upright, in its own size and channels."""
    with opened(file, name) as image:
        return turned_upright(image, name).copy()


def turned_upright(image: Image.Image, name: str) -> Image.Image:
    """The image, decoded and rotated according to its metadata."""
    turned = orientation(image)
    with decoding(name, "the image is damaged or cut short"), _unmapped(image):
        image.load()
    return image.transpose(_TURNS[turned]) if turned in _TURNS else image


@contextmanager
def _unmapped(image: Image.Image) -> Iterator[None]:
    """Decode a TIFF without its file name:
    Pillow would map the file with the rotated image's row length.
    """
    if image.format != "TIFF" or not hasattr(image, "filename"):
        yield
        return
    filename, image.filename = image.filename, ""
    try:
        yield
    finally:
        image.filename = filename


def prepare_image(image: Image.Image, channels: int, options: Options, name: str) -> NDArray[Any]:
    """A decoded image as bytes (channels, height, width), in the requested size."""
    image = with_channels(image, channels, name)
    return image_array(_fit(image, options) if options.size is not None else image, channels)


def item_array(
    image: Image.Image, name: str, options: Options, *, reduced: bool = False
) -> NDArray[Any]:
    """An image that is an item of a dataset as bytes (channels, height, width),
    treated as its file would be.
    """
    if reduced:
        image = in_bytes(image, name)
    else:
        refuse_depth(image, _start_of(image, name), name)
    repair_transparency(image)
    channels = options.channels or natural_channels(image, name)
    return prepare_image(turned_upright(image, name), channels, options, name)


def _start_of(image: Image.Image, name: str) -> bytes:
    """The first bytes of the file behind an opened image,
    if its format needs them and the file is available.
    """
    file = getattr(image, "fp", None)
    if image.format != "JPEG2000" or file is None:
        return b""
    with decoding(name, "the image is damaged or cut short"):
        place = file.tell()
        file.seek(0)
        start: bytes = file.read(_START)
        file.seek(place)
    return start


def natural_channels(image: Image.Image, name: str) -> int:
    """The number of channels the image holds: 1, 3 or 4.

    Raises:
        BadSource: For modes that are not 8-bit.
    """
    if image.mode in ("P", "1", "L", "RGB") and "transparency" in image.info:
        return 4
    if image.mode == "P":
        return 3
    if image.mode in _CHANNELS:
        return _CHANNELS[image.mode]
    raise too_deep(name, image.mode)


def with_channels(image: Image.Image, channels: int, name: str = "the image") -> Image.Image:
    """The image in 1, 3 or 4 channels; removed transparency is composed on white."""
    transparent = image.mode in _ALPHA or "transparency" in image.info
    if image.mode == _MODES[channels] and (channels == 4 or not transparent):
        return image
    image = _as_colour(image, name)
    if transparent:
        image = image.convert("RGBA")
        if channels < 4:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(_MODES[channels])


def _as_colour(image: Image.Image, name: str) -> Image.Image:
    """Modes that Pillow converts only through another one, as RGB or LA; others unchanged."""
    if image.mode == "La":
        return image.convert("LA")
    if image.mode in ("CMYK", "HSV", "RGBX"):
        return image.convert("RGB")
    return _lab_to_rgb(image, name) if image.mode == "LAB" else image


def _lab_to_rgb(image: Image.Image, name: str) -> Image.Image:
    try:
        from PIL import ImageCms

        return ImageCms.applyTransform(image, _lab_transform())  # type: ignore[return-value]
    except ImportError as error:
        raise BadSource(
            f"{printable(name)}: holds Lab colours, which this Pillow cannot convert; save it"
            " as RGB"
        ) from error


@lru_cache(maxsize=1)
def _lab_transform() -> Any:
    from PIL import ImageCms

    return ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )


def image_array(image: Image.Image, channels: int) -> NDArray[Any]:
    """Bytes (channels, height, width)."""
    array = np.asarray(with_channels(image, channels))
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _fit(image: Image.Image, options: Options) -> Image.Image:
    assert options.size is not None
    size = options.size[1], options.size[0]
    if image.size == size:
        return image
    if options.fit == "stretch":
        return image.resize(size, Image.Resampling.BICUBIC)
    if options.fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.BICUBIC)
    return _pad(image, size)


def _pad(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The whole image in the middle of black, or of nothing where it has transparency.

    As `ImageOps.pad`, but at least one pixel wide and high: older releases of Pillow refuse images
    that would vanish, newer ones give an empty frame.
    """
    (width, height), inner = image.size, size
    if width * size[1] > height * size[0]:
        inner = size[0], max(1, round(height / width * size[0]))
    elif width * size[1] < height * size[0]:
        inner = max(1, round(width / height * size[1])), size[1]
    frame = Image.new(image.mode, size)
    place = round((size[0] - inner[0]) / 2), round((size[1] - inner[1]) / 2)
    frame.paste(image.resize(inner, Image.Resampling.BICUBIC), place)
    return frame


def preparation(options: Options) -> dict[str, Any]:
    """The preparation of images as recorded in their space: arguments for `Space`."""
    prepared: dict[str, Any] = {}
    words = []
    if options.size is not None:
        prepared.update(size=list(options.size), fit=options.fit)
        height, width = options.size
        words.append(f"size {height if height == width else f'{height}×{width}'}, {options.fit}")
    if options.tiles is not None:
        prepared["tiles"] = options.tiles
        words.append(f"tiles of {options.tiles}")
    if options.channels is not None:
        prepared["channels"] = options.channels
        words.append(f"{options.channels} channel{'s' if options.channels > 1 else ''}")
    return {"preparation": ", ".join(words), "extra": {"prepared": prepared} if prepared else {}}


def prepare_array(x: ArrayOrTensor, space: Space | None, options: Options) -> tuple[Any, Space]:
    """Byte images (n, channels, height, width) in an array, in the requested size and channels."""
    tensor = isinstance(x, Tensor)
    if (x.dtype != torch.uint8) if tensor else (x.dtype != np.uint8):
        raise InvalidValue(
            f"{options.name or 'images'}: size and channels work on byte images (uint8), got"
            f" {x.dtype}; convert to bytes first"
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
    settings = preparation(options)
    return out, replace(
        space,
        shape=tuple(out.shape[1:]),
        form=space.form,
        preparation=settings["preparation"],
        extra={**space.extra, **settings["extra"]},
    )


def prepare_item(x: NDArray[Any], options: Options) -> NDArray[Any]:
    """One byte image (1, 3 or 4 channels, height, width), in the requested size and channels."""
    image = Image.fromarray(x[0] if len(x) == 1 else np.ascontiguousarray(x.transpose(1, 2, 0)))
    return prepare_image(image, options.channels or len(x), options, "the image")
