"""Table files: text tables (plain or packed), `.jsonl`, `.xlsx`,
`.parquet` and folders of Parquet, whole or in chunks.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadSource, InvalidValue, MissingExtra, PushforwardError
from pushforward.core.source import Arrays
from pushforward.data.files import reason_of, shown
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.tables.cells import Cells
from pushforward.data.tables.columns import Table
from pushforward.data.tables.frames import from_chunks
from pushforward.data.tables.layout import Layout, sniff
from pushforward.data.tables.text_format import decoding, western

__all__ = ["is_table", "is_text_table", "from_table", "open_table"]

_TEXT = (".csv", ".tsv", ".tab", ".psv", ".txt", ".data", ".dat")
_JSON = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
_PACKED = (".gz", ".xz", ".bz2", ".zip", ".zst")
_ROWS = 65536
_START = 1 << 16
_WHOLE = 1 << 26


def is_table(path: Path) -> bool:
    """Whether the path is that of a table, packed or not, or a folder of Parquet files."""
    kind, _ = _kind(path)
    return kind in (*_TEXT, *_JSON, *_PARQUET, ".xlsx") or (
        path.is_dir() and bool(_parquet_files(path))
    )


def is_text_table(path: Path) -> bool:
    """Whether the path is that of a text table, whose format can be told."""
    return _kind(path)[0] in _TEXT and not path.is_dir()


def _kind(path: Path) -> tuple[str, str]:
    """The suffix of what is inside, and of what it is packed with,
    in small letters; '' for none.
    """
    suffixes = [s.lower() for s in path.suffixes[-2:]]
    if not suffixes or suffixes[-1] not in _PACKED:
        return (suffixes[-1] if suffixes else ""), ""
    return (suffixes[-2] if len(suffixes) > 1 else ""), suffixes[-1]


def _parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder (partitioned, or parts side by side);
    none where anything else is in it.
    """
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "_")))
        for name in sorted(n for n in names if not n.startswith((".", "_"))):
            if not name.lower().endswith(_PARQUET):
                return []
            found.append(Path(where) / name)
    return found


def _is_table(text: str) -> bool:
    path = Path(text).expanduser()
    return path.exists() and is_table(path)


@register_reader(
    name="table", suffixes=(*_TEXT, *_JSON, *_PARQUET, ".xlsx"), claims=_is_table, tabular=True
)
def from_table(path: Path, options: Options) -> Arrays:
    """Tables: text (plain or packed), JSON lines, Excel, Parquet files and folders of them."""
    return from_chunks(open_table(path, options), options)


def open_table(path: Path, options: Options) -> Table:
    """The table at a path: a function that starts reading it over,
    and what was decided about it.
    """
    kind, packing = _kind(path)
    _require("pandas", path)
    others = [name for name in options.table.asked if name not in ("na", "dates")]
    if kind not in _TEXT and others:
        raise InvalidValue(
            f"{shown(path)}: {others[0]} is for text tables, which {kind or 'such a folder'} is"
            " not; leave it out"
        )
    if path.is_dir():
        return _folder(path)
    if kind in _PARQUET and not packing:
        return _parquet(path)
    if kind in _JSON:
        return _json(path, packing)
    if kind == ".xlsx":
        return _excel(path)
    return _text(path, packing, options)


# --------------------------------------------------------------------------------------------- text


def _text(path: Path, packing: str, options: Options) -> Table:
    asked = options.table
    start, whole = _start(path, packing)
    encoding, note = (
        (asked.encoding, "") if asked.encoding else _encoding(path, packing, start, whole)
    )
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start, whole)
    except UnicodeDecodeError as error:
        raise _unreadable(path, error) from error
    if "\0" in text[:1_000_000]:
        raise BadSource(
            f"{shown(path)}: is not a text table (its first line holds binary data); expected"
            " comma-separated values"
        )
    known = [c.name for c in options.like.columns if c.name] if options.like is not None else []
    layout = sniff(text, asked, known, str(path))
    expansion = 24 if packing in (".gz", ".xz", ".bz2", ".zst") else 4
    size = _unpacked_size(path) if packing == ".zip" else path.stat().st_size
    arguments = {
        **layout.arguments(),
        "na_values": list(asked.na),
        "encoding": encoding,
        "low_memory": False,
    }
    arguments["index_col"] = 0 if layout.index else False
    table = Table(
        _csv(path, packing, arguments, layout, size * expansion <= options.memory), name=path.name
    )
    table.unnamed = not layout.header and layout.names is None
    table.notes += [*([f"the file is {note}"] if note else []), *layout.notes]
    table.cells = Cells(layout.decimal, layout.thousands)
    return table


