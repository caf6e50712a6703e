"""Protocols of models fitted by passes: what they must have, and what they may have.

A model whose next parameters depend on the data only through a sum of statistics of single rows,

    T(X; θ) = Σ_i t(x_i; θ),        θ' = M(T(X; θ)),

is fitted from blocks of rows in any order, on any number of machines: T(A ∪ B) = T(A) ⊕ T(B).

The first three protocols decide how a model is fitted: `OnePass` in a single pass, `Iterative` in
passes until its objective converges, `MiniBatched` (with a `batch`) in passes over sampled rows.
`EM` refuses a model that follows none of them. The others are independent refinements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import Diverged, InvalidValue
from pushforward.core.fitter import Symptom
from pushforward.core.follows import follows
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
    "Looped",
    "Remembers",
    "Revises",
    "Settles",
    "SampledFacts",
    "Reports",
    "Diagnosed",
    "PassModel",
]

BLOCK_ROWS = 4096
"""Default rows per block: a few megabytes for common widths."""
SCANNED_NUMBERS = 1 << 18
"""Numbers per block when scanning the data: two megabytes of float64."""


S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


@runtime_checkable
class Statistics(Protocol):
    """A dataclass of tensors, numbers and such dataclasses, with an associative merge."""

    def merge(self, other: Self) -> Self:
        """The statistics of both sets of rows."""
        ...


@runtime_checkable
class OnePass(Protocol[S]):
    """Fitted from mergeable statistics of its rows, in one pass unless it is also Iterative."""

    def statistics(self, batch: Batch) -> S:
        """The statistics of one block of rows in the model's coordinates."""
        ...

    def update(self, statistics: S) -> bool:
        """Update the parameters from the merged statistics of all rows.

        Return whether the fit is over.
        """
        ...


@runtime_checkable
class Scored(Protocol[S_contra]):
    """Has an objective that no pass lowers."""

    def objective(self, statistics: S_contra) -> Tensor | float:
        """The objective per row (nats), from the merged statistics."""
        ...


@runtime_checkable
class Iterative(OnePass[S], Scored[S], Protocol[S]):
    """Fitted in several passes, from one start or the best of several.

    An attribute `starts` sets the number of starts.
    """

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Initialise the parameters before the first pass, from a seeded sample of rows."""
        ...


@runtime_checkable
class MiniBatched(Iterative[S], Protocol[S]):
    """A model that, if `batch` is not None, is fitted from that many sampled rows per pass.

    Statistics accumulate over passes.
    """

    batch: int | None


@runtime_checkable
class InBlocks(Protocol):
    """Has a preferred number of rows per block."""

    block_rows: int


@runtime_checkable
class OwnCoordinates(Protocol):
    """Maps rows from the user's units to its coordinates by more than its scaling."""

    def coordinates(self, x: Tensor) -> Tensor:
        """Convert rows (n, *shape) from the user's units to the coordinates of the statistics."""
        ...


@runtime_checkable
class Looped(Protocol):
    """May have compiled loops do the work of its passes."""

    looped: bool


@runtime_checkable
class Remembers(Protocol):
    """Keeps a memory of a resident block between passes: `statistics(batch, memory)`."""

    def remember(self, batch: Batch) -> object:
        """The memory to keep."""
        ...


@runtime_checkable
class Revises(Protocol):
    """May use a pass that updates nothing, and request that rows be mapped again."""

    looking: bool
    outgrown: bool


@runtime_checkable
class Settles(Protocol[S_contra]):
    """May need one more pass to evaluate its final parameters."""

    unsettled: bool

    def settle(self, statistics: S_contra) -> None:
        """Process the statistics of that pass."""
        ...


@runtime_checkable
class SampledFacts(Protocol[S_contra]):
    """Is prepared from a sample of rows, so bad values must be detected during the fit."""

    def saw_only_finite(self, statistics: S_contra) -> bool:
        """Whether the rows had neither missing nor infinite values."""
        ...


@runtime_checkable
class Reports(Protocol):
    """Names its objective for progress reports."""

    def report(self, value: float) -> Mapping[str, float]:
        """The terms by name."""
        ...


