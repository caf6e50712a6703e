"""Topological maps as graphs: nodes sized by their rows, coloured by a mean."""

from __future__ import annotations

import numpy as np

from pushforward.core.data_types import Observations
from pushforward.latent.topology import TopologicalMap
from pushforward.plots.matplotlib_types import Axes
from pushforward.plots.panels import Draw
from pushforward.plots.style import add_colour_bar, style_axes, to_numbers

__all__ = ["topology"]


def topology(
    graph: TopologicalMap,
    places: Observations,
    title: str = "",
    *,
    colour: Observations | None = None,
    quantity: str = "",
    names: tuple[str, str] = ("x0", "x1"),
) -> Draw:
    """A panel of a topological map, each node at the mean place of its rows.

    Args:
        places: of all rows (n, 2), such as two principal components.
        colour: a number per row (n,), whose mean colours a node.
        quantity: what the colour is, for its bar.
    """

    def draw(ax: Axes) -> None:
        at = graph.means(to_numbers(places)).numpy()
        for a, b in graph.edges:
            ax.plot(*at[[a, b]].T, color="#9a9a9a", linewidth=0.9, zorder=1)
        sizes = np.array([len(rows) for rows in graph.nodes])
        shade = sizes if colour is None else graph.means(to_numbers(colour)).numpy()
        look = {"cmap": "viridis", "edgecolors": "white", "linewidths": 0.8, "zorder": 2}
        area = 14 + 260 * sizes / sizes.max()
        dots = ax.scatter(at[:, 0], at[:, 1], s=area, c=shade, **look)  # type: ignore[arg-type]
        label = quantity or "rows"
        add_colour_bar(ax.figure, dots, ax, label, fraction=0.045, pad=0.02)  # type: ignore[arg-type]
        ax.set_aspect("equal", adjustable="datalim")
        style_axes(ax, title, *names)

    return draw
