"""Constraints on the critic's slope: loss terms, weight bounds and reparametrisations.

term      added to the loss, per sample (n,): R1, R2, the gradient penalty
clip      every parameter is clamped to [-limit, limit] after each of the critic's steps
spectral  every weight matrix W is used as W/σ(W), σ its largest singular value, so that no
          layer stretches
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pushforward.core.errors import require_positive
from pushforward.core.random import Rng, uniform
from pushforward.core.registry import Value

__all__ = [
    "Penalty",
    "R1",
    "R2",
    "GradientPenalty",
    "Clip",
    "Spectral",
    "r1",
    "r2",
    "gradient_penalty",
    "clip",
    "spectral",
]

Critic = Callable[[Tensor], Tensor]


class Penalty(Value, family="penalty"):
    """A constraint on the critic.

    Attributes:
        term: whether it adds a term to the critic's loss.
    """

    term: ClassVar[bool] = True

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """The penalty of each pair (n,); 0 for constraints without a loss term."""
        return real.new_zeros(len(real))

    def install(self, network: nn.Module) -> None:
        """Modify the critic's network in place when it is built."""

    def constrain(self, network: nn.Module) -> None:
        """Modify the critic's parameters in place after each of its steps."""


@dataclass(frozen=True)
class R1(Penalty, name="r1"):
    """gamma/2 ‖∇c(x)‖² at real samples (Mescheder et al. 2018, Eq. 9,
    https://arxiv.org/abs/1801.04406).
    """

    gamma: float = 10.0

    def __post_init__(self) -> None:
        require_positive(gamma=self.gamma)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """(n,)."""
        return 0.5 * self.gamma * squared_slope(critic, real)


@dataclass(frozen=True)
class R2(Penalty, name="r2"):
    """gamma/2 ‖∇c(g)‖² at generated samples (Mescheder et al. 2018, Eq. 10,
    https://arxiv.org/abs/1801.04406).
    """

    gamma: float = 10.0

    def __post_init__(self) -> None:
        require_positive(gamma=self.gamma)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """(n,)."""
        return 0.5 * self.gamma * squared_slope(critic, fake)


@dataclass(frozen=True)
class GradientPenalty(Penalty, name="gradient_penalty"):
    """weight (‖∇c(x̂)‖ - 1)² at points between real and generated (Gulrajani et al. 2017, Eq. 3,
    https://arxiv.org/abs/1704.00028).
    """

    weight: float = 10.0

    def __post_init__(self) -> None:
        require_positive(weight=self.weight)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """(n,)."""
        t = uniform(len(real), *[1] * (real.ndim - 1), rng=rng, like=real)
        slope = squared_slope(critic, real + t * (fake - real)).clamp_min(1e-12).sqrt()
        return self.weight * (slope - 1).square()


@dataclass(frozen=True)
class Clip(Penalty, name="clip"):
    """Every parameter of the critic stays in [-limit, limit] (Arjovsky et al. 2017, Algorithm 1,
    line 7, https://arxiv.org/abs/1701.07875); no loss term.
    """

    term: ClassVar[bool] = False
    limit: float = 0.01

    def __post_init__(self) -> None:
        require_positive(limit=self.limit)

    def install(self, network: nn.Module) -> None:
        """Clamp from the start, so that an average of the weights is within the limit too."""
        self.constrain(network)

    @torch.no_grad()
    def constrain(self, network: nn.Module) -> None:
        """Clamp the parameters to the limit."""
        for parameter in network.parameters():
            parameter.clamp_(-self.limit, self.limit)


@dataclass(frozen=True)
class Spectral(Penalty, name="spectral"):
    """Every weight matrix divided by its largest singular value (Miyato et al. 2018, Eq. 8,
    https://arxiv.org/abs/1802.05957); no loss term.

    The singular vectors are buffers, updated by one power iteration at every call in training.
    """

    term: ClassVar[bool] = False

    def install(self, network: nn.Module) -> None:
        """Parametrise every linear and convolutional layer."""
        for layer in list(network.modules()):
            if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                spectral_norm(layer)


r1, r2, gradient_penalty, clip, spectral = R1, R2, GradientPenalty, Clip, Spectral


def squared_slope(critic: Critic, x: Tensor) -> Tensor:
    """‖∇c(x)‖² of each row (n,), differentiable in the critic's parameters."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)
