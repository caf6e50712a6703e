"""Single images as files of their own, of any size."""

from __future__ import annotations

import glob
import os
from dataclasses import replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.space import Space
from pushforward.data.export.grids import image_bytes, to_image
from pushforward.data.export.writing import replacing

__all__ = ["SUFFIXES", "image_target", "results_folder", "write_image"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Formats of a result: those that browsers and mail programs show."""

COMPRESSION = 2
"""Of PNG files, of 9: takes a third of the time of the usual 6, for files a few per cent larger."""


def image_target(
    out: str | None, default: str, *, several: bool, suffixes: tuple[str, ...] = SUFFIXES
) -> Path:
    """Where an image is written: `out` itself, or a file called `default` in the folder `out`.

    Raises:
        InvalidValue: For one file for several images, another format, or a file that exists.
    """
    path = Path(default) if out is None else Path(out).expanduser()
    if out is not None and (several or out.endswith("/") or path.is_dir()):
        if path.suffix.lower() in suffixes:
            raise InvalidValue(
                f"{argument('out', out)} is one file, but there are several images; give a folder"
                f" ({argument('out', path.stem + '/')})"
            )
        path = path / default
    if path.suffix.lower() not in suffixes:
        what = "an image" if set(SUFFIXES) <= set(suffixes) else "a clip"
        raise InvalidValue(
            f"cannot write {what} to {path}; expected a name that ends in {', '.join(suffixes)}"
        )
    if path.exists():
        raise InvalidValue(f"{path} exists; choose another name, or remove it first")
    return path


def results_folder(source: str | Path, verb: str) -> str:
    """The folder for what is made of a folder, glob or zip of images: NAME-VERB/."""
    path = Path(str(source).rpartition(".zip:")[2] if ".zip:" in str(source) else source)
    while glob.has_magic(path.name):
        path = path.parent
    path = path.expanduser().resolve()
    name = path.stem if path.suffix.lower() == ".zip" else path.name
    return f"{name or 'images'}-{verb}/"


def write_image(
    x: Tensor,
    space: Space,
    path: str | os.PathLike[str],
    *,
    exif: bytes = b"",
    profile: bytes = b"",
) -> None:
    """Write one image (channels, height, width), in the space's units, of any size.

    Args:
        path: .png, .jpg or .webp; what is there is replaced.
        exif: what a camera noted, as EXIF.
        profile: of the colours, as ICC.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidValue(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if x.ndim != 3:
        raise ShapeMismatch(
            f"expected one image (channels, height, width), got {tuple(x.shape)}; pass one of them"
        )
    image = to_image(image_bytes(x[None], replace(space, shape=tuple(x.shape)))[0])
    if path.suffix.lower() in (".jpg", ".jpeg") and image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    with replacing(path) as part, part.open("wb") as file:
        kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}.get(path.suffix.lower(), "PNG")
        more = {"exif": exif, "icc_profile": profile}
        quality = {"compress_level": COMPRESSION} if kind == "PNG" else {"quality": 95}
        image.save(file, kind, **quality, **{k: v for k, v in more.items() if v})
