"""Densities: heat maps with contours of mass, distributions of single axes,
and all pairs of axes at once.

A contour is drawn where the density is c, with c chosen so that the region {f ≥ c} holds a stated
share of the mass: the smallest region that does (Hyndman 1996,
https://doi.org/10.1080/00031305.1996.10473566). It is easier to interpret than a height: "half of
all samples fall inside".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pushforward.core.capabilities import HasDensity, Samples
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.space import Space
from pushforward.models.classical.kde import KDE
from pushforward.plots.court import HALF, draw_court
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    SMALL,
    axes_of_page,
    bar,
    dress,
    heat,
    legend,
    mpl,
    numbers,
    page,
)

__all__ = [
    "density_map",
    "marginals",
    "corner",
    "contours",
    "mass_levels",
    "grid_density",
    "two_axes",
]

SHARES = (0.25, 0.5, 0.75, 0.95)
DRAWS = 4000
MOST_AXES = 6


def density_map(
    model: Any,
    x: Any = None,
    *,
    axes: Sequence[str | int] | None = None,
    court: bool = False,
    depth: float = HALF,
    shares: Sequence[float] = SHARES,
    cells: int = 220,
    limits: Any = None,
    scale: float = 1.0,
    unit: str = "",
    power: float = 0.5,
    points: bool = True,
    title: str = "",
    ax: Axes | None = None,
    top: float | None = None,
) -> Figure:
    """The density of a model (or, for rows, their kernel density) in the plane,
    with contours of mass.

    Arguments:
        model: anything with a density or samples, or rows (n, 2 or more); `x` are rows to dot in.
        axes: the two axes to show, by name or position; the distribution is that of those two
            alone. The first two otherwise.
        court: draw a half court under it, in feet, up to `depth` feet from the baseline.
        shares: of the mass that each contour holds.
        limits: (low, high) of both axes ((2,), (2,)); what the rows or draws need otherwise.
        scale, unit: what densities are multiplied by on the colour bar, and its label.
        power: of the density that colour follows;
            1 for the density itself, less to show the low parts.
        top: the density (times scale) at the darkest colour; the largest otherwise.
    """
    distribution, names, rows = two_axes(model, axes, x)
    low, high = _court_limits(depth) if court else _limits(distribution, rows, limits)
    figure, ax = axes_of_page(ax, 6.6, 5.6 if court else 5.2)
    u, v, f = grid_density(distribution, low, high, cells)
    colors = mpl("matplotlib.colors")
    norm = colors.PowerNorm(power, vmin=0, vmax=top or scale * float(f.max()))
    image = ax.imshow(
        scale * f,
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        cmap=heat(),
        norm=norm,
        aspect="auto",
        zorder=0,
    )
    contours(ax, u, v, f, mass_levels(f, shares, (u[1] - u[0]) * (v[1] - v[0])), inline=not court)
    if rows is not None and points:
        ax.plot(*rows[:, :2].T, ".", color=INK, markersize=1.6, alpha=0.35, zorder=1)
    label = unit or ("density per square foot" if court else f"density per {_unit(distribution)}")
    bar(
        figure,
        image,
        ax,
        label,
        fraction=0.04,
        pad=0.02,
        extend="max" if top and top < scale * f.max() else "neither",
    )
    if court:
        draw_court(ax, depth=depth)
        dress(ax, title)
        for side in ax.spines.values():
            side.set_visible(False)
    else:
        ax.set_xlim(low[0], high[0])
        ax.set_ylim(low[1], high[1])
        dress(ax, title, names[0], names[1])
    return figure


def contours(
    ax: Any,
    u: Any,
    v: Any,
    f: Any,
    levels: Mapping[float, float],
    *,
    inline: bool = True,
    legended: bool = True,
) -> None:
    """Contours at {height: share}: named on the line,
    or (where they come in many pieces) by a line's look in a legend.
    """
    if not levels:
        return
    looks = (
        ["solid"] * len(levels)
        if inline
        else [(0, (4, 2.5)), "solid", (0, (1, 1.2)), "dashdot"][: len(levels)]
    )
    drawn = ax.contour(
        u,
        v,
        f,
        levels=list(levels),
        colors=INK,
        linewidths=0.9 if inline else 1.2,
        linestyles=looks,
        alpha=0.8,
        zorder=2,
    )
    if inline:
        ax.clabel(
            drawn,
            fmt={level: f"{share:.0%}" for level, share in levels.items()},
            fontsize=SMALL - 0.5,
        )
        return
    if not legended:
        return
    line = mpl("matplotlib.lines").Line2D
    handles = [
        line([], [], color=INK, linewidth=1.2, linestyle=look, label=f"{share:.0%} inside")
        for look, share in zip(looks, levels.values())
    ]
    legend(ax, handles=handles[::-1], loc="upper left")


def mass_levels(f: Any, shares: Sequence[float], area: float) -> dict[float, float]:
    """{height: share}, rising, of the contours that hold these
    shares of the mass on a grid of cells of this area.

    A share that the grid does not hold is left out.
    """
    heights = np.sort(np.asarray(f).ravel())[::-1]
    mass = np.cumsum(heights) * area
    found: dict[float, float] = {}
    for share in sorted(shares, reverse=True):
        if not 0 < share < 1:
            raise InvalidValue(
                f"shares must lie between 0 and 1, got {share}; 0.5 is the contour with half of the"
                " mass inside"
            )
        if share <= mass[-1]:
            height = float(heights[np.searchsorted(mass, share)])
            if height > 0 and height not in found:
                found[height] = share
    return found


def grid_density(distribution: Any, low: Any, high: Any, cells: int) -> tuple[Any, Any, Any]:
    """Centres of the cells along both axes (cells,),
    and the density there (cells, cells), the second axis first.
    """
    u, v = (low[i] + (np.arange(cells) + 0.5) * (high[i] - low[i]) / cells for i in range(2))
    grid = torch.as_tensor(np.stack(np.meshgrid(u, v), -1).reshape(-1, 2))
    f = torch.cat([distribution.log_prob(part).cpu() for part in grid.split(1 << 16)]).exp()
    return u, v, f.reshape(cells, cells).double().numpy()


def two_axes(
    model: Any, axes: Sequence[str | int] | None = None, x: Any = None, count: int = 2
) -> tuple[Any, tuple[str, ...], Any]:
    """The distribution of some axes of a model or of rows,
    their names, and the rows' values on them (None without rows).
    """
    if isinstance(model, (Tensor, np.ndarray)) or hasattr(model, "iloc"):
        x, model = (model if x is None else x), None
    space = Space.infer(x) if model is None else model.fitted_space()
    if space.kind != "points" or space.size < count:
        raise InvalidKind(
            f"this image needs points in at least {count} dimension{'s' * (count > 1)}, got {space}"
        )
    chosen = list(range(count)) if axes is None else [space.axis(a) for a in axes]
    if len(chosen) != count or len(set(chosen)) != count:
        raise InvalidValue(
            f"expected {count} different axes, got {list(axes or ())}; the axes are"
            f" {', '.join(space.names)}"
        )
    rows = None if x is None else space.conform(x).double()[:, chosen]
    names = tuple(_labelled(space, i) for i in chosen)
    return (
        _distribution(model, chosen, space, rows),
        names,
        None if rows is None else rows.cpu().numpy(),
    )


def _distribution(model: Any, chosen: list[int], space: Space, rows: Any) -> Any:
    """The distribution of these axes: the model's own, in closed form where it has one, else the
    kernel density of rows or draws.
    """
    whole = chosen == list(range(space.size))
    if isinstance(model, HasDensity) and whole:
        return model
    if isinstance(model, HasDensity) and hasattr(model, "marginal"):
        return model.marginal(chosen)
    if model is not None:
        if not isinstance(model, Samples) or getattr(model, "condition_space", None) is not None:
            raise InvalidKind(
                f"a {type(model).__name__} has neither a density nor unconditional samples; draw"
                " its codes instead (embedding)"
            )
        rows = model.sample(DRAWS, rng=0)[:, chosen].double()
    rows = rows[torch.isfinite(rows).all(1)]
    return KDE().fit(rows.detach())


def _labelled(space: Space, i: int) -> str:
    unit = space.columns[i].unit
    return space.names[i] + (f" ({unit})" if unit else "")


def _unit(distribution: Any) -> str:
    units = {c.unit for c in distribution.fitted_space().columns}
    unit = units.pop() if len(units) == 1 else ""
    return (
        f"square {unit}"
        if unit and distribution.fitted_space().size == 2
        else "unit of both axes"
        if distribution.fitted_space().size == 2
        else "unit"
    )


def _limits(distribution: Any, rows: Any, limits: Any) -> tuple[Any, Any]:
    """What nearly all rows (or draws) need, with a margin."""
    if limits is not None:
        low, high = (np.asarray(end, dtype=np.float64) for end in limits)
        if low.shape != high.shape or not (low < high).all():
            raise InvalidValue("limits must be (low, high) with low < high on every axis")
        return low, high
    seen = None if rows is None else np.where(np.isfinite(rows), rows, np.nan)
    # no rows, or none with a value in one of the columns
    if seen is None or np.isnan(seen).all(0).any():
        seen = numbers(distribution.sample(DRAWS, rng=0))
    low, high = np.nanquantile(seen, 0.002, 0), np.nanquantile(seen, 0.998, 0)
    margin = np.where(high > low, 0.08 * (high - low), 0.5)
    return low - margin, high + margin


def _court_limits(depth: float) -> tuple[Any, Any]:
    return np.array([-25.0, 0.0]), np.array([25.0, depth])


def marginals(
    model: Any,
    x: Any = None,
    *,
    axes: Sequence[str | int] | None = None,
    columns: int = 3,
    title: str = "",
) -> Figure:
    """The distribution of each axis alone:
    the model's curve over the rows' histogram, as far as each is given.
    """
    space = (
        Space.infer(model)
        if isinstance(model, (Tensor, np.ndarray)) or hasattr(model, "iloc")
        else model.fitted_space()
    )
    chosen = _chosen(space, axes)
    columns = min(columns, len(chosen))
    figure, grid = page(
        3.3 * columns,
        2.5 * math.ceil(len(chosen) / columns) + 0.3,
        math.ceil(len(chosen) / columns),
        columns,
    )
    cells = np.atleast_1d(grid).ravel()
    for ax, axis in zip(cells, chosen):
        distribution, names, rows = two_axes(model, [axis], x, count=1)
        _marginal(ax, distribution, rows, x is not None or not hasattr(model, "fitted_space"))
        dress(ax, "", names[0], f"density per {_unit(distribution)}")
    for ax in cells[len(chosen) :]:
        ax.set_visible(False)
    if title:
        figure.suptitle(title, fontsize=12.5, color=INK, x=0.01, ha="left")
    return figure


def _chosen(space: Space, axes: Sequence[str | int] | None) -> list[int]:
    if space.kind != "points":
        raise InvalidKind(
            f"this image needs points, got {space}; draw the codes of images instead (embedding)"
        )
    return (
        [space.axis(a) for a in axes]
        if axes is not None
        else list(range(min(space.size, MOST_AXES)))
    )


def _marginal(ax: Any, distribution: Any, rows: Any, seen: bool, *, horizontal: Any = None) -> None:
    low, high = _limits(distribution, rows, horizontal)
    at = np.linspace(low[0], high[0], 400)
    if rows is not None and seen:
        values = rows[np.isfinite(rows[:, 0]), 0]
        values = values[(low[0] <= values) & (values <= high[0])]
        if len(values):
            ax.hist(
                values,
                bins=np.linspace(low[0], high[0], 41),
                density=True,
                color="#bbbbbb",
                label="rows",
            )
    f = distribution.log_prob(torch.as_tensor(at)[:, None]).exp().cpu().numpy()
    ax.plot(at, f, color=COLOURS[0], linewidth=1.8, label="model")
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(bottom=0)


def corner(
    model: Any,
    x: Any = None,
    *,
    axes: Sequence[str | int] | None = None,
    shares: Sequence[float] = (0.5, 0.95),
    title: str = "",
) -> Figure:
    """Every pair of axes: the model's contours of mass over the rows,
    and each axis alone on the diagonal.
    """
    rows_only = not hasattr(model, "fitted_space")
    space = Space.infer(model) if rows_only else model.fitted_space()
    chosen = _chosen(space, axes)
    if len(chosen) < 2:
        return marginals(model, x, axes=chosen, title=title)
    n = len(chosen)
    figure, grid = page(1.75 * n + 0.8, 1.75 * n + 0.8, n, n)
    given = model if rows_only else x
    ends = {}
    for i, axis in enumerate(chosen):
        distribution, names, rows = two_axes(model, [axis], x, count=1)
        ends[axis] = _limits(distribution, rows, None)
        _marginal(grid[i, i], distribution, rows, given is not None, horizontal=ends[axis])
        grid[i, i].set_yticks([])
        grid[i, i].spines["left"].set_visible(False)
        for j in range(n):
            ax = grid[i, j]
            if j > i:
                ax.set_visible(False)
            elif j < i:
                _pair(ax, model, [chosen[j], axis], x, (ends[chosen[j]], ends[axis]), shares)
            _outer_labels(ax, i, j, n, _labelled(space, chosen[j]), names[0])
    if title:
        figure.suptitle(title, fontsize=12.5, color=INK, x=0.01, ha="left")
    return figure


def _pair(ax: Any, model: Any, pair: list[int], x: Any, ends: Any, shares: Sequence[float]) -> None:
    distribution, _, rows = two_axes(model, pair, x)
    low, high = (np.concatenate([ends[0][k], ends[1][k]]) for k in range(2))
    if rows is not None:
        ax.plot(
            *rows[: 4 * DRAWS].T, ".", color="#777777", markersize=1.5, alpha=0.4, rasterized=True
        )
    u, v, f = grid_density(distribution, low, high, 100)
    levels = mass_levels(f, shares, (u[1] - u[0]) * (v[1] - v[0]))
    if levels:
        ax.contour(
            u, v, f, levels=list(levels), colors=COLOURS[0], linewidths=[0.9, 1.6][: len(levels)]
        )
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])


def _outer_labels(ax: Any, i: int, j: int, n: int, below: str, left: str) -> None:
    dress(ax, "", below if i == n - 1 else "", left if j == 0 and i else "")
    if i < n - 1:
        ax.tick_params(labelbottom=False)
    if j:
        ax.tick_params(labelleft=False)
