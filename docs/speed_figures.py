"""`python -m docs.speed_figures`: the sweeps of results/bench.json as small multiples, log-log.

`kernel-sweeps.png` has seconds of kernel densities over the bandwidth (`python -m benchmarks
kde-sweep`); `model-sweeps.png` has our seconds over theirs, one point for each setting of the other
sweeps (`python -m benchmarks gmm-sweep kmeans-sweep pca-sweep vae-sweep gan-sweep dcgan-sweep`).
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
KERNEL_SWEEPS = {
    "kde-sweep-1d": "1-D, {data}",
    "kde-sweep-2d": "2-D, {data}",
    "kde-sweep-3d": "3-D, {data}",
    "kde-sweep-kernels": "2-D, {kernel}",
}
"""Sweeps over the bandwidth in the order of the figure, with the titles of their panels."""
MODEL_SWEEPS = {
    "gmm-sweep": "Gaussian mixture",
    "kmeans-sweep": "k-means",
    "pca-sweep": "PCA",
    "vae-sweep": "VAE",
    "gan-sweep": "GAN of points",
    "dcgan-sweep": "DCGAN",
    "small-fit": "fit of 50 x 10",
    "small-query": "query of one row",
}
"""Sweeps over sizes in the order of the figure, with the titles of their panels."""
OURS = "pushforward"
STYLES = {
    OURS: {"color": "#2b6cb0", "marker": "o"},
    "scikit-learn": {"color": "#c2571a", "marker": "s"},
    "SciPy": {"color": "#6b7280", "marker": "^"},
}
OTHERS = [("#2b6cb0", "o"), ("#c2571a", "s"), ("#6b7280", "^"), ("#7b4fa3", "D"), ("#2f855a", "v")]
OTHERS += [("#b7791f", "P")]
COLUMNS = 4


def panels(rows: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The title and the settings of each panel, for the sweeps among the rows of a record."""
    found = []
    for name, title in KERNEL_SWEEPS.items():
        settings = rows[name]["settings"] if name in rows else []
        for key, group in groupby(settings, key=lambda s, t=title: t.format(**s)):
            found.append((key, list(group)))
    return found


def draw_bandwidths(rows: dict[str, Any]) -> Figure:
    """Seconds over the bandwidth, one panel for each set of points or kernel.

    Raises:
        ValueError: If the rows hold no such sweep.
    """
    found = panels(rows)
    if not found:
        raise ValueError("no sweep is recorded; run python -m benchmarks kde-sweep")
    figure, grid = _grid(len(found), share=True)
    for axes, (title, settings) in zip(grid, found, strict=False):
        _bandwidths(axes, title, settings)
    figure.supxlabel("bandwidth / Scott's")
    figure.supylabel("seconds")
    return _with_legend(figure, grid)


def draw_sizes(rows: dict[str, Any]) -> Figure:
    """Our seconds over theirs, one panel for each sweep over sizes; below the line we are faster.

    Raises:
        ValueError: If the rows hold no such sweep.
    """
    found = [(title, rows[name]) for name, title in MODEL_SWEEPS.items() if name in rows]
    if not found:
        raise ValueError("no sweep is recorded; run python -m benchmarks gmm-sweep")
    figure, grid = _grid(len(found), share=False)
    names = dict.fromkeys(_other(s) for _, row in found for s in row["settings"])
    styles = {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(names)}
    for axes, (title, row) in zip(grid, found, strict=False):
        _sizes(axes, title, row, styles)
    figure.supxlabel("seconds of the other library (of one row for networks)")
    figure.supylabel("seconds of Pushforward")
    return _with_legend(figure, grid)


def _grid(count: int, share: bool) -> tuple[Figure, list[Axes]]:
    lines = -(-count // COLUMNS)
    figure = Figure(figsize=(11, 2.5 * lines + 0.6), layout="constrained")
    grid = figure.subplots(lines, COLUMNS, sharex=share, sharey=share, squeeze=False)
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    return figure, list(grid.flat)


def _with_legend(figure: Figure, grid: list[Axes]) -> Figure:
    lines = [line for axes in grid for line in axes.get_lines()]
    handles = {
        str(line.get_label()): line for line in lines if not str(line.get_label()).startswith("_")
    }
    columns = min(6, len(handles))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=columns)
    return figure


def _bandwidths(axes: Axes, title: str, settings: list[dict[str, Any]]) -> None:
    factors = [s["factor"] for s in settings]
    for name, style in STYLES.items():
        if name in settings[0]["seconds"]:
            times = [s["seconds"][name] for s in settings]
            axes.loglog(factors, times, label=name, markersize=4, linewidth=1.4, **style)
    worst = min(s["ratio"] for s in settings)
    axes.set_title(f"{title}: at least {worst:.3g} times", fontsize=9)
    axes.grid(which="major", alpha=0.25)


def _seconds(setting: dict[str, Any]) -> dict[str, float]:
    """Seconds of both sides; of one sample, where speed was measured."""
    if "seconds" in setting:
        return dict(setting["seconds"])
    return {side: 1 / speed for side, speed in setting["samples per second"].items()}


def _other(setting: dict[str, Any]) -> str:
    """Whom a setting is compared with: its second side, or what its name ends in."""
    name = next(side for side in _seconds(setting) if side != OURS)
    return "scikit-learn" if name == "theirs" or name.startswith("scikit-learn") else name


def _sizes(axes: Axes, title: str, row: dict[str, Any], styles: dict[str, Any]) -> None:
    ends = [seconds for s in row["settings"] for seconds in _seconds(s).values()]
    low, high = min(ends) / 1.5, max(ends) * 1.5
    wider = max(1.0, (12 * low / high) ** 0.5)  # a decade at least, so that each axis has numbers
    span = [low / wider, high * wider]
    axes.loglog(span, span, color="#9ca3af", linewidth=1, label="the same time")
    for other, (color, marker) in styles.items():
        settings = [_seconds(s) for s in row["settings"] if _other(s) == other]
        if settings:
            theirs = [next(v for k, v in s.items() if k != OURS) for s in settings]
            ours = [s[OURS] for s in settings]
            marks: dict[str, Any] = {"marker": marker, "color": color, "alpha": 0.75}
            axes.loglog(theirs, ours, linestyle="none", markersize=4.5, label=other, **marks)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
    axes.set_title(f"{title}: at least {row['ratio']['median']:.2g} times", fontsize=9)
    axes.grid(which="major", alpha=0.25)


if __name__ == "__main__":
    record = json.loads((ROOT / "results" / "bench.json").read_text())["rows"]
    for name, figure in (
        ("kernel-sweeps", draw_bandwidths(record)),
        ("model-sweeps", draw_sizes(record)),
    ):
        figure.savefig(IMAGES / f"{name}.png", dpi=110, metadata={"Software": None})
