"""Rows of images, each with its name: conditions, answers and originals, one above the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.space import Space
from pushforward.data.export.grids import image_grid
from pushforward.plots.matplotlib_types import Axes
from pushforward.plots.panels import Draw
from pushforward.plots.style import INK, TEXT, style_axes

__all__ = ["image_rows"]


def image_rows(rows: Mapping[str, Tensor], space: Space, title: str = "") -> Draw:
    """A panel of rows {name: images (n, channels, height, width)}, with the names at the left.

    Images are in the user's units and of one size; single-channel rows among colour ones are
    shown in grey, and a row of one image per column may be shorter than the others.

    Raises:
        InvalidValue: Without rows.
        ShapeMismatch: If the images differ in height or width.
    """
    if not rows:
        raise InvalidValue("expected at least one row of images, got none")
    sizes = {tuple(x.shape[2:]) for x in rows.values()}
    if len(sizes) > 1:
        raise ShapeMismatch(f"expected rows of images of one size, got {sorted(sizes)}")
    columns = max(len(x) for x in rows.values())
    channels = max(x.shape[1] for x in rows.values())
    blank = torch.full((channels, *next(iter(sizes))), float(space.high or 1), dtype=torch.float64)
    cells = []
    for x in rows.values():
        full = x.detach().cpu().double().expand(-1, channels, -1, -1)
        cells += [full, blank.expand(columns - len(x), -1, -1, -1)]
    sheet = np.asarray(image_grid(torch.cat(cells), space, columns))

    def draw(ax: Axes) -> None:
        ax.imshow(sheet, cmap="gray", vmin=0, vmax=255)
        step = sheet.shape[0] / len(rows)
        ax.set_yticks([step * (i + 0.5) for i in range(len(rows))], list(rows))
        ax.set_xticks([])
        for side in ax.spines.values():
            side.set_visible(False)
        style_axes(ax, title)
        ax.tick_params(length=0, labelsize=TEXT, labelcolor=INK)

    return draw
