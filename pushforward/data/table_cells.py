"""Text cells that are numbers after all: percents, and columns of numbers in which some entries mean 'missing'."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pushforward.data.table_format import MARKERS

__all__ = ["Cells"]


@dataclass
class Cells:
    """How the numbers of a text table are written, and what was found on the way.

    Arguments:
        decimal, thousands: as in `TableFormat`.
        percents: names of columns whose numbers carry a % sign.
        markers: for each column, what was taken to mean 'missing' in it.
    """

    decimal: str = "."
    thousands: str | None = None
    percents: dict[str, None] = field(default_factory=dict)
    markers: dict[str, set[str]] = field(default_factory=dict)

    def numbers(self, name: str, series: Any) -> Any:
        """A column of texts as numbers, where all its entries are numbers, percents, or markers of missing values; else unchanged."""
        given = series.dropna()
        texts = given[:20].map(str).str.strip().tolist()
        if not texts or not any(any(c.isdigit() for c in t) for t in texts) or not all(self._may_be(t) for t in texts):
            return series
        texts = given.map(str).str.strip()
        marked = texts.isin(MARKERS)
        plain = texts[~marked]
        percent = plain.str.endswith("%")
        if percent.any():
            plain = plain.str.rstrip("%").str.strip()
        numbers = self._parsed(plain)
        if numbers is None or not len(numbers) or (percent.any() and not percent.all()):
            return series
        if percent.any():
            self.percents[name] = None
        if marked.any():
            self.markers.setdefault(name, set()).update(texts[marked].unique())
        return numbers.reindex(series.index)

    def _may_be(self, text: str) -> bool:
        return text in MARKERS or any(c.isdigit() for c in text)

    def _parsed(self, texts: Any) -> Any:
        """The texts as numbers, or None where one is none."""
        import pandas

        if self.thousands:
            texts = texts.str.replace(self.thousands, "", regex=False)
        if self.decimal != ".":
            texts = texts.str.replace(self.decimal, ".", regex=False)
        numbers = pandas.to_numeric(texts, errors="coerce")
        return None if bool(np.isnan(numbers.to_numpy(dtype=np.float64, na_value=np.nan)).any()) else numbers

    def notes(self) -> list[str]:
        """What was decided, in sentences."""
        found = []
        if self.percents:
            found.append(f"percents are read as numbers (12% is 12): {_few(list(self.percents))}")
        for name, marks in list(self.markers.items())[:5]:
            found.append(f"{', '.join(repr(m) for m in sorted(marks))} counts as missing in column {name!r}")
        if len(self.markers) > 5:
            found.append(f"and so in {len(self.markers) - 5} other columns")
        return found


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
