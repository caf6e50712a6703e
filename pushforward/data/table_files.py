"""Table files: `.csv`, `.tsv` (plain, .gz, .xz, .bz2) and `.parquet`, whole or in chunks."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadSource, MissingExtra
from pushforward.core.source import Arrays
from pushforward.data.options import Options
from pushforward.data.tables import Chunks, from_chunks

__all__ = ["is_table", "from_table", "table_chunks"]

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
_ROWS = 65536


def is_table(path: Path) -> bool:
    """Whether the name is that of a table, packed or not."""
    plain = path.with_suffix("") if path.suffix in _OPENERS else path
    return plain.suffix.lower() in (".csv", ".tsv", ".txt") or path.suffix.lower() == ".parquet"


def from_table(path: Path, options: Options) -> Arrays:
    """The source in a table file."""
    chunks, unnamed = table_chunks(path, options)
    return from_chunks(chunks, options, drop_index=not unnamed, unnamed=unnamed)


def table_chunks(path: Path, options: Options) -> tuple[Chunks, bool]:
    """A function that starts reading the file over, and whether its columns have no names."""
    _require_pandas(path)
    if path.suffix.lower() == ".parquet":
        return _parquet(path), False
    separator, header = _sniff(path, options)
    kwargs: dict[str, Any] = {"sep": separator, "header": 0 if header else None, "skipinitialspace": True, "low_memory": False}
    expansion = 24 if path.suffix in _OPENERS else 4
    whole = path.stat().st_size * expansion <= options.memory
    return _csv(path, kwargs, whole), not header


def _csv(path: Path, kwargs: dict[str, Any], whole: bool) -> Chunks:
    import pandas

    held: list[Any] = []

    def chunks() -> Iterator[Any]:
        if held:
            yield from held
            return
        try:
            if whole:
                held.append(pandas.read_csv(path, **kwargs))
                yield from held
            else:
                with pandas.read_csv(path, chunksize=_ROWS, **kwargs) as reader:
                    yield from reader
        except pandas.errors.EmptyDataError as error:
            raise BadSource(f"{path}: the file is empty; expected a header line and at least one row") from error
        except (pandas.errors.ParserError, UnicodeDecodeError, OSError, EOFError, lzma.LZMAError) as error:
            raise _unreadable(path, error) from error

    return chunks


def _parquet(path: Path) -> Chunks:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "tables", f"reading {path.name}") from error

    def chunks() -> Iterator[Any]:
        try:
            with parquet.ParquetFile(path) as file:
                if file.metadata.num_rows == 0:
                    yield file.schema_arrow.empty_table().to_pandas()
                for batch in file.iter_batches(batch_size=_ROWS):
                    yield batch.to_pandas()
        except (ArrowInvalid, OSError) as error:
            raise _unreadable(path, error) from error

    return chunks


def _sniff(path: Path, options: Options) -> tuple[str, bool]:
    """The separator of a text table, and whether its first line is a header: not all numbers, or the names looked for."""
    opener = _OPENERS.get(path.suffix, open)
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            line = file.readline(1_000_000)
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise _unreadable(path, error) from error
    if "\0" in line:
        raise BadSource(f"{path}: is not a text table (its first line holds binary data); expected comma-separated values")
    separator = max(",;\t|", key=line.count)
    fields = next(csv.reader([line], delimiter=separator), [])
    known = {c.name for c in options.like.columns if c.name} if options.like is not None else set()
    return separator, not fields or not all(_number(f) for f in fields) or (bool(known) and known <= set(fields))


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _require_pandas(path: Path) -> None:
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise MissingExtra("pandas", "tables", f"reading {path.name}") from error


def _unreadable(path: Path, error: Exception) -> BadSource:
    if isinstance(error, UnicodeDecodeError):
        return BadSource(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8")
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return BadSource(f"{path}: cannot be read as a table ({reason}); the file is damaged or not what its name says")
