"""The first pass over a table: its used columns with their kinds, ranges and categories.

Columns of plain NumPy numbers are surveyed together as one block: a table may have 100 000 of them,
and one pandas series each would take longer than reading the file. Others are surveyed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pushforward.core.counting import count_rows
from pushforward.core.data_types import Frame
from pushforward.core.dates import DURATION
from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.frames import is_plain
from pushforward.data.options import Options
from pushforward.data.tables.columns import ColumnSurvey, joint
from pushforward.data.tables.markers import is_word
from pushforward.data.tables.selection import wanted_columns
from pushforward.data.tables.table import Table
from pushforward.data.tables.types import (
    CATEGORIES,
    DECLARED,
    ColumnType,
    check_carried,
    infer_type,
)

__all__ = ["Survey", "survey_table"]


@dataclass
class Survey:
    """A table's columns and number of rows after one pass."""

    columns: dict[str, ColumnSurvey]
    rows: int
    options: Options
    dropped: tuple[str, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    types: dict[str, ColumnType] = field(default_factory=dict)
    aside: dict[str, ColumnSurvey] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> list[ColumnSurvey]:
        """Undeclared text columns, and dates not to be read as numbers."""
        return [
            c
            for c in self.columns.values()
            if (c.kind == "text" or (c.kind == "date" and not c.unit)) and c.name not in self.types
        ]

    @property
    def texts(self) -> list[ColumnSurvey]:
        """Text columns whose type was inferred."""
        columns = {**self.columns, **self.aside}
        return [
            c
            for name, c in columns.items()
            if c.kind == "text" and name in self.types and self.types[name].reason != DECLARED
        ]

    @property
    def carried(self) -> tuple[str, ...]:
        """Columns that are kept with the rows, out of models: identifiers and free text."""
        return tuple(name for name in self.aside if self.types[name].type != "constant")


def survey_table(table: Table, options: Options) -> Survey:
    """Survey the table in one pass: the kind, range and categories of each used column."""
    survey: Survey | None = None
    for chunk in table.frames(options):
        if survey is None:
            survey = _begin(chunk, table, options)
        _see(survey, table, chunk)
        count_rows("looked at", survey.rows)
    survey = survey or Survey({}, 0, options)
    if options.types is not None and survey.rows:
        _decide_types(survey, table)
    dated = [c for c in survey.columns.values() if c.kind == "date" and c.unit]
    for column in dated[:5]:
        survey.notes.append(
            f"column {column.name!r} holds {'durations' if column.unit == DURATION else 'dates'},"
            f" read as {column.unit}"
        )
    if len(dated) > 5:
        survey.notes.append(f"and so do {len(dated) - 5} other columns")
    return survey


def _decide_types(survey: Survey, table: Table) -> None:
    """The type of each used column; those that are carried along leave the columns."""
    percents = table.cells.percents if table.cells is not None else {}
    declared = dict(survey.options.types or {})
    absent = next((name for name in declared if name not in survey.places), None)
    if absent is not None:
        raise InvalidValue(
            f"{survey.options.name or table.name}: no column {absent!r};"
            f" {suggest(absent, list(survey.places))}"
        )
    for name, column in survey.columns.items():
        if name in survey.options.categorical and name not in declared:
            declared[name] = ColumnType("categorical", DECLARED)
        survey.types[name] = declared.get(name) or infer_type(column, survey.rows, name in percents)
    survey.aside = {n: c for n, c in survey.columns.items() if survey.types[n].carried}
    for name, column in survey.aside.items():
        check_carried(column, survey.types[name])
    survey.columns = {n: c for n, c in survey.columns.items() if n not in survey.aside}


def _begin(chunk: Frame, table: Table, options: Options) -> Survey:
    names = [str(c) for c in chunk.columns]
    options = options.among(names)
    survey = Survey({}, 0, options, places={n: i for i, n in enumerate(names)})
    columns = wanted_columns(chunk, names, table, options, survey.notes)
    dates, typed = options.table.dates is not False, options.types is not None
    survey.columns = {n: ColumnSurvey(n, dates=dates, typed=typed) for n in columns}
    survey.dropped = tuple(n for n in names if n not in survey.columns)
    return survey


def _see(survey: Survey, table: Table, chunk: Frame) -> None:
    """Add a chunk: numbers as one block, other columns one by one."""
    columns = list(survey.columns.values())
    places = [survey.places[c.name] for c in columns]
    typed = survey.options.types or {}
    declared = {name for name, kind in typed.items() if kind.type in CATEGORIES}
    declared.update(survey.options.categorical)
    dtypes = chunk.dtypes.tolist()
    plain = [
        i
        for i, place in enumerate(places)
        if is_plain(dtypes[place]) and columns[i].name not in declared
    ]
    for i in sorted(set(range(len(columns))) - set(plain)):
        categorical = columns[i].name in declared
        columns[i].see(
            table.series(chunk, places[i], is_word if categorical else None),
            survey.rows,
            declared=categorical,
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
    typed = bool(columns) and columns[0].typed
    whole = ((block == np.floor(block)) | ~np.isfinite(block)).all(0) if typed else ()
    low, high = np.fmin.reduce(block, 0).tolist(), np.fmax.reduce(block, 0).tolist()
    for i, (column, place) in enumerate(zip(columns, places)):
        dtype = dtypes[place]
        column._join_dtype(dtype.name)
        column.truths = column.truths and (dtype.kind == "b" or missing[i] == len(chunk))
        column.kind = joint(column.kind, "continuous" if dtype.kind == "f" else "integer")
        column.missing += missing[i]
        if typed:
            column.see_numbers(block[:, i], bool(whole[i]))
        if low[i] == low[i]:
            column.low, column.high = min(column.low, low[i]), max(column.high, high[i])
