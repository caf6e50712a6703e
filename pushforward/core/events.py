"""What happens while something is fitted, as plain data: one producer, any number of listeners.

The command line draws events with rich, a log file writes them as JSON lines, a web page sends them
over its socket. Numbers here are plain floats.

The order is: one `Started`; then `Progress`, `Evaluated`, `Saved` and `Warned` as they happen; one
`Finished`, unless an error ends the fit. A resumed fit begins with another `Started`, whose
`samples` are those seen so far. docs/events.md has the fields in a table.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "Event",
    "Started",
    "Progress",
    "Evaluated",
    "Saved",
    "Warned",
    "Finished",
    "Listener",
    "CancelToken",
]


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Args:
        samples: observations seen so far, over all processes and sittings, repeats counted.
        seconds: time spent fitting so far, over all sittings.
    """

    samples: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """A flat, JSON-ready form; `event` names the kind."""
        return {"event": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class Started(Event):
    """Fitting begins, or goes on (`samples` > 0).

    Args:
        budget: the whole budget in samples; None if it is bounded by time alone.
        model: the name of the model.
        parameters: how many numbers are fitted.
        note: what the fit settled by itself, such as a smaller batch for few rows; '' if nothing.
    """

    budget: int | None = None
    model: str = ""
    parameters: int = 0
    note: str = ""


@dataclass(frozen=True)
class Progress(Event):
    """How the fit goes.

    Args:
        rate: samples per second since the last report.
        left: seconds until the budget is spent; None if unknown.
        terms: the mean since the last report of every term of the losses, by name;
            of a fit by passes, the objective.
    """

    rate: float = 0.0
    left: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated(Event):
    """The model was measured on rows that are held out.

    Args:
        quality: the model's own measure; higher is better.
        best: whether it is the best so far.
        vitals: the model's vital signs, by name.
    """

    quality: float = 0.0
    best: bool = False
    vitals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Saved(Event):
    """A complete checkpoint is on disk.

    Args:
        path: of the checkpoint.
    """

    path: str = ""


@dataclass(frozen=True)
class Warned(Event):
    """Something is wrong with the fit.

    Args:
        symptom: its name and what was seen.
        advice: what to try.
    """

    symptom: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Finished(Event):
    """Fitting ended. It is what fitters return, and a model keeps as its `fit_result`.

    Args:
        reason: 'budget', 'converged', 'patience' or 'interrupted'.
        quality: the best held-out quality, or the last objective; None if there is none.
    """

    reason: str = "budget"
    quality: float | None = None


Listener = Callable[[Event], None]
"""Called with every event, on a thread of its own; what it raises is a FitWarning, not an error."""


class CancelToken:
    """Asks a running fit to stop at the next safe point;
    any thread or signal handler may set it.
    """

    def __init__(self) -> None:
        self._flag = threading.Event()

    def cancel(self) -> None:
        """Ask."""
        self._flag.set()

    @property
    def cancelled(self) -> bool:
        """Whether someone asked."""
        return self._flag.is_set()
