"""What a model must have to be fitted by passes, and what it may have, as protocols.

A model whose next parameters depend on the data only through a sum of statistics of single rows,

    T(X; θ) = Σ_i t(x_i; θ),        θ' = M(T(X; θ)),

is fitted from blocks of rows in any order, on any number of machines: T(A ∪ B) = T(A) ⊕ T(B).

Which of the first three protocols a model follows decides how it is fitted: `OnePass` in a single
pass, `Iterative` in passes until its objective stands still, `MiniBatched` (with a `batch`) in
passes over sampled rows. A model that follows none of them is refused by `EM`. The others are
refinements, each by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from pushforward.core.errors import Diverged, InvalidValue
from pushforward.core.fitter import Symptom
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.scan import scan
from pushforward.core.source import Source

__all__ = [
    "Statistics",
    "OnePass",
    "Scored",
    "Iterative",
    "MiniBatched",
    "InBlocks",
    "OwnCoordinates",
    "Remembers",
    "Revises",
    "Settles",
    "SampledFacts",
    "Reports",
    "Diagnosed",
    "PassModel",
]

BLOCK_ROWS = 4096
"""Rows at a time, where a model says nothing: a few megabytes for common widths."""
SCANNED_NUMBERS = 1 << 18
"""Numbers in a block of the scan of the data: two megabytes of float64."""


S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


@runtime_checkable
class Statistics(Protocol):
    """A dataclass of tensors, numbers and such dataclasses, with an associative merge."""

    def merge(self, other: Self) -> Self:
        """Of both sets of rows."""
        ...


@runtime_checkable
class OnePass(Protocol[S]):
    """Fitted from mergeable statistics of its rows; in one pass, unless it is Iterative too."""

    def statistics(self, batch: Batch) -> S:
        """The statistics of one block of rows in the model's coordinates."""
        ...

    def update(self, statistics: S) -> bool:
        """Take the merged statistics of all rows; returns whether the fit is over."""
        ...


@runtime_checkable
class Scored(Protocol[S_contra]):
    """Knows an objective that no pass lowers."""

    def objective(self, statistics: S_contra) -> Tensor | float:
        """A number per row (nats), from the merged statistics."""
        ...


@runtime_checkable
class Iterative(OnePass[S], Scored[S], Protocol[S]):
    """Fitted in several passes, from one start or the best of several.

    A model with an attribute `starts` is fitted from so many.
    """

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Set parameters before the first pass, from a seeded sample of rows that it takes."""
        ...


@runtime_checkable
class MiniBatched(Iterative[S], Protocol[S]):
    """Fitted, if `batch` is not None, from that many sampled rows a pass; it keeps what it saw."""

    batch: int | None


@runtime_checkable
class InBlocks(Protocol):
    """Likes a number of rows at a time."""

    block_rows: int


@runtime_checkable
class OwnCoordinates(Protocol):
    """Maps rows in the user's units to its own coordinates by more than its scaling."""

    def coordinates(self, x: Tensor) -> Tensor:
        """Rows (n, *shape) in the user's units as the model's statistics take them."""
        ...


@runtime_checkable
class Remembers(Protocol):
    """Keeps something beside a resident block between passes: `statistics(batch, memory)`."""

    def remember(self, batch: Batch) -> object:
        """What to keep."""
        ...


@runtime_checkable
class Revises(Protocol):
    """May take a pass that only looks, and have its rows mapped anew."""

    looking: bool
    outgrown: bool


@runtime_checkable
class Settles(Protocol[S_contra]):
    """May need one more pass to tell what its last parameters are worth."""

    unsettled: bool

    def settle(self, statistics: S_contra) -> None:
        """Take the statistics of that pass."""
        ...


@runtime_checkable
class SampledFacts(Protocol[S_contra]):
    """Is prepared from a sample of rows, and so must notice bad values while it is fitted."""

    def complete(self, statistics: S_contra) -> bool:
        """Whether neither a missing nor an infinite value was among the rows."""
        ...


@runtime_checkable
class Reports(Protocol):
    """Names its objective for progress reports."""

    def report(self, value: float) -> Mapping[str, float]:
        """Terms by name."""
        ...


