"""Learning-rate schedules: factors of the rate as functions of the budget fraction t."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.registry import Value

__all__ = [
    "Schedule",
    "Constant",
    "Cosine",
    "Linear",
    "Exponential",
    "Staircase",
    "constant",
    "cosine",
    "linear",
    "exponential",
    "staircase",
]


@dataclass(frozen=True)
class Schedule(Value, family="schedule"):
    """factor(t) for t in [0, 1], after a linear rise over the first `warmup` of the budget."""

    warmup: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1:
            raise InvalidValue(f"warmup is a share of the budget in 0..1, got {self.warmup}")

    def factor(self, t: float) -> float:
        """The factor at fraction t of the budget."""
        if t < self.warmup:
            return max(t, 1e-3 * self.warmup) / self.warmup
        return self.shape((t - self.warmup) / (1 - self.warmup))

    def shape(self, t: float) -> float:
        """The factor after the rise."""
        return 1.0


@dataclass(frozen=True)
class Constant(Schedule, name="constant"):
    """The optimiser's own rate throughout."""


@dataclass(frozen=True)
class Cosine(Schedule, name="cosine"):
    """Half a cosine from 1 to `final` (Loshchilov & Hutter 2017, Eq. 5, one period,
    https://arxiv.org/abs/1608.03983).
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_final(self.final)

    def shape(self, t: float) -> float:
        """The factor after the rise."""
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(t, 1.0)))


@dataclass(frozen=True)
class Linear(Schedule, name="linear"):
    """A straight line from 1 to `final`, flat until `start`."""

    final: float = 0.0
    start: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_final(self.final)
        if not 0 <= self.start < 1:
            raise InvalidValue(
                f"start is a share of the budget from 0 to below 1, got {self.start}"
            )

    def shape(self, t: float) -> float:
        """The factor after the rise."""
        along = max(0.0, (min(t, 1.0) - self.start) / (1 - self.start))
        return 1 + (self.final - 1) * along


@dataclass(frozen=True)
class Exponential(Schedule, name="exponential"):
    """Geometric decay from 1 to `final`."""

    final: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(final=self.final)

    def shape(self, t: float) -> float:
        """The factor after the rise."""
        return float(self.final ** min(t, 1.0))


@dataclass(frozen=True)
class Staircase(Schedule, name="staircase"):
    """3^i passes at 10^(-i/7), i = 0..7, as shares of 3280.

    Reference: Burda, Grosse & Salakhutdinov (2016), §5, https://arxiv.org/abs/1509.00519.
    """

    def shape(self, t: float) -> float:
        """The factor after the rise."""
        position = min(t, 1 - 1e-12) * 3280
        i = 0
        while i < 7 and position >= (3 ** (i + 1) - 1) / 2:
            i += 1
        return float(10 ** (-i / 7))


constant, cosine, linear, exponential, staircase = Constant, Cosine, Linear, Exponential, Staircase


def _check_final(final: float) -> None:
    if not final >= 0:
        raise InvalidValue(
            f"final must not be negative, got {final}; it is the share of the rate at the end"
        )
