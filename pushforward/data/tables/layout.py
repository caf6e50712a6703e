"""The layout of a text table, detected from its first lines: separators, marks, header, comments.

`sniff` determines what `TableFormat` leaves open. It notes everything that differs from plain
comma-separated UTF-8, so that a wrong guess shows; ambiguous tables are refused. pandas reads the
table itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from pushforward.data.tables.headers import find_header, names_of_unequal_rows
from pushforward.data.tables.separators import (
    cells_of,
    find_marks,
    find_separator,
    is_decimal_column,
    refuse_loose_quotes,
    spoken,
)
from pushforward.data.tables.text_format import TableFormat

__all__ = ["Layout", "sniff"]

_LINES, _START = 60, 100_000
"""Lines, and characters in them, from which the format is told: a wrong separator shows in the
first few, and wide tables have long lines.
"""


@dataclass(frozen=True)
class Layout:
    """The detected layout: everything pandas' reader needs, and notes on the decisions.

    Args:
        names: the column names; None if they are in the first line not skipped.
        skip: lines to skip at the start.
        index: whether every line begins with a row name without a heading.
        width: number of fields in most lines.
    """

    separator: str
    decimal: str
    thousands: str | None
    header: bool
    skip: int
    comment: str | None
    names: tuple[str, ...] | None
    index: bool
    width: int
    notes: tuple[str, ...]

    def arguments(self) -> dict[str, Any]:
        """Arguments of `pandas.read_csv`, without the thousands mark,
        which pandas would remove from dates too (see `Cells`).
        """
        arguments: dict[str, Any] = {
            "sep": self.separator,
            "decimal": self.decimal,
            "comment": self.comment,
        }
        arguments.update(
            skiprows=self.skip,
            header=0 if self.header and self.names is None else None,
            skipinitialspace=True,
        )
        if self.names is not None:
            arguments["names"] = list(self.names)
        return arguments


def sniff(
    text: str, requested: TableFormat, known: Sequence[str] = (), name: str = "table"
) -> Layout:
    """The layout of a table from the start of its text.

    `known` names help to recognise a header.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    complete = text.endswith("\n") or len(text) < 32_000
    lines = text.split("\n")[: 4 * _LINES]
    lines = lines[:-1] if not complete and len(lines) > 1 else lines
    notes: list[str] = []
    declared = re.fullmatch(r'"?sep=(.)"?', lines[0].strip())  # a first line that Excel writes
    if declared:
        lines, requested = (
            lines[1:],
            replace(requested, separator=requested.separator or declared[1]),
        )
        notes.append(f"the first line says that columns are separated by {spoken(declared[1])}")
    skip, heading, comment = _comments(lines, requested, notes)
    body = [
        line
        for line in lines[skip:]
        if line.strip() and not (comment and line.lstrip().startswith(comment))
    ][:_LINES]
    body = body[: max(3, sum(total < _START for total in accumulate(map(len, body))))]
    if comment:
        body = [line.split(comment)[0] for line in body]
    separator = requested.separator or find_separator(body, requested.decimal)
    if separator == "," and requested.separator is None and is_decimal_column(body, name):
        separator = ";"
    elif separator != "," and requested.separator is None:
        notes.append(f"columns are separated by {spoken(separator)}")
    rows = cells_of(body, separator)
    decimal, thousands = find_marks(rows, separator, requested, notes)
    header, names = find_header(rows, heading, requested, known, decimal, thousands, notes)
    refuse_loose_quotes(body, separator, name)
    names, index = names_of_unequal_rows(rows, header, names, name, notes)
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    return Layout(
        separator,
        decimal,
        thousands,
        header,
        skip + bool(declared),
        comment,
        names,
        index,
        width,
        tuple(notes),
    )


def _comments(
    lines: Sequence[str], requested: TableFormat, notes: list[str]
) -> tuple[int, str | None, str | None]:
    """The lines to skip at the start, the last of them (a possible header),
    and the comment character.
    """
    mark = requested.comment or "#"
    skip = 0
    last = None
    while skip < len(lines) and (not lines[skip].strip() or lines[skip].lstrip().startswith(mark)):
        last = lines[skip].strip()[len(mark) :].strip() if lines[skip].strip() else last
        skip += 1
    if skip >= len(lines):
        return 0, None, requested.comment
    later = [line for line in lines[skip:] if mark in line]
    if requested.comment is None and not _are_comments(
        later, [line for line in lines[skip:] if line.strip() and mark not in line], mark
    ):
        return skip, last, None
    if requested.comment is None:
        notes.append(f"lines that begin with {mark!r} are comments")
    return skip, last, mark


def _are_comments(marked: Sequence[str], others: Sequence[str], mark: str) -> bool:
    """Whether the lines holding the mark begin with it, are few,
    and have other separators than the rest.
    """
    if (
        not marked
        or not others
        or len(marked) > len(others) / 2
        or not all(line.lstrip().startswith(mark) for line in marked)
    ):
        return False
    usual = Counter(_separators(line) for line in others).most_common(1)[0][0]
    return not any(usual == _separators(line) for line in marked) or usual == (0, 0, 0, 0)


def _separators(line: str) -> tuple[int, ...]:
    return tuple(line.count(mark) for mark in ",;\t|")
