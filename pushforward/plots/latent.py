"""Decoded codes: grids, paths and traversals, as sheets of images or curves over points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pushforward.core.columns import Column
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, ShapeMismatch
from pushforward.core.space import Space
from pushforward.data import image_grid
from pushforward.latent.decoding import Decoded
from pushforward.plots.matplotlib_types import Axis, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    MARKERS,
    SMALL,
    add_legend,
    new_page,
    style_axes,
    to_numbers,
)

__all__ = ["decoded_grid", "decoded_path", "format_values", "name_categories", "sheet"]

PADDING = 2
WIDEST, NARROWEST = 9.0, 3.6
"""Side of an image, inches."""
MOST_NAMES, LONGEST_NAME = 12, 14
"""Names of categories along an axis of two inches that stay readable, and characters of each."""


def decoded_grid(
    laid: Decoded,
    space: Space,
    *,
    dims: Sequence[int] = (0, 1),
    data: Observations | None = None,
    axes: Sequence[int] = (0, 1),
    title: str = "",
) -> Figure:
    """A grid of codes (rows, columns, latent), decoded to images, or to grid lines over points.

    Args:
        dims: the latent dimensions along it.
        data: points (n, d) to draw below the lines.
        axes: the two columns of points to draw.
    """
    if space.kind == "images":
        across = format_values(laid.codes[0, :, dims[0]])
        up = format_values(laid.codes[:, 0, dims[1]]) if len(dims) > 1 else None
        names = f"z{dims[0]}", f"z{dims[1]}" if up else ""
        return sheet(laid.x, space, across=across, down=up, names=names, title=title)
    figure, ax = _point_axes(space, data, axes, title)
    x = to_numbers(laid.x)[..., list(axes)]
    lines = [(x[i], COLOURS[0], "-") for i in range(x.shape[0])]
    if x.shape[0] > 1:
        lines += [(x[:, j], COLOURS[1], "--") for j in range(x.shape[1])]
    labelled = set()
    for line, colour, dashes in lines:
        varying, fixed = (dims[0], dims[-1]) if colour == COLOURS[0] else (dims[-1], dims[0])
        text = f"z{varying} moves" + (f", z{fixed} stays" if len(dims) > 1 else "")
        ax.plot(
            *line.T,
            dashes,
            color=colour,
            linewidth=1.1,
            alpha=0.9,
            label=None if text in labelled else text,
        )
        labelled.add(text)
    add_legend(ax, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def decoded_path(
    path: Decoded,
    space: Space,
    *,
    data: Observations | None = None,
    axes: Sequence[int] = (0, 1),
    across: Sequence[str] | None = None,
    down: Sequence[str] | None = None,
    meaning: str = "share of the way",
    title: str = "",
) -> Figure:
    """Paths of codes (steps, n, latent) or (steps, latent), decoded to images, or to curves.

    Args:
        across: labels of the steps (by default shares of the way).
        meaning: the label of their axis.
        down: labels of the paths.
        data: points (n, d) to draw below the curves.
        axes: the two columns of points to draw.
    """
    observed = path.x if path.codes.ndim == 3 else path.x[:, None]
    if space.kind == "images":
        words = [f"{t:.2g}" for t in np.linspace(0, 1, len(observed))] if across is None else across
        return sheet(
            observed.transpose(0, 1),
            space,
            across=words,
            down=down,
            names=(meaning, ""),
            title=title,
        )
    figure, ax = _point_axes(space, data, axes, title)
    curves = to_numbers(observed)[..., list(axes)]
    for i in range(curves.shape[1]):
        colour = COLOURS[i % len(COLOURS)]
        marker = MARKERS[(i // len(COLOURS)) % len(MARKERS)]
        ax.plot(
            *curves[:, i].T,
            "-",
            color=colour,
            linewidth=1.6,
            marker=marker,
            markersize=3.5,
            label=None if down is None else down[i],
        )
        ax.plot(
            *curves[:1, i].T,
            marker,
            color="white",
            markeredgecolor=colour,
            markersize=9,
            markeredgewidth=1.8,
        )
        ax.plot(*curves[-1:, i].T, marker, color=colour, markersize=9)
    note = "from the open to the filled marker"
    ax.text(
        0.99, 0.01, note, transform=ax.transAxes, ha="right", va="bottom", fontsize=SMALL, color=INK
    )
    if down is not None:
        add_legend(ax, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def sheet(
    x: Tensor,
    space: Space,
    *,
    across: Sequence[str] | None = None,
    down: Sequence[str] | None = None,
    names: tuple[str, str] = ("", ""),
    title: str = "",
) -> Figure:
    """Images (rows, columns, channels, height, width) edge to edge,
    with labels of columns and rows.

    `names` are the labels of the two axes. If there are many labels,
    only every second or third is shown.
    """
    if x.ndim != 5:
        raise ShapeMismatch(
            f"expected images (rows, columns, channels, height, width), got shape {tuple(x.shape)}"
        )
    rows, columns = x.shape[:2]
    image = np.asarray(image_grid(x.flatten(0, 1), space, columns, padding=PADDING))
    step_y, step_x = (image.shape[0] - PADDING) / rows, (image.shape[1] - PADDING) / columns
    wide = min(max(0.62 * columns, NARROWEST), WIDEST)
    high = wide * image.shape[0] / image.shape[1]
    figure, ax = new_page(
        wide + (1.0 if down else 0.2), high + 0.4 + 0.35 * bool(title) + 0.25 * bool(names[0])
    )
    ax.imshow(
        image,
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=(0, image.shape[1], image.shape[0], 0),
        zorder=0,
    )
    style_axes(ax, title, *names)
    for side in ax.spines.values():
        side.set_visible(False)
    _ticks(ax.xaxis, across, step_x, room=wide / columns / 0.36)
    _ticks(ax.yaxis, down, step_y, room=high / rows / 0.2)
    ax.tick_params(length=0, pad=2)
    return figure


def _ticks(axis: Axis, words: Sequence[str] | None, step: float, room: float) -> None:
    """Labels at the middles of cells; every second (third, …) if they are too wide.

    `room` is the width of a label as a share of its cell.
    """
    if not words:
        axis.set_ticks([])
        return
    every = max(1, int(np.ceil(1 / room)))
    places = range((len(words) - 1) % every // 2, len(words), every)
    axis.set_ticks(
        [PADDING / 2 + (i + 0.5) * step for i in places],
        [words[i] for i in places],
        fontsize=SMALL,
        color=INK,
    )


def _point_axes(
    space: Space, data: Observations | None, axes: Sequence[int], title: str
) -> tuple[Figure, Any]:
    """Axes over the data, if there are any."""
    if space.kind != "points" or space.size < 2:
        raise InvalidKind(
            f"expected images, or points of 2 coordinates or more, got {space}; a traversal can be"
            " drawn of any points"
        )
    if len(axes) != 2 or len(set(axes)) != 2 or not all(0 <= a < space.size for a in axes):
        raise InvalidKind(
            f"expected two different columns of {space.size} to draw, got {tuple(axes)}"
        )
    figure, ax = new_page(6.4, 5.4)
    if data is not None:
        points = to_numbers(data)[:, list(axes)]
        size = 12 if len(points) < 1000 else 5
        ax.scatter(
            *points.T,
            s=size,
            c="#bbbbbb",
            alpha=0.6,
            linewidths=0,
            zorder=0,
            rasterized=len(points) > 5000,
            label="data",
        )
    style_axes(ax, title, *(space.names[a] for a in axes))
    for axis, a in zip((ax.xaxis, ax.yaxis), axes):
        if space.columns[a].kind == "categorical":
            name_categories(axis, space.columns[a])
    return figure, ax


def name_categories(axis: Axis, column: Column) -> None:
    """The names of a column's categories along an axis of their codes.

    Every second (third, …) if there are many.
    """
    every = -(-len(column.categories) // MOST_NAMES)
    places = range(0, len(column.categories), every)
    names = [shorten_name(column.categories[k]) for k in places]
    axis.set_ticks(list(places), names, fontsize=SMALL, color=INK)


def shorten_name(name: str) -> str:
    """A name that fits beside an axis."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def format_values(codes: Tensor) -> list[str]:
    """Short numbers, without negative zeros."""
    return [
        f"{round(float(v), 2) + 0.0:.2g}" if abs(float(v)) < 10 else f"{float(v):.0f}"
        for v in codes
    ]