@runtime_checkable
class Diagnosed(Protocol):
    """Knows what can be wrong with a fit."""

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """What is wrong with the fit it ended with."""
        ...


class PassModel:
    """A model as passes use it: what it does not have is replaced by the plain case.

    Args:
        model: follows one of the first three protocols; InvalidValue otherwise.
    """

    def __init__(self, model: Model) -> None:
        if not isinstance(model, OnePass):
            gradients = hasattr(model, "phases")
            cure = (
                "fit it with a Trainer"
                if gradients
                else "define statistics(batch) and update(statistics)"
            )
            name = type(model).__name__
            raise InvalidValue(
                f"EM needs a model with mergeable statistics, and {name} has none; {cure}"
            )
        self.model: Any = model
        self.name = type(model).__name__
        self.single = not isinstance(model, Iterative)
        self.starts = int(getattr(model, "starts", 1)) if isinstance(model, Iterative) else 1
        self.batch = model.batch if isinstance(model, MiniBatched) else None
        self.remembers = isinstance(model, Remembers)
        self.samples_facts = isinstance(model, SampledFacts)

    @property
    def block_rows(self) -> int:
        """How many rows it likes at a time."""
        return int(self.model.block_rows) if isinstance(self.model, InBlocks) else BLOCK_ROWS

    def statistics(self, batch: Batch, memory: object) -> Statistics:
        """Of one block, with what is kept beside it."""
        rest = () if memory is None else (memory,)
        part: Statistics = self.model.statistics(batch, *rest)
        return part

    def mapped(self, batch: Batch, device: torch.device) -> Batch:
        """A block in the model's coordinates, on a device, in the model's floating type."""
        x, dtype = batch.x.to(device), self.model.floating()
        if isinstance(self.model, OwnCoordinates):
            x = self.model.coordinates(x)
        else:
            wide = x if x.dtype == torch.float64 or dtype != torch.float64 else x.to(dtype)
            scaling = self.model.scaling
            x = (wide if scaling.kind == "identity" else scaling(wide)).to(dtype)
        weights = None if batch.weights is None else batch.weights.to(device, dtype)
        return Batch(x, batch.y, weights)

    @property
    def only_looked(self) -> bool:
        """Whether the last pass moved nothing, and so does not count."""
        return isinstance(self.model, Revises) and self.model.looking

    @property
    def outgrown(self) -> bool:
        """Whether rows must be mapped anew."""
        return isinstance(self.model, Revises) and self.model.outgrown

    @property
    def unsettled(self) -> bool:
        """Whether one more pass is to tell what the last parameters are worth."""
        return isinstance(self.model, Settles) and self.model.unsettled

    def objective(self, statistics: Statistics) -> float:
        """The model's; minus infinity where it has none.

        Raises:
            Diverged: If it is NaN.
        """
        if not isinstance(self.model, Scored):
            return -math.inf
        value = float(self.model.objective(statistics))
        if math.isnan(value):
            raise Diverged(
                f"the objective of {self.name} became NaN; look for extreme values, or use"
                " precision='float64'"
            )
        return value

    def terms(self, value: float) -> Mapping[str, float]:
        """An objective by its name; none if it is infinite."""
        if not math.isfinite(value):
            return {}
        return (
            dict(self.model.report(value))
            if isinstance(self.model, Reports)
            else {"log_likelihood": value}
        )

    def symptoms(self) -> Sequence[Symptom]:
        """What is wrong with the fit it ended with."""
        return self.model.symptoms({}) if isinstance(self.model, Diagnosed) else ()

    def check(self, statistics: Statistics, source: Source) -> None:
        """Refuse what a sampled scan could not see: missing or infinite values anywhere."""
        if not self.samples_facts or self.model.complete(statistics):
            return
        self.model.refuse(source, scan(source, block=scan_rows(source)))
        raise Diverged(
            f"the statistics of {self.name} overflowed; the values are too large to square: rescale"
            " them"
        )


def scan_rows(source: Source) -> int:
    """Rows in a block of a scan of a source."""
    return max(256, SCANNED_NUMBERS // source.space.size)
