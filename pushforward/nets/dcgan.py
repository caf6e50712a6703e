"""The deep convolutional pair (Radford, Metz & Chintala 2016,
https://arxiv.org/abs/1511.06434), for images of any size.

Down: 4x4 convolutions of stride 2 halve every side that is longer than 4, rounding down; 64 -> 32
-> 16 -> 8 -> 4 and 28 -> 14 -> 7 -> 3. Up: transposed convolutions give the same sizes in reverse;
a side that was odd gets one pixel of output padding. Weights are initialised as N(0, .02²), batch
norm gains as N(1, .02²).

The critic's batch norm keeps no running statistics: it only sees whole batches, all real or all
generated, and an average of both would fit neither. The generator's does, so that a single code can
be decoded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

__all__ = [
    "ConvolutionalGenerator",
    "convolutional_trunk",
    "convolutional_head",
    "map_sizes",
    "initialise",
]

MAP = 4
WIDEST = 8
SLOPE = 0.2
SPREAD = 0.02
"""All as Radford, Metz & Chintala (2016) have them: a map of 4x4, 64 to 512 channels, leaky ReLU of
slope .2, weights that begin as N(0, .02²).
"""

Size = tuple[int, int]
Network = TypeVar("Network", bound=nn.Module)


def map_sizes(height: int, width: int) -> list[Size]:
    """The sizes of the maps on the way down, the image's first.

    Sides above 4 are halved, rounding down.
    """
    sizes = [(height, width)]
    while max(sizes[-1]) > MAP:
        high, wide = sizes[-1]
        sizes.append((high // 2 if high > MAP else high, wide // 2 if wide > MAP else wide))
    return sizes


class ConvolutionalGenerator(nn.Module):
    """z (n, latent), y (n, …) -> images (n, *event) in (-1, 1).

    Args:
        inputs: numbers in z and y together.
        event: (channels, height, width).
        width: channels of the map at half size.
    """

    def __init__(self, inputs: int, event: Sequence[int], width: int = 64) -> None:
        super().__init__()
        channels, height, across = event
        sizes = map_sizes(height, across)[::-1]
        widths = [*_widths(width, len(sizes) - 1)[::-1], channels]
        layers: list[nn.Module] = [
            Seed(inputs, (widths[0], *sizes[0])),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        for i, ((inner, outer), (low, high)) in enumerate(zip(pairwise(widths), pairwise(sizes))):
            kernel, stride, padding = _steps(high, low)
            odd = (high[0] % 2 if stride[0] == 2 else 0, high[1] % 2 if stride[1] == 2 else 0)
            layers.append(
                nn.ConvTranspose2d(inner, outer, kernel, stride, padding, odd, bias=False)
            )
            layers += (
                [nn.Tanh()]
                if i == len(sizes) - 2
                else [nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
            )
        self.layers = initialise(nn.Sequential(*layers))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, latent), (n, …) -> (n, *event)."""
        images: Tensor = self.layers(z if y is None else torch.cat([z, y.to(z).flatten(1)], 1))
        return images


class Seed(nn.Linear):
    """z (n, inputs) -> the first map (n, channels, height, width), channels last in memory."""

    def __init__(self, inputs: int, shape: Sequence[int]) -> None:
        super().__init__(inputs, math.prod(shape), bias=False)
        self.shape = tuple(shape)

    def forward(self, z: Tensor) -> Tensor:
        """(n, inputs) -> (n, *shape)."""
        channels, height, width = self.shape
        return super().forward(z).reshape(-1, height, width, channels).permute(0, 3, 1, 2)


def convolutional_trunk(
    event: Sequence[int], extra: int = 0, width: int = 64
) -> tuple[list[nn.Module], int]:
    """The critic's layers on (n, channels + extra, height, width),
    and the size of the flattened last map.
    """
    channels, height, across = event
    sizes = map_sizes(height, across)
    widths = [channels + extra, *_widths(width, len(sizes) - 1)]
    layers: list[nn.Module] = []
    for i, ((inner, outer), (high, low)) in enumerate(zip(pairwise(widths), pairwise(sizes))):
        kernel, stride, padding = _steps(high, low)
        layers.append(nn.Conv2d(inner, outer, kernel, stride, padding, bias=False))
        layers += [nn.BatchNorm2d(outer, track_running_stats=False)] if i else []
        layers.append(nn.LeakyReLU(SLOPE, inplace=True))
    return [*initialise(nn.Sequential(*layers)), nn.Flatten()], widths[-1] * math.prod(sizes[-1])


def convolutional_head(width: int) -> nn.Module:
    """(n, width) -> (n, 1): a convolution over the whole last map, no bias."""
    return initialise(nn.Linear(width, 1, bias=False))


@torch.no_grad()
def initialise(network: Network) -> Network:
    """Initialise weights as N(0, .02²), batch norm gains as N(1, .02²), biases as 0.

    Use channels-last memory.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, SPREAD)
        elif isinstance(layer, (nn.BatchNorm2d, nn.InstanceNorm2d)) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, SPREAD)
            nn.init.zeros_(layer.bias)
    same: Network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return same


def _widths(width: int, steps: int) -> list[int]:
    return [width * min(2**i, WIDEST) for i in range(steps)]


def _steps(high: Size, low: Size) -> tuple[Size, Size, Size]:
    """Kernel, stride and padding between two sizes:
    4, 2, 1 along a side that is halved, 3, 1, 1 along one that stays.
    """
    halved = [h != s for h, s in zip(high, low)]
    kernel, stride = tuple(3 + h for h in halved), tuple(1 + h for h in halved)
    return kernel, stride, (1, 1)  # type: ignore[return-value]
