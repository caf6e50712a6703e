"""Tables written in the form that they were read in: separator, decimal mark, encoding,
percentages, dates and decimals; and in pieces, so that they need not be in memory.
"""

from __future__ import annotations

import csv
import gzip
import io
import lzma
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pushforward.core.column_values import as_texts, restore
from pushforward.core.columns import Column
from pushforward.core.data_types import Frame
from pushforward.core.errors import BadRun, InvalidValue, MissingExtra
from pushforward.data.export.number_forms import (
    NumberForm,
    first_cells,
    in_marks,
    number_forms,
    truth_forms,
)
from pushforward.data.export.tables import Writable, write_header
from pushforward.data.export.writing import replacing
from pushforward.data.tables.table import Table

__all__ = ["TableForm", "TableSink", "cell_texts", "check_table_path", "form_of", "open_sink"]

SUFFIXES = (".csv", ".tsv", ".parquet", ".csv.gz", ".csv.xz", ".tsv.gz", ".tsv.xz")
ENDINGS = ".csv, .tsv (packed: .gz, .xz) or .parquet"
"""The suffixes in words, as the help of commands has them."""
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}


@dataclass(frozen=True)
class TableForm:
    """How a text table is written.

    Args:
        separator, decimal, encoding: of text tables.
        newline: what ends a line.
        header: whether the first line holds the names.
        suffix: of the table's file; '' if it came from memory.
        numbers: how columns of numbers are spelled, by name.
        truths: how columns of booleans spell 'True' and 'False', by name.
    """

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    newline: str = "\n"
    header: bool = True
    suffix: str = ""
    numbers: Mapping[str, NumberForm] = field(default_factory=dict)
    truths: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def for_path(self, path: Path) -> TableForm:
        """The form for a file of another kind: tabs in .tsv files, commas where .csv was none."""
        kind = table_suffix(path)
        if kind.startswith(".tsv"):
            return replace(self, separator="\t")
        if self.separator == "\t" and kind.startswith(".csv") and not self.suffix.endswith(".csv"):
            numbers = in_marks(self.numbers, ".")
            return replace(self, separator=",", decimal=".", numbers=numbers)
        return self


def form_of(table: Table | None, path: Path | None = None) -> TableForm:
    """The form that a table was read in; the usual one for tables that are no text."""
    if table is None or table.layout is None:
        return TableForm(suffix="" if path is None else path.suffix.lower())
    layout = table.layout
    separator = " " if layout.separator == r"\s+" else layout.separator
    decimal = "." if layout.decimal == separator else layout.decimal
    suffix = "" if path is None else path.suffix.lower()
    header = not table.unnamed
    newline, cells = _newline(path), first_cells(table)
    numbers, truths = in_marks(number_forms(cells, layout), decimal), truth_forms(cells)
    return TableForm(separator, decimal, table.encoding, newline, header, suffix, numbers, truths)


def _newline(path: Path | None) -> str:
    if path is None or path.suffix.lower() in (".gz", ".xz", ".bz2", ".zip", ".zst"):
        return "\n"
    with path.open("rb") as file:
        return "\r\n" if b"\r\n" in file.read(1 << 16) else "\n"


def table_suffix(path: Path) -> str:
    """The suffix of a table, with that of its packing."""
    return "".join(path.suffixes[-2:] if path.suffix.lower() in _OPENERS else [path.suffix]).lower()


def check_table_path(path: str | Path) -> Path:
    """The path of a table to be written.

    Raises:
        BadRun: If it exists.
        InvalidValue: If tables cannot be written so.
    """
    target = Path(path).expanduser()
    if table_suffix(target) not in SUFFIXES:
        raise InvalidValue(
            f"cannot write a table to {target.name!r}; expected a name that ends in {ENDINGS}"
        )
    if target.exists():
        raise BadRun(f"{target} exists; choose another name, or remove it first")
    if target.suffix.lower() == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise MissingExtra("pyarrow", "tables", f"writing {target.name}") from error
    return target


# -------------------------------------------------------------------------------------------- cells


def cell_texts(values: NDArray[Any], column: Column, form: TableForm, name: str = "") -> list[str]:
    """The entries of a column (n,) as a text table holds them; '' for missing ones.

    Args:
        values: codes, or numbers in the column's unit.
        column: what they are.
        form: of the table.
        name: of the column in the table, if it has a spelling of its own there.
    """
    missing = np.isnan(values)
    spelling = form.numbers.get(name or column.name)
    if column.kind == "categorical":
        codes = np.where(missing, -1, values).round().astype(np.int64)
        words = form.truths.get(name or column.name, {})
        names = [words.get(str(category), str(category)) for category in column.categories] + [""]
        if column.dtype.lower().startswith(("float", "int")):  # numbers, as Python writes them
            numbers = [float(category) for category in column.categories]
            wholes = [0 if v.is_integer() else None for v in numbers]
            names = [_number(v, whole, spelling, column, form) for v, whole in zip(numbers, wholes)]
            names.append("")
        return [names[code] for code in codes]
    texts = None if column.unit == "%" else as_texts(values, column)
    if texts is not None and (spelling is None or column.unit or column.dtype[:3] != "int"):
        return texts
    decimals = 0 if column.kind == "integer" else column.decimals
    return [
        "" if absent else _number(v, decimals, spelling, column, form)
        for v, absent in zip(values.tolist(), missing)
    ]


