"""Network pairs as values: builders of a generator and a critic's
features for data of a given shape.

    generator: z (n, latent), y (n, …) or None -> (n, *event)
    trunk:     the layers of the critic's features φ (n, width), on which `nets.critics.Critic`
               puts its heads

A value is independent of data: shapes are passed when the networks are built.
Published pairs are available by name.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import nn

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.registry import Value
from pushforward.core.scaling import ScalingKind
from pushforward.nets.convolutional import check_image
from pushforward.nets.critics import Entry, planes
from pushforward.nets.dcgan import ConvolutionalGenerator, convolutional_head, convolutional_trunk
from pushforward.nets.infogan import InformedGenerator, informed_trunk
from pushforward.nets.mlp import (
    MLP,
    Activation,
    Maxout,
    check_activation,
    join,
    make_activation,
    mlp,
)
from pushforward.nets.residual import ResidualGenerator, residual_trunk

__all__ = ["Adversaries", "Dense", "DeepConvolutional", "Informed", "Residual", "Toy"]


class Adversaries(Value, family="adversaries"):
    """A builder of a generator and a critic.

    Attributes:
        scaling: the coordinates of their data.
        bounded: whether the generator's outputs lie within (-1, 1).
        entry: how a condition enters the critic.
    """

    scaling: ClassVar[ScalingKind] = "standardised"
    bounded: ClassVar[bool] = False

    @property
    def entry(self) -> Entry:
        """How a condition enters the critic: appended to the flattened data."""
        return join

    def check(self, event: Sequence[int]) -> None:
        """Raise InvalidValue for data these networks do not support."""

    @abstractmethod
    def generator(self, inputs: int, event: Sequence[int]) -> nn.Module:
        """A network from z and y, of `inputs` numbers together, to (n, *event)."""

    @abstractmethod
    def trunk(self, event: Sequence[int], extra: int = 0) -> tuple[list[nn.Module], int]:
        """The layers of the critic's features, and their width.

        `extra` condition numbers are shown to the critic.
        """

    def head(self, width: int) -> nn.Module:
        """A network (n, width) -> (n, 1)."""
        return nn.Linear(width, 1)


@dataclass(frozen=True)
class Dense(Adversaries, name="mlp"):
    """Multilayer perceptrons on flattened data of any shape.

    Args:
        hidden: sizes of the hidden layers of both.
        activation: by name.
    """

    hidden: Sequence[int] = (128, 128)
    activation: Activation = "leaky_relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        require_positive(**{f"hidden[{i}]": size for i, size in enumerate(self.hidden)})
        check_activation(self.activation)

    def generator(self, inputs: int, event: Sequence[int]) -> nn.Module:
        """y is appended to z."""
        return MLP(inputs, event, self.hidden, self.activation)

    def trunk(self, event: Sequence[int], extra: int = 0) -> tuple[list[nn.Module], int]:
        """y is appended to x."""
        sizes = [math.prod(event) + extra, *self.hidden]
        layers = list(mlp(sizes, self.activation))
        return [*layers, make_activation(self.activation)] if layers else [], sizes[-1]


@dataclass(frozen=True)
class Toy(Adversaries, name="veegan"):
    """For points in the plane: a generator of ReLU layers with batch norm,
    a critic of maxout layers.

    Reference: Srivastava et al. (2017, VEEGAN, https://arxiv.org/abs/1705.07761), as used by Lin et
    al. (2018, PacGAN, https://arxiv.org/abs/1712.04086): four layers of 400 units; three layers of
    200 with 5 pieces.

    Args:
        width: units of the generator's layers; the critic's have half.
    """

    width: int = 400

    def __post_init__(self) -> None:
        require_positive(width=self.width)

    def generator(self, inputs: int, event: Sequence[int]) -> nn.Module:
        """Four hidden layers."""
        return MLP(inputs, event, (self.width,) * 4, "relu", norm=True)

    def trunk(self, event: Sequence[int], extra: int = 0) -> tuple[list[nn.Module], int]:
        """Three layers of maxout."""
        units = max(1, self.width // 2)
        sizes = [math.prod(event) + extra, units, units, units]
        return [Maxout(i, o, 5) for i, o in pairwise(sizes)], units


class Images(Adversaries):
    """Networks for images with any number of channels and values from -1 to 1."""

    scaling: ClassVar[ScalingKind] = "signed"

    @property
    def entry(self) -> Entry:
        """How a condition enters the critic: as constant channels."""
        return planes

    def check(self, event: Sequence[int]) -> None:
        """Require images of at least 8x8."""
        check_image(event, self.name, "GAN, whose default networks take any shape")


@dataclass(frozen=True)
class DeepConvolutional(Images, name="dcgan"):
    """Strided convolutions with batch norm, no pooling and no hidden dense layer (Radford, Metz &
    Chintala 2016, https://arxiv.org/abs/1511.06434, §3).

    At 64x64 in colour with codes of 100 numbers the generator has
    3 576 704 parameters, the critic 2 765 568.

    Args:
        width: channels of the map at half the image's size;
            they double with every halving, up to 8 times.
    """

    bounded: ClassVar[bool] = True
    width: int = 64

    def __post_init__(self) -> None:
        require_positive(width=self.width)

    def generator(self, inputs: int, event: Sequence[int]) -> nn.Module:
        """ReLU, tanh at the end."""
        return ConvolutionalGenerator(inputs, event, self.width)

    def trunk(self, event: Sequence[int], extra: int = 0) -> tuple[list[nn.Module], int]:
        """Leaky ReLU of slope .2, flattened at the end."""
        return convolutional_trunk(event, extra, self.width)

    def head(self, width: int) -> nn.Module:
        """One output of the whole last map, no bias."""
        return convolutional_head(width)


@dataclass(frozen=True)
class Informed(Images, name="infogan"):
    """Two convolutions and a dense layer of InfoGAN's digits (Chen et al. 2016,
    https://arxiv.org/abs/1606.03657, Appendix C.1), for sides that are multiples of 4.

    Args:
        width: channels of the map at half the image's size; 64 in the paper.
    """

    bounded: ClassVar[bool] = True
    width: int = 64

    def __post_init__(self) -> None:
        require_positive(width=self.width)

    def check(self, event: Sequence[int]) -> None:
        """Require images whose sides are multiples of 4."""
        super().check(event)
        if event[1] % 4 or event[2] % 4:
            raise InvalidValue(
                f"infogan networks take sides that are multiples of 4, got {event[1]}x{event[2]};"
                f" use {setting('network', 'dcgan')}"
            )

    def generator(self, inputs: int, event: Sequence[int]) -> nn.Module:
        """ReLU, tanh at the end."""
        return InformedGenerator(inputs, event, self.width)

    def trunk(self, event: Sequence[int], extra: int = 0) -> tuple[list[nn.Module], int]:
        """Leaky ReLU of slope .1."""
        return informed_trunk(event, extra, self.width)


@dataclass(frozen=True)
class Residual(Images, name="r3gan"):
    """Residual networks without normalisation (Huang et al. 2024, Config E,
    https://arxiv.org/abs/2501.05441), sized by `width` and `blocks`.

    Args:
        width: channels at the image's own size, a multiple of 8;
            they double with every halving, up to 8 times.
        blocks: residual blocks at every size.
    """

    width: int = 64
    blocks: int = 2

    def __post_init__(self) -> None:
        require_positive(width=self.width, blocks=self.blocks)
        if self.width % 8:
            raise InvalidValue(
                "width must be a multiple of 8, since its convolutions work in groups of 16"
                f" channels, got {self.width}"
            )

    def generator(self, inputs: int, event: Sequence[int]) -> nn.Module:
        """Without a final tanh: unbounded."""
        return ResidualGenerator(inputs, event, self.width, self.blocks)

    def trunk(self, event: Sequence[int], extra: int = 0) -> tuple[list[nn.Module], int]:
        """Mirrors the generator."""
        return residual_trunk(event, extra, self.width, self.blocks)

    def head(self, width: int) -> nn.Module:
        """Without a bias."""
        return nn.Linear(width, 1, bias=False)
