"""Which part of a photograph a model's image shows, and the way back into the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.data.options import Fit

__all__ = ["Areas", "find_areas", "paste_faded"]

FADE = 16
"""Changes fade out along the sides that were cut off, over this part of the area's shorter side."""


@dataclass(frozen=True)
class Areas:
    """The same content in two sizes.

    Args:
        photo: rows and columns of the photograph.
        image: rows and columns of the model's image.
    """

    photo: tuple[slice, slice]
    image: tuple[slice, slice]


def find_areas(photo: tuple[int, int], image: tuple[int, int], fit: Fit) -> Areas:
    """The areas of a photograph and of an image (height, width) that a way of fitting relates."""
    scales = [i / p for i, p in zip(image, photo)]
    if fit == "stretch":
        return Areas(_middle(photo, photo), _middle(image, image))
    scale = max(scales) if fit == "crop" else min(scales)
    inside = [min(p, round(i / scale)) for p, i in zip(photo, image)]
    shown = [min(i, round(p * scale)) for p, i in zip(photo, image)]
    return Areas(_middle(photo, inside), _middle(image, shown))


def _middle(
    size: tuple[int, int] | list[int], inner: tuple[int, int] | list[int]
) -> tuple[slice, slice]:
    rows, columns = (
        slice((whole - max(1, part)) // 2, (whole - max(1, part)) // 2 + max(1, part))
        for whole, part in zip(size, inner)
    )
    return rows, columns


def paste_faded(photo: Tensor, changed: Tensor, area: tuple[slice, slice]) -> Tensor:
    """A photograph (c, k, l), bytes, with an area changed, less so near the sides that were cut."""
    if changed.shape[1:] == photo.shape[1:]:
        return changed
    weights = []
    reach = max(1.0, min(changed.shape[1:]) / FADE)
    for axis, part in enumerate(area):
        length, whole = changed.shape[axis + 1], photo.shape[axis + 1]
        at = torch.arange(length, dtype=torch.float32)
        first = (at + 0.5) / reach if part.start > 0 else torch.ones(length)
        last = (length - at - 0.5) / reach if part.stop < whole else torch.ones(length)
        weights.append(torch.minimum(first, last).clamp(0, 1))
    weight = weights[0][:, None] * weights[1]
    pasted = photo.clone()
    before = pasted[:, area[0], area[1]]
    mixed = before + weight * (changed.float() - before)
    before.copy_(mixed.round().to(photo.dtype))
    return pasted
