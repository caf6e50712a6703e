"""Columns of a data frame as float64: codes for categories, NaN for missing values.

Dates become numbers (`core.dates`). `core.column_values` converts back.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable
from typing import Any, SupportsFloat, SupportsIndex, cast

import numpy as np
from numpy.typing import NDArray

from pushforward.core.columns import Column
from pushforward.core.data_types import Series
from pushforward.core.dates import (
    DAYS,
    DURATION,
    MICROSECONDS,
    SECONDS,
    dates_as_numbers,
    parse_dates,
)
from pushforward.core.errors import (
    DataWarning,
    InvalidValue,
    ShapeMismatch,
    quote,
)

__all__ = ["as_numbers", "as_number", "as_codes", "find_bad_cell", "category_text"]

_SHOWN = 60
"""Characters of a cell that a message repeats: what fits beside the rest on one line."""


def as_numbers(series: Series, unit: str = "") -> NDArray[np.float64]:
    """A column of numbers or dates as float64, missing values as NaN; `unit` applies to dates."""
    if unit in MICROSECONDS:
        return dates_as_numbers(series, unit)
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def as_number(value: object, column: Column, decimal: str = "") -> float:
    """Convert one value of a column to a number: numbers, dates, durations or percents, or text.

    A number is taken to be in the column's unit.

    Args:
        value: a text may be in the column's own format of dates, and have its decimal mark.
        column: what the value is of.
        decimal: the decimal mark of the column's table; '' if unknown.

    Raises:
        InvalidValue: Says what is expected.
    """
    timed = isinstance(value, (datetime.date, datetime.timedelta, np.datetime64, np.timedelta64))
    text = value.strip() if isinstance(value, str) else None
    try:
        if text is not None and column.unit not in MICROSECONDS:
            return float(_in_python(text.removesuffix("%" * (column.unit == "%")), decimal))
        if not timed:
            return float(cast(SupportsFloat | SupportsIndex | str, value))
    except (TypeError, ValueError, OverflowError):
        pass
    if (timed or text) and column.unit in MICROSECONDS:
        import pandas

        written = None if text is None else _of_format(text, column)
        if written is not None:
            return written
        try:
            return float(
                dates_as_numbers(pandas.Series([value if text is None else text]), column.unit)[0]
            )
        except (TypeError, ValueError, OverflowError):
            pass
    raise InvalidValue(
        f"{column.name or 'the value'} must be {_describe_expected(column.unit, column.format)},"
        f" got {quote(value)}"
    )


def _in_python(text: str, decimal: str) -> str:
    """A number with a point as its decimal mark. A comma is one, too, if the table's mark is a
    comma, or if it cannot separate thousands.
    """
    whole, comma, rest = text.strip().partition(",")
    if not comma or "," in rest:
        return text
    if decimal == "," or (not decimal and "." not in text and not (len(rest) == 3 and whole[-1:])):
        return f"{whole.replace('.', '')}.{rest}"
    return text


def _of_format(text: str, column: Column) -> float | None:
    """A date in the column's own format as a number; None if it is none."""
    import pandas

    if not column.format:
        return None
    found = parse_dates(pandas.Series([text]), column.format)
    return None if found.isna().any() else float(dates_as_numbers(found, column.unit)[0])


def _describe_expected(unit: str, format: str = "") -> str:
    if unit in (DAYS, SECONDS):
        some = datetime.date(2024, 6, 1)
        also = f" or {some.strftime(format)}" if format else ""
        return f"a date such as {some}{also}, or a number in {unit}"
    if unit == DURATION:
        return "a duration such as '1 days 02:00:00', or a number in seconds"
    return (
        "a number in per cent, such as 40 or '40%'"
        if unit == "%"
        else f"a number{f' in {unit}' if unit else ''}"
    )


def as_codes(series: Series, column: Column, what: str) -> NDArray[np.float64]:
    """A column of categories as codes, missing values as NaN.

    Raises:
        ShapeMismatch: Names a category that is not known.
    """
    import pandas

    lookup: dict[str, float] = {c: i for i, c in enumerate(column.categories)}
    codes, uniques = pandas.factorize(series)
    texts = [category_text(u) for u in uniques]
    unseen = next((t for t in texts if t not in lookup), None)
    if unseen is not None and column.type:
        warnings.warn(
            f"{what}: column {column.name!r} holds {unseen[:_SHOWN]!r}, which the model has never"
            " seen; such values are taken as missing",
            DataWarning,
            stacklevel=2,
        )
        lookup |= {text: np.nan for text in texts if text not in lookup}
    elif unseen is not None:
        names = ", ".join(column.categories[:10])
        raise ShapeMismatch(
            f"{what}: column {column.name!r} holds {unseen[:_SHOWN]!r}, which is none of {names};"
            " drop those rows"
        )
    values: NDArray[np.float64] = np.array([*(lookup[t] for t in texts), np.nan])[codes]
    return values


def category_text(value: object) -> str:
    """A category's name.

    Whole numbers have no decimal point, so that 3 and 3.0 are one category.
    """
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def find_bad_cell(
    series: Series,
    start: int = 0,
    share: float = 0.5,
    *,
    spelled: Callable[[Any], Any] | None = None,
) -> tuple[int, str] | None:
    """Row (counted from `start`) and text of the first entry that is not a number.

    None if a `share` of the entries or more are not numbers. `spelled` converts texts in the
    table's own notation to numbers in Python's, leaving out missing-value markers.
    """
    import pandas

    series = series.reset_index(drop=True)
    present = series.dropna()
    codes, distinct = pandas.factorize(present)
    texts = pandas.Series(distinct)
    numbers = pandas.to_numeric(
        texts if spelled is None else spelled(texts.map(str).str.strip()), errors="coerce"
    )
    counted, bad = np.zeros(len(texts), dtype=bool), np.zeros(len(texts), dtype=bool)
    counted[numbers.index], bad[numbers.index] = True, numbers.isna()
    places = np.flatnonzero(bad[codes])
    if not len(places) or len(places) >= share * counted[codes].sum():
        return None
    where = int(present.index[places[0]])
    return start + where, str(series[where])[:_SHOWN]
