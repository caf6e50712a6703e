"""The first pass over a table: which columns are used, and their kinds, ranges and categories.

Columns of plain NumPy numbers are surveyed together, as one block: a table may have 100 000 of
them, and a pandas series for each would take longer than reading the file. All others are seen one
by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pushforward.core.errors import BadSource, InvalidValue, ShapeMismatch, suggestion
from pushforward.core.frames import (
    DAYS,
    DURATION,
    SECONDS,
    as_numbers,
    bad_cell,
    category_text,
    has_nanoseconds,
    has_zone,
    is_plain,
    kind_of,
)
from pushforward.core.space import Column
from pushforward.data.options import Options
from pushforward.data.tables.cells import Cells

__all__ = [
    "Chunks",
    "Table",
    "ColumnSurvey",
    "Survey",
    "survey_table",
    "special_columns",
    "condition_names",
    "NAMELESS",
]

Chunks = Callable[[], Iterator[Any]]
NAMELESS = ("", "Unnamed: 0")
"""What a column without a name is called."""
_MOST_CATEGORIES = 100_000
_DATE = r"\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}(:?\d{2})?)?)?\s*"


@dataclass
class Table:
    """A table that can be read from its start again and again.

    Arguments:
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

    def series(self, chunk: Any, place: int) -> Any:
        """One column; texts that are numbers as numbers."""
        series = chunk.iloc[:, place]
        if (
            self.cells is not None
            and series.dtype.kind not in "biufM"
            and kind_of(series) == "text"
        ):
            return self.cells.numbers(str(series.name), series)
        return series


def _without(chunk: Any, markers: Sequence[str]) -> Any:
    """The chunk with the marked entries missing."""
    values: list[Any] = list(markers)
    for marker in markers:
        try:
            values.append(float(marker))
        except ValueError:
            continue
    gone = chunk.isin(values)
    return chunk.mask(gone) if bool(gone.to_numpy().any()) else chunk


