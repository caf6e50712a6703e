"""The first pass over a table: its used columns with their kinds, ranges and categories.

Columns of plain NumPy numbers are surveyed together as one block: a table may have 100 000 of them,
and one pandas series each would take longer than reading the file. Others are surveyed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pushforward.core.data_types import Frame
from pushforward.core.dates import DURATION
from pushforward.core.frames import is_plain
from pushforward.data.options import Options
from pushforward.data.tables.columns import ColumnSurvey, joint
from pushforward.data.tables.selection import wanted_columns
from pushforward.data.tables.table import Table

__all__ = ["Survey", "survey_table"]


@dataclass
class Survey:
    """A table's columns and number of rows after one pass."""

    columns: dict[str, ColumnSurvey]
    rows: int
    options: Options
    dropped: tuple[str, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> list[ColumnSurvey]:
        """Undeclared text columns, and dates not to be read as numbers."""
        return [
            c
            for c in self.columns.values()
            if c.kind == "text" or (c.kind == "date" and not c.unit)
        ]


def survey_table(table: Table, options: Options) -> Survey:
    """Survey the table in one pass: the kind, range and categories of each used column."""
    survey: Survey | None = None
    for chunk in table.frames(options):
        if survey is None:
            survey = _begin(chunk, table, options)
        _see(survey, table, chunk)
    survey = survey or Survey({}, 0, options)
    dated = [c for c in survey.columns.values() if c.kind == "date" and c.unit]
    for column in dated[:5]:
        survey.notes.append(
            f"column {column.name!r} holds {'durations' if column.unit == DURATION else 'dates'},"
            f" read as {column.unit}"
        )
    if len(dated) > 5:
        survey.notes.append(f"and so do {len(dated) - 5} other columns")
    return survey


def _begin(chunk: Frame, table: Table, options: Options) -> Survey:
    names = [str(c) for c in chunk.columns]
    options = options.among(names)
    survey = Survey({}, 0, options, places={n: i for i, n in enumerate(names)})
    columns = wanted_columns(chunk, names, table, options, survey.notes)
    survey.columns = {n: ColumnSurvey(n, dates=options.table.dates is not False) for n in columns}
    survey.dropped = tuple(n for n in names if n not in survey.columns)
    return survey


def _see(survey: Survey, table: Table, chunk: Frame) -> None:
    """Add a chunk: numbers as one block, other columns one by one."""
    columns = list(survey.columns.values())
    places = [survey.places[c.name] for c in columns]
    declared = set(survey.options.categorical)
    dtypes = chunk.dtypes.tolist()
    plain = [
        i
        for i, place in enumerate(places)
        if is_plain(dtypes[place]) and columns[i].name not in declared
    ]
    for i in sorted(set(range(len(columns))) - set(plain)):
        columns[i].see(
            table.series(chunk, places[i]),
            survey.rows,
            declared=columns[i].name in declared,
            cells=table.cells,
        )
    if plain and len(chunk):
        _see_block(chunk, [columns[i] for i in plain], [places[i] for i in plain])
    for i in plain if not len(chunk) else ():
        columns[i].kind = joint(columns[i].kind, "continuous")
    survey.rows += len(chunk)


def _see_block(chunk: Frame, columns: Sequence[ColumnSurvey], places: Sequence[int]) -> None:
    dtypes = chunk.dtypes.tolist()
    block = (chunk if len(places) == chunk.shape[1] else chunk.iloc[:, list(places)]).to_numpy(
        dtype=np.float64
    )
    missing = np.isnan(block).sum(0).tolist()
    low, high = np.fmin.reduce(block, 0).tolist(), np.fmax.reduce(block, 0).tolist()
    for i, (column, place) in enumerate(zip(columns, places)):
        dtype = dtypes[place]
        column._join_dtype(dtype.name)
        column.kind = joint(column.kind, "continuous" if dtype.kind == "f" else "integer")
        column.missing += missing[i]
        if low[i] == low[i]:
            column.low, column.high = min(column.low, low[i]), max(column.high, high[i])
