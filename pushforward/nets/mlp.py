"""Multilayer perceptrons on flattened events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, suggestion

__all__ = ["ACTIVATIONS", "mlp", "MLP", "Heads", "check_activation"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "identity": nn.Identity,
}


def check_activation(name: str) -> str:
    """The name, if it is known; InvalidValue otherwise."""
    if name not in ACTIVATIONS:
        raise InvalidValue(f"unknown activation {name!r}; {suggestion(name, ACTIVATIONS)}")
    return name


def mlp(sizes: Sequence[int], activation: str = "relu") -> nn.Sequential:
    """Linear layers of the given sizes with the activation between them, none at the end."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        if i:
            layers.append(_activation(activation))
        layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)


class MLP(nn.Module):
    """f(x, y): flattens x, appends the condition, gives (n, *shape).

    Arguments:
        inputs: numbers in one x and its condition together.
        shape: of one output.
        hidden: sizes of the hidden layers.
        activation: by name, see ACTIVATIONS.
    """

    def __init__(self, inputs: int, shape: Sequence[int], hidden: Sequence[int], activation: str = "relu") -> None:
        super().__init__()
        self.shape = tuple(shape)
        outputs = 1
        for n in self.shape:
            outputs *= n
        self.layers = mlp([inputs, *hidden, outputs], activation)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, …), (n, …) -> (n, *shape)."""
        return self.layers(joined(x, y)).reshape(len(x), *self.shape)


class Heads(nn.Module):
    """One trunk and several linear heads: x, y -> a tensor (n, size) for each head.

    Arguments:
        inputs: numbers in one x and its condition together.
        sizes: of the heads.
        hidden: sizes of the trunk's layers.
        activation: by name, also after the last hidden layer.
    """

    def __init__(self, inputs: int, sizes: Sequence[int], hidden: Sequence[int], activation: str = "relu") -> None:
        super().__init__()
        width = hidden[-1] if hidden else inputs
        self.trunk = nn.Sequential(mlp([inputs, *hidden], activation), _activation(activation)) if hidden else nn.Identity()
        self.sizes = tuple(sizes)
        self.heads = nn.Linear(width, sum(sizes))

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """(n, …), (n, …) -> (n, size), …"""
        return self.heads(self.trunk(joined(x, y))).split(self.sizes, 1)


def _activation(name: str) -> nn.Module:
    """The activation, in place where autograd allows."""
    return ACTIVATIONS[name](inplace=True) if name in ("relu", "leaky_relu", "silu", "elu") else ACTIVATIONS[name]()


def joined(x: Tensor, y: Tensor | None) -> Tensor:
    """x flattened, with the flattened condition appended."""
    x = x.flatten(1)
    return x if y is None else torch.cat([x, y.to(x).flatten(1)], 1)
