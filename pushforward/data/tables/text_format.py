"""The format of a text table as specified by the caller:
separator, marks, encoding, header, comments.

`sniff` determines what is left open.
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
    """Settings of a text table; None means to detect it.

    Args:
        separator: between columns: a character, 'tab' or 'whitespace'.
        decimal: the decimal mark, '.' or ','.
        thousands: the thousands separator: ',', '.', "'" or 'space'.
        na: additional missing-value markers, e.g. '-999'.
        encoding: e.g. 'utf-8', 'latin-1', 'utf-16'.
        header: whether the first line holds column names.
        comment: the character that starts a comment.
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
    def check(cls, **settings: Any) -> TableFormat:
        """Checked settings.

        Raises:
            InvalidValue, InvalidKind: For invalid values.
        """
        names = {f.name for f in fields(cls)}
        settings = {k: v for k, v in settings.items() if k in names and v is not None}
        for name in ("separator", "decimal", "thousands", "comment", "encoding"):
            if name in settings:
                settings[name] = _text(name, settings[name])
        for name in ("header", "dates"):
            if name in settings and not isinstance(settings[name], bool):
                raise InvalidKind(f"{name} must be True or False, got {settings[name]!r}")
        settings["na"] = _markers(settings.get("na", ()))
        table_format = cls(**settings)
        if table_format.decimal not in (None, ".", ","):
            raise InvalidValue(f"decimal must be '.' or ',', got {table_format.decimal!r}")
        for name, mark in (
            ("thousands", table_format.thousands),
            ("comment", table_format.comment),
        ):
            if mark is not None and len(mark) != 1:
                raise InvalidValue(f"{name} must be one character, got {mark[:40]!r}")
        if table_format.decimal is not None and table_format.decimal == table_format.thousands:
            raise InvalidValue(
                f"decimal and thousands are both {table_format.decimal!r}; they must differ"
            )
        if (
            table_format.separator is not None
            and len(table_format.separator) != 1
            and table_format.separator != r"\s+"
        ):
            raise InvalidValue(
                "separator must be one character, 'tab' or 'whitespace', got"
                f" {table_format.separator[:40]!r}"
            )
        return replace(
            table_format,
            encoding=None if table_format.encoding is None else _codec(table_format.encoding),
        )

    @property
    def requested(self) -> list[str]:
        """Names of the settings that are not None."""
        return [f.name for f in fields(self) if getattr(self, f.name) not in (None, ())]

    def as_settings(self) -> dict[str, Any]:
        """The settings that are not None, as keyword arguments of `read`."""
        return {name: getattr(self, name) for name in self.requested}


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
    """The encoding of a text by its first bytes, and a note on it ('' for UTF-8).

    `whole` if these are all.
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
    """Windows' Latin-1, or Latin-1 itself if bytes occur that Windows leaves undefined."""
    return "latin-1" if any(byte in content for byte in b"\x81\x8d\x8f\x90\x9d") else "cp1252"


SETTINGS = tuple(f.name for f in fields(TableFormat))
"""The names of a table's settings: arguments of `read`, and flags."""


def settings_among(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The table settings among others, by name."""
    return {name: settings[name] for name in SETTINGS if settings.get(name) not in (None, (), [])}
