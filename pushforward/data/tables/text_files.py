"""Text tables, plain or packed, whole or in chunks."""

from __future__ import annotations

import codecs
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pushforward.core.argument_names import argument
from pushforward.core.errors import BadSource, PushforwardError
from pushforward.data.files import printable
from pushforward.data.options import Options
from pushforward.data.tables.cells import Cells
from pushforward.data.tables.layout import Layout, sniff
from pushforward.data.tables.packed_files import (
    open_packed,
    unpacked_size,
    without_blanks,
)
from pushforward.data.tables.table import CHUNK_ROWS, Chunks, Table
from pushforward.data.tables.table_errors import unreadable
from pushforward.data.tables.text_format import decoding, western

__all__ = ["text_table"]

_START = 1 << 16
"""Bytes that the format is told from, to begin with: 64 KB hold dozens of ordinary lines."""
_WHOLE = 1 << 26
"""Bytes among which three lines are sought, and up to which a file is read whole to tell its
encoding: 64 MB are soon read beside what parsing them takes.
"""
_HELD = 1 << 28
"""Bytes of a parsed table up to which it is kept for the second pass: beyond 256 MB, parsing it
again costs less than the memory.
"""


def text_table(path: Path, packing: str, options: Options) -> Table:
    """A text table; what the options leave open is detected from its first lines."""
    requested = options.table
    start, whole = _start(path, packing)
    encoding, note = (
        (requested.encoding, "") if requested.encoding else _encoding(path, packing, start, whole)
    )
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start, whole)
    except UnicodeDecodeError as error:
        raise unreadable(path, error) from error
    if "\0" in text[:1_000_000]:
        raise BadSource(
            f"{printable(path)}: is not a text table (its first line holds binary data); expected"
            " comma-separated values"
        )
    names = [c.name for c in options.like.columns if c.name] if options.like is not None else []
    layout = sniff(text, requested, names, str(path))
    expansion = 24 if packing in (".gz", ".xz", ".bz2", ".zst") else 4
    size = unpacked_size(path) if packing == ".zip" else path.stat().st_size
    arguments = {
        **layout.arguments(),
        "na_values": list(requested.na),
        "encoding": encoding,
        "low_memory": False,
    }
    arguments["index_col"] = 0 if layout.index else False
    if _rounds_floats():
        arguments["float_precision"] = "round_trip"
    table = Table(
        _csv(path, packing, arguments, layout, size * expansion <= min(options.memory, _HELD)),
        name=path.name,
    )
    table.unnamed = not layout.header and layout.names is None
    table.notes += [*([f"the file is {note}"] if note else []), *layout.notes]
    table.cells = Cells(layout.decimal, layout.thousands)
    table.layout, table.encoding = layout, encoding
    as_text = {**arguments, "dtype": str, "keep_default_na": False, "na_values": []}
    table.texts = lambda rows: _csv(path, packing, as_text, layout, False, rows)()
    return table


def _rounds_floats() -> bool:
    """Whether this pandas reads the last digits of numbers wrong unless told otherwise: before 3.0,
    where the argument is deprecated.
    """
    import pandas

    return int(pandas.__version__.partition(".")[0]) < 3


def _csv(
    path: Path, packing: str, arguments: dict[str, Any], layout: Layout, whole: bool,
    rows: int | None = None,
) -> Chunks:  # fmt: skip
    import pandas

    held: list[Any] = []

    def chunks() -> Iterator[Any]:
        if held:
            yield from held
            return
        try:
            if layout.separator == r"\s+":
                _refuse_short_lines(path, packing, arguments["encoding"], layout)
            with open_packed(path, packing) as file, warnings.catch_warnings():
                warnings.filterwarnings(
                    "error",
                    message="Length of header or names",
                    category=pandas.errors.ParserWarning,
                )
                if whole:
                    held.append(without_blanks(pandas.read_csv(file, **arguments)))
                    yield from held
                else:
                    with pandas.read_csv(file, chunksize=rows or CHUNK_ROWS, **arguments) as reader:
                        yield from map(without_blanks, reader)
        except pandas.errors.EmptyDataError as error:
            raise BadSource(
                f"{printable(path)}: the file is empty; expected a header line and at least one row"
            ) from error
        except pandas.errors.ParserWarning as error:
            remedy = (
                "name the extra column, remove lines above the header, or choose another separator"
                f" ({argument('separator')})"
            )
            raise BadSource(
                f"{printable(path)}: its rows have more fields than its header names; {remedy}"
            ) from error
        except (PushforwardError, MemoryError):
            raise
        except Exception as error:  # a parser of untrusted bytes may raise anything
            raise unreadable(path, error) from error

    return chunks


def _refuse_short_lines(path: Path, packing: str, encoding: str, layout: Layout) -> None:
    """Raise BadSource for a line with too few fields separated by blanks:
    pandas would shift its values left.
    """
    heading = layout.index  # row names have no heading, so the header is one field shorter
    with open_packed(path, packing) as file:
        for number, line in enumerate(io.TextIOWrapper(file, encoding=encoding, errors="replace")):
            text = line.split(layout.comment)[0] if layout.comment else line
            fields = len(text.split())
            if number < layout.skip or not fields or '"' in text:
                continue
            if fields < layout.width - heading:
                raise BadSource(
                    f"{printable(path)}: a line has {fields} of {layout.width} fields"
                    f" ({' '.join(text.split())[:60]!r}), and blanks do not show which are missing;"
                    " write NA in their place, or use another separator"
                )
            heading = False


def _start(path: Path, packing: str) -> tuple[bytes, bool]:
    """The first bytes, at least one line, and whether they are the whole file."""
    try:
        with open_packed(path, packing) as file:
            start = file.read(_START)
            while start.count(b"\n") < 3 and len(start) < _WHOLE:
                more = file.read(len(start) or 1)
                if not more:
                    return start, True
                start += more
            return start, not file.read(1)
    except (PushforwardError, MemoryError):
        raise
    except Exception as error:
        raise unreadable(path, error) from error


def _encoding(path: Path, packing: str, start: bytes, whole: bool) -> tuple[str, str]:
    """The encoding: from the first bytes and, if these say UTF-8
    and the file is not huge, from all of it.
    """
    encoding, note = decoding(start, whole=whole)
    if encoding != "utf-8" or whole or path.stat().st_size > _WHOLE // (8 if packing else 1):
        return encoding, note
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_packed(path, packing) as file:
            while block := file.read(1 << 20):
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    return western(block), "not UTF-8: read as Latin-1 (cp1252)"
    except (PushforwardError, MemoryError):
        raise
    except Exception as error:
        raise unreadable(path, error) from error
    return encoding, note
