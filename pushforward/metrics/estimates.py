r"""What the likelihood estimators share:
averages of weights too large or small to be written down, and blocks of draws.

Each estimator is a mean of k weights, w_j >= 0 with E w_j = p(x), reported as its logarithm.
Jensen's inequality makes it a lower bound of log p(x) in expectation, whatever the weights; only an
error bar or a bracket shows how far below:

    log p^ = log 1/k Σ w_j,      s.e. ≈ sd(w) / (mean(w) √k),      effective draws = (Σ w)² / Σ w².

Weights come in blocks and are forgotten: the sums of w and w² are kept as running log-sum-exps in
float64. The error bar is itself estimated from the weights; with fewer than `TRUSTED` effective
draws it means nothing, and is NaN.
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
"""Numbers decoded at a time on a CPU: what stays in its last cache, and enough to keep its cores
from waiting for each other. Accelerators take `DEVICE_FACTOR` times as many.
"""
DEVICE_FACTOR = 64
"""Times as many rows at once on an accelerator, whose kernels cost as much to start for few as for
many.
"""
FEWEST_ROWS, MOST_ROWS = 16, 4096
"""Below the first, calls cost more than arithmetic; above the second, a larger block is no faster.
"""
TRUSTED = 4
"""Effective draws: of fewer the spread of the weights cannot be told, so there is no error bar."""


@dataclass(frozen=True)
class Estimate(Record):
    """A record whose `values` are themselves estimated.

    Args:
        errors: standard error of each observation's value (n,);
            NaN where it cannot be told (not stored in JSON).
    """

    errors: Tensor | None = field(default=None, compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, without what is kept per observation."""
        return {k: v for k, v in super().as_dict().items() if k != "errors"}


@dataclass(frozen=True)
class Bracket:
    """Two records of the same quantity with the truth between them, in expectation.

    Args:
        lower, upper: the bounds.
    """

    lower: Record
    upper: Record

    @property
    def gap(self) -> float:
        """How far the bounds are apart, on average: neither is off by more."""
        return self.upper.value - self.lower.value

    @property
    def gaps(self) -> Tensor:
        """The distance for each observation (n,)."""
        if self.lower.values is None or self.upper.values is None:
            raise InvalidKind("these records have no values per observation; measure them anew")
        return self.upper.values - self.lower.values

    def __str__(self) -> str:
        return (
            f"{self.lower.value:.4f} ≤ {self.lower.quantity} ≤ {self.upper.value:.4f}"
            f" {self.lower.unit} (gap {self.gap:.2g})"
        )


class LogMean:
    """log 1/k Σ_j w_j for each of n observations, from log-weights that come in blocks."""

    def __init__(self, n: int) -> None:
        self.total = torch.full((n,), -math.inf, dtype=torch.float64)
        self.squares = self.total.clone()
        self.count = torch.zeros(n, dtype=torch.float64)

    def add(self, rows: slice, log_weight: Tensor) -> None:
        """Log-weights (m, rows): m more draws of these observations."""
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
        """(Σ w)² / Σ w²: how many of the draws carry the sum (n,)."""
        return torch.exp(2 * self.total - self.squares)

    @property
    def errors(self) -> Tensor:
        """Standard error of each value (n,) by the delta method;
        NaN where too few draws carry the sum.
        """
        relative = (self.count / self.effective_draws - 1).clamp_min(0) / (self.count - 1)
        return torch.where(self.effective_draws >= TRUSTED, relative.sqrt(), math.nan)


@runtime_checkable
class LatentVariables(LatentModel, Protocol):
    """A latent-variable model, and its coordinates."""

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        ...

    def to_model(self, x: Observations) -> Tensor:
        """Observations (n, *shape) in the model's coordinates."""
        ...

    def log_jacobian(self, u: Tensor) -> Tensor | float:
        """What turns a likelihood in model coordinates into the user's units."""
        ...


