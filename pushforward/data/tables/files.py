"""Table files: text (plain or packed), `.jsonl`, `.xlsx`,
`.parquet` and folders of Parquet files.
"""

from __future__ import annotations

from pathlib import Path

from pushforward.core.array_source import Arrays
from pushforward.core.errors import InvalidValue
from pushforward.data.files import printable
from pushforward.data.formats.metadata import names_images
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.tables.frames import from_chunks
from pushforward.data.tables.packed_files import PACKED
from pushforward.data.tables.table import Table
from pushforward.data.tables.table_errors import require_package
from pushforward.data.tables.text_files import text_table
from pushforward.data.tables.typed_files import (
    PARQUET,
    excel_file,
    json_lines,
    parquet_file,
    parquet_files,
    parquet_folder,
)

__all__ = ["is_table", "is_text_table", "from_table", "open_table"]

TEXT = (".csv", ".tsv", ".tab", ".psv", ".txt", ".data", ".dat")
JSON = (".jsonl", ".ndjson")


def is_table(path: Path) -> bool:
    """Whether the path is a table, packed or not, or a folder of Parquet files."""
    kind, _ = kind_of_file(path)
    return kind in (*TEXT, *JSON, *PARQUET, ".xlsx") or (
        path.is_dir() and bool(parquet_files(path))
    )


def is_text_table(path: Path) -> bool:
    """Whether the path is a text table, whose format can be specified."""
    return kind_of_file(path)[0] in TEXT and not path.is_dir()


def kind_of_file(path: Path) -> tuple[str, str]:
    """The lower-case suffixes of the content and of its packing, '' if none."""
    suffixes = [s.lower() for s in path.suffixes[-2:]]
    if not suffixes or suffixes[-1] not in PACKED:
        return (suffixes[-1] if suffixes else ""), ""
    return (suffixes[-2] if len(suffixes) > 1 else ""), suffixes[-1]


def _is_table(text: str) -> bool:
    path = Path(text).expanduser()
    return path.exists() and is_table(path) and not names_images(path)


@register_reader(
    name="table", suffixes=(*TEXT, *JSON, *PARQUET, ".xlsx"), claims=_is_table, tabular=True
)
def from_table(path: Path, options: Options) -> Arrays:
    """Tables: text (plain or packed), JSON lines, Excel, Parquet files and folders of them."""
    return from_chunks(open_table(path, options), options)


def open_table(path: Path, options: Options) -> Table:
    """The table at a path: a function that starts reading, and the decisions made."""
    kind, packing = kind_of_file(path)
    require_package("pandas", path)
    others = [name for name in options.table.requested if name not in ("na", "dates")]
    if kind not in TEXT and others:
        raise InvalidValue(
            f"{printable(path)}: {others[0]} is for text tables only, not for"
            f" {kind or 'such a folder'}; leave it out"
        )
    if path.is_dir():
        return parquet_folder(path)
    if kind in PARQUET and not packing:
        return parquet_file(path)
    if kind in JSON:
        return json_lines(path, packing)
    if kind == ".xlsx":
        return excel_file(path)
    return text_table(path, packing, options)
