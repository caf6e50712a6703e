"""Diagrams: boxes with words, joined by arrows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pushforward.core.errors import InvalidValue
from pushforward.plots.matplotlib_types import Axes
from pushforward.plots.panels import Draw
from pushforward.plots.style import COLOURS, INK, TEXT, style_axes

__all__ = ["diagram"]

ARROW = "->"
"""Joins two boxes in a line of text."""


def diagram(graph: str, title: str = "", *, bright: Sequence[str] = ()) -> Draw:
    """A panel of boxes and arrows, from lines such as "x -> encoder -> z".

    Each line is a row of boxes, below the line before it; a box named again is the same box. Boxes
    stand in the order of the arrows, from left to right.

    Args:
        bright: boxes in the second colour, such as those that are random.

    Raises:
        InvalidValue: Without boxes, or if the arrows go in a circle.
    """
    chains = [[box.strip() for box in line.split(ARROW)] for line in graph.strip().splitlines()]
    if not all(box for chain in chains for box in chain) or not chains:
        raise InvalidValue(f"expected lines such as 'x {ARROW} z {ARROW} loss', got {graph!r}")
    arrows = [pair for chain in chains for pair in pairwise(chain)]
    row = {box: -i for i, chain in reversed(list(enumerate(chains))) for box in chain}
    column = _columns(list(row), arrows)
    boxes = {box: (column[box], row[box]) for box in row}

    def draw(ax: Axes) -> None:
        frames = {}
        for words, (x, y) in boxes.items():
            edge = COLOURS[1] if words in bright else COLOURS[0]
            frame = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": edge}
            text = ax.text(
                x, y, words, ha="center", va="center", fontsize=TEXT, color=INK, bbox=frame
            )
            frames[words] = text.get_bbox_patch()
        for start, end in arrows:
            look = {"arrowstyle": "-|>", "color": "#666666", "shrinkA": 1, "shrinkB": 1}
            ends = {"patchA": frames[start], "patchB": frames[end]}
            ax.annotate("", boxes[end], xytext=boxes[start], arrowprops={**look, **ends})
        across, up = zip(*boxes.values())
        ax.set_xlim(min(across) - 0.6, max(across) + 0.6)
        ax.set_ylim(min(up) - 0.5, max(up) + 0.5)
        ax.set_axis_off()
        style_axes(ax, title)

    return draw


def _columns(boxes: Sequence[str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The column of each box: right of all that lead to it; a first box, beside its successor."""
    column = dict.fromkeys(boxes, 0)
    for _ in boxes:
        for start, end in arrows:
            column[end] = max(column[end], column[start] + 1)
    if any(column[end] <= column[start] for start, end in arrows):
        raise InvalidValue("the arrows of a diagram may not go in a circle")
    ends = {end for _, end in arrows}
    for box in boxes:
        after = [column[end] for start, end in arrows if start == box]
        if after and box not in ends:
            column[box] = min(after) - 1
    return column
