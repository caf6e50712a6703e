r"""Information in the codes of a latent-variable model, and their match with its prior.

Active units (Burda, Grosse & Salakhutdinov 2016, https://arxiv.org/abs/1509.00519): unit u is
active if its posterior mean varies with x, Var_x(E_q u) > .01.

With the aggregate posterior q(z) = E_x q(z|x) the rate splits (Hoffman & Johnson 2016, Eq. 5,
http://approximateinference.org/accepted/HoffmanJohnson2016.pdf) into

    E_x KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)),

the information in codes about x, and the mismatch: prior samples unlike the codes of any data. q(z)
is known only through n rows. For z_i ~ q(z|x_i), estimating q(z_i) by the mean of q(z_i|x_j) over
all j is too large on average, and without j = i too small (its log, by Jensen): the mismatch and
the information lie between the two (Poole et al. 2019, Eqs. 10 and 12,
https://arxiv.org/abs/1905.06922). The upper bound on the mismatch is at least rate - log n, and the
lower may be negative: more rows tighten both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.capabilities import HasMean
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.random import Rng, generator
from pushforward.core.records import Record
from pushforward.densities.normals import Normal
from pushforward.metrics.estimates import Bracket, Joint, evaluation_mode

__all__ = ["ACTIVE", "Aggregate", "active_units", "aggregate"]

ACTIVE = 0.01
"""Variance of a code's mean over the data above which a unit is active.

Reference: Burda, Grosse & Salakhutdinov (2016), https://arxiv.org/abs/1509.00519.
"""
BLOCK = 1 << 22
"""Numbers per block: 32 MB of float64."""


@dataclass(frozen=True)
class Aggregate:
    """The rate and its two parts, in nats.

    Args:
        rate: E_x KL(q(z|x) ‖ p(z)), from one draw per row.
        information: I(x; z) between its bounds.
        mismatch: KL(q(z) ‖ p(z)) between its bounds.
    """

    rate: Record
    information: Bracket
    mismatch: Bracket


@torch.no_grad()
def active_units(
    model: object, x: Observations, y: Conditioning = None, *, above: float = ACTIVE, data: str = ""
) -> Record:
    """The number of latent dimensions whose posterior mean varies over x by more than `above`.

    Details hold all variances.
    """
    with evaluation_mode(model):
        joint = _require_posterior(model, x, y, "active_units")
        means = _encode_blocks(joint, "mean").to("cpu", torch.float64)
    variances = means.var(0, correction=1)
    count = float((variances > above).sum())
    details = {"variances": variances.tolist(), "above": above, "units": means.shape[1]}
    return Record(
        "active_units",
        count,
        unit="units",
        bound="estimate",
        data=data,
        n=len(means),
        details=details,
    )


@torch.no_grad()
def aggregate(
    model: object, x: Observations, y: Conditioning = None, *, rng: Rng = 0, data: str = ""
) -> Aggregate:
    """The rate, the information and the mismatch of codes of x (n, *shape), n ≥ 2, in O(n²)."""
    with evaluation_mode(model):
        joint = _require_posterior(model, x, y, "aggregate")
        q = joint.posterior()
        z = q.rsample(rng=generator(rng, joint.u.device))
        prior, posterior = (
            joint.log_prior(z).cpu().to(torch.float64),
            q.log_prob(z).cpu().to(torch.float64),
        )
        everyone, others = _aggregate(joint, q, z)
    facts = {"unit": "nats", "data": data, "details": {"draws": 1}}

    def bracket(quantity: str, low: Tensor, high: Tensor) -> Bracket:
        lower = Record.of(quantity, low, bound="lower bound", **facts)
        return Bracket(lower, Record.of(quantity, high, bound="upper bound", **facts))

    return Aggregate(
        Record.of("rate", posterior - prior, bound="estimate", **facts),
        bracket("information", posterior - everyone, posterior - others),
        bracket("mismatch", others - prior, everyone - prior),
    )


def _require_posterior(model: object, x: Observations, y: Conditioning, purpose: str) -> Joint:
    """The joint distribution of at least two observations, for a model with a posterior."""
    joint = Joint.of(model, x, y, purpose)
    if not callable(getattr(model, "posterior", None)):
        raise InvalidKind(f"{type(model).__name__} has no posterior; {purpose} needs one")
    if len(joint.u) < 2:
        raise InvalidValue(
            f"{purpose} compares observations with each other: expected at least 2, got"
            f" {len(joint.u)}"
        )
    return joint


def _encode_blocks(joint: Joint, name: str) -> Tensor:
    """One tensor of q(z|x) for all observations, encoded in blocks."""
    rows = max(1, BLOCK // joint.u[0].numel())
    starts = range(0, len(joint.u), rows)
    return torch.cat(
        [getattr(joint.part(slice(start, start + rows)).posterior(), name) for start in starts]
    )


def _aggregate(joint: Joint, q: HasMean, z: Tensor) -> tuple[Tensor, Tensor]:
    """log of the mean of q(z_i|x_j) over all j, and over all j ≠ i: (n,) each."""
    n = len(z)
    pairs = _normal_pair_density(q) if isinstance(q, Normal) else _pair_density(joint)
    everyone, others, rows = [], [], max(1, BLOCK // n)
    for start in range(0, n, rows):
        logs = pairs(z[start : start + rows])
        everyone.append(logs.logsumexp(1) - math.log(n))
        index = torch.arange(len(logs), device=logs.device)
        logs[index, start + index] = -math.inf
        others.append(logs.logsumexp(1) - math.log(n - 1))
    return torch.cat(everyone).cpu(), torch.cat(others).cpu()


def _normal_pair_density(q: Normal) -> Callable[[Tensor], Tensor]:
    """log q(z_i|x_j) of diagonal normals by matrix products, in float64 as squares cancel."""
    mean, log_scale = (t.cpu().to(torch.float64).expand_as(q.mean) for t in (q.mean, q.log_scale))
    precision = torch.exp(-2 * log_scale)
    constant = (
        -0.5 * (mean.square() * precision).sum(1)
        - log_scale.sum(1)
        - 0.5 * mean.shape[1] * math.log(2 * math.pi)
    )

    def pairs(z: Tensor) -> Tensor:
        z = z.cpu().to(torch.float64)
        return constant + z @ (mean * precision).T - 0.5 * z.square() @ precision.T

    return pairs


def _pair_density(joint: Joint) -> Callable[[Tensor], Tensor]:
    """log q(z_i|x_j) of any posterior, one observation at a time."""

    def pairs(z: Tensor) -> Tensor:
        columns = []
        for j in range(len(joint.u)):
            row = joint.part(slice(j, j + 1))
            columns.append(row.posterior().log_prob(z).cpu().to(torch.float64))
        return torch.stack(columns, 1)

    return pairs
