"""Principal components: shares of the variance, and biplots of rows and columns.

In a biplot (Gabriel 1971, https://doi.org/10.1093/biomet/58.3.453) rows are at their codes on two
components, and columns are arrows along their coefficients: rows far along an arrow have much of
that column. One common factor stretches the arrows to fill the plot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.capabilities import Samples
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.units import HasSpace
from pushforward.models.classical.pca import PCA
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    SMALL,
    TEXT,
    add_legend,
    find_axes,
    mpl,
    name_points,
    style_axes,
    to_numbers,
)

__all__ = ["scree", "biplot"]

MOST = 30
"""Most components to draw: more bars are too narrow, and the tail is flat."""


def scree(pca: object, *, title: str = "", ax: Axes | None = None) -> Figure:
    """The share of the variance of each component, the cumulative share, and the number kept."""
    model = _require_pca(pca)
    spectrum = to_numbers(model.spectrum_)
    total = spectrum.sum()
    shares = spectrum / total if total > 0 else spectrum
    count = min(len(shares), MOST)
    components = len(model.components_)
    _, ax = find_axes(ax, 6.4, 4.0)
    at = np.arange(1, count + 1)
    ax.bar(
        at[:components],
        shares[:count][:components],
        color=COLOURS[0],
        label=f"kept ({components}: {shares[:components].sum():.0%} of the variance)",
    )
    if components < count:
        ax.bar(
            at[components:], shares[components:count], color="#bbbbbb", label="left to the noise"
        )
    ax.plot(
        at,
        shares.cumsum()[:count],
        "o-",
        color=COLOURS[1],
        linewidth=1.5,
        markersize=4,
        label="running total",
    )
    ax.set_ylim(0, 1.04)
    ax.set_xlim(0.3, count + 0.7)
    ax.yaxis.set_major_formatter(mpl("matplotlib.ticker").PercentFormatter(1.0))
    ax.xaxis.set_major_locator(mpl("matplotlib.ticker").MaxNLocator(integer=True))
    add_legend(ax, loc="center right")
    more = f" (the first {count} of {len(shares)})" if count < len(shares) else ""
    style_axes(ax, title, f"principal component{more}", "share of the variance")
    return cast(Figure, ax.figure)


def biplot(
    pca: object,
    x: Observations | None = None,
    *,
    components: Sequence[int] = (0, 1),
    columns: Sequence[str] | None = None,
    named: Mapping[str, int] | None = None,
    arrows: int = 15,
    colour: str = "#9db8cc",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Rows x at their codes on two components, with columns as arrows.

    Args:
        components: the two components, from 0.
        columns: names of the columns, by default those of the space.
        named: rows to annotate: {text: position in x}.
        arrows: number of arrows, of which the longest are drawn.
    """
    model = _require_pca(pca)
    directions = to_numbers(model.components_)
    first, second = _check_pair(components, len(directions))
    figure, ax = find_axes(ax, 7.4, 6.2)
    codes = to_numbers(model.encode(_sample_rows(model) if x is None else x))[:, [first, second]]
    ax.plot(
        *codes.T,
        ".",
        color=colour,
        markersize=3 if len(codes) > 2000 else 5,
        alpha=0.55,
        zorder=1,
        rasterized=True,
    )
    ends = directions[[first, second]].T
    names = list(columns or model.fitted_space().names)
    longest = np.argsort(-np.hypot(*ends.T), kind="stable")[:arrows]
    reach = 0.85 * float((np.abs(codes).max(0) / np.abs(ends[longest]).max(0).clip(1e-12)).min())
    tips = ends[longest] * reach
    _draw_arrows(ax, tips)
    _limit_axes(ax, codes, tips)
    shares = to_numbers(model.explained_variance_ratio_)
    style_axes(
        ax,
        title,
        f"component {first + 1} ({shares[first]:.0%} of the variance)",
        f"component {second + 1} ({shares[second]:.0%})",
    )
    ax.axhline(0, color="#cccccc", linewidth=0.8, zorder=0)
    ax.axvline(0, color="#cccccc", linewidth=0.8, zorder=0)
    places = codes[list((named or {}).values())]
    ax.text(
        1.0, 1.01, f"arrows: columns' directions, {reach:.2g} times as long",
        transform=ax.transAxes, ha="right", va="bottom", fontsize=SMALL, color=COLOURS[1],
    )  # fmt: skip
    texts = name_points(
        ax,
        tips,
        [names[i] for i in longest],
        size=TEXT - 0.5,
        colour=COLOURS[1],
        outward=True,
        dots=places,
    )
    if named:
        ax.plot(*places.T, "o", color=INK, markersize=4.5, zorder=5)
        name_points(ax, places, list(named), size=SMALL, avoid=texts, dots=tips)
    return figure


def _sample_rows(model: PCA) -> Tensor:
    return cast(Samples, model).sample(2000, rng=0)


def _draw_arrows(ax: Axes, tips: NDArray[Any]) -> None:
    """Arrows from the origin to tips (k, 2)."""
    style = {
        "arrowstyle": "-|>",
        "color": COLOURS[1],
        "linewidth": 1.3,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    for tip in tips:
        ax.annotate("", tip, xytext=(0, 0), arrowprops=style, zorder=4)


def _limit_axes(ax: Axes, codes: NDArray[Any], tips: NDArray[Any]) -> None:
    """Limits that show all codes (n, 2) and tips of arrows (k, 2)."""
    limit = 1.12 * max(float(np.abs(codes).max()), float(np.abs(tips).max()))
    low, high = codes.min(0), codes.max(0)
    pad = 0.08 * (high - low)
    ax.set_xlim(*_fit_limits(low[0] - pad[0], high[0] + pad[0], tips[:, 0], limit))
    ax.set_ylim(*_fit_limits(low[1] - pad[1], high[1] + pad[1], tips[:, 1], limit))


def _fit_limits(low: float, high: float, tips: NDArray[Any], limit: float) -> tuple[float, float]:
    return max(min(low, 1.15 * tips.min()), -limit), min(max(high, 1.15 * tips.max()), limit)


def _check_pair(components: Sequence[int], have: int) -> tuple[int, int]:
    if len(set(components)) != 2 or not all(0 <= c < have for c in components):
        raise InvalidValue(
            f"a biplot needs two different components out of {have} (from 0), got"
            f" {list(components)}; fit with at least 2"
        )
    return components[0], components[1]


def _require_pca(model: object) -> PCA:
    if not hasattr(model, "spectrum_"):
        raise InvalidKind(
            f"{type(model).__name__} has no principal components; fit PCA for this plot"
        )
    cast(HasSpace, model).fitted_space()
    return cast(PCA, model)
