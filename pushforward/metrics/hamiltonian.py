r"""Hamiltonian chains through the temperatures of annealed importance sampling.

A move is L leapfrog steps of size ε, accepted with probability min(1, exp(-ΔH)). The best ε changes
with β, but a chain must not adapt it to its own history: stuck chains would be freed sooner, and
the mean weight would exceed p(x), by 6 % to 17 % in a test in three dimensions. So a few pilot
chains run in parallel and adapt ε towards the acceptance rate `ACCEPTANCE`; the other chains use a
pilot's ε, with jitter against periodic orbits, and the pilots' weights are discarded. E w = p(x)
then holds exactly.

The gradients of log p(z) and log p(x|z) are stored separately,
so that a move costs L evaluations even when β changes.

Reference:
    Neal (2011), MCMC using Hamiltonian dynamics. https://arxiv.org/abs/1206.1901
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.core.random import normal, uniform
from pushforward.densities.normals import Normal
from pushforward.metrics.estimates import Joint

__all__ = ["Chains", "Point", "Watch", "anneal", "start_chains"]

ACCEPTANCE = 0.65
"""Target acceptance rate, at which moves go farthest for their cost (Neal 2011, §4.4)."""
GAIN = 0.2
"""Change of a pilot's log ε per unit of deviation in acceptance."""
PILOTS = 4
"""Chains per pilot."""
FEWEST_PILOTS = 2
"""Fewest pilots, so that the acceptance is not that of one chain."""
JITTER = 0.2
"""Half the relative range of ε, enough to break periodic orbits."""
TOLD = 10
"""Moves between progress reports."""

