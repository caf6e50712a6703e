"""Metrics side by side: a panel per metric, a row per model,
dots with error bars, and reference lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidValue
from pushforward.plots.comparisons import set_title
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import COLOURS, INK, MARKERS, SMALL, TEXT, new_page, style_axes

__all__ = ["measures"]

Runs = Sequence[tuple[float, float]]


def measures(
    panels: Mapping[str, Mapping[str, Runs]],
    *,
    lines: Mapping[str, float] | None = None,
    line_name: str = "",
    title: str = "",
) -> Figure:
    """Values and standard errors of one or more runs: {panel: {model: [(value, error), …]}}.

    Error bars are two standard errors to either side. Several runs of a model have a dot each, and
    a large dot at their median. `lines` marks a value in a panel.
    """
    if not panels or not all(panels.values()):
        raise InvalidValue("expected at least one measure with a value to draw, got none")
    names = list(dict.fromkeys(name for rows in panels.values() for name in rows))
    columns = min(4, len(panels))
    down = math.ceil(len(panels) / columns)
    figure, axes = new_page(
        2.9 * columns + 0.4, (0.32 * len(names) + 1.15) * down + 0.7, down, columns
    )
    flat = np.atleast_1d(axes).ravel()
    for place, (ax, (head, rows)) in enumerate(zip(flat, panels.items())):
        for i, name in enumerate(names):
            _dots(ax, len(names) - 1 - i, rows.get(name, ()), i)
        if lines is not None and head in lines:
            ax.axvline(
                lines[head],
                color="#888888",
                linewidth=1.2,
                linestyle=(0, (4, 3)),
                zorder=0,
                label=line_name,
            )
        ax.set_yticks(range(len(names)), names[::-1] if place % columns == 0 else [""] * len(names))
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.margins(x=0.18)
        ax.tick_params(axis="y", labelsize=TEXT, length=0)
        ax.grid(True, axis="x", color="#e6e6e6", linewidth=0.7, zorder=0)
        ax.locator_params(axis="x", nbins=4)
        ax.set_title(head, fontsize=TEXT, color=INK, loc="left")
        style_axes(ax)
    for ax in flat[len(panels) :]:
        ax.set_axis_off()
    marked = next((ax for ax, head in zip(flat, panels) if lines and head in lines), None)
    if marked is not None:
        handles, labels = marked.get_legend_handles_labels()
        figure.legend(
            handles[-1:],
            labels[-1:],
            loc="outside lower center",
            fontsize=SMALL + 0.5,
            frameon=False,
            labelcolor=INK,
        )
    return set_title(figure, title)


def _dots(ax: Axes, at: float, runs: Runs, colour: int) -> None:
    """Draw one model's dots in one panel."""
    if not runs:
        return
    values = np.array([value for value, _ in runs])
    errors = np.array([error if math.isfinite(error) else 0.0 for _, error in runs])
    look: dict[str, Any] = {
        "color": COLOURS[colour % len(COLOURS)],
        "marker": MARKERS[colour % len(MARKERS)],
        "markersize": 7,
        "capsize": 3,
    }
    if len(runs) == 1:
        ax.errorbar(values, [at], xerr=2 * errors, linestyle="none", **look)
        return
    ax.plot(
        values,
        np.full(len(runs), at),
        linestyle="none",
        color=look["color"],
        marker=look["marker"],
        markersize=4,
        alpha=0.5,
    )
    ax.plot(
        [np.median(values)],
        [at],
        linestyle="none",
        color=look["color"],
        marker=look["marker"],
        markersize=9,
    )
