r"""Annealed importance sampling of log p(x) under a latent-variable model.

It works where a plain average over the prior fails. Codes are moved from the prior to the posterior
through p_t(z) ∝ p(z) p(x|z)^β_t, 0 = β_0 < … < β_T = 1. With z_0 ~ p(z) and z_t one Hamiltonian
move from z_{t-1} that leaves p_t invariant,

    log w = Σ_{t=1..T} (β_t - β_{t-1}) log p(x|z_{t-1}),      E w = p(x)        (Neal 2001, Eq. 7)

so the log of a mean of weights bounds log p(x) from below, in expectation; with T = 1 it is the
naive average over the prior. Run in reverse, from one exact sample of the posterior, the same sum
has E 1/w = 1/p(x) and bounds log p(x) from above. An exact sample is available only for data
simulated from the model, so only there is log p(x) bounded on both sides (Grosse et al. 2015).

All chains of many observations move together, in blocks of bounded memory (`hamiltonian`).

References:
    Neal (2001), Annealed importance sampling. https://doi.org/10.1023/A:1008923215028 Grosse,
    Ghahramani & Adams (2015), Sandwiching the marginal likelihood using bidirectional Monte Carlo.
    https://arxiv.org/abs/1511.02543 Wu, Burda, Salakhutdinov & Grosse (2017), On the quantitative
    analysis of decoder-based generative models. https://arxiv.org/abs/1611.04273 Huang, Makhzani,
    Cao & Grosse (2020), Evaluating lossy compression rates of deep generative models.
    https://arxiv.org/abs/2008.06653
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import require_positive
from pushforward.core.events import Listener, Warned
from pushforward.core.random import Rng, generator
from pushforward.core.records import Record
from pushforward.metrics.estimates import (
    Bracket,
    Estimate,
    Joint,
    LatentVariables,
    LogMean,
    Reporter,
    encode_condition,
    evaluation_mode,
    plan_blocks,
    require_latent,
    rows_per_block,
)
from pushforward.metrics.hamiltonian import Watch, anneal, start_chains
from pushforward.metrics.likelihood import density_unit, estimate

__all__ = ["ais", "bdmc", "rate_distortion", "temperature_schedule", "RatePoint", "WideBracket"]

STEEPNESS = 4.0
"""Slope of the sigmoid, as in Wu et al. (2017)."""


class WideBracket(UserWarning):
    """The two sides of a bracket are far apart; use more temperatures."""


@dataclass(frozen=True)
class RatePoint:
    """One point of a rate-distortion curve.

    Args:
        beta: the inverse temperature.
        rate: KL of p_β(z|x) from the prior, nats: an upper bound in expectation.
        distortion: -log p(x|z) of such codes, nats in the user's units.
    """

    beta: float
    rate: Record
    distortion: Record


@dataclass
class Sweep:
    """Results of chains through all temperatures, for n observations.

    Args:
        mean: mean of the weights (of their inverses in reverse).
        acceptance: mean probability of acceptance.
        steps: final mean log ε of the pilots of each observation (n,).
    """

    mean: LogMean
    acceptance: float
    steps: Tensor


def temperature_schedule(temperatures: int) -> list[float]:
    """β_0 = 0, …, β_T = 1, T = temperatures, along a sigmoid (Wu et al. 2017, App. B)."""
    require_positive(temperatures=temperatures)
    ends = math.tanh(STEEPNESS / 2)
    inner = [math.tanh(STEEPNESS * (t / temperatures - 0.5)) for t in range(temperatures + 1)]
    return [0.0, *(0.5 * (1 + value / ends) for value in inner[1:-1]), 1.0]


@torch.no_grad()
def ais(
    model: object,
    x: Observations,
    y: Conditioning = None,
    *,
    temperatures: int = 1000,
    chains: int = 16,
    leapfrogs: int = 10,
    rng: Rng = 0,
    listeners: Sequence[Listener] = (),
    data: str = "",
) -> Estimate:
    """A stochastic lower bound on log p(x) of each row: the log of the mean weight of some chains.

    It needs only p(z) and p(x|z), differentiable in z.
    `listeners` receive `Progress` events, counted in observations.

    Args:
        temperatures: number of steps from the prior to the posterior.
        chains: number of chains per observation.
        leapfrogs: leapfrog steps per move.
    """
    require_positive(temperatures=temperatures, chains=chains, leapfrogs=leapfrogs)
    with evaluation_mode(model):
        joint = Joint.of(model, x, y, "ais")
        report = Reporter(listeners, len(joint.u), type(model).__name__)
        stream = generator(rng, joint.u.device)
        sweep = _sweep(joint, temperature_schedule(temperatures), chains, leapfrogs, stream, report)
    settings = {
        "temperatures": temperatures,
        "chains": chains,
        "leapfrogs": leapfrogs,
        "acceptance": sweep.acceptance,
    }
    return estimate(
        "ais", joint.model, joint.u, sweep.mean, data, **settings, seconds=report.finish()
    )


@torch.no_grad()
def bdmc(
    model: object,
    n: int = 100,
    y: Conditioning = None,
    *,
    temperatures: int = 1000,
    chains: int = 16,
    leapfrogs: int = 10,
    wide: float = 1.0,
    rng: Rng = 0,
    listeners: Sequence[Listener] = (),
) -> Bracket:
    """Bounds on log p(x) from both sides, for n observations simulated from the model itself.

    This bounds the error of `ais` with the same settings on simulated data; real data may differ
    from those. Warns (`WideBracket`) if the bounds are more than `wide` nats apart on average.
    """
    require_positive(n=n, temperatures=temperatures, chains=chains, leapfrogs=leapfrogs, wide=wide)
    latent = require_latent(model, "bdmc")
    with evaluation_mode(model):
        stream = generator(rng, latent.device)
        joint, codes = _simulate(latent, n, y, stream)
        report = Reporter(listeners, 2 * n, type(model).__name__)
        betas = temperature_schedule(temperatures)
        forward = _sweep(joint, betas, chains, leapfrogs, stream, report)
        backward = _sweep(
            joint, betas[::-1], chains, leapfrogs, stream, report, codes, forward.steps
        )
    settings = {
        "temperatures": temperatures,
        "chains": chains,
        "leapfrogs": leapfrogs,
        "seconds": report.finish(),
    }
    bracket = _bracket(latent, joint, forward, backward, settings)
    if not bracket.gap <= wide:
        _warn_of_gap(bracket, report, temperatures)
    return bracket


@torch.no_grad()
def rate_distortion(
    model: object,
    x: Observations,
    y: Conditioning = None,
    *,
    points: int = 20,
    temperatures: int = 1000,
    chains: int = 16,
    leapfrogs: int = 10,
    rng: Rng = 0,
    listeners: Sequence[Listener] = (),
    data: str = "",
) -> list[RatePoint]:
    """The rate-distortion curve of the decoder, from one annealed run (Huang et al. 2020).

    At β the distribution p_β(z|x) ∝ p(z) p(x|z)^β minimises rate + β distortion. Its distortion is
    the weighted mean of -log p(x|z) over the chains, its rate β E log p(x|z) - log Z_β with Z_β
    from the weights so far: an upper bound, in expectation. The last point, β = 1, has rate +
    distortion = -log p(x) as estimated by `ais`.
    """
    require_positive(points=points, temperatures=temperatures, chains=chains, leapfrogs=leapfrogs)
    with evaluation_mode(model):
        joint = Joint.of(model, x, y, "rate_distortion")
        betas = temperature_schedule(temperatures)
        last = max(1, points - 1)
        steps = {round(1 + i * (temperatures - 1) / last) for i in range(points)}
        at = sorted(steps | {temperatures})
        rates, distortions = torch.zeros(2, len(at), len(joint.u), dtype=torch.float64)
        report = Reporter(listeners, len(joint.u), type(model).__name__)

        def watch(rows: slice) -> Watch:
            def read(t: int, log_weight: Tensor, likelihood: Tensor) -> None:
                if t in at:
                    i = at.index(t)
                    mean = (torch.softmax(log_weight, 0) * likelihood).sum(0)
                    log_z = log_weight.logsumexp(0)
                    rates[i, rows] = (betas[t] * mean - log_z + math.log(len(log_weight))).cpu()
                    distortions[i, rows] = -mean.cpu()

            return read

        _sweep(joint, betas, chains, leapfrogs, generator(rng, joint.u.device), report, watch=watch)
    settings = {
        "temperatures": temperatures,
        "chains": chains,
        "leapfrogs": leapfrogs,
        "seconds": report.finish(),
    }
    shift = joint.model.log_jacobian(joint.u)
    facts = {"unit": "nats", "data": data, "details": settings}
    return [
        RatePoint(
            betas[t],
            Record.of("rate", rate, bound="upper bound", **facts),
            Record.of("distortion", distortion - shift, bound="estimate", **facts),
        )
        for t, rate, distortion in zip(at, rates, distortions)
    ]


# ------------------------------------------------------------------------------------ the chains


def _sweep(
    joint: Joint,
    betas: Sequence[float],
    chains: int,
    leapfrogs: int,
    rng: torch.Generator,
    report: Reporter,
    start: Tensor | None = None,
    steps: Tensor | None = None,
    watch: Callable[[slice], Watch] | None = None,
) -> Sweep:
    """Run the chains of all observations through all temperatures.

    From the prior, or from one code (n, latent) each.
    """
    n = len(joint.u)
    sweep = Sweep(LogMean(n), 0.0, torch.zeros(n))
    before = 0 if start is None else n
    for rows, sizes in plan_blocks(n, chains, max(rows_per_block(joint.u), chains if watch else 0)):
        part = joint.part(rows)
        for i, m in enumerate(sizes):
            codes = None if start is None else start[rows]
            log_steps = None if steps is None else steps[rows]
            group = start_chains(part, m, len(betas) > 2, rng, codes, log_steps)

            def tell(
                share: float,
                acceptance: float,
                rows: slice = rows,
                i: int = i,
                parts: int = len(sizes),
            ) -> None:
                completed = rows.start + (rows.stop - rows.start) * (i + share) / parts
                report.progress(before + completed, acceptance=acceptance)

            watching = watch and watch(rows)
            log_weight, acceptance = anneal(part, group, betas, leapfrogs, rng, watching, tell)
            sweep.mean.add(rows, log_weight)
            sweep.acceptance += acceptance * log_weight.numel() / (n * chains)
            sweep.steps[rows] += group.log_step.mean(0).cpu() * (m / chains)
    return sweep


# ----------------------------------------------------------------------------------- the bracket


def _simulate(
    model: LatentVariables, n: int, y: Conditioning, rng: torch.Generator
) -> tuple[Joint, Tensor]:
    """Simulate n observations, in the model's coordinates, with their codes."""
    codes, condition = model.prior(n).rsample(rng=rng), encode_condition(model, y, n)
    arguments = (codes,) if condition is None else (codes, condition)
    distribution = model.likelihood(*arguments)
    return Joint(model, distribution.rsample(rng=rng), condition, model.prior()), codes


