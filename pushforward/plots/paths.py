"""Paths of two parameters in the plane, one panel each, with starts, ends and the equilibrium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidValue
from pushforward.plots.comparisons import set_title
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    TEXT,
    add_shared_legend,
    new_page,
    style_axes,
    to_numbers,
)

__all__ = ["paths_in_plane"]

WRAP = 4
"""Panels per row: more are too narrow on a page."""


def paths_in_plane(
    paths: Mapping[str, Any],
    *,
    words: Mapping[str, str] | None = None,
    names: tuple[str, str] = ("x0", "x1"),
    title: str = "",
) -> Figure:
    """Paths (steps, 2), from light to dark, on equal axes around the origin.

    All panels have the scale of the median path; longer paths are clipped.
    `words` by panel are printed under its name.
    """
    if not paths:
        raise InvalidValue("expected at least one path to draw, got none")
    lines = {name: to_numbers(path, name) for name, path in paths.items()}
    reach = 1.4 * max(
        np.median([np.abs(line).max() for line in lines.values()]),
        *(np.abs(line[0]).max() for line in lines.values()),
    )
    columns = min(WRAP, len(lines))
    rows = -(-len(lines) // columns)
    figure, grid = new_page(
        2.9 * columns + 0.3, 3.1 * rows + 0.4, rows, columns, sharex=True, sharey=True
    )
    axes = np.atleast_1d(grid).ravel()
    for ax in axes[len(lines) :]:
        ax.set_visible(False)
    for place, (ax, (name, line)) in enumerate(zip(axes, lines.items())):
        _path(ax, line)
        ax.set_xlim(-reach, reach)
        ax.set_ylim(-reach, reach)
        ax.set_aspect("equal")
        style_axes(
            ax,
            "",
            names[0] if place >= len(lines) - columns else "",
            names[1] if place % columns == 0 else "",
        )
        under = (words or {}).get(name, "")
        ax.set_title(
            name + (f"\n{under}" if under else ""), fontsize=TEXT - 0.5, color=INK, loc="left"
        )
    add_shared_legend(figure, axes[0])
    return set_title(figure, title)


def _path(ax: Axes, line: np.ndarray[Any, Any]) -> None:
    """Draw a line that darkens, its two ends, and the origin."""
    ax.axhline(0, color="#dddddd", linewidth=0.8, zorder=0)
    ax.axvline(0, color="#dddddd", linewidth=0.8, zorder=0)
    parts = np.array_split(np.arange(len(line)), min(24, len(line) - 1))
    for i, part in enumerate(parts):
        steps = line[part[0] : part[-1] + 2]
        ax.plot(
            *steps.T,
            color=COLOURS[0],
            linewidth=1.1,
            alpha=0.25 + 0.75 * (i + 1) / len(parts),
            solid_capstyle="butt",
        )
    ax.plot(
        *line[0],
        "o",
        color="white",
        markeredgecolor=COLOURS[0],
        markersize=7,
        markeredgewidth=1.6,
        label="start",
        linestyle="none",
    )
    ax.plot(*line[-1], "o", color=COLOURS[1], markersize=6, label="end", linestyle="none", zorder=4)
    ax.plot(0, 0, "+", color=INK, markersize=9, label="solution", linestyle="none", zorder=3)
