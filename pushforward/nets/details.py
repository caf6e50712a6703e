"""Networks that add detail to coarse images (Denton et al. 2015,
https://arxiv.org/abs/1506.05751, §4), as published for CIFAR-10, for images of any size.

    generator  noise and coarse image -> 7x7, 7x7 (ReLU) -> 5x5, linear: the residual
    critic     image -> 5x5, 5x5 of stride 2 (ReLU), without padding -> dropout -> one number

A condition enters both as one more channel, a linear function of it. With 64 channels at 32x32 in
colour, the generator has 218 179 parameters and the critic 116 545.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.nets.critics import Critic, planes

__all__ = ["DetailGenerator", "Plane", "detail_critic"]

DROPPED = 0.5
"""Share of the critic's last maps that is dropped, as published."""
UNPADDED = 9
"""The shortest side that two convolutions of 5x5, one of stride 2, leave a pixel of."""


class Plane(nn.Module):
    """Images x (n, c, h, w) with a linear function of y (n, …) as one more channel.

    Args:
        inputs: numbers in one condition.
        size: (height, width) of the images.
    """

    def __init__(self, inputs: int, size: Sequence[int]) -> None:
        super().__init__()
        self.size = tuple(size)
        self.map = nn.Linear(inputs, self.size[0] * self.size[1])

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        """(n, c, h, w), (n, …) -> (n, c + 1, h, w)."""
        assert y is not None
        return torch.cat([x, self.map(y.to(x).flatten(1)).reshape(-1, 1, *self.size)], 1)


class DetailGenerator(nn.Module):
    """Noise z (n, 1, h, w), coarse images (n, c, h, w) and y (n, …) -> residuals (n, c, h, w).

    Args:
        event: (channels, height, width) of the images.
        extra: numbers in one condition, if there are any.
        width: channels of the hidden maps.
    """

    def __init__(self, event: Sequence[int], extra: int = 0, width: int = 64) -> None:
        super().__init__()
        channels, *size = event
        self.plane = Plane(extra, size) if extra else None
        self.layers = nn.Sequential(
            nn.Conv2d(channels + 1 + bool(extra), width, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, channels, 5, padding=2),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor, coarse: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, 1, h, w), (n, c, h, w), (n, …) -> (n, c, h, w)."""
        x = torch.cat([z, coarse], 1)
        residuals: Tensor = self.layers(x if self.plane is None else self.plane(x, y))
        return residuals


def detail_critic(event: Sequence[int], extra: int = 0, width: int = 64) -> Critic:
    """A critic of images, coarse image and residual together: x, y -> (n, 1).

    Args:
        event: (channels, height, width) of the images.
        extra: numbers in one condition, if there are any.
        width: channels of the maps.
    """
    channels, *size = event
    padding = 0 if min(size) >= UNPADDED else 2
    last = [(side + 4 * padding - 9) // 2 + 1 for side in size]
    trunk = [
        nn.Conv2d(channels + bool(extra), width, 5, padding=padding),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 5, stride=2, padding=padding),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Dropout(DROPPED),
    ]
    head = nn.Linear(width * last[0] * last[1], 1)
    critic = Critic(trunk, head, entry=Plane(extra, size) if extra else planes)
    critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return critic
