"""Panels side by side, each one call: points, curves, heat maps, images, paths, bars, diagrams.

A panel is a function that draws on axes. `panels(points(x), curves(t, {"p": p}))` makes the figure,
so that a figure of three parts takes three lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.space import Space
from pushforward.data.export.grids import image_grid
from pushforward.plots.comparisons import set_title
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    SMALL,
    add_colour_bar,
    add_legend,
    cyclic_colours,
    heat_colours,
    new_page,
    style_axes,
    to_numbers,
)

__all__ = ["Draw", "bars", "curves", "field", "heat", "images", "panels", "paths", "points"]

Draw: TypeAlias = Callable[[Axes], Any]
"""Draws one panel on its axes."""

PLANE = ("x0", "x1")
"""Names of the axes of points without names."""


def panels(
    *drawn: Draw,
    columns: int | None = None,
    side: float = 3.5,
    height: float | None = None,
    title: str = "",
) -> Figure:
    """A figure of panels, in rows of `columns` (all in one row by default).

    Args:
        side: width of a panel in inches.
        height: of a panel in inches; as its width by default.
    """
    if not drawn:
        raise InvalidValue("expected at least one panel, got none")
    columns = min(columns or len(drawn), len(drawn))
    rows = -(-len(drawn) // columns)
    figure, grid = new_page(
        side * columns + 0.3, (height or side) * rows + 0.35 * bool(title), rows, columns
    )
    axes = np.atleast_1d(grid).ravel()
    for ax, draw in zip(axes, drawn):
        draw(ax)
    for ax in axes[len(drawn) :]:
        ax.set_visible(False)
    return set_title(figure, title)


def points(
    x: Observations,
    title: str = "",
    *,
    over: Observations | None = None,
    colour: Observations | None = None,
    legend: Mapping[str, Observations] | None = None,
    limit: float | None = None,
    names: tuple[str, str] = PLANE,
    size: float = 2.5,
    angles: bool = False,
) -> Draw:
    """Points (n, 2), on equal axes.

    Args:
        over: points drawn below in grey, such as the data.
        colour: a number per point, or whole numbers below 8 for groups.
        legend: more points, each set in a colour of its own with its name.
        limit: show [-limit, limit]².
        size: of a dot.
        angles: whether the colours are angles, so that -π and π look alike.
    """

    def draw(ax: Axes) -> None:
        look: dict[str, Any] = {"linewidths": 0, "s": size**2}
        if over is not None:
            below = to_numbers(over)
            ax.scatter(below[:, 0], below[:, 1], c="#bbbbbb", label="data", **look)
        shade: Any = COLOURS[0] if colour is None else to_numbers(colour)
        if colour is not None and np.all(shade == np.floor(shade)) and np.max(shade) < len(COLOURS):
            shade = np.array(COLOURS)[np.asarray(shade, dtype=int)]
        if not isinstance(shade, str) and shade.dtype.kind == "f":
            look["cmap"] = cyclic_colours() if angles else "viridis"
        rows = to_numbers(x)
        ax.scatter(rows[:, 0], rows[:, 1], c=shade, alpha=0.75, **look)
        look.pop("cmap", None)
        for i, (name, more) in enumerate((legend or {}).items()):
            look = {"marker": "Xs^D"[i % 4], "color": COLOURS[1 + i % 7], "markersize": 9}
            ax.plot(
                *to_numbers(more).reshape(-1, 2).T, linestyle="none", markeredgecolor="white",
                label=name, **look,
            )  # fmt: skip
        if legend:
            add_legend(ax, loc="best")
        ax.set_aspect("equal", adjustable="datalim" if limit is None else "box")
        if limit is not None:
            ax.set_xlim(-limit, limit)
            ax.set_ylim(-limit, limit)
        style_axes(ax, title, *names)

    return draw


def curves(
    at: Observations,
    lines: Mapping[str, Observations],
    title: str = "",
    *,
    x: str = "x",
    y: str = "",
    fill: Observations | None = None,
    fill_name: str = "data",
    dashed: Sequence[str] = (),
    marks: Sequence[float] = (),
    log: str = "",
    low: float | None = None,
    high: float | None = None,
) -> Draw:
    """Curves {name: values (m,)} at positions (m,), with a legend.

    Args:
        x, y: labels of the axes, with units.
        fill: rows (n,), drawn as a grey histogram of density 1.
        dashed: names of curves drawn with dashes, which show what is below.
        marks: positions of vertical lines.
        log: axes that are logarithmic: 'x', 'y' or 'xy'.
        low, high: limits of the y axis.
    """

    def draw(ax: Axes) -> None:
        if fill is not None:
            rows = to_numbers(fill).ravel()
            ax.hist(rows, 50, density=True, color="#d5d5d5", label=fill_name)
        for i, (name, values) in enumerate(lines.items()):
            dash = "--" if name in dashed or i >= len(COLOURS) else "-"
            ax.plot(
                to_numbers(at).ravel(), to_numbers(values).ravel(), dash,
                color=COLOURS[i % len(COLOURS)], linewidth=1.7, label=name,
            )  # fmt: skip
        for mark in marks:
            ax.axvline(mark, color="#888888", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        for name in log:
            getattr(ax, f"set_{name}scale")("log")
        if low is not None or high is not None:
            ax.set_ylim(low, high)
        if len(lines) > 1 or fill is not None:
            add_legend(ax, loc="best")
        style_axes(ax, title, x, y)

    return draw


def heat(
    values: Observations,
    limits: tuple[float, float, float, float],
    title: str = "",
    *,
    names: tuple[str, str] = PLANE,
    unit: str = "density",
    high: float | None = None,
    over: Draw | None = None,
) -> Draw:
    """A map of numbers (rows, columns), the second axis along the rows, with its colour bar.

    Args:
        limits: left, right, bottom and top edge.
        unit: label of the colour bar.
        high: the number of the darkest colour.
        over: drawn on top, such as the outlines of a map.
    """

    def draw(ax: Axes) -> None:
        image = ax.imshow(
            to_numbers(values), origin="lower", extent=limits, cmap=heat_colours(), vmax=high,
            vmin=min(0.0, float(np.nanmin(to_numbers(values)))),
        )  # fmt: skip
        beyond = high is not None and float(np.nanmax(to_numbers(values))) > high
        look = {"fraction": 0.045, "pad": 0.02, "extend": "max" if beyond else "neither"}
        add_colour_bar(ax.figure, image, ax, unit, **look)  # type: ignore[arg-type]
        style_axes(ax, title, *names)
        if over is not None:
            over(ax)

    return draw


def field(
    function: Callable[[Tensor], Tensor],
    limits: tuple[float, float, float, float],
    title: str = "",
    *,
    cells: int = 200,
    **look: Any,
) -> Draw:
    """A heat map of a function of points, rows (n, 2) to numbers (n,), in double precision.

    Args:
        limits: left, right, bottom and top edge.
        cells: along the longer side; the function is evaluated at their middles.
        look: options of `heat`.

    Raises:
        ShapeMismatch: If the function does not return one number per row.
    """
    left, right, bottom, top = limits
    side = max(right - left, top - bottom) / cells
    columns, rows = round((right - left) / side), round((top - bottom) / side)
    across = left + (torch.arange(columns).double() + 0.5) * (right - left) / columns
    up = bottom + (torch.arange(rows).double() + 0.5) * (top - bottom) / rows
    with torch.no_grad():
        values = function(torch.cartesian_prod(up, across).flip(1))
    if values.numel() != rows * columns:
        raise ShapeMismatch(
            f"expected one number per point, ({rows * columns},), got {tuple(values.shape)}"
        )
    return heat(values.reshape(rows, columns), limits, title, **look)


def images(x: Tensor, space: Space, title: str = "", *, columns: int | None = None) -> Draw:
    """Images (n, channels, height, width) in the user's units, in rows of `columns`."""
    sheet = np.asarray(image_grid(x, space, columns))

    def draw(ax: Axes) -> None:
        ax.imshow(sheet, cmap="gray", vmin=0, vmax=255)
        ax.set_axis_off()
        style_axes(ax, title)

    return draw


