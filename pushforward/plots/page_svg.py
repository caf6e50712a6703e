"""Small plots as SVG text for HTML pages: no file beside them, and the page's own colours.

Shapes have classes (`real`, `synthetic`, `more`, `less`, …) that the page's style sheet colours, so
one plot serves light and dark. Nothing here needs Matplotlib.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["bars_svg", "dots_svg", "heat_svg", "histogram_svg"]

Floats = NDArray[np.float64]
WIDTH, HEIGHT = 240, 96  # of a small plot, in the units of its view box
CELL = 18  # of a heat map


def histogram_svg(real: Floats, synthetic: Floats, edges: Floats, label: str) -> str:
    """Shares of numbers (n,), (m,) between edges (k + 1,): the first filled, the second a line.

    Values beyond the edges count in the outer bins.
    """
    inner = edges[1:-1]
    shares = [
        np.bincount(np.digitize(x, inner), minlength=len(edges) - 1) / max(len(x), 1)
        for x in (real, synthetic)
    ]
    top = max(float(s.max()) for s in shares) or 1.0
    step = WIDTH / (len(edges) - 1)
    points = [_steps(s / top, step) for s in shares]
    filled = f'<path class="real" d="M0,{HEIGHT} L{points[0]} L{WIDTH},{HEIGHT} Z"/>'
    line = f'<path class="synthetic line" d="M{points[1]}"/>'
    return _svg(WIDTH, HEIGHT, filled + line + _base(), label)


def _steps(heights: Floats, step: float) -> str:
    corners = []
    for i, h in enumerate(heights):
        y = HEIGHT - h * (HEIGHT - 4)
        corners += [f"{i * step:.1f},{y:.1f}", f"{(i + 1) * step:.1f},{y:.1f}"]
    return " L".join(corners)


def _base() -> str:
    return f'<path class="base" d="M0,{HEIGHT} H{WIDTH}"/>'


def bars_svg(
    names: Sequence[str], real: Sequence[float], synthetic: Sequence[float], label: str
) -> str:
    """Shares of categories in two tables, a pair of bars each, with names and per cents."""
    top = max([*real, *synthetic, 1e-9])
    row, text, room = 27, 84, 34
    parts = []
    for i, (name, p, q) in enumerate(zip(names, real, synthetic)):
        y = i * row
        shown = name if len(name) <= 13 else name[:12] + "…"
        parts.append(f'<text class="name" x="{text - 6}" y="{y + 15}">{html.escape(shown)}</text>')
        for share, kind, at in ((p, "real", y + 2), (q, "synthetic", y + 12)):
            length = (WIDTH - text - room) * share / top
            parts.append(
                f'<rect class="{kind}" x="{text}" y="{at}" height="9"'
                f' width="{max(length, 0.5):.1f}"/>'
                f'<text class="value" x="{text + length + 4:.1f}" y="{at + 8}">'
                f"{_percent(share)}</text>"
            )
    return _svg(WIDTH, row * len(names), "".join(parts), label)


def heat_svg(values: Floats, names: Sequence[str], label: str, *, scale: float = 1.0) -> str:
    """A matrix (d, d) of numbers in [-scale, scale]: class `more` above 0, `less` below.

    The larger the number, the stronger the colour. Cells say their columns and value when pointed
    at; undefined ones are crossed out.
    """
    d = len(names)
    room = 12 + 7.4 * min(max(len(n) for n in names), 14)  # of wide letters
    parts = []
    for i in range(d):
        short = names[i] if len(names[i]) <= 14 else names[i][:13] + "…"
        y = i * CELL + CELL / 2 + 4
        parts.append(
            f'<text class="name" x="{room - 5:.0f}" y="{y:.0f}">{html.escape(short)}</text>'
        )
        x = room + i * CELL + CELL / 2
        parts.append(
            f'<text class="name" transform="translate({x + 4:.0f} {d * CELL + 6:.0f}) rotate(-90)">'
            f"{html.escape(short)}</text>"
        )
        parts += [_cell(values[i, j], names, (i, j), room, scale) for j in range(d)]
    return _svg(room + d * CELL, d * CELL + room, "".join(parts), label)


def _cell(
    value: float, names: Sequence[str], place: tuple[int, int], room: float, scale: float
) -> str:
    i, j = place
    x, y = room + j * CELL, i * CELL
    between = f"{names[i]}, {names[j]}"
    if not math.isfinite(value):
        title = html.escape(f"{between}: undefined")
        return (
            f'<path class="undefined" d="M{x + 5:.0f},{y + 5} l8,8 m0,-8 l-8,8">'
            f"<title>{title}</title></path>"
        )
    title = html.escape(f"{between}: {value:.2f}")
    opacity = min(abs(value) / scale, 1.0)
    return (
        f'<rect class="cell" x="{x:.0f}" y="{y}" width="{CELL - 1}" height="{CELL - 1}"/>'
        f'<rect class="{"more" if value >= 0 else "less"}" x="{x:.0f}" y="{y}" width="{CELL - 1}"'
        f' height="{CELL - 1}" fill-opacity="{opacity:.2f}"><title>{title}</title></rect>'
    )


def dots_svg(
    value: float, error: float, ideal: float, ends: tuple[float, float], label: str
) -> str:
    """A number on a line with two standard errors to either side, and a mark at its ideal."""
    low, high = ends
    y = 14

    def x(v: float) -> float:
        return 6 + (WIDTH - 12) * min(max((v - low) / (high - low), 0), 1)

    spread = 2 * error if math.isfinite(error) else 0.0
    parts = [
        f'<path class="base" d="M6,{y} H{WIDTH - 6}"/>',
        f'<path class="ideal" d="M{x(ideal):.1f},4 V24"/>',
        f'<path class="synthetic bar" d="M{x(value - spread):.1f},{y} H{x(value + spread):.1f}"/>',
        f'<circle class="synthetic" cx="{x(value):.1f}" cy="{y}" r="5"/>',
    ]
    return _svg(WIDTH, 28, "".join(parts), label)


def _svg(width: float, height: float, content: str, label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
        f' aria-label="{html.escape(label, quote=True)}">{content}</svg>'
    )


def _percent(share: float) -> str:
    value = 100 * share
    return f"{value:.0f} %" if value >= 1 or value == 0 else "<1 %"
