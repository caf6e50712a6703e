"""How a text table is laid out, as its first lines show: separator, decimal mark, thousands
separator, header, comment lines.

`sniff` settles what `TableFormat` leaves open. It decides nothing that cannot be seen, and notes
whatever is not plain comma-separated UTF-8, so that a wrong guess shows; what can be read in two
ways is refused. pandas reads the table itself.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

from pushforward.core.errors import BadSource
from pushforward.data.tables.cells import grouped, is_missing, is_number
from pushforward.data.tables.text_format import TableFormat

__all__ = ["Layout", "sniff"]

_SPACES = " \u00a0\u202f"
_BETWEEN = ("'", "’", *_SPACES)
_LINES, _CELLS, _START = 60, 1000, 100_000
_SPOKEN = {"\t": "tab", r"\s+": "whitespace", " ": "space", "\u00a0": "space", "\u202f": "space"}


@dataclass(frozen=True)
class Layout:
    """What was settled: everything pandas' reader needs, and what was decided.

    Arguments:
        names: the columns' names; None where they are in the file's first line that is not skipped.
        skip: lines to skip at the start.
        index: every line begins with a row name that has no heading.
        width: how many fields most lines have.
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
        """Arguments of `pandas.read_csv`, without the thousands mark: pandas takes it out of dates
        and addresses too (see `Cells`).
        """
        found: dict[str, Any] = {
            "sep": self.separator,
            "decimal": self.decimal,
            "comment": self.comment,
        }
        found.update(
            skiprows=self.skip,
            header=0 if self.header and self.names is None else None,
            skipinitialspace=True,
        )
        if self.names is not None:
            found["names"] = list(self.names)
        return found


def sniff(text: str, asked: TableFormat, known: Sequence[str] = (), name: str = "table") -> Layout:
    """The layout of a table whose text begins so;
    `known` are names of which a header is recognised.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    complete = text.endswith("\n") or len(text) < 32_000
    lines = text.split("\n")[: 4 * _LINES]
    lines = lines[:-1] if not complete and len(lines) > 1 else lines
    notes: list[str] = []
    told = re.fullmatch(r'"?sep=(.)"?', lines[0].strip())  # Excel's own first line
    if told:
        lines, asked = lines[1:], replace(asked, separator=asked.separator or told[1])
        notes.append(f"the first line says that columns are separated by {_spoken(told[1])}")
    skip, heading, comment = _comments(lines, asked, notes)
    body = [
        line
        for line in lines[skip:]
        if line.strip() and not (comment and line.lstrip().startswith(comment))
    ][:_LINES]
    body = body[: max(3, sum(total < _START for total in accumulate(map(len, body))))]
    if comment:
        body = [line.split(comment)[0] for line in body]
    separator = asked.separator or _separator(body, asked.decimal)
    if separator == "," and asked.separator is None and _is_decimal_column(body, name):
        separator = ";"
    elif separator != "," and asked.separator is None:
        notes.append(f"columns are separated by {_spoken(separator)}")
    rows = _rows(body, separator)
    decimal, thousands = _marks(rows, separator, asked, notes)
    header, names = _header(rows, heading, asked, known, decimal, thousands, notes)
    _refuse_loose_quotes(body, separator, name)
    names, index = _unequal(rows, header, names, name, notes)
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    return Layout(
        separator,
        decimal,
        thousands,
        header,
        skip + bool(told),
        comment,
        names,
        index,
        width,
        tuple(notes),
    )


def _spoken(mark: str) -> str:
    return _SPOKEN.get(mark, repr(mark))


def _comments(
    lines: Sequence[str], asked: TableFormat, notes: list[str]
) -> tuple[int, str | None, str | None]:
    """How many lines to skip at the start, the last of them (it may be a header),
    and the character that begins later comments.
    """
    mark = asked.comment or "#"
    skip = 0
    last = None
    while skip < len(lines) and (not lines[skip].strip() or lines[skip].lstrip().startswith(mark)):
        last = lines[skip].strip()[len(mark) :].strip() if lines[skip].strip() else last
        skip += 1
    if skip >= len(lines):
        return 0, None, asked.comment
    later = [line for line in lines[skip:] if mark in line]
    if asked.comment is None and not _are_comments(
        later, [line for line in lines[skip:] if line.strip() and mark not in line], mark
    ):
        return skip, last, None
    if asked.comment is None:
        notes.append(f"lines that begin with {mark!r} are comments")
    return skip, last, mark


def _are_comments(marked: Sequence[str], others: Sequence[str], mark: str) -> bool:
    """Whether the lines that hold the mark begin with it, are few,
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


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    """The cells of each line; none where a cell is longer than any cell should be."""
    try:
        if separator == r"\s+":
            return list(csv.reader((" ".join(line.split()) for line in lines), delimiter=" "))
        return [
            [cell.strip() for cell in row]
            for row in csv.reader(lines, delimiter=separator, skipinitialspace=True)
        ]
    except csv.Error:
        return []


