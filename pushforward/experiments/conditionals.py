"""The distribution of some columns given the others, in closed form."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.capabilities import capabilities, missing_methods
from pushforward.core.column_numbers import as_number
from pushforward.core.column_values import as_texts
from pushforward.core.data_types import Observations
from pushforward.core.dates import DAYS, SECONDS
from pushforward.core.errors import (
    BadRun,
    BadSource,
    InvalidKind,
    InvalidValue,
    PushforwardError,
    suggest,
)
from pushforward.core.source import Source, iterate_blocks
from pushforward.core.space import Column, Space
from pushforward.experiments.opened import OpenedRun, lacking, open_run, table_settings
from pushforward.experiments.sampling import require_sample_size
from pushforward.experiments.table_models import TableModel, TableReading, open_file, open_model
from pushforward.experiments.view import Table, brief, format_row
from pushforward.plots.matplotlib_types import Figure
from pushforward.tabular.moments import closed_moments
from pushforward.tabular.wording import few_digits, in_words

__all__ = ["Conditional", "condition", "open_subject"]

DRAWS = 20_000
"""Samples for quantiles: enough for two digits of the outer ones."""
NEAR = 0.5
"""Standard deviations from a given number within which rows support it."""
MOST_LISTED = 12
"""Categories that a message lists."""
QUANTILES = (0.05, 0.5, 0.95)
"""The median, and the ends of an interval that holds 90 % of the samples."""


@dataclass(frozen=True)
class Conditional:
    """The distribution of the other axes, given the values of some.

    Args:
        distribution: a model of the other axes.
        given: the values it is conditioned on, as numbers, by axis.
        space: of all axes.
        subject: the model of all axes, and its rows.
    """

    distribution: Any
    given: Mapping[str | int, float]
    space: Space
    subject: OpenedRun | TableModel

    @property
    def said(self) -> str:
        """What was fitted for this, in a sentence; '' for a run."""
        return "" if isinstance(self.subject, OpenedRun) else self.subject.said

    @property
    def summary(self) -> str:
        """The given values, and the resulting kind of distribution."""
        model = self.distribution
        return f"{self._condition}: {model.fitted_space()}, by the {model.registered_name} model"

    @property
    def _condition(self) -> str:
        values = ", ".join(
            f"{axis} = {_as_written([value], _column(self.space, axis), digits=6)[0]}"
            for axis, value in self.given.items()
        )
        return f"given {values}"

    def __repr__(self) -> str:
        table = self.short_table()
        lines = [format_row(row) for row in zip(*table.values())]
        return brief([self.said, self.summary, format_row(tuple(table)), *lines])

    def table(self, seed: int = 0) -> Table:
        """Columns column (axis, of points without names), mean, sd and quantiles; the probability
        of each category as a mean.

        Moments are in closed form if the distribution has them; quantiles are those of samples.

        For a column of dates, the mean and the quantiles are dates,
        and the standard deviation is in its unit.
        """
        x = self.distribution.sample(DRAWS, rng=seed).double().flatten(1)
        mean, deviation = closed_moments(self.distribution) or (x.mean(0), x.std(0))
        quantiles = torch.quantile(x, torch.tensor(QUANTILES, dtype=x.dtype), dim=0)
        space = self.distribution.fitted_space()
        named = any(column.name for column in space.columns)
        heading = "column" if named else "axis"
        names = [heading, "mean", "sd", *(f"q{round(100 * q):02d}" for q in QUANTILES)]
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for j, (name, column) in enumerate(zip(space.names, space.columns)):
            if column.kind == "categorical":
                rows = _shares(name, column, x[:, j], len(names))
            else:
                ends = [mean[j], *quantiles[:, j]]
                texts = [_as_written([float(v)], column)[0] for v in ends]
                rows = [(name, texts[0], float(deviation[j]), *texts[1:])]
            for row in rows:
                for key, entry in zip(names, row):
                    columns[key].append(entry)
        return columns

    def short_table(self, seed: int = 0) -> Table:
        """The table with as many digits as the standard deviations warrant."""
        table = self.table(seed)
        scales = [sd if isinstance(sd, float) else 0.01 for sd in table["sd"]]

        def short(entry: Any, scale: float) -> Any:
            return few_digits(entry, scale / 10) if isinstance(entry, float) else entry

        return {
            name: [short(entry, scale) for entry, scale in zip(entries, scales)]
            for name, entries in table.items()
        }

    def support(self) -> list[str]:
        """How far the data support the condition, in sentences: values outside their range, and how
        many rows are near: within half a standard deviation of each number, in the same categories.
        """
        said = []
        for axis, value in self.given.items():
            column = _column(self.space, axis)
            outside = column.kind != "categorical" and not column.low <= value <= column.high
            if outside and math.isfinite(column.low):
                low, high = (in_words(v, column) for v in (column.low, column.high))
                said.append(
                    f"{axis} = {in_words(value, column)} lies outside the data, which go from {low}"
                    f" to {high}: this is extrapolation"
                )
        near = self._near()
        if near is not None:
            found, total = near
            rows = f"{found:,} of {total:,} rows are near" if found else "no row is near"
            said.append(rows if found else f"{rows}: the answer rests on the model alone")
        return said

    def _rows(self) -> Source | None:
        """The rows of the data; None if they cannot be found."""
        if isinstance(self.subject, TableModel):
            return self.subject.rows
        try:
            return self.subject.rows("")
        except (BadRun, BadSource, OSError):
            return None

    def _near(self) -> tuple[int, int] | None:
        """How many rows are near, and of how many; None if the rows cannot be found."""
        source = self._rows() if self.space.kind == "points" else None
        if source is None:
            return None
        places = [self.space.axis(axis) for axis in self.given]
        values = np.array(list(self.given.values()))
        blocks = [b.x.double().cpu().numpy()[:, places] for b in iterate_blocks(source, 65536)]
        x = np.concatenate(blocks)
        categorical = [self.space.columns[j].kind == "categorical" for j in places]
        reach = np.where(categorical, 0.25, NEAR * np.nanstd(x, 0) + 1e-12)
        return int((np.abs(x - values) <= reach).all(1).sum()), len(x)

    def plot(self, seed: int = 0, title: str = "") -> Figure:
        """The distribution of the other axes, given the values, over that of the rows (or of the
        model, where they cannot be found).
        """
        from pushforward.plots import table_margins

        space = self.distribution.fitted_space()
        places = [self.space.axis(name) for name in space.names]
        drawn = self.distribution.sample(DRAWS, rng=seed).double().cpu().numpy()
        rows, name = self._rows(), "all rows"
        if rows is None:
            x, name = self.subject.model.sample(DRAWS, rng=seed), "all samples"
        else:
            x = rows.take(torch.arange(min(DRAWS, len(rows)))).x
        return table_margins(
            {name: x.double().cpu().numpy()[:, places], self._condition: drawn},
            space,
            title=title or f"{_heading(self.subject)}: {self._condition}",
        )

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Samples (n, d) of the other axes."""
        require_sample_size(n)
        x: Tensor = self.distribution.sample(n, rng=seed)
        return x


