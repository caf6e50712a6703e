"""A table that can be read repeatedly from its start, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pushforward.core.data_types import Frame, Series
from pushforward.core.frames import kind_of
from pushforward.data.options import Options
from pushforward.data.tables.cells import Cells
from pushforward.data.tables.date_gaps import without_markers
from pushforward.data.tables.layout import Layout
from pushforward.data.tables.markers import is_marker

__all__ = ["Chunks", "Table", "CHUNK_ROWS"]

Chunks = Callable[[], Iterator[Any]]
CHUNK_ROWS = 65536
"""Rows of a table in memory at once unless it is read whole: a few MB per column."""


@dataclass
class Table:
    """A table that can be read repeatedly from its start.

    Args:
        chunks: starts reading.
        unnamed: whether its columns have no names.
        cells: notation of its numbers, for text tables.
        notes: decisions made while reading.
        layout, encoding: of text tables.
        texts: starts reading a text table's cells as they are written, so many rows at a time.
    """

    chunks: Chunks
    name: str = "table"
    unnamed: bool = False
    cells: Cells | None = None
    notes: list[str] = field(default_factory=list)
    layout: Layout | None = None
    encoding: str = "utf-8"
    texts: Callable[[int], Iterator[Any]] | None = None

    def frames(self, options: Options) -> Iterator[Any]:
        """The chunks, with the caller's missing-value markers applied."""
        for chunk in self.chunks():
            yield (
                chunk
                if self.cells is not None or not options.table.na
                else _without(chunk, options.table.na)
            )

    def series(
        self, chunk: Frame, place: int, meant: Callable[[str], bool] | None = None
    ) -> Series:
        """One column; text that holds numbers as numbers, dates without markers of missing ones.

        Args:
            chunk: some rows.
            place: of the column.
            meant: of a column of categories, whether one that could mark a missing value is none.
        """
        series: Series = chunk.iloc[:, place]
        if self.cells is None or series.dtype.kind in "biufM" or kind_of(series) != "text":
            return series
        if meant is not None and _has_meant(series, meant):
            return series
        name = str(series.name)
        numbers = self.cells.numbers(name, series)
        if numbers is not series or meant is not None:
            return numbers
        return without_markers(name, series, self.cells)


def _has_meant(series: Series, meant: Callable[[str], bool]) -> bool:
    texts = {str(text).strip() for text in series.dropna().unique()}
    return any(is_marker(text) and meant(text) for text in texts)


def _without(chunk: Frame, markers: Sequence[str]) -> Frame:
    """The chunk with the marked entries set to missing."""
    values: list[Any] = list(markers)
    for marker in markers:
        try:
            values.append(float(marker))
        except ValueError:
            continue
    missing = chunk.isin(values)
    return chunk.mask(missing) if bool(missing.to_numpy().any()) else chunk
