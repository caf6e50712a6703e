"""Diagrams: boxes with words, joined by arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pushforward.plots.matplotlib_types import Axes
from pushforward.plots.panels import Draw
from pushforward.plots.style import COLOURS, INK, SMALL, style_axes

__all__ = ["diagram"]


def diagram(
    boxes: Mapping[str, tuple[float, float]],
    arrows: Sequence[tuple[str, str]],
    title: str = "",
    *,
    bright: Sequence[str] = (),
) -> Draw:
    """A panel of boxes {words: centre} and arrows (from, to).

    Args:
        boxes: centres in any unit; the axes fit themselves.
        bright: boxes in the second colour, such as those that are random.
    """

    def draw(ax: Axes) -> None:
        frames = {}
        for words, (x, y) in boxes.items():
            edge = COLOURS[1] if words in bright else COLOURS[0]
            frame = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": edge}
            text = ax.text(
                x, y, words, ha="center", va="center", fontsize=SMALL, color=INK, bbox=frame
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
