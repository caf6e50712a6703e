"""Multilayer perceptrons on flattened events: h_0 = (x, y),
h_i = a(W_i h_{i-1} + b_i), the last layer linear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from pushforward.core.errors import one_of

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "mlp",
    "MLP",
    "Maxout",
    "Heads",
    "ShapedHeads",
    "WideLinear",
    "make_activation",
    "balance_logistic",
    "check_activation",
    "join",
]

Activation: TypeAlias = Literal[
    "relu", "leaky_relu", "tanh", "softplus", "silu", "gelu", "elu", "sigmoid", "identity"
]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}
"""Each name's module."""


def check_activation(name: str) -> Activation:
    """Return the name if it is a known activation."""
    return one_of("activation", name, get_args(Activation))


NARROW = 2048
"""Numbers that a unit can read while Adam moves its weights by 1e-3.

A step of Adam moves each weight by up to the rate, whatever its gradient, and so a unit by up to
the rate times the sum of all it reads. With 64 x 64 pixels in colour that made the output of a
recogniser explode within a few steps.
"""


class WideLinear(nn.Linear):
    """W (r x) + b with r = 2048 / inputs: a step of an optimiser moves its units no further than
    those of a layer with 2048 inputs.

    Lower rates for the whole network would do the same, but slow down all other layers.
    """

    reach: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("reach", torch.tensor(NARROW / inputs))

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        return super().forward(x * self.reach)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Weights from before this layer existed read everything at full size."""
        state_dict.setdefault(f"{prefix}reach", torch.ones_like(self.reach))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def mlp(
    sizes: Sequence[int], activation: Activation = "relu", norm: bool = False, wide: bool = False
) -> nn.Sequential:
    """Linear layers of the given sizes with activations between them,
    preceded by batch norm if `norm`.

    With `wide`, the first is a `WideLinear` if it reads more than 2048 numbers.
    """
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        if i:
            layers += (
                [nn.BatchNorm1d(inputs), make_activation(activation)]
                if norm
                else [make_activation(activation)]
            )
        layers.append(_linear(inputs, outputs, wide and not i))
    return nn.Sequential(*layers)


def _linear(inputs: int, outputs: int, wide: bool) -> nn.Linear:
    return WideLinear(inputs, outputs) if wide and inputs > NARROW else nn.Linear(inputs, outputs)


class MLP(nn.Module):
    """f(x, y): flattens x, appends the condition, returns (n, *shape).

    Args:
        inputs: numbers in one x and its condition together.
        shape: of one output.
        hidden: sizes of the hidden layers.
        activation: by name, see ACTIVATIONS.
        norm: batch norm before every activation.
        wide: read more than 2048 numbers by a `WideLinear`.
    """

    def __init__(
        self,
        inputs: int,
        shape: Sequence[int],
        hidden: Sequence[int],
        activation: Activation = "relu",
        norm: bool = False,
        wide: bool = False,
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        outputs = 1
        for n in self.shape:
            outputs *= n
        self.layers = mlp([inputs, *hidden, outputs], activation, norm, wide)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, …), (n, …) -> (n, *shape)."""
        outputs: Tensor = self.layers(join(x, y)).reshape(x.shape[0], *self.shape)
        return outputs


class Heads(nn.Module):
    """One trunk and several linear heads: x, y -> a tensor (n, size) for each head.

    More than 2048 numbers are read by a `WideLinear`.

    Args:
        inputs: numbers in one x and its condition together.
        sizes: of the heads.
        hidden: sizes of the trunk's layers.
        activation: by name, also after the last hidden layer.
    """

    def __init__(
        self,
        inputs: int,
        sizes: Sequence[int],
        hidden: Sequence[int],
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        width = hidden[-1] if hidden else inputs
        self.trunk = (
            nn.Sequential(
                mlp([inputs, *hidden], activation, wide=True), make_activation(activation)
            )
            if hidden
            else nn.Identity()
        )
        self.sizes = tuple(sizes)
        self.heads = _linear(width, sum(sizes), wide=not hidden)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """(n, …), (n, …) -> (n, size), …"""
        parts: tuple[Tensor, ...] = self.heads(self.trunk(join(x, y))).split(self.sizes, 1)
        return parts


class ShapedHeads(Heads):
    """One trunk and several linear heads, each of its own shape:
    z, y -> a tensor (n, *shape) for each head.

    Args:
        inputs: numbers in one z and its condition together.
        shapes: of the heads.
        hidden: sizes of the trunk's layers.
        activation: by name, also after the last hidden layer.
    """

    def __init__(
        self,
        inputs: int,
        shapes: Sequence[Sequence[int]],
        hidden: Sequence[int],
        activation: Activation = "relu",
    ) -> None:
        super().__init__(inputs, [math.prod(shape) for shape in shapes], hidden, activation)
        self.shapes = tuple(tuple(shape) for shape in shapes)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """(n, …), (n, …) -> (n, *shape), …"""
        return tuple(
            head.reshape(x.shape[0], *shape)
            for head, shape in zip(super().forward(x, y), self.shapes)
        )


class Maxout(nn.Module):
    """The maximum of a few linear functions per unit (Goodfellow et al. 2013,
    https://arxiv.org/abs/1302.4389).

    Args:
        inputs: numbers in a row.
        units: maxima.
        pieces: linear functions per unit.
    """

    def __init__(self, inputs: int, units: int, pieces: int = 5) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = nn.Linear(inputs, units * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """(n, …) -> (n, units)."""
        maxima: Tensor = (
            self.linear(x.flatten(1)).reshape(x.shape[0], self.units, self.pieces).amax(2)
        )
        return maxima


def make_activation(name: Activation) -> nn.Module:
    """The activation, in place where autograd allows it."""
    return (
        ACTIVATIONS[name](inplace=True)
        if name in ("relu", "leaky_relu", "silu", "elu")
        else ACTIVATIONS[name]()
    )


def join(x: Tensor, y: Tensor | None) -> Tensor:
    """x flattened, with the flattened condition appended."""
    x = x.flatten(1)
    return x if y is None else torch.cat([x, y.to(x).flatten(1)], 1)


@torch.no_grad()
def balance_logistic(network: nn.Module) -> nn.Module:
    """Initialise logistic layers in place so that they are steep and preserve the signal.

    Return the network.

    W ~ N(0, 2g²/(m + k)) between layers of m and k units (Glorot & Bengio 2010, Eq. 12,
    https://proceedings.mlr.press/v9/glorot10a.html), with g = 4 before logistic units, whose slope
    at 0 is ¼, and b = -½ W·1 after them, whose mean is ½.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Linear, nn.Sigmoid))]
    for below, layer, above in zip([None, *layers], layers, [*layers[1:], None]):
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight, 4.0 if isinstance(above, nn.Sigmoid) else 1.0)
            layer.bias.copy_(
                -0.5 * layer.weight.sum(1)
                if isinstance(below, nn.Sigmoid)
                else torch.zeros_like(layer.bias)
            )
    return network
