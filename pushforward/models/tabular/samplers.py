"""Ways to sample models of tables: with gaps, and with a category that is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidKind
from pushforward.core.random import Rng
from pushforward.core.sampler import Sampler
from pushforward.core.units import TakesConditions

__all__ = ["Gaps", "Given", "HasGaps", "HasGiven"]


@runtime_checkable
class HasGaps(Protocol):
    """Knows where values are missing."""

    def draw(
        self, n: int, y: Conditioning = None, rng: Rng = None, *, gaps: bool = False
    ) -> Tensor:
        """n rows, with NaN where values are missing if `gaps`."""
        ...


@runtime_checkable
class HasGiven(Protocol):
    """Can be asked for a category."""

    def draw_given(
        self, n: int, column: str, value: str, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        """n rows whose `column` is `value`."""
        ...


@dataclass(frozen=True)
class Gaps(Sampler, name="gaps"):
    """Rows with as many missing values as the data, where the model has learnt them."""

    def __call__(
        self, model: TakesConditions, n: int, *, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        """Sample with NaN where values are missing."""
        if isinstance(model, HasGaps):
            return model.draw(n, y, rng, gaps=True)
        raise InvalidKind(_refusal(self, model, "does not know where values are missing"))


@dataclass(frozen=True)
class Given(Sampler, name="given"):
    """Rows in which a categorical column has a value.

    Args:
        column: its name.
        value: one of its categories.
    """

    column: str = ""
    value: str = ""

    def __call__(
        self, model: TakesConditions, n: int, *, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        """Sample under the condition."""
        if isinstance(model, HasGiven):
            return model.draw_given(n, self.column, self.value, y, rng)
        raise InvalidKind(_refusal(self, model, "cannot be asked for a category"))


def _refusal(sampler: Sampler, model: object, lack: str) -> str:
    return f"using={str(sampler)!r}: {type(model).__name__} {lack}; use 'ancestral', or a CTGAN"
