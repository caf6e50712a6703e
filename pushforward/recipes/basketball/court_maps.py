"""Shooting maps: the share of a player's shots in each cell of a grid, on half courts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidValue
from pushforward.plots.density import contours, mass_levels
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.style import (
    INK,
    SMALL,
    add_colour_bar,
    diverging_colours,
    heat_colours,
    mpl,
    new_page,
    style_axes,
    to_numbers,
)
from pushforward.recipes.basketball.court import draw_court

__all__ = ["shot_maps", "heat_and_accuracy", "DARKEST"]

DARKEST = 0.2
"""Share of the mass drawn in the darkest colour.

Otherwise the spike under the rim would leave no contrast for the rest.
"""


def shot_maps(
    maps: Any,
    titles: Sequence[Sequence[str]],
    *,
    extent: tuple[float, float, float, float],
    heads: Sequence[str] = (),
    unit: str = "",
    title: str = "",
    power: float = 0.5,
    top: float | None = None,
) -> Figure:
    """Draw maps (rows, columns, height, width) over (left, right, baseline, depth) feet, all on one
    colour scale.

    Args:
        titles: one for each map.
        heads: one for each column, above it.
        unit: of the colour bar.
        power: exponent applied to values before colouring.
        top: the value at the darkest colour.
    """
    maps = to_numbers(maps)
    if maps.ndim != 4 or [len(r) for r in titles] != [maps.shape[1]] * maps.shape[0]:
        raise InvalidValue(
            "maps must have shape (rows, columns, height, width) with a title each, got"
            f" {maps.shape}"
        )
    rows, columns = maps.shape[:2]
    figure, grid = new_page(2.15 * columns + 0.9, 1.72 * rows + 0.7, rows, columns)
    norm = mpl("matplotlib.colors").PowerNorm(
        power, vmin=0, vmax=top or float(np.quantile(maps, 0.999))
    )
    image = None
    for i, j in np.ndindex(rows, columns):
        ax = grid[i, j]
        image = ax.imshow(
            maps[i, j], origin="lower", extent=extent, cmap=heat_colours(), norm=norm, zorder=0
        )
        draw_court(ax, depth=extent[3], labels=False, width=0.8)
        ax.set_title(titles[i][j], fontsize=SMALL, color=INK)
    for ax, head in zip(grid[0], heads):
        style_axes(ax)
        ax.annotate(
            head,
            (0.5, 1.16),
            xycoords="axes fraction",
            ha="center",
            fontsize=SMALL + 1,
            color=INK,
            fontweight="bold",
        )
        for side in ax.spines.values():
            side.set_visible(False)
    assert image is not None  # there is a map
    add_colour_bar(
        figure, image, list(grid.ravel()), unit, fraction=0.02, pad=0.01, extend="max", shrink=0.6
    )
    if title:
        figure.suptitle(title, fontsize=12.5, color=INK, x=0.01, ha="left")
    return figure


def heat_and_accuracy(
    u: Any,
    v: Any,
    heat_values: Any,
    share: Any,
    *,
    middle: float,
    area: float,
    depth: float,
    title: str = "",
    shares: Sequence[float] = (0.5, 0.9),
) -> Figure:
    """Two half courts side by side: how many of 100 shots per square foot,
    and how many of 100 go in.

    Args:
        u, v: centres of the cells (m,) in feet.
        heat_values, share: (m, m), the second axis first.
        middle: the player's average, white on the right.
        area: of a cell, so that heat_values · area sums to the mass.
        shares: shares of the shots inside the contours; on the right, everything outside the last
            is white.
    """
    figure, grid = new_page(11.4, 4.35, 1, 2)
    colors = mpl("matplotlib.colors")
    extent = (
        1.5 * u[0] - 0.5 * u[1],
        1.5 * u[-1] - 0.5 * u[-2],
        1.5 * v[0] - 0.5 * v[1],
        1.5 * v[-1] - 0.5 * v[-2],
    )
    levels = mass_levels(heat_values, shares, area)
    top = max(mass_levels(heat_values, (DARKEST,), area), default=float(heat_values.max()))
    outside = heat_values < min(levels, default=0)
    reach = float(np.abs(share - middle)[~outside].max())
    looks = (
        (
            heat_values,
            {"cmap": heat_colours(), "norm": colors.PowerNorm(0.5, vmin=0, vmax=top)},
            "where he shoots",
            "of 100 shots, how many per square foot",
        ),
        (
            np.ma.masked_where(outside, share),
            {"cmap": diverging_colours(), "vmin": middle - reach, "vmax": middle + reach},
            f"what goes in (white: his average, {middle:.0f}%)",
            "made of 100 shots",
        ),
    )
    for ax, (values, look, head, unit), extend in zip(grid[0], looks, ("max", "neither")):
        image = ax.imshow(values, origin="lower", extent=extent, zorder=0, **look)
        contours(ax, u, v, heat_values, levels, inline=False, legended=extend == "max")
        add_colour_bar(figure, image, ax, unit, fraction=0.035, pad=0.02, extend=extend)
        draw_court(ax, depth=depth)
        style_axes(ax, head)
        for side in ax.spines.values():
            side.set_visible(False)
    figure.suptitle(title, fontsize=13, color=INK, x=0.01, ha="left")
    return figure
