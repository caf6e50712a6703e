"""Tables as sources: every column a coordinate, by name, categories as codes.

Column j of row i is x_ij; a categorical column holds the code k of its category c_k, where c_0 < c_1 < … in sorted order
(or in the order a pandas categorical declares). A text column is never guessed at: it is declared, or dropped, or an
error that names it. Tables arrive in chunks and are read twice: once to survey the columns, once to encode them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pushforward.core.errors import BadSource, InvalidValue, ShapeMismatch, suggestion
from pushforward.core.frames import as_frame, kind_of
from pushforward.core.source import Arrays
from pushforward.core.space import Column, Space
from pushforward.data.arrays import labels_of, refuse_infinity
from pushforward.data.options import Options

__all__ = ["Chunks", "ColumnSurvey", "Survey", "from_frame", "from_chunks", "survey_chunks", "NAMELESS"]

Chunks = Callable[[], Iterator[Any]]
NAMELESS = ("", "Unnamed: 0")
"""What a column without a name is called."""
_CODED = ("categorical", "text", "date")


@dataclass
class ColumnSurvey:
    """What one pass over a column has seen: 'integer', 'continuous', 'categorical', 'text' or 'date'."""

    name: str
    kind: str = ""
    low: float = float("inf")
    high: float = float("-inf")
    missing: int = 0
    categories: dict[Any, None] = field(default_factory=dict)
    ordered: bool = False

    def see(self, series: Any, *, declared: bool) -> None:
        """Add a chunk's values."""
        kind = "categorical" if declared else kind_of(series)
        self.missing += int(series.isna().sum())
        if kind in _CODED:
            self._see_categories(series)
        elif len(series):
            values = _floats(series)
            finite = values[~np.isnan(values)]
            if len(finite):
                self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        self.kind = _joint(self.kind, kind)

    def _see_categories(self, series: Any) -> None:
        if str(series.dtype) == "category":
            self.ordered = True
            self.categories.update(dict.fromkeys(series.cat.categories))
        elif len(self.categories) <= 100_000:
            self.categories.update(dict.fromkeys(series.dropna().unique()))

    def column(self) -> Column:
        """The column as a space knows it."""
        if self.kind == "categorical":
            names = list(self.categories) if self.ordered else _sorted(self.categories)
            return Column(self.name, "categorical", 0, max(len(names) - 1, 0), categories=tuple(str(c) for c in names))
        kind = "integer" if self.kind == "integer" else "continuous"
        seen = self.low <= self.high
        return Column(self.name, kind, self.low if seen else float("-inf"), self.high if seen else float("inf"))  # type: ignore[arg-type]


@dataclass
class Survey:
    """A table's columns and its number of rows, after one pass."""

    columns: dict[str, ColumnSurvey]
    rows: int
    options: Options
    dropped: tuple[str, ...] = ()

    @property
    def text(self) -> list[ColumnSurvey]:
        """Columns of text or dates that were not declared."""
        return [c for c in self.columns.values() if c.kind in ("text", "date")]


def from_frame(frame: Any, options: Options, *, drop_index: bool = False) -> Arrays:
    """A source over a data frame (pandas, Polars, Arrow)."""
    return from_chunks(lambda: iter([as_frame(frame)]), options, drop_index=drop_index)


def from_chunks(chunks: Chunks, options: Options, *, drop_index: bool = False, unnamed: bool = False) -> Arrays:
    """A source over a table read in chunks; larger than the memory budget, it goes to a temporary memory map."""
    name = options.name or "table"
    survey = survey_chunks(chunks, options, drop_index=drop_index)
    options = survey.options
    if survey.rows == 0:
        known = ", ".join(survey.columns)
        raise BadSource(f"{name}: the table has no rows; expected at least one below the header{f' ({known})' if known else ''}")
    if options.lenient:
        survey.columns = {n: c for n, c in survey.columns.items() if c.kind not in ("text", "date")}
    special = _special(options)
    space = _space(survey, options, special, name, unnamed)
    x, aside = _encode_all(chunks, survey, space, special, options)
    y, condition_space = _conditions(aside, options, survey)
    weights = _floats(aside[options.weights]) if isinstance(options.weights, str) else options.weights
    source = Arrays(x, y, weights, space=space, condition_space=condition_space, name=name)
    if source.resident and not (options.lenient or options.scanned_later):
        refuse_infinity(source.x, space, name)
    return source