def _number(
    value: float, decimals: int | None, spelling: NumberForm | None, column: Column, form: TableForm
) -> str:
    """A number as the table spells it."""
    if spelling is None:
        spelling = NumberForm(percent="%" if column.unit == "%" else "", decimal=form.decimal)
    elif column.unit == "%" and not spelling.percent:
        spelling = replace(spelling, percent="%")
    return spelling.text(value, decimals)


# -------------------------------------------------------------------------------------------- files


@runtime_checkable
class TableSink(Protocol):
    """What the pieces of a table are written to."""

    def add(self, columns: Mapping[str, tuple[NDArray[Any], Column] | Sequence[Any]]) -> None:
        """Append rows: of each column its numbers (n,) and what it is, or its texts."""
        ...

    def add_frame(self, frame: Frame) -> None:
        """Append rows of a frame."""
        ...


class TextSink:
    """A text table, written piece by piece to an open stream."""

    def __init__(self, stream: Writable, form: TableForm) -> None:
        self.stream, self.form, self.started = stream, form, False
        self.writer = csv.writer(stream, delimiter=form.separator, lineterminator=form.newline)

    def add(self, columns: Mapping[str, tuple[NDArray[Any], Column] | Sequence[Any]]) -> None:
        """Append rows."""
        if not self.started and self.form.header:
            form = self.form
            write_header(self.stream, [*map(str, columns)], form.separator, form.newline)
        self.started = True
        texts = [
            cell_texts(entries[0], entries[1], self.form, name)
            if isinstance(entries, tuple)
            else [self._text(entry, name) for entry in entries]
            for name, entries in columns.items()
        ]
        self.writer.writerows(zip(*texts))

    def add_frame(self, frame: Frame) -> None:
        """Append rows of a frame."""
        rows: Any = frame
        rows.to_csv(
            self.stream,
            sep=self.form.separator,
            decimal=self.form.decimal,
            header=self.form.header and not self.started,
            index=False,
            lineterminator=self.form.newline,
        )
        self.started = True

    def _text(self, entry: object, name: str) -> str:
        if entry is None or entry != entry:
            return ""
        if isinstance(entry, (int, float)) and name in self.form.numbers:
            return self.form.numbers[name].text(float(entry), 0 if isinstance(entry, int) else None)
        text = str(entry)
        return text.replace(".", self.form.decimal) if isinstance(entry, float) else text


class FrameSink:
    """Data frames, kept in memory, or written as Parquet piece by piece.

    Args:
        dtypes: of the original table, by column; kept where the values allow it.
        path: of a Parquet file; None to keep the frames.
    """

    def __init__(self, dtypes: Mapping[str, Any], path: Path | None = None) -> None:
        self.dtypes, self.path = dtypes, path
        self.frames: list[Frame] = []
        self._writer: Any = None

    def add(self, columns: Mapping[str, tuple[NDArray[Any], Column] | Sequence[Any]]) -> None:
        """Append rows."""
        import pandas

        frame: Frame = pandas.DataFrame(
            {
                name: restore(*entries) if isinstance(entries, tuple) else list(entries)
                for name, entries in columns.items()
            }
        )
        self.add_frame(_as_before(frame, self.dtypes))

    def add_frame(self, frame: Frame) -> None:
        """Append rows of a frame."""
        if self.path is None:
            self.frames.append(frame)
            return
        import pyarrow
        from pyarrow import parquet

        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        if self._writer is None:
            fields = [
                pyarrow.field(f.name, pyarrow.string()) if pyarrow.types.is_null(f.type) else f
                for f in table.schema
            ]
            schema = pyarrow.schema(fields, metadata=table.schema.metadata)
            self._writer = parquet.ParquetWriter(str(self.path), schema)
        self._writer.write_table(table.cast(self._writer.schema))

    def frame(self) -> Frame:
        """The frames as one."""
        import pandas

        whole: Frame = pandas.concat(self.frames, ignore_index=True)
        return whole

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()


def _as_before(given: Frame, dtypes: Mapping[str, Any]) -> Frame:
    """The frame with the original dtypes, where its values allow them."""
    frame: Any = given
    for name, dtype in dtypes.items():
        if name in frame and frame[name].dtype != dtype:
            try:
                same = frame[name].astype(dtype)
            except (TypeError, ValueError):
                continue
            if same.isna().equals(frame[name].isna()):
                frame[name] = same
    return given


@contextmanager
def open_sink(
    path: Path | None, form: TableForm, dtypes: Mapping[str, Any], stream: Writable | None = None
) -> Iterator[TableSink]:
    """What a table is written to: a file, which appears when all is written; a stream; or memory.

    Raises:
        BadRun: If the file cannot be written.
    """
    if path is None:
        yield FrameSink(dtypes) if stream is None else TextSink(stream, form)
        return
    form = form.for_path(path)
    with replacing(path) as part:
        if path.suffix.lower() == ".parquet":
            sink = FrameSink(dtypes, part)
            yield sink
            sink.close()
            return
        with open_text(part, path.suffix.lower(), form.encoding) as file:
            yield TextSink(file, form)


def open_text(part: Path, packing: str, encoding: str) -> TextIO:
    """A text file to write, packed if its suffix says so."""
    opener = _OPENERS.get(packing)
    if opener is None:
        return part.open("w", encoding=encoding, newline="")
    return io.TextIOWrapper(opener(part, "wb"), encoding=encoding, newline="")
