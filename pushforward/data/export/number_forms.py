"""How the columns of a text table spell numbers (decimals, per cent signs, thousands marks, leading
zeros) and true and false; told from the first rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushforward.data.tables.layout import Layout
from pushforward.data.tables.table import Table

__all__ = ["NumberForm", "first_cells", "in_marks", "number_forms", "truth_forms"]

_ROWS, _CELLS = 2000, 200_000
"""Rows that the spelling is told from, and cells in them: a second for the widest tables."""


@dataclass(frozen=True)
class NumberForm:
    """How a column spells its numbers.

    Args:
        decimals: that all of its numbers are written with; None if they differ.
        percent: what follows a number: '%', ' %' or ''.
        thousands: between groups of three digits; '' for none.
        digits: of all whole numbers, filled up with zeros: 01067 has 5; 0 for none.
        decimal: the decimal mark.
    """

    decimals: int | None = None
    percent: str = ""
    thousands: str = ""
    digits: int = 0
    decimal: str = "."

    def text(self, value: float, decimals: int | None = None) -> str:
        """A number as the column spells it, with no fewer `decimals`."""
        if self.decimals is not None and (decimals or 0) <= self.decimals:
            text = f"{round(value, self.decimals) + 0.0:.{self.decimals}f}"
        elif decimals == 0:
            text = f"{round(value) + 0.0:.0f}"
        else:
            text = repr(value)
        sign, rest = ("-", text[1:]) if text.startswith("-") else ("", text)
        whole, point, fraction = rest.partition(".")
        whole = whole.zfill(self.digits)
        if self.thousands and whole.isdigit():
            whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", lambda _: self.thousands, whole)
        return f"{sign}{whole}{self.decimal if point else ''}{fraction}{self.percent}"


Cells = Mapping[str, Sequence[str]]
"""Texts of the cells that are not empty, by column."""


def number_forms(columns: Cells, layout: Layout) -> dict[str, NumberForm]:
    """How columns spell numbers, by name; columns of other texts have none."""
    number = _number(layout)
    found: dict[str, NumberForm] = {}
    for name, cells in columns.items():
        form = _form_of(cells, number, layout)
        if form is not None:
            found[name] = form
    return found


def truth_forms(columns: Cells) -> dict[str, dict[str, str]]:
    """How columns of only true and false spell 'True' and 'False', by name."""
    found = {}
    for name, cells in columns.items():
        words = {text for cell in cells if (text := cell.strip())}
        spelled = {word.capitalize(): word for word in words}
        if words and len(spelled) == len(words) and spelled.keys() <= {"True", "False"}:
            found[name] = spelled
    return found


def first_cells(table: Table) -> Cells:
    """The cells of the first rows of a table; none of a table that is no text."""
    if table.texts is None or table.layout is None:
        return {}
    rows = max(20, min(_ROWS, _CELLS // max(table.layout.width, 1)))
    frame: Any = next(iter(table.texts(rows)), None)
    if frame is None:
        return {}
    return {
        str(name): frame.iloc[:, place].dropna().tolist()
        for place, name in enumerate(frame.columns)
    }


def _number(layout: Layout) -> re.Pattern[str]:
    """A number in a table's notation: whole part, fraction, per cent sign."""
    groups = rf"|\d{{1,3}}(?:{re.escape(layout.thousands)}\d{{3}})+" if layout.thousands else ""
    return re.compile(
        rf"[-+]?(\d+{groups})?(?:{re.escape(layout.decimal)}(\d*))?([ \u00a0\u202f]*%)?"
    )


def _form_of(cells: Sequence[str], number: re.Pattern[str], layout: Layout) -> NumberForm | None:
    """How cells spell numbers; None if there are none, or if there are others beside them, such as
    1e-5.
    """
    texts = [text for cell in cells if (text := cell.strip())]
    matches = [m for text in texts if (m := number.fullmatch(text)) and (m[1] or m[2])]
    if not matches or any(c.isdigit() for t in texts if not number.fullmatch(t) for c in t):
        return None
    wholes = [m[1] or "" for m in matches]
    decimals = {len(m[2] or "") for m in matches}
    mark = layout.thousands or ""
    grouped = bool(mark) and any(mark in whole for whole in wholes)
    sizes = {len(whole) for whole in wholes}
    padded = len(sizes) == 1 and sizes != {1} and any(w.startswith("0") for w in wholes)
    return NumberForm(
        decimals.pop() if len(decimals) == 1 else None,
        Counter(m[3] or "" for m in matches).most_common(1)[0][0],
        mark if grouped else "",
        sizes.pop() if padded else 0,
        layout.decimal,
    )


def in_marks(forms: Mapping[str, NumberForm], decimal: str) -> dict[str, NumberForm]:
    """The forms with another decimal mark, without thousands marks that are the same."""
    return {
        name: NumberForm(
            form.decimals,
            form.percent,
            "" if form.thousands == decimal else form.thousands,
            form.digits,
            decimal,
        )
        for name, form in forms.items()
    }
