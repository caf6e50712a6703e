r"""Structural similarity of images x and y with values in [0, 1].

* SSIM (Wang, Bovik, Sheikh & Simoncelli 2004, https://doi.org/10.1109/TIP.2003.819861): the mean
  over windows inside the image, of

      l · cs = (2 μ_x μ_y + C₁)/(μ_x² + μ_y² + C₁) · (2 σ_xy + C₂)/(σ_x² + σ_y² + C₂),
          C₁ = .01², C₂ = .03²,

  with moments under a Gaussian window of 11×11 pixels with σ = 1.5.
* daala's SSIM (the one in SRGAN's tables; https://github.com/xiph/daala): the window has σ = 1.5
  H/256 for images of height H, with weights rounded to 256ths; it is cut off at the borders, and
  windows are weighted by their remaining weight. It is higher than Wang's.
* Multi-scale SSIM (Wang, Simoncelli & Bovik 2003, https://doi.org/10.1109/ACSSC.2003.1292216): Π_j
  mean(cs at scale j)^w_j · mean(l · cs at the last scale)^w_5 over five scales, each half the one
  before (means of 2×2 pixels), w = .0448, .2856, .3001, .2363, .1333. Negative means count as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["SIDE", "daala_similarity", "multi_scale_similarity", "wang_similarity"]

SIDE, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
STEPS = 256
"""daala's weights are multiples of one over this."""


def wang_similarity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of l · cs and of cs (b,) over windows inside images (b, c, h, w) and over channels."""
    offsets = torch.arange(SIDE, dtype=torch.float64) - SIDE // 2
    window = torch.exp(-offsets.square() / (2 * SIGMA**2))
    window = window / window.sum()
    luminance, structure = _similarity(x, y, lambda u: _filter(u, window, 0, 0))
    return (luminance * structure).flatten(1).mean(1), structure.flatten(1).mean(1)


def multi_scale_similarity(x: Tensor, y: Tensor) -> Tensor:
    """MS-SSIM (b,) of images (b, c, h, w)."""
    value = x.new_ones(len(x))
    for scale, weight in enumerate(SCALES):
        whole, structure = wang_similarity(x, y)
        last = scale == len(SCALES) - 1
        value = value * (whole if last else structure).clamp_min(0) ** weight
        if not last:
            x, y = _halve(x), _halve(y)
    return value


def _halve(x: Tensor) -> Tensor:
    """Means of 2×2 pixels; a missing last row or column repeats the one before."""
    odd = (0, x.shape[3] % 2, 0, x.shape[2] % 2)
    return functional.avg_pool2d(functional.pad(x, odd, mode="replicate") if any(odd) else x, 2)


def daala_similarity(x: Tensor, y: Tensor) -> Tensor:
    """daala's SSIM (b,) of images (b, c, h, w)."""
    height, width = x.shape[2:]
    window = _daala_window(SIGMA * height / 256, min(height, width))
    reach = len(window) // 2
    weight = _filter(x.new_ones(1, 1, height, width), window, reach, reach)
    luminance, structure = _similarity(x, y, lambda u: _filter(u, window, reach, reach) / weight)
    return (luminance * structure * weight).sum((2, 3)).mean(1) / weight.sum()


def _daala_window(sigma: float, most: int) -> Tensor:
    """Weights (2 reach + 1,) in 256ths, without those that round to 0.

    The middle makes the sum 1.
    """
    peak = 1 / (math.sqrt(2 * math.pi) * sigma)
    least = 1 / (2 * STEPS * peak)  # value of the exponential for half a step
    reach = 0 if least >= 1 else min(math.floor(sigma * math.sqrt(-2 * math.log(least))), most - 1)
    side = torch.arange(reach, 0, -1, dtype=torch.float64)
    side = torch.floor(STEPS * peak * torch.exp(-side.square() / (2 * sigma**2)) + 0.5)
    return torch.cat([side, STEPS - 2 * side.sum(0, keepdim=True), side.flip(0)]) / STEPS


def _similarity(x: Tensor, y: Tensor, mean: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """l and cs at every window (b, c, h', w'), with moments by `mean`."""
    mx, my, xx, yy, xy = mean(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    luminance = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    structure = (2 * (xy - mx * my) + C2) / (xx - mx * mx + yy - my * my + C2)
    return luminance, structure


def _filter(x: Tensor, window: Tensor, down: int, across: int) -> Tensor:
    """Weighted sums of images (b, c, h, w) under a separable window, with zero padding."""
    b, c, h, w = x.shape
    flat = functional.conv2d(
        x.reshape(b * c, 1, h, w), window[None, None, :, None], padding=(down, 0)
    )
    flat = functional.conv2d(flat, window[None, None, None, :], padding=(0, across))
    return flat.reshape(b, c, *flat.shape[2:])
