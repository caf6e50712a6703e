"""What an edit asks of an image: colours, a sketch, parts dragged elsewhere, parts that stay."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.space import Space
from pushforward.latent.warping import read_handles, warp

__all__ = ["Strokes", "conform_strokes", "discs", "dragged"]

REACH = 8
"""The radius of what a handle drags is this part of the shorter side unless given."""


@dataclass(frozen=True)
class Strokes:
    """What an edit asks of an image; each part may be left out.

    Args:
        colour: levels (c, h, w), user's units, where `colour_mask` is above 0.
        colour_mask: (h, w), from 0, free, to 1.
        sketch: lines (h, w), from 0 to 1.
        sketch_mask: (h, w): where the image should look like the sketch; around its lines if not
            given.
        handles: (k, 2), pixels x and y of the image before the edit, each the centre of a part
            that is dragged.
        targets: (k, 2), where these parts go.
        radius: of the parts, pixels; an eighth of the shorter side if not given.
        fixed: (h, w), from 0, free, to 1: where the image stays as it was.
    """

    colour: Tensor | None = None
    colour_mask: Tensor | None = None
    sketch: Tensor | None = None
    sketch_mask: Tensor | None = None
    handles: Tensor | None = None
    targets: Tensor | None = None
    radius: float | None = None
    fixed: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.colour is None) != (self.colour_mask is None):
            raise InvalidValue("colours and the mask of where they go belong together; pass both")
        if (self.handles is None) != (self.targets is None):
            raise InvalidValue("handles and their targets belong together; pass both")
        if self.sketch is None and self.sketch_mask is not None:
            raise InvalidValue("a sketch_mask needs a sketch; pass both")
        if self.colour is None and self.sketch is None and self.handles is None:
            raise InvalidValue("an edit asks for colours, a sketch or a drag; pass one of them")
        if self.radius is not None and not 0 < self.radius < float("inf"):
            raise InvalidValue(f"radius must be above 0, got {self.radius}")
        for name in ("colour_mask", "sketch", "sketch_mask", "fixed"):
            mask = getattr(self, name)
            if mask is not None and not bool(((mask >= 0) & (mask <= 1)).all()):
                raise InvalidValue(f"{name} lies between 0 and 1; scale it")
        for name in ("colour_mask", "sketch", "fixed"):
            mask = getattr(self, name)
            if mask is not None and not bool((mask > 0).any()):
                raise InvalidValue(f"{name} is empty; draw something")


def conform_strokes(strokes: Strokes, space: Space, like: Tensor) -> Strokes:
    """The strokes as tensors of the images' size.

    Raises:
        ShapeMismatch: For another size.
    """
    channels, height, width = space.shape
    parts = {f.name: getattr(strokes, f.name) for f in fields(strokes)}
    for name in ("colour", "colour_mask", "sketch", "sketch_mask", "fixed"):
        size = (channels, height, width) if name == "colour" else (height, width)
        if parts[name] is not None and tuple(parts[name].shape) != size:
            raise ShapeMismatch(
                f"{name} must have the size of the images, {'×'.join(map(str, size))}, got"
                f" {'×'.join(map(str, parts[name].shape))}; resize it"
            )
    if strokes.handles is not None and strokes.targets is not None:
        assert height is not None
        assert width is not None
        read_handles(strokes.handles, strokes.targets, (height, width))
    tensors: dict[str, Any] = {
        k: torch.as_tensor(v).to(like) for k, v in parts.items() if isinstance(v, Tensor)
    }
    return replace(strokes, **tensors)


def dragged(strokes: Strokes, before: Tensor) -> tuple[Tensor, Tensor] | None:
    """The image before (c, h, w) with its parts dragged, and where they are then (h, w)."""
    if strokes.handles is None or strokes.targets is None:
        return None
    radius = strokes.radius or min(before.shape[-2:]) / REACH
    size = before.shape[-2], before.shape[-1]
    moved = warp(before, strokes.handles, strokes.targets, frame=False)  # parts keep their shape
    return moved, discs(strokes.targets, radius, size)


def discs(centres: Tensor, radius: float, size: tuple[int, int]) -> Tensor:
    """A mask (height, width): 1 within a radius of any centre (k, 2), 0 from a pixel beyond."""
    down, across = torch.meshgrid(
        torch.arange(size[0]).to(centres), torch.arange(size[1]).to(centres), indexing="ij"
    )
    x, y = centres.T[:, :, None, None]
    distance = ((across - x).square() + (down - y).square()).sqrt()
    mask: Tensor = (radius + 1 - distance).clamp(0, 1).amax(0)
    return mask
