"""`python -m docs.drawing`: draw docs/images/architecture.png.

It shows the packages in layers and the course of a fit.

The layers are those that import-linter checks, read from pyproject.toml; they are stored in the
image, so that a test can check that it is up to date.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

ROOT = Path(__file__).parent.parent
IMAGE = ROOT / "docs" / "images" / "architecture.png"
CONTENTS = {
    "cli": "arguments and printing",
    "studio": "local page",
    "export": "ONNX and pages",
    "experiments": "source, split, model, measures",
    "lecture": "figures with their code",
    "recipes": "studies: data in, records out",
    "plots": "figures of models",
    "compat": "scikit-learn's names",
    "metrics": "records with error bars",
    "latent": "grids, paths, directions",
    "models": "classical, deep, tabular, parts",
    "tabular": "copies, gaps, odd rows, groups",
    "fitting": "Trainer, EM, run folders",
    "nets": "layers, critics",
    "objectives": "games, penalties, bounds",
    "densities": "kernels, likelihoods",
    "distributions": "normal, mixtures",
    "kernels": "kernel sums",
    "data": "read, formats, export",
    "store": "files of a model",
    "core": "model, space, source, registry, events, records, errors, random numbers",
}
"""A summary of each package."""
STEPS = (
    ("read", "data → source with its space; training and held-out rows"),
    ("build", "scan, scaling, networks, from one seeded stream"),
    ("started", "run folder ready, or a checkpoint restored"),
    ("step", "batch → augment → scale → each phase: loss, gradient, update"),
    ("progress", "means of the terms since the last report"),
    ("evaluated", "held-out quality, vital signs; best weights kept"),
    ("saved", "a complete checkpoint, then the model"),
    ("finished", "budget, converged, patience or interrupted"),
)
"""The course of a fit by gradients; names of events are in colour."""
EVENTS = {"started", "progress", "evaluated", "saved", "finished"}
BLUE, ORANGE, GREY, INK = "#2b6cb0", "#c2571a", "#9aa5b1", "#1f2933"


def layers() -> list[list[str]]:
    """The packages of every layer, from the top, as import-linter reads them.

    Optional packages are included only if they exist.
    """
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = next(c for c in text["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    rows = [re.findall(r"\w+", layer) for layer in contract["layers"]]
    rows = [[name for name in row if (ROOT / "pushforward" / name).is_dir()] for row in rows]
    return [row for row in rows if row]


def draw() -> Figure:
    """The figure."""
    figure = Figure(figsize=(11, 7.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _packages(left)
    _fit(right)
    return figure


def _packages(axes: Axes) -> None:
    rows = layers()
    _prepare(axes, len(rows), "Packages: imports point down only")
    for i, row in enumerate(rows):
        width = 1 / len(row)
        for j, name in enumerate(row):
            x, y = j * width, len(rows) - 1 - i
            _box(axes, x + 0.008, y + 0.1, width - 0.016, 0.78, BLUE)
            crowded = len(row) > 2
            lines = CONTENTS[name].replace(", ", ",\n", 1) if crowded else CONTENTS[name]
            axes.text(
                x + width / 2,
                y + 0.7,
                name,
                ha="center",
                va="center",
                weight="bold",
                color=INK,
                size=11,
            )
            axes.text(
                x + width / 2,
                y + (0.36 if crowded else 0.33),
                lines,
                ha="center",
                va="center",
                color=INK,
                size=8 if crowded else 9,
            )


def _fit(axes: Axes) -> None:
    _prepare(axes, len(STEPS), "A fit by gradients, and its events")
    for i, (name, text) in enumerate(STEPS):
        y = len(STEPS) - 1 - i
        event = name in EVENTS
        _box(axes, 0.06, y + 0.1, 0.93, 0.78, ORANGE if event else GREY)
        axes.text(
            0.09,
            y + 0.7,
            name,
            va="center",
            weight="bold",
            color=ORANGE if event else INK,
            size=11,
        )
        axes.text(0.09, y + 0.33, text, va="center", color=INK, size=9)
    first, last = len(STEPS) - 1 - 3 + 0.5, len(STEPS) - 1 - 6 + 0.5
    back = {"arrowstyle": "-|>", "color": GREY, "lw": 1.6, "connectionstyle": "bar,fraction=-0.022"}
    axes.annotate("", (0.06, first), (0.06, last), arrowprops=back)
    axes.text(
        0.0,
        (first + last) / 2,
        "until the budget is spent",
        rotation=90,
        va="center",
        ha="center",
        color=INK,
        size=8.5,
    )


def _prepare(axes: Axes, rows: int, title: str) -> None:
    axes.set(xlim=(-0.02, 1.0), ylim=(0, rows))
    axes.axis("off")
    axes.set_title(title, size=12, color=INK, loc="left")


def _box(axes: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    shape: Literal["round,pad=0,rounding_size=0.02"] = "round,pad=0,rounding_size=0.02"
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            shape,
            facecolor=colour + "18",
            edgecolor=colour,
            lw=1.1,
            mutation_aspect=6,
        )
    )


if __name__ == "__main__":
    draw().savefig(IMAGE, dpi=110, metadata={"Comment": repr(layers()), "Software": None})
