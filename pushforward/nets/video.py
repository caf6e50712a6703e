"""Networks for clips: a generator of two streams and a critic of space and time.

Vondrick, Pirsiavash & Torralba (2016, https://arxiv.org/abs/1609.02612), §2 and the authors' code.

    background   z -> 512 (4x4) -> 256 -> 128 -> 64 -> image, tanh
    foreground   z -> 512 (2x4x4) -> 256 -> 128 -> 64 -> clip, tanh, and mask, sigmoid
    clip         mask · foreground + (1 - mask) · background, which stands still
    critic       clip -> 64 -> 128 -> 256 -> 512 (2x4x4) -> 2

at 32 frames of 64x64 in colour: 16 245 383 and 11 057 858 parameters. Sides and numbers of frames
that are other powers of two have more or fewer steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose3d

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.nets.dcgan import SLOPE

__all__ = ["ClipCritic", "ClipGenerator", "FrameEncoder", "Streams", "clip_steps", "compose"]

SIDE = 4
"""Pixels a side of the innermost map."""
WIDEST = 8
"""Channels double up to eight times those of the largest map, as in the paper."""
SPREAD = 0.01
"""Standard deviation of initial weights, as in the paper."""
EPSILON = 1e-3
"""Of batch norm, as in the authors' code."""


@dataclass(frozen=True)
class Streams:
    """A foreground (n, c, t, h, w), its mask (n, 1, t, h, w) and a background (n, c, 1, h, w)."""

    foreground: Tensor
    mask: Tensor
    background: Tensor


def compose(streams: Streams) -> Tensor:
    """The clips (n, c, t, h, w): the foreground where the mask is 1, else the background."""
    mask = streams.mask
    return mask * streams.foreground + (1 - mask) * streams.background


def clip_steps(event: Sequence[int]) -> tuple[int, int, int]:
    """For clips (channels, frames, height, width): doublings of the side from 4, doublings of the
    number of frames, and the frames of the innermost map.

    Raises:
        InvalidValue: For sides or a number of frames that these networks do not give.
    """
    _, frames, height, width = event
    steps = height.bit_length() - SIDE.bit_length()
    if height != width or steps < 1 or height != SIDE * 2**steps:
        raise InvalidValue(
            f"these networks take square clips of 8, 16, 32, 64, … pixels, got {height}x{width};"
            f" bring them to such a size ({setting('size', 64)})"
        )
    if frames < 2 or frames & (frames - 1):
        raise InvalidValue(
            f"these networks take clips of 2, 4, 8, 16, … frames, got {frames}; cut them"
            f" ({setting('frames', 1 << max(1, frames.bit_length() - 1))})"
        )
    inner = max(2, frames >> steps)
    return steps, (frames // inner).bit_length() - 1, inner


class ClipGenerator(nn.Module):
    """Codes z (n, inputs) -> the tensors of `Streams`, as a tuple.

    Args:
        inputs: numbers in a code.
        event: (channels, frames, height, width).
        width: channels of the map at half the clip's size.
        mask_start: the mask of all pixels, before training.
    """

    def __init__(
        self, inputs: int, event: Sequence[int], width: int = 64, mask_start: float = 0.5
    ) -> None:
        super().__init__()
        require_positive(width=width)
        channels = event[0]
        steps, doublings, inner = clip_steps(event)
        widths = [width * min(2**i, WIDEST) for i in range(steps)][::-1]
        background: list[nn.Module] = [nn.ConvTranspose2d(inputs, widths[0], SIDE)]
        foreground: list[nn.Module] = [nn.ConvTranspose3d(inputs, widths[0], (inner, SIDE, SIDE))]
        for i, (before, after) in enumerate(pairwise(widths)):
            background += [*_settled(before, 2), nn.ConvTranspose2d(before, after, 4, 2, 1)]
            grows = i >= steps - doublings
            foreground += [*_settled(before, 3), _enlarge(before, after, grows)]
        background += [*_settled(width, 2), nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh()]
        foreground += _settled(width, 3)
        self.background, self.foreground = nn.Sequential(*background), nn.Sequential(*foreground)
        self.clip = nn.Sequential(_enlarge(width, channels, doublings > 0), nn.Tanh())
        mask = _enlarge(width, 1, doublings > 0)
        self.mask = nn.Sequential(mask, nn.Sigmoid())
        _initialise(self)
        assert mask.bias is not None
        nn.init.constant_(mask.bias, math.log(mask_start / (1 - mask_start)))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, inputs) -> foreground, mask and background of the event's shape."""
        still = self.background(z[:, :, None, None])
        moving = self.foreground(z[:, :, None, None, None])
        return *self._heads(moving), still[:, :, None]

    def _heads(self, moving: Tensor) -> tuple[Tensor, Tensor]:
        """The foreground and its mask, of one convolution with the kernels of both.

        Two of 3 and 1 channels take CPUs twice as long, and channels first half as long again.
        """
        clip, mask = self.clip[0], self.mask[0]
        assert isinstance(clip, nn.ConvTranspose3d)
        assert isinstance(mask, nn.ConvTranspose3d)
        assert clip.bias is not None
        assert mask.bias is not None
        weight = torch.cat([clip.weight, mask.weight], 1)
        both = conv_transpose3d(
            moving.contiguous(memory_format=torch.channels_last_3d),
            weight.contiguous(memory_format=torch.channels_last_3d),
            torch.cat([clip.bias, mask.bias]),
            clip.stride,
            1,
        )
        return self.clip[1](both[:, :-1]), self.mask[1](both[:, -1:])


