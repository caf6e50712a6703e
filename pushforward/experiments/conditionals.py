"""The distribution of some axes given the others, in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.capabilities import missing_methods
from pushforward.core.column_numbers import as_number
from pushforward.core.column_values import as_texts
from pushforward.core.dates import DAYS, SECONDS
from pushforward.core.errors import BadRun, BadSource, InvalidValue, suggest
from pushforward.core.source import iterate_blocks
from pushforward.core.space import Column, Space
from pushforward.experiments.opened import OpenedRun
from pushforward.experiments.sampling import require_sample_size
from pushforward.experiments.view import Table
from pushforward.plots.matplotlib_types import Figure
from pushforward.tabular.moments import closed_moments
from pushforward.tabular.wording import few_digits, in_words

__all__ = ["Conditional", "condition"]

DRAWS = 20_000
"""Samples for quantiles: enough for two digits of the outer ones."""
NEAR = 0.5
"""Standard deviations from a given number within which rows support it."""
QUANTILES = (0.05, 0.5, 0.95)
"""The median, and the ends of an interval that holds 90 % of the samples."""


@dataclass(frozen=True)
class Conditional:
    """The distribution of the other axes, given the values of some.

    Args:
        distribution: a model of the other axes.
        given: the values it is conditioned on, as numbers, by axis.
        space: of all axes.
    """

    distribution: Any
    given: Mapping[str | int, float]
    space: Space

    @property
    def summary(self) -> str:
        """The given values, and the resulting kind of distribution."""
        values = ", ".join(
            f"{axis} = {_as_written([value], _column(self.space, axis), digits=6)[0]}"
            for axis, value in self.given.items()
        )
        model = self.distribution
        return f"given {values}: {model.registered_name} of {model.fitted_space()}"

    def table(self, seed: int = 0) -> Table:
        """Columns axis, mean, sd and quantiles; the probability of each category as a mean.

        Moments are in closed form if the distribution has them; quantiles are those of samples.

        For a column of dates, the mean and the quantiles are dates,
        and the standard deviation is in its unit.
        """
        x = self.distribution.sample(DRAWS, rng=seed).double().flatten(1)
        mean, deviation = closed_moments(self.distribution) or (x.mean(0), x.std(0))
        quantiles = torch.quantile(x, torch.tensor(QUANTILES, dtype=x.dtype), dim=0)
        space = self.distribution.fitted_space()
        names = ["axis", "mean", "sd", *(f"q{round(100 * q):02d}" for q in QUANTILES)]
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

    def support(self, run: OpenedRun) -> list[str]:
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
        near = self._near(run)
        if near is not None:
            found, total = near
            rows = f"{found:,} of {total:,} rows are near" if found else "no row is near"
            said.append(rows if found else f"{rows}: the answer rests on the model alone")
        return said

    def _near(self, run: OpenedRun) -> tuple[int, int] | None:
        """How many rows are near, and of how many; None if the rows cannot be found."""
        if self.space.kind != "points":
            return None
        try:
            source = run.rows("")
        except (BadRun, BadSource, OSError):
            return None
        places = [self.space.axis(axis) for axis in self.given]
        values = np.array(list(self.given.values()))
        blocks = [b.x.double().cpu().numpy()[:, places] for b in iterate_blocks(source, 65536)]
        x = np.concatenate(blocks)
        categorical = [self.space.columns[j].kind == "categorical" for j in places]
        reach = np.where(categorical, 0.25, NEAR * np.nanstd(x, 0) + 1e-12)
        return int((np.abs(x - values) <= reach).all(1).sum()), len(x)

    def plot(self, run: OpenedRun, seed: int = 0, title: str = "") -> Figure:
        """The distribution of the other axes, given the values, over that of the rows (or of the
        model, where they cannot be found).
        """
        from pushforward.plots import table_margins

        space = self.distribution.fitted_space()
        places = [self.space.axis(name) for name in space.names]
        drawn = self.distribution.sample(DRAWS, rng=seed).double().cpu().numpy()
        try:
            rows, name = run.rows(""), "all rows"
            x = rows.take(torch.arange(min(DRAWS, len(rows)))).x
        except (BadRun, BadSource, OSError):
            x, name = run.model.sample(DRAWS, rng=seed), "all samples"
        given = self.summary.partition(":")[0]
        return table_margins(
            {name: x.double().cpu().numpy()[:, places], given: drawn}, space, title=title
        )

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Samples (n, d) of the other axes."""
        require_sample_size(n)
        x: Tensor = self.distribution.sample(n, rng=seed)
        return x


def condition(run: OpenedRun, given: Mapping[str | int, Any]) -> Conditional:
    """The distribution of the other axes of a run's model, given the values of some.

    Args:
        run: whose model has closed conditionals.
        given: values by axis (a column's name, or its position):
            numbers, dates, durations, or texts of these.

    Raises:
        InvalidKind: If the model has no closed conditionals.
        InvalidValue: For an unknown axis, or an impossible value.

    Example:
        >>> import tempfile, pushforward as pf
        >>> with tempfile.TemporaryDirectory() as place:
        ...     path = pf.Gaussian().fit("moons:50").save(f"{place}/run")
        ...     rest = condition(pf.experiments.open_run(f"{place}/run"), {0: 0.5})
        >>> rest.summary, list(rest.table())[:3]
        ('given 0 = 0.5: gaussian of points in 1 dimension', ['axis', 'mean', 'sd'])
    """
    model = run.model
    if "condition" not in missing_methods(model):  # otherwise the model explains why it has none
        run.need("has no closed conditionals", "Conditions")
    space = model.fitted_space()
    numbers = {axis: _number(axis, value, space) for axis, value in given.items()}
    return Conditional(model.condition(numbers), numbers, space)


def _number(axis: str | int, value: object, space: Space) -> float:
    column = _column(space, axis)
    if column.kind == "categorical" and isinstance(value, str) and column.categories:
        if value not in column.categories:
            raise InvalidValue(
                f"{axis} has no category {value!r}; {suggest(value, column.categories)}"
            )
        return float(column.categories.index(value))
    number = as_number(value, column)
    if not math.isfinite(number):
        raise InvalidValue(f"{axis} must be finite, got {value!r}; leave out unknown axes")
    return number


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
