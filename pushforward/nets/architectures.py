"""Architectures as values: builders of an encoder and a decoder for data of a given shape.

    encoder: x (n, *event), y (n, …) or None -> a tensor (n, size) for each of `sizes` decoder: z
    (n, latent), y (n, …) or None -> a tensor (n, *shape) for each of `shapes`

A value is independent of data: shapes are passed when the networks are built.
Published layouts are available by name.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, one_of, require_positive
from pushforward.core.registry import Value
from pushforward.nets.convolutional import NORMS, ConvolutionalDecoder, ConvolutionalEncoder, Norm
from pushforward.nets.mlp import Activation, Heads, ShapedHeads, balance_logistic, check_activation

__all__ = [
    "Architecture",
    "Layers",
    "Perceptron",
    "Convolutional",
    "Plane",
    "Burda",
    "Hinton",
    "SingleHead",
    "mlp",
    "conv",
    "plane",
    "burda",
    "hinton",
]


class Architecture(Value, family="network"):
    """A builder of an encoder and a decoder."""

    @abstractmethod
    def encoder(self, event: Sequence[int], sizes: Sequence[int], extra: int = 0) -> nn.Module:
        """x (n, *event), y -> a tensor (n, size) for each of `sizes`.

        `extra` numbers in one flattened y.
        """

    @abstractmethod
    def decoder(self, latent: int, shapes: Sequence[Sequence[int]], extra: int = 0) -> nn.Module:
        """z (n, latent), y -> a tensor (n, *shape) for each of `shapes`.

        `extra` numbers in one flattened y.
        """


class Layers(Architecture):
    """Dense layers; the decoder mirrors the encoder."""

    @abstractmethod
    def layers(self) -> tuple[tuple[int, ...], Activation]:
        """Sizes of the encoder's hidden layers, and the activation after each."""

    def encoder(self, event: Sequence[int], sizes: Sequence[int], extra: int = 0) -> nn.Module:
        """x is flattened and y appended."""
        return Heads(math.prod(event) + extra, sizes, *self.layers())

    def decoder(self, latent: int, shapes: Sequence[Sequence[int]], extra: int = 0) -> nn.Module:
        """y is appended to the code."""
        hidden, activation = self.layers()
        return ShapedHeads(latent + extra, shapes, hidden[::-1], activation)


@dataclass(frozen=True)
class Perceptron(Layers, name="mlp"):
    """A multilayer perceptron on flattened data, for events of any shape.

    Args:
        hidden: sizes of the encoder's hidden layers; a single number for one layer.
        activation: 'relu', 'tanh', 'softplus', …
    """

    hidden: Sequence[int] | int = (400,)
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        hidden = (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        require_positive(**{f"hidden[{i}]": size for i, size in enumerate(hidden)})
        object.__setattr__(self, "hidden", hidden)
        check_activation(self.activation)

    def layers(self) -> tuple[tuple[int, ...], Activation]:
        """The given sizes and activation."""
        return (
            (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        ), self.activation


@dataclass(frozen=True)
class Convolutional(Architecture, name="conv"):
    """Convolutions for images from 8x8 upwards, with a depth that follows from the image's size.

    Args:
        width: channels of the map at half the image's size;
            they double with every halving, up to 8 times.
        hidden: units of the dense layer.
        activation: 'silu', 'relu', …
        norm: 'none', or 'group' (per image, in groups of channels).
    """

    width: int = 32
    hidden: int = 256
    activation: Activation = "silu"
    norm: Norm = "none"

    def __post_init__(self) -> None:
        require_positive(width=self.width, hidden=self.hidden)
        check_activation(self.activation)
        if str(self.norm) == "batch":
            raise InvalidValue(
                "norm='batch' makes the output for one image depend on the rest of its batch; use"
                " norm='group'"
            )
        one_of("norm", self.norm, NORMS)

    def encoder(self, event: Sequence[int], sizes: Sequence[int], extra: int = 0) -> nn.Module:
        """y is appended to the flattened last map.

        Raises:
            InvalidValue: Unless the data are images of at least 8x8.
        """
        return ConvolutionalEncoder(event, sizes, extra, **self._settings())

    def decoder(self, latent: int, shapes: Sequence[Sequence[int]], extra: int = 0) -> nn.Module:
        """y is appended to the code.

        Raises:
            InvalidValue: Unless all heads are images of one size, at least 8x8.
        """
        return ConvolutionalDecoder(latent, shapes, extra, **self._settings())

    def _settings(self) -> dict[str, Any]:
        return {
            "width": self.width,
            "hidden": self.hidden,
            "activation": self.activation,
            "norm": self.norm,
        }


@dataclass(frozen=True)
class Plane(Layers, name="plane"):
    """784-500-501-2 with softplus, for 784 pixels and codes of 2 numbers:
    digits laid out in a plane.
    """

    def layers(self) -> tuple[tuple[int, ...], Activation]:
        """Two of softplus."""
        return (500, 501), "softplus"


@dataclass(frozen=True)
class Burda(Layers, name="burda"):
    """Two layers of 200 with tanh (Burda, Grosse & Salakhutdinov 2016,
    https://arxiv.org/abs/1509.00519, §5); there with a code of 50.

    Weights use torch's initialisation; theirs Glorot & Bengio's.
    """

    def layers(self) -> tuple[tuple[int, ...], Activation]:
        """Two of tanh."""
        return (200, 200), "tanh"


@dataclass(frozen=True)
class Hinton(Layers, name="hinton"):
    """784-1000-500-250-30 for 784 pixels and codes of 30 numbers (Hinton & Salakhutdinov 2006,
    https://doi.org/10.1126/science.1127647).

    Logistic hidden layers and a linear code, as in the paper. Differences: no pre-training by
    restricted Boltzmann machines, but an initialisation that preserves the signal through logistic
    layers; and linear outputs, where theirs are logistic with cross-entropy.
    """

    def layers(self) -> tuple[tuple[int, ...], Activation]:
        """Three, logistic."""
        return (1000, 500, 250), "sigmoid"

    def encoder(self, event: Sequence[int], sizes: Sequence[int], extra: int = 0) -> nn.Module:
        """Logistic layers, linear heads."""
        return balance_logistic(super().encoder(event, sizes, extra))

    def decoder(self, latent: int, shapes: Sequence[Sequence[int]], extra: int = 0) -> nn.Module:
        """Logistic layers, linear heads."""
        return balance_logistic(super().decoder(latent, shapes, extra))


mlp, conv, plane, burda, hinton = Perceptron, Convolutional, Plane, Burda, Hinton


class SingleHead(nn.Module):
    """A network that returns a tuple of one tensor, returning that tensor."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The one tensor."""
        output: Tensor
        (output,) = self.network(x, y)
        return output
