"""Distributions on [0, 1]: Bernoulli and continuous Bernoulli, each by its logits l.

    Bernoulli             log p(x) = x l - softplus(l)
    continuous Bernoulli  log p(x) = x l - Λ(l),   Λ(l) = log ∫₀¹ e^(l x) dx = log((e^l - 1)/l)

Λ is l/2 + log(sinh(l/2)/(l/2)): analytic at 0, where its quotients are 0/0, so a series takes over
there; for large |l| it is max(l, 0) + log((1 - e^-|l|)/|l|). Its derivative is the mean. Outside
[0, 1] neither has mass: log p(x) = -inf (see `support`). Reference: Loaiza-Ganem & Cunningham
(2019, https://arxiv.org/abs/1907.06845), Eqs. 5-10 (there in p = sigmoid(l), singular at ½).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.distributions import register_kl
from torch.nn.functional import softplus

from pushforward.core.errors import InvalidValue
from pushforward.core.random import Rng, uniform
from pushforward.densities.distribution import RowDistribution
from pushforward.densities.normals import event_rank, flatten_event, sum_event
from pushforward.densities.support import find_outside, mask_outside

__all__ = ["Bernoulli", "ContinuousBernoulli"]

BLOCK = 1 << 17
"""Elements per block on a CPU, so that a block and its temporaries stay in the second-level cache.
"""


@dataclass(eq=False)
class Bernoulli(RowDistribution):
    """Independent Bernoulli variables.

    x at the ends has a mass, between them a cross-entropy, outside them none.

    Args:
        logits: log p/(1-p), (n, *event).
        zero: the coordinate of outcome 0, broadcastable to logits; None is 0.
        span: the distance from outcome 0 to outcome 1; None is 1.
            If 0, the coordinate is constant and x counts as 0.
        event_dims: number of axes of logits in the event; all but the first by default.
    """

    logits: Tensor
    zero: Tensor | None = None
    span: Tensor | None = None
    event_dims: int | None = None

    def __post_init__(self) -> None:
        rank = self.logits.ndim - 1 if self.event_dims is None else self.event_dims
        self.declare(self.logits.shape, rank)

    @property
    def mean(self) -> Tensor:
        """p, mapped to the ends."""
        return self._place(self.logits.sigmoid())

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Bernoulli:
        """The same distribution for more rows."""
        shape = (*batch_shape, *self.event_shape)
        return replace(self, logits=self.logits.expand(shape), event_dims=len(self.event_shape))

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ x log p + (1-x) log(1-p), over the event; -inf if any x lies outside the ends."""
        event = event_rank(x, self.logits) if self.event_dims is None else self.event_dims
        share = self.share(x)
        beyond = find_outside(share, 0.0, 1.0)
        logits, x = torch.broadcast_tensors(self.logits, share)
        entropy: Tensor = _CrossEntropy.apply(flatten_event(logits, event), flatten_event(x, event))  # type: ignore[no-untyped-call]
        return mask_outside(-entropy, beyond, event)

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """Samples at the two ends; without gradients."""
        u = uniform(*sample_shape, *self.logits.shape, rng=rng, like=self.logits)
        return self._place((u < self.logits.sigmoid()).to(self.logits))

    def share(self, x: Tensor) -> Tensor:
        """Position of x between the ends, 0 to 1."""
        x = x if self.zero is None else x - self.zero
        return x if self.span is None else x / torch.where(self.span > 0, self.span, 1.0)

    def _place(self, share: Tensor) -> Tensor:
        share = share if self.span is None else share * self.span
        return share if self.zero is None else share + self.zero


def _kl_bernoulli(q: Bernoulli, p: Bernoulli) -> Tensor:
    """Σ p_q (log p_q - log p_p) + (1 - p_q) (log(1 - p_q) - log(1 - p_p)), over the event.

    The ends must be equal, else the outcomes differ.
    """
    if not all(_are_same(getattr(q, end), getattr(p, end)) for end in ("zero", "span")):
        raise InvalidValue(
            "a divergence needs the same outcomes, but the ends of the two distributions differ"
        )
    share = q.logits.sigmoid()
    terms = share * (softplus(-p.logits) - softplus(-q.logits))
    terms = terms + (1 - share) * (softplus(p.logits) - softplus(q.logits))
    return sum_event(terms, max(len(q.event_shape), len(p.event_shape)))


def _are_same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or torch.equal(one, other)


