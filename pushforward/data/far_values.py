"""Values of a typed table that are far from all others of their column: what a scan points out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.column_values import as_texts
from pushforward.core.columns import Column
from pushforward.core.dates import DAYS, SECONDS
from pushforward.core.scan import Issue
from pushforward.core.source import Source

__all__ = ["date_text", "far_values", "span_text", "typed_advice"]

_ROWS, _COLUMNS = 100_000, 1000
"""The first rows and columns are looked at: a second's work."""
_LEAST = 20
"""Values below which quartiles say little."""
_FAR = 4.0
"""Interquartile ranges beyond the quartiles: 6 standard deviations of a normal distribution."""
_MOSTLY = 0.99
"""The share of values from 0 up from which on a column is looked at on a logarithmic scale, too."""
_RULE = f"more than {_FAR:g} interquartile ranges beyond the quartiles, of logarithms too"
_ADVICE = "correct or remove it if it is wrong, as it widens the column's distribution"

Values = NDArray[np.float64]


def far_values(source: Source) -> Iterator[Issue]:
    """Of each column of numbers or dates the value that is farthest from the others, if that is far
    by a robust rule; and a lone value below 0, which makes the column's type another.
    """
    rows = source.take(torch.arange(min(len(source), _ROWS))).x.double().cpu().numpy()
    for j, column in enumerate(source.space.columns[:_COLUMNS]):
        x = np.where(np.isfinite(rows[:, j]), rows[:, j], np.nan)
        count = int(np.isfinite(x).sum())
        if column.kind == "categorical" or count < _LEAST:
            continue
        negative = np.flatnonzero(x < 0)
        if len(negative) == 1 and column.type in ("continuous", "integer"):
            yield _lone(column, x, int(negative[0]))
        elif (row := _farthest(x, column)) is not None:
            yield _far(column, x, row)


def _lone(column: Column, x: Values, row: int) -> Issue:
    otherwise = "positive" if column.type == "continuous" else "count"
    text = (
        f"column {column.name!r} is {column.type}, not {otherwise}, because of one value below 0:"
        f" {_text(x[row], column)} in row {row}"
    )
    return Issue("negative", text, "correct or remove it if it is wrong")


def _far(column: Column, x: Values, row: int) -> Issue:
    rest = np.delete(x, row)
    ends = [_text(float(end), column) for end in (np.nanmin(rest), np.nanmax(rest))]
    text = (
        f"column {column.name!r} holds {_text(x[row], column)} in row {row}, far from all others"
        f" ({ends[0]} to {ends[1]}; {_RULE})"
    )
    return Issue("far", text, _ADVICE)


def _farthest(x: Values, column: Column) -> int | None:
    """The row whose value is far from the others; None if there is none."""
    positive = x > 0
    dated = column.unit in (DAYS, SECONDS)
    logs = not dated and (x >= 0).sum() >= _MOSTLY * np.isfinite(x).sum()
    excess = _excess(x)
    if logs:
        on_logs = _excess(np.log(np.where(positive, x, np.nan)))
        excess = np.where(positive, np.fmin(excess, on_logs), excess)
    row = int(np.argmax(excess))
    return row if excess[row] > _FAR else None


def _excess(x: Values) -> Values:
    """How many interquartile ranges each value lies beyond the quartiles; 0 if they are equal."""
    low, high = np.nanquantile(x, [0.25, 0.75])
    if not high > low:
        return np.zeros(len(x))
    beyond = np.fmax(low - x, x - high) / (high - low)
    return np.asarray(np.nan_to_num(beyond))


def _text(value: float, column: Column) -> str:
    return date_text(value, column) or f"{value:.12g}{'%' if column.unit == '%' else ''}"


def date_text(value: float, column: Column) -> str:
    """A number as the date that it is, in the column's format; '' for columns of other kinds."""
    if column.unit not in (DAYS, SECONDS):
        return ""
    return (as_texts(np.array([round(value)], float), replace(column, kind="integer")) or [""])[0]


def span_text(value: float, column: Column) -> str:
    """A difference of dates with its unit."""
    units: list[tuple[float, str]] = [(86400.0, "days"), (3600.0, "hours"), (0.0, "seconds")]
    seconds = value * (86400.0 if column.unit == DAYS else 1.0)
    size, unit = units[0] if column.unit == DAYS else next(u for u in units if seconds >= u[0])
    return f"{seconds / (size or 1.0):.5g} {unit}"


def typed_advice(issue: Issue) -> Issue:
    """An issue that the verbs of tables need no help with, with advice for them and for fits."""
    takes = {
        "categorical": "the verbs of tables take it; to fit a model drop it",
        "missing": "the verbs of tables take them, and fill fills them; to fit a model drop those"
        " rows or columns",
    }.get(issue.name)
    return issue if takes is None else replace(issue, advice=takes)