def condition(
    what: OpenedRun | TableModel | Observations,
    given: Mapping[str | int, Any],
    *,
    reading: TableReading | None = None,
) -> Conditional:
    """The distribution of the other axes, given the values of some.

    Args:
        what: a run, opened or its folder; or a table, likewise, to which a model is fitted first.
        given: values by axis (a column's name, or its position):
            numbers, dates, durations, or texts of these.
        reading: how a table is read and fitted.

    Raises:
        InvalidKind: If the model has no closed conditionals.
        InvalidValue: For an unknown axis, or an impossible value.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(200, 1)) + [0.0, 5.0]
        >>> rest = condition(x, {0: 1.0}, reading=TableReading(model="gaussian"))
        >>> rest.summary, round(rest.table()["mean"][0], 2)
        ('given 0 = 1: points in 1 dimension, by the gaussian model', 6.0)
    """
    subject = what if isinstance(what, (OpenedRun, TableModel)) else open_subject(what, reading)
    model = subject.model
    told = "condition" in missing_methods(model)  # the model says why it has none
    if not told and "Conditions" not in capabilities(model):
        lack = "has no closed conditionals"
        raise InvalidKind(lacking(model.registered_name, lack, "Conditions"))
    space = model.fitted_space()
    _refuse_carried(given, space)
    decimal = _decimal_mark(subject)
    numbers = {axis: _number(axis, value, space, decimal) for axis, value in given.items()}
    return Conditional(model.condition(numbers), numbers, space, subject)


