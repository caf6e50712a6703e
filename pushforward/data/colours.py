"""Colours as people see them: CIE L*a*b* of sRGB images, white point D65.

    L = 116 f(Y / Yₙ) - 16      a = 500 (f(X / Xₙ) - f(Y / Yₙ))      b = 200 (f(Y / Yₙ) - f(Z / Zₙ))

f is the cube root, linear below (6/29)³; X, Y, Z are linear in the undone gamma of sRGB (IEC
61966-2-1, https://www.w3.org/TR/css-color-4/#color-conversion-code). L lies in 0..100; a (green to
red) and b (blue to yellow) of sRGB's colours in -108..99. Greys have a = b = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["grey_of_lightness", "lab_to_rgb", "rgb_to_lab", "to_gamut"]

MATRIX = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear sRGB to XYZ; the white point is the sum of each row, so that greys have no colour."""
KNEE = 6 / 29
"""Where f becomes linear."""
HALVINGS = 18
"""Of the interval in which the largest chroma lies: 4e-6 of it remain."""


def rgb_to_lab(x: Tensor) -> Tensor:
    """L, a, b (n, 3, h, w) of images (n, 3, h, w) in [0, 1]; values outside are cut off."""
    x = x.clamp(0, 1)
    linear = torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    matrix = x.new_tensor(MATRIX)
    xyz = torch.einsum("ij,njhw->nihw", matrix, linear) / matrix.sum(1)[:, None, None]
    f = torch.where(xyz > KNEE**3, xyz.clamp_min(KNEE**3) ** (1 / 3), _below(xyz))
    l, a, b = 116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])  # noqa: E741
    return torch.stack([l, a, b], 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Images (n, 3, h, w) of L, a, b (n, 3, h, w); outside [0, 1] for colours that sRGB lacks."""
    middle = (lab[:, 0] + 16) / 116
    f = torch.stack([middle + lab[:, 1] / 500, middle, middle - lab[:, 2] / 200], 1)
    xyz = torch.where(f > KNEE, f**3, 3 * KNEE**2 * (f - 4 / 29))
    matrix = lab.new_tensor(MATRIX)
    xyz = xyz * matrix.sum(1)[:, None, None]
    linear = torch.einsum("ij,njhw->nihw", torch.linalg.inv(matrix.double()).to(lab), xyz)
    curved = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curved)


def to_gamut(lab: Tensor) -> Tensor:
    """Images (n, 3, h, w) in [0, 1] of L, a, b (n, 3, h, w).

    Colours that sRGB lacks lose chroma until it has them; lightness and hue stay.
    """
    rgb = lab_to_rgb(lab)
    outside = ~_within(rgb)[:, 0]
    if bool(outside.any()):
        pixels = lab.movedim(1, -1)[outside].T[None, :, :, None]
        rgb.movedim(1, -1)[outside] = _desaturated(pixels)[0, :, :, 0].T
    return rgb.clamp(0, 1)


def _desaturated(lab: Tensor) -> Tensor:
    """The most colourful images in [0, 1] of the lightness and hue of L, a, b (n, 3, h, w)."""
    low, high = torch.zeros_like(lab[:, :1]), torch.ones_like(lab[:, :1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _within(lab_to_rgb(_paler(lab, middle)))
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return lab_to_rgb(_paler(lab, low))


def grey_of_lightness(lightness: Tensor) -> Tensor:
    """The grey in [0, 1] of a lightness in 0..100, both (n, 1, h, w)."""
    zero = torch.zeros_like(lightness)
    return lab_to_rgb(torch.cat([lightness, zero, zero], 1))[:, :1].clamp(0, 1)


def _below(xyz: Tensor) -> Tensor:
    return xyz / (3 * KNEE**2) + 4 / 29


def _paler(lab: Tensor, share: Tensor) -> Tensor:
    return torch.cat([lab[:, :1], lab[:, 1:] * share], 1)


def _within(rgb: Tensor) -> Tensor:
    slack = 1e-4  # rounding of float32, a fortieth of a level of 255
    return ((rgb >= -slack) & (rgb <= 1 + slack)).all(1, keepdim=True)