@runtime_checkable
class Diagnosed(Protocol):
    """Diagnoses problems of a fit."""

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Symptoms of the finished fit."""
        ...


class PassModel:
    """A model as used by passes, with defaults for the protocols it does not follow.

    Args:
        model: must follow one of the first three protocols.
    """

    def __init__(self, model: Model) -> None:
        if not follows(model, OnePass):
            gradients = hasattr(model, "phases")
            remedy = (
                "fit it with a Trainer"
                if gradients
                else "define statistics(batch) and update(statistics)"
            )
            name = type(model).__name__
            raise InvalidValue(
                f"EM needs a model with mergeable statistics, and {name} has none; {remedy}"
            )
        self.model: Any = model
        self.name = type(model).__name__
        self.single = not follows(model, Iterative)
        self.starts = 1 if self.single else int(getattr(model, "starts", 1))
        self.batch: int | None = self.model.batch if follows(self.model, MiniBatched) else None
        self.remembers = follows(model, Remembers)
        self.samples_facts = follows(model, SampledFacts)
        self.owns_coordinates = follows(model, OwnCoordinates)
        self._revises, self._settles = follows(model, Revises), follows(model, Settles)
        self._scored = follows(model, Scored)

    @property
    def block_rows(self) -> int:
        """Preferred number of rows per block."""
        return int(self.model.block_rows) if follows(self.model, InBlocks) else BLOCK_ROWS

    @property
    def looped(self) -> bool:
        """Whether compiled loops do the work of its passes, once it is prepared."""
        return follows(self.model, Looped) and bool(self.model.looped)

    def statistics(self, batch: Batch, memory: object) -> Statistics:
        """The statistics of one block and its memory."""
        rest = () if memory is None else (memory,)
        part: Statistics = self.model.statistics(batch, *rest)
        return part

    def mapped(self, batch: Batch, device: torch.device) -> Batch:
        """A block in the model's coordinates, on a device, in the model's float type."""
        x, dtype = batch.x.to(device), self.model.floating()
        if self.owns_coordinates:
            x = self.model.coordinates(x)
        else:
            wide = x if x.dtype == torch.float64 or dtype != torch.float64 else x.to(dtype)
            scaling = self.model.scaling
            x = (wide if scaling.kind == "identity" else scaling(wide)).to(dtype)
        weights = None if batch.weights is None else batch.weights.to(device, dtype)
        return Batch(x, batch.y, weights)

    @property
    def only_looked(self) -> bool:
        """Whether the last pass updated nothing, and so does not count."""
        return self._revises and bool(self.model.looking)

    @property
    def outgrown(self) -> bool:
        """Whether rows must be mapped again."""
        return self._revises and bool(self.model.outgrown)

    @property
    def unsettled(self) -> bool:
        """Whether one more pass must evaluate the final parameters."""
        return self._settles and bool(self.model.unsettled)

    def objective(self, statistics: Statistics) -> float:
        """The model's objective; minus infinity if it has none.

        Raises:
            Diverged: If it is NaN.
        """
        if not self._scored:
            return -math.inf
        value = float(self.model.objective(statistics))
        if math.isnan(value):
            raise Diverged(
                f"the objective of {self.name} became NaN; look for extreme values, or use"
                f" {setting('precision', 'float64')}"
            )
        return value

    def terms(self, value: float) -> Mapping[str, float]:
        """The objective by name; empty if infinite."""
        if not math.isfinite(value):
            return {}
        return (
            dict(self.model.report(value))
            if follows(self.model, Reports)
            else {"log_likelihood": value}
        )

    def symptoms(self) -> Sequence[Symptom]:
        """Symptoms of the finished fit."""
        return self.model.symptoms({}) if follows(self.model, Diagnosed) else ()

    def check(self, statistics: Statistics, source: Source) -> None:
        """Refuse missing or infinite values that a sampled scan could not detect."""
        if not self.samples_facts or self.model.saw_only_finite(statistics):
            return
        self.model.refuse(source, scan(source, block=scan_rows(source)))
        raise Diverged(
            f"the statistics of {self.name} overflowed; the values are too large to square: rescale"
            " them"
        )


def scan_rows(source: Source) -> int:
    """Rows in a block of a scan of a source."""
    return max(256, SCANNED_NUMBERS // source.space.size)