def _separator(lines: Sequence[str], decimal: str | None = None) -> str:
    """The mark that gives most lines the same number of fields, at least two; ',' where none does
    (';' if that is the decimal mark).
    """
    best, most = ";" if decimal == "," else ",", 0.0
    for mark in ("\t", ";", "|", ",", r"\s+"):
        if mark == decimal:
            continue
        if mark != r"\s+" and not any(mark in line for line in lines):
            continue
        rows = _rows(lines, mark)
        counts = Counter(len(row) for row in rows)
        width, share = max(
            ((w, n / len(lines)) for w, n in counts.items() if w > 1),
            key=lambda wn: wn[1],
            default=(1, 0.0),
        )
        if width > 1 and share > most + 0.1 and _plausible(rows, mark):
            best, most = mark, share
    return best


def _is_decimal_column(lines: Sequence[str], name: str) -> bool:
    """Whether the commas under a single name are decimal marks;
    BadSource where what precedes them might number the rows.
    """
    if (
        len(lines) < 2
        or "," in lines[0]
        or not all(re.fullmatch(r"[-+]?\d[\d.]*,\d+", line.strip()) for line in lines[1:])
    ):
        return False
    if _row_names([line.split(",")[0].strip() for line in lines[1:]]):
        raise BadSource(
            f"{name}: {lines[1].strip()[:40]!r} under one name is a number with a decimal comma, or"
            " a row's number and a value; say: --decimal , (decimal=',') or --separator ,"
            " (separator=',')"
        )
    return True


def _plausible(rows: Sequence[Sequence[str]], mark: str) -> bool:
    """Spaces separate only numbers; commas do not stand inside numbers that spaces separate."""
    cells = [cell for row in rows[1:] or rows for cell in row[:_CELLS]]
    if mark == r"\s+":
        return sum(is_number(c) or is_number(c, ",") for c in cells) > len(cells) / 2
    return not (
        mark == ","
        and sum(bool(re.fullmatch(r"[-+]?\d+\s+[-+]?\d+", c)) for c in cells) >= len(cells) / 3
    )


def _marks(
    rows: Sequence[Sequence[str]], separator: str, asked: TableFormat, notes: list[str]
) -> tuple[str, str | None]:
    """The decimal mark and the mark between groups of digits."""
    cells = [
        cell.rstrip("%").strip()
        for row in rows[1:] or rows
        for cell in row[:_CELLS]
        if any(c.isdigit() for c in cell)
    ]
    decimal, thousands = asked.decimal, asked.thousands
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
            if comma and asked.thousands != "," and (points == 0 or mixed or _all_groups(cells))
            else "."
        )
        if decimal == ",":
            notes.append("the decimal mark is ','")
    if thousands is None:
        for mark in (",", ".", *_BETWEEN):
            if mark == decimal or (mark in _SPACES and separator in (" ", r"\s+")):
                continue
            groups = [c for c in cells if re.fullmatch(grouped(mark, decimal), c)]
            if groups and not (mark == "." and not mixed and not commas):
                thousands = mark
                notes.append(
                    f"{_spoken(mark)} stands between groups of digits ({groups[0]} is"
                    f" {_joined(groups[0], mark, decimal)})"
                )
                break
    return decimal, thousands


def _all_groups(cells: Sequence[str]) -> bool:
    """Whether every point stands between groups of three digits."""
    return all(re.fullmatch(grouped(".", ","), c) for c in cells if "." in c)


