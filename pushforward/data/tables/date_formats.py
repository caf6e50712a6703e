"""Dates that are written otherwise than in ISO 8601: 31.12.2020, 12/31/2020, 31-Dec-2020.

Days and months of numbers are told apart by a day above 12; without one, the order of the
separator's usual country is taken: day first for '.' and '-', month first for '/'.
"""

from __future__ import annotations

from typing import cast

from pushforward.core.data_types import Series, TextSeries
from pushforward.core.dates import parse_dates

__all__ = ["find_date_format", "fits_date_format"]

FORMATS = (
    "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y", "%m/%d/%y",
    "%d/%m/%y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y",
    "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
)  # fmt: skip
SOME = 50
"""Entries that a format is tried on first."""


def find_date_format(series: Series) -> str:
    """The first format that fits all entries of a text column; '' if none does."""
    return next((f for f in FORMATS if fits_date_format(series, f)), "")


def fits_date_format(series: Series, format: str) -> bool:
    """Whether all entries that are there are dates of a format."""
    present = series.dropna()
    some = _texts(present[:SOME])
    if not len(some) or not all(any(c.isdigit() for c in text) for text in some):
        return False
    if parse_dates(some, format).isna().any():
        return False
    return not parse_dates(_texts(present), format).isna().any()


def _texts(series: Series) -> TextSeries:
    texts = cast(TextSeries, series.astype(str))
    return cast(TextSeries, texts.str.strip())
