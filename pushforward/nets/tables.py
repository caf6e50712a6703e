"""Networks for encoded tables: CTGAN's generator and critic.

    h_0 = [z, y],   h_i = [relu(norm(W_i h_{i-1} + b_i)), h_{i-1}],   output W h + b
    the critic: linear layers with LeakyReLU(.2) and dropout

Reference: Xu et al. (2019, https://arxiv.org/abs/1907.00503), §4.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.nets.critics import Critic
from pushforward.nets.mlp import join

__all__ = ["ConcatenatedResidual", "table_critic"]

SLOPE = 0.2
"""Of LeakyReLU below zero, as published."""


class ConcatenatedResidual(nn.Module):
    """z, y -> (n, outputs), where every hidden layer keeps its input beside its output.

    Args:
        inputs: numbers in one z and its condition together.
        outputs: numbers in one output.
        hidden: units of the layers.
    """

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for units in hidden:
            self.layers.append(
                nn.Sequential(nn.Linear(inputs, units), nn.BatchNorm1d(units), nn.ReLU())
            )
            inputs += units
        self.last = nn.Linear(inputs, outputs)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, …), (n, …) -> (n, outputs)."""
        h = join(z, y)
        for layer in self.layers:
            h = torch.cat([layer(h), h], 1)
        outputs: Tensor = self.last(h)
        return outputs


def table_critic(inputs: int, hidden: Sequence[int], dropout: float) -> Critic:
    """A critic of packs of encoded rows, `inputs` numbers with their conditions."""
    trunk: list[nn.Module] = []
    for units in hidden:
        trunk += [nn.Linear(inputs, units), nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]
        inputs = units
    return Critic(trunk, nn.Linear(inputs, 1))
