"""The pair of InfoGAN's digits (Chen et al. 2016, https://arxiv.org/abs/1606.03657, Appendix C.1),
for images of any channels whose sides are multiples of 4.

    generator: code -> FC 16w -> FC 2w (side/4 × side/4) -> 4x4 up, w -> 4x4 up, image, tanh,
               batch norm and ReLU between
    trunk:     image -> 4x4 down, w -> 4x4 down, 2w -> FC 16w,
               batch norm and leaky ReLU .1 between

with w = 64 in the paper. Wider and shallower than the DCGAN: features at a quarter of the image's
size go into one dense layer. Differences: images in (-1, 1), theirs in (0, 1); weights are
initialised as N(0, .02²), those of batch norm as N(1, .02²).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.nets.dcgan import Seed, initialise

__all__ = ["InformedGenerator", "informed_trunk"]

SLOPE = 0.1
DENSE = 16
"""As Chen et al. (2016), Appendix C.1, have them: leaky ReLU of slope .1, and 1024 units for a
width of 64.
"""


class InformedGenerator(nn.Module):
    """z (n, latent), y (n, …) -> images (n, *event) in (-1, 1).

    Args:
        inputs: numbers in z and y together.
        event: (channels, height, width), both sides multiples of 4.
        width: channels of the map at half size.
    """

    def __init__(self, inputs: int, event: Sequence[int], width: int = 64) -> None:
        super().__init__()
        channels, height, across = event
        first = (2 * width, height // 4, across // 4)
        layers: list[nn.Module] = [
            nn.Linear(inputs, DENSE * width, bias=False),
            nn.BatchNorm1d(DENSE * width),
            nn.ReLU(inplace=True),
        ]
        layers += [Seed(DENSE * width, first), nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True)]
        layers += [
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        layers += [nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh()]
        self.layers = initialise(nn.Sequential(*layers))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, latent), (n, …) -> (n, *event)."""
        images: Tensor = self.layers(z if y is None else torch.cat([z, y.to(z).flatten(1)], 1))
        return images


def informed_trunk(
    event: Sequence[int], extra: int = 0, width: int = 64
) -> tuple[list[nn.Module], int]:
    """The critic's layers on (n, channels + extra, height, width),
    and the width of its features.
    """
    channels, height, across = event
    flat = 2 * width * (height // 4) * (across // 4)
    layers: list[nn.Module] = [
        nn.Conv2d(channels + extra, width, 4, 2, 1),
        nn.LeakyReLU(SLOPE, inplace=True),
    ]
    layers += [
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
        _batch_norm(nn.BatchNorm2d, 2 * width),
        nn.LeakyReLU(SLOPE, inplace=True),
    ]
    layers += [
        nn.Flatten(),
        nn.Linear(flat, DENSE * width, bias=False),
        _batch_norm(nn.BatchNorm1d, DENSE * width),
    ]
    return [*initialise(nn.Sequential(*layers)), nn.LeakyReLU(SLOPE, inplace=True)], DENSE * width


def _batch_norm(kind: type[nn.Module], width: int) -> nn.Module:
    """Without running statistics, as in every critic here: it only sees whole batches."""
    return kind(width, track_running_stats=False)
