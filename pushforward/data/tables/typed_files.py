"""Tables whose files state column types: JSON lines, Excel, and Parquet files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pushforward.core.errors import BadSource, PushforwardError
from pushforward.data.files import printable, reason_of
from pushforward.data.tables.packed_files import open_packed, without_blanks
from pushforward.data.tables.table import CHUNK_ROWS, Table
from pushforward.data.tables.table_errors import require_package, unreadable

__all__ = ["excel_file", "parquet_folder", "json_lines", "parquet_file", "parquet_files"]

PARQUET = (".parquet", ".pq")


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder (partitioned, or parts side by side).

    None if it holds anything else.
    """
    files = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "_")))
        for name in sorted(n for n in names if not n.startswith((".", "_"))):
            if not name.lower().endswith(PARQUET):
                return []
            files.append(Path(where) / name)
    return files


def parquet_file(path: Path) -> Table:
    """One Parquet file, read in batches."""
    require_package("pyarrow", path)
    from pyarrow import parquet

    def chunks() -> Iterator[Any]:
        try:
            with parquet.ParquetFile(path) as file:
                if file.metadata.num_rows == 0:
                    yield file.schema_arrow.empty_table().to_pandas()
                for batch in file.iter_batches(batch_size=CHUNK_ROWS):
                    yield batch.to_pandas()
        except Exception as error:
            raise unreadable(path, error) from error

    return Table(chunks, name=path.name)


def parquet_folder(path: Path) -> Table:
    """Parquet files in a folder; values in folder names such as year=2019 become columns."""
    require_package("pyarrow", path)
    from pyarrow import dataset

    files = parquet_files(path)

    def chunks() -> Iterator[Any]:
        try:
            whole = dataset.dataset(
                [str(f) for f in files],
                format="parquet",
                partitioning="hive",
                partition_base_dir=str(path),
            )
            empty = True
            for batch in whole.to_batches(batch_size=CHUNK_ROWS):
                if batch.num_rows:
                    empty = False
                    yield batch.to_pandas()
            if empty:
                yield whole.schema.empty_table().to_pandas()
        except Exception as error:
            raise unreadable(path, error) from error

    return Table(
        chunks, name=path.name, notes=[f"{len(files)} Parquet files are read as one table"]
    )


def json_lines(path: Path, packing: str) -> Table:
    """A file of one JSON object per line."""
    import pandas

    # Keep JSON's types; before pandas 3 that needed another argument for columns named like dates.
    plain: dict[str, Any] = {
        "dtype": False,
        **({"convert_dates": False} if pandas.__version__ < "3" else {}),
    }

    def chunks() -> Iterator[Any]:
        try:
            with (
                open_packed(path, packing) as file,
                pandas.read_json(
                    file, lines=True, chunksize=CHUNK_ROWS, precise_float=True, **plain
                ) as reader,
            ):
                yield from reader
        except (PushforwardError, MemoryError):
            raise
        except Exception as error:
            raise BadSource(
                f"{printable(path)}: cannot be read as JSON lines ({reason_of(error)}); expected"
                " one object per line"
            ) from error

    return Table(chunks, name=path.name)


def excel_file(path: Path) -> Table:
    """The first sheet of an Excel file."""
    require_package("openpyxl", path)
    import pandas

    held: list[Any] = []

    def read() -> Iterator[Any]:
        if not held:
            try:
                with pandas.ExcelFile(path, engine="openpyxl") as book:
                    held.append(without_blanks(pandas.read_excel(book)))
                    others = book.sheet_names[1:]
            except Exception as error:
                raise unreadable(path, error) from error
            if others:
                table.notes.append(
                    f"of its {len(others) + 1} sheets the first is read; the others are"
                    f" {', '.join(map(str, others[:5]))}"
                )
        yield from held

    table = Table(read, name=path.name)
    return table