def _cross_entropies(logits: Tensor, x: Tensor) -> Tensor:
    """Σ softplus(l) - x l over the last axis of both (…, d), block by block.

    In blocks the softplus takes two nanoseconds per number;
    on a large tensor at once three times that, waiting for memory.
    """
    if logits.numel() <= BLOCK or logits.ndim == 1 or logits.device.type != "cpu":
        # Above the threshold softplus is linear; at 50 that is exact even in float64.
        return softplus(logits, threshold=50).addcmul_(x, logits, value=-1).sum(-1)
    if len(logits) == 1:
        return _cross_entropies(logits[0], x[0])[None]
    rows = max(1, BLOCK // logits[0].numel())
    return torch.cat([_cross_entropies(a, b) for a, b in zip(logits.split(rows), x.split(rows))])


class _CrossEntropy(torch.autograd.Function):
    """Σ softplus(l) - x l over the last axis, with the gradient
    (sigmoid(l) - x) in two passes instead of autograd's five.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        return _cross_entropies(logits, x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits, x = ctx.saved_tensors
        outer = gradients[0][..., None]
        toward_x = -logits * outer if ctx.needs_input_grad[1] else None
        if torch.is_grad_enabled():  # a second derivative is needed
            return (logits.sigmoid() - x) * outer, toward_x
        return logits.sigmoid().sub_(x).mul_(outer), toward_x


# ----------------------------------------------------------------------------- continuous Bernoulli

NEAR = 0.5
"""Below this |l| the series of Λ is used: its terms fall by (l/2π)² < 1/157,
so seven reach float64's precision.
"""

SERIES = (
    1 / 24,
    -1 / 2880,
    1 / 181440,
    -1 / 9676800,
    1 / 479001600,
    -691 / 15692092416000,
    1 / 1046139494400,
)
"""Λ(l) - l/2 = Σ c_n l^2n with c_n = B_2n / (2n (2n)!), B_2n the Bernoulli numbers, n = 1, 2, …"""


@dataclass(eq=False)
class ContinuousBernoulli(RowDistribution):
    """Independent densities on [0, 1], exponential in x.

    Args:
        logits: l, (n, *event); 0 is the uniform distribution.
        event_dims: number of axes of logits in the event; all but the first by default.
    """

    has_rsample = True

    logits: Tensor
    event_dims: int | None = None

    def __post_init__(self) -> None:
        rank = self.logits.ndim - 1 if self.event_dims is None else self.event_dims
        self.declare(self.logits.shape, rank)

    @property
    def mean(self) -> Tensor:
        """Λ'(l) = 1/(1 - e^-l) - 1/l."""
        near = self.logits.abs() < NEAR
        small, far = torch.where(near, self.logits, 0.0), torch.where(near, 1.0, self.logits)
        series = 0.5 + small * _even(
            [2 * (n + 1) * c for n, c in enumerate(SERIES)], small.square()
        )
        return torch.where(near, series, -1 / torch.expm1(-far) - 1 / far)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> ContinuousBernoulli:
        """The same distribution for more rows."""
        shape = (*batch_shape, *self.event_shape)
        return ContinuousBernoulli(self.logits.expand(shape), len(self.event_shape))

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ x l - Λ(l), over the event; -inf where any x lies outside [0, 1]."""
        event = event_rank(x, self.logits) if self.event_dims is None else self.event_dims
        log_density = sum_event(x * self.logits, event) - sum_event(
            log_normaliser(self.logits), event
        )
        return mask_outside(log_density, find_outside(x, 0.0, 1.0), event)

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """Samples by the inverse distribution function, log(1 + u (e^l - 1))/l, of uniform u."""
        u = uniform(*sample_shape, *self.logits.shape, rng=rng, like=self.logits)
        rising = self.logits > 0
        # -|l| avoids overflow; x at l is 1 - x at -l. (abs() is not used: its gradient at 0 is 0.)
        share = torch.where(rising, (1 - u).clamp_max(1 - torch.finfo(u.dtype).eps), u)
        falling = _quantile(share, torch.where(rising, -self.logits, self.logits))
        return torch.where(rising, 1 - falling, falling)


def _kl_continuous(q: ContinuousBernoulli, p: ContinuousBernoulli) -> Tensor:
    """Σ E_q[x] (l_q - l_p) - Λ(l_q) + Λ(l_p), over the event."""
    terms = q.mean * (q.logits - p.logits) - log_normaliser(q.logits) + log_normaliser(p.logits)
    return sum_event(terms, max(len(q.event_shape), len(p.event_shape)))


def log_normaliser(logits: Tensor) -> Tensor:
    """Λ(l) = log((e^l - 1)/l), with its derivatives, for every l."""
    near = logits.abs() < NEAR
    # The branch not taken gets a harmless number, because where() would propagate a NaN gradient.
    small, size = torch.where(near, logits, 0.0), torch.where(near, 1.0, logits.abs())
    squared = small.square()
    series = small / 2 + squared * _even(SERIES, squared)
    return torch.where(near, series, logits.clamp_min(0) + torch.log(-torch.expm1(-size) / size))


def _even(coefficients: Sequence[float], squared: Tensor) -> Tensor:
    """Σ c_n squared^n, n = 0, 1, …"""
    total = torch.full_like(squared, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * squared + c
    return total


def _quantile(u: Tensor, logits: Tensor) -> Tensor:
    """log(1 + u (e^l - 1))/l for l ≤ 0.

    Near 0 by its series, the cumulants of a Bernoulli(u) variable.
    """
    near = logits.abs() < torch.finfo(logits.dtype).eps ** 0.2
    small, far = torch.where(near, logits, 0.0), torch.where(near, -1.0, logits)
    spread = u * (1 - u)
    skew = spread * (1 - 2 * u)
    fourth, fifth = spread * (1 - 6 * spread), skew * (1 - 12 * spread)
    series = u + small * (
        spread / 2 + small * (skew / 6 + small * (fourth / 24 + small * fifth / 120))
    )
    return torch.where(near, series, torch.log1p(u * torch.expm1(far)) / far)


register_kl(Bernoulli, Bernoulli)(_kl_bernoulli)
register_kl(ContinuousBernoulli, ContinuousBernoulli)(_kl_continuous)