def _joined(text: str, thousands: str, decimal: str) -> str:
    return text.replace(thousands, "").replace(decimal, ".")


# ------------------------------------------------------------------------------------------ headers


def _header(
    rows: Sequence[Sequence[str]],
    heading: str | None,
    asked: TableFormat,
    known: Sequence[str],
    decimal: str,
    thousands: str | None,
    notes: list[str],
) -> tuple[bool, tuple[str, ...] | None]:
    """Whether the first line is a header, and names found in a comment before it."""
    if not rows:
        return asked.header is not False, None

    def number(cell: str) -> bool:
        return is_number(cell, decimal, thousands) or is_number(
            cell.rstrip("%").strip(), decimal, thousands
        )

    first = rows[0]
    numbers = [c for c in first if number(c)]
    commented = _commented_names(heading, rows, number)
    if asked.header is not None:
        return asked.header, None
    if known and set(known) <= set(first):
        return True, None
    if commented is not None and len(numbers) + sum(is_missing(c) for c in first) == len(first):
        notes.append("the columns' names are in a comment line")
        return False, commented
    if not numbers or not all(number(c) or is_missing(c) for c in first):
        return True, None
    shown = ", ".join(first[:4]) + (", …" if len(first) > 4 else "")
    if _counts_columns(first, rows[1:]):
        notes.append(
            f"the first line ({shown}) is taken as the columns' names; --no-header (header=False)"
            " takes it as a row"
        )
        return True, None
    notes.append(
        f"no header: the first line ({shown}) is taken as a row; --header (header=True) takes it as"
        " names"
    )
    return False, None


def _commented_names(
    heading: str | None, rows: Sequence[Sequence[str]], number: Any
) -> tuple[str, ...] | None:
    """The names in a commented line, where there is one for each column."""
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
    """Whether a line of numbers reads like names: whole numbers in equal steps
    (years, or 0, 1, 2, …) over rows of another kind.
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


def _refuse_loose_quotes(lines: Sequence[str], separator: str, name: str) -> None:
    """Raise BadSource where something follows a closing quote
    within a field ("4"5), which pandas would read as 45.
    """
    if separator == r"\s+" or not any('"' in line for line in lines):
        return
    try:
        for _ in csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True):
            pass
    except csv.Error as error:
        if "expected after" in str(error):
            raise BadSource(
                f"{name}: a quote ends in the middle of a field; mend that line, or name the"
                " --separator"
            ) from error


def _unequal(
    rows: Sequence[Sequence[str]],
    header: bool,
    names: tuple[str, ...] | None,
    name: str,
    notes: list[str],
) -> tuple[tuple[str, ...] | None, bool]:
    """Names, and whether the first column holds row names without a heading, where lines and header
    differ in their number of fields.
    """
    if not header or len(rows) < 2:
        return names, False
    heads, body = rows[0], [row for row in rows[1:] if row]
    twice = [n for n, count in Counter(h for h in heads if h).items() if count > 1]
    if twice:
        raise BadSource(f"{name}: column {twice[0][:60]!r} appears twice; rename one")
    if body and all(len(row) == len(heads) + 1 for row in body):
        if all(row[-1] == "" for row in body):
            notes.append("every line ends with a separator, which is left out")
        elif _row_names([row[0] for row in body]):
            notes.append(
                "the lines begin with row names, for which there is no heading; they are left out"
            )
            return names, True
    short = next((row for row in body if len(row) < len(heads)), None)
    if short is not None:
        notes.append(
            f"a line has {len(short)} of {len(heads)} fields (it begins with {short[0][:40]!r}):"
            " the others count as missing"
        )
    return names, False


def _row_names(cells: Sequence[str]) -> bool:
    """Whether the first fields are what R writes as row names:
    1, 2, 3, … or texts that all differ.
    """
    if all(re.fullmatch(r"\d+", c) for c in cells):
        values = [int(c) for c in cells]
        return len(values) > 1 and all(b - a == 1 for a, b in pairwise(values))
    return len(set(cells)) == len(cells) and not any(is_number(c) for c in cells)