def open_subject(what: Observations, reading: TableReading | None = None) -> OpenedRun | TableModel:
    """A run as it is, whatever its observations are; a model fitted to a table."""
    if isinstance(what, (str, os.PathLike)) and (Path(what) / "model.json").is_file():
        return open_run(Path(what))
    return open_model(what, reading)


def _refuse_carried(given: Mapping[str | int, Any], space: Space) -> None:
    """Raise InvalidValue for a column that is kept out of the model, with the reason."""
    for facts in space.extra.get("carried", ()):
        if facts["name"] in given and facts["name"] not in space.names:
            raise InvalidValue(
                f"{facts['name']} is no part of the model: it is taken as {facts['type']}"
                f" ({facts['reason']}); condition on {', '.join(space.names[:10])}"
            )


def _decimal_mark(subject: OpenedRun | TableModel) -> str:
    """The decimal mark of the subject's table; '' if it cannot be told."""
    if isinstance(subject, TableModel):
        return "" if subject.file is None else subject.file.form.decimal
    where = subject.provenance.source
    try:
        file = open_file(where, table_settings(where, subject)) if where else None
    except (PushforwardError, OSError):
        return ""
    return "" if file is None else file.form.decimal


def _heading(subject: OpenedRun | TableModel) -> str:
    return subject.folder.name if isinstance(subject, OpenedRun) else subject.title


def _number(axis: str | int, value: object, space: Space, decimal: str) -> float:
    column = _column(space, axis)
    if column.kind == "categorical" and isinstance(value, str) and column.categories:
        return float(_category(value, axis, column))
    number = as_number(value, column, decimal)
    if not math.isfinite(number):
        raise InvalidValue(f"{axis} must be finite, got {value!r}; leave out unknown axes")
    return number


def _category(value: str, axis: str | int, column: Column) -> int:
    """The number of a category: TRUE means True where no other name differs in case alone."""
    names = [str(name) for name in column.categories]
    alike = [i for i, name in enumerate(names) if name.lower() == value.lower()]
    if value in names:
        return names.index(value)
    if len(alike) == 1:
        return alike[0]
    raise InvalidValue(f"{axis} has no category {value!r}; {_categories(value, column)}")


def _categories(value: str, column: Column) -> str:
    """The categories there are, if they are few; else the closest."""
    if len(column.categories) > MOST_LISTED:
        return suggest(value, column.categories)
    return f"its categories are {', '.join(map(str, column.categories))}"


def _column(space: Space, axis: str | int) -> Column:
    """The column of an axis; one without a unit where the space has no columns."""
    if space.kind == "points" and space.columns:
        return space.columns[space.axis(axis)]
    return Column(str(axis))


def _as_written(values: list[float], column: Column, digits: int = 0) -> list[Any]:
    """Values of a column as its rows are written.

    Dates are dates, categories names; numbers are unchanged, or texts of so many digits.
    """
    if column.kind == "categorical" and column.categories:
        return [in_words(value, column) for value in values]
    if column.unit in (DAYS, SECONDS):
        return as_texts(np.array(values, dtype=np.float64), column) or values
    return [f"{v:.{digits}g}" for v in values] if digits else values


def _shares(name: str, column: Column, values: Tensor, width: int) -> list[tuple[Any, ...]]:
    """A row of the table for each category: its probability, and nothing else."""
    counts = torch.bincount(values.round().long(), minlength=len(column.categories))
    empty = (None,) * (width - 2)
    return [
        (f"{name} = {category}", float(counts[k]) / len(values), *empty)
        for k, category in enumerate(column.categories)
    ]
