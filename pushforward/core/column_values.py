"""Numbers converted back to columns: in their original dtype, as text, or as JSON values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.columns import Column
from pushforward.core.data_types import ColumnValues
from pushforward.core.dates import (
    DAYS,
    MICROSECONDS,
    SECONDS,
    as_dtype,
    in_utc,
    is_missing,
    numbers_as_dates,
)

__all__ = ["restore", "as_texts", "as_values"]


def restore(values: NDArray[Any], column: Column) -> ColumnValues:
    """Numbers (n,) of a column as a pandas or NumPy array of the column's original dtype."""
    import pandas

    if column.kind == "categorical":
        return _restore_categories(values, column)
    if column.unit in MICROSECONDS:
        return numbers_as_dates(values, column)
    dtype = column.dtype
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if dtype in ("bool", "boolean") or dtype.startswith("bool["):
        whole = pandas.array(np.where(missing, 0, values) >= 0.5, dtype="boolean")
        whole[missing] = pandas.NA
        return (
            whole.to_numpy(dtype=bool)
            if dtype == "bool" and not missing.any()
            else as_dtype(pandas.Series(whole), dtype)
        )
    if _is_whole(dtype) or (not dtype and column.kind == "integer"):
        return _to_integers(values, missing, dtype or "int64")
    if dtype and dtype not in ("float64", "object", "str", "string"):
        return as_dtype(
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


def _to_integers(values: NDArray[Any], missing: NDArray[np.bool_], dtype: str) -> ColumnValues:
    """Rounded numbers, clipped to the dtype's range; nullable if some are missing."""
    import pandas

    plain = dtype.split("[")[0].lower()
    limits = np.iinfo(plain if plain not in ("int", "uint") else "int64")
    rounded = np.where(missing, 0, values).round()
    whole = (
        rounded.astype(plain)
        if rounded.dtype.kind in "iu"
        else _clip(rounded, limits.min, limits.max, plain)
    )
    if not missing.any():
        return whole if dtype == plain else as_dtype(pandas.Series(whole), dtype)
    nullable = pandas.array(
        whole, dtype="UInt" + plain[4:] if plain.startswith("u") else "Int" + plain[3:]
    )
    nullable[missing] = pandas.NA
    return nullable if dtype.lower() == plain else as_dtype(pandas.Series(nullable), dtype)


def _clip(rounded: NDArray[Any], least: int, most: int, dtype: str) -> NDArray[Any]:
    """Floats as integers, clipped to the limits."""
    low, high = rounded <= float(least), rounded >= float(most)
    whole = np.where(low | high, 0, rounded).astype(dtype)
    whole[low], whole[high] = least, most
    return whole


def _restore_categories(values: NDArray[Any], column: Column) -> ColumnValues:
    """Categories by name; as numbers, booleans or text if that is what they were."""
    import pandas

    missing = np.isnan(values)
    codes = (
        np.where(missing, 0, values)
        .round()
        .clip(0, max(len(column.categories) - 1, 0))
        .astype(np.int64)
    )
    if column.dtype in ("", "category") or not column.categories:
        named: ColumnValues = pandas.Categorical.from_codes(
            np.where(missing, -1, codes), categories=list(column.categories)
        )
        return named
    entries = pandas.Series(np.array(column.categories, dtype=object)[codes])
    if column.dtype.lower().startswith("bool"):
        entries = entries == "True"
    elif _is_whole(column.dtype) or column.dtype.lower().startswith(("float", "double")):
        entries = pandas.to_numeric(entries)
    entries = entries.mask(missing) if missing.any() else entries
    return as_dtype(entries, column.dtype)


def as_texts(values: NDArray[Any], column: Column) -> list[str] | None:
    """A column as text if its dtype determines the notation, else None.

    These are dates, booleans, percents and float32.
    """
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if column.kind == "categorical":
        return None
    if column.format:
        return ["" if text is None else str(text) for text in numbers_as_dates(values, column)]
    if column.unit == DAYS or column.unit == SECONDS:
        import pandas

        zone = "Z" if "," in column.dtype else ""
        times = pandas.Series(numbers_as_dates(values, column)).pipe(in_utc)
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
        return ["" if absent else str(bool(v >= 0.5)) for v, absent in zip(values, missing)]
    if _is_whole(column.dtype):
        whole = restore(np.where(missing, 0, values), column)
        return ["" if absent else str(int(v)) for v, absent in zip(whole, missing)]
    if column.unit == "%":
        return ["" if absent else f"{v}%" for v, absent in zip(values.tolist(), missing)]
    if column.dtype.lower() == "float32" and values.dtype != np.float32:
        return ["" if absent else str(v) for v, absent in zip(values.astype(np.float32), missing)]
    return None


def as_values(values: NDArray[Any], column: Column) -> list[Any]:
    """A column's entries as JSON values (numbers, booleans, text), NaN if missing."""
    if column.kind == "categorical" or column.dtype.lower().startswith("bool"):
        entries = restore(values, column)
        return [
            float("nan") if is_missing(v) else getattr(v, "item", lambda v=v: v)() for v in entries
        ]
    if column.unit in (DAYS, SECONDS):
        return as_texts(values, column) or []
    if (column.kind == "integer" or _is_whole(column.dtype)) and not np.isnan(values).any():
        return [round(v) for v in values.tolist()]
    return list(values.tolist())
