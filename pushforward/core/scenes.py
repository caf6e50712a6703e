"""Samples that are composed of layers: what moves, what stands still, and which is seen where."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Scenes"]


@dataclass(frozen=True)
class Scenes:
    """Sampled clips and their layers, in the user's units but for the mask.

    Args:
        x: the clips (n, channels, time, height, width).
        mask: (n, 1, time, height, width), the share of the foreground in x, between 0 and 1.
        foreground: of x's shape.
        background: of x's shape, the same at all times.
    """

    x: Tensor
    mask: Tensor
    foreground: Tensor
    background: Tensor
