r"""Shared parts of the likelihood estimators: log-domain averages of weights, and blocks of draws.

Each estimator is a mean of k weights, w_j >= 0 with E w_j = p(x), reported as its logarithm. By
Jensen's inequality it is a lower bound on log p(x) in expectation, whatever the weights; only an
error bar or a bracket shows how loose:

    log p^ = log 1/k Σ w_j,      s.e. ≈ sd(w) / (mean(w) √k),      effective draws = (Σ w)² / Σ w².

Weights are processed in blocks and not stored: the sums of w and w² are running log-sum-exps in
float64. The error bar is itself estimated from the weights; with fewer than `TRUSTED` effective
draws it is meaningless, and is NaN.
"""

from __future__ import annotations

import math
import time

# Run-time checks look for Record's annotations here.
from collections.abc import Iterator, Mapping, Sequence  # noqa: F401
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, cast, runtime_checkable

import torch
from torch import Tensor, nn

from pushforward.core.capabilities import HasMean, HasPosterior, LatentModel
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind
from pushforward.core.events import Event, Finished, Listener, Progress, Started
from pushforward.core.random import Rng
from pushforward.core.records import Bound, Record  # noqa: F401 - a field of records
from pushforward.core.units import TakesConditions
from pushforward.densities.repeats import repeat

__all__ = [
    "Estimate",
    "Bracket",
    "LogMean",
    "Joint",
    "Reporter",
    "evaluation_mode",
    "plan_blocks",
    "rows_per_block",
]

BLOCK_NUMBERS = 1 << 21
"""Numbers decoded at a time on a CPU.

They fit its last-level cache and occupy its cores. Accelerators decode `DEVICE_FACTOR` times as
many.
"""
DEVICE_FACTOR = 64
"""How many times as many rows an accelerator decodes at once, to amortise kernel launches."""
FEWEST_ROWS, MOST_ROWS = 16, 4096
"""Smallest and largest block: call overhead dominates below, and larger blocks are no faster."""
TRUSTED = 4
"""Fewest effective draws for an error bar: with fewer the spread of the weights is unknown."""