def _bracket(
    model: LatentVariables,
    joint: Joint,
    forward: Sweep,
    backward: Sweep,
    how: dict[str, Any],
) -> Bracket:
    """Combine the records of both directions."""
    data = f"simulated from the model ({len(joint.u)} rows)"
    facts = {"unit": "nats", "measure": density_unit(model), "data": data}
    shift = model.log_jacobian(joint.u)
    below = {**how, "holds": "in expectation", "acceptance": forward.acceptance}
    above = {**how, "holds": "in expectation", "acceptance": backward.acceptance}
    return Bracket(
        Record.of("bdmc", forward.mean.values + shift, bound="lower bound", details=below, **facts),
        Record.of(
            "bdmc", shift - backward.mean.values, bound="upper bound", details=above, **facts
        ),
    )


def _warn_of_gap(bracket: Bracket, report: Reporter, temperatures: int) -> None:
    """Warn the caller and the listeners."""
    symptom = f"the bounds on log p(x) are {bracket.gap:.2g} nats apart"
    symptom = f"{symptom}, so the lower one may be that far off"
    advice = f"use more temperatures than {temperatures}, or more leapfrogs"
    report.emit(Warned(report.n, report.seconds, symptom=symptom, advice=advice))
    warnings.warn(f"{symptom}; {advice}", WideBracket, stacklevel=3)
