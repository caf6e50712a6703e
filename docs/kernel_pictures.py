"""`python -m docs.kernel_pictures`: times of kernel densities over the bandwidth, small multiples.

Drawn from the sweeps in results/bench.json (`python -m benchmarks kde-sweep`).
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "docs" / "images" / "kernel-sweeps.png"
SWEEPS = {
    "kde-sweep-1d": "1-D, {data}",
    "kde-sweep-2d": "2-D, {data}",
    "kde-sweep-3d": "3-D, {data}",
    "kde-sweep-kernels": "2-D, {kernel}",
}
"""Sweeps in the order of the picture, with the titles of their panels."""
STYLES = {
    "pushforward": {"color": "#2b6cb0", "marker": "o"},
    "scikit-learn": {"color": "#c2571a", "marker": "s"},
    "SciPy": {"color": "#6b7280", "marker": "^"},
}
COLUMNS = 4


def panels(rows: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The title and the settings of each panel, for the sweeps among the rows of a record."""
    found = []
    for name, title in SWEEPS.items():
        settings = rows[name]["settings"] if name in rows else []
        for key, group in groupby(settings, key=lambda s, t=title: t.format(**s)):
            found.append((key, list(group)))
    return found


def draw(rows: dict[str, Any]) -> Figure:
    """Seconds over the bandwidth, log-log, one panel for each set of points or kernel.

    Raises:
        ValueError: If the rows hold no sweep.
    """
    found = panels(rows)
    if not found:
        raise ValueError("no sweep is recorded; run python -m benchmarks kde-sweep")
    lines = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(11, 2.5 * lines + 0.4), layout="constrained")
    grid = figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes, (title, settings) in zip(grid.flat, found, strict=False):
        _panel(axes, title, settings)
    for axes in grid.flat[len(found) :]:
        axes.set_visible(False)
    handles = {line.get_label(): line for axes in grid.flat for line in axes.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    figure.supxlabel("bandwidth / Scott's")
    figure.supylabel("seconds")
    return figure


def _panel(axes: Axes, title: str, settings: list[dict[str, Any]]) -> None:
    factors = [s["factor"] for s in settings]
    for name, style in STYLES.items():
        if name in settings[0]["seconds"]:
            times = [s["seconds"][name] for s in settings]
            axes.loglog(factors, times, label=name, markersize=4, linewidth=1.4, **style)
    worst = min(s["ratio"] for s in settings)
    axes.set_title(f"{title}: at least {worst:.3g} times", fontsize=9)
    axes.grid(which="major", alpha=0.25)


if __name__ == "__main__":
    record = json.loads((ROOT / "results" / "bench.json").read_text())
    draw(record["rows"]).savefig(IMAGE, dpi=110, metadata={"Software": None})
