"""A basketball court in feet, by the rules of the NBA.

Half a court lies with its baseline on y = 0 and its middle on x = 0, seen from above with the
basket below: the rim's centre is at (0, 5.25), the half-way line at y = 47, and +x is to the left
of a shooter who faces the basket. The three-point line is the arc of radius 23.75 about the rim,
cut by the lines |x| = 22 in the corners, which it meets at y = 5.25 + √(23.75² - 22²) = 14.2. A
full court, 94 × 50, has its length along x and a basket at (5.25, 25) and at (88.75, 25).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidValue
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import COLOURS, INK, SMALL, mpl, new_page, style_axes, to_numbers

__all__ = ["RIM", "lines", "full_lines", "draw_court", "Panel", "trajectories", "beyond_arc"]

Line = np.ndarray[Any, Any]
WIDTH, HALF, LENGTH = 50.0, 47.0, 94.0
"""In feet, by Rule 1 of the NBA.

Half the length is 47 (https://official.nba.com/rule-no-1-court-dimensions-equipment/).
"""
RIM, RIM_RADIUS = (0.0, 5.25), 0.75
"""Centre and radius of the rim."""
ARC, CORNER = 23.75, 22.0
"""The three-point line: its radius, and the distance of its straight parts from the middle."""
KEY, FREE_THROW, CIRCLE, RESTRICTED, BOARD = 16.0, 19.0, 6.0, 4.0, 4.0
"""Width and depth of the key, radii of its circle and the restricted area, place of the board."""
ACROSS = "feet from the middle (+ is the shooter's left)"
ALONG = "feet from the baseline"


@dataclass(frozen=True)
class Panel:
    """One component of paths.

    Args:
        title: over the court.
        mean: (steps, 2) feet along and across the court.
        component: (steps, 2) feet for one standard deviation.
        apart: how far to shift the outermost paths sideways if they would overlap.
    """

    title: str
    mean: Any
    component: Any
    apart: tuple[float, float] = (0.0, 0.0)


def lines() -> dict[str, Line]:
    """The lines of half a court by name, each a path of points (m, 2), feet."""
    meet = math.sqrt(ARC**2 - CORNER**2)
    start = math.degrees(math.atan2(meet, CORNER))
    arc = _arc(RIM, ARC, start, 180 - start)
    restricted = _arc(RIM, RESTRICTED, 0, 180)
    return {
        "edge": _path((-25, 0), (25, 0), (25, HALF), (-25, HALF), (-25, 0)),
        "three": np.concatenate([_path((CORNER, 0)), arc, _path((-CORNER, 0))]),
        "key": _path((-KEY / 2, 0), (-KEY / 2, FREE_THROW), (KEY / 2, FREE_THROW), (KEY / 2, 0)),
        "free throw": _arc((0, FREE_THROW), CIRCLE, 0, 180),
        "free throw, inner": _arc((0, FREE_THROW), CIRCLE, 180, 360),
        "restricted": np.concatenate(
            [_path((RESTRICTED, BOARD)), restricted, _path((-RESTRICTED, BOARD))]
        ),
        "board": _path((-3, BOARD), (3, BOARD)),
        "rim": _arc(RIM, RIM_RADIUS, 0, 360),
        "centre": _arc((0, HALF), CIRCLE, 180, 360),
    }


def full_lines() -> dict[str, Line]:
    """The lines of a full court by name: both halves, length along x."""
    found: dict[str, Line] = {}
    for name, path in lines().items():
        found[name] = np.stack([path[:, 1], path[:, 0] + WIDTH / 2], 1)
        found[f"{name}, far"] = np.stack([LENGTH - path[:, 1], WIDTH / 2 - path[:, 0]], 1)
    return found


def beyond_arc(x: Any) -> np.ndarray[Any, Any]:
    """Whether each place (n, 2) on half a court is worth three points."""
    x = to_numbers(x)
    distance = np.hypot(x[:, 0] - RIM[0], x[:, 1] - RIM[1])
    is_three: np.ndarray[Any, Any] = (np.abs(x[:, 0]) > CORNER) | (distance > ARC)
    return is_three


def draw_court(
    ax: Axes,
    *,
    full: bool = False,
    depth: float = HALF,
    labels: bool = True,
    colour: str = INK,
    width: float = 1.1,
) -> Axes:
    """Draw the lines of a half (or full) court on axes, with equal scales in feet.

    `depth` cuts a half court at this many feet from the baseline.
    """
    if not 0 < depth <= HALF:
        raise InvalidValue(f"depth must lie in (0, {HALF:g}] feet, got {depth:g}")
    for name, path in (full_lines() if full else lines()).items():
        dashed = (0, (4, 3)) if "inner" in name else "-"
        ax.plot(
            *path.T,
            color=colour,
            linewidth=width * (1.6 if name.startswith(("rim", "board")) else 1),
            linestyle=dashed,
            zorder=4,
            gid=name,
        )
    ax.set_aspect("equal")
    for side in ax.spines.values():
        side.set_visible(False)
    if full:
        ax.set_xlim(-1, LENGTH + 1)
        ax.set_ylim(-1, WIDTH + 1)
        ax.set_xticks([0, 23.5, 47, 70.5, 94])
        ax.set_yticks([0, 25, 50])
        x, y = "feet along the court", "feet across"
    else:
        ax.set_xlim(-25.5, 25.5)
        ax.set_ylim(-0.5, depth + 0.5)
        ax.set_xticks([-25, -22, -8, 0, 8, 22, 25], ["-25", "", "-8", "0", "8", "", "25"])
        ax.set_yticks([t for t in (0, 10, 20, 30, 40, 47) if t <= depth])
        x, y = ACROSS, ALONG
    if labels:
        style_axes(ax, "", x, y)
        for side in ax.spines.values():
            side.set_visible(False)
    else:
        ax.set_xticks([])
        ax.set_yticks([])
    return ax


def trajectories(
    panels: Sequence[Panel], *, columns: int = 3, reach: float = 1.5, title: str = ""
) -> Figure:
    """Mean path and mean ± `reach` standard deviations along a component, on full courts.

    Paths at half of `reach` are drawn as well.
    """
    if not panels:
        raise InvalidValue("trajectories need at least one component, got none")
    rows = math.ceil(len(panels) / columns)
    figure, grid = new_page(3.9 * columns, 2.6 * rows + (0.45 if title else 0), rows, columns)
    cells = np.atleast_1d(grid).ravel()
    for ax, panel in zip(cells, panels):
        draw_court(ax, full=True, colour="#b5b5b5", width=0.9)
        style_axes(ax, panel.title)
        mean, component = to_numbers(panel.mean), to_numbers(panel.component)
        for share, colour in (
            (reach, COLOURS[1]),
            (reach / 2, COLOURS[4]),
            (-reach / 2, COLOURS[5]),
            (-reach, COLOURS[0]),
        ):
            _travelled(
                ax,
                mean + share * component + share / reach * to_numbers(panel.apart),
                colour,
                f"{share:+g} sd",
            )
        _travelled(ax, mean, INK, "mean")
    for ax in cells[len(panels) :]:
        ax.set_visible(False)
    for i, ax in enumerate(cells):
        if i % columns:
            ax.set_ylabel("")
        if i < len(panels) - columns:
            ax.set_xlabel("")
    handles, names = cells[0].get_legend_handles_labels()
    order = [3, 2, 4, 1, 0]
    shown: dict[str, Any] = {
        "loc": "outside lower center",
        "ncols": 5,
        "fontsize": SMALL + 1,
        "frameon": False,
    }
    figure.legend([handles[i] for i in order], [names[i] for i in order], **shown)
    if title:
        figure.suptitle(title, fontsize=12.5, color=INK, x=0.01, ha="left")
    return figure


def _travelled(ax: Any, path: Line, colour: str, label: str) -> None:
    """Draw a path with a dot at its start and an arrow head at its end."""
    ax.plot(*path.T, color=colour, linewidth=2, zorder=5, label=label, solid_capstyle="round")
    ax.plot(*path[0], "o", color=colour, markersize=4, zorder=6)
    moved = np.hypot(*np.diff(path, axis=0).T)
    if moved.sum() > 1:
        patches = mpl("matplotlib.patches")
        back = path[-2] if moved[-1] > 1e-9 else path[0]
        tip = path[-1] + (path[-1] - back) / max(np.hypot(*(path[-1] - back)), 1e-9) * 0.8
        ax.add_patch(
            patches.FancyArrowPatch(
                back,
                tip,
                arrowstyle="-|>",
                mutation_scale=11,
                color=colour,
                linewidth=0,
                zorder=6,
                shrinkA=0,
                shrinkB=0,
            )
        )


def _arc(centre: tuple[float, float], radius: float, start: float, stop: float) -> Line:
    angles = np.radians(np.linspace(start, stop, 121))
    return np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], 1)


def _path(*points: tuple[float, float]) -> Line:
    return np.asarray(points, dtype=np.float64)
