"""Clips as files that move, by Pillow (animations) and PyAV (films), and as strips of frames.

GIFs hold 256 colours, grey ones exactly. `.apng` and `.webp` are written without loss, and `.avi`
by FFV1, which has none either; `.mp4` (H.264) and `.webm` (VP9) lose detail, and have sides that
are even: of odd ones the last row or column is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from pushforward.core.errors import BadRun, InvalidValue
from pushforward.core.space import Space
from pushforward.data.export.grids import frame_space, image_bytes, image_grid, to_image
from pushforward.data.files import reason_of
from pushforward.data.formats.moving_images import open_av

__all__ = [
    "ANIMATIONS",
    "FRAME_RATE",
    "clip_film",
    "clip_strip",
    "require_film",
    "single_clip",
    "write_animation",
    "write_film",
]

FRAME_RATE = 8.0
"""Frames per second of an animation if the clips have no rate: slow enough to see each frame."""
_CODECS = {
    ".mp4": ("libx264", "yuv420p", {"crf": "12", "preset": "medium"}),
    ".webm": ("libvpx-vp9", "yuv420p", {"crf": "12", "b": "0"}),
    ".avi": ("ffv1", "bgr0", {}),
}
"""By suffix: encoder, format of pixels and options; the quality is one that eyes take for the
original.
"""
_FORMATS = {".mp4": "mp4", ".webm": "webm", ".avi": "avi"}
_EVEN = ("libx264", "libvpx-vp9")
"""Encoders whose colours have half the resolution of the brightness."""
ANIMATIONS = (".gif", ".apng", ".webp", *_CODECS)
"""Suffixes of files that hold the frames of clips."""


def clip_film(x: Tensor, space: Space, columns: int | None = None) -> Iterator[Image.Image]:
    """The frames of an animation showing clips (n, channels, time,
    height, width) side by side, as in `image_grid`.
    """
    for t in range(x.shape[2]):
        yield image_grid(x[:, :, t], frame_space(space), columns)


def single_clip(x: Tensor, space: Space) -> Iterator[Image.Image]:
    """The frames of one clip (channels, time, height, width), pixel by pixel."""
    for frame in image_bytes(x.transpose(0, 1), frame_space(space)):
        yield to_image(frame)


def clip_strip(x: Tensor, space: Space) -> Image.Image:
    """The frames of one clip (channels, time, height, width) side by side, pixel by pixel."""
    return to_image(np.concatenate(list(image_bytes(x.transpose(0, 1), frame_space(space))), 2))


def require_film(suffix: str, name: str) -> None:
    """Raise MissingExtra if files of this suffix cannot be written here."""
    if suffix in _CODECS:
        open_av(f"writing {name}")


def write_animation(frames: Iterable[Image.Image], path: Path, frame_rate: float | None) -> None:
    """Write a looping GIF, at the clips' frame rate if known; GIFs count hundredths of a second."""
    write_film(frames, path, ".gif", frame_rate)


def write_film(
    frames: Iterable[Image.Image], path: Path, suffix: str, frame_rate: float | None
) -> None:
    """Write frames of one size as the kind of file that a suffix names.

    Args:
        frames: at least one.
        path: to write to, whatever its suffix.
        suffix: one of `ANIMATIONS`.
        frame_rate: frames per second; 8 if None.

    Raises:
        BadRun: If an encoder fails.
    """
    rate = frame_rate or FRAME_RATE
    writers: dict[str, Callable[[Iterator[Image.Image], Path, float], None]] = {
        ".gif": _write_gif,
        ".apng": _write_apng,
        ".webp": _write_webp,
    }
    suffix = suffix.lower()
    if suffix in writers:
        writers[suffix](iter(frames), path, rate)
    elif suffix in _CODECS:
        _write_video(iter(frames), path, suffix, rate)
    else:
        raise InvalidValue(
            f"cannot write an animation as {suffix!r}; expected {', '.join(ANIMATIONS)}"
        )


def _write_gif(frames: Iterator[Image.Image], path: Path, rate: float) -> None:
    first, *rest = (f if f.mode == "L" else f.convert("RGB") for f in frames)
    duration = max(20, round(100 / rate) * 10)
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=duration, loop=0)


def _write_apng(frames: Iterator[Image.Image], path: Path, rate: float) -> None:
    first, *rest = frames
    duration = 1000 / rate
    first.save(path, format="PNG", save_all=True, append_images=rest, duration=duration, loop=0)


def _write_webp(frames: Iterator[Image.Image], path: Path, rate: float) -> None:
    first, *rest = frames
    first.save(
        path, format="WEBP", save_all=True, append_images=rest, duration=round(1000 / rate),
        loop=0, lossless=True, exact=True,
    )  # fmt: skip


def _write_video(frames: Iterator[Image.Image], path: Path, suffix: str, rate: float) -> None:
    av = open_av(f"writing {path.name}")
    codec, pixels, options = _CODECS[suffix]
    first = next(frames)
    width, height = first.size
    even = codec in _EVEN
    try:
        with av.open(path, "w", format=_FORMATS[suffix]) as container:
            stream: Any = container.add_stream(
                codec, rate=Fraction(rate).limit_denominator(1000), options=options
            )
            stream.pix_fmt = pixels
            stream.width, stream.height = width + even * (width % 2), height + even * (height % 2)
            for image in chain([first], frames):
                array = np.asarray(image.convert("RGB"))
                if even:
                    array = np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except av.error.FFmpegError as error:
        raise BadRun(
            f"cannot write {path.name} ({reason_of(error)}); choose another kind of file"
        ) from error