Watch = Callable[[int, Tensor, Tensor], None]
"""Called with a step t, log-weights (chains, n) and log p(x|z) (chains, n)."""


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
        """Evaluate at z with one forward and one backward pass."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            likelihood = joint.log_likelihood(z)
            (likelihood_slope,) = torch.autograd.grad(likelihood.sum(), z)
        z = z.detach()
        prior, prior_slope = _log_prior(joint, z)
        return cls(z, likelihood.detach(), prior, likelihood_slope, prior_slope)

    def log_joint(self, beta: float) -> Tensor:
        """log p(z) + β log p(x|z)."""
        return self.prior + beta * self.likelihood

    def slope(self, beta: float) -> Tensor:
        """The gradient of `log_joint` in z."""
        return self.prior_slope + beta * self.likelihood_slope

    def where(self, mask: Tensor, other: Point) -> Point:
        """This point in the rows of the mask, the other point elsewhere."""
        pairs = zip(vars(self).values(), vars(other).values())
        masks = {1: mask, 2: mask[:, None]}
        return Point(*(torch.where(masks[a.ndim], a, b) for a, b in pairs))


def _log_prior(joint: Joint, z: Tensor) -> tuple[Tensor, Tensor]:
    """log p(z) (b,) and its gradient (b, latent).

    In closed form for a normal prior, which is cheaper than autograd.
    """
    if isinstance(joint.prior, Normal):
        whitened = (z - joint.prior.mean) * torch.exp(-joint.prior.log_scale)
        volume = joint.prior.log_scale.expand_as(joint.prior.mean).sum(1)
        volume = volume + 0.5 * z.shape[1] * math.log(2 * math.pi)
        slope = -whitened * torch.exp(-joint.prior.log_scale)
        return -0.5 * whitened.square().sum(1) - volume, slope
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        prior = joint.log_prior(z)
        (slope,) = torch.autograd.grad(prior.sum(), z)
    return prior.detach(), slope


@dataclass
class Chains:
    """Chains of some observations: first the chains of the estimate, then the pilots.

    Args:
        z: codes ((chains + pilots) n, latent), chains first.
        chains: number of chains per observation, without pilots.
        log_step: log ε of the pilots (pilots, n).
    """

    z: Tensor
    chains: int
    log_step: Tensor

    @property
    def pilots(self) -> int:
        """Number of pilots per observation."""
        return len(self.log_step)

    def steps(self) -> Tensor:
        """ε of every chain ((chains + pilots) n,); chains use those of the pilots in turn."""
        turn = torch.arange(self.chains, device=self.z.device) % max(1, self.pilots)
        return torch.cat([self.log_step[turn], self.log_step]).exp().flatten()

    def without_pilots(self, values: Tensor) -> Tensor:
        """The values ((chains + pilots) n,) of the chains without the pilots (chains, n)."""
        return values.reshape(self.chains + self.pilots, -1)[: self.chains]

    def adapt(self, chance: Tensor) -> None:
        """Lengthen the steps of pilots accepted too often, and shorten the others."""
        mine = chance.reshape(self.chains + self.pilots, -1)[self.chains :]
        self.log_step = self.log_step + GAIN * (mine - ACCEPTANCE)


def start_chains(
    joint: Joint,
    chains: int,
    moving: bool,
    rng: torch.Generator,
    start: Tensor | None,
    steps: Tensor | None,
) -> Chains:
    """Start chains from the prior, or from one code (n, latent) each.

    No pilots if nothing moves.
    """
    n, pilots = len(joint.u), max(FEWEST_PILOTS, chains // PILOTS) if moving else 0
    if start is None:
        z = joint.codes(chains * n, rng)
        z = torch.cat([z, joint.codes(pilots * n, rng)]) if pilots else z
    else:
        z = start.repeat(chains + pilots, 1)
    first = z.new_full((n,), -0.25 * math.log(z.shape[1]) - 0.5) if steps is None else steps.to(z)
    return Chains(z, chains, first.repeat(pilots, 1))


def anneal(
    joint: Joint,
    group: Chains,
    betas: Sequence[float],
    leapfrogs: int,
    rng: torch.Generator,
    watch: Watch | None,
    tell: Callable[[float, float], None],
) -> tuple[Tensor, float]:
    """Log-weights (chains, n) of the chains without pilots, and their mean acceptance."""
    joint, moves = joint.times(group.chains + group.pilots), len(betas) - 2
    point = Point.at(joint, group.z)
    log_weight = torch.zeros_like(
        group.without_pilots(point.likelihood), dtype=_summing_dtype(point.z)
    )
    accepted = point.likelihood.new_zeros(())
    for t, (now, then) in enumerate(pairwise(betas), 1):
        likelihood = group.without_pilots(point.likelihood).to(log_weight)
        log_weight = log_weight + (then - now) * likelihood
        if watch is not None:
            watch(t, log_weight, likelihood)
        if t > moves:
            break
        point, chance = _move(joint, point, then, group.steps(), leapfrogs, rng)
        group.adapt(chance)
        accepted = accepted + group.without_pilots(chance).mean()
        if t % TOLD == 0:
            tell(t / moves, float(accepted) / t)
    return log_weight, float(accepted) / max(1, moves)


def _summing_dtype(z: Tensor) -> torch.dtype:
    """The dtype of sums over temperatures (Apple's GPUs have no float64)."""
    return torch.float32 if z.device.type == "mps" else torch.float64


def _move(
    joint: Joint,
    point: Point,
    beta: float,
    step: Tensor,
    leapfrogs: int,
    rng: torch.Generator,
) -> tuple[Point, Tensor]:
    """One Hamiltonian move that leaves p(z) p(x|z)^β invariant, and its acceptance (b,)."""
    step = (step * (1 + JITTER * (2 * uniform(len(step), rng=rng, like=step) - 1)))[:, None]
    momentum = normal(*point.z.shape, rng=rng, like=point.z)
    before = point.log_joint(beta) - 0.5 * momentum.square().sum(1)
    new, momentum = point, momentum + 0.5 * step * point.slope(beta)
    for i in range(leapfrogs):
        new = Point.at(joint, new.z + step * momentum)
        momentum = momentum + (0.5 if i == leapfrogs - 1 else 1.0) * step * new.slope(beta)
    after = new.log_joint(beta) - 0.5 * momentum.square().sum(1)
    # A step to zero density is rejected.
    chance = (after - before).clamp_max(0).exp().nan_to_num(nan=0.0)
    return new.where(uniform(len(chance), rng=rng, like=chance) < chance, point), chance
