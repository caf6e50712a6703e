"""Training over time, in plots of the same codes: strips (one figure) and films (a GIF).

A panel is a function that draws frame i on axes; a strip draws some of the frames side by side, a
film one after the other. Scales are common to all frames, so that only the samples move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.folders import replace_on_exit
from pushforward.core.space import Space
from pushforward.data import image_grid
from pushforward.plots.comparisons import set_title
from pushforward.plots.latent import sheet
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    TEXT,
    add_shared_legend,
    mpl,
    new_page,
    style_axes,
    to_numbers,
)

__all__ = [
    "strip",
    "film",
    "choose_frames",
    "panel_of",
    "scatter",
    "histogram",
    "image_strip",
    "image_film",
    "image_walk",
    "write_film",
]

Panel = Callable[[Any, int], None]

WRAP = 4
"""Columns of frames in a strip with one panel."""
SIDE = 2.1
"""Side of a frame in a strip, inches."""
LEGEND = 2.1
"""Largest width of a legend entry, inches."""
SECONDS, HOLD = 0.12, 2.0
"""Seconds for which a frame, and the last frame, are shown."""
LONGEST = 655
"""Most seconds per frame: GIF counts hundredths in 16 bits."""
BINS = 60
"""Bins of histograms: columns of a few pixels."""
EDGE = 0.2
"""Margin around points, as a share of their range: samples leave the data during training."""
WALK = 480
"""Pixels up to which the frames of a walk through codes are enlarged."""


def choose_frames(times: Sequence[float], most: int = 8) -> list[int]:
    """Choose frames for a strip: the first, the last, and times that grow geometrically between."""
    if most < 2:
        raise InvalidValue(f"a strip has at least 2 frames, got {most}")
    if len(times) <= most:
        return list(range(len(times)))
    at = np.asarray(times, dtype=float)
    # from the end, which has priority
    targets = np.geomspace(at[-1], at[1], most - 1)
    frames = sorted({0, *(int(np.abs(at - t).argmin()) for t in targets)})
    spare = [
        i for i in np.linspace(0, len(at) - 1, len(at)).astype(int).tolist() if i not in frames
    ]
    while len(frames) < most:  # several target times may have one frame: fill the widest gaps
        gap = max(spare, key=lambda i: min(abs(i - j) for j in frames))
        frames, spare = sorted([*frames, gap]), [i for i in spare if i != gap]
    return frames


def strip(
    panels: Mapping[str, Panel],
    times: Sequence[str],
    chosen: Sequence[int],
    *,
    title: str = "",
    side: float = SIDE,
) -> Figure:
    """A figure of the chosen frames, one row per panel and one column per time.

    A single panel is wrapped over several rows. `side` is that of a frame, in inches.
    """
    if not panels or not chosen:
        raise InvalidValue("a strip needs at least one panel and one frame, got none")
    columns = len(chosen) if len(panels) > 1 else min(len(chosen), WRAP)
    rows = len(panels) if len(panels) > 1 else -(-len(chosen) // columns)
    figure, grid = new_page(
        side * columns + 0.5,
        side * rows + 0.4 + 0.3 * bool(title),
        rows,
        columns,
        sharex=len(panels) == 1,
        sharey="row",
    )
    axes = np.atleast_1d(grid).ravel()
    for ax in axes[len(panels) * len(chosen) :]:
        ax.set_visible(False)
    cells = [(name, panel, i) for name, panel in panels.items() for i in chosen]
    for place, (ax, (name, panel, i)) in enumerate(zip(axes, cells)):
        panel(ax, i)
        head = place < columns or len(panels) == 1
        ax.set_title(times[i] if head else "", fontsize=TEXT, color=INK, loc="left")
        if place % columns:
            ax.set_ylabel("")
        elif len(panels) > 1:
            ax.set_ylabel(name, fontsize=TEXT, color=INK)
    return _with_legend(set_title(figure, title), axes[0])


def film(
    panels: Mapping[str, Panel],
    times: Sequence[str],
    *,
    columns: int | None = None,
    side: float = 3.4,
) -> Iterator[Image.Image]:
    """Yield every frame as an image with all panels side by side; `side` of a panel in inches."""
    columns = columns or len(panels)
    rows = -(-len(panels) // columns)
    figure, grid = new_page(side * columns + 0.4, side * rows + 0.5, rows, columns)
    axes = np.atleast_1d(grid).ravel()
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    head = figure.suptitle(times[0], fontsize=TEXT, color=INK, x=0.01, ha="left")
    for i, time in enumerate(times):
        for ax, (name, panel) in zip(axes, panels.items()):
            ax.clear()
            style_axes(ax)
            panel(ax, i)
            ax.set_title(name, fontsize=TEXT, color=INK, loc="left")
        head.set_text(time)
        if i == 0:
            _with_legend(figure, axes[0])
        figure.canvas.draw()
        figure.set_layout_engine("none")  # from now on the layout is fixed
        yield Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")  # type: ignore[attr-defined]


def _with_legend(figure: Figure, ax: Axes) -> Figure:
    """Add one legend, below, for the lines and dots of all panels."""
    _, words = ax.get_legend_handles_labels()
    if words:
        columns = min(len(words), max(1, int(figure.get_figwidth() // LEGEND)))
        legend = add_shared_legend(figure, ax, ncols=columns)
        for handle in legend.legend_handles:
            if handle is not None and hasattr(handle, "set_sizes"):
                handle.set_sizes([18.0])
    return figure


# ------------------------------------------------------------------------------------------- points


def panel_of(
    x: Sequence[Any],
    space: Space,
    *,
    data: Observations | None = None,
    axes: tuple[int, int] = (0, 1),
) -> Panel:
    """The panel for points: a histogram of one column, or a scatter plot of two.

    Raises:
        InvalidKind: For anything else.
    """
    if space.kind != "points":
        raise InvalidKind(
            f"expected points, got {space}; use image_strip and image_film for images"
        )
    if space.size == 1:
        return histogram(x, data=data, name=space.names[0])
    return scatter(
        [to_numbers(v)[:, list(axes)] for v in x],
        data=None if data is None else to_numbers(data)[:, list(axes)],
        names=(space.names[axes[0]], space.names[axes[1]]),
    )


def scatter(
    x: Sequence[Any],
    *,
    data: Observations | None = None,
    names: tuple[str, str] = ("x0", "x1"),
    equal: bool = False,
) -> Panel:
    """Points (n, 2) of every frame over the data.

    A code's colour is the direction of its last position.
    """
    frames, under = [to_numbers(v) for v in x], None if data is None else to_numbers(data)
    sets = frames[-1:] if under is None else [under]
    low, high = (np.quantile(np.concatenate(sets), q, axis=0) for q in (0.001, 0.999))
    edge = np.maximum(EDGE * (high - low), 1e-9)
    end = frames[-1] - (frames[-1] if under is None else under).mean(0)
    colours = mpl().colormaps["hsv"]((np.arctan2(end[:, 1], end[:, 0]) / (2 * np.pi)) % 1) * [
        0.82,
        0.82,
        0.82,
        1,
    ]

    def draw(ax: Axes, i: int) -> None:
        if under is not None:
            ax.scatter(
                under[:, 0],
                under[:, 1],
                s=4,
                c="#bbbbbb",
                linewidths=0,
                zorder=0,
                label="data",
                rasterized=True,
            )
        ax.scatter(
            frames[i][:, 0],
            frames[i][:, 1],
            s=5,
            c=colours,
            linewidths=0,
            zorder=2,
            label="samples, coloured by where they end",
        )
        ax.set_xlim(low[0] - edge[0], high[0] + edge[0])
        ax.set_ylim(low[1] - edge[1], high[1] + edge[1])
        if equal:
            ax.set_aspect("equal")
        style_axes(ax, "", *names)

    return draw


def histogram(x: Sequence[Any], *, data: Observations | None = None, name: str = "x") -> Panel:
    """A histogram of numbers (n, 1) of every frame as a density, over that of the data."""
    frames = [to_numbers(v).ravel() for v in x]
    values = frames[-1] if data is None else to_numbers(data).ravel()
    low, high = np.quantile(values, [0.001, 0.999])
    edge = max(0.3 * (high - low), 1e-9)
    bins = np.linspace(low - edge, high + edge, BINS + 1)
    heights = [_bin_heights(v, bins) for v in frames]
    under = None if data is None else _bin_heights(to_numbers(data).ravel(), bins)
    # the scale is that of the data, as an untrained generator may be a spike
    top = 1.6 * max(h.max() for h in (heights[-1:] if under is None else [under]))

    def draw(ax: Axes, i: int) -> None:
        if under is not None:
            ax.stairs(under, bins, fill=True, color="#cccccc", label="data")
        ax.stairs(heights[i], bins, color=COLOURS[1], linewidth=1.5, label="samples")
        ax.set_xlim(bins[0], bins[-1])
        ax.set_ylim(0, top)
        style_axes(ax, "", name, f"density per unit of {name}")

    return draw


def _bin_heights(x: np.ndarray[Any, Any], bins: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    counts, _ = np.histogram(x, bins)
    return np.asarray(counts / (max(len(x), 1) * np.diff(bins)))


# ------------------------------------------------------------------------------------------- images


def image_strip(
    x: Sequence[Tensor],
    space: Space,
    times: Sequence[str],
    chosen: Sequence[int],
    *,
    columns: int = 12,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Images (n, channels, height, width) of chosen frames: a row per time, a column per code,
    under the `names` of which are its condition.
    """
    rows = torch.stack([x[i][:columns] for i in chosen])
    across = None if names is None else names[:columns]
    labels = "condition" if names else "", ""
    return sheet(
        rows,
        space,
        across=across,
        down=[times[i] for i in chosen],
        names=labels,
        title=title,
    )