@dataclass(frozen=True)
class Joint:
    """p(x, z) = p(z) p(x|z) of given observations, in the model's coordinates.

    Codes come draws first: row i of z belongs to observation i mod n.

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
        """Of observations in the user's units.

        Raises:
            InvalidKind: For a model that is no latent-variable model.
        """
        latent = require_latent(model, purpose)
        u = latent.to_model(x)
        return cls(latent, u, encode_condition(model, y, len(u)), latent.prior())

    def part(self, rows: slice) -> Joint:
        """Some of the observations."""
        return replace(
            self, u=self.u[rows], condition=None if self.condition is None else self.condition[rows]
        )

    def times(self, m: int) -> Joint:
        """Every observation m times over; one alone is left to broadcast,
        so that it is not written out m times.
        """
        u = self.u if len(self.u) == 1 else repeat(self.u, m)
        return replace(
            self, u=u, condition=None if self.condition is None else repeat(self.condition, m)
        )

    def codes(self, count: int, rng: Rng) -> Tensor:
        """Draws of the prior (count, latent)."""
        codes: Tensor = self.model.prior(count).rsample(rng=rng).detach()
        return codes

    def distribution(self, z: Tensor) -> HasMean:
        """p(x|z), a row for each code."""
        return (
            self.model.likelihood(z)
            if self.condition is None
            else self.model.likelihood(z, self.condition)
        )

    def posterior(self) -> HasMean:
        """q(z|x), a row for each observation."""
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
    """Tells listeners how far an estimate has come, at most twice a second."""

    def __init__(self, listeners: Sequence[Listener], n: int, name: str) -> None:
        self.listeners, self.n = listeners, n
        self.began = self.told = time.monotonic()
        self.emit(Started(0, 0.0, budget=n, model=name))

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.began

    def emit(self, event: Event) -> None:
        """To everyone."""
        for listener in self.listeners:
            listener(event)

    def progress(self, completed: float, **terms: float) -> None:
        """`completed` of the n observations are behind us."""
        if not self.listeners or time.monotonic() - self.told < 0.5 or completed <= 0:
            return
        self.told = time.monotonic()
        rate = completed / self.seconds
        self.emit(
            Progress(
                int(completed),
                self.seconds,
                rate=rate,
                left=(self.n - completed) / rate,
                terms=terms,
            )
        )

    def finish(self) -> float:
        """Seconds in all."""
        self.emit(Finished(self.n, self.seconds))
        return self.seconds


def require_latent(model: object, purpose: str) -> LatentVariables:
    """The model.

    Raises:
        InvalidKind: Unless it has p(z) and p(x|z).
    """
    if not isinstance(model, LatentModel):
        raise InvalidKind(
            f"{type(model).__name__} has no prior and likelihood; {purpose} needs a latent-variable"
            " model (a generator becomes one with an observation noise: Observed(model, sigma))"
        )
    return cast(LatentVariables, model)


def encode_condition(model: object, y: Conditioning, n: int) -> Tensor | None:
    """Conditions for n rows in the model's coordinates; None for a model that knows none."""
    if not hasattr(model, "to_condition") and y is None:
        return None
    return cast(TakesConditions, model).to_condition(y, n)


@contextmanager
def evaluation_mode(model: object) -> Iterator[None]:
    """The model as it is used: no dropout, and parameters that gradients in z pass by;
    all is put back afterwards.
    """
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
    """How many codes to decode at a time for observations like these."""
    factor = 1 if u.device.type == "cpu" else DEVICE_FACTOR
    return min(MOST_ROWS * factor, max(FEWEST_ROWS, BLOCK_NUMBERS * factor // max(1, u[0].numel())))


def plan_blocks(n: int, draws: int, rows: int) -> Iterator[tuple[slice, list[int]]]:
    """Observations to take together, and the parts in which their draws come,
    no more than about `rows` codes at once.
    """
    parts = math.ceil(draws / rows)
    sizes = [draws // parts + (i < draws % parts) for i in range(parts)]
    together = max(1, rows // sizes[0])
    for start in range(0, n, together):
        yield slice(start, min(start + together, n)), sizes
