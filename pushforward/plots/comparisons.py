"""Side-by-side plots: points and densities, errors against work, and effects of a setting.

Panels that are compared share axes and colours, so that only the data differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidValue
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    MARKERS,
    SMALL,
    TITLE,
    add_colour_bar,
    add_legend,
    add_shared_legend,
    heat_colours,
    new_page,
    style_axes,
    to_numbers,
)

__all__ = ["compare_densities", "compare_points", "compare_errors", "compare_settings", "set_title"]


def compare_densities(
    points: Mapping[str, Any],
    maps: Mapping[str, Any],
    *,
    limit: float,
    names: tuple[str, str] = ("x0", "x1"),
    title: str = "",
) -> Figure:
    """Points (n, 2) and densities (cells, cells) on [-limit, limit]², side by side.

    The densities share one colour scale, from 0 to their maximum;
    their second axis is along the rows.
    """
    heads = [*points, *maps]
    grids = {head: to_numbers(values, head) for head, values in maps.items()}
    if not grids:
        raise InvalidValue("expected at least one density to draw, got none")
    figure, axes = new_page(3.0 * len(heads) + 0.8, 3.9, 1, len(heads), sharex=True, sharey=True)
    top = max(float(values.max()) for values in grids.values())
    image = None
    for ax, head in zip(np.atleast_1d(axes).ravel(), heads):
        if head in grids:
            box = (-limit, limit, -limit, limit)
            image = ax.imshow(
                grids[head],
                origin="lower",
                extent=box,
                cmap=heat_colours(),
                vmin=0,
                vmax=top,
                zorder=0,
            )
        else:
            ax.plot(
                *to_numbers(points[head], head).T,
                ".",
                color=COLOURS[0],
                markersize=1.8,
                alpha=0.5,
                markeredgewidth=0,
            )
        ax.set_aspect("equal")
        ax.set_xlim(-limit, limit)
        ax.set_ylim(-limit, limit)
        style_axes(ax, head, names[0], names[1] if head == heads[0] else "")
    assert image is not None  # there is at least one panel
    add_colour_bar(
        figure,
        image,
        list(np.atleast_1d(axes).ravel()),
        "density per unit area",
        fraction=0.02,
        pad=0.01,
        shrink=0.8,
    )
    return set_title(figure, title)


def compare_points(
    rows: Mapping[str, Mapping[str, Any]],
    *,
    words: Mapping[tuple[str, str], str] | None = None,
    title: str = "",
) -> Figure:
    """Points in the plane side by side: {row: {panel: (n, 2)}}.

    The panels of a row have the scale of the first one, the data.
    `words` by (row, panel) are printed under a panel's name.
    """
    if not rows or not all(rows.values()):
        raise InvalidValue("expected at least one row of points to draw, got none")
    columns = max(len(panels) for panels in rows.values())
    figure, grid = new_page(3.1 * columns + 0.3, 3.3 * len(rows) + 0.3, len(rows), columns)
    for axes, (row, panels) in zip(np.atleast_2d(grid), rows.items()):
        sets = {name: to_numbers(x, name) for name, x in panels.items()}
        first = next(iter(sets.values()))
        middle, reach = (first.max(0) + first.min(0)) / 2, 0.62 * float(np.ptp(first, axis=0).max())
        for place, (ax, (name, x)) in enumerate(zip(axes, sets.items())):
            ax.plot(
                *x.T,
                ".",
                color="#777777" if place == 0 else COLOURS[0],
                markersize=2.2,
                alpha=0.5,
                markeredgewidth=0,
            )
            ax.set_xlim(middle[0] - reach, middle[0] + reach)
            ax.set_ylim(middle[1] - reach, middle[1] + reach)
            ax.set_aspect("equal")
            style_axes(ax, "", "x0", "x1" if place == 0 else "")
            under = (words or {}).get((row, name), "")
            ax.set_title(
                f"{row}: {name}" + (f"\n{under}" if under else ""),
                fontsize=SMALL + 1.5,
                color=INK,
                loc="left",
            )
    return set_title(figure, title)


def compare_errors(
    panels: Mapping[str, Mapping[str, tuple[Any, Any]]],
    *,
    x: str,
    y: str,
    line: float | None = None,
    line_name: str = "",
    title: str = "",
) -> Figure:
    """|error| against work for each panel and method: the median, and a band between the quartiles.

    Args:
        panels: {panel: {method: (work (m,), errors (m, n))}}; both axes are logarithmic.
        x, y: labels of the axes, with units.
        line, line_name: an error to mark, and its name.
    """
    figure, axes = new_page(3.7 * len(panels) + 0.6, 4.3, 1, len(panels), sharey=True)
    for place, (ax, (head, methods)) in enumerate(zip(np.atleast_1d(axes).ravel(), panels.items())):
        for i, (method, (work, errors)) in enumerate(methods.items()):
            errors = np.abs(to_numbers(errors, method))
            low, middle, high = np.quantile(errors, [0.25, 0.5, 0.75], axis=1)
            ax.fill_between(to_numbers(work), low, high, color=COLOURS[i], alpha=0.2, linewidth=0)
            ax.plot(
                to_numbers(work),
                middle,
                color=COLOURS[i],
                marker=MARKERS[i],
                markersize=4.5,
                linewidth=1.6,
                label=method,
            )
        if line is not None:
            ax.axhline(line, color="#888888", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            if place == 0:
                ax.annotate(
                    line_name,
                    (1, line),
                    xycoords=("axes fraction", "data"),
                    xytext=(-2, 3),
                    textcoords="offset points",
                    ha="right",
                    fontsize=SMALL,
                    color="#555555",
                )
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.grid(True, which="major", color="#e6e6e6", linewidth=0.7, zorder=0)
        style_axes(ax, head, x, y if place == 0 else "")
    first = np.atleast_1d(axes).ravel()[0]
    add_shared_legend(figure, first, labelcolor=INK)
    return set_title(figure, title)


def compare_settings(
    setting: Sequence[float],
    curves: Sequence[tuple[str, Mapping[str, tuple[Any, Any]]]],
    *,
    x: str,
    mark: float | None = None,
    marked: Sequence[Mapping[str, float]] = (),
    mark_name: str = "",
    title: str = "",
) -> Figure:
    """The effect of a setting on a log axis: {y label: {curve: (values (m,), errors (m,))}}.

    Args:
        mark: a fitted setting, drawn as a line.
        marked: its values by panel and curve.
    """
    figure, axes = new_page(3.5 * len(curves), 3.7, 1, len(curves))
    for i, (ax, (label, lines)) in enumerate(zip(np.atleast_1d(axes).ravel(), curves)):
        for j, (name, (values, errors)) in enumerate(lines.items()):
            look = {
                "color": COLOURS[j],
                "marker": MARKERS[j],
                "markersize": 5,
                "linewidth": 1.6,
                "capsize": 2,
            }
            ax.errorbar(
                setting, to_numbers(values), yerr=2 * to_numbers(errors), label=name, **look
            )
            if mark is not None and i < len(marked) and name in marked[i]:
                ax.plot(
                    [mark],
                    [marked[i][name]],
                    MARKERS[j],
                    color="white",
                    markeredgecolor=COLOURS[j],
                    markersize=9,
                    markeredgewidth=1.8,
                )
        if mark is not None:
            ax.axvline(
                mark,
                color="#888888",
                linewidth=1,
                linestyle=(0, (4, 3)),
                zorder=0,
                label=mark_name if i == 0 else None,
            )
        ax.set_xscale("log")
        ax.set_xticks(list(setting), [f"{s:.2g}" for s in setting])
        ax.set_xticks([], minor=True)
        if all(float(to_numbers(values).min()) >= 0 for values, _ in lines.values()):
            ax.set_ylim(0, None)
        style_axes(ax, "", x, label)
        if len(lines) > 1 or (mark is not None and i == 0):
            add_legend(ax)
    return set_title(figure, title)


def set_title(figure: Figure, title: str) -> Figure:
    """Set a title over all panels, if there is one; return the figure."""
    if title:
        figure.suptitle(title, fontsize=TITLE + 0.5, color=INK, x=0.01, ha="left")
    return figure
