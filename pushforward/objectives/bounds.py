"""Bounds on log p(x) as training objectives, from the terms of a latent-variable model.

With distortion D = -E_q log p(x|z) and rate R = KL(q(z|x) ‖ p(z)), -ELBO = D + R. With draws z_i ~
q(z|x) and log w_i = log p(x, z_i) - log q(z_i|x), the importance-weighted bound is

    L_k = E log 1/k Σ w_i,   log p(x) ≥ L_{k+1} ≥ L_k ≥ L_1 = ELBO.

Objectives are values: they combine the terms and are independent of networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.phase import Terms
from pushforward.core.registry import Value

__all__ = ["Objective", "Elbo", "ImportanceWeighted", "importance_bound"]


def importance_bound(log_weight: Tensor) -> Tensor:
    """log 1/k Σ_i w_i of log-weights (k, n): (n,), Burda, Grosse & Salakhutdinov (2016,
    https://arxiv.org/abs/1509.00519), Eq. 8.
    """
    return log_weight.logsumexp(0) - math.log(len(log_weight))


class Objective(Value, family="objective"):
    """The objective that a VAE minimises."""

    @property
    def draws(self) -> int:
        """Posterior draws per observation."""
        return 1


@dataclass(frozen=True)
class Elbo(Objective, name="elbo"):
    """distortion + beta · rate (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114, Eq. 10;
    beta: Higgins et al. 2017, Eq. 4, https://openreview.net/forum?id=Sy2fzU9gl).

    Args:
        beta: weight of the rate; 1 is the bound.
        free_bits: nats per latent dimension, averaged over the batch, that are not penalised
            (Kingma et al. 2016, App. C.8, https://arxiv.org/abs/1606.04934).
        warm_up: share of the budget over which beta rises from 0 to its value (Sønderby et al.
            2016, https://arxiv.org/abs/1602.02282).
    """

    beta: float = 1.0
    free_bits: float = 0.0
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        require_positive(beta=self.beta)
        if self.free_bits < 0 or not 0 <= self.warm_up <= 1:
            raise InvalidValue(
                "free_bits are nats, at least 0, and warm_up a share of the budget in 0..1, got"
                f" {self.free_bits} and {self.warm_up}"
            )

    def weight(self, fraction: float) -> float:
        """beta after a fraction of the budget."""
        return self.beta * (min(1.0, fraction / self.warm_up) if self.warm_up else 1.0)

    def terms(self, distortion: Tensor, rate: Tensor, fraction: float) -> Terms:
        """The loss terms from the distortion (n,) and the rate,
        per dimension (n, d) or in total (n,), nats.
        """
        whole = rate.flatten(1).sum(1) if rate.ndim > 1 else rate
        charged = whole
        if self.free_bits:
            if rate.ndim == 1:
                raise InvalidValue(
                    "free_bits are per latent dimension and need"
                    f" {setting('posterior', 'diagonal')} and"
                    f" {setting('prior', 'normal')}"
                )
            charged = rate.mean(0).clamp_min(self.free_bits).sum()
        beta = self.weight(fraction)
        if charged is whole and beta == 1.0:
            return Terms(distortion=distortion, rate=whole)
        return Terms(
            distortion=distortion, rate=beta * charged, logged={"nats": whole.mean().detach()}
        )


@dataclass(frozen=True)
class ImportanceWeighted(Objective, name="iwae"):
    """-L_k.

    Args:
        k: draws.
        doubly: the doubly reparametrised gradient for the encoder (Tucker et al. 2019,
            https://arxiv.org/abs/1810.04152, Eq. 8), whose signal does not vanish as k grows; the
            decoder's gradient is unchanged.
    """

    k: int = 50
    doubly: bool = False

    def __post_init__(self) -> None:
        require_positive(k=self.k)

    @property
    def draws(self) -> int:
        """k."""
        return self.k

    def terms(self, log_weight: Tensor) -> Terms:
        """The loss terms from the log-weights (k, n)."""
        return Terms(bound=-importance_bound(log_weight))

    def doubly_reparametrised(self, log_weight: Tensor, z: Tensor) -> Terms:
        """The loss terms from log-weights (k, n) with q's parameters frozen,
        and their codes z (k n, latent).

        With w̃ the normalised weights, the gradient through z must be Σ w̃² ∂log w/∂z ∂z/∂φ, and
        that of everything else Σ w̃ ∇ log w: the plain bound weights both by w̃, and a hook on z
        multiplies by it again.
        """
        share = torch.softmax(log_weight.detach(), 0).reshape(-1, 1)
        if z.requires_grad:
            z.register_hook(lambda gradient: gradient * share.to(gradient))
        return self.terms(log_weight)
