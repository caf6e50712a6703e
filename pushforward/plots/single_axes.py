"""Marginal distributions of single axes, and corner plots of all pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind
from pushforward.core.space import Space
from pushforward.core.units import HasSpace
from pushforward.plots.advice import advise_instead
from pushforward.plots.axis_distributions import (
    DRAWS,
    AxisDistribution,
    Limits,
    axis_label,
    density_unit,
    evaluate_grid,
    find_limits,
    is_rows,
    select_axes,
)
from pushforward.plots.density import mass_levels
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    SMALL,
    new_page,
    style_axes,
)

__all__ = ["marginals", "corner"]

MOST_AXES, LISTED = 6, 8
"""Axes drawn by default, as a corner plot of more has panels too small to read; names listed of
those left out.
"""


def marginals(
    model: object,
    x: Observations | None = None,
    *,
    axes: Sequence[str | int] | None = None,
    columns: int = 3,
    title: str = "",
) -> Figure:
    """The marginal of each axis: the model's curve over the histogram of the rows, if given."""
    space = Space.infer(model) if is_rows(model) else cast(HasSpace, model).fitted_space()
    positions = _select_axes(model, space, axes)
    columns = min(columns, len(positions))
    figure, grid = new_page(
        3.3 * columns,
        2.5 * math.ceil(len(positions) / columns) + 0.3,
        math.ceil(len(positions) / columns),
        columns,
    )
    cells = np.atleast_1d(grid).ravel()
    for ax, axis in zip(cells, positions):
        distribution, names, rows = select_axes(model, [axis], x, count=1)
        _marginal(ax, distribution, rows, x is not None or not hasattr(model, "fitted_space"))
        style_axes(ax, "", names[0], f"density per {density_unit(distribution)}")
    for ax in cells[len(positions) :]:
        ax.set_visible(False)
    if title:
        figure.suptitle(title, fontsize=12.5, color=INK, x=0.01, ha="left")
    return figure


def _select_axes(model: object, space: Space, axes: Sequence[str | int] | None) -> list[int]:
    if space.kind != "points":
        raise InvalidKind(f"this plot needs points, got {space}; {advise_instead(model)}")
    return (
        [space.axis(a) for a in axes]
        if axes is not None
        else list(range(min(space.size, MOST_AXES)))
    )


def _marginal(
    ax: Axes,
    distribution: AxisDistribution,
    rows: NDArray[Any] | None,
    shaded: bool,
    *,
    horizontal: Limits | None = None,
) -> None:
    low, high = find_limits(distribution, rows, horizontal)
    at = np.linspace(low[0], high[0], 400)
    if rows is not None and shaded:
        values = rows[np.isfinite(rows[:, 0]), 0]
        values = values[(low[0] <= values) & (values <= high[0])]
        if len(values):
            ax.hist(
                values,
                bins=np.linspace(low[0], high[0], 41).tolist(),
                density=True,
                color="#bbbbbb",
                label="rows",
            )
    f = distribution.log_prob(torch.as_tensor(at)[:, None]).exp().cpu().numpy()
    ax.plot(at, f, color=COLOURS[0], linewidth=1.8, label="model")
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(bottom=0)


def corner(
    model: object,
    x: Observations | None = None,
    *,
    axes: Sequence[str | int] | None = None,
    shares: Sequence[float] = (0.5, 0.95),
    title: str = "",
) -> Figure:
    """Every pair of axes: contours of the model's mass over rows,
    with marginals on the diagonal.
    """
    rows_only = not hasattr(model, "fitted_space")
    space = (
        Space.infer(cast(Observations, model))
        if rows_only
        else cast(HasSpace, model).fitted_space()
    )
    positions = _select_axes(model, space, axes)
    if len(positions) < 2:
        return marginals(model, x, axes=positions, title=title)
    n = len(positions)
    figure, grid = new_page(1.75 * n + 0.8, 1.75 * n + 1.1, n, n)
    subject = model if rows_only else x
    ends = {}
    for i, axis in enumerate(positions):
        distribution, names, rows = select_axes(model, [axis], x, count=1)
        ends[axis] = find_limits(distribution, rows, None)
        _marginal(grid[i, i], distribution, rows, subject is not None, horizontal=ends[axis])
        grid[i, i].set_yticks([])
        grid[i, i].spines["left"].set_visible(False)
        for j in range(n):
            ax = grid[i, j]
            if j > i:
                ax.set_visible(False)
            elif j < i:
                _pair(ax, model, [positions[j], axis], x, (ends[positions[j]], ends[axis]), shares)
            _outer_labels(ax, i, j, n, axis_label(space, positions[j]), names[0])
    if title:
        figure.suptitle(title, fontsize=12.5, color=INK, x=0.01, ha="left")
    words = _explain(space, positions, axes is None, shares, subject)
    figure.supxlabel(words, fontsize=SMALL, color=INK, x=0.01, ha="left")
    return figure


def _explain(
    space: Space,
    positions: Sequence[int],
    chosen_here: bool,
    shares: Sequence[float],
    subject: object,
) -> str:
    """What the lines are, and which columns and rows are left out."""
    inside = " and ".join(f"{share:.0%}" for share in sorted(shares))
    parts = [f"Lines hold {inside} of the model's mass"]
    omitted = [name for i, name in enumerate(space.names) if i not in positions]
    if omitted:
        listed = ", ".join(omitted[:LISTED]) + (", …" if len(omitted) > LISTED else "")
        why = (
            f"the first {len(positions)} of {space.size} columns are shown; " if chosen_here else ""
        )
        parts.append(f"{why}left out: {listed}")
    n = len(subject) if isinstance(subject, Sized) else 0
    if n > 4 * DRAWS:
        parts.append(f"{4 * DRAWS:,} of {n:,} rows are dots")
    return ".\n".join(part[0].upper() + part[1:] for part in parts) + "."


def _pair(
    ax: Axes,
    model: object,
    pair: list[int],
    x: Observations | None,
    ends: Sequence[Limits],
    shares: Sequence[float],
) -> None:
    distribution, _, rows = select_axes(model, pair, x)
    low, high = (np.concatenate([ends[0][k], ends[1][k]]) for k in range(2))
    if rows is not None:
        ax.plot(
            *rows[: 4 * DRAWS].T, ".", color="#777777", markersize=1.5, alpha=0.4, rasterized=True
        )
    u, v, f = evaluate_grid(distribution, low, high, 100)
    levels = mass_levels(f, shares, (u[1] - u[0]) * (v[1] - v[0]))
    if levels:
        ax.contour(
            u, v, f, levels=list(levels), colors=COLOURS[0], linewidths=[0.9, 1.6][: len(levels)]
        )
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])


def _outer_labels(ax: Axes, i: int, j: int, n: int, below: str, left: str) -> None:
    style_axes(ax, "", below if i == n - 1 else "", left if j == 0 and i else "")
    if i < n - 1:
        ax.tick_params(labelbottom=False)
    if j:
        ax.tick_params(labelleft=False)