def _csv(path: Path, packing: str, arguments: dict[str, Any], layout: Layout, whole: bool) -> Any:
    import pandas

    held: list[Any] = []

    def chunks() -> Iterator[Any]:
        if held:
            yield from held
            return
        try:
            if layout.separator == r"\s+":
                _refuse_short_lines(path, packing, arguments["encoding"], layout)
            with opened(path, packing) as file, warnings.catch_warnings():
                warnings.filterwarnings(
                    "error",
                    message="Length of header or names",
                    category=pandas.errors.ParserWarning,
                )
                if whole:
                    held.append(_tidy(pandas.read_csv(file, **arguments)))
                    yield from held
                else:
                    with pandas.read_csv(file, chunksize=_ROWS, **arguments) as reader:
                        yield from map(_tidy, reader)
        except pandas.errors.EmptyDataError as error:
            raise BadSource(
                f"{shown(path)}: the file is empty; expected a header line and at least one row"
            ) from error
        except pandas.errors.ParserWarning as error:
            cure = (
                "name the further column, remove lines above the header, or choose another"
                " separator (--separator)"
            )
            raise BadSource(
                f"{shown(path)}: its rows have more fields than its header names; {cure}"
            ) from error
        except (PushforwardError, MemoryError):
            raise
        except Exception as error:  # a parser of untrusted bytes may raise anything
            raise _unreadable(path, error) from error

    return chunks


def _refuse_short_lines(path: Path, packing: str, encoding: str, layout: Layout) -> None:
    """BadSource for a line with fewer fields than others,
    where blanks separate them: pandas would move its values to the left.
    """
    heading = layout.index  # the row names have no heading, so that the header is shorter by one
    with opened(path, packing) as file:
        for number, line in enumerate(io.TextIOWrapper(file, encoding=encoding, errors="replace")):
            text = line.split(layout.comment)[0] if layout.comment else line
            found = len(text.split())
            if number < layout.skip or not found or '"' in text:
                continue
            if found < layout.width - heading:
                raise BadSource(
                    f"{shown(path)}: a line has {found} of {layout.width} fields"
                    f" ({' '.join(text.split())[:60]!r}), and blanks do not tell which are missing;"
                    " write NA in their place, or use another separator"
                )
            heading = False


def _tidy(frame: Any) -> Any:
    """The frame with its columns' names stripped of blanks."""
    if any(isinstance(c, str) and c != c.strip() for c in frame.columns):
        frame.columns = [c.strip() if isinstance(c, str) else c for c in frame.columns]
    return frame