def image_film(
    x: Sequence[Tensor], space: Space, times: Sequence[str], *, columns: int | None = None
) -> Iterator[Image.Image]:
    """Yield every frame as one sheet under its time."""
    font = ImageFont.load_default(15)
    for frame, time in zip(x, times):
        image = image_grid(frame, space, columns).convert("RGB")
        page = Image.new("RGB", (image.width, image.height + 26), "white")
        page.paste(image, (0, 26))
        ImageDraw.Draw(page).text((6, 4), time, fill=INK, font=font)
        yield page


def image_walk(x: Tensor, space: Space) -> Callable[[], Iterator[Image.Image]]:
    """Images (lines, steps, channels, height, width) as frames: all lines side by side, a step per
    frame, there and back again. Called for the frames.
    """
    there = list(range(x.shape[1]))
    columns = math.ceil(math.sqrt(len(x)))

    def frames() -> Iterator[Image.Image]:
        for i in [*there, *there[-2:0:-1]]:
            image = image_grid(x[:, i], space, columns).convert("RGB")
            factor = max(1, WALK // max(image.size))
            yield image.resize(
                (image.width * factor, image.height * factor), Image.Resampling.NEAREST
            )

    return frames


def write_film(
    frames: Iterator[Image.Image] | Sequence[Image.Image],
    path: str | Path,
    *,
    seconds: float = SECONDS,
    colours: int = 64,
) -> Path:
    """Write frames of one size as a looping GIF, atomically; return the path.

    Args:
        seconds: for which each frame is shown; the last one is shown longer.
        colours: size of the palette, which all frames share (256 for photographs).
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise InvalidValue(f"{path}: a film is a .gif; name it so")
    if not 0 < seconds <= LONGEST:
        raise InvalidValue(
            f"seconds of a frame must be above 0 and at most {LONGEST}, the limit of GIF, got"
            f" {seconds}"
        )
    images = list(frames)
    if not images:
        raise InvalidValue("a film needs at least one frame, got none")
    both = Image.new("RGB", (images[0].width, 2 * images[0].height))
    both.paste(images[0])
    both.paste(images[-1], (0, images[0].height))
    palette = both.quantize(colours, method=Image.Quantize.MEDIANCUT)
    quantised = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in images]
    length = [round(1000 * seconds)] * (len(quantised) - 1) + [round(1000 * HOLD)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_on_exit(path) as new:
        quantised[0].save(
            new, format="GIF", save_all=True, append_images=quantised[1:], duration=length, loop=0
        )
    return path
