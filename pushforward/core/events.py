"""What happens while something is fitted, as plain data: one producer, any number of listeners.

The command line draws events with rich, a log file writes them as JSON lines, a web page sends them over its socket.
Numbers here are already plain floats.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Event", "Started", "Progress", "Evaluated", "Saved", "Warned", "Finished", "Listener", "CancelToken"]


@dataclass(frozen=True)
class Event:
    """Something that happened after `samples` observations had been seen, `seconds` into the fit."""

    samples: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """A flat, JSON-ready form; `event` names the kind."""
        return {"event": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class Started(Event):
    """Fitting begins, or goes on (`samples` > 0). `budget` in samples; None if bounded by time alone."""

    budget: int | None = None
    model: str = ""
    parameters: int = 0


@dataclass(frozen=True)
class Progress(Event):
    """Means of every term since the last report; `rate` in samples per second, `left` in seconds."""

    rate: float = 0.0
    left: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated(Event):
    """Held-out quality (higher is better) and the model's vital signs."""

    quality: float = 0.0
    best: bool = False
    vitals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Saved(Event):
    """A complete checkpoint is on disk."""

    path: str = ""


@dataclass(frozen=True)
class Warned(Event):
    """Something is wrong with the fit: what, and what to try."""

    symptom: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Finished(Event):
    """Fitting ended: `reason` is 'budget', 'converged', 'patience' or 'interrupted'."""

    reason: str = "budget"
    quality: float | None = None


Listener = Callable[[Event], None]


class CancelToken:
    """Asks a running fit to stop at the next safe point; any thread or signal handler may set it."""

    def __init__(self) -> None:
        self._flag = threading.Event()

    def cancel(self) -> None:
        """Ask."""
        self._flag.set()

    @property
    def cancelled(self) -> bool:
        """Whether someone asked."""
        return self._flag.is_set()
