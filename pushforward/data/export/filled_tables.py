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
    TableSink,
    cell_texts,
    open_sink,
    open_text,
    table_suffix,
)
from pushforward.data.export.tables import Writable
from pushforward.data.export.writing import replacing
from pushforward.data.tables.cells import is_missing
from pushforward.data.tables.files import kind_of_file
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


_ROWS = 8192
"""Rows of texts that are read at once."""


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
    dtypes: dict[str, Any], *, na: Sequence[str] = (), stream: Writable | None = None,
    patched: bool = True,
) -> Iterator[tuple[Add, FrameSink | None]]:  # fmt: skip
    """What filled rows are written with, in order, and the frames, if they are kept.

    Args:
        table, path: to be filled.
        target: the file to write; None for a stream, or frames in memory.
        space: of the columns that are filled.
        na: the caller's markers of missing values.
        patched: whether cells are replaced in the table's own text.

    Raises:
        Misaligned: If that cannot be done.
        BadRun: If the file cannot be written.
    """
    if patched and path is not None and table.layout is not None:
        with _text_target(target, stream, form) as out, _lines(path, form.encoding) as lines:
            patch = _Patch(table, na, lines, out, space, form)
            yield patch.add, None
            patch.finish()
        return
    to_text = target is not None or stream is not None
    if to_text and table.texts is not None and not str(target).lower().endswith(".parquet"):
        with open_sink(target, form, dtypes, stream) as sink:
            yield _Rewritten(table.texts(_ROWS), sink, space, form).add, None
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
        self, table: Table, na: Sequence[str], lines: Iterator[str], out: Writable, space: Space,
        form: TableForm,
    ) -> None:  # fmt: skip
        assert table.layout is not None
        self.layout, self.na, self.out = table.layout, _Markers(na), out
        self.space, self.form = space, form
        for _ in range(self.layout.skip):
            out.write(next(lines, ""))
        self.records = join_lines(lines, self.layout.separator)
        if self.layout.header and self.layout.names is None:
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
        texts: dict[int, dict[int, str]] = {}
        for place, at, entries in _filled_cells(rows, x, self.space, self.form):
            for row, text in zip(at, entries):
                texts.setdefault(row, {})[place + self.layout.index] = text
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
            cell = parts.cells[place].strip()
            quoted = cell.startswith('"')
            cell = cell.strip('"').strip()
            if not (is_missing(cell) or cell in _MISSING or cell in self.na):
                raise Misaligned(f"row {row} holds {cell!r} where a value is missing")
            parts.cells[place] = self._quoted(text, quoted)

    def _quoted(self, text: str, quoted: bool) -> str:
        marks = (self.layout.separator, '"', "\n", "\r")
        if quoted or any(mark in text for mark in marks):
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


class _Markers:
    """The caller's markers of missing values; numbers as pandas takes them: -999.0 is -999."""

    def __init__(self, na: Sequence[str]) -> None:
        self.texts = {text.strip() for text in na}
        self.numbers = {number for text in na if (number := _number(text)) is not None}

    def __contains__(self, cell: str) -> bool:
        return cell in self.texts or _number(cell) in self.numbers


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _filled_cells(
    rows: TypedRows, x: NDArray[np.float64], space: Space, form: TableForm
) -> Iterator[tuple[int, list[int], list[str]]]:
    """Of each column with gaps its place in the table, the rows of gaps, and what is written."""
    names = [str(name) for name in rows.frame.columns]
    named = any(column.name for column in space.columns)
    places = [names.index(n) for n in space.names] if named else range(space.size)
    for j, (place, column) in enumerate(zip(places, space.columns)):
        at = np.flatnonzero(rows.missing[:, j])
        yield place, at.tolist(), cell_texts(x[at, j], column, form, names[place])


class _Rewritten:
    """Writes a text table anew, the cells that are there as they are spelled."""

    def __init__(
        self, frames: Iterator[Any], sink: TableSink, space: Space, form: TableForm
    ) -> None:
        self.frames, self.sink = frames, sink
        self.space, self.form = space, form
        self.kept: Any = None

    def add(self, rows: TypedRows, x: NDArray[np.float64]) -> None:
        """Write rows with the values x (n, d) in place of those that are missing."""
        frame = self._next(len(rows))
        columns = [frame.iloc[:, place].tolist() for place in range(frame.shape[1])]
        for place, at, entries in _filled_cells(rows, x, self.space, self.form):
            for row, text in zip(at, entries):
                columns[place][row] = text
        self.sink.add(dict(zip(map(str, rows.frame.columns), columns)))

    def _next(self, count: int) -> Any:
        """The next rows as texts, '' for cells that are not there."""
        import pandas

        parts, held = ([], 0) if self.kept is None else ([self.kept], len(self.kept))
        while held < count:
            parts.append(next(self.frames).fillna(""))
            held += len(parts[-1])
        whole = parts[0] if len(parts) == 1 else pandas.concat(parts)
        self.kept = whole.iloc[count:]
        return whole.iloc[:count]


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
        series[missing] = _entries(series, x[missing, j], column, form, str(name))
        frame[name] = series
    filled: Frame = frame
    return filled


def _entries(
    series: Any, values: NDArray[np.float64], column: Column, form: TableForm, name: str
) -> Any:
    """Values as entries of a series: in its dtype, as its texts, or as truths."""
    if series.dtype.kind in "fiubmM" or str(series.dtype) == "category":
        return np.asarray(restore(values, column))
    texts = cell_texts(values, column, form, name)
    present = series.dropna()
    if len(present) and isinstance(present.iloc[0], (bool, np.bool_)):
        return [text == "True" for text in texts]
    return texts if column.kind == "categorical" or _holds_text(present) else list(values)


def _holds_text(present: Any) -> bool:
    return bool(len(present)) and isinstance(present.iloc[0], str)
