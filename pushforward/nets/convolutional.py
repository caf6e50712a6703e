"""Convolutional networks for images of any size, computed from one image's shape.

Down: maps m_0 = x, m_i = a(W_i * m_{i-1}), where each W_i halves every side that is still longer
than 4 (rounding up) and the channels go w, 2w, 4w, 8w, 8w, …; then a dense layer, to which the
condition is appended. Up: the same sizes in reverse; each step repeats pixels until the map has the
recorded size, then convolves, so that odd sizes are exact and there is no checkerboard pattern
(Odena et al. 2016, https://doi.org/10.23915/distill.00003). The last step convolves first, to four
channels for each of the image's, and rearranges them as 2x2 pixels (Shi et al. 2016,
https://arxiv.org/abs/1609.05158), cropped to the image's size: a convolution at full size would
cost as much as all others.

There is no batch norm: it would make the output for one image, and so its likelihood, depend on the
rest of the batch. Group norm (Wu & He 2018, https://arxiv.org/abs/1803.08494) acts on one image at
a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue
from pushforward.nets.mlp import Activation, join, make_activation

__all__ = [
    "ConvolutionalEncoder",
    "ConvolutionalDecoder",
    "NORMS",
    "Norm",
    "check_image",
    "map_sizes",
]

Norm: TypeAlias = Literal["none", "group"]
NORMS: tuple[Norm, ...] = get_args(Norm)
"""What follows a convolution: nothing, or group norm (Wu & He 2018,
https://arxiv.org/abs/1803.08494).
"""
SHORTEST = 8
"""Sides of images that can be halved once and leave a map of 4."""
MAP = 4
"""Sides longer than this are halved: a map of 4x4 is what a dense layer reads well."""
WIDEST = 8
"""Times the width that channels grow to: beyond, weights grow by the square and maps hardly shrink.
"""
GROUPS = 8
"""Groups of channels in group norm: Wu & He (2018) find little between 8 and 32, and narrow layers
have few channels.
"""

Size = tuple[int, int]


def check_image(
    event: Sequence[int], kind: str = "conv", instead: str = ""
) -> tuple[int, int, int]:
    """(channels, height, width) of an image event.

    Args:
        kind: the name of the networks, for the error.
        instead: what to use for other events; 'mlp' networks by default.

    Raises:
        InvalidValue: For images that are too small, or other events.
    """
    if len(event) != 3 or min(event[1:]) < SHORTEST:
        got = (
            f"{event[1]}x{event[2]}"
            if len(event) == 3
            else f"{'x'.join(map(str, event)) or 'one'} numbers"
        )
        raise InvalidValue(
            f"{kind} networks take images of at least {SHORTEST}x{SHORTEST}, got {got}; use"
            f" {instead or setting('network', 'mlp')}"
        )
    channels, height, width = event
    return channels, height, width


def map_sizes(height: int, width: int) -> list[Size]:
    """The sizes of the maps on the way down, the image's first.

    Sides above 4 are halved, rounding up.
    """
    sizes = [(height, width)]
    while max(sizes[-1]) > MAP:
        high, wide = sizes[-1]
        sizes.append((_halve(high), _halve(wide)))
    return sizes


class ConvolutionalEncoder(nn.Module):
    """x (n, channels, height, width), y -> a tensor (n, size) for each of `sizes`.

    Args:
        event: (channels, height, width) of one image.
        sizes: of the heads.
        extra: numbers in one condition, appended to the flattened last map.
        width: channels of the first map.
        hidden: units of the dense layer.
        activation: by name.
        norm: 'none' or 'group'.
    """

    def __init__(
        self,
        event: Sequence[int],
        sizes: Sequence[int],
        extra: int = 0,
        *,
        width: int = 32,
        hidden: int = 256,
        activation: Activation = "silu",
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        channels, height, across = check_image(event)
        steps = map_sizes(height, across)
        widths = [channels, *_widths(width, len(steps) - 1)]
        maps = [
            [
                _convolution(i, o, stride=_stride(high, low)),
                *_activation_layers(o, activation, norm),
            ]
            for (i, o), (high, low) in zip(pairwise(widths), pairwise(steps))
        ]
        self.maps = nn.Sequential(*(layer for step in maps for layer in step))
        self.dense = nn.Sequential(
            _dense(widths[-1] * math.prod(steps[-1]) + extra, hidden), make_activation(activation)
        )
        self.sizes = tuple(sizes)
        self.heads = nn.Linear(hidden, sum(sizes))

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """(n, channels, height, width), (n, …) -> (n, size), …"""
        heads: Tensor = self.heads(self.dense(join(self.maps(x), y)))
        parts: tuple[Tensor, ...] = heads.split(self.sizes, 1)
        return parts


class ConvolutionalDecoder(nn.Module):
    """z (n, latent), y -> a tensor (n, *shape) for each of `shapes`, which share height and width.

    Args:
        latent: dimension of a code.
        shapes: (channels, height, width) of each head;
            the last convolution produces the channels of all heads.
        extra: numbers in one condition, appended to the code.
        width: channels of the map at half the image's size.
        hidden: units of the dense layer.
        activation: by name.
        norm: 'none' or 'group'.
    """

    def __init__(
        self,
        latent: int,
        shapes: Sequence[Sequence[int]],
        extra: int = 0,
        *,
        width: int = 32,
        hidden: int = 256,
        activation: Activation = "silu",
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.channels = _channels(shapes)
        steps = map_sizes(*check_image(shapes[0])[1:])[::-1]
        widths = _widths(width, len(steps) - 1)[::-1]
        self.first = (widths[0], *steps[0])
        self.dense = nn.Sequential(
            _dense(latent + extra, hidden),
            make_activation(activation),
            _dense(hidden, math.prod(self.first)),
            make_activation(activation),
        )
        maps = [
            [Enlarge(size), _convolution(i, o), *_activation_layers(o, activation, norm)]
            for (i, o), size in zip(pairwise(widths), steps[1:])
        ]
        self.maps = nn.Sequential(*(layer for step in maps for layer in step))
        self.heads = nn.Sequential(
            nn.Conv2d(widths[-1], 4 * sum(self.channels), 3, padding=1),
            nn.PixelShuffle(2),
            Cut(steps[-1]),
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """(n, latent), (n, …) -> (n, channels, height, width), …"""
        first = self.dense(join(z, y)).reshape(z.shape[0], *self.first)
        parts: tuple[Tensor, ...] = self.heads(self.maps(first)).split(self.channels, 1)
        return parts


class Enlarge(nn.Module):
    """Repeats pixels until the map has a given size."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, …, …) -> (n, c, *size)."""
        return interpolate(x, self.size, mode="nearest-exact")


class Cut(nn.Module):
    """Crops to the upper left part of a given size."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, …, …) -> (n, c, *size)."""
        return x[..., : self.size[0], : self.size[1]]


def _halve(side: int) -> int:
    return side if side <= MAP else -(-side // 2)


def _stride(high: Size, low: Size) -> Size:
    """2 along the sides that are halved, 1 along the others."""
    return 1 + (high[0] > low[0]), 1 + (high[1] > low[1])


def _widths(width: int, steps: int) -> list[int]:
    """Channels of the maps on the way down: doubling, up to 8 times the first."""
    return [width * min(2**i, WIDEST) for i in range(steps)]


def _channels(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The channels of each head.

    Raises:
        InvalidValue: If the heads are not images of one size.
    """
    images = [check_image(shape) for shape in shapes]
    if len({image[1:] for image in images}) != 1:
        listing = ", ".join(str(tuple(shape)) for shape in shapes) or "none"
        raise InvalidValue(
            f"conv networks give images of one height and width, got heads of shapes {listing}; use"
            f" {setting('network', 'mlp')}"
        )
    return tuple(image[0] for image in images)


def _activation_layers(channels: int, activation: Activation, norm: Norm) -> list[nn.Module]:
    """The layers after a convolution."""
    normed = [nn.GroupNorm(math.gcd(channels, GROUPS), channels)] if norm == "group" else []
    return [*normed, make_activation(activation)]


def _convolution(inputs: int, outputs: int, stride: Size = (1, 1)) -> nn.Module:
    return _initialise(nn.Conv2d(inputs, outputs, 3, stride, padding=1))


def _dense(inputs: int, outputs: int) -> nn.Module:
    return _initialise(nn.Linear(inputs, outputs))


@torch.no_grad()
def _initialise(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """Initialise weights so that signals keep their size through ten layers (He et al. 2015, Eq.
    10, https://arxiv.org/abs/1502.01852); with torch's defaults they fade.
    """
    nn.init.kaiming_normal_(layer.weight)
    if layer.bias is not None:
        layer.bias.zero_()
    return layer
