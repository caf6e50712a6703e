"""Sheets of a run's samples with named rows: images made from images, and clips frame by frame."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate as resize

from pushforward.core.phase import Batch
from pushforward.core.space import Space
from pushforward.data.palettes import named_palette, paint, scaled_palette
from pushforward.data.resampling import enlarge as interpolate
from pushforward.experiments.enlargements import enlarger, enlarges
from pushforward.experiments.opened import OpenedRun
from pushforward.plots.clips import clip_sheet
from pushforward.plots.latent import sheet
from pushforward.plots.matplotlib_types import Figure

__all__ = ["as_colour", "pairs_sheet", "samples_sheet"]

COLUMNS = 8
"""Pairs in a sheet: the sheet is then as wide as a page."""
CLIPS = 8
"""Clips in a sheet."""


def pairs_sheet(run: OpenedRun, batch: Batch, title: str) -> Figure:
    """Conditions, what a run makes of them, and originals, in named rows; a column for each pair.

    Of enlarged images also bicubic interpolation.

    Args:
        batch: originals and conditions, images in the user's units.
        title: over the sheet.
    """
    model, condition_space = run.model, run.model.condition_space
    assert batch.y is not None
    assert condition_space is not None
    x, y = batch.x[:COLUMNS].cpu(), batch.y[:COLUMNS].cpu()
    space = model.fitted_space()
    made = model.sample(len(x), y=condition_space.as_given(y), rng=0).cpu()
    given, output = as_colour(y, condition_space, space), as_colour(made, space, space)
    rows = {"input": given, "output": output}
    if enlarges(run):
        levels = replace(space, low=0.0, high=255.0)
        small = as_colour(y, condition_space, levels).round().clamp(0, 255).to(torch.uint8)
        bicubic = as_colour(interpolate(small, enlarger(run).factor), levels, space)
        rows = {"low resolution": given, "bicubic": bicubic, "output": output}
    rows["truth"] = as_colour(x, space, space)
    sides = (x.shape[-2], x.shape[-1])
    alike = [u if u.shape[-2:] == sides else resize(u, sides) for u in rows.values()]
    coloured = replace(space, shape=(3, *sides))
    return sheet(torch.stack(alike), coloured, down=list(rows), title=title)


def samples_sheet(x: Tensor, space: Space, title: str) -> Figure:
    """Clips (n, channels, time, height, width) in the user's units: a row each, frame by frame."""
    names = [f"clip {i + 1}" for i in range(min(CLIPS, len(x)))]
    return clip_sheet(x[:CLIPS], space, names, title=title)


def as_colour(x: Tensor, space: Space, like: Space) -> Tensor:
    """Images (n, c, h, w) of a space in three channels (n, 3, h, w), in the range of another.

    Planes of classes take their colours; transparency is left out.
    """
    if space.extra.get("planes"):
        colours = scaled_palette(named_palette(space.extra["palette"]), like.low, like.high)
        return paint(x.argmax(1), colours).float().expand(-1, 3, -1, -1)
    share = (x.float() - space.low) / (space.high - space.low)
    return like.low + share[:, :3].expand(-1, 3, -1, -1) * (like.high - like.low)
