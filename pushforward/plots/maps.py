"""Shooting maps in small multiples: the share of a player's shots in each cell of a grid, on half courts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pushforward.core.errors import InvalidValue
from pushforward.plots.court import draw_court
from pushforward.plots.style import INK, SMALL, bar, dress, heat, mpl, numbers, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["shot_maps"]


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
    """Maps (rows, columns, height, width) over (left, right, baseline, depth) feet, all on one colour scale.

    Arguments:
        titles: one for each map; heads: one for each column, above it.
        unit: of the colour bar; power: of the value that colour follows; top: the value at the darkest colour.
    """
    maps = numbers(maps)
    if maps.ndim != 4 or [len(r) for r in titles] != [maps.shape[1]] * maps.shape[0]:
        raise InvalidValue(f"maps must have shape (rows, columns, height, width) with a title each, got {maps.shape}")
    rows, columns = maps.shape[:2]
    figure, grid = page(2.15 * columns + 0.9, 2.05 * rows + 0.6, rows, columns)
    norm = mpl("matplotlib.colors").PowerNorm(power, vmin=0, vmax=top or float(np.quantile(maps, 0.999)))
    image = None
    for i, j in np.ndindex(rows, columns):
        ax = grid[i, j]
        image = ax.imshow(maps[i, j], origin="lower", extent=extent, cmap=heat(), norm=norm, zorder=0)
        draw_court(ax, depth=extent[3], labels=False, width=0.8)
        ax.set_title(titles[i][j], fontsize=SMALL, color=INK)
    for ax, head in zip(grid[0], heads):
        dress(ax)
        ax.annotate(head, (0.5, 1.16), xycoords="axes fraction", ha="center", fontsize=SMALL + 1, color=INK, fontweight="bold")
        for side in ax.spines.values():
            side.set_visible(False)
    bar(figure, image, list(grid.ravel()), unit, fraction=0.02, pad=0.01, extend="max", shrink=0.6)
    if title:
        figure.suptitle(title, fontsize=12.5, color=INK, x=0.01, ha="left")
    return figure
