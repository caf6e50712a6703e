"""Samples written in the original form of the data.

Images become a grid (`.png`) or a folder of PNGs (a path that ends with `/`, or has no suffix);
clips become an animation (`.gif`, at their frame rate), a grid of their frames (`.png`) or a folder
of GIFs; points become `.csv`, `.tsv` or `.parquet` with their column names, categories by name;
anything becomes `.npz` or `.npy`. Files are written under a temporary name and renamed, so that a
full disk or a crash leaves no partial file; nothing is overwritten.
"""

from __future__ import annotations

import csv
import gzip
import lzma
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.column_values import as_texts
from pushforward.core.data_types import Frame
from pushforward.core.errors import (
    BadRun,
    InvalidValue,
    MissingExtra,
    PushforwardError,
    ShapeMismatch,
)
from pushforward.core.folders import remove_leftovers
from pushforward.core.space import Column, Space
from pushforward.core.space.export import export_levels, to_frame
from pushforward.data.export.grids import (
    clip_film,
    clip_grid,
    image_bytes,
    image_grid,
    to_image,
    write_animation,
)

__all__ = [
    "check_target",
    "further_columns",
    "replacing",
    "text_columns",
    "write",
    "write_csv",
]

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
_BLOCK = 65536
"""Rows that are texts at a time: as texts they take many times the memory of their numbers."""
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
        path: .png (a grid), .gif (clips), a folder (PNGs, or GIFs of clips), .csv, .csv.gz,
            .csv.xz, .tsv, .parquet, .npz or .npy; it must not exist.
        y, condition_space: conditions, written too:
            as a column for labels, `y` in an .npz, sub-folders of images.
        extra: more columns by name, each of length n (tables and .npz only).
        columns: images per row of the grid.

    Raises:
        BadRun: If it exists or cannot be written.
        InvalidValue: For a form that does not suit the space.
    """
    target = Path(os.fspath(path))
    x = x.detach().to("cpu")
    _check_rows(x, space, y, extra or {})
    form = check_target(path, space)
    beside = further_columns(y, condition_space, extra or {})
    with replacing(target) as part:
        if form == "grid":
            (clip_grid(x, space) if space.kind == "clips" else image_grid(x, space, columns)).save(
                part, format="PNG"
            )
        elif form == "animation":
            write_animation(clip_film(x, space, columns), part, space.frame_rate)
        elif form == "folder":
            _write_folder(x, space, part, y, condition_space)
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
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise BadRun(f"{target} exists; choose another name, or remove it first")
    return _form(os.fspath(path), target, space)


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
            ".gif": "animation",
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
            "clips": ".gif, .png, a folder/ or .npz",
        }[space.kind]
        raise InvalidValue(f"{text}: {space} cannot be written as a {form}; use {better}")
    if form == "parquet":
        _require_parquet(path)
    return form


def further_columns(
    y: Tensor | None, space: Space | None, extra: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Further columns as text: labels by name, numbers in their shortest form."""
    further: dict[str, list[str]] = {}
    if y is not None:
        if space is not None and space.is_label:
            names = space.columns[0].categories
            further[space.columns[0].name or "label"] = [names[int(v)] for v in y]
        elif y.ndim <= 2:
            inner = space or Space.infer(y)
            texts = text_columns(y.reshape(len(y), -1), inner)
            further.update(
                {
                    column.name or f"y{i}": values
                    for i, (column, (_, values)) in enumerate(zip(inner.columns, texts))
                }
            )
    for name, values in extra.items():
        further[name] = _texts(np.asarray(values))
    return further


# ------------------------------------------------------------------------------------------- tables


def text_columns(x: Tensor, space: Space) -> list[tuple[str, list[str]]]:
    """The columns of points as text: categories by name,
    ISO 8601 dates, rounded integers, shortest exact floats.
    """
    columns = []
    for i, (name, column) in enumerate(zip(space.names, space.columns)):
        values = x[:, i].cpu().numpy()
        columns.append((name, as_texts(values, column) or _plain_texts(values, column)))
    return columns


def _plain_texts(values: NDArray[Any], column: Column) -> list[str]:
    if column.kind == "categorical":
        codes = (
            np.nan_to_num(values, nan=-1)
            .round()
            .clip(-1, len(column.categories) - 1)
            .astype(np.int64)
        )
        return [column.categories[c] if c >= 0 else "" for c in codes]
    if column.kind == "integer" and not np.isnan(values).any():
        return _texts(values.round().astype(np.int64))
    return _texts(values)


def _texts(values: NDArray[Any]) -> list[str]:
    texts = [str(v) for v in (values if values.dtype == np.float32 else values.tolist())]
    return ["" if t == "nan" else t for t in texts]


@runtime_checkable
class Writable(Protocol):
    """An open text file, or any other object with its `write`."""

    def write(self, text: str, /) -> object:
        """Append a text."""
        ...


def write_csv(
    x: Tensor,
    space: Space,
    stream: Writable,
    *,
    extra: Mapping[str, list[str]] | None = None,
    delimiter: str = ",",
) -> None:
    """Points as comma-separated values with a header line, to an open text stream."""
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    extra = dict(extra or {})
    writer.writerow([*space.names, *extra])
    for start in range(0, len(x), _BLOCK):
        block = slice(start, start + _BLOCK)
        columns = [texts for _, texts in text_columns(x[block], space)] + [
            texts[block] for texts in extra.values()
        ]
        writer.writerows(zip(*columns))


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
    x: Tensor, space: Space, part: Path, y: Tensor | None, condition_space: Space | None
) -> None:
    part.mkdir()
    digits = len(str(max(len(x) - 1, 0)))
    for i in range(len(x)):
        folder = part
        if y is not None and condition_space is not None and condition_space.is_label:
            folder = part / condition_space.columns[0].categories[int(y[i])].replace("/", "-")
            folder.mkdir(exist_ok=True)
        if space.kind == "clips":
            write_animation(
                clip_film(x[i : i + 1], space), folder / f"{i:0{digits}}.gif", space.frame_rate
            )
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
