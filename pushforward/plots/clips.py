"""Clips as sheets: a row of frames for each, with its name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.core.errors import ShapeMismatch
from pushforward.core.space import Space
from pushforward.data.export.grids import frame_space
from pushforward.plots.latent import sheet
from pushforward.plots.matplotlib_types import Figure

__all__ = ["clip_sheet"]

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
