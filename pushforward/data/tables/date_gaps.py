"""Columns of dates in which texts such as k.A. mark missing values."""

from __future__ import annotations

from typing import Any, cast

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
    present = series.dropna()
    marked = _marked(present[:_SOME])
    if not marked.all() and not _holds_dates(present[:_SOME][~marked]):
        return series
    marked = _marked(present)
    dates = present[~marked]
    if not marked.any() or not _holds_dates(dates):
        return series
    texts = cast(TextSeries, present[marked].astype(str)).str.strip()
    cells.markers.setdefault(name, set()).update(texts.unique())
    kept: Series = dates.reindex(series.index)
    return kept


def _marked(present: Series) -> Any:
    return are_markers(cast(TextSeries, present.astype(str)).str.strip())


def _holds_dates(entries: Series) -> bool:
    return are_dates(entries) or bool(find_date_format(entries))
