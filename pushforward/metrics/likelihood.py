r"""Held-out log-likelihoods of a model, in nats per observation, in the user's units.

They are exact if the model has a density. Otherwise log p(x) = log ∫ p(z) p(x|z) dz is bounded from
below, in expectation, by the log of an average over codes:

    naive    log 1/k Σ p(x|z_i),                  z_i ~ p(z)
    elbo     log p(x, z) - log q(z|x),            z ~ q(z|x), one draw
    iwae   L_k = log 1/k Σ p(x, z_i)/q(z_i|x),  z_i ~ q(z|x)    (Burda, Grosse & Salakhutdinov 2016,
    https://arxiv.org/abs/1509.00519, Eq. 8)

E L_k is the ELBO at k = 1, does not decrease with k, and tends to log p(x).
The naive average needs no posterior, and about

    E p(x|z)² / p(x)² ~ (width of the prior / width of the posterior)^latent

draws for a relative error of one: a hundred in two dimensions,
far too many in fifty. `annealing` moves the codes instead.

All codes of one observation are decoded in blocks that fit into the last-level cache; memory does
not grow with k. Sums over k are in float64, whatever the model's dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.core.capabilities import HasBound, HasDensity, HasMean, LatentModel
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, ShapeMismatch, require_positive
from pushforward.core.events import Listener
from pushforward.core.random import Rng, generator
from pushforward.core.records import Record
from pushforward.densities.repeats import repeat
from pushforward.metrics.estimates import (
    Estimate,
    Joint,
    LatentVariables,
    LogMean,
    Reporter,
    evaluation_mode,
    plan_blocks,
    rows_per_block,
)

__all__ = ["naive", "elbo", "iwae", "log_prob", "best_known", "density_unit"]


def log_prob(model: object, x: Observations, y: Conditioning = None, *, data: str = "") -> Record:
    """Exact mean log-density of x (n, *shape), given conditions y (n, …) if the model has them."""
    if not isinstance(model, HasDensity):
        raise InvalidKind(f"{type(model).__name__} has no exact density; use elbo or iwae")
    with torch.no_grad():
        values = model.log_prob(x) if y is None else model.log_prob(x, y)
    if not isinstance(values, Tensor) or values.ndim != 1:
        kind = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ShapeMismatch(
            f"log_prob of {type(model).__name__} must give one number for each row, (n,); got"
            f" {kind}"
        )
    return Record.of(
        "log_prob", values, unit="nats", measure=density_unit(model), bound="exact", data=data
    )


def elbo(
    model: object, x: Observations, y: Conditioning = None, *, rng: Rng = 0, data: str = ""
) -> Record:
    """Mean evidence lower bound of x, with one posterior draw per row."""
    if not isinstance(model, HasBound):
        raise InvalidKind(
            f"{type(model).__name__} has no bound; a model with a density has log_prob"
        )
    with torch.no_grad(), evaluation_mode(model):
        values = model.elbo(x, y, rng=rng)
    return Record.of(
        "elbo", values, unit="nats", measure=density_unit(model), bound="lower bound", data=data
    )


@torch.no_grad()
def naive(
    model: object,
    x: Observations,
    y: Conditioning = None,
    *,
    samples: int = 10_000,
    shared: bool = True,
    rng: Rng = 0,
    listeners: Sequence[Listener] = (),
    data: str = "",
) -> Estimate:
    """log 1/S Σ p(x|z_i) over S draws of the prior.

    It is a lower bound in expectation, loose if few draws explain x.

    Args:
        model: a latent-variable model.
        x: observations (n, *shape).
        y: conditions (n, …), if the model has them.
        samples: S.
        shared: use the same codes, decoded once, for all observations;
            otherwise separate ones, with independent errors.
        rng: a seed or generator.
        listeners: receive `Progress`, counted in observations.
        data: description of the data for the record.
    """
    require_positive(samples=samples)
    with evaluation_mode(model):
        joint = Joint.of(model, x, y, "naive")
        stream, mean = generator(rng, joint.u.device), LogMean(len(joint.u))
        report = Reporter(listeners, len(joint.u), type(model).__name__)
        (_add_shared_codes if shared else _add_separate_codes)(joint, samples, stream, mean, report)
    return estimate(
        "naive",
        joint.model,
        joint.u,
        mean,
        data,
        samples=samples,
        shared=shared,
        seconds=report.finish(),
    )


@torch.no_grad()
def iwae(
    model: object,
    x: Observations,
    y: Conditioning = None,
    *,
    k: int = 100,
    rng: Rng = 0,
    listeners: Sequence[Listener] = (),
    data: str = "",
) -> Estimate:
    """Mean importance-weighted bound L_k of x.

    It has k posterior draws per row, in bounded memory.
    """
    require_positive(k=k)
    if not (isinstance(model, LatentModel) and callable(getattr(model, "posterior", None))):
        raise InvalidKind(
            f"{type(model).__name__} has no posterior and likelihood; iwae needs a latent-variable"
            " model"
        )
    with evaluation_mode(model):
        joint = Joint.of(model, x, y, "iwae")
        stream, mean = generator(rng, joint.u.device), LogMean(len(joint.u))
        report = Reporter(listeners, len(joint.u), type(model).__name__)
        for rows, sizes in plan_blocks(len(joint.u), k, rows_per_block(joint.u)):
            part = joint.part(rows)
            q = part.posterior()
            for m in sizes:
                mean.add(rows, _log_weights(part, q, m, stream).reshape(m, -1))
            report.progress(rows.stop)
    return estimate("iwae", joint.model, joint.u, mean, data, k=k, seconds=report.finish())


def best_known(
    model: object,
    x: Observations,
    y: Conditioning = None,
    *,
    k: int = 100,
    rng: Rng = 0,
    data: str = "",
) -> Record:
    """The exact log-density if the model has one, else the importance-weighted bound."""
    return (
        log_prob(model, x, y, data=data)
        if isinstance(model, HasDensity)
        else iwae(model, x, y, k=k, rng=rng, data=data)
    )


def density_unit(model: object) -> str:
    """The measure with respect to which the model's likelihood is a density or mass."""
    kind = getattr(model, "likelihood_kind", None)
    return "density per unit" if kind is None else str(kind.measure)


