"""A table that can be read from its start again and again, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pushforward.core.data_types import Frame, Series
from pushforward.core.frames import kind_of
from pushforward.data.options import Options
from pushforward.data.tables.cells import Cells

__all__ = ["Chunks", "Table", "CHUNK_ROWS"]

Chunks = Callable[[], Iterator[Any]]
CHUNK_ROWS = 65536
"""Rows of a table that are in memory at once, where it is not read whole: some MB a column."""


@dataclass
class Table:
    """A table that can be read from its start again and again.

    Args:
        chunks: starts reading.
        unnamed: its columns have no names.
        cells: how its numbers are written, for text tables.
        notes: what was decided about it.
    """

    chunks: Chunks
    name: str = "table"
    unnamed: bool = False
    cells: Cells | None = None
    notes: list[str] = field(default_factory=list)

    def frames(self, options: Options) -> Iterator[Any]:
        """The chunks, without what the caller says is missing."""
        for chunk in self.chunks():
            yield (
                chunk
                if self.cells is not None or not options.table.na
                else _without(chunk, options.table.na)
            )

    def series(self, chunk: Frame, place: int) -> Series:
        """One column; texts that are numbers as numbers."""
        series: Series = chunk.iloc[:, place]
        if (
            self.cells is not None
            and series.dtype.kind not in "biufM"
            and kind_of(series) == "text"
        ):
            return self.cells.numbers(str(series.name), series)
        return series


def _without(chunk: Frame, markers: Sequence[str]) -> Frame:
    """The chunk with the marked entries missing."""
    values: list[Any] = list(markers)
    for marker in markers:
        try:
            values.append(float(marker))
        except ValueError:
            continue
    gone = chunk.isin(values)
    return chunk.mask(gone) if bool(gone.to_numpy().any()) else chunk
