"""Residual networks without normalisation (Huang, Gokaslan, Kuleshov & Tompkin 2024,
https://arxiv.org/abs/2501.05441, R3GAN, Config E).

A block on c channels widens, convolves in groups of 16 channels, and narrows,

    x + W_3 a(b_2 + W_2 * a(b_1 + W_1 x)),
        W_1: c -> 2c, 1x1;  W_2: 2c -> 2c, 3x3, grouped;  W_3: 2c -> c, 1x1

with a the leaky ReLU of slope .2. Instead of normalisation, the initialisation makes depth
irrelevant: W_3 is 0, W_1 and W_2 are scaled by L^(-1/4), L the number of blocks (Zhang, Dauphin &
Ma 2019, https://arxiv.org/abs/1901.09321, with three layers per block). Between sizes, maps are
resampled bilinearly, then mixed by a 1x1 convolution. The first map is z times a trainable map; the
last is reduced by a trainable one.

Differences: the number of channels follows from `width`, and any image size is supported, with
sides halved (rounding up) down to 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu

from pushforward.nets.convolutional import map_sizes

__all__ = ["ResidualGenerator", "ResidualBlock", "Resample", "residual_trunk"]

SLOPE = 0.2
"""Of the leaky ReLU, as in the paper."""
GAIN = math.sqrt(2 / (1 + SLOPE**2))
"""What keeps variances through a leaky ReLU (He et al. 2015, https://arxiv.org/abs/1502.01852)."""
WIDEST = 8
"""Times the width that channels grow to."""
EXPANSION = 2
GROUP = 16
"""Channels inside a block for each outside, and channels of a group: Config E."""

Size = tuple[int, int]


class ResidualGenerator(nn.Module):
    """z (n, latent), y (n, …) -> images (n, *event), unbounded.

    Args:
        inputs: numbers in z and y together.
        event: (channels, height, width).
        width: channels at the image's size.
        blocks: at every size.
    """

    def __init__(self, inputs: int, event: Sequence[int], width: int = 64, blocks: int = 2) -> None:
        super().__init__()
        channels, height, across = event
        sizes = map_sizes(height, across)[::-1]
        widths = _widths(width, len(sizes))[::-1]
        depth = blocks * len(sizes)
        layers: list[nn.Module] = [
            FirstMap(inputs, (widths[0], *sizes[0])),
            *_blocks(widths[0], blocks, depth),
        ]
        for (inner, outer), size in zip(pairwise(widths), sizes[1:]):
            layers += [Resample(inner, outer, size), *_blocks(outer, blocks, depth)]
        self.layers = nn.Sequential(*layers, _convolution(widths[-1], channels, 1, 1.0))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, latent), (n, …) -> (n, *event)."""
        images: Tensor = self.layers(z if y is None else torch.cat([z, y.to(z).flatten(1)], 1))
        return images


def residual_trunk(
    event: Sequence[int], extra: int = 0, width: int = 64, blocks: int = 2
) -> tuple[list[nn.Module], int]:
    """The critic's layers on (n, channels + extra, height, width),
    and the width of its features.
    """
    channels, height, across = event
    sizes = map_sizes(height, across)
    widths = _widths(width, len(sizes))
    depth = blocks * len(sizes)
    layers: list[nn.Module] = [
        _convolution(channels + extra, widths[0], 1, 1.0),
        *_blocks(widths[0], blocks, depth),
    ]
    for (inner, outer), size in zip(pairwise(widths), sizes[1:]):
        layers += [Resample(inner, outer, size), *_blocks(outer, blocks, depth)]
    last = nn.Conv2d(widths[-1], widths[-1], sizes[-1], groups=widths[-1], bias=False)
    nn.init.normal_(last.weight, 0.0, math.prod(sizes[-1]) ** -0.5)
    trunk = nn.Sequential(*layers, last).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return [*trunk, nn.Flatten()], widths[-1]


class ResidualBlock(nn.Module):
    """x + W_3 a(b_2 + W_2 * a(b_1 + W_1 x)), initialised as the identity.

    Args:
        channels: c, of input and output.
        depth: L, blocks in the whole network.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        inside, shrunk = channels * EXPANSION, GAIN * depth**-0.25
        self.widen = _convolution(channels, inside, 1, shrunk, bias=True)
        self.mix = _convolution(
            inside, inside, 3, shrunk, bias=True, groups=inside // math.gcd(inside, GROUP)
        )
        self.narrow = _convolution(inside, channels, 1, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, …, …) -> the same."""
        change: Tensor = self.narrow(leaky_relu(self.mix(leaky_relu(self.widen(x), SLOPE)), SLOPE))
        return x + change


class Resample(nn.Module):
    """Resamples to another size bilinearly, and to another number of channels.

    Args:
        inputs, outputs: channels; the smaller map is mixed, which costs less.
        size: (height, width) of the output.
    """

    def __init__(self, inputs: int, outputs: int, size: Size) -> None:
        super().__init__()
        self.size = tuple(size)
        self.mix = _convolution(inputs, outputs, 1, 1.0) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, …, …) -> (n, outputs, *size)."""
        if self.size[0] > x.shape[-2]:
            return interpolate(self.mix(x), self.size, mode="bilinear")
        maps: Tensor = self.mix(interpolate(x, self.size, mode="bilinear"))
        return maps


class FirstMap(nn.Module):
    """z (n, inputs) -> W z times a trainable map (n, channels, height, width)."""

    def __init__(self, inputs: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.weights = nn.Linear(inputs, shape[0], bias=False)
        nn.init.normal_(self.weights.weight, 0.0, inputs**-0.5)
        self.map = nn.Parameter(torch.randn(*shape))

    def forward(self, z: Tensor) -> Tensor:
        """(n, inputs) -> (n, *shape)."""
        maps: Tensor = self.weights(z)[:, :, None, None] * self.map
        return maps


def _blocks(channels: int, count: int, depth: int) -> list[nn.Module]:
    return [ResidualBlock(channels, depth) for _ in range(count)]


def _widths(width: int, sizes: int) -> list[int]:
    return [width * min(2**i, WIDEST) for i in range(sizes)]


@torch.no_grad()
def _convolution(
    inputs: int, outputs: int, kernel: int, gain: float, bias: bool = False, groups: int = 1
) -> nn.Conv2d:
    """Weights N(0, gain²/fan in), biases 0."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=bias)
    nn.init.normal_(layer.weight, 0.0, gain * (inputs // groups * kernel**2) ** -0.5)
    if layer.bias is not None:
        layer.bias.zero_()
    return layer
