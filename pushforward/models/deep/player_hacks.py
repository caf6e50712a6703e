"""Hacks of the players: their coordinates, codes, networks and optimisers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.phase import Optimizer, sgd
from pushforward.core.scaling import ScalingKind
from pushforward.models.deep.hack import Hack
from pushforward.nets.critics import BatchDiscrimination
from pushforward.nets.surgery import insert_batch_norm, insert_dropout, replace_relu

__all__ = []


@dataclass(frozen=True)
class Normalise(Hack, name="normalise"):
    """Data in [-1, 1], tanh as the generator's last layer."""

    number: ClassVar[int] = 1
    does: ClassVar[str] = "data scaled to [-1, 1], tanh as the generator's last layer"

    def scaling(self, kind: ScalingKind) -> ScalingKind:
        """Signed."""
        return "signed"

    def squash(self, u: Tensor) -> Tensor:
        """tanh."""
        return u.tanh()


@dataclass(frozen=True)
class SphericalCodes(Hack, name="spherical_z"):
    """Codes on the sphere of radius √latent, on which straight paths are great circles."""

    number: ClassVar[int] = 3
    does: ClassVar[str] = (
        "noise on the sphere of radius √latent; paths between codes are great circles"
    )
    applies: ClassVar[str] = "latent ≥ 2"

    def codes(self, z: Tensor) -> Tensor:
        """√d z/‖z‖."""
        length: Tensor = z.norm(dim=1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)
        scale: Tensor = z.shape[1] ** 0.5 / length
        return z * scale


@dataclass(frozen=True)
class BatchNorm(Hack, name="batch_norm"):
    """Batch norm in both players, with real and generated samples in separate batches."""

    number: ClassVar[int] = 4
    does: ClassVar[str] = (
        "batch norm in both players, real and generated samples in separate batches"
    )
    applies: ClassVar[str] = "network='mlp' (dcgan has it, r3gan does without)"

    def generator(self, network: nn.Module) -> None:
        """Between layers."""
        insert_batch_norm(network, critic=False)

    def critic(self, network: nn.Module) -> None:
        """Between layers, not at the input."""
        insert_batch_norm(network, critic=True)


@dataclass(frozen=True)
class NoSparseGradients(Hack, name="no_sparse_gradients"):
    """Leaky ReLU instead of ReLU, and mean pooling instead of max pooling.

    Args:
        slope: slope for negative inputs.
    """

    number: ClassVar[int] = 5
    does: ClassVar[str] = (
        "leaky ReLU instead of ReLU in both players, strides or means instead of max-pooling"
    )
    applies: ClassVar[str] = "networks with ReLU"
    slope: float = 0.2

    def generator(self, network: nn.Module) -> None:
        """Every ReLU."""
        replace_relu(network, self.slope)

    def critic(self, network: nn.Module) -> None:
        """Every ReLU."""
        replace_relu(network, self.slope)


@dataclass(frozen=True)
class SGDCritic(Hack, name="sgd_critic"):
    """Adam for the generator, plain SGD for the critic.

    Args:
        rate: of the critic.
        momentum: of the critic.
    """

    number: ClassVar[int] = 9
    does: ClassVar[str] = "Adam for the generator, SGD for the critic"
    rate: float = 0.01
    momentum: float = 0.0

    def __post_init__(self) -> None:
        require_positive(rate=self.rate)

    def critic_optimizer(self, optimizer: Optimizer) -> Optimizer:
        """SGD."""
        return sgd(self.rate, self.momentum)


@dataclass(frozen=True)
class MoreCriticSteps(Hack, name="more_critic_steps"):
    """Several critic updates per generator update.

    Args:
        steps: number of critic updates.
    """

    number: ClassVar[int] = 14
    does: ClassVar[str] = "the critic is trained more: five updates per generator update"
    steps: int = 5

    def __post_init__(self) -> None:
        require_positive(steps=self.steps)

    def critic_steps(self, steps: int) -> int:
        """At least as many."""
        return max(steps, self.steps)


@dataclass(frozen=True)
class BatchDiscriminator(Hack, name="batch_discrimination"):
    """The critic receives the closeness of each sample to the rest of its batch.

    Args:
        kernels: numbers added to the features.
        size: numbers compared per kernel.

    Reference:
        Salimans et al. (2016), Improved techniques for training GANs, §3.2.
        https://arxiv.org/abs/1606.03498
    """

    number: ClassVar[int] = 15
    does: ClassVar[str] = "the critic sees how alike the samples of a batch are"
    kernels: int = 16
    size: int = 8

    def __post_init__(self) -> None:
        require_positive(kernels=self.kernels, size=self.size)

    def trunk(self, width: int) -> tuple[list[nn.Module], int]:
        """One more layer."""
        return [BatchDiscrimination(width, self.kernels, self.size)], width + self.kernels


@dataclass(frozen=True)
class Dropout(Hack, name="dropout"):
    """Dropout in the generator, also when sampling: noise in addition to the code.

    Args:
        share: of units dropped.
    """

    number: ClassVar[int] = 17
    does: ClassVar[str] = "dropout in the generator's layers, in training and when sampling"
    applies: ClassVar[str] = "network='mlp' or 'dcgan'"
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidValue(
                f"share is the share of dropped units, between 0 and 1, got {self.share}"
            )

    def generator(self, network: nn.Module) -> None:
        """After every activation."""
        insert_dropout(network, self.share)
