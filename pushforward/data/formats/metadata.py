"""Tables of images: `metadata.csv`, `metadata.jsonl` (Hugging Face's imagefolder) and `labels.csv`
beside them, and any other that is passed itself.

Each row names an image, by its path from the table's folder; one column may be its label.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadSource, InvalidValue, printable, suggest
from pushforward.data.formats.image_formats import SUFFIXES

__all__ = ["TABLES", "Metadata", "image_columns", "names_images", "read_metadata"]

TABLES = ("metadata.csv", "metadata.jsonl", "labels.csv")
HEAD = 1 << 16
"""Bytes from the start of a table, in which its first row ends."""
_FILE_COLUMNS = ("file_name", "file", "filename", "path", "image", "name")


@dataclass(frozen=True)
class Metadata:
    """Rows by image; `notes` lists the decisions made while reading.

    Args:
        name: of the table, for messages.
        key: the column that names the images.
        rows: by the image's path inside the source.
    """

    name: str
    key: str
    columns: tuple[str, ...]
    rows: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()

    def labels(self, files: Sequence[Any], name_of: str | None) -> list[Any] | None:
        """The label of each image file, or None without a label column; errors name the file."""
        others = [c for c in self.columns if c != self.key]
        label = name_of or (
            "label" if "label" in others else others[0] if len(others) == 1 else None
        )
        if label is None:
            return None
        if label not in self.columns:
            raise InvalidValue(
                f"{self.name}: no column {label!r} to take labels from;"
                f" {suggest(label, self.columns)}"
            )
        values = []
        for file in files:
            row = self.rows.get(file.name, self.rows.get(PurePosixPath(file.name).name))
            if row is None:
                raise BadSource(
                    f"{file.display_name}: has no row in {self.name}; add it, or pass"
                    f" {setting('label', False)}"
                )
            value = row.get(label)
            if isinstance(value, (list, dict)):
                raise BadSource(
                    f"{self.name}: column {label!r} holds lists or objects; a label is a text or a"
                    " number: name another column"
                )
            values.append(value)
        return values


def read_metadata(
    tables: Iterable[tuple[str, bytes]], *, key: str | None = None
) -> Metadata | None:
    """The tables (paths inside the source, and contents) as one; None if there are none.

    Args:
        key: the column that names the images, by default one of the usual names.

    Raises:
        BadSource: For damaged ones.
    """
    parts = [_one(PurePosixPath(path), content, key) for path, content in tables]
    if not parts:
        return None
    first = parts[0]
    rows = {name: row for part in reversed(parts) for name, row in part.rows.items()}
    columns = tuple(dict.fromkeys(c for part in parts for c in part.columns))
    return Metadata(
        first.name,
        first.key,
        columns,
        rows,
        tuple(dict.fromkeys(n for part in parts for n in part.notes)),
    )


def names_images(path: Path) -> bool:
    """Whether the first row of a table, comma-separated or JSON lines, names an image that exists,
    by its path from the table's folder.
    """
    return bool(image_columns(path))


def image_columns(path: Path) -> list[str]:
    """The columns of a table whose first cells name images that exist, usual names first."""
    if path.suffix.lower() not in (".csv", ".jsonl") or not path.is_file():
        return []
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:  # said where it is read
        return []
    if path.suffix.lower() == ".jsonl":  # whose last line may be cut
        head = b"".join(head.splitlines(keepends=True)[:2])
    try:
        rows, _ = _parsed(path.name, head)
    except BadSource:  # no such table
        return []
    names = [str(c) for c, cell in (rows[0] if rows else {}).items() if _is_image(path, cell)]
    usual = [name for name in _FILE_COLUMNS if name in names]
    return [*usual, *(name for name in names if name not in usual)]


def _is_image(table: Path, cell: object) -> bool:
    if not isinstance(cell, str) or PurePosixPath(cell).suffix.lower() not in SUFFIXES:
        return False
    return (table.parent / cell.replace("\\", "/")).is_file()


def _parsed(name: str, content: bytes) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The rows of a table, and notes."""
    text, notes = _decoded(name, content)
    parse = _json_lines if name.lower().endswith(".jsonl") else _csv_rows
    return parse(name, text), notes


def _one(path: PurePosixPath, content: bytes, key: str | None) -> Metadata:
    rows, notes = _parsed(path.name, content)
    columns = tuple(dict.fromkeys(str(c) for row in rows for c in row if c is not None))
    key = key or next((c for c in _FILE_COLUMNS if c in columns), None)
    if key is None:
        listed = ", ".join(printable(c, 40) for c in columns[:10]) or "none"
        raise BadSource(
            f"{path.name} has columns {listed}; expected one named file_name with the images' names"
        )
    plain = {PurePosixPath(str(row.get(key)).replace("\\", "/")).as_posix(): row for row in rows}
    return Metadata(
        path.name,
        key,
        columns,
        {**plain, **{(path.parent / name).as_posix(): row for name, row in plain.items()}},
        notes,
    )


def _csv_rows(name: str, text: str) -> list[dict[str, Any]]:
    try:
        return list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise BadSource(
            f"{name}: cannot be read as comma-separated values ({printable(error, 80)}); save it"
            " again as CSV"
        ) from error


def _decoded(name: str, content: bytes) -> tuple[str, tuple[str, ...]]:
    """Decode as UTF-8, UTF-16 by its mark, or else Windows' Latin-1, with a note."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", "replace"), (f"{name} is read as UTF-16",)
    try:
        return content.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), (
            f"{name} is not UTF-8; it is read as Latin-1 (cp1252)",
        )


def _json_lines(name: str, text: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadSource(
                f"{name}: line {number} is not JSON; expected one object per line, such as"
                ' {"file_name": "1.png", "label": "cat"}'
            ) from error
        if not isinstance(row, dict):
            raise BadSource(
                f"{name}: line {number} is not an object; expected one a line, such as"
                ' {"file_name": "1.png", "label": "cat"}'
            )
        rows.append(row)
    return rows
