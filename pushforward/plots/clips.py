"""Clips as sheets: a row of frames for each, with its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor

from pushforward.core.errors import ShapeMismatch
from pushforward.core.space import Space
from pushforward.data.export.grids import frame_space, image_grid
from pushforward.plots.latent import sheet
from pushforward.plots.matplotlib_types import Figure

__all__ = ["clip_sheet", "film_rows"]

GAP = 8
"""Pixels between the blocks of a film."""
FRAMES = 12
"""Most frames in a row: narrower ones would not be recognised on a page."""


def clip_sheet(
    x: Tensor, space: Space, names: Sequence[str] | None = None, *, title: str = ""
) -> Figure:
    """Clips (n, channels, time, height, width) in the user's units, a row of frames for each.

    Args:
        names: of the rows.
        title: over the sheet.
    """
    if x.ndim != 5:
        raise ShapeMismatch(
            f"expected clips (n, channels, time, height, width), got shape {tuple(x.shape)}"
        )
    count = min(FRAMES, x.shape[2])
    at = torch.linspace(0, x.shape[2] - 1, count).round().to(torch.int64)
    stills = x.detach().to("cpu")[:, :, at].transpose(1, 2)
    return sheet(
        stills, frame_space(space), across=[str(int(t)) for t in at], down=names,
        names=("frame", ""), title=title,
    )  # fmt: skip


def film_rows(blocks: Sequence[Tensor], space: Space, *, columns: int = 8) -> Iterator[Image.Image]:
    """The frames of a film of blocks of clips (n, channels, time, height, width), each a grid of
    `columns` clips a row, one block below the other with a gap between.
    """
    for t in range(blocks[0].shape[2]):
        grids = [image_grid(x[:, :, t].cpu(), frame_space(space), columns) for x in blocks]
        width, height = max(g.width for g in grids), sum(g.height for g in grids)
        page = Image.new("RGB", (width, height + GAP * (len(grids) - 1)), "white")
        top = 0
        for grid in grids:
            page.paste(grid.convert("RGB"), (0, top))
            top += grid.height + GAP
        yield page
