"""Penalties on the critic's slope, per sample (n,)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.errors import require_positive
from pushforward.core.random import Rng, uniform
from pushforward.core.registry import Value

__all__ = ["Penalty", "R1", "R2", "GradientPenalty", "r1", "r2", "gradient_penalty"]

Critic = Callable[[Tensor], Tensor]


class Penalty(Value, family="penalty"):
    """Something added to the critic's loss."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """The penalty of each pair (n,)."""
        raise TypeError(f"{type(self).__name__} must define __call__(critic, real, fake)")


@dataclass(frozen=True)
class R1(Penalty, name="r1"):
    """gamma/2 ‖∇c(x)‖² at real samples (Mescheder et al. 2018, Eq. 9)."""

    gamma: float = 10.0

    def __post_init__(self) -> None:
        require_positive(gamma=self.gamma)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """(n,)."""
        return 0.5 * self.gamma * squared_slope(critic, real)


@dataclass(frozen=True)
class R2(Penalty, name="r2"):
    """gamma/2 ‖∇c(g)‖² at generated samples (Mescheder et al. 2018, Eq. 10)."""

    gamma: float = 10.0

    def __post_init__(self) -> None:
        require_positive(gamma=self.gamma)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """(n,)."""
        return 0.5 * self.gamma * squared_slope(critic, fake)


@dataclass(frozen=True)
class GradientPenalty(Penalty, name="gradient_penalty"):
    """weight (‖∇c(x̂)‖ - 1)² at points between real and generated (Gulrajani et al. 2017, Eq. 3)."""

    weight: float = 10.0

    def __post_init__(self) -> None:
        require_positive(weight=self.weight)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, *, rng: Rng = None) -> Tensor:
        """(n,)."""
        t = uniform(len(real), *[1] * (real.ndim - 1), rng=rng, like=real)
        slope = squared_slope(critic, real + t * (fake - real)).clamp_min(1e-12).sqrt()
        return self.weight * (slope - 1).square()


r1, r2, gradient_penalty = R1, R2, GradientPenalty


def squared_slope(critic: Critic, x: Tensor) -> Tensor:
    """‖∇c(x)‖² of each row (n,), differentiable in the critic's parameters."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(1).square().sum(1)
