"""Separators, decimal marks and thousands marks of a text table, detected from its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence

from pushforward.core.argument_names import argument, setting
from pushforward.core.errors import BadSource
from pushforward.data.tables.cells import grouped, is_number
from pushforward.data.tables.headers import are_row_names
from pushforward.data.tables.text_format import TableFormat

__all__ = [
    "is_decimal_column",
    "find_marks",
    "refuse_loose_quotes",
    "cells_of",
    "find_separator",
    "spoken",
]

_SPACES = " \u00a0\u202f"
_BETWEEN = ("'", "’", *_SPACES)
_CELLS = 1000
"""Cells of a line that are looked at: more, in very wide tables, tell nothing new."""
_SPOKEN = {"\t": "tab", r"\s+": "whitespace", " ": "space", "\u00a0": "space", "\u202f": "space"}


def spoken(mark: str) -> str:
    """A separator or mark in words, for a note."""
    return _SPOKEN.get(mark, repr(mark))


def cells_of(lines: Sequence[str], separator: str) -> list[list[str]]:
    """The cells of each line; none if a cell is implausibly long."""
    try:
        if separator == r"\s+":
            return list(csv.reader((" ".join(line.split()) for line in lines), delimiter=" "))
        return [
            [cell.strip() for cell in row]
            for row in csv.reader(lines, delimiter=separator, skipinitialspace=True)
        ]
    except csv.Error:
        return []


def find_separator(lines: Sequence[str], decimal: str | None = None) -> str:
    """The mark that gives most lines the same number (≥ 2) of fields.

    Else ',', or ';' if ',' is the decimal mark.
    """
    best, most = ";" if decimal == "," else ",", 0.0
    for mark in ("\t", ";", "|", ",", r"\s+"):
        if mark == decimal:
            continue
        if mark != r"\s+" and not any(mark in line for line in lines):
            continue
        rows = cells_of(lines, mark)
        counts = Counter(len(row) for row in rows)
        width, share = max(
            ((w, n / len(lines)) for w, n in counts.items() if w > 1),
            key=lambda wn: wn[1],
            default=(1, 0.0),
        )
        if width > 1 and share > most + 0.1 and _plausible(rows, mark):
            best, most = mark, share
    return best


def is_decimal_column(lines: Sequence[str], name: str) -> bool:
    """Whether the commas under a single name are decimal marks.

    Raises:
        BadSource: If the part before them might number the rows.
    """
    if (
        len(lines) < 2
        or "," in lines[0]
        or not all(re.fullmatch(r"[-+]?\d[\d.]*,\d+", line.strip()) for line in lines[1:])
    ):
        return False
    if are_row_names([line.split(",")[0].strip() for line in lines[1:]]):
        raise BadSource(
            f"{name}: {lines[1].strip()[:40]!r} under one name is a number with a decimal comma, or"
            f" a row number and a value; specify {setting('decimal', ',')} or"
            f" {setting('separator', ',')}"
        )
    return True


def _plausible(rows: Sequence[Sequence[str]], mark: str) -> bool:
    """Whether spaces separate only numbers, and commas stand only
    outside numbers separated by spaces.
    """
    cells = [cell for row in rows[1:] or rows for cell in row[:_CELLS]]
    if mark == r"\s+":
        return sum(is_number(c) or is_number(c, ",") for c in cells) > len(cells) / 2
    return not (
        mark == ","
        and sum(bool(re.fullmatch(r"[-+]?\d+\s+[-+]?\d+", c)) for c in cells) >= len(cells) / 3
    )


def find_marks(
    rows: Sequence[Sequence[str]], separator: str, requested: TableFormat, notes: list[str]
) -> tuple[str, str | None]:
    """The decimal mark and the thousands separator."""
    cells = [
        cell.rstrip("%").strip()
        for row in rows[1:] or rows
        for cell in row[:_CELLS]
        if any(c.isdigit() for c in cell)
    ]
    decimal, thousands = requested.decimal, requested.thousands
    points = sum(bool(re.fullmatch(r"[-+]?\d*\.\d+([eE][-+]?\d+)?", c)) for c in cells)
    commas = [c for c in cells if re.fullmatch(r"[-+]?\d+,\d+([eE][-+]?\d+)?", c)]
    mixed = any(
        "," in c and any(re.fullmatch(grouped(mark, ","), c) for mark in (".", *_BETWEEN))
        for c in cells
    )
    by_commas = [c for c in cells if re.fullmatch(grouped(","), c)]
    if decimal is None:
        groups_only = bool(commas) and all(c in by_commas for c in commas)
        sure = any(c.count(",") > 1 or "." in c for c in by_commas)
        certain = any("." in c for c in by_commas)  # 1,234.5 shows both marks
        comma = mixed or (
            bool(commas)
            and not certain
            and not (groups_only and (sure or separator == "," or points))
        )
        decimal = (
            ","
            if comma and requested.thousands != "," and (points == 0 or mixed or _all_groups(cells))
            else "."
        )
        if decimal == ",":
            notes.append("the decimal mark is ','" + _doubt(commas if groups_only else ()))
    if thousands is None:
        for mark in (",", ".", *_BETWEEN):
            if mark == decimal or (mark in _SPACES and separator in (" ", r"\s+")):
                continue
            groups = [c for c in cells if re.fullmatch(grouped(mark, decimal), c)]
            if groups and not (mark == "." and not mixed and not commas):
                thousands = mark
                notes.append(
                    f"{spoken(mark)} stands between groups of digits ({groups[0]} is"
                    f" {_joined(groups[0], mark, decimal)})"
                )
                break
    return decimal, thousands


def _all_groups(cells: Sequence[str]) -> bool:
    """Whether every point stands between groups of three digits."""
    return all(re.fullmatch(grouped(".", ","), c) for c in cells if "." in c)


def _doubt(groups: Sequence[str]) -> str:
    """What to say if every number with a comma could as well be a whole one."""
    if not groups:
        return ""
    first = groups[0]
    return (
        f" ({first} is {first.replace(',', '.')}; if it is {first.replace(',', '')}, specify"
        f" {setting('thousands', ',')})"
    )


def _joined(text: str, thousands: str, decimal: str) -> str:
    return text.replace(thousands, "").replace(decimal, ".")


def refuse_loose_quotes(lines: Sequence[str], separator: str, name: str) -> None:
    """Raise BadSource if text follows a closing quote within a field ("4"5),
    which pandas reads as 45.
    """
    if separator == r"\s+" or not any('"' in line for line in lines):
        return
    try:
        for _ in csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True):
            pass
    except csv.Error as error:
        if "expected after" in str(error):
            raise BadSource(
                f"{name}: a quote ends in the middle of a field; fix that line, or set"
                f" {argument('separator')}"
            ) from error
