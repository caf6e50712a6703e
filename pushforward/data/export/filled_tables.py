"""A table written again with some of its cells replaced: text tables byte for byte, others by their
data frames.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.column_values import restore
from pushforward.core.columns import Column
from pushforward.core.data_types import Frame
from pushforward.core.errors import PushforwardError
from pushforward.core.space import Space
from pushforward.data.export.table_forms import (
    FrameSink,
    TableForm,
    cell_texts,
    open_sink,
    open_text,
    table_suffix,
)
from pushforward.data.export.tables import Writable
from pushforward.data.export.writing import replacing
from pushforward.data.tables.cells import is_missing
from pushforward.data.tables.files import kind_of_file
from pushforward.data.tables.layout import Layout
from pushforward.data.tables.packed_files import open_packed
from pushforward.data.tables.raw_cells import RawRecord, join_lines, split_record
from pushforward.data.tables.table import Table
from pushforward.data.tables.typed_rows import TypedRows

__all__ = ["Add", "Misaligned", "can_be_patched", "open_filled"]

Add = Callable[[TypedRows, NDArray[np.float64]], None]
"""Writes rows with the values (n, d) in place of those that are missing."""
_MISSING = (
    "nan",
    "<NA>",
    "#N/A",
    "#NA",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "-1.#IND",
    "-1.#QNAN",
)


class Misaligned(PushforwardError, ValueError):
    """The lines of a text table are not the rows that were read of it."""


def can_be_patched(table: Table, path: Path | None, target: Path | None) -> bool:
    """Whether cells of a text table can be replaced in its own text, in a target of its kind."""
    if table.layout is None or path is None or path.is_dir():
        return False
    if table.layout.separator == r"\s+" or table.layout.comment is not None:
        return False
    return target is None or table_suffix(target) == table_suffix(path) or _alike(path, target)


def _alike(path: Path, target: Path) -> bool:
    return table_suffix(target).startswith(".csv") and kind_of_file(path)[0] in (".txt", ".data")


@contextmanager
def open_filled(
    table: Table, path: Path | None, target: Path | None, space: Space, form: TableForm,
    dtypes: dict[str, Any], *, stream: Writable | None = None, patched: bool = True,
    markers: Sequence[str] = (),
) -> Iterator[tuple[Add, FrameSink | None]]:  # fmt: skip
    """What filled rows are written with, in order, and the frames, if they are kept.

    Args:
        table, path: to be filled.
        target: the file to write; None for a stream, or frames in memory.
        space: of the columns that are filled.
        patched: whether cells are replaced in the table's own text.
        markers: declared texts of missing values.

    Raises:
        Misaligned: If that cannot be done.
        BadRun: If the file cannot be written.
    """
    if patched and path is not None and table.layout is not None:
        with _text_target(target, stream, form) as out, _lines(path, form.encoding) as lines:
            patch = _Patch(table.layout, lines, out, space, form, (*_MISSING, *markers))
            yield patch.add, None
            patch.finish()
        return
    with open_sink(target, form, dtypes, stream) as sink:
        yield (
            lambda rows, x: sink.add_frame(_filled_frame(rows, x, space, form)),
            sink if isinstance(sink, FrameSink) and target is None else None,
        )


@contextmanager
def _text_target(
    target: Path | None, stream: Writable | None, form: TableForm
) -> Iterator[Writable]:
    if target is None:
        assert stream is not None
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as kept:
            yield kept
            kept.seek(0)
            shutil.copyfileobj(kept, stream)
        return
    with replacing(target) as part, open_text(part, target.suffix.lower(), form.encoding) as out:
        yield out


@contextmanager
def _lines(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    with open_packed(path, kind_of_file(path)[1]) as file:
        # newline="" keeps the line ends as they are
        yield iter(io.TextIOWrapper(file, encoding=encoding, newline=""))


class _Patch:
    """Replaces cells of a text table in its own text."""

    def __init__(
        self, layout: Layout, lines: Iterator[str], out: Writable, space: Space, form: TableForm,
        missing: Sequence[str],
    ) -> None:  # fmt: skip
        self.layout, self.lines, self.out, self.missing = layout, lines, out, missing
        self.space, self.form = space, form
        for _ in range(layout.skip):
            out.write(next(lines, ""))
        self.records = join_lines(lines)
        if layout.header and layout.names is None:
            self._copy_blank()

    def _copy_blank(self) -> str:
        """Write records up to the next that is not blank, which pandas passes over; the header."""
        for record in self.records:
            self.out.write(record)
            if record.strip():
                return record
        return ""

    def add(self, rows: TypedRows, x: NDArray[np.float64]) -> None:
        """Write rows with the values x (n, d) in place of those that are missing."""
        names = [str(name) for name in rows.frame.columns]
        named = any(column.name for column in self.space.columns)
        places = [names.index(n) for n in self.space.names] if named else range(self.space.size)
        texts: dict[int, dict[int, str]] = {}
        for j, column in enumerate(self.space.columns):
            at = np.flatnonzero(rows.missing[:, j])
            for row, text in zip(at.tolist(), cell_texts(x[at, j], column, self.form)):
                texts.setdefault(row, {})[places[j] + self.layout.index] = text
        for row in range(len(rows)):
            record = self._next()
            if row in texts:
                parts = split_record(record, self.layout.separator)
                self._replace(parts, texts[row], rows.first + row)
                record = parts.written(self.layout.separator)
            self.out.write(record)

    def _next(self) -> str:
        for record in self.records:
            if record.strip():
                return record
            self.out.write(record)
        raise Misaligned("the table has fewer lines than rows")

    def _replace(self, parts: RawRecord, texts: dict[int, str], row: int) -> None:
        parts.cells += [""] * (max(texts) + 1 - len(parts.cells))
        for place, text in texts.items():
            cell = parts.cells[place].strip().strip('"').strip()
            if not (is_missing(cell) or cell in self.missing):
                raise Misaligned(f"row {row} holds {cell!r} where a value is missing")
            parts.cells[place] = self._quoted(text)

    def _quoted(self, text: str) -> str:
        if any(mark in text for mark in (self.layout.separator, '"', "\n", "\r")):
            return '"' + text.replace('"', '""') + '"'
        return text

    def finish(self) -> None:
        """Write what follows the last row.

        Raises:
            Misaligned: If that is another row.
        """
        for record in self.records:
            if record.strip():
                raise Misaligned("the table has more lines than rows")
            self.out.write(record)


def _filled_frame(rows: TypedRows, x: NDArray[np.float64], space: Space, form: TableForm) -> Frame:
    """The frame of rows with values in place of the missing ones, in its own dtypes."""
    frame: Any = rows.frame
    frame = frame.copy()
    names = [str(name) for name in frame.columns]
    named = any(column.name for column in space.columns)
    for j, column in enumerate(space.columns):
        missing = rows.missing[:, j]
        if not missing.any():
            continue
        name = frame.columns[names.index(space.names[j]) if named else j]
        series: Any = frame[name].copy()
        series[missing] = _entries(series, x[missing, j], column, form)
        frame[name] = series
    filled: Frame = frame
    return filled


def _entries(series: Any, values: NDArray[np.float64], column: Column, form: TableForm) -> Any:
    """Values as entries of a series: in its dtype, as its texts, or as truths."""
    if series.dtype.kind in "fiubmM" or str(series.dtype) == "category":
        return np.asarray(restore(values, column))
    texts = cell_texts(values, column, form)
    present = series.dropna()
    if len(present) and isinstance(present.iloc[0], (bool, np.bool_)):
        return [text == "True" for text in texts]
    return texts if column.kind == "categorical" or _holds_text(present) else list(values)


def _holds_text(present: Any) -> bool:
    return bool(len(present)) and isinstance(present.iloc[0], str)
