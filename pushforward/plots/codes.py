"""Codes in the plane, coloured by labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.models.classical.pca import PCA
from pushforward.plots.matplotlib_types import Axes, Figure
from pushforward.plots.style import (
    COLOURS,
    INK,
    MARKERS,
    add_colour_bar,
    add_legend,
    find_axes,
    name_points,
    style_axes,
    to_numbers,
)

__all__ = ["embedding"]


def embedding(
    z: Observations,
    labels: ArrayLike | Tensor | None = None,
    *,
    names: Sequence[str] | None = None,
    named: Mapping[str, int] | None = None,
    quantity: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Codes z (n, ≥ 2) in the plane, or in the plane of their first two principal components.

    Args:
        labels: integers or text (n,) for classes, each with a colour and shape;
            other numbers for a colour scale.
        names: names of the classes 0, 1, ….
        quantity: label of the colour scale.
        named: codes to annotate: {text: position}.
    """
    codes = to_numbers(z, "codes").reshape(len(cast(Sized, z)), -1)
    if codes.shape[1] < 2:
        raise InvalidValue(
            f"an embedding needs codes of at least 2 coordinates, got {codes.shape[1]}; draw"
            " marginals instead"
        )
    across, up = "code 1", "code 2"
    if codes.shape[1] > 2:
        pca = PCA(2).fit(codes)
        shares = to_numbers(pca.explained_variance_ratio_)
        codes = to_numbers(pca.encode(codes))
        across, up = (f"component {i + 1} of the codes ({shares[i]:.0%})" for i in range(2))
    figure, ax = find_axes(ax, 6.8, 5.6)
    size = 30 if len(codes) < 300 else 12 if len(codes) < 3000 else 5
    if labels is None:
        ax.scatter(codes[:, 0], codes[:, 1], s=size, c=COLOURS[0], alpha=0.6, linewidths=0)
    else:
        _colour_codes(figure, ax, codes, labels, names, quantity, size)
    style_axes(ax, title, across, up)
    if named:
        places = codes[list(named.values())]
        ax.plot(*places.T, "o", markerfacecolor="none", markeredgecolor=INK, markersize=6, zorder=5)
        name_points(ax, places, list(named))
    return figure


def _colour_codes(
    figure: Figure,
    ax: Axes,
    codes: NDArray[Any],
    labels: ArrayLike | Tensor,
    names: Sequence[str] | None,
    quantity: str,
    size: float,
) -> None:
    values = np.asarray(labels.cpu() if hasattr(labels, "cpu") else labels)
    if values.shape != (len(codes),):
        raise InvalidValue(
            f"labels must have one entry for each of {len(codes)} codes, got shape {values.shape}"
        )
    if values.dtype.kind == "f":
        image = ax.scatter(
            codes[:, 0], codes[:, 1], s=size, c=values, cmap="viridis", alpha=0.8, linewidths=0
        )
        add_colour_bar(figure, image, ax, quantity or "value", fraction=0.05, pad=0.02)
        return
    kinds, index = np.unique(values, return_inverse=True)
    for i, kind in enumerate(kinds):
        text = str(names[int(kind)]) if names is not None else str(kind)
        look: dict[str, Any] = {
            "c": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[(i + i // len(COLOURS)) % len(MARKERS)],
        }
        x, y = codes[index == i].T
        ax.scatter(x, y, s=size, alpha=0.7, linewidths=0, label=text, **look)
    if len(kinds) <= 20:
        add_legend(
            ax,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            title=quantity or None,
            markerscale=1.6 if size < 20 else 1.0,
        )