@dataclass
class ColumnSurvey:
    """What one pass over a column has seen: its kind ('integer',
    'continuous', 'categorical', 'text', 'date'), its range.
    """

    name: str
    dates: bool = True
    kind: str = ""
    low: float = float("inf")
    high: float = float("-inf")
    missing: int = 0
    categories: dict[Any, None] = field(default_factory=dict)
    ordered: bool = False
    dtype: str = ""
    unit: str = ""
    whole: bool = True
    bad: tuple[int, str] | None = None

    def see(self, series: Any, start: int, *, declared: bool, cells: Cells | None = None) -> None:
        """Add a chunk's values; `start` is the row the chunk begins with,
        `cells` how its numbers are written.
        """
        kind = "categorical" if declared else kind_of(series)
        self._join_dtype(str(series.dtype))
        self.missing += int(series.isna().sum())
        if self.dates and kind == "text" and _are_dates(series):
            kind = "date"
        if kind == "date" and self.dates and not self._see_dates(series):
            kind = "text"
        if kind == "text" and self.bad is None:
            self.bad = bad_cell(series, start, spelled=None if cells is None else cells.spelled)
        if kind in ("categorical", "text") or (kind == "date" and not self.dates):
            self._see_categories(series)
        elif kind != "date":
            self.see_range(as_numbers(series))
        self.kind = joint(self.kind, kind)

    def see_range(self, values: Any) -> None:
        """Widen the range by numbers, NaN ignored."""
        finite = values[~np.isnan(values)]
        if len(finite):
            self.low, self.high = (
                min(self.low, float(finite.min())),
                max(self.high, float(finite.max())),
            )

    def _join_dtype(self, dtype: str) -> None:
        if self.dtype in ("", dtype):
            self.dtype = dtype
            return
        try:
            self.dtype = str(np.result_type(self.dtype, dtype))
        except TypeError:
            self.dtype = "object"

    def _see_categories(self, series: Any) -> None:
        if str(series.dtype) == "category":
            self.ordered = True
            self.categories.update(dict.fromkeys(series.cat.categories))
        elif len(self.categories) <= _MOST_CATEGORIES:
            self.categories.update(dict.fromkeys(series.dropna().unique()))

    def _see_dates(self, series: Any) -> bool:
        """Add dates or durations, in seconds; False where an entry is none."""
        span = series.dtype.kind == "m" or (
            len(given := series.dropna()) and hasattr(given.iloc[0], "total_seconds")
        )
        try:
            seconds = as_numbers(series, DURATION if span else SECONDS)
        except (TypeError, ValueError, OverflowError):
            return False
        zone = getattr(series.dtype, "tz", None)
        if series.dtype.kind not in "Mm":
            step = "ns" if "[ns" in self.dtype or has_nanoseconds(seconds) else "us"
            self.dtype = (
                f"timedelta64[{step}]"
                if span
                else f"datetime64[{step}{', UTC' if has_zone(series) else ''}]"
            )
        seconds = seconds[~np.isnan(seconds)]
        days = (
            not span
            and zone is None
            and "," not in self.dtype
            and bool((seconds % 86400 == 0).all())
        )
        self.unit = DURATION if span else (DAYS if days and self.unit in ("", DAYS) else SECONDS)
        self.whole = self.whole and bool((seconds == np.floor(seconds)).all())
        self.see_range(seconds)
        return True

    def column(self, percent: bool = False) -> Column:
        """The column as a space knows it."""
        if self.kind == "categorical":
            return self._categorical()
        low, high = (
            (self.low, self.high) if self.low <= self.high else (float("-inf"), float("inf"))
        )
        if self.unit and self.kind == "date":
            scale = 86400.0 if self.unit == DAYS else 1.0
            return Column(
                self.name,
                "integer" if self.whole else "continuous",
                low / scale,
                high / scale,
                unit=self.unit,
                dtype=self.dtype,
            )
        kind: Literal["integer", "continuous"] = (
            "integer" if self.kind == "integer" else "continuous"
        )
        dtype = (
            "boolean"
            if self.dtype == "object" and self.low >= 0 and self.high <= 1 and self.truths
            else self.dtype
        )
        return Column(
            self.name,
            kind,
            low,
            high,
            unit="%" if percent else "",
            dtype="" if dtype in _USUAL[kind] else dtype,
        )

    @property
    def truths(self) -> bool:
        """Whether the entries are truth values beside missing ones."""
        return bool(self.categories) and all(
            isinstance(v, (bool, np.bool_)) for v in self.categories
        )

    def _categorical(self) -> Column:
        names = list(self.categories) if self.ordered else _sorted(self.categories)
        texts = tuple(dict.fromkeys(category_text(c) for c in names))
        dtype = self.dtype if self.dtype != "object" else ""
        return Column(
            self.name, "categorical", 0, max(len(texts) - 1, 0), categories=texts, dtype=dtype
        )


_USUAL = {"integer": ("int64",), "continuous": ("float64", "object", "str", "string")}
"""dtypes that say nothing beyond the kind."""


