"""Networks that enlarge images (Ledig et al. 2017, https://arxiv.org/abs/1609.04802, Fig. 4).

    SRResNet   9x9 64 - 16 residual blocks of two 3x3 64 - long skip - pixel shuffle - 9x9 3
    critic     64 - 64/2 - 128 - 128/2 - 256 - 256/2 - 512 - 512/2 - 1024 - 1

Factor 4 in colour: 1 549 462 parameters. Without normalisation (Lim et al. 2017, EDSR,
https://arxiv.org/abs/1707.02921) the residual blocks are smaller and more accurate; with few
channels they run on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.nets.dcgan import SLOPE

__all__ = [
    "FACTORS",
    "EnlargingCritic",
    "EnlargingNetwork",
    "PlainEnlarger",
    "in_tiles",
    "shuffle_factors",
]

FACTORS = (2, 3, 4, 8)
"""Factors of enlargement: those that published results use, and 8."""
BICUBIC_REACH = 2
"""Pixels that bicubic interpolation reaches on each side."""


def shuffle_factors(factor: int) -> list[int]:
    """The pixel shuffles of an enlargement, one after another: 4 is 2 and 2.

    Raises:
        InvalidValue: For a factor that is not offered.
    """
    if factor not in FACTORS:
        raise InvalidValue(f"factor must be one of {', '.join(map(str, FACTORS))}, got {factor}")
    return [3] if factor == 3 else [2] * (factor.bit_length() - 1)


def _shuffled_reach(factor: int) -> float:
    """Pixels of the input that the 3x3 convolutions before the shuffles reach together."""
    scales = accumulate(shuffle_factors(factor)[:-1], lambda a, b: a * b, initial=1)
    return sum(1 / scale for scale in scales)


def in_tiles(
    network: Callable[[Tensor], Tensor], y: Tensor, factor: int, reach: int, tile: int
) -> Tensor:
    """The network's output on images (n, c, h, w), computed tile by tile to bound the memory.

    Each tile is seen with `reach` further pixels on every side, so that the result is that of the
    whole image, up to rounding.

    Args:
        network: a convolutional network that enlarges by a whole factor.
        factor: of enlargement.
        reach: pixels of the input on each side that an output pixel depends on.
        tile: longest side of a tile, pixels of the input, at least 1.
    """
    height, width = y.shape[-2:]
    if max(height, width) <= tile:
        return network(y)
    whole: Tensor | None = None
    for top, bottom in _parts(height, tile):
        for left, right in _parts(width, tile):
            above, before = max(0, top - reach), max(0, left - reach)
            piece = network(y[..., above : bottom + reach, before : right + reach])
            if whole is None:
                size = (*piece.shape[:-2], factor * height, factor * width)
                whole = piece.new_empty(size)
            rows = slice(factor * (top - above), factor * (bottom - above))
            columns = slice(factor * (left - before), factor * (right - before))
            inner = piece[..., rows, columns]
            whole[..., factor * top : factor * bottom, factor * left : factor * right] = inner
    assert whole is not None
    return whole


def _parts(length: int, longest: int) -> list[tuple[int, int]]:
    """The ends of the fewest parts of nearly equal length."""
    count = -(-length // longest)
    ends = [round(i * length / count) for i in range(count + 1)]
    return list(pairwise(ends))


class EnlargingNetwork(nn.Module):
    """SRResNet: images y (n, c, h, w) -> (n, c, factor h, factor w).

    Args:
        channels: of the images.
        factor: 2, 3, 4 or 8.
        width: channels of the maps.
        blocks: residual blocks.
    """

    def __init__(self, channels: int = 3, factor: int = 4, width: int = 64, blocks: int = 16):
        super().__init__()
        require_positive(width=width, blocks=blocks)
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(_NormalisedBlock(width) for _ in range(blocks)))
        self.joined = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        shuffles: list[nn.Module] = []
        for step in shuffle_factors(factor):
            shuffles += [
                nn.Conv2d(width, width * step**2, 3, padding=1),
                nn.PixelShuffle(step),
                nn.PReLU(),
            ]
        self.last = nn.Sequential(*shuffles, nn.Conv2d(width, channels, 9, padding=4))
        self.reach = 4 + 2 * blocks + 1 + math.ceil(_shuffled_reach(factor) + 4 / factor)
        """Pixels of the input on each side that an output pixel depends on, at most."""
        self.footprint = 3 * width * factor**2
        """Numbers held at once for a pixel of the input: the largest map, before and after its
        activation, and a copy."""

    def forward(self, y: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, factor h, factor w)."""
        first = self.first(y)
        enlarged: Tensor = self.last(first + self.joined(self.blocks(first)))
        return enlarged


