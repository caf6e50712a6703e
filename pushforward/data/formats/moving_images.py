"""The frames of single files: animations (GIF, APNG, WebP, AVIF) by Pillow, films by PyAV.

A file's frames have one rate. Those of an animation that last several times as long as its shortest
are repeated as often: encoders join frames that are alike. Films are read by the demuxer of their
suffix: others would follow links to further files.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pushforward.core.data_types import BinaryFile
from pushforward.core.errors import BadSource, MissingExtra
from pushforward.data.files import decoding, printable, require_file
from pushforward.data.formats.image_formats import DEMUXERS, FILMS
from pushforward.data.formats.images import Header, natural_channels, opened, turned_upright

__all__ = ["FILMS", "Film", "animation", "film", "is_film", "open_av"]

_ROUNDING = 0.15
"""Share of a frame's duration by which a multiple of it may differ: GIFs count hundredths of a
second.
"""
_GREY = "gray"
_DAMAGED = "the film is damaged or cut short"


@dataclass(frozen=True)
class Film:
    """The frames of one file, decoded when iterated over, upright.

    Args:
        header: channels and size.
        frame_rate: frames per second; None if unknown.
        frames: called for a fresh iterator of the frames.
    """

    header: Header
    frame_rate: float | None
    frames: Callable[[], Iterator[Image.Image]]


def is_film(name: str) -> bool:
    """Whether a file's name is that of a film."""
    return name.lower().endswith(FILMS)


# --------------------------------------------------------------------------------------- animations


def animation(file: Callable[[], Path | BinaryFile], name: str) -> Film:
    """An animation, or a single image as one frame.

    Args:
        file: called for the file, each time it is read.
        name: in messages.
    """
    with opened(file(), name) as image:
        channels = natural_channels(image, name)
        durations: list[float] = []
        clear = False
        for frame in _decoded(image, name):
            durations.append(float(frame.info.get("duration") or 0))
            clear = clear or (channels == 4 and _is_clear(frame))
        # encoders mark what has not changed since the last frame as transparent
        channels = 3 if channels == 4 and not clear else channels
        size = (turned_upright(image, name).size)[::-1]
    shortest = min((d for d in durations if d > 0), default=0.0)
    repeats = _repeats(durations, shortest)

    def frames() -> Iterator[Image.Image]:
        with opened(file(), name) as image:
            for frame, times in zip(_decoded(image, name), repeats):
                upright = turned_upright(frame, name)
                yield from (upright for _ in range(times))

    rate = 1000 / shortest if shortest else None
    return Film(Header(channels, *size, len(durations) > 1, len(durations) > 1), rate, frames)


def _decoded(image: Image.Image, name: str) -> Iterator[Image.Image]:
    """The frames, one after another in the same image; an APNG's still for other programs is left
    out.
    """
    first = 1 if getattr(image, "default_image", False) else 0
    for i in range(first, getattr(image, "n_frames", 1)):
        with decoding(name, "the animation is damaged or cut short"):
            image.seek(i)
            image.load()
        yield image


def _is_clear(image: Image.Image) -> bool:
    """Whether any pixel is transparent."""
    return int(np.asarray(image.convert("RGBA"))[..., 3].min()) < 255


def _repeats(durations: list[float], shortest: float) -> list[int]:
    """How often each frame is shown if all last as long as the shortest; once each where that is
    not so.
    """
    if not shortest:
        return [1] * len(durations)
    ratios = [d / shortest for d in durations]
    if any(abs(r - round(r)) > _ROUNDING or r < 0.5 for r in ratios):
        return [1] * len(durations)
    return [round(r) for r in ratios]


# -------------------------------------------------------------------------------------------- films


def open_av(purpose: str) -> Any:
    """PyAV.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingExtra("av", "video", purpose) from error


def film(file: Callable[[], Path | BinaryFile], name: str) -> Film:
    """A film's frames.

    Raises:
        BadSource: For a film without frames.
        MissingExtra: If PyAV is not installed.
    """
    with _stream(file(), name) as (container, stream):
        with decoding(name, _DAMAGED):
            first = next(container.decode(stream), None)
        if first is None:
            raise BadSource(f"{printable(name)}: the film has no frames; replace or remove it")
        grey = first.format.name.startswith(_GREY)
        with decoding(name, _DAMAGED):
            width, height = _image(first, grey).size
        rate = float(stream.average_rate) if stream.average_rate else None

    def frames() -> Iterator[Image.Image]:
        with _stream(file(), name) as (container, stream):
            decoder = container.decode(stream)
            while True:
                with decoding(name, _DAMAGED):
                    frame = next(decoder, None)
                    image = None if frame is None else _image(frame, grey)
                if image is None:
                    return
                yield image

    return Film(Header(1 if grey else 3, height, width, True, True), rate, frames)


@contextmanager
def _stream(file: Path | BinaryFile, name: str) -> Iterator[tuple[Any, Any]]:
    """The opened film and its stream of images."""
    av = open_av(f"reading {printable(Path(name).name)}")
    if isinstance(file, Path):
        require_file(file)
        file = open(file, "rb")  # noqa: SIM115 - closed below
    with file:
        suffix = next(s for s in FILMS if name.lower().endswith(s))
        with decoding(name, "is not a film that can be read"):
            container = av.open(file, format=DEMUXERS[suffix])
        with container:
            if not container.streams.video:
                raise BadSource(
                    f"{printable(name)}: holds no images, only sound; replace or remove it"
                )
            yield container, container.streams.video[0]


def _image(frame: Any, grey: bool) -> Image.Image:
    image: Image.Image = Image.fromarray(frame.to_ndarray(format="gray" if grey else "rgb24"))
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return image if not turns else image.rotate(90 * turns, expand=True)
