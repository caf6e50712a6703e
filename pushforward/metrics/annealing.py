r"""Annealed importance sampling: log p(x) of a latent-variable model where a plain average over the prior is hopeless.

Codes are moved from the prior to the posterior through p_t(z) ∝ p(z) p(x|z)^β_t, 0 = β_0 < … < β_T = 1. With z_0 ~ p(z)
and z_t one Hamiltonian move from z_{t-1} that leaves p_t as it is,

    log w = Σ_{t=1..T} (β_t - β_{t-1}) log p(x|z_{t-1}),      E w = p(x)                          (Neal 2001,
    https://arxiv.org/abs/physics/9803008, Eq. 7)

so the log of a mean of weights bounds log p(x) from below, in expectation; with T = 1 it is the naive average. Run the
other way, from one exact draw of the posterior, the same sum has E 1/w = 1/p(x) and bounds log p(x) from above. An exact
sample is available for data simulated from the model: only there is the answer bracketed by two numbers (Grosse,
Ghahramani & Adams 2015; Wu, Burda, Salakhutdinov & Grosse 2017, https://arxiv.org/abs/1611.04273).

A move is L leapfrog steps of size ε, accepted with probability min(1, exp(-ΔH)) (Neal 2011,
https://arxiv.org/abs/1206.1901). What ε suits changes with β,
and a chain must not choose it by its own past: chains that happen to be stuck would then be freed sooner, and the mean
weight comes out above p(x), by 6 % to 17 % where this was tried in three dimensions. So a few pilot chains run beside the
others, with ε following their acceptance toward `ACCEPTANCE`; the others use the ε of a pilot, with some jitter against
returning orbits, and the pilots' weights are thrown away. E w = p(x) then holds exactly.

All chains of many observations move together, in blocks of bounded memory; the gradients of log p(z) and log p(x|z) are
kept apart, so that a move costs L evaluations and no more when β changes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import require_positive
from pushforward.core.events import Listener, Warned
from pushforward.core.random import Rng, generator, normal, uniform
from pushforward.core.records import Record
from pushforward.densities.normals import Normal
from pushforward.metrics.estimates import (
    Bracket,
    Estimate,
    Joint,
    LogMean,
    Reporter,
    at_rest,
    block_rows,
    condition_of,
    groups,
    require_latent,
)
from pushforward.metrics.likelihood import estimate, measure_of

__all__ = ["ais", "bdmc", "rate_distortion", "schedule", "RatePoint", "WideBracket"]

ACCEPTANCE = 0.65
GAIN = 0.2
"""How much a pilot's log ε changes for an acceptance that is off by one."""
PILOTS = 4
"""One pilot for this many chains."""
JITTER = 0.2
STEEPNESS = 4.0

Watch = Callable[[int, Tensor, Tensor], None]


class WideBracket(UserWarning):
    """The two sides of a bracket are far apart: more temperatures are needed before either is believed."""


@dataclass(frozen=True)
class RatePoint:
    """One point of a rate-distortion curve.

    Arguments:
        beta: the temperature at which it was read off.
        rate: nats a code carries, KL of p_β(z|x) from the prior: an upper bound in expectation.
        distortion: -log p(x|z) of such codes, nats in the user's units.
    """

    beta: float
    rate: Record
    distortion: Record


