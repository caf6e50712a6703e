"""Facts about one column of a table from one pass: kind, range and categories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from pushforward.core.column_numbers import as_numbers, category_text, find_bad_cell
from pushforward.core.column_values import as_texts
from pushforward.core.data_types import CategorySeries, Series, TextSeries
from pushforward.core.dates import (
    DAYS,
    DURATION,
    SECONDS,
    has_nanoseconds,
    has_zone,
    parse_dates,
)
from pushforward.core.frames import kind_of
from pushforward.core.space import Column
from pushforward.data.tables.cells import Cells
from pushforward.data.tables.date_formats import find_date_format, fits_date_format

__all__ = ["ColumnSurvey", "joint"]

_MOST_CATEGORIES = 100_000
"""Distinct texts or whole numbers that are kept while reading: more would fill the memory. Whether
they tell rows apart is then told from these.
"""
_FEW_FRACTIONS = 2
"""Distinct fractions up to which they are kept: more are numbers, not categories."""
MOST_DECIMALS = 9
"""Decimals that numbers are written with; those with more were computed, not written."""
_NEARLY, _COUNTED = 0.98, 100_000
"""The share of values that the decimals of a column suffice for (others show errors of a
computation, such as 9.899999), and how many values are looked at.
"""
_DATE = r"\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}(:?\d{2})?)?)?\s*"


@dataclass
class ColumnSurvey:
    """A column's kind ('integer', 'continuous', 'categorical',
    'text', 'date') and range from one pass.
    """

    name: str
    dates: bool = True
    kind: str = ""
    low: float = float("inf")
    high: float = float("-inf")
    missing: int = 0
    categories: dict[Any, None] = field(default_factory=dict)
    ordered: bool = False
    ranked: bool = False
    dtype: str = ""
    unit: str = ""
    whole: bool = True
    truths: bool = True
    bad: tuple[int, str] | None = None
    typed: bool = False
    numbers: set[float] = field(default_factory=set)
    date_format: str = ""
    noted: int = 0
    decimals_of: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(MOST_DECIMALS + 2, dtype=np.int64)
    )

    def see(
        self, series: Series, start: int, *, declared: bool, cells: Cells | None = None
    ) -> None:
        """Add a chunk's values; `start` is its first row, `cells` the notation of its numbers."""
        kind = "categorical" if declared else kind_of(series)
        self._join_dtype(str(series.dtype))
        self.truths = self.truths and are_truths(series)
        self.missing += int(series.isna().sum())
        if self.dates and kind == "text" and are_dates(series):
            kind = "date"
        elif self.typed and self.dates and kind == "text" and self._has_dates(series):
            kind, series = "date", parse_dates(series, self.date_format)
        if kind == "date" and self.dates and not self._see_dates(series):
            kind = "text"
        if kind == "text" and self.bad is None:
            self.bad = find_bad_cell(series, start, spelled=None if cells is None else cells.bare)
        if kind in ("categorical", "text") or (kind == "date" and not self.dates):
            self._see_categories(series)
        elif kind != "date":
            self.see_range(numbers := as_numbers(series))
            if self.typed:
                self.see_numbers(numbers, is_whole(numbers))
        self.kind = joint(self.kind, kind)

    def see_range(self, values: NDArray[Any]) -> None:
        """Extend the range by numbers, ignoring NaN."""
        finite = values[~np.isnan(values)]
        if len(finite):
            self.low, self.high = (
                min(self.low, float(finite.min())),
                max(self.high, float(finite.max())),
            )

    @property
    def is_whole(self) -> bool:
        """Whether all values are whole numbers, which typed columns find out."""
        return self.typed and self.whole and self.kind != "date" and bool(self.numbers)

    @property
    def decimals(self) -> int | None:
        """The decimals that nearly all numbers of a typed column do with; None for more than
        `MOST_DECIMALS`.
        """
        if not self.typed:
            return None
        shares = self.decimals_of.cumsum() / max(int(self.decimals_of.sum()), 1)
        enough = np.flatnonzero(shares[:-1] >= _NEARLY)
        return int(enough[0]) if len(enough) else (None if self.decimals_of.any() else 0)

    @property
    def distinct(self) -> int:
        """Distinct numbers of a typed column."""
        return len(self.numbers)

    @property
    def constant(self) -> str | float | None:
        """The value of a column that has only one; None if all are missing."""
        if self.categories:
            return category_text(next(iter(self.categories)))
        if not self.low <= self.high:
            return None
        if self.kind == "date":
            return (as_texts(np.array([self.low]), replace(self.column(), unit=SECONDS)) or [""])[0]
        return int(self.low) if float(self.low).is_integer() else self.low

    def as_categories(self) -> Column:
        """The column as categories, which may be numbers."""
        if not self.categories and self.numbers:
            numbers = sorted(self.numbers)
            self.categories = dict.fromkeys([bool(v) for v in numbers] if self.truths else numbers)
        return self._categorical()

    def _has_dates(self, series: Series) -> bool:
        """Whether all entries are dates of one format other than ISO 8601."""
        if not self.date_format:
            self.date_format = find_date_format(series) if not self.kind else ""
        return bool(self.date_format) and fits_date_format(series, self.date_format)

    def see_numbers(self, values: NDArray[Any], whole: bool) -> None:
        """Remember distinct whole numbers up to a limit (a few fractions), and whether all are
        whole.
        """
        self.whole = self.whole and whole
        if not whole and self.decimals_of.sum() < _COUNTED:
            self.decimals_of += count_decimals(values)
        if len(self.numbers) <= (_MOST_CATEGORIES if self.whole else _FEW_FRACTIONS):
            finite = values[np.isfinite(values)]
            self.noted += len(finite)
            self.numbers.update(np.unique(finite).tolist())

    def _join_dtype(self, dtype: str) -> None:
        if self.dtype in ("", dtype):
            self.dtype = dtype
            return
        try:
            self.dtype = str(np.result_type(self.dtype, dtype))
        except TypeError:
            self.dtype = "object"

    def _see_categories(self, series: Series) -> None:
        if str(series.dtype) == "category":
            self.ordered = True
            self.ranked = bool(cast(CategorySeries, series).cat.ordered)
            self.categories.update(dict.fromkeys(cast(CategorySeries, series).cat.categories))
        elif len(self.categories) <= _MOST_CATEGORIES:
            present = series.dropna()
            self.noted += len(present)
            self.categories.update(dict.fromkeys(present.unique()))

    def _see_dates(self, series: Series) -> bool:
        """Add dates or durations, in seconds; False if an entry is neither."""
        span = series.dtype.kind == "m" or (
            len(present := series.dropna()) and hasattr(present.iloc[0], "total_seconds")
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
        """The column as part of a space."""
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
        dtype = self._usable_dtype
        return Column(
            self.name,
            kind,
            low,
            high,
            unit="%" if percent else "",
            dtype="" if dtype in _USUAL[kind] else dtype,
            decimals=self.decimals,
        )

    @property
    def _usable_dtype(self) -> str:
        """The dtype that entries are restored in: objects that are booleans have one with gaps."""
        seen = self.low <= self.high or bool(self.categories)
        return "boolean" if self.dtype == "object" and self.truths and seen else self.dtype

    def _categorical(self) -> Column:
        names = list(self.categories) if self.ordered else sorted_categories(self.categories)
        texts = tuple(dict.fromkeys(category_text(c) for c in names))
        dtype = self._usable_dtype if self._usable_dtype != "object" else ""
        return Column(
            self.name, "categorical", 0, max(len(texts) - 1, 0), categories=texts, dtype=dtype
        )


_USUAL = {"integer": ("int64",), "continuous": ("float64", "object", "str", "string")}
"""dtypes that add nothing to the kind."""


def are_truths(series: Series) -> bool:
    """Whether all entries that are there are booleans."""
    from pandas.api import types

    if types.is_bool_dtype(series.dtype):
        return True
    if series.dtype != object:
        return bool(series.isna().all())
    return types.infer_dtype(series, skipna=True) in ("boolean", "empty")


def are_dates(series: Series) -> bool:
    """Whether all entries are text with ISO 8601 dates, with or without times."""
    present = series.dropna()
    if not len(present) or not isinstance(present.iloc[0], str):
        return False
    return bool(_as_texts(present[:20]).str.fullmatch(_DATE).all()) and bool(
        _as_texts(present).str.fullmatch(_DATE).all()
    )


def _as_texts(series: Series) -> TextSeries:
    return cast(TextSeries, series.astype(str))


def joint(before: str, now: str) -> str:
    """The kind of a column whose chunks had these two kinds."""
    if not before or before == now:
        return now
    kinds = {before, now}
    if "date" in kinds:
        return "text"
    return next((k for k in ("text", "categorical", "continuous") if k in kinds), now)


def count_decimals(values: NDArray[Any]) -> NDArray[np.int64]:
    """How many of the finite numbers have 0, 1, …, `MOST_DECIMALS` decimals, or more."""
    rest, counts = values[np.isfinite(values)], np.zeros(MOST_DECIMALS + 2, dtype=np.int64)
    for decimals in range(MOST_DECIMALS + 1):
        further = rest[np.round(rest, decimals) != rest]
        counts[decimals] = len(rest) - len(further)
        rest = further
    counts[-1] = len(rest)
    return counts


def is_whole(values: NDArray[Any]) -> bool:
    """Whether all finite numbers are whole."""
    finite = values[np.isfinite(values)]
    return bool((finite == np.floor(finite)).all())


def sorted_categories(values: Iterable[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)