class ClipCritic(nn.Module):
    """Clips x (n, c, t, h, w) -> the log-odds (n, 1) that they are real.

    The last layer has two outputs, as in the paper; the log-odds of their softmax are the
    difference.

    Args:
        event: (channels, frames, height, width).
        width: channels of the first map.
    """

    def __init__(self, event: Sequence[int], width: int = 64) -> None:
        super().__init__()
        require_positive(width=width)
        steps, doublings, inner = clip_steps(event)
        widths = [width * min(2**i, WIDEST) for i in range(steps)]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip([event[0], *widths], widths)):
            kernel, stride = (4, 2) if i < doublings else (3, 1)
            layers.append(nn.Conv3d(before, after, (kernel, 4, 4), (stride, 2, 2), 1))
            if i:
                layers.append(nn.BatchNorm3d(after, EPSILON, track_running_stats=False))
            layers.append(nn.LeakyReLU(SLOPE))
        layers += [nn.Conv3d(widths[-1], 2, (inner, SIDE, SIDE)), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        _initialise(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, c, t, h, w) -> (n, 1)."""
        logits: Tensor = self.layers(x)
        return logits[:, 1:] - logits[:, :1]


class FrameEncoder(nn.Module):
    """First frames (n, c, h, w) -> codes (n, latent).

    Args:
        frame: (channels, height, width).
        latent: numbers in a code.
        width: channels of the first map.
    """

    def __init__(self, frame: Sequence[int], latent: int, width: int = 64) -> None:
        super().__init__()
        channels, height, _ = frame
        steps = height.bit_length() - SIDE.bit_length()
        widths = [width * min(2**i, WIDEST) for i in range(steps)]
        layers: list[nn.Module] = []
        for before, after in zip([channels, *widths], widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after, EPSILON), nn.ReLU()]
        layers += [nn.Conv2d(widths[-1], latent, SIDE), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        _initialise(self)

    def forward(self, y: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, latent)."""
        codes: Tensor = self.layers(y)
        return codes


def _settled(width: int, dimensions: int) -> list[nn.Module]:
    norm = nn.BatchNorm2d if dimensions == 2 else nn.BatchNorm3d
    return [norm(width, EPSILON), nn.ReLU()]


def _enlarge(before: int, after: int, in_time: bool) -> nn.ConvTranspose3d:
    """Sides twice as long, and twice as many frames if wanted."""
    kernel, stride = (4, 2) if in_time else (3, 1)
    return nn.ConvTranspose3d(before, after, (kernel, 4, 4), (stride, 2, 2), 1)


@torch.no_grad()
def _initialise(network: nn.Module) -> None:
    """Weights as N(0, .01²), biases 0, as in the authors' code."""
    for layer in network.modules():
        if isinstance(layer, (nn.modules.conv._ConvNd,)):
            nn.init.normal_(layer.weight, 0.0, SPREAD)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