def survey_chunks(chunks: Chunks, options: Options, *, drop_index: bool = False) -> Survey:
    """One pass over the table: the kind, range and categories of each wanted column."""
    survey: Survey | None = None
    for chunk in chunks():
        if survey is None:
            options = options.among([str(c) for c in chunk.columns])
            survey = Survey({n: ColumnSurvey(n) for n in _wanted(chunk, options, drop_index)}, 0, options)
            survey.dropped = tuple(str(c) for c in chunk.columns if str(c) not in survey.columns)
        survey.rows += len(chunk)
        for name, column in survey.columns.items():
            column.see(_series(chunk, name), declared=name in options.categorical)
    return survey or Survey({}, 0, options)


def _wanted(chunk: Any, options: Options, drop_index: bool) -> list[str]:
    """The columns to use, in order; InvalidValue for names that are not there."""
    names = [str(c) for c in chunk.columns]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise BadSource(f"{options.name or 'table'}: column {twice!r} appears twice; rename one")
    asked = (*options.categorical, *options.drop, *(options.columns or ()), *_special(options))
    missing = next((n for n in asked if n not in names), None)
    if missing is not None and options.like is None:
        raise InvalidValue(f"{options.name or 'table'}: no column {missing!r}; {suggestion(missing, names)}")
    if options.like is not None and any(c.name for c in options.like.columns):
        return _like_columns(names, options)
    if options.columns is not None:
        return [n for n in options.columns if n not in options.drop]
    index = {names[0]} if drop_index and names and _counts_rows(chunk, names[0]) else set()
    return [n for n in names if n not in options.drop and n not in index and n not in _special(options)]


def _like_columns(names: list[str], options: Options) -> list[str]:
    assert options.like is not None
    missing = [n for n in options.like.names if n not in names]
    if missing:
        raise ShapeMismatch(
            f"{options.name or 'table'}: column {missing[0]!r} is missing; expected {', '.join(options.like.names)}, got {', '.join(names)}"
        )
    return list(options.like.names)


def _counts_rows(chunk: Any, name: str) -> bool:
    """Whether a nameless first column merely numbers the rows."""
    if name not in NAMELESS or not len(chunk):
        return False
    values = _series(chunk, name)
    if values.dtype.kind not in "iu":
        return False
    first = int(values.iloc[0])
    return first in (0, 1) and bool((values.to_numpy() == np.arange(first, first + len(values))).all())


def _special(options: Options) -> tuple[str, ...]:
    """Columns that are conditions or weights, not data."""
    named = [options.label_name, options.weights if isinstance(options.weights, str) else None]
    return (*(n for n in named if n), *_condition_names(options))


def _condition_names(options: Options) -> tuple[str, ...]:
    if isinstance(options.y, str):
        return tuple(part.strip() for part in options.y.split(","))
    if isinstance(options.y, Sequence) and options.y and all(isinstance(v, str) for v in options.y) and len(options.y) < 64:
        return tuple(options.y) if options.label_name is None else ()
    return ()


def _space(survey: Survey, options: Options, special: Sequence[str], name: str, unnamed: bool) -> Space:
    if options.like is not None and options.like.kind == "points":
        if len(survey.columns) != len(options.like.columns):
            raise ShapeMismatch(f"{name}: expected {len(options.like.columns)} columns ({options.like}), got {len(survey.columns)}")
        return options.like
    text = survey.text
    if text:
        raise BadSource(_text_error(name, text))
    if not survey.columns:
        raise BadSource(f"{name}: no columns are left to learn from; drop fewer of them")
    columns = tuple(c.column() for c in survey.columns.values())
    if unnamed:
        columns = tuple(replace(c, name="") for c in columns)
    low, high = min(c.low for c in columns), max(c.high for c in columns)
    return Space("points", (len(columns),), columns, low, high, all(c.kind == "integer" for c in columns), "frame")


