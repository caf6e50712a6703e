"""How a text table is written, as the caller says: separator, marks, encoding, header, comments.
What is left open, `sniff` settles.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pushforward.core.errors import InvalidKind, InvalidValue

__all__ = ["TableFormat", "SETTINGS", "settings_among", "decoding", "western"]

_WORDS = {
    "tab": "\t",
    "\\t": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "space": " ",
    "whitespace": r"\s+",
    "point": ".",
}


@dataclass(frozen=True)
class TableFormat:
    """What is said of a table; None means: look.

    Args:
        separator: between columns: a character, or 'tab', 'whitespace'.
        decimal: the decimal mark, '.' or ','.
        thousands: the mark between groups of digits: ',', '.', "'" or 'space'.
        na: further texts that mean 'missing', e.g. '-999'.
        encoding: e.g. 'utf-8', 'latin-1', 'utf-16'.
        header: whether the first line holds the columns' names.
        comment: the character that begins a comment.
        dates: whether ISO dates and times are read as numbers (days or seconds since 1970-01-01).
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    na: tuple[str, ...] = ()
    encoding: str | None = None
    header: bool | None = None
    comment: str | None = None
    dates: bool | None = None

    @classmethod
    def check(cls, **given: Any) -> TableFormat:
        """Checked settings.

        Raises:
            InvalidValue, InvalidKind: For what cannot be.
        """
        known = {f.name for f in fields(cls)}
        given = {k: v for k, v in given.items() if k in known and v is not None}
        for name in ("separator", "decimal", "thousands", "comment", "encoding"):
            if name in given:
                given[name] = _text(name, given[name])
        for name in ("header", "dates"):
            if name in given and not isinstance(given[name], bool):
                raise InvalidKind(f"{name} must be True or False, got {given[name]!r}")
        given["na"] = _markers(given.get("na", ()))
        made = cls(**given)
        if made.decimal not in (None, ".", ","):
            raise InvalidValue(f"decimal must be '.' or ',', got {made.decimal!r}")
        for name, mark in (("thousands", made.thousands), ("comment", made.comment)):
            if mark is not None and len(mark) != 1:
                raise InvalidValue(f"{name} must be one character, got {mark[:40]!r}")
        if made.decimal is not None and made.decimal == made.thousands:
            raise InvalidValue(f"decimal and thousands are both {made.decimal!r}; they must differ")
        if made.separator is not None and len(made.separator) != 1 and made.separator != r"\s+":
            raise InvalidValue(
                "separator must be one character, 'tab' or 'whitespace', got"
                f" {made.separator[:40]!r}"
            )
        return replace(made, encoding=None if made.encoding is None else _codec(made.encoding))

    @property
    def asked(self) -> list[str]:
        """The names of the settings that were given."""
        return [f.name for f in fields(self) if getattr(self, f.name) not in (None, ())]

    def given(self) -> dict[str, Any]:
        """Those settings, as `read` takes them."""
        return {name: getattr(self, name) for name in self.asked}


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidKind(f"{name} must be a text, got {value!r}")
    return _WORDS.get(value.lower(), value) if name != "encoding" else value


def _markers(value: object) -> tuple[str, ...]:
    """Markers of missing values, numbers as texts."""
    parts = value if isinstance(value, (list, tuple)) else (value,)
    if not all(isinstance(v, (str, int, float)) and not isinstance(v, bool) for v in parts):
        raise InvalidKind(
            f"na must be texts or numbers that mean 'missing', got {value!r}; pass na=[-999,"
            " 'none'], say"
        )
    return tuple(str(v) for v in parts)


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError as error:
        raise InvalidValue(
            f"unknown encoding {name[:40]!r}; expected utf-8, latin-1, cp1252, utf-16 or another of"
            " Python's"
        ) from error


# ---------------------------------------------------------------------------------------- encodings


def decoding(start: bytes, *, whole: bool) -> tuple[str, str]:
    """The encoding of a text by its first bytes, and what to note of it ('' for UTF-8);
    `whole`: these are all of it.
    """
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
    ):
        if start.startswith(mark):
            return name, "" if name == "utf-8-sig" else "read as UTF-32"
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16", "read as UTF-16"
    head = start[:2000]
    for name, zeros, others in (
        ("utf-16-le", head[1::2], head[::2]),
        ("utf-16-be", head[::2], head[1::2]),
    ):
        if (
            len(head) >= 8
            and zeros.count(0) > 0.7 * len(zeros)
            and others.count(0) < 0.1 * len(others)
        ):
            return name, "read as UTF-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start, whole)
        return "utf-8", ""
    except UnicodeDecodeError:
        return western(start), "not UTF-8: read as Latin-1 (cp1252)"


def western(content: bytes) -> str:
    """Windows' Latin-1, or Latin-1 itself where bytes occur that Windows leaves undefined."""
    return "latin-1" if any(byte in content for byte in b"\x81\x8d\x8f\x90\x9d") else "cp1252"


SETTINGS = tuple(f.name for f in fields(TableFormat))
"""The names of a table's settings: arguments of `read`, and flags."""


def settings_among(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a table that are given among others, by name."""
    return {name: given[name] for name in SETTINGS if given.get(name) not in (None, (), [])}
