"""The rows of a table as a fitted model sees them, chunk by chunk, beside the table's own cells.

What is missing in the table and what the model does not know are told apart: both are NaN in x.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.column_numbers import category_text
from pushforward.core.columns import Column
from pushforward.core.data_types import Frame
from pushforward.core.errors import DataWarning, ShapeMismatch, suggest
from pushforward.core.space import Space, column_numbers
from pushforward.data.options import Options
from pushforward.data.tables.table import Table

__all__ = ["TypedRows", "Unseen", "chunk_size", "meant_in", "typed_rows"]

VALUES_AT_ONCE = 1 << 22
"""Values of a chunk: 32 MB as float64."""


@dataclass(frozen=True)
class Unseen:
    """A category that the model has never seen: its row, column (by position) and name."""

    row: int
    column: int
    text: str


@dataclass(frozen=True)
class TypedRows:
    """Some rows of a table.

    Args:
        first: the number of the first row.
        frame: the table's cells, all columns.
        x: the model's columns (n, d), NaN for missing values and unseen categories.
        missing: which cells are missing in the table (n, d).
        unseen: the categories that the model does not know.
    """

    first: int
    frame: Frame
    x: NDArray[np.float64]
    missing: NDArray[np.bool_]
    unseen: tuple[Unseen, ...]

    def __len__(self) -> int:
        return len(self.x)


def chunk_size(columns: int) -> int:
    """Rows of so many columns that are in memory at once."""
    return max(1, min(65536, VALUES_AT_ONCE // max(1, columns)))


def typed_rows(table: Table, space: Space, options: Options) -> Iterator[TypedRows]:
    """All rows of a table in the space of a fitted model.

    Raises:
        ShapeMismatch: If a column is missing, or holds what is none of its values.
    """
    first = 0
    for chunk in table.frames(options):
        names = [str(name) for name in chunk.columns]
        places = _places(names, space, table.name)
        for start in range(0, max(len(chunk), 1), chunk_size(len(names))):
            part = chunk.iloc[start : start + chunk_size(len(names))]
            yield _typed(part, places, table, space, first)
            first += len(part)


def meant_in(column: Column) -> Callable[[str], bool] | None:
    """Which texts are categories of a column though they could mark missing values."""
    return column.categories.__contains__ if column.kind == "categorical" else None


def _places(names: list[str], space: Space, what: str) -> list[int]:
    """Where the columns of a space are: by name, or by position if they have no names."""
    if not any(column.name for column in space.columns):
        if len(names) != space.size:
            raise ShapeMismatch(f"{what}: expected {space.size} columns, got {len(names)}")
        return list(range(space.size))
    absent = next((name for name in space.names if name not in names), None)
    if absent is not None:
        raise ShapeMismatch(
            f"{what}: column {absent!r} is missing, which the model was fitted to;"
            f" {suggest(absent, names)}"
        )
    return [names.index(name) for name in space.names]


def _typed(frame: Frame, places: list[int], table: Table, space: Space, first: int) -> TypedRows:
    x = np.empty((len(frame), space.size))
    missing = np.zeros(x.shape, dtype=bool)
    unseen: list[Unseen] = []
    for j, (place, column) in enumerate(zip(places, space.columns)):
        series = table.series(frame, place, meant_in(column))
        missing[:, j] = series.isna().to_numpy()
        with warnings.catch_warnings():  # unseen categories are in the result
            warnings.filterwarnings("ignore", ".*has never seen", DataWarning)
            x[:, j] = column_numbers(series, column, table.name, start=first)
        if column.kind == "categorical":
            rows = np.flatnonzero(np.isnan(x[:, j]) & ~missing[:, j])
            texts: list[Any] = series.iloc[rows].tolist()
            unseen += [Unseen(first + int(r), j, category_text(t)) for r, t in zip(rows, texts)]
    return TypedRows(first, frame, x, missing, tuple(unseen))
