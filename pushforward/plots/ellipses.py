"""Clusters by colour and shape, with mixture ellipses or k-means centres, and their profiles.

The ellipse of a component on two axes is {x :
(x - μ)ᵀ Σ⁻¹ (x - μ) ≤ -2 ln(1 - p)}, which holds the share p of its mass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.core.capabilities import Assigns
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.space import Space
from pushforward.plots.advice import advise_instead
from pushforward.plots.matplotlib_types import Axes, Figure, Patch
from pushforward.plots.style import (
    COLOURS,
    INK,
    MARKERS,
    SMALL,
    add_colour_bar,
    add_legend,
    diverging_colours,
    find_axes,
    mpl,
    style_axes,
    to_numbers,
)

__all__ = ["clusters", "profile", "ellipse", "normal_ellipses"]

SHARES = (0.5, 0.95)
"""Shares of a component's mass: half, its core, and the usual 95 %."""


def clusters(
    model: object,
    x: Observations,
    *,
    axes: Sequence[str | int] | None = None,
    shares: Sequence[float] = SHARES,
    names: Sequence[str] | None = None,
    owner: ArrayLike | Tensor | None = None,
    hollow: ArrayLike | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Rows x (n, d) by assigned cluster, with ellipses (mixtures)
    or centres (k-means), on two axes.

    Args:
        axes: by name or position; by default the two that best separate the clusters.
        shares: shares of each component's mass inside its ellipses.
        names: names of the clusters in the legend.
        owner: the cluster of each row (n,); by default as predicted by the model.
        hollow: rows to draw as outlines (n,), e.g. those with imputed positions.
    """
    if not isinstance(model, Assigns):
        raise InvalidKind(
            f"{type(model).__name__} assigns no clusters; fit GMM or KMeans for this plot"
        )
    space = model.fitted_space()  # type: ignore[attr-defined]
    if space.kind != "points" or space.size < 2:
        raise InvalidKind(
            f"this plot needs points in at least 2 dimensions, got {space}; {advise_instead(model)}"
        )
    rows = space.conform(x).double()
    owner = to_numbers(model.assign(x) if owner is None else owner).astype(int)
    means, covariances = _shape(model)
    pair = (
        _most_separated_axes(means, rows.cpu().numpy(), owner)
        if axes is None
        else _two_axes(space, axes)
    )
    _, ax = find_axes(ax, 6.6, 5.2)
    coordinates = rows.cpu().numpy()[:, pair]
    estimated = np.zeros(len(coordinates), bool) if hollow is None else np.asarray(hollow, bool)
    for k in range(len(means)):
        members, colour = owner == k, COLOURS[k % len(COLOURS)]
        label = f"{names[k] if names else f'cluster {k}'} ({members.mean():.0%})"
        sure, guessed = coordinates[members & ~estimated], coordinates[members & estimated]
        dots: dict[str, Any] = {
            "s": 26 if len(coordinates) < 500 else 8,
            "marker": MARKERS[k % len(MARKERS)],
            "zorder": 3,
        }
        ax.scatter(sure[:, 0], sure[:, 1], c=colour, alpha=0.75, linewidths=0, label=label, **dots)
        ax.scatter(
            guessed[:, 0],
            guessed[:, 1],
            facecolors="none",
            edgecolors=colour,
            linewidths=1.1,
            **dots,
        )
        if covariances is None:
            ax.plot(
                *means[k, pair], "X", color=colour, markeredgecolor="white", markersize=13, zorder=5
            )
        for share in () if covariances is None else shares:
            within = covariances[k][np.ix_(pair, pair)]
            ax.add_patch(ellipse(means[k, pair], within, share, colour))
    add_legend(ax, loc="best")
    style_axes(ax, title, *(space.names[i] for i in pair))
    return cast(Figure, ax.figure)


def _two_axes(space: Space, axes: Sequence[str | int]) -> list[int]:
    """The positions of two different axes."""
    pair = [space.axis(a) for a in axes]
    if len(set(pair)) != 2:
        raise InvalidValue(
            f"expected 2 different axes, got {list(axes)}; the axes are {', '.join(space.names)}"
        )
    return pair


def ellipse(mean: NDArray[Any], covariance: NDArray[Any], share: float, colour: str) -> Patch:
    """The ellipse that holds this share of a normal distribution in the plane."""
    if not 0 < share < 1:
        raise InvalidValue(
            f"shares must lie between 0 and 1, got {share}; 0.5 holds half of the mass"
        )
    values, axes = np.linalg.eigh(covariance)
    width, height = 2 * np.sqrt(-2 * math.log1p(-share) * np.maximum(values, 0))
    angle = math.degrees(math.atan2(axes[1, 0], axes[0, 0]))
    patch: Patch = mpl("matplotlib.patches").Ellipse(
        mean,
        width,
        height,
        angle=angle,
        fill=False,
        edgecolor=colour,
        linewidth=1.6 if share <= 0.5 else 1.0,
        zorder=4,
    )
    return patch


def normal_ellipses(draws: Observations, colour: str = COLOURS[0]) -> Callable[[Axes], None]:
    """A layer for a panel: the ellipses at one and two standard deviations of draws (n, 2)."""
    rows = to_numbers(draws)
    mean, covariance = rows.mean(0), np.cov(rows.T)

    def draw(ax: Axes) -> None:
        for deviations in (1, 2):
            share = -math.expm1(-(deviations**2) / 2)  # chi-square of two degrees of freedom
            ax.add_patch(ellipse(mean, covariance, share, colour))

    return draw


def _shape(model: object) -> tuple[Any, Any]:
    """Means (k, d), and covariances (k, d, d) or None."""
    if hasattr(model, "covariances_"):
        return to_numbers(getattr(model, "means_", None)), to_numbers(model.covariances_)
    if hasattr(model, "centres_"):
        return to_numbers(model.centres_), None
    raise InvalidKind(
        f"{type(model).__name__} has no means to draw; fit GMM or KMeans for this plot"
    )


def _most_separated_axes(means: NDArray[Any], rows: NDArray[Any], owner: NDArray[Any]) -> list[int]:
    """The two axes with the largest ratio of between-cluster to within-cluster variance."""
    within = np.nanvar(rows - means[owner], axis=0)
    between = np.nanvar(means[owner], axis=0)
    order = np.argsort(-between / np.maximum(within, 1e-300), kind="stable")
    return sorted(int(i) for i in order[:2])


def profile(
    values: ArrayLike | Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    unit: str = "standard deviations from the mean",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """A heat map of differences (rows, columns) with numbers, e.g. of clusters against all rows."""
    values = to_numbers(values)
    if values.shape != (len(rows), len(columns)):
        raise InvalidValue(
            f"values must have shape ({len(rows)}, {len(columns)}), as the names have, got"
            f" {values.shape}"
        )
    figure, ax = find_axes(ax, 1.0 + 0.62 * len(columns), 1.6 + 0.6 * len(rows))
    reach = max(1.0, float(np.nanmax(np.abs(values))))
    image = ax.imshow(values, cmap=diverging_colours(), vmin=-reach, vmax=reach, aspect="auto")
    for i, j in np.ndindex(*values.shape):
        dark = abs(values[i, j]) > 0.62 * reach
        ax.text(
            j,
            i,
            f"{values[i, j]:+.1f}" if np.isfinite(values[i, j]) else "-",
            ha="center",
            va="center",
            fontsize=SMALL,
            color="white" if dark else INK,
        )
    ax.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    style_axes(ax, title)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.tick_params(length=0)
    add_colour_bar(figure, image, ax, unit, fraction=0.05, pad=0.02)
    return figure