@dataclass(frozen=True)
class Point:
    """Codes (b, latent) with both terms of the log-joint (b,) and their gradients (b, latent)."""

    z: Tensor
    likelihood: Tensor
    prior: Tensor
    likelihood_slope: Tensor
    prior_slope: Tensor

    @classmethod
    def at(cls, joint: Joint, z: Tensor) -> Point:
        """One pass forward and one backward."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            likelihood = joint.log_likelihood(z)
            (likelihood_slope,) = torch.autograd.grad(likelihood.sum(), z)
        z = z.detach()
        prior, prior_slope = _prior(joint, z)
        return cls(z, likelihood.detach(), prior, likelihood_slope, prior_slope)

    def log_joint(self, beta: float) -> Tensor:
        """log p(z) + β log p(x|z)."""
        return self.prior + beta * self.likelihood

    def slope(self, beta: float) -> Tensor:
        """Its gradient in z."""
        return self.prior_slope + beta * self.likelihood_slope

    def where(self, chosen: Tensor, other: Point) -> Point:
        """This point in the chosen rows, the other in the rest."""
        pairs = zip(vars(self).values(), vars(other).values())
        return Point(*(torch.where(chosen.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))


def _prior(joint: Joint, z: Tensor) -> tuple[Tensor, Tensor]:
    """log p(z) (b,) and its gradient (b, latent), at once for a normal distribution, whose graph would cost more than its numbers."""
    if isinstance(joint.prior, Normal):
        whitened = (z - joint.prior.mean) * torch.exp(-joint.prior.log_scale)
        volume = joint.prior.log_scale.expand_as(joint.prior.mean).sum(1) + 0.5 * z.shape[1] * math.log(2 * math.pi)
        return -0.5 * whitened.square().sum(1) - volume, -whitened * torch.exp(-joint.prior.log_scale)
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        prior = joint.log_prior(z)
        (slope,) = torch.autograd.grad(prior.sum(), z)
    return prior.detach(), slope


@dataclass
class Sweep:
    """What chains through all temperatures gave, for n observations.

    Arguments:
        mean: of the weights (of their inverses, on the way back).
        acceptance: mean probability of acceptance.
        steps: log ε of the pilots of each observation at the end, their mean (n,).
    """

    mean: LogMean
    acceptance: float
    steps: Tensor


def schedule(temperatures: int) -> list[float]:
    """β_0 = 0, …, β_T = 1, T = temperatures, along a sigmoid: slow at both ends (Wu et al. 2017, App. B)."""
    require_positive(temperatures=temperatures)
    ends = math.tanh(STEEPNESS / 2)
    inner = [math.tanh(STEEPNESS * (t / temperatures - 0.5)) for t in range(temperatures + 1)]
    return [0.0, *(0.5 * (1 + value / ends) for value in inner[1:-1]), 1.0]


@torch.no_grad()
def ais(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    temperatures: int = 1000,
    chains: int = 16,
    leapfrogs: int = 10,
    rng: Rng = 0,
    listeners: Sequence[Listener] = (),
    data: str = "",
) -> Estimate:
    """A stochastic lower bound on log p(x) of each row: the log of the mean weight of some chains.

    Needs p(z) and p(x|z) only, differentiable in z. `listeners` hear `Progress`, in observations.

    Arguments:
        temperatures: steps from the prior to the posterior.
        chains: per observation.
        leapfrogs: per move.
    """
    require_positive(temperatures=temperatures, chains=chains, leapfrogs=leapfrogs)
    with at_rest(model):
        joint = Joint.of(model, x, y, "ais")
        report = Reporter(listeners, len(joint.u), type(model).__name__)
        stream = generator(rng, joint.u.device)
        found = _sweep(joint, schedule(temperatures), chains, leapfrogs, stream, report)
    how = {"temperatures": temperatures, "chains": chains, "leapfrogs": leapfrogs, "acceptance": found.acceptance}
    return estimate("ais", model, joint.u, found.mean, data, **how, seconds=report.finish())


@torch.no_grad()
def bdmc(
    model: Any,
    n: int = 100,
    y: Any = None,
    *,
    temperatures: int = 1000,
    chains: int = 16,
    leapfrogs: int = 10,
    wide: float = 1.0,
    rng: Rng = 0,
    listeners: Sequence[Listener] = (),
) -> Bracket:
    """Bounds on log p(x) from both sides, for n observations simulated from the model itself.

    It bounds the error of `ais` with the same settings on data like the model's own; whether real data are like those
    is for the reader to judge. Warns (`WideBracket`) when the bounds are more than `wide` nats apart on average.
    """
    require_positive(n=n, temperatures=temperatures, chains=chains, leapfrogs=leapfrogs, wide=wide)
    require_latent(model, "bdmc")
    with at_rest(model):
        stream = generator(rng, model.device)
        joint, codes = _simulated(model, n, y, stream)
        report = Reporter(listeners, 2 * n, type(model).__name__)
        betas = schedule(temperatures)
        forward = _sweep(joint, betas, chains, leapfrogs, stream, report)
        backward = _sweep(joint, betas[::-1], chains, leapfrogs, stream, report, codes, forward.steps)
    how = {"temperatures": temperatures, "chains": chains, "leapfrogs": leapfrogs, "seconds": report.finish()}
    bracket = _bracket(model, joint, forward, backward, how)
    if not bracket.gap <= wide:
        _warn(bracket, report, temperatures)
    return bracket


@torch.no_grad()
def rate_distortion(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    points: int = 20,
    temperatures: int = 1000,
    chains: int = 16,
    leapfrogs: int = 10,
    rng: Rng = 0,
    listeners: Sequence[Listener] = (),
    data: str = "",
) -> list[RatePoint]:
    """The rate-distortion curve of the decoder, read off one annealed run (Huang, Makhzani, Cao & Grosse 2020,
    https://arxiv.org/abs/2008.06653).

    At β the distribution p_β(z|x) ∝ p(z) p(x|z)^β minimises rate + β distortion. Its distortion is the weighted mean of -log p(x|z)
    over the chains, its rate β E log p(x|z) - log Z_β with Z_β from the weights so far: an upper bound, in expectation.
    The last point, β = 1, has rate + distortion = -log p(x) as `ais` has it.
    """
    require_positive(points=points, temperatures=temperatures, chains=chains, leapfrogs=leapfrogs)
    with at_rest(model):
        joint = Joint.of(model, x, y, "rate_distortion")
        betas = schedule(temperatures)
        at = sorted({round(1 + i * (temperatures - 1) / max(1, points - 1)) for i in range(points)} | {temperatures})
        rates, distortions = torch.zeros(2, len(at), len(joint.u), dtype=torch.float64)
        report = Reporter(listeners, len(joint.u), type(model).__name__)

        def watch(rows: slice) -> Watch:
            def read(t: int, log_weight: Tensor, likelihood: Tensor) -> None:
                if t in at:
                    i = at.index(t)
                    mean = (torch.softmax(log_weight, 0) * likelihood).sum(0)
                    rates[i, rows] = (betas[t] * mean - log_weight.logsumexp(0) + math.log(len(log_weight))).cpu()
                    distortions[i, rows] = -mean.cpu()

            return read

        _sweep(joint, betas, chains, leapfrogs, generator(rng, joint.u.device), report, watch=watch)
    how = {"temperatures": temperatures, "chains": chains, "leapfrogs": leapfrogs, "seconds": report.finish()}
    shift = model.log_jacobian(joint.u)
    facts = {"unit": "nats", "data": data, "details": how}
    return [
        RatePoint(
            betas[t],
            Record.of("rate", rate, bound="upper bound", **facts),
            Record.of("distortion", distortion - shift, bound="estimate", **facts),
        )
        for t, rate, distortion in zip(at, rates, distortions)
    ]


# -------------------------------------------------------------------------------------------------------- the chains


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
    """Chains of all observations through all temperatures, from the prior, or from one code (n, latent) each."""
    n = len(joint.u)
    found = Sweep(LogMean(n), 0.0, torch.zeros(n))
    before = 0 if start is None else n
    for rows, sizes in groups(n, chains, max(block_rows(joint.u), chains if watch else 0)):
        part = joint.part(rows)
        for i, m in enumerate(sizes):
            crew = _crew(part, m, len(betas) > 2, rng, None if start is None else start[rows], None if steps is None else steps[rows])

            def tell(share: float, acceptance: float, rows: slice = rows, i: int = i, parts: int = len(sizes)) -> None:
                done = rows.start + (rows.stop - rows.start) * (i + share) / parts
                report.progress(before + done, acceptance=acceptance)

            log_weight, acceptance = _anneal(part, crew, betas, leapfrogs, rng, watch and watch(rows), tell)
            found.mean.add(rows, log_weight)
            found.acceptance += acceptance * log_weight.numel() / (n * chains)
            found.steps[rows] += crew.log_step.mean(0).cpu() * (m / chains)
    return found


@dataclass
class Crew:
    """Chains of some observations: first those that count, then the pilots that choose steps for them.

    Arguments:
        z: codes ((chains + pilots) n, latent), chains first.
        chains: that count, for each observation.
        log_step: of the pilots (pilots, n).
    """

    z: Tensor
    chains: int
    log_step: Tensor

    @property
    def pilots(self) -> int:
        """For each observation."""
        return len(self.log_step)

    def steps(self) -> Tensor:
        """ε of every chain ((chains + pilots) n,): chain c takes that of pilot c, the pilots being taken in turn."""
        turn = torch.arange(self.chains, device=self.z.device) % max(1, self.pilots)
        return torch.cat([self.log_step[turn], self.log_step]).exp().flatten()

    def counted(self, values: Tensor) -> Tensor:
        """Of values ((chains + pilots) n,) those of the chains that count (chains, n)."""
        return values.reshape(self.chains + self.pilots, -1)[: self.chains]

    def learn(self, chance: Tensor) -> None:
        """Longer steps for pilots that were accepted too often, shorter ones for the others."""
        own = chance.reshape(self.chains + self.pilots, -1)[self.chains :]
        self.log_step = self.log_step + GAIN * (own - ACCEPTANCE)


def _crew(joint: Joint, chains: int, moving: bool, rng: torch.Generator, start: Tensor | None, steps: Tensor | None) -> Crew:
    """Chains from the prior, or from one code (n, latent) each; without pilots where nothing moves."""
    n, pilots = len(joint.u), max(2, chains // PILOTS) if moving else 0
    if start is None:
        z = joint.codes(chains * n, rng)
        z = torch.cat([z, joint.codes(pilots * n, rng)]) if pilots else z
    else:
        z = start.repeat(chains + pilots, 1)
    first = z.new_full((n,), -0.25 * math.log(z.shape[1]) - 0.5) if steps is None else steps.to(z)
    return Crew(z, chains, first.repeat(pilots, 1))


def _anneal(
    joint: Joint,
    crew: Crew,
    betas: Sequence[float],
    leapfrogs: int,
    rng: torch.Generator,
    watch: Watch | None,
    tell: Callable[[float, float], None],
) -> tuple[Tensor, float]:
    """Log-weights (chains, n) of the chains that count, and their mean acceptance."""
    joint, moves = joint.times(crew.chains + crew.pilots), len(betas) - 2
    point = Point.at(joint, crew.z)
    log_weight = torch.zeros_like(crew.counted(point.likelihood), dtype=_wide(point.z))
    accepted = point.likelihood.new_zeros(())
    for t, (now, then) in enumerate(pairwise(betas), 1):
        likelihood = crew.counted(point.likelihood).to(log_weight)
        log_weight = log_weight + (then - now) * likelihood
        if watch is not None:
            watch(t, log_weight, likelihood)
        if t > moves:
            break
        point, chance = _move(joint, point, then, crew.steps(), leapfrogs, rng)
        crew.learn(chance)
        accepted = accepted + crew.counted(chance).mean()
        if t % 10 == 0:
            tell(t / moves, float(accepted) / t)
    return log_weight, float(accepted) / max(1, moves)


def _wide(z: Tensor) -> torch.dtype:
    """What sums over temperatures are kept in: Apple's devices know no float64."""
    return torch.float32 if z.device.type == "mps" else torch.float64


def _move(joint: Joint, point: Point, beta: float, step: Tensor, leapfrogs: int, rng: torch.Generator) -> tuple[Point, Tensor]:
    """One Hamiltonian move that leaves p(z) p(x|z)^β as it is, and its probability of acceptance (b,)."""
    step = (step * (1 + JITTER * (2 * uniform(len(step), rng=rng, like=step) - 1)))[:, None]
    momentum = normal(*point.z.shape, rng=rng, like=point.z)
    before = point.log_joint(beta) - 0.5 * momentum.square().sum(1)
    new, momentum = point, momentum + 0.5 * step * point.slope(beta)
    for i in range(leapfrogs):
        new = Point.at(joint, new.z + step * momentum)
        momentum = momentum + (0.5 if i == leapfrogs - 1 else 1.0) * step * new.slope(beta)
    after = new.log_joint(beta) - 0.5 * momentum.square().sum(1)
    chance = (after - before).clamp_max(0).exp().nan_to_num(nan=0.0)  # a step into the void is refused
    return new.where(uniform(len(chance), rng=rng, like=chance) < chance, point), chance


# -------------------------------------------------------------------------------------------------------- the bracket


def _simulated(model: Any, n: int, y: Any, rng: torch.Generator) -> tuple[Joint, Tensor]:
    """n observations of the model's own, in its coordinates, and the codes they came from."""
    codes, condition = model.prior(n).rsample(rng=rng), condition_of(model, y, n)
    distribution = model.likelihood(codes) if condition is None else model.likelihood(codes, condition)
    return Joint(model, distribution.rsample(rng=rng), condition, model.prior()), codes


def _bracket(model: Any, joint: Joint, forward: Sweep, backward: Sweep, how: dict[str, Any]) -> Bracket:
    """The records of both directions."""
    facts = {"unit": "nats", "measure": measure_of(model), "data": f"simulated from the model ({len(joint.u)} rows)"}
    shift = model.log_jacobian(joint.u)
    below = {**how, "holds": "in expectation", "acceptance": forward.acceptance}
    above = {**how, "holds": "in expectation", "acceptance": backward.acceptance}
    return Bracket(
        Record.of("bdmc", forward.mean.values + shift, bound="lower bound", details=below, **facts),
        Record.of("bdmc", shift - backward.mean.values, bound="upper bound", details=above, **facts),
    )


def _warn(bracket: Bracket, report: Reporter, temperatures: int) -> None:
    """To the caller and to the listeners."""
    symptom = f"the bounds on log p(x) are {bracket.gap:.2g} nats apart, so the lower one may be that far off"
    advice = f"use more temperatures than {temperatures}, or more leapfrogs"
    report.emit(Warned(report.n, report.seconds, symptom=symptom, advice=advice))
    warnings.warn(f"{symptom}; {advice}", WideBracket, stacklevel=3)
