"""Clips enlarged frame by frame: animations and films, at their own frame rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import torch
from PIL import Image
from torch import Tensor

from pushforward.data.export.grids import to_image
from pushforward.data.export.moving import ANIMATIONS, require_film, write_film
from pushforward.data.export.writing import replacing
from pushforward.data.formats.image_formats import has_frames
from pushforward.data.formats.image_lists import ImageFile
from pushforward.data.formats.images import image_array, opened
from pushforward.data.formats.moving_images import FILMS, Film, animation, film, is_film

__all__ = ["clip_suffix", "enlarge_clip", "open_clip"]

OTHERS = {".png": ".apng", **{suffix: ".mp4" for suffix in FILMS if suffix not in ANIMATIONS}}
"""Suffixes of results where clips are not written as the kind of file that was read."""


def open_clip(file: ImageFile) -> Film | None:
    """The frames of a film or an animation; None for a single image."""
    if is_film(file.name):
        return film(file.open, file.display_name)
    with opened(file.open(), file.display_name, reduced=True) as image:
        if not has_frames(image):
            return None
    return animation(file.open, file.display_name)


def clip_suffix(name: str) -> str:
    """The suffix of an enlarged clip's file, by the name of the clip's own."""
    suffix = PurePosixPath(name).suffix.lower()
    return OTHERS.get(suffix, suffix if suffix in ANIMATIONS else ".webp")


def enlarge_clip(clip: Film, enlarge: Callable[[Tensor], Tensor], path: Path) -> int:
    """Write an enlarged clip; returns how many frames it has.

    Args:
        clip: opened.
        enlarge: an image (c, h, w), bytes, to one enlarged.
        path: to write to, of one of the suffixes of `ANIMATIONS`.

    Raises:
        MissingExtra: For a film where PyAV is not installed.
    """
    require_film(path.suffix.lower(), path.name)
    count = 0

    def frames() -> Iterator[Image.Image]:
        nonlocal count
        for frame in clip.frames():
            levels = torch.from_numpy(image_array(frame, clip.header.channels).copy())
            count += 1
            yield to_image(enlarge(levels).numpy())

    with replacing(path) as part:
        write_film(frames(), part, path.suffix, clip.frame_rate)
    return count
