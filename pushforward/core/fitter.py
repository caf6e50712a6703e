"""What learns a model, and what a model says of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pushforward.core.events import Finished
from pushforward.core.source import Source

__all__ = ["Fitter", "Symptom"]


@runtime_checkable
class Fitter(Protocol):
    """How a model is learnt."""

    def fit(self, model: Any, source: Source) -> Finished | None:
        """Fit `model` to `source`, afresh; returns how the fit ended, if that can be said."""
        ...


@dataclass(frozen=True)
class Symptom:
    """Something wrong with a fit: its name, what was seen, and what to try."""

    name: str
    seen: str
    advice: str
