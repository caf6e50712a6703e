"""Headers and row names of a text table, detected from its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadSource
from pushforward.data.tables.cells import is_missing, is_number
from pushforward.data.tables.text_format import TableFormat

__all__ = ["find_header", "are_row_names", "names_of_unequal_rows"]


def find_header(
    rows: Sequence[Sequence[str]],
    heading: str | None,
    format_: TableFormat,
    names: Sequence[str],
    decimal: str,
    thousands: str | None,
    notes: list[str],
) -> tuple[bool, tuple[str, ...] | None]:
    """Whether the first line is a header, and any column names in a comment before it."""
    if not rows:
        return format_.header is not False, None

    def number(cell: str) -> bool:
        return is_number(cell, decimal, thousands) or is_number(
            cell.rstrip("%").strip(), decimal, thousands
        )

    first = rows[0]
    numbers = [c for c in first if number(c)]
    commented = _commented_names(heading, rows, number)
    if format_.header is not None:
        return format_.header, None
    if names and set(names) <= set(first):
        return True, None
    if commented is not None and len(numbers) + sum(is_missing(c) for c in first) == len(first):
        notes.append("the column names are in a comment line")
        return False, commented
    if not numbers or not all(number(c) or is_missing(c) for c in first):
        return True, None
    examples = ", ".join(first[:4]) + (", …" if len(first) > 4 else "")
    if _counts_columns(first, rows[1:]):
        notes.append(
            f"the first line ({examples}) is read as column names; {setting('header', False)} reads"
            " it as a row"
        )
        return True, None
    notes.append(
        f"no header: the first line ({examples}) is read as a row; {setting('header', True)} reads"
        " it as names"
    )
    return False, None


def _commented_names(
    heading: str | None, rows: Sequence[Sequence[str]], number: Callable[[str], bool]
) -> tuple[str, ...] | None:
    """The names in a comment line, if there is one for each column."""
    if heading is None:
        return None
    for mark in ("\t", ";", ",", "|", " "):
        names = next(
            csv.reader(
                [" ".join(heading.split()) if mark == " " else heading],
                delimiter=mark,
                skipinitialspace=True,
            ),
            [],
        )
        names = [n.strip() for n in names]
        if (
            len(names) == len(rows[0])
            and all(names)
            and len(set(names)) == len(names)
            and not any(number(n) for n in names)
        ):
            return tuple(names)
    return None


def _counts_columns(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether a line of numbers is likely a header:
    evenly spaced integers (years, 0, 1, 2, …) over other rows.
    """
    if len(first) < 2 or not rest or not all(re.fullmatch(r"\d+", c) for c in first):
        return False
    values = [int(c) for c in first]
    step = values[1] - values[0]
    if step == 0 or any(b - a != step for a, b in pairwise(values)):
        return False
    cells = [c for row in rest for c in row if c]
    fractions = sum(not re.fullmatch(r"[-+]?\d+", c) for c in cells) > len(cells) / 2
    if all(1500 <= v <= 2500 for v in values):
        return fractions or not all(re.fullmatch(r"\d{4}", c) for c in cells)
    counts = step == 1 and values[0] in (0, 1) and len(first) >= 3
    return counts and not _is_run(rest[0]) and (fractions or (len(first) >= 5 and values[0] == 0))


def _is_run(row: Sequence[str]) -> bool:
    if not all(re.fullmatch(r"\d+", c) for c in row):
        return False
    values = [int(c) for c in row]
    return all(b - a == 1 for a, b in pairwise(values))


def names_of_unequal_rows(
    rows: Sequence[Sequence[str]],
    header: bool,
    names: tuple[str, ...] | None,
    name: str,
    notes: list[str],
) -> tuple[tuple[str, ...] | None, bool]:
    """Names, and whether the first column has unnamed row names,
    if header and lines differ in length.
    """
    if not header or len(rows) < 2:
        return names, False
    heads, body = rows[0], [row for row in rows[1:] if row]
    twice = [n for n, count in Counter(h for h in heads if h).items() if count > 1]
    if twice:
        raise BadSource(f"{name}: column {twice[0][:60]!r} appears twice; rename one")
    if body and all(len(row) == len(heads) + 1 for row in body):
        if all(row[-1] == "" for row in body):
            notes.append("every line ends with a separator, which is ignored")
        elif are_row_names([row[0] for row in body]):
            notes.append("the lines begin with row names without a heading; they are left out")
            return names, True
    short = next((row for row in body if len(row) < len(heads)), None)
    if short is not None:
        notes.append(
            f"a line has {len(short)} of {len(heads)} fields (it begins with {short[0][:40]!r}):"
            " the others are read as missing"
        )
    return names, False


def are_row_names(cells: Sequence[str]) -> bool:
    """Whether the first fields look like R's row names: 1, 2, 3, … or distinct text."""
    if all(re.fullmatch(r"\d+", c) for c in cells):
        values = [int(c) for c in cells]
        return len(values) > 1 and all(b - a == 1 for a, b in pairwise(values))
    return len(set(cells)) == len(cells) and not any(is_number(c) for c in cells)
