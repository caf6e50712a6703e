"""Densities of one or two columns of a model of points, given values of others.

Models with closed conditionals and marginals give the density p(x, y | fixed). Of the others one
sees a slice: the density of whole rows while x and y vary and all other columns hold still, which
is p(x, y | all others) but for a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Conditions, HasDensity
from pushforward.core.space import Space
from pushforward.plots.density import SHARES, mass_levels
from pushforward.studio.layers import Plane

__all__ = ["Kind", "PairDensity", "axis_name", "is_closed", "marginal_of", "pair_density"]

Kind = Literal["joint", "marginal", "conditional", "slice"]
LogProb = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PairDensity:
    """The density of two columns on a grid.

    Args:
        kind: what it is the density of.
        values: log density (cells, cells), rows from the bottom; of a slice, over what is shown.
        levels: log density of each contour, by the share of the mass inside.
        held: values of the other columns of a slice, by position.
    """

    kind: Kind
    values: Tensor
    levels: Mapping[float, float]
    held: Mapping[int, float]


def pair_density(
    model: Any,
    axes: Sequence[int],
    fixed: Mapping[int, float],
    middle: Tensor,
    plane: Plane,
    cells: int,
) -> PairDensity:
    """The density of two columns of a model with a density.

    Args:
        axes: positions of the two columns.
        fixed: values of other columns, by position.
        middle: values (d,) at which a slice holds the columns that are not fixed.
        plane: the part shown.
        cells: along each axis.
    """
    kind, log_prob, held = _density(model, axes, fixed, middle)
    values = log_prob(plane.grid(cells)).detach().cpu().to(torch.float64).reshape(cells, cells)
    area = float(((plane.high - plane.low) / cells).prod())
    if kind == "slice":
        total = values.flatten().logsumexp(0) + torch.tensor(area).log()
        values = values - total if bool(total.isfinite()) else values
    heights = mass_levels(values.exp().nan_to_num().numpy(), SHARES, area)
    levels = {share: float(torch.tensor(height).log()) for height, share in heights.items()}
    return PairDensity(kind, values, levels, held)


def is_closed(model: Any) -> bool:
    """Whether a model has conditionals and marginals in closed form."""
    return isinstance(model, Conditions) and hasattr(model, "marginal")


def marginal_of(model: Any, axes: Sequence[int]) -> HasDensity:
    """The distribution of some columns, by position; the model itself for all of them."""
    space: Space = model.fitted_space()
    if list(axes) == list(range(space.size)):
        return cast(HasDensity, model)
    marginal: HasDensity = model.marginal([axis_name(space, i) for i in axes])
    return marginal


def axis_name(space: Space, position: int) -> str | int:
    """A column's name, which stays the same in marginals; its position if it has none."""
    return space.columns[position].name or position


def _density(
    model: Any, axes: Sequence[int], fixed: Mapping[int, float], middle: Tensor
) -> tuple[Kind, LogProb, Mapping[int, float]]:
    """What is shown of a model, its log density at points (n, 2), and the values held."""
    space: Space = model.fitted_space()
    if not is_closed(model):
        others = {i: fixed.get(i, float(middle[i])) for i in range(space.size) if i not in axes}
        kind: Kind = "slice" if others else "joint"
        return kind, _sliced(model, axes, others), others
    if not fixed:
        kind = "joint" if space.size == 2 else "marginal"
        return kind, marginal_of(model, axes).log_prob, {}
    rest = [i for i in range(space.size) if i not in fixed]
    conditional = model.condition({axis_name(space, i): v for i, v in fixed.items()})
    return "conditional", marginal_of(conditional, [rest.index(i) for i in axes]).log_prob, {}


def _sliced(model: HasDensity, axes: Sequence[int], others: Mapping[int, float]) -> LogProb:
    def log_prob(points: Tensor) -> Tensor:
        x = torch.empty(len(points), len(axes) + len(others), dtype=torch.float64)
        for column, axis in enumerate(axes):
            x[:, axis] = points[:, column]
        for axis, value in others.items():
            x[:, axis] = value
        return model.log_prob(x)

    return log_prob
