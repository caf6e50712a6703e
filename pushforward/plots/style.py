"""One style for all plots: colour-blind-safe colours, and text readable in a README.

Everything is set on the figure itself; matplotlib's global settings are not changed.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.core.errors import InvalidValue, MissingExtra
from pushforward.core.folders import replace_on_exit
from pushforward.plots.matplotlib_types import (
    Annotation,
    Axes,
    Bbox,
    Colorbar,
    Colormap,
    Figure,
    Legend,
    RendererBase,
    ScalarMappable,
)

__all__ = [
    "COLOURS",
    "MARKERS",
    "INK",
    "new_page",
    "find_axes",
    "style_axes",
    "heat_colours",
    "diverging_colours",
    "cyclic_colours",
    "name_points",
    "add_legend",
    "add_shared_legend",
    "to_numbers",
    "write_figure",
    "mpl",
]

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00",
    "#56B4E9", "#7F4F24", "#555555", "#332288", "#BBBB55",
)  # fmt: skip
"""Okabe & Ito's colours (https://jfly.uni-koeln.de/color/) without yellow, which is invisible on
white, and four more, so that ten classes have ten. Each pair is at least 15 apart in CIELAB, also
as readers without red or green cones see it. Classes have a marker each as well.
"""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", "p")
INK = "#222222"
SMALL, TEXT, TITLE = 9.0, 10.5, 12.0
DPI = 110
LARGE = 190_000
"""Size in bytes above which a PNG is reduced to 256 colours."""


def mpl(name: str = "matplotlib") -> Any:
    """Import a module of matplotlib.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra("matplotlib", "plots", "drawing") from error


