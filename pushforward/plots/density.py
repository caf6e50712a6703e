"""Densities in the plane: heat maps with contours of mass.

A contour {f = c} is labelled by the mass inside, with c chosen so that the region {f ≥ c} holds a
given share of the mass: the smallest region that does (Hyndman 1996,
https://doi.org/10.1080/00031305.1996.10473566). This is easier to interpret than a height: "half of
all samples fall inside".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.plots.axis_distributions import (
    AxisDistribution,
    Limits,
    density_unit,
    evaluate_grid,
    find_limits,
    select_axes,
)
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    INK,
    SMALL,
    add_colour_bar,
    add_legend,
    find_axes,
    heat_colours,
    mpl,
    style_axes,
)

__all__ = ["density_map", "contours", "mass_levels", "widen_limits"]

SHARES = (0.25, 0.5, 0.75, 0.95)
"""Shares of the mass inside the contours: quarters, and the usual 95 %."""
VISIBLE, FAINTEST = 700.0, 0.05
"""Dots whose opacities may add up to this many, and the least opacity of one."""

COARSE, WIDENINGS = 60, 6
"""Cells along an axis to find limits with, and how often they may be widened."""
NEGLIGIBLE = 1e-3
"""Share of the highest density that limits contain if they do not contain the mass of a contour."""


def density_map(
    model: object,
    x: Observations | None = None,
    *,
    axes: Sequence[str | int] | None = None,
    shares: Sequence[float] = SHARES,
    contour_names: Literal["inline", "legend"] = "inline",
    cells: int = 220,
    limits: Limits | None = None,
    scale: float = 1.0,
    unit: str = "",
    power: float = 0.5,
    points: bool = True,
    title: str = "",
    ax: Axes | None = None,
    top: float | None = None,
) -> Figure:
    """The density of a model, or the kernel density of rows, in the plane with contours of mass.

    Args:
        model: a model with a density or samples, or rows (n, ≥ 2).
        x: rows to plot as dots.
        axes: the two axes to show, by name or position (by default the first two);
            the density is their marginal.
        shares: share of the mass inside each contour.
        contour_names: label contours with their shares, or in a legend if they are in many pieces.
        limits: (low, high) of both axes ((2,), (2,)); by default the range of rows or draws, made
            wider until the outermost contour is inside.
        scale, unit: factor of densities on the colour bar, and its label.
        power: exponent of the density in the colour scale; less than 1 to show low densities.
        top: the density (times scale) at the darkest colour; by default the maximum.
        ax: axes to draw on, by default new ones.
            Overlays (a map, a playing field) can be drawn on them afterwards.
    """
    distribution, names, rows = select_axes(model, axes, x)
    low, high = find_limits(distribution, rows, limits)
    if limits is None and shares:
        low, high = widen_limits(distribution, low, high, max(shares))
    figure, ax = find_axes(ax, 6.6, 5.2)
    u, v, f = evaluate_grid(distribution, low, high, cells)
    colors = mpl("matplotlib.colors")
    norm = colors.PowerNorm(power, vmin=0, vmax=top or scale * float(f.max()))
    image = ax.imshow(
        scale * f,
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        cmap=heat_colours(),
        norm=norm,
        aspect="auto",
        zorder=0,
    )
    contours(
        ax,
        u,
        v,
        f,
        mass_levels(f, shares, (u[1] - u[0]) * (v[1] - v[0])),
        inline=contour_names == "inline",
    )
    if rows is not None and points:
        alpha = min(0.35, max(FAINTEST, VISIBLE / len(rows)))  # many dots do not make a black plane
        ax.plot(*rows[:, :2].T, ".", color=INK, markersize=1.6, alpha=alpha, zorder=1)
    label = unit or f"density per {density_unit(distribution)}"
    add_colour_bar(
        figure,
        image,
        ax,
        label,
        fraction=0.04,
        pad=0.02,
        extend="max" if top and top < scale * f.max() else "neither",
    )
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    style_axes(ax, title, names[0], names[1])
    return figure


def widen_limits(
    distribution: AxisDistribution, low: NDArray[Any], high: NDArray[Any], share: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Limits (2,), (2,) moved outwards until they contain the contour of a share of the mass.

    A side stays where the density ends at it, and none moves by more than half of the width.
    """
    step = (high - low) / (2 * WIDENINGS)
    for _ in range(WIDENINGS):
        cell = (high - low) / COARSE  # the outermost cells lie outside of the limits
        u, v, f = evaluate_grid(distribution, low - cell, high + cell, COARSE + 2)
        levels = mass_levels(f, (share,), (u[1] - u[0]) * (v[1] - v[0]))
        height = next(iter(levels), NEGLIGIBLE * float(f.max()))
        down, up = (  # a contour comes near the end, and the density does not stop there
            np.array([g[near].max() >= height and g[beyond].max() > 0 for g in (f.T, f)])
            for near, beyond in ((2, 0), (-3, -1))
        )
        if not (down.any() or up.any()):
            break
        low, high = low - step * down, high + step * up
    return low, high


def contours(
    ax: Axes,
    u: NDArray[Any],
    v: NDArray[Any],
    f: NDArray[Any],
    levels: Mapping[float, float],
    *,
    inline: bool = True,
    legended: bool = True,
) -> None:
    """Draw contours {height: share}, labelled inline, or in a legend if they are in many pieces."""
    if not levels:
        return
    looks = (
        ["solid"] * len(levels)
        if inline
        else [(0, (4, 2.5)), "solid", (0, (1, 1.2)), "dashdot"][: len(levels)]
    )
    lines = ax.contour(
        u,
        v,
        f,
        levels=list(levels),
        colors=INK,
        linewidths=1.1 if inline else 1.3,
        linestyles=looks,
        zorder=3,
    )
    effects = mpl("matplotlib.patheffects")
    halo = [effects.withStroke(linewidth=3.2, foreground="white", alpha=0.85)]
    lines.set_path_effects(halo)
    if inline:
        names = ax.clabel(
            lines,
            fmt={level: f"{share:.0%}" for level, share in levels.items()},
            fontsize=SMALL - 0.5,
        )
        for name in names:
            name.set_path_effects(halo)
        return
    if not legended:
        return
    line = mpl("matplotlib.lines").Line2D
    handles = [
        line([], [], color=INK, linewidth=1.2, linestyle=look, label=f"{share:.0%} inside")
        for look, share in zip(looks, levels.values())
    ]
    add_legend(ax, handles=handles[::-1], loc="upper left")


def mass_levels(f: NDArray[Any], shares: Sequence[float], area: float) -> dict[float, float]:
    """{height: share}, ascending, of contours that hold shares of the mass on a grid.

    `area` is that of a cell. A share that the grid does not contain is omitted.
    """
    heights = np.sort(np.asarray(f).ravel())[::-1]
    mass = np.cumsum(heights) * area
    levels: dict[float, float] = {}
    for share in sorted(shares, reverse=True):
        if not 0 < share < 1:
            raise InvalidValue(
                f"shares must lie between 0 and 1, got {share}; 0.5 is the contour with half of the"
                " mass inside"
            )
        if share <= mass[-1]:
            height = float(heights[np.searchsorted(mass, share)])
            if height > 0 and height not in levels:
                levels[height] = share
    return levels
