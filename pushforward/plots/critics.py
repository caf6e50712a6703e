"""A critic of one variable: its output for every x, with the densities of data and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.core.data_types import Observations
from pushforward.plots.films import Panel
from pushforward.plots.matplotlib_types import Axes
from pushforward.plots.style import COLOURS, INK, style_axes, to_numbers

__all__ = ["critic_on_line"]


def critic_on_line(
    x: Observations, curves: Sequence[Mapping[str, Any]], *, top: float | None = None
) -> Panel:
    """Frames of 'data' and 'samples' (densities), 'critic' and 'best critic' (0 to 1).

    Args:
        top: upper limit of the density axis; an untrained generator, a spike, may exceed it.
    """
    at = to_numbers(x)
    lines = [{name: to_numbers(values, name) for name, values in frame.items()} for frame in curves]
    top = 2.7 * float(lines[0]["data"].max()) if top is None else top

    def draw(ax: Axes, i: int) -> None:
        # one scale for all: densities with sd 1 are below 1, and D is a probability
        ax.fill_between(at, lines[i]["data"], color="#cccccc", linewidth=0, label="data, density")
        ax.plot(at, lines[i]["samples"], color=COLOURS[1], linewidth=1.8, label="samples, density")
        ax.plot(at, lines[i]["critic"], color=COLOURS[0], linewidth=1.6, label="critic D(x)")
        ax.plot(
            at,
            lines[i]["best critic"],
            color=COLOURS[0],
            linewidth=1.2,
            linestyle=(0, (2, 2)),
            label="best critic p/(p + q)",
        )
        ax.axhline(0.5, color="#dddddd", linewidth=0.8, zorder=0)
        ax.set_xlim(at[0], at[-1])
        ax.set_ylim(0, top)
        style_axes(ax, "", "x", "density; probability")
        ax.tick_params(colors=INK)

    return draw
