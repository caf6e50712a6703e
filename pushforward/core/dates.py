"""Dates, times and durations as numbers, and back.

A date becomes a number of days or seconds since 1970-01-01, a duration a number of seconds;
nanoseconds are kept where float64 has the precision.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pushforward.core.columns import Column
from pushforward.core.data_types import ColumnValues, DateSeries, Series, TextSeries
from pushforward.core.errors import (
    DataWarning,
)

__all__ = [
    "has_zone",
    "has_nanoseconds",
    "DAYS",
    "SECONDS",
    "DURATION",
    "DATE_UNITS",
    "as_dtype",
    "numbers_as_dates",
    "dates_as_numbers",
    "in_utc",
    "is_missing",
    "parse_dates",
]

DAYS, SECONDS, DURATION = "days since 1970-01-01", "seconds since 1970-01-01", "seconds"
"""Units of columns that hold dates, times and durations."""
DATE_UNITS = (DAYS, SECONDS, DURATION)
MICROSECONDS = {DAYS: 86_400_000_000, SECONDS: 1_000_000, DURATION: 1_000_000}
NANOSECONDS = 2**51
"""Up to this many seconds (26 days), float64 preserves nanoseconds."""


def dates_as_numbers(series: Series, unit: str) -> NDArray[np.float64]:
    """A column of dates or durations (n,) as numbers in a unit; missing ones as NaN."""
    import pandas

    if unit == DURATION:
        times = pandas.to_timedelta(series)
    else:
        if series.dtype.kind != "M":
            series = pandas.to_datetime(series, format="ISO8601", utc=has_zone(series))
        times = in_utc(cast(DateSeries, series))
    kind = "timedelta64" if unit == DURATION else "datetime64"
    stamps = times.to_numpy(dtype=f"{kind}[us]")
    missing = np.isnat(stamps)
    numbers = stamps.astype(np.int64) / MICROSECONDS[unit]
    if times.dt.unit == "ns":
        _add_nanoseconds(
            numbers,
            np.where(missing, 0, times.to_numpy(dtype=f"{kind}[ns]").astype(np.int64)),
            unit,
        )
    numbers[missing] = np.nan
    return np.asarray(numbers)


def parse_dates(series: Series, format: str) -> Series:
    """A text column as dates of a format; NaT for entries that are none."""
    import pandas

    texts = cast(TextSeries, series.astype(str)).str.strip().mask(series.isna())
    parsed: Series = pandas.to_datetime(texts, format=format, errors="coerce")
    return parsed


def _add_nanoseconds(numbers: NDArray[np.float64], exact: NDArray[np.int64], unit: str) -> None:
    """Replace numbers cut to microseconds by the nearest to the exact ones.

    Warn if nanoseconds are lost.
    """
    fine = exact % 1000 != 0
    if not fine.any():
        return
    whole, rest = np.divmod(exact[fine], 10**9)
    numbers[fine] = np.where(
        np.abs(exact[fine]) <= 2**53, exact[fine] / 1e9, whole + rest / 1e9
    ) * (1e6 / MICROSECONDS[unit])
    if (np.abs(exact[fine]) > NANOSECONDS).any():
        text = (
            "nanoseconds of times more than 26 days from 1970, or of durations as long, are"
            " rounded to the nearest value float64 can hold, and come back as microseconds;"
            " subtract the first time and pass durations"
        )
        warnings.warn(text, DataWarning, stacklevel=2)


def has_nanoseconds(seconds: NDArray[np.float64]) -> bool:
    """Whether numbers in seconds are finer than microseconds, within float64's precision."""
    near = seconds[np.abs(seconds) < NANOSECONDS / 1e9]
    return bool((np.round(near * 1e9) % 1000 != 0).any())


def has_zone(series: Series) -> bool:
    """Whether dates, given as text or objects, state a time zone."""
    first = next((v for v in series if not is_missing(v)), None)
    if isinstance(first, str):
        return first.endswith("Z") or "+" in first[10:] or "-" in first[10:]
    return getattr(first, "tzinfo", None) is not None


def in_utc(series: DateSeries) -> DateSeries:
    """Dates in UTC without a time zone; dates without one are unchanged."""
    return (
        series.dt.tz_convert("UTC").dt.tz_localize(None)
        if getattr(series.dtype, "tz", None) is not None
        else series
    )


def is_missing(value: object) -> bool:
    """Whether an entry is None, NaN, NA or NaT."""
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def as_dtype(series: Series, dtype: str) -> ColumnValues:
    """The series in a dtype, or unchanged if the package of the dtype is absent."""
    try:
        values: ColumnValues = series.astype(dtype).array
        return values
    except (TypeError, ValueError, ImportError):
        unchanged: ColumnValues = series.array
        return unchanged


def numbers_as_dates(values: NDArray[Any], column: Column) -> ColumnValues:
    """Numbers (n,) in a column's unit as its dates or durations; NaN as NaT."""
    import pandas

    if column.format:
        return _formatted(values, column)
    numbers = values.astype(np.float64)
    numbers = numbers.round() if column.kind == "integer" else numbers
    scale = MICROSECONDS[column.unit]
    far = 60_000 * 365.25 * 86_400e6  # microseconds; NumPy's own range is 290 000 years
    stamps = np.clip(np.nan_to_num(numbers * scale), -far, far).round().astype(np.int64)
    resolution = "us"
    if "[ns" in column.dtype and np.abs(stamps).max(initial=0) < 2**63 // 1000:
        resolution, nanoseconds = "ns", np.nan_to_num(numbers * (1000 * scale))
        near = np.abs(nanoseconds) <= NANOSECONDS
        stamps = np.where(
            near, np.where(near, nanoseconds, 0).round().astype(np.int64), stamps * 1000
        )
    if column.unit == DURATION:
        spans = stamps.astype(f"timedelta64[{resolution}]")
        spans[np.isnan(numbers)] = np.timedelta64("NaT", "ns")
        return (
            as_dtype(pandas.Series(spans), column.dtype)
            if column.dtype.startswith(("timedelta", "duration"))
            else pandas.Series(spans).array
        )
    times = stamps.astype(f"datetime64[{resolution}]")
    times[np.isnan(numbers)] = np.datetime64("NaT", "ns")
    result = pandas.Series(times)
    if "," in column.dtype:
        result = result.dt.tz_localize("UTC")
    return (
        as_dtype(result, column.dtype)
        if column.dtype.startswith(("datetime64", "timestamp"))
        else result.array
    )


def _formatted(values: NDArray[Any], column: Column) -> ColumnValues:
    """Dates as texts in the column's format, None for missing ones."""
    import pandas

    times = pandas.Series(numbers_as_dates(values, replace(column, format="", dtype="")))
    texts: ColumnValues = (
        times.dt.strftime(column.format).astype(object).where(times.notna(), None).to_numpy()
    )
    return texts
