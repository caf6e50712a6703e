"""Dot plots: many cases in rows, a few quantities in columns."""

from __future__ import annotations

from collections.abc import Mapping

from pushforward.plots.comparisons import set_title
from pushforward.plots.matplotlib_types import Figure
from pushforward.plots.style import COLOURS, new_page, style_axes

__all__ = ["dots"]

Panel = tuple[Mapping[str, float], float, float]


def dots(panels: Mapping[str, Panel], *, mark: str, ideal: str, title: str = "") -> Figure:
    """One panel per quantity: ({case: value}, the baseline value, the ideal value).

    Args:
        panels: by quantity; cases are listed from top to bottom.
        mark, ideal: names of the two lines, in the legend of the first panel.
        title: over all panels.
    """
    cases = list(next(iter(panels.values()))[0])
    figure, axes = new_page(
        1.5 + 2.1 * len(panels), 1.2 + 0.28 * len(cases), 1, len(panels), sharey=True
    )
    for i, (ax, (name, (values, without, best))) in enumerate(zip(axes.ravel(), panels.items())):
        ax.axvline(
            without,
            color="#888888",
            linewidth=1,
            linestyle=(0, (4, 3)),
            label=mark if not i else None,
        )
        ax.axvline(best, color=COLOURS[2], linewidth=1, label=ideal if not i else None)
        ax.plot([values[c] for c in cases], range(len(cases)), "o", color=COLOURS[0], markersize=5)
        ax.set_yticks(range(len(cases)), cases)
        ax.grid(axis="y", color="#dddddd", linewidth=0.6)
        if not i:
            ax.invert_yaxis()
        style_axes(ax, "", name, "")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return set_title(figure, title)
