"""Networks changed after they are made: norms and dropout put between layers,
activations and norms exchanged.

Where a network keeps its layers in a sequence (perceptrons, deep convolutional players, critics),
these are put between them; a network that is built otherwise is refused, since nothing could be put
in the right place.
"""

from __future__ import annotations

import math

from torch import nn

from pushforward.core.errors import InvalidValue
from pushforward.nets.mlp import ACTIVATIONS, Maxout

__all__ = ["put_batch_norm", "put_dropout", "put_group_norm", "put_leaky", "sequence_of"]

GROUPS = 8
WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
ACTIVE = (*(a for a in ACTIVATIONS.values() if a is not nn.Identity), Maxout)


def sequence_of(network: nn.Module) -> nn.Sequential:
    """The layers, in order.

    Raises:
        InvalidValue: If a network has no such sequence of weights and activations.
    """
    layers = getattr(getattr(network, "network", network), "layers", None)
    if not isinstance(layers, nn.Sequential) or not any(
        isinstance(layer, ACTIVE) for layer in layers
    ):
        raise InvalidValue(
            f"nothing can be put between the layers of this {type(network).__name__}; use"
            " network='mlp' or 'dcgan'"
        )
    return layers


def put_batch_norm(network: nn.Module, *, critic: bool) -> None:
    """Batch norm between weights and activations, in place:
    not at a generator's output, nor at a critic's input.

    A critic's keeps no running statistics:
    it is only ever asked about whole batches, all real or all generated.
    """
    found, first = [], critic
    layers = list(sequence_of(network))
    for i, layer in enumerate(layers):
        found.append(layer)
        if isinstance(layer, WEIGHTED) and i < len(layers) - 1:
            if not first and isinstance(layers[i + 1], ACTIVE):
                found.append(_batch_norm(layer, tracked=not critic))
            first = False
    _replace(sequence_of(network), found)


def put_dropout(network: nn.Module, share: float) -> None:
    """Dropout after every activation but one at the very end, in place."""
    layers = list(sequence_of(network))
    found = [
        part
        for i, layer in enumerate(layers)
        for part in _dropped(layer, share, last=i == len(layers) - 1)
    ]
    _replace(sequence_of(network), found)


def put_leaky(network: nn.Module, slope: float) -> None:
    """Leaky ReLU in place of ReLU, in place: no unit without a gradient."""
    for holder in list(network.modules()):
        for name, child in list(holder.named_children()):
            if isinstance(child, (nn.ReLU, nn.LeakyReLU)):
                setattr(holder, name, nn.LeakyReLU(slope, inplace=True))
            elif isinstance(child, nn.MaxPool2d):
                setattr(holder, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))


def put_group_norm(network: nn.Module) -> None:
    """Group norm, which looks at one row alone, in place of batch norm, in place."""
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


def _dropped(layer: nn.Module, share: float, last: bool) -> list[nn.Module]:
    return [layer, nn.Dropout(share)] if isinstance(layer, ACTIVE) and not last else [layer]


def _replace(sequence: nn.Sequential, layers: list[nn.Module]) -> None:
    del sequence[:]
    sequence.extend(layers)