@dataclass(frozen=True)
class Estimate(Record):
    """A record whose `values` have standard errors of their own.

    Args:
        errors: standard error of each observation's value (n,);
            NaN where unknown (not stored in JSON).
    """

    errors: Tensor | None = field(default=None, compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, without those per observation."""
        return {k: v for k, v in super().as_dict().items() if k != "errors"}


@dataclass(frozen=True)
class Bracket:
    """Two records of one quantity that bound it from both sides, in expectation.

    Args:
        lower, upper: records of the bounds.
    """

    lower: Record
    upper: Record

    @property
    def gap(self) -> float:
        """The mean distance between the bounds, which limits the error of either."""
        return self.upper.value - self.lower.value

    @property
    def gaps(self) -> Tensor:
        """The distance between the bounds for each observation (n,)."""
        if self.lower.values is None or self.upper.values is None:
            raise InvalidKind("these records have no values per observation; measure again")
        return self.upper.values - self.lower.values

    def __str__(self) -> str:
        return (
            f"{self.lower.value:.4f} ≤ {self.lower.quantity} ≤ {self.upper.value:.4f}"
            f" {self.lower.unit} (gap {self.gap:.2g})"
        )


class LogMean:
    """log 1/k Σ_j w_j for each of n observations, from blocks of log-weights."""

    def __init__(self, n: int) -> None:
        self.total = torch.full((n,), -math.inf, dtype=torch.float64)
        self.squares = self.total.clone()
        self.count = torch.zeros(n, dtype=torch.float64)

    def add(self, rows: slice, log_weight: Tensor) -> None:
        """Add log-weights (m, rows): m more draws for these observations."""
        block = log_weight.detach().cpu().to(torch.float64)
        self.total[rows] = torch.logaddexp(self.total[rows], block.logsumexp(0))
        self.squares[rows] = torch.logaddexp(self.squares[rows], (2 * block).logsumexp(0))
        self.count[rows] += len(block)

    @property
    def values(self) -> Tensor:
        """The log of the mean weight (n,)."""
        return self.total - self.count.log()

    @property
    def effective_draws(self) -> Tensor:
        """(Σ w)² / Σ w², the effective number of draws (n,)."""
        return torch.exp(2 * self.total - self.squares)

    @property
    def errors(self) -> Tensor:
        """Standard error of each value (n,) by the delta method.

        NaN if too few draws are effective.
        """
        relative = (self.count / self.effective_draws - 1).clamp_min(0) / (self.count - 1)
        return torch.where(self.effective_draws >= TRUSTED, relative.sqrt(), math.nan)


@runtime_checkable
class LatentVariables(LatentModel, Protocol):
    """A latent-variable model with coordinates of its own."""

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        ...

    def to_model(self, x: Observations) -> Tensor:
        """Map observations (n, *shape) to the model's coordinates."""
        ...

    def log_jacobian(self, u: Tensor) -> Tensor | float:
        """The log-Jacobian from the model's coordinates to the user's units."""
        ...


@dataclass(frozen=True)
class Joint:
    """p(x, z) = p(z) p(x|z) of some observations, in the model's coordinates.

    Codes are ordered by draw: row i of z belongs to observation i mod n.

    Args:
        model: a LatentModel.
        u: observations (n, *event).
        condition: conditions (n, …) or None.
        prior: p(z), one row.
    """

    model: LatentVariables
    u: Tensor
    condition: Tensor | None
    prior: HasMean

    @classmethod
    def of(cls, model: object, x: Observations, y: Conditioning, purpose: str) -> Self:
        """Build it from observations in the user's units.

        Raises:
            InvalidKind: If the model is not a latent-variable model.
        """
        latent = require_latent(model, purpose)
        u = latent.to_model(x)
        return cls(latent, u, encode_condition(model, y, len(u)), latent.prior())

    def part(self, rows: slice) -> Joint:
        """A subset of the observations."""
        return replace(
            self, u=self.u[rows], condition=None if self.condition is None else self.condition[rows]
        )

    def times(self, m: int) -> Joint:
        """Every observation repeated m times; a single one broadcasts instead."""
        u = self.u if len(self.u) == 1 else repeat(self.u, m)
        return replace(
            self, u=u, condition=None if self.condition is None else repeat(self.condition, m)
        )

    def codes(self, count: int, rng: Rng) -> Tensor:
        """Draw codes (count, latent) from the prior."""
        codes: Tensor = self.model.prior(count).rsample(rng=rng).detach()
        return codes

    def distribution(self, z: Tensor) -> HasMean:
        """p(x|z), one row per code."""
        return (
            self.model.likelihood(z)
            if self.condition is None
            else self.model.likelihood(z, self.condition)
        )

    def posterior(self) -> HasMean:
        """q(z|x), one row per observation."""
        model = cast(HasPosterior, self.model)
        return (
            model.posterior(self.u)
            if self.condition is None
            else model.posterior(self.u, self.condition)
        )

    def log_likelihood(self, z: Tensor) -> Tensor:
        """log p(x|z) of aligned rows (b,)."""
        log_likelihood: Tensor = self.distribution(z).log_prob(self.u)
        return log_likelihood

    def log_prior(self, z: Tensor) -> Tensor:
        """log p(z) (b,)."""
        log_prior: Tensor = self.prior.log_prob(z)
        return log_prior


class Reporter:
    """Reports the progress of an estimate to listeners, at most twice a second."""

    def __init__(self, listeners: Sequence[Listener], n: int, name: str) -> None:
        self.listeners, self.n = listeners, n
        self.began = self.told = time.monotonic()
        self.emit(Started(0, 0.0, budget=n, model=name))

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def emit(self, event: Event) -> None:
        """Send an event to all listeners."""
        for listener in self.listeners:
            listener(event)

    def progress(self, completed: float, **terms: float) -> None:
        """Report that `completed` of the n observations are finished."""
        if not self.listeners or time.monotonic() - self.told < 0.5 or completed <= 0:
            return
        self.told = time.monotonic()
        rate = completed / self.seconds
        self.emit(
            Progress(
                int(completed),
                self.seconds,
                rate=rate,
                remaining=(self.n - completed) / rate,
                terms=terms,
            )
        )

    def finish(self) -> float:
        """Report the end; return the total seconds."""
        self.emit(Finished(self.n, self.seconds))
        return self.seconds


def require_latent(model: object, purpose: str) -> LatentVariables:
    """Return the model if it has p(z) and p(x|z).

    Raises:
        InvalidKind: If it lacks either.
    """
    if not isinstance(model, LatentModel):
        raise InvalidKind(
            f"{type(model).__name__} has no prior and likelihood; {purpose} needs a latent-variable"
            " model (a generator becomes one with an observation noise: Observed(model, sigma))"
        )
    return cast(LatentVariables, model)


def encode_condition(model: object, y: Conditioning, n: int) -> Tensor | None:
    """Conditions of n rows in the model's coordinates; None for an unconditional model."""
    if not hasattr(model, "to_condition") and y is None:
        return None
    return cast(TakesConditions, model).to_condition(y, n)


@contextmanager
def evaluation_mode(model: object) -> Iterator[None]:
    """Put the model in evaluation mode with frozen parameters; restore both on exit."""
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    learning, training = [p.requires_grad for p in parameters], [m.training for m in modules]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        for module in modules:
            module.training = False
        yield
    finally:
        for parameter, was in zip(parameters, learning):
            parameter.requires_grad_(was)
        for module, mode in zip(modules, training):
            module.training = mode


def rows_per_block(u: Tensor) -> int:
    """The number of codes to decode at a time for observations of this size."""
    factor = 1 if u.device.type == "cpu" else DEVICE_FACTOR
    return min(MOST_ROWS * factor, max(FEWEST_ROWS, BLOCK_NUMBERS * factor // max(1, u[0].numel())))


def plan_blocks(n: int, draws: int, rows: int) -> Iterator[tuple[slice, list[int]]]:
    """Yield blocks of observations and the sizes of their blocks of draws.

    A block has about `rows` codes.
    """
    parts = math.ceil(draws / rows)
    sizes = [draws // parts + (i < draws % parts) for i in range(parts)]
    together = max(1, rows // sizes[0])
    for start in range(0, n, together):
        yield slice(start, min(start + together, n)), sizes
