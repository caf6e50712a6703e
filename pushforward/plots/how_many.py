"""Model selection: criteria against the number of components or clusters, with the best marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.core.fitter import Fitter
from pushforward.metrics.clusters import elbow, silhouette
from pushforward.models.classical.gmm import GMM
from pushforward.models.classical.kmeans import KMeans
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    MARKERS,
    add_legend,
    find_axes,
    mpl,
    new_page,
    style_axes,
)

__all__ = ["choice", "criteria", "elbow_curve"]


def choice(
    values: Mapping[str, Mapping[int, float]],
    *,
    best: Mapping[str, int] | None = None,
    quantity: str = "criterion (lower is better)",
    over: str = "components",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Curves {name: {number: value}} with their minima ringed, or the numbers in `best`."""
    if not values or not all(values.values()):
        raise InvalidValue("a choice needs at least one curve with at least one point, got none")
    _, ax = find_axes(ax, 6.2, 4.2)
    for i, (name, curve) in enumerate(values.items()):
        counts = sorted(curve)
        best_count = (best or {}).get(name, min(counts, key=lambda k: curve[k]))
        label = f"{name}: {best_count}"
        ax.plot(
            counts,
            [curve[k] for k in counts],
            marker=MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            linewidth=1.6,
            markersize=5,
            label=label,
        )
        ax.plot(
            best_count,
            curve[best_count],
            "o",
            markerfacecolor="none",
            markeredgecolor=COLOURS[i % len(COLOURS)],
            markersize=14,
            markeredgewidth=1.6,
        )
    ax.xaxis.set_major_locator(mpl("matplotlib.ticker").MaxNLocator(integer=True))
    add_legend(ax, loc="best")
    style_axes(ax, title, f"number of {over}", quantity)
    return cast(Figure, ax.figure)


def criteria(
    x: Observations,
    candidates: Iterable[int] = range(1, 11),
    *,
    title: str = "",
    by: Fitter | None = None,
    **options: Any,
) -> Figure:
    """AIC and BIC of mixtures fitted to rows x, for each number of components.

    `options` are further arguments of GMM.
    """
    curves: dict[str, dict[int, float]] = {"AIC": {}, "BIC": {}}
    for k in candidates:
        model = GMM(k, **options).fit(x, by=by)
        curves["AIC"][k], curves["BIC"][k] = model.aic(x), model.bic(x)
    return choice(curves, title=title)


def elbow_curve(
    x: Observations,
    candidates: Iterable[int] = range(1, 11),
    *,
    title: str = "",
    by: Fitter | None = None,
    **options: Any,
) -> Figure:
    """Inertia (with its knee) and mean silhouette of k-means on rows x,
    for each number of clusters.
    """
    inertia: dict[int, float] = {}
    widths: dict[int, float] = {}
    for k in candidates:
        model = KMeans(k, **options).fit(x, by=by)
        inertia[k] = float(model.inertia_)
        owner = model.assign(x)
        if 2 <= len(owner.unique()) < len(owner):
            widths[k] = silhouette(model.fitted_space().conform(x), owner).value
    figure, (left, right) = _two_panels(title)
    best = {"inertia, knee at": elbow(inertia)} if len(inertia) >= 3 else {}
    choice(
        {"inertia, knee at": inertia},
        best=best,
        quantity="inertia (squared units)",
        over="clusters",
        ax=left,
    )
    if widths:
        top = {"silhouette, highest at": max(widths, key=lambda k: widths[k])}
        choice(
            {"silhouette, highest at": widths},
            best=top,
            quantity="mean silhouette (higher is better)",
            over="clusters",
            ax=right,
        )
    else:
        right.set_visible(False)
    return figure


def _two_panels(title: str) -> tuple[Figure, Any]:
    figure, grid = new_page(9.6, 4.0, 1, 2)
    if title:
        figure.suptitle(title, fontsize=12.5, x=0.01, ha="left")
    return figure, grid[0]
