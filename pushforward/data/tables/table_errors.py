"""Errors for tables that cannot be read."""

from __future__ import annotations

import re
from pathlib import Path

from pushforward.core.argument_names import argument, setting
from pushforward.core.errors import BadSource, MissingExtra
from pushforward.data.files import printable, reason_of

__all__ = ["require_package", "unreadable"]


def require_package(module: str, path: Path) -> None:
    """Raise MissingExtra if the package that reads this file is not installed."""
    try:
        __import__(module)
    except ImportError as error:
        extra = "tables" if module in ("pandas", "pyarrow") else "more-tables"
        raise MissingExtra(module, extra, f"reading {path.name}") from error


def unreadable(path: Path, error: Exception) -> BadSource:
    """The error for a file that a parser refuses, with a remedy."""
    if isinstance(error, UnicodeDecodeError):
        return BadSource(
            f"{printable(path)}: is not {error.encoding} text (byte {error.start}); specify its"
            f" encoding: {setting('encoding', 'latin-1')}, say"
        )
    ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if ragged:
        expected, line, actual = ragged.groups()
        return BadSource(
            f"{printable(path)}: line {line} has {actual} fields where {expected} are expected; fix"
            f" it, or set {argument('separator')}"
        )
    return BadSource(
        f"{printable(path)}: cannot be read as a table ({reason_of(error)}); the file is damaged or"
        " not of the kind its name suggests"
    )