class _NormalisedBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.PReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) -> the same shape."""
        return x + self.layers(x)  # type: ignore[no-any-return]


class PlainEnlarger(nn.Module):
    """Residual blocks without normalisation, and a skip by bicubic interpolation: the network
    learns only what interpolation lacks.

    Args:
        channels: of the images.
        factor: 2, 3, 4 or 8.
        width: channels of the maps.
        blocks: residual blocks.
    """

    def __init__(self, channels: int = 3, factor: int = 4, width: int = 32, blocks: int = 6):
        super().__init__()
        require_positive(width=width, blocks=blocks)
        steps = shuffle_factors(factor)
        self.smooth = _Bicubic(factor)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(_PlainBlock(width) for _ in range(blocks)))
        self.joined = nn.Conv2d(width, width, 3, padding=1)
        single = len(steps) == 1 or width < 64
        if single:  # one shuffle at the end costs least
            self.last = nn.Sequential(
                nn.Conv2d(width, channels * factor**2, 3, padding=1), nn.PixelShuffle(factor)
            )
        else:
            layers: list[nn.Module] = []
            for step in steps:
                layers += [nn.Conv2d(width, width * step**2, 3, padding=1), nn.PixelShuffle(step)]
            self.last = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1))
        final = next(part for part in reversed(self.last) if isinstance(part, nn.Conv2d))
        nn.init.zeros_(final.weight)  # an untrained network interpolates
        nn.init.zeros_(final.bias)  # type: ignore[arg-type]
        after = 1 if single else math.ceil(_shuffled_reach(factor) + 1 / factor)
        self.reach = max(BICUBIC_REACH, 1 + 2 * blocks + 1 + after)
        """Pixels of the input on each side that an output pixel depends on, at most."""
        last = channels if single else width
        self.footprint = max(5 * width, 3 * last * factor**2)
        """Numbers held at once for a pixel of the input: maps of a block, or the last maps."""

    def forward(self, y: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, factor h, factor w)."""
        first = self.first(y)
        detail: Tensor = self.last(first + self.joined(self.blocks(first)))
        smooth: Tensor = self.smooth(y)
        return detail + smooth


class _Bicubic(nn.Module):
    """Bicubic interpolation (Keys 1981) by a whole factor, borders repeated.

    Each of the factor² places within a pixel has weights of its own: unlike
    `nn.functional.interpolate`, whose coordinates are rounded, a part of an image gives exactly the
    part of the result.
    """

    weights: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        places = (torch.arange(factor, dtype=torch.float64) + 0.5) / factor - 0.5
        taps = torch.arange(-BICUBIC_REACH, BICUBIC_REACH + 1)
        d = (places[:, None] - taps).abs()  # Keys' kernel with a = -1/2
        near, far = (1.5 * d - 2.5) * d**2 + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
        shares = torch.where(d <= 1, near, torch.where(d < BICUBIC_REACH, far, 0))
        kernels = torch.einsum("ia,jb->ijab", shares, shares).flatten(0, 1)[:, None]
        weights = kernels.to(torch.get_default_dtype())
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, y: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, factor h, factor w)."""
        n, c, height, width = y.shape
        padded = nn.functional.pad(y, (BICUBIC_REACH,) * 4, mode="replicate")
        padded = padded.reshape(n * c, 1, *padded.shape[-2:])
        phases = nn.functional.conv2d(padded, self.weights)
        enlarged = nn.functional.pixel_shuffle(phases, self.factor)
        return enlarged.reshape(n, c, self.factor * height, self.factor * width)


class _PlainBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) -> the same shape."""
        return x + self.layers(x)  # type: ignore[no-any-return]


class EnlargingCritic(nn.Module):
    """Images x (n, c, h, w) -> c(x) (n, 1).

    Args:
        event: (channels, height, width).
        width: channels of the first layer; 64 in the paper.
        hidden: units of the dense layer; 1024 in the paper.
    """

    def __init__(self, event: Sequence[int], width: int = 64, hidden: int = 1024) -> None:
        super().__init__()
        require_positive(width=width, hidden=hidden)
        channels, high, wide = event
        widths = [width * 2**i for i in range(4)]
        layers: list[nn.Module] = [
            nn.Conv2d(channels, width, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            *_normalised(width, width, 2),
        ]
        for before, after in pairwise(widths):
            layers += [*_normalised(before, after, 1), *_normalised(after, after, 2)]
        for _ in range(4):
            high, wide = -(-high // 2), -(-wide // 2)
        layers += [
            nn.Flatten(),
            nn.Linear(widths[-1] * high * wide, hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(hidden, 1),
        ]
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, c, h, w) -> (n, 1); the condition is not used."""
        score: Tensor = self.layers(x)
        return score


def _normalised(before: int, after: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(before, after, 3, stride, 1),
        nn.BatchNorm2d(after, track_running_stats=False),
        nn.LeakyReLU(SLOPE),
    ]