def paths(
    lines: Mapping[str, Observations],
    title: str = "",
    *,
    names: tuple[str, str] = PLANE,
    limits: tuple[float, float, float, float] | None = None,
    over: Draw | None = None,
) -> Draw:
    """Paths {name: (steps, 2)} on equal axes, each with a dot at its end.

    Args:
        limits: left, right, bottom and top edge.
        over: drawn first, such as the outlines of a map.
    """

    def draw(ax: Axes) -> None:
        if over is not None:
            over(ax)
        for i, (name, line) in enumerate(lines.items()):
            way, colour = to_numbers(line), COLOURS[i % len(COLOURS)]
            look: dict[str, Any] = {"color": colour, "zorder": 5}
            ax.plot(way[:, 0], way[:, 1], linewidth=1.8, label=name, **look)
            ax.plot(way[-1:, 0], way[-1:, 1], "o", markersize=5, **look)
        if limits is not None:
            ax.set_xlim(limits[:2])
            ax.set_ylim(limits[2:])
        ax.set_aspect("equal")
        add_legend(ax, loc="best")
        style_axes(ax, title, *names)

    return draw


def bars(values: Mapping[str, float], title: str = "", *, x: str = "", digits: int = 2) -> Draw:
    """Horizontal bars {name: value}, the first on top, with their values.

    Args:
        x: label of the axis, with its unit.
        digits: significant digits of the values.
    """

    def draw(ax: Axes) -> None:
        places = np.arange(len(values))[::-1]
        heights = np.array(list(values.values()), dtype=float)
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(values))]
        ax.barh(places, heights, color=colours, height=0.62)
        for place, value in zip(places, heights):
            ax.annotate(
                f"{value:.{digits}g}", (value, place), xytext=(4, 0), va="center",
                textcoords="offset points", fontsize=SMALL, color=INK,
            )  # fmt: skip
        ax.set_yticks(places, list(values))
        ax.margins(x=0.18)
        style_axes(ax, title, x)

    return draw
