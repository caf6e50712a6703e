"""Changes to built networks: inserted norms and dropout, replaced activations and norms.

Networks that keep their layers in a sequence (perceptrons, deep convolutional players, critics) are
supported; others are refused, since the right place could not be determined.
"""

from __future__ import annotations

import math

from torch import nn

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue
from pushforward.nets.mlp import ACTIVATIONS, Maxout

__all__ = [
    "insert_batch_norm",
    "insert_dropout",
    "replace_batch_norm",
    "replace_relu",
    "find_sequence",
]

GROUPS = 8
"""Groups of channels in the group norm that takes batch norm's place, as in `nets.convolutional`.
"""
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
ACTIVE = (*(a for a in ACTIVATIONS.values() if a is not nn.Identity), Maxout)


def find_sequence(network: nn.Module) -> nn.Sequential:
    """The layers, in order.

    Raises:
        InvalidValue: If the network has no sequence of weights and activations.
    """
    layers = getattr(getattr(network, "network", network), "layers", None)
    if not isinstance(layers, nn.Sequential) or not any(
        isinstance(layer, ACTIVE) for layer in layers
    ):
        raise InvalidValue(
            f"layers cannot be inserted into this {type(network).__name__}; use"
            f" {setting('network', 'mlp')} or 'dcgan'"
        )
    return layers


def insert_batch_norm(network: nn.Module, *, critic: bool) -> None:
    """Insert batch norm between weights and activations,
    but not at a generator's output or a critic's input.

    A critic's keeps no running statistics: it only sees whole batches, all real or all generated.
    """
    found, first = [], critic
    layers = list(find_sequence(network))
    for i, layer in enumerate(layers):
        found.append(layer)
        if isinstance(layer, WEIGHTED) and i < len(layers) - 1:
            if not first and isinstance(layers[i + 1], ACTIVE):
                found.append(_batch_norm(layer, tracked=not critic))
            first = False
    _replace(find_sequence(network), found)


def insert_dropout(network: nn.Module, share: float) -> None:
    """Insert dropout after every activation except a final one."""
    layers = list(find_sequence(network))
    found = [
        part
        for i, layer in enumerate(layers)
        for part in _with_dropout(layer, share, last=i == len(layers) - 1)
    ]
    _replace(find_sequence(network), found)


def replace_relu(network: nn.Module, slope: float) -> None:
    """Replace ReLU by leaky ReLU, so that every unit has a gradient."""
    for holder in list(network.modules()):
        for name, child in list(holder.named_children()):
            if isinstance(child, (nn.ReLU, nn.LeakyReLU)):
                setattr(holder, name, nn.LeakyReLU(slope, inplace=True))
            elif isinstance(child, nn.MaxPool2d):
                setattr(holder, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))


def replace_batch_norm(network: nn.Module) -> None:
    """Replace batch norm by group norm, which acts on each row alone."""
    for holder in list(network.modules()):
        for name, child in list(holder.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(
                    holder,
                    name,
                    nn.GroupNorm(math.gcd(child.num_features, GROUPS), child.num_features),
                )


def _batch_norm(layer: nn.Module, tracked: bool) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return nn.BatchNorm1d(layer.out_features, track_running_stats=tracked)
    assert isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    return nn.BatchNorm2d(layer.out_channels, track_running_stats=tracked)


def _with_dropout(layer: nn.Module, share: float, last: bool) -> list[nn.Module]:
    return [layer, nn.Dropout(share)] if isinstance(layer, ACTIVE) and not last else [layer]


def _replace(sequence: nn.Sequential, layers: list[nn.Module]) -> None:
    del sequence[:]
    sequence.extend(layers)
