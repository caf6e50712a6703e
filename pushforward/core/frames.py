"""Data frames as numbers, and numbers as the columns they came from.

Pandas, Polars and Arrow tables (anything with named columns and `to_pandas`) are turned into a
pandas frame in `as_frame`, and nowhere else. A column becomes float64: categories as codes, missing
values as NaN, dates and times as days or seconds since 1970-01-01, durations as seconds, with their
nanoseconds where float64 has digits for them. `restored` goes the way back, to the dtype that the
column came with. Pandas is imported only where a frame is at hand.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.columns import Column
from pushforward.core.errors import (
    DataWarning,
    InvalidKind,
    InvalidValue,
    MissingExtra,
    ShapeMismatch,
    quoted,
)

__all__ = [
    "is_frame",
    "as_frame",
    "is_plain",
    "kind_of",
    "as_numbers",
    "as_number",
    "as_codes",
    "bad_cell",
    "has_zone",
    "has_nanoseconds",
    "category_text",
    "restored",
    "as_texts",
    "as_values",
    "DAYS",
    "SECONDS",
    "DURATION",
    "DATE_UNITS",
]

DAYS, SECONDS, DURATION = "days since 1970-01-01", "seconds since 1970-01-01", "seconds"
"""Units of columns that hold dates, times and durations."""
DATE_UNITS = (DAYS, SECONDS, DURATION)
_MICROSECONDS = {DAYS: 86_400_000_000, SECONDS: 1_000_000, DURATION: 1_000_000}
_NANOSECONDS = 2**51
"""Up to so many, 26 days, numbers in float64 come back as the nanoseconds they were."""
_SHOWN = 60


def is_frame(x: Any) -> bool:
    """Whether x is a table with named columns (pandas, Polars, Arrow),
    told without importing any of them.
    """
    if _is_lazy(x) or (hasattr(x, "iloc") and hasattr(x, "columns")):
        return True
    return hasattr(x, "to_pandas") and (hasattr(x, "column_names") or hasattr(x, "columns"))


def _is_lazy(x: Any) -> bool:
    return hasattr(x, "collect_schema") and hasattr(x, "collect")


def as_frame(x: Any) -> Any:
    """The pandas frame with x's columns, names and values;
    MissingExtra where a conversion needs a package that is absent.
    """
    try:
        if _is_lazy(x):
            x = x.collect()
        return x.to_pandas() if hasattr(x, "to_pandas") else x
    except ImportError as error:
        raise MissingExtra(
            error.name or "pyarrow", "tables", f"reading a {type(x).__name__}"
        ) from error


def is_plain(dtype: Any) -> bool:
    """Whether a column's dtype is one of NumPy's real numbers or truth values."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def kind_of(series: Any) -> str:
    """'integer', 'continuous', 'categorical', 'text' or 'date'; InvalidKind for complex numbers."""
    from pandas.api import types

    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        return "integer"
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return "continuous"
    if str(dtype) == "category":
        return "categorical"
    if types.is_complex_dtype(dtype):
        raise InvalidKind(
            f"column {series.name!r} holds complex numbers; pass real and imaginary parts as two"
            " columns"
        )
    if types.is_bool_dtype(dtype) or types.is_integer_dtype(dtype):
        return "continuous" if bool(series.isna().any()) else "integer"
    if types.is_numeric_dtype(dtype):
        return "continuous"
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return "date"
    return _kind_of_objects(series)


def _kind_of_objects(series: Any) -> str:
    from pandas.api import types

    inferred = types.infer_dtype(series, skipna=True)
    if inferred == "complex" or (
        inferred.startswith("mixed")
        and any(isinstance(v, (complex, np.complexfloating)) for v in series)
    ):
        raise InvalidKind(
            f"column {series.name!r} holds complex numbers; pass real and imaginary parts as two"
            " columns"
        )
    if inferred in ("empty", "boolean", "integer", "floating", "mixed-integer-float", "decimal"):
        return "continuous"
    return (
        "date"
        if inferred in ("datetime", "datetime64", "date", "timedelta", "timedelta64")
        else "text"
    )