@contextmanager
def opened(path: Path, packing: str) -> Iterator[Any]:
    """The bytes of a file, unpacked."""
    if packing == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as file:
            yield file
    elif packing == ".zst":
        _require("zstandard", path)
        import zstandard

        with zstandard.open(path, "rb") as file:
            yield file
    else:
        openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
        with openers.get(packing, open)(path, "rb") as file:
            yield file


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file in an archive."""
    members = [
        m
        for m in archive.infolist()
        if not m.is_dir() and not m.filename.startswith(("__MACOSX", "."))
    ]
    if len(members) != 1:
        raise BadSource(
            f"{shown(path)}: holds {len(members)} files; expected one table in it: unpack it and"
            " name one"
        )
    return members[0]


def _unpacked_size(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            return _member(path, archive).file_size
    except (zipfile.BadZipFile, OSError) as error:
        raise _unreadable(path, error) from error


def _start(path: Path, packing: str) -> tuple[bytes, bool]:
    """The first bytes, at least one line of them, and whether these are all."""
    try:
        with opened(path, packing) as file:
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
        raise _unreadable(path, error) from error


def _encoding(path: Path, packing: str, start: bytes, whole: bool) -> tuple[str, str]:
    """The encoding: by the file's first bytes, and where these
    say UTF-8 and the file is not huge, by all of them.
    """
    encoding, note = decoding(start, whole=whole)
    if encoding != "utf-8" or whole or path.stat().st_size > _WHOLE // (8 if packing else 1):
        return encoding, note
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with opened(path, packing) as file:
            while block := file.read(1 << 20):
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    return western(block), "not UTF-8: read as Latin-1 (cp1252)"
    except (PushforwardError, MemoryError):
        raise
    except Exception as error:
        raise _unreadable(path, error) from error
    return encoding, note


# -------------------------------------------------------------------------------------- other kinds


def _parquet(path: Path) -> Table:
    _require("pyarrow", path)
    from pyarrow import parquet

    def chunks() -> Iterator[Any]:
        try:
            with parquet.ParquetFile(path) as file:
                if file.metadata.num_rows == 0:
                    yield file.schema_arrow.empty_table().to_pandas()
                for batch in file.iter_batches(batch_size=_ROWS):
                    yield batch.to_pandas()
        except Exception as error:
            raise _unreadable(path, error) from error

    return Table(chunks, name=path.name)


def _folder(path: Path) -> Table:
    """Parquet files in a folder; the values in folder names such as year=2019 are columns."""
    _require("pyarrow", path)
    from pyarrow import dataset

    files = _parquet_files(path)

    def chunks() -> Iterator[Any]:
        try:
            whole = dataset.dataset(
                [str(f) for f in files],
                format="parquet",
                partitioning="hive",
                partition_base_dir=str(path),
            )
            empty = True
            for batch in whole.to_batches(batch_size=_ROWS):
                if batch.num_rows:
                    empty = False
                    yield batch.to_pandas()
            if empty:
                yield whole.schema.empty_table().to_pandas()
        except Exception as error:
            raise _unreadable(path, error) from error

    return Table(
        chunks, name=path.name, notes=[f"{len(files)} Parquet files are read as one table"]
    )


def _json(path: Path, packing: str) -> Table:
    import pandas

    # Types stay as JSON states them; before pandas 3 that took
    # another argument for columns whose names sound like dates.
    plain: dict[str, Any] = {
        "dtype": False,
        **({"convert_dates": False} if pandas.__version__ < "3" else {}),
    }

    def chunks() -> Iterator[Any]:
        try:
            with (
                opened(path, packing) as file,
                pandas.read_json(
                    file, lines=True, chunksize=_ROWS, precise_float=True, **plain
                ) as reader,
            ):
                yield from reader
        except (PushforwardError, MemoryError):
            raise
        except Exception as error:
            raise BadSource(
                f"{shown(path)}: cannot be read as JSON lines ({reason_of(error)}); expected one"
                " object a line"
            ) from error

    return Table(chunks, name=path.name)


def _excel(path: Path) -> Table:
    _require("openpyxl", path)
    import pandas

    held: list[Any] = []

    def read() -> Iterator[Any]:
        if not held:
            try:
                with pandas.ExcelFile(path, engine="openpyxl") as book:
                    held.append(_tidy(pandas.read_excel(book)))
                    others = book.sheet_names[1:]
            except Exception as error:
                raise _unreadable(path, error) from error
            if others:
                table.notes.append(
                    f"of its {len(others) + 1} sheets the first is read; the others are"
                    f" {', '.join(map(str, others[:5]))}"
                )
        yield from held

    table = Table(read, name=path.name)
    return table


def _require(module: str, path: Path) -> None:
    try:
        __import__(module)
    except ImportError as error:
        extra = "tables" if module in ("pandas", "pyarrow") else "more-tables"
        raise MissingExtra(module, extra, f"reading {path.name}") from error


def _unreadable(path: Path, error: Exception) -> BadSource:
    if isinstance(error, UnicodeDecodeError):
        return BadSource(
            f"{shown(path)}: is not {error.encoding} text (byte {error.start}); name its encoding"
            " (--encoding latin-1, say)"
        )
    ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if ragged:
        wanted, line, seen = ragged.groups()
        return BadSource(
            f"{shown(path)}: line {line} has {seen} fields where {wanted} are expected; mend it, or"
            " name the --separator"
        )
    return BadSource(
        f"{shown(path)}: cannot be read as a table ({reason_of(error)}); the file is damaged or not"
        " what its name says"
    )
