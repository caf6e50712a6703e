"""Table files as bytes, unpacked."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.core.data_types import Frame
from pushforward.core.errors import BadSource
from pushforward.data.files import printable
from pushforward.data.tables.table_errors import require_package, unreadable

__all__ = ["without_blanks", "unpacked_size", "open_packed"]

PACKED = (".gz", ".xz", ".bz2", ".zip", ".zst")


def without_blanks(frame: Frame) -> Frame:
    """The frame with blanks stripped from its column names."""
    if any(isinstance(c, str) and c != c.strip() for c in frame.columns):
        frame.columns = [c.strip() if isinstance(c, str) else c for c in frame.columns]
    return frame


@contextmanager
def open_packed(path: Path, packing: str) -> Iterator[Any]:
    """The bytes of a file, unpacked."""
    if packing == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as file:
            yield file
    elif packing == ".zst":
        require_package("zstandard", path)
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
            f"{printable(path)}: holds {len(members)} files; expected one table in it: unpack it"
            " and name one"
        )
    return members[0]


def unpacked_size(path: Path) -> int:
    """The size of the one file in a zip archive, bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _member(path, archive).file_size
    except (zipfile.BadZipFile, OSError) as error:
        raise unreadable(path, error) from error