def as_numbers(series: Any, unit: str = "") -> NDArray[np.float64]:
    """A column of numbers or dates as float64, missing values as NaN;
    `unit` is that of dates and durations.
    """
    if unit in _MICROSECONDS:
        return _from_dates(series, unit)
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def _from_dates(series: Any, unit: str) -> NDArray[np.float64]:
    import pandas

    if unit == DURATION:
        found = pandas.to_timedelta(series)
    else:
        if series.dtype.kind != "M":
            series = pandas.to_datetime(series, format="ISO8601", utc=has_zone(series))
        found = _in_utc(series)
    kind = "timedelta64" if unit == DURATION else "datetime64"
    stamps = found.to_numpy(dtype=f"{kind}[us]")
    missing = np.isnat(stamps)
    numbers = stamps.astype(np.int64) / _MICROSECONDS[unit]
    if found.dt.unit == "ns":
        _add_nanoseconds(
            numbers,
            np.where(missing, 0, found.to_numpy(dtype=f"{kind}[ns]").astype(np.int64)),
            unit,
        )
    numbers[missing] = np.nan
    return np.asarray(numbers)


def _add_nanoseconds(numbers: NDArray[np.float64], exact: NDArray[np.int64], unit: str) -> None:
    """Put the nearest numbers in a unit in the place of those cut to microseconds; warns where not
    even these tell nanoseconds apart.
    """
    fine = exact % 1000 != 0
    if not fine.any():
        return
    whole, rest = np.divmod(exact[fine], 10**9)
    numbers[fine] = np.where(
        np.abs(exact[fine]) <= 2**53, exact[fine] / 1e9, whole + rest / 1e9
    ) * (1e6 / _MICROSECONDS[unit])
    if (np.abs(exact[fine]) > _NANOSECONDS).any():
        text = (
            "nanoseconds of times more than 26 days from 1970, or of durations as long, are rounded"
            " to the nearest that float64 holds, and come back as microseconds; subtract the first"
            " time, and pass durations"
        )
        warnings.warn(text, DataWarning, stacklevel=2)


def has_nanoseconds(seconds: NDArray[np.float64]) -> bool:
    """Whether numbers in seconds tell of anything finer than microseconds,
    and have digits enough to.
    """
    near = seconds[np.abs(seconds) < _NANOSECONDS / 1e9]
    return bool((np.round(near * 1e9) % 1000 != 0).any())


def as_number(value: Any, column: Column) -> float:
    """One value as the number that stands for it in a column: numbers, dates, durations or
    percents, as themselves or as texts.

    Raises InvalidValue saying what is expected; a number is taken to be in the column's unit.
    """
    timed = isinstance(value, (datetime.date, datetime.timedelta, np.datetime64, np.timedelta64))
    text = value.strip() if isinstance(value, str) else None
    try:
        if text is not None and column.unit == "%":
            return float(text.removesuffix("%"))
        if not timed:
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    if (timed or text) and column.unit in _MICROSECONDS:
        import pandas

        try:
            return float(
                _from_dates(pandas.Series([value if text is None else text]), column.unit)[0]
            )
        except (TypeError, ValueError, OverflowError):
            pass
    raise InvalidValue(
        f"{column.name or 'the value'} must be {_expected(column.unit)}, got {quoted(value)}"
    )


def _expected(unit: str) -> str:
    if unit in (DAYS, SECONDS):
        return f"a date such as 2024-06-01, or a number in {unit}"
    if unit == DURATION:
        return "a duration such as '1 days 02:00:00', or a number in seconds"
    return (
        "a number in per cent, such as 40 or '40%'"
        if unit == "%"
        else f"a number{f' in {unit}' if unit else ''}"
    )


def has_zone(series: Any) -> bool:
    """Whether the dates, given as texts or objects, state a time zone."""
    first = next((v for v in series if not _is_missing(v)), None)
    if isinstance(first, str):
        return first.endswith("Z") or "+" in first[10:] or "-" in first[10:]
    return getattr(first, "tzinfo", None) is not None


def _in_utc(series: Any) -> Any:
    return (
        series.dt.tz_convert("UTC").dt.tz_localize(None)
        if getattr(series.dtype, "tz", None) is not None
        else series
    )


def as_codes(series: Any, column: Column, what: str) -> NDArray[np.float64]:
    """A column of categories as their codes, missing values as NaN;
    ShapeMismatch names a category that is not known.
    """
    import pandas

    lookup = {c: i for i, c in enumerate(column.categories)}
    codes, uniques = pandas.factorize(series)
    texts = [category_text(u) for u in uniques]
    unseen = next((t for t in texts if t not in lookup), None)
    if unseen is not None:
        known = ", ".join(column.categories[:10])
        raise ShapeMismatch(
            f"{what}: column {column.name!r} holds {unseen[:_SHOWN]!r}, which is none of {known};"
            " leave such rows out"
        )
    values: NDArray[np.float64] = np.array([*(lookup[t] for t in texts), np.nan])[codes]
    return values


