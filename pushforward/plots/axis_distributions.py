"""The distribution of some axes of a model or of rows, with names, units, limits and a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, TypeGuard, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.core.capabilities import HasDensity, Samples
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.random import Rng
from pushforward.core.space import Space
from pushforward.core.units import HasSpace
from pushforward.models.classical.kde import KDE
from pushforward.plots.advice import advise_instead
from pushforward.plots.style import (
    to_numbers,
)

__all__ = [
    "evaluate_grid",
    "select_axes",
    "axis_label",
    "find_limits",
    "density_unit",
    "AxisDistribution",
    "Limits",
]

Limits: TypeAlias = tuple[ArrayLike, ArrayLike]
"""The lowest and the highest value on each axis."""


class AxisDistribution(HasSpace, Protocol):
    """A distribution of a few axes that can be plotted."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of each row (n,)."""
        ...

    def sample(self, n: int, *, rng: Rng = None) -> Tensor:
        """Draw n rows."""
        ...


class HasMarginals(Protocol):
    """Has marginal distributions in closed form."""

    def marginal(self, axes: Sequence[int]) -> AxisDistribution:
        """The distribution of these axes."""
        ...


def is_rows(x: object) -> TypeGuard[Observations]:
    """Whether x is rows rather than a model."""
    return isinstance(x, (Tensor, np.ndarray)) or hasattr(x, "iloc")


DRAWS = 4000
"""Samples for the kernel density of a model without a density: enough for smooth contours."""


def evaluate_grid(
    distribution: AxisDistribution,
    low: Sequence[float] | NDArray[Any],
    high: Sequence[float] | NDArray[Any],
    cells: int,
) -> tuple[Any, Any, Any]:
    """Cell centres (cells,) along both axes, and densities (cells, cells), second axis first."""
    u, v = (low[i] + (np.arange(cells) + 0.5) * (high[i] - low[i]) / cells for i in range(2))
    grid = torch.as_tensor(np.stack(np.meshgrid(u, v), -1).reshape(-1, 2))
    f = torch.cat([distribution.log_prob(part).cpu() for part in grid.split(1 << 16)]).exp()
    return u, v, f.reshape(cells, cells).double().numpy()


def select_axes(
    model: object,
    axes: Sequence[str | int] | None = None,
    x: Observations | None = None,
    count: int = 2,
) -> tuple[Any, tuple[str, ...], Any]:
    """The distribution of some axes of a model or of rows, their names, and the rows' values.

    The values are None without rows.
    """
    if is_rows(model):
        x, model = (model if x is None else x), None
    if model is None and x is not None:
        space = Space.infer(x)
    else:
        space = cast(HasSpace, model).fitted_space()
    if space.kind != "points" or space.size < count:
        raise InvalidKind(
            f"this plot needs points in at least {count} dimension{'s' * (count > 1)}, got {space};"
            f" {advise_instead(model)}"
        )
    positions = list(range(count)) if axes is None else [space.axis(a) for a in axes]
    if len(positions) != count or len(set(positions)) != count:
        raise InvalidValue(
            f"expected {count} different axes, got {list(axes or ())}; the axes are"
            f" {', '.join(space.names)}"
        )
    rows = None if x is None else space.conform(x).double()[:, positions]
    names = tuple(axis_label(space, i) for i in positions)
    return (
        _distribution(model, positions, space, rows),
        names,
        None if rows is None else rows.cpu().numpy(),
    )


def _distribution(
    model: object, positions: list[int], space: Space, rows: Tensor | None
) -> AxisDistribution:
    """The distribution of these axes: the model's marginal,
    if in closed form, else the kernel density of rows or draws.
    """
    whole = positions == list(range(space.size))
    conditional = getattr(model, "condition_space", None) is not None
    if isinstance(model, HasDensity) and whole and not conditional:
        return cast(AxisDistribution, model)
    if isinstance(model, HasDensity) and hasattr(model, "marginal") and not conditional:
        return cast(HasMarginals, model).marginal(positions)
    if model is not None:
        if conditional:
            raise InvalidKind(
                f"this {type(model).__name__} was fitted with conditions, so it has no"
                " unconditional density to draw; draw its samples for one condition instead"
            )
        if not isinstance(model, Samples):
            raise InvalidKind(
                f"{type(model).__name__} has neither a density nor samples; {advise_instead(model)}"
            )
        rows = model.sample(DRAWS, rng=0)[:, positions].double()
    assert rows is not None  # without a model there are rows
    rows = rows[torch.isfinite(rows).all(1)]
    return KDE().fit(rows.detach())


def axis_label(space: Space, i: int) -> str:
    """The name of an axis, with its unit if it has one."""
    unit = space.columns[i].unit
    return space.names[i] + (f" ({unit})" if unit else "")


def density_unit(distribution: AxisDistribution) -> str:
    """The unit in the denominator of densities: that of the axes, if they share one."""
    units = {c.unit for c in distribution.fitted_space().columns}
    unit = units.pop() if len(units) == 1 else ""
    return (
        f"square {unit}"
        if unit and distribution.fitted_space().size == 2
        else "unit of both axes"
        if distribution.fitted_space().size == 2
        else "unit"
    )


def find_limits(
    distribution: AxisDistribution, rows: NDArray[Any] | None, limits: Limits | None
) -> tuple[Any, Any]:
    """The given limits, or the range of nearly all rows (or draws) with a margin."""
    if limits is not None:
        low, high = (np.asarray(end, dtype=np.float64) for end in limits)
        if low.shape != high.shape or not (low < high).all():
            raise InvalidValue("limits must be (low, high) with low < high on every axis")
        return low, high
    values = None if rows is None else np.where(np.isfinite(rows), rows, np.nan)
    # no rows, or a column without values
    if values is None or np.isnan(values).all(0).any():
        values = to_numbers(distribution.sample(DRAWS, rng=0))
    low, high = np.nanquantile(values, 0.002, 0), np.nanquantile(values, 0.998, 0)
    margin = np.where(high > low, 0.08 * (high - low), 0.5)
    return low - margin, high + margin
