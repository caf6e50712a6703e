"""Values of table columns as people write them: few digits, dates as dates, categories by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pushforward.core.column_values import as_texts
from pushforward.core.columns import Column
from pushforward.core.dates import DATE_UNITS

__all__ = ["FROM_ZERO", "counted", "few_digits", "in_words", "listed", "share"]


FROM_ZERO = "rows are numbered from 0"
MOST_SHARE_DECIMALS = 6
"""Decimals of a percentage."""

LONG, MOST_DECIMALS = 1e16, 12
"""Numbers of more digits than float64 holds, or smaller than so many decimals show, have exponents.
"""


def few_digits(value: float, scale: float | None = None) -> str:
    """A number with as many decimals as two significant digits of its scale (a standard deviation)
    have; with three significant digits without a scale.
    """
    if not math.isfinite(value):
        return str(value)
    size = abs(value) if scale is None else abs(scale)
    if not 0 < size < math.inf:
        return f"{value:.4g}"
    decimals = (2 if scale is None else 1) - math.floor(math.log10(size))
    if abs(value) >= LONG or decimals > MOST_DECIMALS:
        return f"{value:.4g}"
    if scale is not None:
        decimals = max(decimals, 0)
    text = f"{round(value, decimals):.{max(decimals, 0)}f}"
    if scale is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def in_words(value: float, column: Column, scale: float | None = None) -> str:
    """A value of a column as text: a category's name, a date, a number with the decimals that the
    column has, or with few digits if it has a scale.
    """
    if math.isnan(value):
        return "missing"
    if column.kind == "categorical":
        code = round(value)
        return str(column.categories[code]) if 0 <= code < len(column.categories) else str(code)
    if column.unit in DATE_UNITS[:2] or column.format:
        whole = replace(column, kind="integer")
        return (as_texts(np.array([round(value)], dtype=np.float64), whole) or [""])[0]
    if abs(value) >= LONG:
        return f"{value:g}%" if column.unit == "%" else f"{value:g}"
    if column.kind == "integer" and scale is None:
        return str(round(value)) if float(value).is_integer() else few_digits(value)
    if scale is None and column.decimals is not None:  # a value of the table, not a mean
        text = f"{value:.{column.decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = few_digits(value, scale)
    return f"{text} %" if column.unit == "%" else text


def counted(count: int, noun: str) -> str:
    """A number of things: '1 row', '1,200 rows'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def share(value: float) -> str:
    """A share as a percentage: without decimals, but those below 1 % or above 99 % with one
    significant digit of their distance from the end.
    """
    percent = 100 * value
    if not math.isfinite(percent):
        return str(percent)
    away = min(percent, 100 - percent)
    decimals = -math.floor(math.log10(away)) if 0 < away < 1 else 0
    return f"{percent:.{min(decimals, MOST_SHARE_DECIMALS)}f} %"


def listed(parts: Sequence[str], most: int = 5) -> str:
    """Parts with commas, 'and' before the last; the number of those beyond `most`."""
    shown = list(parts[:most])
    if len(parts) > most:
        return f"{', '.join(shown)} and {len(parts) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
