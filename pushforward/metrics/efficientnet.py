"""EfficientNet-lite0, trained on ImageNet, as a feature space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.metrics.feature_spaces import module
from pushforward.metrics.features import Features
from pushforward.nets.feature_networks import load_efficientnet

__all__ = ["efficientnet"]

SIDE = 224
"""Side length, in pixels, of EfficientNet-lite0's training images."""


def efficientnet(
    *, low: float = 0.0, high: float = 255.0, device: torch.device | str = "cpu"
) -> Features:
    """EfficientNet-lite0 as features: its last 1280 channels, averaged.

    Images have 1, 3 or 4 channels.

    Images with values low..high are scaled to 0..255, composited on white if they have an alpha
    channel, resized to 224×224 (bilinear, with antialiasing) and scaled as (x - 127)/128.

    Raises:
        MissingExtra: If the `[metrics]` extra is not installed.

    Reference: Tan & Le (2019), EfficientNet: rethinking model scaling for convolutional neural
    networks (the lite variant). https://arxiv.org/abs/1905.11946
    """
    if not high > low:
        raise InvalidValue(f"images need a range with low < high, got {low} and {high}")
    network = _Pooled(load_efficientnet("features of EfficientNet-lite0")).to(device)
    preparation = f"{low:g}..{high:g} to 0..255, bilinear {SIDE}×{SIDE} with antialiasing"
    features = module(
        network,
        "efficientnet-lite0",
        prepare=lambda u: _preprocess((u - low) * (255 / (high - low))),
        preparation=preparation,
    )
    return replace(features, block=32, function=_average_frames(features.function))


def _average_frames(features: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Average features over the frames of clips (b, c, time, h, w); images pass unchanged."""

    def averaged(u: Tensor) -> Tensor:
        if u.ndim != 5:
            return features(u)
        frames = features(u.transpose(1, 2).flatten(0, 1))
        return frames.flatten(1).reshape(len(u), u.shape[2], -1).mean(1)

    return averaged


class _Pooled(nn.Module):
    """The last channels of a network, averaged over space."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, 224, 224) to (b, 1280)."""
        channels: Tensor = cast(Any, self.network).extract_features(x).mean((2, 3))
        return channels


def _preprocess(u: Tensor) -> Tensor:
    """Map images (b, c, h, w) with values 0..255 to network inputs (b, 3, 224, 224)."""
    if u.ndim != 4 or u.shape[1] not in (1, 3, 4):
        raise ShapeMismatch(
            "EfficientNet takes images (n, 1, 3 or 4 channels, height, width), got"
            f" {tuple(u.shape)}; use raw or pca"
        )
    if u.shape[1] == 4:
        opacity = u[:, 3:] / 255
        u = u[:, :3] * opacity + 255 * (1 - opacity)
    u = u.expand(-1, 3, -1, -1).to(torch.float32)
    u = functional.interpolate(
        u, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
    )
    return (u - 127) / 128
