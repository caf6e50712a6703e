"""Bicubic resizing as MATLAB's `imresize` does it, which published results of super-resolution use.

The kernel is Keys' with a = -1/2 (Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711), widened
when an image is reduced, so that nothing is aliased; beyond the border, pixels are mirrored. Bytes
are rounded after each of the two directions, as MATLAB rounds them. Pillow's bicubic filter differs
at the borders and in its rounding; torch's without antialiasing is wrong by .3 dB and more.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue

__all__ = ["enlarge", "reduce", "resize"]

REACH = 2.0
"""The kernel of Keys is zero from a distance of two pixels on."""


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (n, c, h, w) of another size (height, width) in pixels.

    Bytes give bytes; other numbers keep their type and are not rounded or clipped.

    Raises:
        InvalidValue: For sides below one pixel.
    """
    if min(size) < 1:
        raise InvalidValue(f"expected sides of at least one pixel, got {size[0]}x{size[1]}")
    # the direction that is reduced most comes first, as in MATLAB
    scales = {axis: size[axis + 2] / x.shape[axis] for axis in (-2, -1)}
    for axis in sorted(scales, key=lambda axis: scales[axis]):
        x = _along(x, axis, size[axis + 2])
    return x


def reduce(x: Tensor, factor: int) -> Tensor:
    """Images (n, c, h, w) reduced by a whole factor, sides rounded up."""
    return resize(x, (math.ceil(x.shape[-2] / factor), math.ceil(x.shape[-1] / factor)))


def enlarge(x: Tensor, factor: int) -> Tensor:
    """Images (n, c, h, w) enlarged by a whole factor."""
    return resize(x, (x.shape[-2] * factor, x.shape[-1] * factor))


def _along(x: Tensor, axis: int, length: int) -> Tensor:
    before = x.shape[axis]
    if before == length:
        return x
    weights = _weights(before, length).to(x.device)
    numbers = x.to(torch.float64) if x.dtype == torch.uint8 else x
    weights = weights.to(numbers.dtype)
    y = numbers @ weights.T if axis == -1 else weights @ numbers
    if x.dtype != torch.uint8:
        return y
    return (y + 0.5).floor().clamp(0, 255).to(torch.uint8)  # halves away from zero, as MATLAB


@lru_cache(maxsize=16)
def _weights(before: int, after: int) -> Tensor:
    """(after, before): the share of every old pixel in every new one."""
    scale = after / before
    stretch = max(1.0, 1.0 / scale)
    centres = (torch.arange(after, dtype=torch.float64) + 0.5) / scale - 0.5
    reach = REACH * stretch
    first = (centres - reach).floor().long()
    at = first[:, None] + torch.arange(math.ceil(2 * reach) + 2)
    shares = _keys((centres[:, None] - at) / stretch)
    shares = shares / shares.sum(1, keepdim=True)
    mirrored = at % (2 * before)
    mirrored = torch.where(mirrored < before, mirrored, 2 * before - 1 - mirrored)
    weights = torch.zeros(after, before, dtype=torch.float64)
    return weights.scatter_add_(1, mirrored, shares)


def _keys(distance: Tensor) -> Tensor:
    """Keys' cubic kernel with a = -1/2."""
    d = distance.abs()
    near = (1.5 * d - 2.5) * d.square() + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d <= 1, near, torch.where(d <= REACH, far, torch.zeros_like(d)))
