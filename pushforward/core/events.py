"""Events of a fit as plain data: one producer, any number of listeners.

The command line draws events with rich, a log file stores them as JSON lines, a web page sends them
over its socket. Numbers are plain floats.

The order is: one `Started`; then `Progress`, `Evaluated`, `Saved` and `Warned` as they occur; one
`Finished`, unless an error ends the fit. A resumed fit begins with another `Started`, whose
`samples` are those seen before. docs/events.md tabulates the fields.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

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
    """An event of a fit.

    Args:
        samples: observations seen so far over all processes and resumptions, repeats counted.
        seconds: time spent fitting so far, over all resumptions.
    """

    samples: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """A flat, JSON-ready dictionary; `event` is the kind."""
        return {"event": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class Started(Event):
    """A fit begins, or resumes (`samples` > 0).

    Args:
        budget: the whole budget in samples; None if only time is limited.
        model: the name of the model.
        parameters: number of the networks' weights; 0 of models fitted by passes, which have none
            before the first pass.
        note: settings that the fit adjusted, such as a smaller batch for few rows; '' if none.
        device: where it computes, with the card's name: 'cpu', 'cuda:0 (NVIDIA H200)'.
    """

    budget: int | None = None
    model: str = ""
    parameters: int = 0
    note: str = ""
    device: str = ""


@dataclass(frozen=True)
class Progress(Event):
    """Progress of the fit since the last report.

    Args:
        rate: samples per second since the last report.
        remaining: seconds until the budget is spent; None if unknown.
        terms: every loss term by name, averaged since the last report;
            for fits by passes, the objective.
    """

    rate: float = 0.0
    remaining: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluated(Event):
    """The model was evaluated on held-out rows.

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
    """A complete checkpoint was written.

    Args:
        path: of the checkpoint.
    """

    path: str = ""


@dataclass(frozen=True)
class Warned(Event):
    """A problem was detected during the fit.

    Args:
        symptom: its name and what was observed.
        advice: what to try.
    """

    symptom: str = ""
    advice: str = ""


Reason: TypeAlias = Literal["budget", "converged", "patience", "interrupted"]
"""Why a fit ended."""


@dataclass(frozen=True)
class Finished(Event):
    """The fit ended. Fitters return this event, and models keep it as `fit_result`.

    Args:
        reason: 'budget', 'converged', 'patience' or 'interrupted'.
        quality: the best held-out quality, or the last objective; None if there is none.
    """

    reason: Reason = "budget"
    quality: float | None = None


Listener = Callable[[Event], None]
"""Called with every event on its own thread; exceptions become a FitWarning."""


class CancelToken:
    """Requests that a fit stop at the next safe point; any thread or signal handler may set it."""

    def __init__(self) -> None:
        self._flag = threading.Event()

    def cancel(self) -> None:
        """Request cancellation."""
        self._flag.set()

    @property
    def cancelled(self) -> bool:
        """Whether cancellation was requested."""
        return self._flag.is_set()
