"""Text cells that hold numbers: percents, and numeric columns with missing-value markers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from pushforward.core.data_types import Series, TextSeries
from pushforward.data.tables.markers import are_markers, is_marker

__all__ = ["READ_AS_MISSING", "Cells", "grouped", "is_missing", "is_number"]

READ_AS_MISSING = "read as missing"
"""How a note on markers of missing values begins."""

SOME = 20
"""Entries that are looked at before a whole column is."""


@dataclass
class Cells:
    """The notation of numbers in a text table, with what was found while reading.

    Args:
        decimal, thousands: as in `TableFormat`.
        percents: names of columns whose numbers carry a % sign.
        markers: for each column, the texts taken to mean 'missing'.
    """

    decimal: str = "."
    thousands: str | None = None
    percents: dict[str, None] = field(default_factory=dict)
    markers: dict[str, set[str]] = field(default_factory=dict)

    def numbers(self, name: str, series: Series) -> Series:
        """A column of text as numbers if all entries are numbers, percents or missing markers.

        Else unchanged.
        """
        present = series.dropna()
        some = present[:SOME].map(str).str.strip()
        texts = some.tolist()
        if (
            not texts
            or not any(any(c.isdigit() for c in t) for t in texts)
            or not all(self._may_be(t) for t in texts)
            or self._plain(some) is None
        ):
            return series
        texts = present.map(str).str.strip()
        found = self._plain(texts)
        if found is None or not len(found[0]):
            return series
        numbers, percent = found
        if percent:
            self.percents[name] = None
        marked = are_markers(texts)
        if marked.any():
            self.markers.setdefault(name, set()).update(texts[marked].unique())
        whole: Series = numbers.reindex(series.index)
        return whole

    def _plain(self, texts: TextSeries) -> tuple[Series, bool] | None:
        """Those of the texts that are no markers as numbers, and whether they are percents; None
        if one is no number, or only some are percents.
        """
        plain = texts[~are_markers(texts)]
        percent = plain.str.endswith("%")
        if percent.any():
            if not percent.all():
                return None
            plain = plain.str.rstrip("%").str.strip()
        numbers = self._parsed(plain)
        return None if numbers is None else (numbers, bool(percent.any()))

    def _may_be(self, text: str) -> bool:
        return is_marker(text) or any(c.isdigit() for c in text)

    def spelled(self, texts: TextSeries) -> TextSeries:
        """Text in Python's number notation, missing markers removed;
        '?' for misplaced marks, as in 01.02.2020.
        """
        texts = texts[~are_markers(texts)]
        if self.thousands:
            right = texts.str.fullmatch(
                grouped(self.thousands, self.decimal)
            ) | ~texts.str.contains(self.thousands, regex=False)
            texts = texts.where(right, "?").str.replace(self.thousands, "", regex=False)
        if self.decimal != ".":
            texts = texts.where(~texts.str.contains(".", regex=False), "?").str.replace(
                self.decimal, ".", regex=False
            )
        return texts

    def bare(self, texts: TextSeries) -> TextSeries:
        """As `spelled`; if most are percents, without their signs, the others being no numbers."""
        texts = texts[~are_markers(texts)]
        percent = texts.str.endswith("%")
        if len(texts) and percent.mean() >= 0.5:
            texts = texts.str.rstrip("%").str.strip().where(percent, "no per cent")
        return self.spelled(texts)

    def _parsed(self, texts: TextSeries) -> Series | None:
        """Text as numbers, or None if an entry is not one."""
        import pandas

        numbers = pandas.to_numeric(self.spelled(texts), errors="coerce")
        return (
            None
            if bool(np.isnan(numbers.to_numpy(dtype=np.float64, na_value=np.nan)).any())
            else numbers
        )

    def notes(self) -> list[str]:
        """The decisions made, in sentences."""
        notes = []
        if self.percents:
            notes.append(
                f"percentages are read as numbers (12% is 12): {_few(list(self.percents))}"
            )
        for name, marks in list(self.markers.items())[:5]:
            notes.append(
                f"{READ_AS_MISSING} in column {name!r}: {', '.join(repr(m) for m in sorted(marks))}"
            )
        if len(self.markers) > 5:
            notes.append(f"and likewise in {len(self.markers) - 5} other columns")
        return notes


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def grouped(mark: str, decimal: str = ".") -> str:
    """The pattern of a number with digits in groups of three,
    such as 1.234.567,5, not starting with 0.
    """
    return rf"[-+]?[1-9]\d{{0,2}}({re.escape(mark)}\d{{3}})+({re.escape(decimal)}\d*)?"


_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def is_number(text: str, decimal: str = ".", thousands: str | None = None) -> bool:
    """Whether a text is a number as written with these marks."""
    if thousands and thousands in text:
        if not re.fullmatch(grouped(thousands, decimal), text):
            return False
        text = text.replace(thousands, "")
    if decimal != ".":
        if "." in text:
            return False
        text = text.replace(decimal, ".")
    return bool(_PLAIN.fullmatch(text)) or text.lstrip("+-").lower() in ("nan", "inf", "infinity")


def is_missing(text: str) -> bool:
    """Whether a text means 'missing' among numbers."""
    return text in ("", "<NA>") or is_marker(text)
