"""Selection of the reader for a source, among the library's and the user's, and its result."""

from __future__ import annotations

import glob
import os
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from torch import Tensor

from pushforward.core.errors import (
    BadSource,
    InvalidKind,
    InvalidValue,
    PushforwardError,
    SourceNotFound,
    is_out_of_memory,
)
from pushforward.core.frames import is_frame
from pushforward.core.source import Source
from pushforward.core.source_views import without_labels
from pushforward.data.files import locate, printable, reason_of, require_file
from pushforward.data.formats.registry import Reader, find_reader, readers, suffixes_of_users
from pushforward.data.options import Options

__all__ = ["normalised", "reader_of", "refuse_format", "read_any"]

READERS_FAULTS = (OSError, ValueError, EOFError, LookupError)
"""Exceptions of a user's reader that mean an unreadable file; any other is a bug in the reader."""
_KINDS = "a folder, glob or zip of images or films, .npy, .npz, .csv, .jsonl, .parquet or .idx"


def read_any(source: object, options: Options) -> Source:
    """Read the source with the reader for it; unrequested labels are not marked here."""
    source = normalised(source)
    if isinstance(source, str):
        return _from_text(source, options)
    if not isinstance(source, (np.ndarray, Tensor)) and isinstance(source, Source):
        refuse_format(source, None, options)
        if options.y is not None or options.weights is not None:
            raise BadSource(
                "a source brings its own conditions and weights; pass y and weights when creating"
                " it"
            )
        return source
    reader = find_reader(source, "object")
    refuse_format(source, reader, options)
    if reader is None:
        kind = type(source).__name__
        raise InvalidKind(
            f"cannot read data from {kind}; pass an array, tensor, data frame, Dataset, iterable,"
            " path or name"
        )
    return _from_reader(reader, source, options)


def normalised(source: object) -> object:
    """A path as text; a column as an array (Arrow) or a one-column frame (pandas, Polars).

    Else unchanged.
    """
    # an Arrow array: an unnamed column
    if hasattr(source, "to_pylist") and not is_frame(source):
        return np.array(source.to_pylist())
    if hasattr(source, "to_frame") and not is_frame(source):  # a pandas or Polars series
        return source.to_frame()
    return os.fspath(source) if isinstance(source, os.PathLike) else source


def reader_of(text: str) -> Reader:
    """The reader for a name or a path."""
    reader = find_reader(text, "name")
    if reader is None:
        path = locate(text)
        reader = find_reader(text, "file")
        if path.exists() and not path.is_dir() and not glob.has_magic(text):
            require_file(path)
    if reader is not None:
        return reader
    if not path.exists():
        raise SourceNotFound(_missing(text, path))
    raise BadSource(
        f"{printable(path)}: unknown kind of file {printable(path.suffix or path.name, 40)!r};"
        f" expected {_kinds()}"
    )


def _from_text(text: str, options: Options) -> Source:
    reader = reader_of(text)
    refuse_format(text, reader, options)
    if reader.kind == "name":
        return _from_reader(reader, text, options)
    if options.n is not None:
        raise InvalidValue(
            "n is for ring, grid, moons, swissroll and moving-shapes, which are sampled;"
            f" {printable(text)} has a fixed number of rows: leave n out"
        )
    path = locate(text)
    return _from_reader(
        reader,
        path,
        replace(options, name=options.name or (text if glob.has_magic(text) else path.name)),
    )


def _from_reader(reader: Reader, source: object, options: Options) -> Source:
    if not reader.ours:
        return _from_reader_of_user(reader, source, options)
    result: Source = reader.read(source, with_conditions_read(reader, options, source))
    return result


def with_conditions_read(reader: Reader | None, options: Options, source: object = None) -> Options:
    """The options with the conditions at a path loaded; the `y` of a table, and of images with one,
    names columns instead.
    """
    if not isinstance(options.y, str) or (reader is not None and reader.tabular):
        return options
    if reader is not None and reader.name == "images" and isinstance(source, Path):
        options = with_column_of_images(source, options)
        if options.y is None:
            return options
    if options.tiles is not None:  # conditions of any sizes, cut with the images
        return options
    reading = Options(label=False, memory=options.memory)
    if reader is not None and reader.name == reader_of(options.y).name == "images":
        reading = options.for_conditions()
    return replace(options, y=read_any(options.y, reading))


def with_column_of_images(path: Path, options: Options) -> Options:
    """The options with a `y` that is a column of the images' table as their label."""
    from pushforward.data.formats.image_files import open_listing  # imports Pillow

    table = open_listing(path, films=True).table
    if table is None or options.y not in table.columns:
        return options
    return replace(options, y=None, label=options.y)


def _from_reader_of_user(reader: Reader, source: object, options: Options) -> Source:
    """The result of a user's reader as a source.

    Raises:
        BadSource: If it fails or gives something else.
    """
    try:
        result = reader.read(source, options)
    except PushforwardError:
        raise
    except READERS_FAULTS as error:
        if is_out_of_memory(error):
            raise
        raise BadSource(
            f"{printable(source)}: the reader {reader.name!r} failed ({reason_of(error)}); fix the"
            " file or the reader"
        ) from error
    if isinstance(result, Source):
        if not getattr(result, "name", ""):
            result.name = options.name  # type: ignore[attr-defined]
        return result if options.labelled else without_labels(result)
    if isinstance(result, (str, os.PathLike)) or find_reader(normalised(result), "object") in (
        None,
        reader,
    ):
        raise BadSource(
            f"{printable(source)}: the reader {reader.name!r} gave {type(result).__name__};"
            " expected a source, an array or a frame"
        )
    return read_any(result, options)


def refuse_format(source: object, reader: Reader | None, options: Options) -> None:
    """Raise InvalidValue if text table options are given for another kind of source."""
    tabular = reader is not None and reader.tabular
    settings = [
        name
        for name in options.table.requested
        if not (tabular and (isinstance(source, str) or name in ("na", "dates")))
    ]
    if settings:
        what = source if isinstance(source, str) else type(source).__name__
        raise InvalidValue(
            f"{settings[0]} describes the format of a text table, which {what} is not; leave it out"
        )


def _kinds() -> str:
    more = suffixes_of_users()
    return f"{_KINDS.removesuffix(' or .idx')}, .idx or {', '.join(more)}" if more else _KINDS


def _missing(text: str, path: Path) -> str:
    """The message for a missing path, with similar names."""
    parent = path.parent if path.parent.is_dir() else None
    beside = (
        [p.name for p in parent.iterdir()]
        if parent is not None and os.access(parent, os.R_OK)
        else []
    )
    near = get_close_matches(path.name, beside, n=1, cutoff=0.6)
    if near and parent is not None:
        return (
            f"{printable(text)}: no such file or folder; did you mean"
            f" {printable(parent / near[0])}?"
        )
    names = [name for reader in readers("name") for name in reader.names]
    nearest = get_close_matches(text, names, n=1, cutoff=0.6)
    if nearest:
        return (
            f"{printable(text)}: no such file or folder; did you mean the built-in {nearest[0]!r}?"
        )
    return (
        f"{printable(text)}: no such file or folder; expected {_kinds()}, or one of"
        f" {', '.join(names)}"
    )
