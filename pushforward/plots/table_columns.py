"""The columns of tables side by side: histograms of numbers, bars of categories; maps of cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.column_values import as_texts
from pushforward.core.columns import Column
from pushforward.core.dates import DAYS, SECONDS
from pushforward.core.space import Space
from pushforward.plots.comparisons import set_title
from pushforward.plots.lettering import lettering
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    SMALL,
    TEXT,
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
MISSING = "#eeeeee"
"""The colour of cells without a value."""
MOST_STEPS = 100
"""Values that a column can have in a bin, up to which bins hold equally many of them."""
LONGEST = 18
"""Characters of a category beside a bar, and of the text of a cell."""
LETTER = 0.07
"""Width of a character, inches."""


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
        columns: positions to show; all if None, the first 24 in any case.
        title: the number of columns that are not shown is added.
    """
    every = list(range(space.size) if columns is None else columns)
    shown = every[:MOST_COLUMNS]
    if len(every) > len(shown):
        title = f"{title} (the first {len(shown)} of {len(every)} columns)".strip()
    wide = min(4, len(shown))
    high = math.ceil(len(shown) / wide)
    parts = [space.columns[j] for j in shown]
    texts = [title, *tables, *space.names, *(str(c) for part in parts for c in part.categories)]
    with lettering(texts) as drawable:
        figure, grid = new_page(2.9 * wide + 0.3, 2.25 * high + 0.9, high, wide)
        cells = np.atleast_1d(grid).ravel()
        for ax, j, column in zip(cells, shown, parts):
            values = {drawable(name): x[~np.isnan(x[:, j]), j] for name, x in tables.items()}
            if column.kind == "categorical":
                _bars(ax, values, column, drawable)
            else:
                _histogram(ax, values, column)
            dated = column.unit in (DAYS, SECONDS)
            unit = f" ({column.unit})" if column.unit and not dated else ""
            ax.set_title(drawable(f"{space.names[j]}{unit}"), fontsize=TEXT, color=INK, loc="left")
        for ax in cells[len(shown) :]:
            ax.set_visible(False)
        handles, labels = cells[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(labels), frameon=False,
            fontsize=9.5,
        )  # fmt: skip
        return set_title(figure, drawable(title))


def _histogram(ax: Axes, values: Mapping[str, NDArray[Any]], column: Column) -> None:
    together = np.concatenate(list(values.values()))
    if not len(together):
        return
    edges = _edges(together, min(len(part) for part in values.values() if len(part)), column)
    for i, (name, part) in enumerate(values.items()):
        if not len(part):
            continue
        heights = np.histogram(part, edges)[0] / len(part)
        if not i:
            ax.stairs(heights, edges, fill=True, color="#bbbbbb", label=name)
        else:
            ax.stairs(heights, edges, color=COLOURS[i - 1], linewidth=1.6, label=name)
    if column.unit in (DAYS, SECONDS):
        _date_ticks(ax, column, edges)
    else:
        whole = column.kind == "integer"
        ax.xaxis.set_major_locator(mpl("matplotlib.ticker").MaxNLocator(4, integer=whole))
    _share_axis(ax)


def _edges(together: NDArray[Any], least: int, column: Column) -> NDArray[np.float64]:
    """The edges of bins that hold equally many of the values that a column can have.

    Args:
        together: the values of all tables.
        least: how many the smallest table has.
    """
    low, high = (float(v) for v in np.quantile(together, [0.002, 0.998]))
    bins = min(BINS, max(6, round(2 * least ** (1 / 3))))  # Rice's rule
    step = 1.0 if column.kind == "integer" else 10.0 ** -(column.decimals or 0)
    rounded = column.kind == "integer" or column.decimals is not None
    if rounded and high - low <= MOST_STEPS * bins * step:
        first, last = math.floor(low / step), math.floor(high / step)
        most = BINS if column.kind == "integer" and last - first < BINS else bins
        each = math.ceil((last - first + 1) / most)
        count = math.ceil((last - first + 1) / each)
        return np.asarray((first - 0.5 + each * np.arange(count + 1)) * step, dtype=np.float64)
    return np.linspace(low, high if high > low else low + 1, bins + 1, dtype=np.float64)


def _date_ticks(ax: Axes, column: Column, edges: NDArray[np.float64]) -> None:
    """Two or three round dates, as the table writes them."""
    dates = mpl("matplotlib.dates")
    each = 1.0 if column.unit == DAYS else 86400.0
    low, high = edges[0] / each, edges[-1] / each
    ends, inside = [dates.num2date(end) for end in (low, high)], np.empty(0)
    for most in range(3, 9):
        found = dates.AutoDateLocator(minticks=2, maxticks=most).tick_values(*ends)
        inside = found[(found >= low) & (found <= high)]
        if len(inside) > 1:
            break
    inside = inside[:: math.ceil(len(inside) / 3) or 1]
    whole = bool((inside == inside.round()).all())
    plain = replace(column, dtype="", kind="integer")
    texts = as_texts((inside * each).round(), plain) or []
    length = 10 if whole and (not column.format or " " in column.format) else None
    ax.set_xticks(inside * each, [_short_date(text, length) for text in texts])