@dataclass
class Survey:
    """A table's columns and its number of rows, after one pass."""

    columns: dict[str, ColumnSurvey]
    rows: int
    options: Options
    dropped: tuple[str, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> list[ColumnSurvey]:
        """Columns of text that were not declared, and dates that are not to be numbers."""
        return [
            c
            for c in self.columns.values()
            if c.kind == "text" or (c.kind == "date" and not c.unit)
        ]


def survey_table(table: Table, options: Options) -> Survey:
    """One pass over the table: the kind, range and categories of each wanted column."""
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


def _begin(chunk: Any, table: Table, options: Options) -> Survey:
    names = [str(c) for c in chunk.columns]
    options = options.among(names)
    survey = Survey({}, 0, options, places={n: i for i, n in enumerate(names)})
    wanted = _wanted(chunk, names, table, survey)
    survey.columns = {n: ColumnSurvey(n, dates=options.table.dates is not False) for n in wanted}
    survey.dropped = tuple(n for n in names if n not in survey.columns)
    return survey


def _see(survey: Survey, table: Table, chunk: Any) -> None:
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


def _see_block(chunk: Any, columns: Sequence[ColumnSurvey], places: Sequence[int]) -> None:
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


# ------------------------------------------------------------------------------------ which columns


def _wanted(chunk: Any, names: list[str], table: Table, survey: Survey) -> list[str]:
    """The columns to use, in order; InvalidValue for names that are not there."""
    options = survey.options
    name = options.name or table.name
    twice = next((n for n, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise BadSource(f"{name}: column {twice!r} appears twice; rename one")
    present, special = set(names), set(special_columns(options))
    asked = (
        *options.categorical,
        *options.drop,
        *(options.columns or ()),
        *special_columns(options),
    )
    missing = next((n for n in asked if n not in present), None)
    if missing is not None and options.like is None:
        raise InvalidValue(f"{name}: no column {missing!r}; {suggestion(missing, names)}")
    if options.like is not None and any(c.name for c in options.like.columns):
        return _like_columns(present, names, options, name)
    drop = set(options.drop)
    if options.columns is not None:
        return [n for n in options.columns if n not in drop]
    index = set() if table.unnamed else _index(chunk, names, drop, survey)
    return [n for n in names if n not in drop and n not in index and n not in special]


def _like_columns(present: set[str], names: list[str], options: Options, name: str) -> list[str]:
    assert options.like is not None
    wanted = options.like.names
    missing = [n for n in wanted if n not in present]
    if missing:
        raise ShapeMismatch(
            f"{name}: column {missing[0]!r} is missing; expected {_few(wanted)}, got {_few(names)}"
        )
    return list(wanted)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "")


def _index(chunk: Any, names: list[str], drop: set[str], survey: Survey) -> set[str]:
    """A nameless first column that numbers the rows, to be left out;
    one that numbers them in another order is noted.
    """
    if not names or names[0] not in NAMELESS or names[0] in drop or not len(chunk):
        return set()
    values = chunk.iloc[:, 0]
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "iu":
        return set()
    first = int(values.iloc[0])
    if first in (0, 1) and bool((values.to_numpy() == np.arange(first, first + len(values))).all()):
        survey.notes.append("the first column merely numbers the rows and is left out")
        return {names[0]}
    if len(values) > 1 and values.is_unique:
        survey.notes.append(
            f"column {names[0]!r} has no name and holds whole numbers that all differ, like row"
            " numbers of a table that was shuffled or cut; it is kept as a column: leave it out"
            f" with --drop {names[0]!r} (drop=[{names[0]!r}])"
        )
    return set()


def special_columns(options: Options) -> tuple[str, ...]:
    """Columns that are conditions or weights, not data."""
    named = [options.label_name, options.weights if isinstance(options.weights, str) else None]
    return (*(n for n in named if n is not None), *condition_names(options))


def condition_names(options: Options) -> tuple[str, ...]:
    """The columns that y names."""
    if isinstance(options.y, str):
        return tuple(part.strip() for part in options.y.split(","))
    if (
        isinstance(options.y, Sequence)
        and options.y
        and all(isinstance(v, str) for v in options.y)
        and len(options.y) < 64
    ):
        return tuple(options.y) if options.label_name is None else ()
    return ()


# -------------------------------------------------------------------------------------------- kinds


def _are_dates(series: Any) -> bool:
    """Whether all entries are ISO 8601 dates, with times or without, as texts."""
    given = series.dropna()
    if not len(given) or not isinstance(given.iloc[0], str):
        return False
    first = given[:20].astype(str)
    return bool(first.str.fullmatch(_DATE).all()) and bool(
        given.astype(str).str.fullmatch(_DATE).all()
    )


def joint(before: str, now: str) -> str:
    """The kind of a column whose chunks had these two."""
    if not before or before == now:
        return now
    kinds = {before, now}
    if "date" in kinds:
        return "text"
    return next((k for k in ("text", "categorical", "continuous") if k in kinds), now)


def _sorted(values: Any) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)