def category_text(value: Any) -> str:
    """A category as its name: whole numbers without a point, so that 3 and 3.0 are one category."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _is_missing(value: Any) -> bool:
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def bad_cell(
    series: Any, start: int = 0, share: float = 0.5, *, spelled: Callable[[Any], Any] | None = None
) -> tuple[int, str] | None:
    """Row (the first is `start`) and text of the first entry that is no number; None where a
    `share` of them or more are none.

    `spelled` turns a series of texts into numbers as Python writes them, where the table writes
    them otherwise, and leaves out those that mean 'missing'.
    """
    import pandas

    series = series.reset_index(drop=True)
    given = series.dropna()
    numbers = pandas.to_numeric(
        given if spelled is None else spelled(given.map(str).str.strip()), errors="coerce"
    )
    bad = numbers.isna()
    if not bad.any() or bad.mean() >= share:
        return None
    where = int(numbers.index[bad][0])
    return start + where, str(series[where])[:_SHOWN]


# ------------------------------------------------------------------------------------- the way back


def restored(values: NDArray[Any], column: Column) -> Any:
    """Numbers (n,) of a column as a pandas array, or NumPy array,
    of the dtype that the column came with.
    """
    import pandas

    if column.kind == "categorical":
        return _categories(values, column)
    if column.unit in _MICROSECONDS:
        return _dates(values, column)
    dtype = column.dtype
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if dtype in ("bool", "boolean") or dtype.startswith("bool["):
        whole = pandas.array(np.where(missing, 0, values) >= 0.5, dtype="boolean")
        whole[missing] = pandas.NA
        return (
            whole.to_numpy(dtype=bool)
            if dtype == "bool" and not missing.any()
            else _cast(pandas.Series(whole), dtype)
        )
    if _is_whole(dtype) or (not dtype and column.kind == "integer"):
        return _whole(values, missing, dtype or "int64")
    if dtype and dtype not in ("float64", "object", "str", "string"):
        return _cast(
            (
                pandas.Series(values).mask(missing, pandas.NA)
                if dtype[0] == "F"
                else pandas.Series(values)
            ),
            dtype,
        )
    return values


def _is_whole(dtype: str) -> bool:
    return dtype.lower().startswith(("int", "uint"))


def _whole(values: NDArray[Any], missing: NDArray[np.bool_], dtype: str) -> Any:
    """Rounded numbers, in the dtype's range; nullable where some are missing."""
    import pandas

    plain = dtype.split("[")[0].lower()
    limits = np.iinfo(plain if plain not in ("int", "uint") else "int64")
    rounded = np.where(missing, 0, values).round()
    whole = (
        rounded.astype(plain) if rounded.dtype.kind in "iu" else _clipped(rounded, limits, plain)
    )
    if not missing.any():
        return whole if dtype == plain else _cast(pandas.Series(whole), dtype)
    nullable = pandas.array(
        whole, dtype="UInt" + plain[4:] if plain.startswith("u") else "Int" + plain[3:]
    )
    nullable[missing] = pandas.NA
    return nullable if dtype.lower() == plain else _cast(pandas.Series(nullable), dtype)


def _clipped(rounded: NDArray[Any], limits: Any, plain: str) -> NDArray[Any]:
    """Floats as integers; those at or beyond the ends of the range become the ends."""
    low, high = rounded <= float(limits.min), rounded >= float(limits.max)
    whole = np.where(low | high, 0, rounded).astype(plain)
    whole[low], whole[high] = limits.min, limits.max
    return whole


def _cast(series: Any, dtype: str) -> Any:
    """The series in a dtype, or as it is where the dtype is not
    known here (its package is absent).
    """
    try:
        return series.astype(dtype).array
    except (TypeError, ValueError, ImportError):
        return series.array


