"""Distributions over batches of events: one event a row, log-probabilities summed over its coordinates, in nats.

Each takes its random numbers from an explicit stream; `rsample` is differentiable in the parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pushforward.core.random import Rng, normal, uniform

__all__ = ["Normal", "Bernoulli", "kl_divergence"]

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Normal:
    """N(mean, diag(exp(log_scale))²).

    Arguments:
        mean: (n, *event).
        log_scale: log of the standard deviation, broadcastable to mean.
    """

    mean: Tensor
    log_scale: Tensor

    @classmethod
    def standard(cls, n: int, d: int, *, like: Tensor) -> Normal:
        """n rows of N(0, I_d)."""
        zeros = like.new_zeros(n, d)
        return cls(zeros, zeros)

    @property
    def scale(self) -> Tensor:
        """Standard deviation."""
        return self.log_scale.exp()

    def log_prob(self, x: Tensor) -> Tensor:
        """-½ Σ [((x - mean)/scale)² + log 2π] - Σ log scale, over the event: (n,)."""
        residual = (x - self.mean) * torch.exp(-self.log_scale)
        squares = residual.square().flatten(1).sum(1)
        d = residual[0].numel()
        return -0.5 * (squares + d * LOG_2PI) - self._log_volume(d)

    def _log_volume(self, d: int) -> Tensor:
        """Σ log scale over the event, for scales shared by coordinates too."""
        flat = self.log_scale.flatten(1) if self.log_scale.ndim > 1 else self.log_scale.reshape(1, -1)
        return flat.sum(1) * (d / flat.shape[1])

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """mean + scale · ε."""
        return self.mean + self.scale * normal(*self.mean.shape, rng=rng, like=self.mean)


@dataclass(frozen=True)
class Bernoulli:
    """Independent coin tosses; x in {0, 1} has a mass, x in (0, 1) the cross-entropy.

    Arguments:
        logits: log p/(1-p), (n, *event).
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """p."""
        return self.logits.sigmoid()

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ x log p + (1-x) log(1-p), over the event: (n,)."""
        log_mass: Tensor = _CrossEntropy.apply(self.logits, x)  # type: ignore[no-untyped-call]
        return -log_mass

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """Zeros and ones; no gradient passes."""
        return (uniform(*self.logits.shape, rng=rng, like=self.logits) < self.mean).to(self.logits)


class _CrossEntropy(torch.autograd.Function):
    """Σ softplus(l) - x l over the event (n,), with the gradient (sigmoid(l) - x) in two passes instead of autograd's five."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        # Beyond the threshold softplus is taken as linear: at 50 that is exact in float64 too.
        return softplus(logits, threshold=50).addcmul_(x, logits, value=-1).flatten(1).sum(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits, x = ctx.saved_tensors
        outer = gradients[0].reshape(-1, *[1] * (logits.ndim - 1))
        toward_x = -logits * outer if ctx.needs_input_grad[1] else None
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted
            return (logits.sigmoid() - x) * outer, toward_x
        return logits.sigmoid().sub_(x).mul_(outer), toward_x


def kl_divergence(q: Normal, p: Normal) -> Tensor:
    """KL(q‖p) of diagonal normals, summed over the event: (n,).

    Σ log(s_p/s_q) + (s_q² + (m_q - m_p)²)/(2 s_p²) - ½; for p standard, Kingma & Welling (2014), Appendix B.
    """
    return kl_per_dimension(q, p).flatten(1).sum(1)


def kl_per_dimension(q: Normal, p: Normal) -> Tensor:
    """KL(q‖p) of each coordinate: (n, *event)."""
    variance = torch.exp(2 * (q.log_scale - p.log_scale))
    squares = ((q.mean - p.mean) * torch.exp(-p.log_scale)).square()
    return 0.5 * (variance + squares - 1) - q.log_scale + p.log_scale