def estimate(
    quantity: str, model: LatentVariables, u: Tensor, mean: LogMean, data: str, **details: Any
) -> Estimate:
    """The record of an average of weights: a lower bound in expectation, in the user's units."""
    details = {
        **details,
        "holds": "in expectation",
        "effective draws": float(mean.effective_draws.median()),
    }
    return Estimate.of(  # type: ignore[return-value]
        quantity,
        mean.values + model.log_jacobian(u),
        unit="nats",
        measure=density_unit(model),
        bound="lower bound",
        data=data,
        details=details,
        errors=mean.errors,
    )


def _log_weights(joint: Joint, q: HasMean, m: int, rng: torch.Generator) -> Tensor:
    """log p(x, z)/q(z|x) of m draws per observation (m n,), ordered by draw."""
    z = repeat(q, m).rsample(rng=rng)
    log_q = (q if len(joint.u) == 1 else repeat(q, m)).log_prob(z)
    log_weights: Tensor = joint.times(m).log_likelihood(z) + joint.log_prior(z) - log_q
    return log_weights


def _add_separate_codes(
    joint: Joint, samples: int, rng: torch.Generator, mean: LogMean, report: Reporter
) -> None:
    """Add weights of separate codes for every observation."""
    for rows, sizes in plan_blocks(len(joint.u), samples, rows_per_block(joint.u)):
        part = joint.part(rows)
        for m in sizes:
            z = part.codes(m * len(part.u), rng)
            mean.add(rows, part.times(m).log_likelihood(z).reshape(m, -1))
        report.progress(rows.stop)


def _add_shared_codes(
    joint: Joint, samples: int, rng: torch.Generator, mean: LogMean, report: Reporter
) -> None:
    """Add weights of codes shared by all observations; without conditions, decode them once."""
    n, count = len(joint.u), 0
    _, sizes = next(plan_blocks(1, samples, rows_per_block(joint.u)))
    for m in sizes:
        z = joint.codes(m, rng)
        distribution = joint.distribution(z) if joint.condition is None else None
        for i in range(n):
            part = joint.part(slice(i, i + 1)).times(m)
            log_weight = (
                part.log_likelihood(z) if distribution is None else distribution.log_prob(part.u)
            )
            mean.add(slice(i, i + 1), log_weight.reshape(m, 1))
        count += m
        report.progress(n * count / samples)
