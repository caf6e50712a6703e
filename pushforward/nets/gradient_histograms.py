r"""Histograms of oriented gradients (Dalal & Triggs 2005, https://doi.org/10.1109/CVPR.2005.177),
differentiable, as features of a sketch.

The gradient of the brightness at each pixel votes for its orientation, which has no sign, with its
length: between the two nearest bins, and, by a triangular window of two cells, for the cells around
it. The histogram h of each cell is then divided by its length,

    h / sqrt(‖h‖² + ε²)

so that strokes of any strength say the same. Cells that touch no stroke stay at zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from pushforward.core.errors import InvalidValue, ShapeMismatch, require_positive

__all__ = ["gradient_histograms"]

FAINT = 0.01
"""ε: of gradients, as a share of the range per pixel, that count half."""


def gradient_histograms(x: Tensor, *, orientations: int = 8, cell: int = 8) -> Tensor:
    """Histograms (n, orientations, h / cell, w / cell) of brightness (n, 1, h, w) in 0..1.

    Bin k is centred at the orientation k π / orientations of the gradient, clockwise from the
    horizontal: a vertical edge is in bin 0.

    Args:
        orientations: bins of half a turn.
        cell: pixels a side of a cell; sides that are no multiples are cut.

    Raises:
        ShapeMismatch: For other than images, or images smaller than a cell.
    """
    require_positive(orientations=orientations, cell=cell)
    if orientations < 2:
        raise InvalidValue(f"orientations are 2 or more, got {orientations}")
    if x.ndim != 4 or x.shape[1] != 1 or min(x.shape[-2:]) < cell:
        raise ShapeMismatch(
            f"expected brightness (n, 1, h, w) of at least {cell}x{cell} pixels, got"
            f" {tuple(x.shape)}"
        )
    framed = pad(x, (1, 1, 1, 1), mode="replicate")
    across = (framed[..., 1:-1, 2:] - framed[..., 1:-1, :-2]) / 2
    down = (framed[..., 2:, 1:-1] - framed[..., :-2, 1:-1]) / 2
    length = _length(across, down)
    votes = length * _bins(across, down, orientations)
    pooled = _pooled(votes, cell)
    norm = (pooled.square().sum(1, keepdim=True) + FAINT**2).sqrt()
    return pooled / norm


def _length(across: Tensor, down: Tensor) -> Tensor:
    """Lengths of gradients, with a finite derivative at zero."""
    square = across.square() + down.square()
    tiny = torch.finfo(square.dtype).tiny
    return (square + tiny).sqrt() * (square > 0)


def _bins(across: Tensor, down: Tensor, orientations: int) -> Tensor:
    """The share (n, orientations, h, w) of each pixel's vote by bin, linear between neighbours."""
    flat = (across == 0) & (down == 0)
    angle = torch.atan2(down, torch.where(flat, torch.ones_like(across), across))
    place = (angle / math.pi * orientations) % orientations
    centres = torch.arange(orientations, device=place.device, dtype=place.dtype)[:, None, None]
    apart = (place - centres).abs()
    apart = torch.minimum(apart, orientations - apart)
    return (1 - apart).clamp_min(0)


def _pooled(votes: Tensor, cell: int) -> Tensor:
    """Means of votes (n, k, h, w) by a triangular window of two cells, one for each cell."""
    n, k, height, width = votes.shape
    ramp = (torch.arange(2 * cell, device=votes.device, dtype=votes.dtype) + 0.5) / cell
    tent = torch.minimum(ramp, 2 - ramp)
    window = tent[:, None] * tent[None] / cell**2
    before = cell // 2
    framed = pad(votes.reshape(n * k, 1, height, width), [before, cell - before] * 2)
    pooled = conv2d(framed, window[None, None], stride=cell)
    rows, columns = height // cell, width // cell
    return pooled[..., :rows, :columns].reshape(n, k, rows, columns)