def _short_date(text: str, length: int | None) -> str:
    """A date without its time, if that is midnight."""
    return text if length is None else text[:length].partition("T")[0].partition(" ")[0]


def _bars(
    ax: Axes,
    values: Mapping[str, NDArray[Any]],
    column: Column,
    drawable: Callable[[str], str],
) -> None:
    count = len(column.categories)
    shares = {
        name: np.bincount(part.astype(int), minlength=count)[:count] / max(len(part), 1)
        for name, part in values.items()
    }
    first = next(iter(shares.values()))
    order = np.arange(count) if column.ordered else np.argsort(-first, kind="stable")
    kept = order if count <= MOST_CATEGORIES else order[: MOST_CATEGORIES - 1]
    rest = order[len(kept) :]
    names = [_clip(drawable(str(column.categories[k]))) for k in kept]
    names += [f"{len(rest)} others"] if len(rest) else []
    height = 0.8 / len(shares)
    for i, (name, share) in enumerate(shares.items()):
        colour = "#bbbbbb" if not i else COLOURS[i - 1]
        lengths = [*share[kept], *([share[rest].sum()] if len(rest) else [])]
        ax.barh(np.arange(len(names)) + i * height, lengths, height, color=colour, label=name)
    ax.set_yticks(np.arange(len(names)) + 0.4 - height / 2, names)
    ax.invert_yaxis()
    _share_axis(ax, of_x=True)


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _share_axis(ax: Axes, *, of_x: bool = False) -> None:
    """Percentages, and what they are of."""
    axis = ax.xaxis if of_x else ax.yaxis
    axis.set_major_formatter(lambda value, place: f"{100 * value:.3g} %")
    axis.set_major_locator(mpl("matplotlib.ticker").MaxNLocator(3))
    axis.set_label_text("share of rows", fontsize=SMALL, color=INK)


def cell_map(
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    label: str,
    texts: Sequence[Sequence[str]] | None = None,
    diverging: bool = True,
    most: float | None = None,
    ticks: Mapping[float, str] | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Values (rows, columns) as colours, with a text in each cell if given.

    Args:
        label: of the colours.
        diverging: white in the middle, for differences; else white for nothing.
        most: the value of the darkest colour; the largest there is if None.
        ticks: texts of the scale of colours by value; numbers if None.
        note: below the title, in small letters.
    """
    cells = [list(map(_clip, row)) for row in texts or ()]
    finite = np.abs(values[np.isfinite(values)])
    top = most or (float(finite.max()) if len(finite) and finite.max() > 0 else 1.0)
    colours = diverging_colours() if diverging else heat_colours()
    with lettering([title, *rows, *columns, *(text for row in cells for text in row)]) as drawable:
        widths = _widths(cells, values.shape[1])
        figure, ax = new_page(
            max(4.8, 2.2 + LETTER * max(map(len, rows), default=0) + float(widths.sum())),
            max(2.6, 1.7 + 0.34 * values.shape[0]),
        )
        edges = np.concatenate([[0.0], widths.cumsum()])
        image = ax.pcolormesh(
            edges,
            np.arange(values.shape[0] + 1) - 0.5,
            np.ma.masked_invalid(np.clip(values, -top, top)),
            cmap=colours.with_extremes(bad=MISSING),
            vmin=-top if diverging else 0,
            vmax=top,
        )
        ax.invert_yaxis()
        middles = (edges[1:] + edges[:-1]) / 2
        for i, row in enumerate(cells):
            for j, text in enumerate(row):
                dark = np.isfinite(values[i, j]) and abs(values[i, j]) > 0.72 * top
                ax.text(
                    middles[j], i, drawable(text), ha="center", va="center", fontsize=SMALL - 1.5,
                    color="white" if dark else INK,
                )  # fmt: skip
        names = list(map(drawable, columns))
        ax.set_xticks(middles, names, rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(rows)), list(map(drawable, rows)))
        style_axes(ax)
        ax.tick_params(length=0)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)
        beyond = len(finite) and finite.max() > top
        extend = ("both" if diverging else "max") if beyond else "neither"
        bar = add_colour_bar(figure, image, ax, label, fraction=0.05, pad=0.02, extend=extend)
        ax.set_title(note, fontsize=SMALL, color=INK, loc="left")
        if ticks is not None:
            bar.set_ticks(list(ticks), labels=list(ticks.values()))
        return set_title(figure, drawable(title))


def _widths(cells: Sequence[Sequence[str]], count: int) -> NDArray[np.float64]:
    """The width of each column, inches: enough for its longest text."""
    longest = [max((len(row[j]) for row in cells), default=0) for j in range(count)]
    return np.maximum(0.62, LETTER * np.array(longest) + 0.18)