def _text_error(name: str, text: list[ColumnSurvey]) -> str:
    first, others = text[0], [c.name for c in text[1:]]
    shown = ", ".join(repr(str(v)) for v in list(first.categories)[:3])
    listed = ",".join(c.name for c in text)
    also = f" (and so do {', '.join(others)})" if others else ""
    what = "dates" if first.kind == "date" else "text"
    return (
        f"{name}: column {first.name!r} holds {what} ({shown}{', …' if len(first.categories) > 3 else ''}){also}; declare it with "
        f"--categorical {first.name}, or leave it out with --drop '{listed}' (in Python: categorical=[…], drop=[…])"
    )


def _encode_all(chunks: Chunks, survey: Survey, space: Space, special: Sequence[str], options: Options) -> tuple[Any, dict[str, Any]]:
    """The coded table (n, d), resident or spooled, and the columns set aside."""
    import pandas

    from pushforward.data.streams import Spool

    aside: dict[str, list[Any]] = {n: [] for n in special}
    names = list(survey.columns)
    with Spool(options.memory) as spool:
        for chunk in chunks():
            parts = [_encode(_series(chunk, n), c, options) for n, c in zip(names, space.columns)]
            spool.add(np.stack(parts, 1))
            for n in special:
                aside[n].append(_series(chunk, n))
        return spool.finish(), {n: pandas.concat(parts, ignore_index=True) for n, parts in aside.items()}


def _encode(series: Any, column: Column, options: Options) -> np.ndarray[Any, Any]:
    """A column as float64: numbers as they are, categories as codes, missing as NaN."""
    import pandas

    if column.kind != "categorical":
        if kind_of(series) in _CODED:
            raise ShapeMismatch(f"{options.name or 'table'}: column {column.name!r} holds text where numbers are expected; fix those rows")
        return _floats(series)
    lookup = {c: i for i, c in enumerate(column.categories)}
    codes, uniques = pandas.factorize(series)
    unseen = [str(u) for u in uniques if str(u) not in lookup]
    if unseen:
        known = ", ".join(column.categories[:10])
        raise ShapeMismatch(
            f"{options.name or 'table'}: column {column.name!r} holds {unseen[0]!r}, which is none of {known}; leave such rows out"
        )
    table = np.array([lookup[str(u)] for u in uniques] + [np.nan])
    return table[codes]


def _conditions(aside: dict[str, Any], options: Options, survey: Survey) -> tuple[Any, Space | None]:
    names = _condition_names(options)
    if options.label_name is not None and options.y is None:
        return labels_of(_label_values(aside[options.label_name], options), options, survey.rows)
    if not names:
        return labels_of(None, options, survey.rows)
    import pandas

    frame = pandas.DataFrame({n: aside[n] for n in names})
    inner = from_frame(frame, Options(categorical=options.categorical, name="y", like=options.like_condition))
    return inner.all().x, inner.space


def _label_values(series: Any, options: Options) -> np.ndarray[Any, Any]:
    """Labels as texts, or as whole numbers from 0 where that is what they are."""
    if bool(series.isna().any()):
        count = int(series.isna().sum())
        raise BadSource(f"label {series.name!r} is missing in {count} of {len(series)} rows; fill it in or drop those rows")
    if series.dtype.kind in "iu" and int(series.min()) >= 0 and int(series.max()) <= 4 * series.nunique():
        return series.to_numpy().astype(np.int64)
    return series.astype(str).to_numpy(dtype=object)


def _joint(before: str, now: str) -> str:
    """The kind of a column whose chunks had these two."""
    if not before or before == now:
        return now
    return next((k for k in ("text", "date", "categorical", "continuous") if k in (before, now)), now)


def _series(chunk: Any, name: str) -> Any:
    position = [str(c) for c in chunk.columns].index(name)
    return chunk.iloc[:, position]


def _floats(series: Any) -> np.ndarray[Any, Any]:
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def _sorted(values: Any) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)