def new_page(
    width: float = 6.4, height: float = 4.8, rows: int = 1, columns: int = 1, **layout: Any
) -> tuple[Figure, Any]:
    """A new figure (inches) with axes in this style: one, or an array (rows, columns)."""
    figure = mpl("matplotlib.figure").Figure(
        figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white"
    )
    mpl("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **layout)
    for ax in axes.flat:
        style_axes(ax)
    return figure, axes[0, 0] if rows == columns == 1 else axes


def find_axes(ax: Axes | None, width: float = 6.4, height: float = 4.8) -> tuple[Figure, Axes]:
    """The given axes and their figure, or those of a new page."""
    if ax is None:
        return new_page(width, height)
    return ax.figure, ax  # type: ignore[return-value]


def style_axes(ax: Axes, title: str = "", x: str = "", y: str = "") -> Axes:
    """Set light spines, small ticks, and the title and labels if given."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#888888")
    ax.tick_params(colors=INK, labelsize=SMALL, length=3, color="#888888")
    if title:
        ax.set_title(title, fontsize=TITLE, color=INK, loc="left")
    if x:
        ax.set_xlabel(x, fontsize=TEXT, color=INK)
    if y:
        ax.set_ylabel(y, fontsize=TEXT, color=INK)
    return ax


def heat_colours() -> Colormap:
    """The colour map for amounts: white for nothing, through orange to dark."""
    colors = mpl("matplotlib.colors")
    stops = ["#ffffff", "#fff0cf", "#fdd49e", "#fdae61", "#ee7a2d", "#c6430f", "#7f1d05"]
    result: Colormap = colors.LinearSegmentedColormap.from_list("pushforward-heat", stops)
    return result.with_extremes(bad="white")


def diverging_colours() -> Colormap:
    """The colour map for differences: blue below, white in the middle, orange above."""
    colors = mpl("matplotlib.colors")
    stops = ["#08519c", "#4292c6", "#c6dbef", "#ffffff", "#fdd0a2", "#f16913", "#8c2d04"]
    result: Colormap = colors.LinearSegmentedColormap.from_list("pushforward-diverging", stops)
    return result


def cyclic_colours() -> Colormap:
    """The colour map for angles: its ends meet, and no part of it is lost on white."""
    colors = mpl("matplotlib.colors")
    stops = ["#332288", "#0072B2", "#009E73", "#E69F00", "#D55E00", "#AA3377", "#332288"]
    result: Colormap = colors.LinearSegmentedColormap.from_list("pushforward-cyclic", stops)
    return result


def to_numbers(x: object, what: str = "x") -> np.ndarray[Any, Any]:
    """A tensor, array or data frame as float64 numbers (n, …)."""
    if isinstance(x, Tensor):
        return x.detach().cpu().double().numpy()
    try:
        return np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidValue(
            f"{what} must be numbers to be drawn, got {type(x).__name__}; pass a tensor or an array"
        ) from error


def add_legend(ax: Axes, **options: Any) -> Legend:
    """Add a legend in this style; return it."""
    return ax.legend(
        fontsize=SMALL,
        labelcolor=INK,
        framealpha=0.9,
        edgecolor="#cccccc",
        fancybox=False,
        **options,
    )


def add_shared_legend(figure: Figure, ax: Axes, **options: Any) -> Legend:
    """Add one legend below all panels, for the lines and dots of one of them; return it."""
    handles, labels = ax.get_legend_handles_labels()
    settings = {"loc": "outside lower center", "ncols": len(labels), "fontsize": SMALL + 0.5}
    return figure.legend(handles, labels, frameon=False, **{**settings, **options})


def add_colour_bar(
    figure: Figure, image: ScalarMappable, ax: Axes | Sequence[Axes], label: str, **options: Any
) -> Colorbar:
    """Add a colour bar with its unit; return it."""
    result = figure.colorbar(image, ax=ax, **options)
    result.set_label(label, fontsize=TEXT, color=INK)
    result.ax.tick_params(labelsize=SMALL, colors=INK)
    result.outline.set_visible(False)
    return result


def name_points(
    ax: Axes,
    points: ArrayLike | Tensor,
    names: Sequence[str],
    *,
    size: float = SMALL,
    colour: str = INK,
    avoid: Sequence[Any] = (),
    dots: ArrayLike | Tensor | None = None,
    outward: bool = False,
) -> list[Any]:
    """Write names beside points (n, 2) without overlaps; limits must be set before.

    Positions around the point are tried, near ones first; a name farther away gets a thin line.
    `avoid` are artists and `dots` points (m, 2) not to cover; `outward` starts on the side away
    from the origin.
    """
    points = to_numbers(points)
    figure: Any = ax.figure
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    effects = mpl("matplotlib.patheffects")
    obstacles = [a.get_window_extent(renderer) for a in avoid]
    inside, artists = ax.get_window_extent(renderer), []
    marks = ax.transData.transform(
        points if dots is None else np.concatenate([points, to_numbers(dots)])
    )
    for point, name in zip(points, names):
        text = ax.annotate(
            name, point, xytext=(6, 0), textcoords="offset points", fontsize=size, color=colour,
            va="center", ha="left", zorder=6,
            path_effects=[effects.withStroke(linewidth=2.5, foreground="white")],
            annotation_clip=False,
        )  # fmt: skip
        first = float(np.degrees(np.arctan2(point[1], point[0]))) if outward else 0.0
        _place_text(text, obstacles, marks, inside, renderer, ax, point, first)
        obstacles.append(text.get_window_extent(renderer))
        artists.append(text)
    return artists


def _place_text(
    text: Annotation,
    obstacles: list[Any],
    dots: NDArray[Any],
    inside: Bbox,
    renderer: RendererBase,
    ax: Axes,
    point: NDArray[Any],
    first: float,
) -> None:
    best: tuple[float, float, Literal["center", "left", "right"]] = (6.0, 0.0, "left")
    least = float("inf")
    for far in (6, 12, 20, 30, 42):
        for turn in (0, 35, -35, 65, -65, 90, -90, 115, -115, 145, -145, 180):
            angle = (first + turn + 180) % 360 - 180
            dx, dy = far * np.cos(np.radians(angle)), far * np.sin(np.radians(angle))
            side: Literal["center", "left", "right"] = (
                "center" if 75 < abs(angle) < 105 else "left" if abs(angle) < 90 else "right"
            )
            text.set_position((dx, dy))
            text.set_horizontalalignment(side)
            box = text.get_window_extent(renderer)
            cost = far / 20 + sum(
                10 + _overlap(box, other) / 50 for other in obstacles if box.overlaps(other)
            )
            cost += 3 * sum(box.x0 < u < box.x1 and box.y0 < v < box.y1 for u, v in dots)
            outside = max(
                inside.x0 - box.x0, box.x1 - inside.x1, inside.y0 - box.y0, box.y1 - inside.y1, 0
            )
            cost += outside
            if cost < least - 1e-9:
                best, least = (dx, dy, side), cost
        if least < 3:
            break
    text.set_position(best[:2])
    text.set_horizontalalignment(best[2])
    if np.hypot(*best[:2]) > 10:
        line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
        ax.annotate(
            "",
            (point[0], point[1]),
            xytext=best[:2],
            textcoords="offset points",
            arrowprops=line,
            zorder=3,
        )


def _overlap(one: Bbox, two: Bbox) -> float:
    wide = min(one.x1, two.x1) - max(one.x0, two.x0)
    high = min(one.y1, two.y1) - max(one.y0, two.y0)
    return float(max(wide, 0) * max(high, 0))


def write_figure(figure: Figure, path: str | Path, *, dpi: float = DPI) -> Path:
    """Write the figure to a file (.png, .pdf, .svg), atomically; return the path."""
    path = Path(path)
    suffixes = figure.canvas.get_supported_filetypes()
    kind = path.suffix.lower().lstrip(".")
    if kind not in suffixes:
        raise InvalidValue(
            f"{path}: cannot draw a {path.suffix or 'file without a suffix'!r}; expected .png, .pdf"
            " or .svg"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_on_exit(path) as new:
        if kind == "png":
            _write_png(figure, new, dpi)
        else:
            figure.savefig(new, format=kind, dpi=dpi, bbox_inches="tight", pad_inches=0.08)
    return path


def _write_png(figure: Figure, path: Path, dpi: float) -> None:
    """Write a PNG; with 256 colours if large, at a third of the size without visible loss."""
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    figure.savefig(
        stream,
        format="png",
        dpi=dpi,
        metadata={"Software": None},
        bbox_inches="tight",
        pad_inches=0.08,
    )
    stream.seek(0)
    with Image.open(stream) as image:
        full = image.convert("RGB")
    small = BytesIO()
    full.save(small, format="PNG", optimize=True)
    if small.tell() > LARGE:
        small = BytesIO()
        full.quantize(
            256, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG
        ).save(small, format="PNG", optimize=True)
    path.write_bytes(small.getvalue())
