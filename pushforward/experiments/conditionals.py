"""The distribution of some axes given the others, in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from pushforward.core.capabilities import missing_methods
from pushforward.core.column_numbers import as_number
from pushforward.core.column_values import as_texts
from pushforward.core.dates import DAYS, SECONDS
from pushforward.core.errors import InvalidValue
from pushforward.core.space import Column, Space
from pushforward.experiments.opened import OpenedRun
from pushforward.experiments.sampling import require_sample_size
from pushforward.experiments.view import Table

__all__ = ["Conditional", "condition"]

DRAWS = 20_000
"""Samples for quantiles: enough for two digits of the outer ones."""
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
        """Columns axis, mean, sd and quantiles.

        Moments are in closed form if the distribution has them; quantiles are those of samples.

        For a column of dates, the mean and the quantiles are dates,
        and the standard deviation is in its unit.
        """
        x = self.distribution.sample(DRAWS, rng=seed).double().flatten(1)
        mean, deviation = _moments(self.distribution) or (x.mean(0), x.std(0))
        quantiles = torch.quantile(x, torch.tensor(QUANTILES, dtype=x.dtype), dim=0)
        space = self.distribution.fitted_space()

        def written(values: Tensor) -> list[Any]:
            return [_as_written([v], c)[0] for v, c in zip(values.tolist(), space.columns)]

        columns: dict[str, Sequence[Any]] = {
            "axis": list(space.names),
            "mean": written(mean),
            "sd": deviation.tolist(),
        }
        for q, values in zip(QUANTILES, quantiles):
            columns[f"q{round(100 * q):02d}"] = written(values)
        return columns

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
    number = as_number(value, _column(space, axis))
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

    Dates are dates; numbers are unchanged, or texts of the given number of digits.
    """
    if column.unit in (DAYS, SECONDS):
        return as_texts(np.array(values, dtype=np.float64), column) or values
    return [f"{v:.{digits}g}" for v in values] if digits else values


@runtime_checkable
class _Mixture(Protocol):
    """A fitted mixture of normal distributions."""

    weights_: Tensor
    means_: Tensor
    covariances_: Tensor


@runtime_checkable
class _Normal(Protocol):
    """A fitted normal distribution."""

    mean_: Tensor
    covariance_: Tensor


def _moments(distribution: object) -> tuple[Tensor, Tensor] | None:
    """Exact means and standard deviations (d,) of normal distributions and their mixtures.

    None for others.
    """
    if isinstance(distribution, _Mixture):
        weights, means = distribution.weights_, distribution.means_
        mean = weights @ means
        variances = distribution.covariances_.diagonal(dim1=1, dim2=2)
        return mean, (weights @ (variances + (means - mean).square())).sqrt()
    if isinstance(distribution, _Normal):
        return distribution.mean_, distribution.covariance_.diagonal().clamp_min(0).sqrt()
    return None
