"""Traversals of latent dimensions: rows of images, or lines and categories of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pushforward.core.errors import InvalidKind
from pushforward.core.space import Space
from pushforward.latent.traversals import Traversal
from pushforward.plots.latent import format_values, name_categories, sheet
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import COLOURS, INK, MARKERS, SMALL, TEXT, TITLE, new_page, to_numbers

__all__ = ["traversal_sheet"]

MOST_CATEGORICAL = 3
"""Categorical columns that are drawn, each in a panel of its own: as wide as a page allows."""


def traversal_sheet(
    traversal: Traversal, space: Space, *, most: int = 10, title: str = ""
) -> Figure:
    """Each latent dimension varied alone, in order of effect: rows of images, or lines of columns.

    Args:
        most: number of dimensions to show.
    """
    order = traversal.order[:most].tolist()
    words = [f"z{k}  {_format_percent(float(traversal.share[k]))}" for k in order]
    if space.kind == "images":
        across = format_values(traversal.positions)
        names = "standard deviations from the centre", "dimension, and its share of all change"
        return sheet(traversal.x[order], space, across=across, down=words, names=names, title=title)
    if space.kind != "points":
        raise InvalidKind(
            f"expected images or points to draw, got {space}; save the codes and decode them"
            " instead"
        )
    draw = _with_categories if space.categorical else _lines
    return draw(traversal, space, order, words, title)


def _lines(
    traversal: Traversal, space: Space, order: list[int], words: list[str], title: str
) -> Figure:
    """One panel per dimension: the change of each column from the decoded centre, by its range."""
    columns = min(len(order), 3)
    height = -(-len(order) // columns)
    figure, grid = new_page(3.0 * columns + 1.3, 2.3 * height + 0.8, height, columns, sharey=True)
    panels = np.atleast_1d(grid).ravel()
    _draw_numbers(panels, traversal, space, range(len(space.columns)), order)
    for ax, text in zip(panels, words):
        ax.set_title(text, fontsize=TEXT, color=INK, loc="left")
    for ax in panels[len(order) :]:
        ax.set_visible(False)
    for ax in panels[::columns]:
        ax.set_ylabel("change / its range", fontsize=TEXT, color=INK)
    return _finish(figure, panels[0], title)


def _with_categories(
    traversal: Traversal, space: Space, order: list[int], words: list[str], title: str
) -> Figure:
    """A row of panels per dimension: numbers as in `_lines`, then the names of the categories that
    change most, one column a panel.
    """
    kinds = [column.kind == "categorical" for column in space.columns]
    numbers = [j for j, is_category in enumerate(kinds) if not is_category]
    x, t = to_numbers(traversal.x), to_numbers(traversal.positions)
    switches = (x[:, 1:] != x[:, :-1]).sum((0, 1))
    ranked = sorted((j for j in range(len(kinds)) if kinds[j]), key=lambda j: -switches[j])
    categorical, first = ranked[:MOST_CATEGORICAL], int(bool(numbers))
    width = first + len(categorical)
    figure, grid = new_page(3.2 * width + 1.3, 2.1 * len(order) + 0.8, len(order), width)
    panels = np.asarray(grid).reshape(len(order), width)
    if numbers:
        _draw_numbers(panels[:, 0], traversal, space, numbers, order)
        for ax in panels[1:, 0]:
            ax.sharey(panels[0, 0])
    for ax, text in zip(panels[:, 0], words):
        ax.set_ylabel("change / its range" if numbers else "", fontsize=TEXT, color=INK)
        ax.set_title(text, fontsize=TEXT, color=INK, loc="left")
    for row, k in zip(panels, order):
        for ax, j in zip(row[first:], categorical):
            ax.step(t, x[k, :, j], where="mid", color=INK, linewidth=1.2, marker="o", markersize=3)
            name_categories(ax.yaxis, space.columns[j])
            ax.set_ylim(-0.5, len(space.columns[j].categories) - 0.5)
            ax.set_title(space.names[j], fontsize=TEXT, color=INK, loc="right")
    return _finish(figure, panels[0, 0], title)


def _draw_numbers(
    panels: Iterable[Axes],
    traversal: Traversal,
    space: Space,
    columns: Sequence[int],
    order: Sequence[int],
) -> None:
    """The changes of the columns that change most, by their ranges, a panel for each dimension."""
    x, t = to_numbers(traversal.x)[..., list(columns)], to_numbers(traversal.positions)
    middle = x[:, len(t) // 2] if len(t) % 2 else (x[:, len(t) // 2 - 1] + x[:, len(t) // 2]) / 2
    changes = (x - middle[:, None]) / np.array(space.ranges)[list(columns)]
    shown = np.argsort(-np.abs(changes).max((0, 1)), kind="stable")[: len(COLOURS)]
    for ax, k in zip(panels, order):
        for i, j in enumerate(shown):
            ax.plot(
                t,
                changes[k, :, j],
                color=COLOURS[i],
                marker=MARKERS[i],
                markersize=3.5,
                linewidth=1.4,
                label=space.names[columns[j]],
            )
        ax.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)


def _finish(figure: Figure, first: Axes, title: str) -> Figure:
    """Add the label of the positions, the legend of the first panel, and the title."""
    figure.supxlabel("standard deviations from the centre", fontsize=TEXT, color=INK)
    handles, names = first.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside right upper", fontsize=SMALL, frameon=False)
    if title:
        figure.suptitle(title, fontsize=TITLE, color=INK, x=0.01, ha="left")
    return figure


def _format_percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 or share == 0 else f"{share:.1%}"