def _categories(values: NDArray[Any], column: Column) -> Any:
    """Categories by name; as numbers, truth values or texts where that is what they were."""
    import pandas

    missing = np.isnan(values)
    codes = (
        np.where(missing, 0, values)
        .round()
        .clip(0, max(len(column.categories) - 1, 0))
        .astype(np.int64)
    )
    if column.dtype in ("", "category") or not column.categories:
        return pandas.Categorical.from_codes(
            np.where(missing, -1, codes), categories=list(column.categories)
        )
    found = pandas.Series(np.array(column.categories, dtype=object)[codes])
    if column.dtype.lower().startswith("bool"):
        found = found == "True"
    elif _is_whole(column.dtype) or column.dtype.lower().startswith(("float", "double")):
        found = pandas.to_numeric(found)
    found = found.mask(missing) if missing.any() else found
    return _cast(found, column.dtype)


def _dates(values: NDArray[Any], column: Column) -> Any:
    import pandas

    numbers = values.astype(np.float64)
    numbers = numbers.round() if column.kind == "integer" else numbers
    scale = _MICROSECONDS[column.unit]
    far = 60_000 * 365.25 * 86_400e6  # microseconds; NumPy's own range is 290 000 years
    stamps = np.clip(np.nan_to_num(numbers * scale), -far, far).round().astype(np.int64)
    resolution = "us"
    if "[ns" in column.dtype and np.abs(stamps).max(initial=0) < 2**63 // 1000:
        resolution, nanoseconds = "ns", np.nan_to_num(numbers * (1000 * scale))
        near = np.abs(nanoseconds) <= _NANOSECONDS
        stamps = np.where(
            near, np.where(near, nanoseconds, 0).round().astype(np.int64), stamps * 1000
        )
    if column.unit == DURATION:
        spans = stamps.astype(f"timedelta64[{resolution}]")
        spans[np.isnan(numbers)] = np.timedelta64("NaT")
        return (
            _cast(pandas.Series(spans), column.dtype)
            if column.dtype.startswith(("timedelta", "duration"))
            else pandas.Series(spans).array
        )
    times = stamps.astype(f"datetime64[{resolution}]")
    times[np.isnan(numbers)] = np.datetime64("NaT")
    found = pandas.Series(times)
    if "," in column.dtype:
        found = found.dt.tz_localize("UTC")
    return (
        _cast(found, column.dtype)
        if column.dtype.startswith(("datetime64", "timestamp"))
        else found.array
    )


def as_texts(values: NDArray[Any], column: Column) -> list[str] | None:
    """Texts of a column whose dtype says how it is written (dates, truth values, percents,
    float32); None for all others.
    """
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if column.kind == "categorical":
        return None
    if column.unit == DAYS or column.unit == SECONDS:
        import pandas

        zone = "Z" if "," in column.dtype else ""
        times = pandas.Series(_dates(values, column)).pipe(_in_utc)
        fine = times.dt.unit == "ns" and bool(
            (times.dropna().to_numpy(dtype="datetime64[ns]").astype(np.int64) % 1000 != 0).any()
        )
        stamps = np.asarray(times.to_numpy(dtype=f"datetime64[{'ns' if fine else 'us'}]"))
        step = (
            "D"
            if column.unit == DAYS and column.kind == "integer"
            else ("s" if column.kind == "integer" else "ns" if fine else "us")
        )
        return [
            "" if t == "NaT" else t + zone
            for t in np.datetime_as_string(stamps.astype(f"datetime64[{step}]")).tolist()
        ]
    if column.dtype in ("bool", "boolean") or column.dtype.startswith("bool["):
        return ["" if gone else str(bool(v >= 0.5)) for v, gone in zip(values, missing)]
    if _is_whole(column.dtype):
        whole = restored(np.where(missing, 0, values), column)
        return ["" if gone else str(int(v)) for v, gone in zip(whole, missing)]
    if column.unit == "%":
        return ["" if gone else f"{v}%" for v, gone in zip(values.tolist(), missing)]
    if column.dtype.lower() == "float32" and values.dtype != np.float32:
        return ["" if gone else str(v) for v, gone in zip(values.astype(np.float32), missing)]
    return None


def as_values(values: NDArray[Any], column: Column) -> list[Any]:
    """Entries of a column as JSON holds them: numbers, truth values, texts;
    NaN where one is missing.
    """
    if column.kind == "categorical" or column.dtype.lower().startswith("bool"):
        found = restored(values, column)
        return [
            float("nan") if _is_missing(v) else getattr(v, "item", lambda v=v: v)() for v in found
        ]
    if column.unit in (DAYS, SECONDS):
        return as_texts(values, column) or []
    if (column.kind == "integer" or _is_whole(column.dtype)) and not np.isnan(values).any():
        return [round(v) for v in values.tolist()]
    return list(values.tolist())
