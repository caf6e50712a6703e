"""Columns of dates in which texts such as k.A. mark missing values."""

from __future__ import annotations

from typing import cast

from pushforward.core.data_types import Series, TextSeries
from pushforward.data.tables.cells import Cells
from pushforward.data.tables.columns import are_dates
from pushforward.data.tables.date_formats import find_date_format
from pushforward.data.tables.markers import are_markers

__all__ = ["without_markers"]

_SOME = 50
"""Entries that are looked at before a whole column is."""


def without_markers(name: str, series: Series, cells: Cells) -> Series:
    """A column of text without its markers of missing values, if all other entries are dates.

    Else unchanged.
    """
    for present in (series.dropna()[:_SOME], series.dropna()):
        marked = are_markers(cast(TextSeries, present.astype(str)).str.strip())
        dates = present[~marked]
        if not len(dates) and len(present) == _SOME:
            continue
        if not are_dates(dates) and not find_date_format(dates):
            return series
    if not marked.any():
        return series
    texts = cast(TextSeries, present[marked].astype(str)).str.strip()
    cells.markers.setdefault(name, set()).update(texts.unique())
    kept: Series = dates.reindex(series.index)
    return kept
