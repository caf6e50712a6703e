"""The fitter protocol, and the symptoms that a model reports of a fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pushforward.core.events import Finished
from pushforward.core.source import Source

__all__ = ["Fitter", "Symptom"]


@runtime_checkable
class Fitter(Protocol):
    """An algorithm that fits models."""

    def fit(self, model: Any, source: Source) -> Finished | None:
        """Fit `model` to `source` from scratch; return how the fit ended, or None if unknown."""
        ...


@dataclass(frozen=True)
class Symptom:
    """A problem of a fit: its name, what was observed, and what to try."""

    name: str
    observed: str
    advice: str
