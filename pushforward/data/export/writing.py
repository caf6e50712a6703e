"""Samples written in the original form of the data.

Images become a grid (`.png`) or a folder of PNGs (a path that ends with `/`, or has no suffix);
clips become an animation or a film of all, at their frame rate (`.gif`; `.apng`, `.webp` and `.avi`
without loss; `.mp4`, `.webm`), a grid of their frames (`.png`), or a folder of files, one each:
GIFs, or what a pattern says (`folder/*.apng`; `folder/*.png` are strips of frames); points become
`.csv`, `.tsv` or `.parquet` with their column names, categories by name; anything becomes `.npz` or
`.npy`. Files are written under a temporary name and renamed, so that a full disk or a crash leaves
no partial file; nothing is overwritten.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.data_types import Frame
from pushforward.core.errors import (
    BadRun,
    InvalidValue,
    MissingExtra,
    PushforwardError,
    ShapeMismatch,
)
from pushforward.core.folders import remove_leftovers
from pushforward.core.space import Space
from pushforward.core.space.export import export_levels, to_frame
from pushforward.data.export.grids import (
    clip_grid,
    image_bytes,
    image_grid,
    to_image,
)
from pushforward.data.export.moving import (
    ANIMATIONS,
    clip_film,
    clip_strip,
    require_film,
    single_clip,
    write_film,
)
from pushforward.data.export.tables import further_columns, write_csv

__all__ = [
    "check_target",
    "replacing",
    "write",
]

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
_KINDS = {
    "grid": ("images", "clips"),
    "folder": ("images", "clips"),
    "animation": ("clips",),
    "table": ("points",),
    "parquet": ("points",),
}


def write(
    x: Tensor,
    space: Space,
    path: str | os.PathLike[str],
    *,
    y: Tensor | None = None,
    condition_space: Space | None = None,
    extra: Mapping[str, Any] | None = None,
    columns: int | None = None,
) -> Path:
    """Write observations (n, *shape), in the user's units, in the form of the path's suffix.

    Args:
        x: images may be of any height and width; `write_image` writes a single one as it is.
        path: .png (a grid), .gif .apng .webp .avi .mp4 .webm (clips), a folder (PNGs, or GIFs of
            clips; 'folder/*.apng' for other files), .csv, .csv.gz, .csv.xz, .tsv, .parquet, .npz or
            .npy; it must not exist.
        y, condition_space: conditions, written too:
            as a column for labels, `y` in an .npz, sub-folders of images.
        extra: more columns by name, each of length n (tables and .npz only).
        columns: images per row of the grid.

    Raises:
        BadRun: If it exists or cannot be written.
        InvalidValue: For a form that does not suit the space.
    """
    target = Path(os.fspath(path))
    files = ".gif"
    if target.stem == "*":  # a folder of such files
        target, files = target.parent, target.suffix.lower()
    x = x.detach().to("cpu")
    if space.kind == "images" and x.ndim == 4 and x.shape[1] == space.shape[0]:
        space = replace(space, shape=tuple(x.shape[1:]))
    _check_rows(x, space, y, extra or {})
    form = check_target(path, space)
    beside = further_columns(y, condition_space, extra or {})
    with replacing(target) as part:
        if form == "grid":
            (clip_grid(x, space) if space.kind == "clips" else image_grid(x, space, columns)).save(
                part, format="PNG"
            )
        elif form == "animation":
            film = single_clip(x[0], space) if len(x) == 1 else clip_film(x, space, columns)
            write_film(film, part, target.suffix, space.frame_rate)
        elif form == "folder":
            _write_folder(x, space, part, y, condition_space, files)
        elif form == "table":
            _write_table(x, space, part, target, beside)
        elif form == "parquet":
            _frame(x, space, beside).to_parquet(part, index=False)
        else:
            _write_arrays(x, space, part, form, beside)
    return target


def check_target(path: str | os.PathLike[str], space: Space) -> str:
    """The form in which `write` would write observations of a space to a path, to be asked before
    the work.

    Raises:
        BadRun: If the path exists.
        InvalidValue: For a form that does not suit the space.
    """
    target = Path(os.fspath(path))
    if target.stem == "*":
        return _check_pattern(target, space)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise BadRun(f"{target} exists; choose another name, or remove it first")
    return _form(os.fspath(path), target, space)


def _check_pattern(pattern: Path, space: Space) -> str:
    """The form 'folder', for a pattern such as clips/*.apng.

    Raises:
        BadRun, InvalidValue: As `check_target`.
    """
    suffix = pattern.suffix.lower()
    suffixes = (*ANIMATIONS, ".png") if space.kind == "clips" else (".png",)
    if space.kind == "points" or suffix not in suffixes:
        raise InvalidValue(
            f"{pattern}: {space} cannot be written as such files; expected a folder of"
            f" {', '.join(suffixes) if space.kind != 'points' else '.npz or .csv'}"
        )
    if suffix in ANIMATIONS:
        require_film(suffix, pattern.name)
    return check_target(f"{pattern.parent}/", space)


def _check_rows(x: Tensor, space: Space, y: Tensor | None, extra: Mapping[str, Any]) -> None:
    fits = x.ndim == len(space.shape) + 1 and all(
        s in (None, t) for s, t in zip(space.shape, x.shape[1:])
    )
    if not fits:
        raise ShapeMismatch(
            f"expected (n, {', '.join(map(str, space.shape))}) for {space}, got {tuple(x.shape)}"
        )
    for name, values in {**extra, **({} if y is None else {"y": y})}.items():
        if len(values) != len(x):
            raise ShapeMismatch(
                f"{name} must have one entry per row: expected {len(x)}, got {len(values)}"
            )


def _form(text: str, path: Path, space: Space) -> str:
    """'grid', 'folder', 'table', 'parquet', 'npz' or 'npy'.

    Raises:
        InvalidValue: For a form the space cannot be written in.
    """
    suffix = (
        path.suffix.lower()
        if path.suffix.lower() not in _OPENERS
        else path.with_suffix("").suffix.lower()
    )
    if text.endswith(("/", os.sep)) or path.is_dir() or not suffix:
        form = "folder"
    else:
        forms = {
            ".png": "grid",
            **dict.fromkeys(ANIMATIONS, "animation"),
            ".csv": "table",
            ".tsv": "table",
            ".parquet": "parquet",
            ".npz": "npz",
            ".npy": "npy",
        }
        if suffix not in forms:
            raise InvalidValue(
                f"cannot write {suffix!r} files; expected {', '.join(forms)}, or a folder (end the"
                " path with /)"
            )
        form = forms[suffix]
    kinds = _KINDS.get(form, ("points", "images", "clips"))
    if space.kind not in kinds:
        better = {
            "points": ".csv, .parquet or .npz",
            "images": ".png, a folder/ or .npz",
            "clips": ".gif, .apng, .mp4, .png, a folder/ or .npz",
        }[space.kind]
        raise InvalidValue(f"{text}: {space} cannot be written as a {form}; use {better}")
    if form == "parquet":
        _require_parquet(path)
    if form == "animation":
        require_film(suffix, path.name)
    return form


# ------------------------------------------------------------------------------------------- tables


def _write_table(
    x: Tensor, space: Space, part: Path, target: Path, beside: dict[str, list[str]]
) -> None:
    opener = _OPENERS.get(target.suffix.lower(), open)
    plain = target.with_suffix("") if target.suffix.lower() in _OPENERS else target
    with opener(part, "wt", encoding="utf-8", newline="") as stream:
        write_csv(
            x,
            space,
            stream,
            extra=beside,
            delimiter="\t" if plain.suffix.lower() == ".tsv" else ",",
        )


def _frame(x: Tensor, space: Space, beside: dict[str, list[str]]) -> Frame:
    frame = to_frame(space, x)
    for name, texts in beside.items():
        frame[name] = texts
    return frame


def _require_parquet(path: Path) -> None:
    try:
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtra(error.name or "pyarrow", "tables", f"writing {path.name}") from error


# -------------------------------------------------------------------------------- images and arrays


def _write_folder(
    x: Tensor,
    space: Space,
    part: Path,
    y: Tensor | None,
    condition_space: Space | None,
    files: str,
) -> None:
    part.mkdir()
    digits = len(str(max(len(x) - 1, 0)))
    for i in range(len(x)):
        folder = part
        if y is not None and condition_space is not None and condition_space.is_label:
            folder = part / condition_space.columns[0].categories[int(y[i])].replace("/", "-")
            folder.mkdir(exist_ok=True)
        if space.kind == "clips" and files == ".png":
            clip_strip(x[i], space).save(folder / f"{i:0{digits}}.png")
        elif space.kind == "clips":
            path = folder / f"{i:0{digits}}{files}"
            write_film(single_clip(x[i], space), path, files, space.frame_rate)
        else:
            to_image(image_bytes(x[i : i + 1], space)[0]).save(folder / f"{i:0{digits}}.png")


def _write_arrays(
    x: Tensor, space: Space, part: Path, form: str, beside: dict[str, list[str]]
) -> None:
    array = _as_came(
        np.asarray(export_levels(space, x) if space.kind != "points" else _whole(x, space)), space
    )
    with part.open("wb") as file:
        if form == "npy":
            np.save(file, array, allow_pickle=False)
        else:
            arrays: dict[str, Any] = {"x": array, **{n: _numbers(v) for n, v in beside.items()}}
            _write_npz(file, arrays)


def _write_npz(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """A compressed .npz with arbitrary array names:
    `np.savez_compressed` reserves `file` and `allow_pickle`.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _whole(x: Tensor, space: Space) -> Tensor:
    return x.round().to(torch.int64) if space.integer and not bool(x.isnan().any()) else x


def _as_came(array: NDArray[Any], space: Space) -> NDArray[Any]:
    """Images with the axes of the original data."""
    layout = space.extra.get("layout")
    if layout == "no channel axis" and array.shape[1] == 1:
        return array[:, 0]
    return array.transpose(0, 2, 3, 1) if layout == "channels last" else array


def _numbers(texts: list[str]) -> NDArray[Any]:
    """Text as numbers if every entry is one."""
    array = np.array(texts)
    for kind in (np.int64, np.float64):
        try:
            return array.astype(kind)
        except ValueError:
            continue
    return array


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary path beside the target, renamed to it on success and removed after any error."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent, target.name)
        yield part
        if part.is_file():
            with part.open("rb") as file:
                os.fsync(file.fileno())
        if target.is_dir():
            target.rmdir()
        part.rename(target)
    except PushforwardError:
        raise
    except OSError as error:
        raise BadRun(
            f"cannot write {target} ({error.strerror or error}); free some space, or choose a"
            " folder that can be written"
        ) from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            with suppress(OSError):
                part.unlink(missing_ok=True)
