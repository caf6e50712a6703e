"""The U-Net of image-to-image translation and its critic of patches (Isola et al. 2017,
https://arxiv.org/abs/1611.07004, Appendix A).

    U-Net    64 - 128 - 256 - 512 - 512 - …, 4x4 convolutions of stride 2, until a side is 1; back
             by transposed ones, each after the first fed with the map of its own size on the way
             down
    critic   64 - 128 - 256 - …, 4x4 convolutions of stride 2, then two of stride 1: one score for
             each overlapping patch

At 256x256 from colour to colour: 54 413 955 parameters; the critic of 70x70 patches 2 768 705.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.nets.dcgan import SLOPE, initialise
from pushforward.nets.small_maps import Convolution, TransposedConvolution

__all__ = ["Norm", "PatchCritic", "UNet", "patch_layers", "receptive_field", "unet_depth"]

Norm: TypeAlias = Literal["instance", "batch"]
"""Statistics of each image by itself, or of the batch. They are the same in batches of one image,
as the paper has them in training and, against custom, in use.
"""

DEEPEST = 8
"""Halvings at most: a 256x256 image, the paper's, then ends in a single pixel."""
WIDEST = 8
"""Channels double up to eight times those of the first layer, as in the paper."""
DROPPED = 3
"""Innermost layers of the decoder with dropout, as in the paper."""


def unet_depth(shape: Sequence[int]) -> int:
    """Halvings of an image (…, height, width) until its shorter side is one pixel, at most 8.

    Raises:
        InvalidValue: For an image less than two pixels high or wide.
    """
    shorter = min(shape[-2:])
    if shorter < 2:
        raise InvalidValue(
            f"a U-Net halves images, expected at least 2x2, got {shape[-2]}x{shape[-1]}"
        )
    return min(DEEPEST, shorter.bit_length() - 1)


class UNet(nn.Module):
    """Images (n, inputs, h, w) -> (n, outputs, h, w) in (-1, 1).

    Sides that are not multiples of 2^depth are padded by reflection, and the result is cut to the
    size of the input, so that any photo of at least 2^(depth-1) + 1 pixels a side can be used.

    Args:
        inputs, outputs: channels.
        depth: halvings, `unet_depth` of the images trained on.
        width: channels after the first halving.
        dropout: share of the decoder's three innermost maps dropped.
        norm: 'instance' or 'batch'.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        depth: int,
        width: int = 64,
        dropout: float = 0.5,
        norm: Norm = "instance",
    ) -> None:
        super().__init__()
        require_positive(depth=depth, width=width)
        self.depth = depth
        widths = [width * min(2**i, WIDEST) for i in range(depth)]
        down: list[nn.Module] = []
        for i, (before, after) in enumerate(zip([inputs, *widths], widths)):
            inner = i == depth - 1
            layers: list[nn.Module] = [] if i == 0 else [nn.LeakyReLU(SLOPE)]
            layers.append(Convolution(before, after, 4, 2, 1, bias=False))
            layers += [] if i == 0 or inner else [_norm(norm, after)]
            down.append(nn.Sequential(*layers))
        up: list[nn.Module] = []
        for i in reversed(range(depth)):  # i halvings remain after this layer
            before = widths[i] if i == depth - 1 else 2 * widths[i]
            if i == 0:
                last = TransposedConvolution(before, outputs, 4, 2, 1)
                up.append(nn.Sequential(nn.ReLU(), last, nn.Tanh()))
                continue
            after = widths[i - 1]
            layers = [nn.ReLU(), TransposedConvolution(before, after, 4, 2, 1, bias=False)]
            layers.append(_norm(norm, after))
            layers += [nn.Dropout(dropout)] if dropout and depth - 1 - i < DROPPED else []
            up.append(nn.Sequential(*layers))
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        initialise(self)

    def forward(self, y: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h, w)."""
        height, width = y.shape[-2:]
        multiple = 2**self.depth
        below, beside = -height % multiple, -width % multiple
        if below or beside:
            if below >= height or beside >= width:
                raise InvalidValue(
                    f"this network takes images of at least {multiple // 2 + 1} pixels a side, got"
                    f" {height}x{width}; enlarge them first"
                )
            y = pad(y, (0, beside, 0, below), mode="reflect")
        maps = [y]
        for layer in self.down:
            maps.append(layer(maps[-1]))
        x = maps.pop()
        for i, layer in enumerate(self.up):
            x = layer(x if i == 0 else torch.cat([x, maps.pop()], 1))
        return x[..., :height, :width]


class PatchCritic(nn.Module):
    """Images x (n, c, h, w), conditions y (n, d, k, l) or none -> scores of patches (n, a, b).

    Conditions of another size than x are resized to it by bilinear interpolation.

    Args:
        channels: of x and y together.
        layers: convolutions of stride 2; 0 for a critic of single pixels. 1, 2, 3, 4 and 5 see
            patches of 16, 34, 70, 142 and 286 pixels.
        width: channels of the first layer.
        norm: 'instance' or 'batch'.
    """

    def __init__(
        self, channels: int, layers: int = 3, width: int = 64, norm: Norm = "instance"
    ) -> None:
        super().__init__()
        require_positive(width=width)
        if layers == 0:
            stack: list[nn.Module] = [
                nn.Conv2d(channels, width, 1),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(width, 2 * width, 1, bias=False),
                _norm(norm, 2 * width, running=False),
                nn.LeakyReLU(SLOPE),
                nn.Conv2d(2 * width, 1, 1),
            ]
        else:
            stack = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
            before = width
            for i in range(1, layers + 1):
                after = width * min(2**i, WIDEST)
                stride = 2 if i < layers else 1
                stack.append(nn.Conv2d(before, after, 4, stride, 1, bias=False))
                stack.append(_norm(norm, after, running=False))
                stack.append(nn.LeakyReLU(SLOPE))
                before = after
            stack.append(nn.Conv2d(before, 1, 4, 1, 1))
        self.layers = nn.Sequential(*stack)
        initialise(self)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, c, h, w), (n, d, k, l) -> (n, a, b)."""
        if y is not None:
            if y.shape[-2:] != x.shape[-2:]:
                y = interpolate(y, size=x.shape[-2:], mode="bilinear", antialias=True)
            x = torch.cat([x, y], 1)
        scores: Tensor = self.layers(x).squeeze(1)
        return scores


def patch_layers(height: int, width: int, most: int = 3) -> int:
    """Convolutions of stride 2 of a `PatchCritic` for images of this size: `most`, or fewer where
    less than two scores a side would remain.

    Raises:
        InvalidValue: For images too small for one.
    """
    shorter = min(height, width)
    layers = next((n for n in range(most, 0, -1) if shorter >> n >= 4), 0)
    if not layers:
        raise InvalidValue(
            f"a critic of patches takes images of at least 8x8, got {height}x{width}; enlarge them"
        )
    return layers


def receptive_field(layers: int) -> int:
    """Pixels a side of the patch that one score of a `PatchCritic` depends on."""
    if layers == 0:
        return 1
    size = 1
    for stride in (1, 1, *([2] * layers)):
        size = (size - 1) * stride + 4
    return size


def _norm(norm: Norm, width: int, *, running: bool = True) -> nn.Module:
    """A normalisation with a gain and a shift for each channel."""
    if norm == "instance":
        return nn.InstanceNorm2d(width, affine=True)
    return nn.BatchNorm2d(width, track_running_stats=running)
