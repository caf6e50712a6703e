"""The columns of tables side by side: histograms of numbers, bars of categories; maps of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.column_values import as_texts
from pushforward.core.columns import Column
from pushforward.core.dates import DAYS, SECONDS
from pushforward.core.space import Space
from pushforward.plots.comparisons import set_title
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    SMALL,
    add_colour_bar,
    diverging_colours,
    heat_colours,
    mpl,
    new_page,
    style_axes,
)

__all__ = ["cell_map", "table_margins"]

MOST_COLUMNS, MOST_CATEGORIES, BINS = 24, 8, 30
"""Panels, bars and bins that can be told apart on a page."""
LONGEST = 18
"""Characters of a category beside a bar."""


def table_margins(
    tables: Mapping[str, NDArray[np.float64]],
    space: Space,
    *,
    columns: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """The distribution of each column in several tables.

    Args:
        tables: rows (n, d) by name, NaN for missing values.
        space: of their columns.
        columns: positions to show; the first 24 if None.
    """
    shown = list(range(space.size) if columns is None else columns)[:MOST_COLUMNS]
    wide = min(4, len(shown))
    high = math.ceil(len(shown) / wide)
    figure, grid = new_page(2.9 * wide + 0.3, 2.1 * high + 0.6, high, wide)
    cells = np.atleast_1d(grid).ravel()
    for ax, j in zip(cells, shown):
        values = {name: x[~np.isnan(x[:, j]), j] for name, x in tables.items()}
        column = space.columns[j]
        (_bars if column.kind == "categorical" else _histogram)(ax, values, column)
        unit = f" ({column.unit})" if column.unit and column.unit not in (DAYS, SECONDS) else ""
        style_axes(ax, "", f"{space.names[j]}{unit}")
    for ax in cells[len(shown) :]:
        ax.set_visible(False)
    handles, labels = cells[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9.5
    )
    return set_title(figure, title)


def _histogram(ax: Axes, values: Mapping[str, NDArray[Any]], column: Column) -> None:
    together = np.concatenate(list(values.values()))
    if not len(together):
        return
    low, high = (float(v) for v in np.quantile(together, [0.002, 0.998]))
    if column.kind == "integer" and high - low <= BINS:
        edges = np.arange(math.floor(low), math.floor(high) + 2) - 0.5
    else:
        least = min(len(part) for part in values.values() if len(part))
        bins = min(BINS, max(6, round(2 * least ** (1 / 3))))  # Rice's rule
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    for i, (name, part) in enumerate(values.items()):
        if not len(part):
            continue
        heights = np.histogram(part, edges)[0] / len(part)
        if not i:
            ax.stairs(heights, edges, fill=True, color="#bbbbbb", label=name)
        else:
            ax.stairs(heights, edges, color=COLOURS[i - 1], linewidth=1.6, label=name)
    if column.unit in (DAYS, SECONDS):
        _date_ticks(ax, column)
    _percent_ticks(ax)


def _date_ticks(ax: Axes, column: Column) -> None:
    low, high = ax.get_xlim()
    at = np.linspace(low + 0.12 * (high - low), high - 0.12 * (high - low), 2)
    plain = replace(column, format="", dtype="", kind="integer")
    texts = as_texts(at.round(), plain) or []
    ax.set_xticks(at, [text[:10] for text in texts])


def _bars(ax: Axes, values: Mapping[str, NDArray[Any]], column: Column) -> None:
    count = len(column.categories)
    shares = {
        name: np.bincount(part.astype(int), minlength=count)[:count] / max(len(part), 1)
        for name, part in values.items()
    }
    first = next(iter(shares.values()))
    order = np.arange(count) if column.ordered else np.argsort(-first, kind="stable")
    order = order[:MOST_CATEGORIES]
    height = 0.8 / len(shares)
    for i, (name, share) in enumerate(shares.items()):
        colour = "#bbbbbb" if not i else COLOURS[i - 1]
        ax.barh(np.arange(len(order)) + i * height, share[order], height, color=colour, label=name)
    names = [str(column.categories[k]) for k in order]
    short = [n if len(n) <= LONGEST else n[: LONGEST - 1] + "…" for n in names]
    ax.set_yticks(np.arange(len(order)) + 0.4 - height / 2, short)
    ax.invert_yaxis()
    _percent_ticks(ax, of_x=True)


def _percent_ticks(ax: Axes, *, of_x: bool = False) -> None:
    axis = ax.xaxis if of_x else ax.yaxis
    axis.set_major_formatter(lambda value, place: f"{100 * value:.3g} %")
    axis.set_major_locator(mpl("matplotlib.ticker").MaxNLocator(3))


def cell_map(
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    label: str,
    texts: Sequence[Sequence[str]] | None = None,
    diverging: bool = True,
    most: float | None = None,
    title: str = "",
) -> Figure:
    """Values (rows, columns) as colours, with a text in each cell if given.

    Args:
        label: of the colours.
        diverging: white in the middle, for differences; else white for nothing.
        most: the value of the darkest colour; the largest there is if None.
    """
    wide, high = values.shape[1], values.shape[0]
    figure, ax = new_page(max(4.8, 1.9 + 0.62 * wide), max(2.4, 1.5 + 0.34 * high))
    finite = np.abs(values[np.isfinite(values)])
    top = most or (float(finite.max()) if len(finite) and finite.max() > 0 else 1.0)
    colours = diverging_colours() if diverging else heat_colours()
    image = ax.imshow(
        np.clip(values, -top, top),
        cmap=colours.with_extremes(bad="#eeeeee"),
        vmin=-top if diverging else 0,
        vmax=top,
        aspect="auto",
    )
    for i in range(high if texts is not None else 0):
        for j in range(wide):
            dark = np.isfinite(values[i, j]) and abs(values[i, j]) > 0.72 * top
            assert texts is not None
            ax.text(
                j, i, texts[i][j], ha="center", va="center", fontsize=SMALL - 1.5,
                color="white" if dark else INK,
            )  # fmt: skip
    ax.set_xticks(range(wide), columns, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(high), rows)
    style_axes(ax)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    add_colour_bar(figure, image, ax, label, fraction=0.05, pad=0.02)
    return set_title(figure, title)
