"""A fit in a thread of its own, which pages watch and steer."""

from __future__ import annotations

import copy
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from pushforward.core.capabilities import Samples
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue, PushforwardError
from pushforward.core.events import Event, Finished, Progress, Warned
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.experiments.experiment import Experiment
from pushforward.fitting.controls import Controls
from pushforward.studio.comparison import Comparison

__all__ = ["THREAD", "Checkpoint", "LiveFit"]

T = TypeVar("T")
WAIT = 20.0
"""Seconds for a visit: a step of a large model may take some."""
MEASURED, BETWEEN = 1000, 0.3
"""Measures kept (every second one is dropped for more), and seconds between them while it runs."""
THREAD = "fit-"
"""What the names of the threads of fits begin with."""
KEPT = 12
"""Checkpoints: the oldest is dropped for another."""


@dataclass(frozen=True)
class Checkpoint:
    """A model as it was after some samples."""

    samples: int
    model: Model
    steps: int = 0


class LiveFit:
    """One fit.

    Args:
        make: the experiment, with a model that is not fitted yet.
        start: a checkpoint to take the first weights from.
        paused: whether it waits before its first step.
        pace: seconds that it waits before each step.
        checkpoints: of the fit that it continues.
        told, measured: reports and measures of that fit.
    """

    def __init__(
        self,
        make: Callable[[], Experiment],
        *,
        start: Checkpoint | None = None,
        paused: bool = False,
        pace: float = 0.0,
        checkpoints: Sequence[Checkpoint] = (),
        told: Sequence[dict[str, Any]] = (),
        measured: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.name = secrets.token_hex(6)
        self._make, self.before = make, 0 if start is None else start.samples
        self._steps_before = 0 if start is None else start.steps
        experiment = make()
        self.source = experiment.read()
        weights = None if start is None else start.model
        self.experiment = replace(experiment, start=weights)
        self.controls, self.pace = Controls(paused=paused), pace
        self.controls.slow(pace)
        self.checkpoints: list[Checkpoint] = list(checkpoints)
        self.reports: list[dict[str, Any]] = list(told)
        self.measured: list[dict[str, Any]] = list(measured)
        self.warnings: list[dict[str, str]] = []
        self._measured_at = -BETWEEN
        self.error, self.reason, self.samples = "", "", self.before
        self.shows_progress = self.shows_warnings = True
        self._thread = threading.Thread(target=self._fit, name=THREAD + self.name, daemon=True)
        self._thread.start()

    @property
    def model(self) -> Model:
        """The model, whose networks the fit changes; look at it in `visit`."""
        return self.experiment.model

    @property
    def ended(self) -> bool:
        """Whether the fit is over."""
        return not self._thread.is_alive()

    def visit(self, function: Callable[[Model], T]) -> T:
        """Call a function with the model between two steps, or afterwards.

        Raises:
            BadRun: If the fit failed before its first step.
        """
        if not self.ended:
            future = self.controls.visit(function)
            try:
                return future.result(WAIT)
            except TimeoutError:
                future.cancel()
                raise BadRun("the fit is busy with a long step; try again") from None
            except BaseException:
                if not future.cancelled():
                    raise
                self._thread.join(WAIT)
        if self.error and not self.controls.steps:
            raise BadRun(self.error)
        return function(self.model)

    @cached_property
    def comparison(self) -> Comparison:
        """Measures of samples against the rows, which are points in the plane."""
        name = self.experiment.source
        return Comparison(self.source, name if isinstance(name, str) else "")

    @property
    def steps(self) -> int:
        """Steps since the first fit that this one continues began."""
        return self._steps_before + self.controls.steps

    def slow(self, seconds: float) -> None:
        """Wait so long before each step; 0 for full speed."""
        self.controls.slow(seconds)
        self.pace = seconds

    def measure(self, model: Model) -> None:
        """Compare samples with the data, unless that was done a moment ago; called in a visit.

        `measured` holds the results, each with the number of 'samples' seen.
        """
        now, moves = time.monotonic(), not (self.controls.paused or self.ended)
        last = self.measured[-1]["samples"] if self.measured else -1
        if self.samples <= last or (moves and now < self._measured_at + BETWEEN):
            return
        self._measured_at = now
        if isinstance(model, Samples) and (found := self.comparison.measure(model)):
            self.measured.append({**found, "samples": self.samples})
        if len(self.measured) > MEASURED:
            self.measured = self.measured[::2]

    def keep(self) -> Checkpoint:
        """A checkpoint of now.

        Raises:
            InvalidKind: For a model without weights to go on from.
        """
        if not isinstance(self.model, Learner):
            raise InvalidKind("models fitted by passes begin anew each time; start again")
        kept = self.visit(lambda model: Checkpoint(self.samples, copy.deepcopy(model), self.steps))
        self.checkpoints.append(kept)
        del self.checkpoints[:-KEPT]
        return kept

    def continued(self, number: int, make: Callable[[], Experiment] | None = None) -> LiveFit:
        """Another fit that starts with the weights of a checkpoint; this one goes on until stopped.

        Args:
            number: of the checkpoint.
            make: the experiment, if its settings change.
        """
        if not 0 <= number < len(self.checkpoints):
            raise InvalidValue(f"there are {len(self.checkpoints)} checkpoints, got {number}")
        start, paused = self.checkpoints[number], self.controls.paused
        told, measured = (
            [each for each in kept if each["samples"] <= start.samples]
            for kept in (self.reports, self.measured)
        )
        return LiveFit(
            make or self._make,
            start=start,
            paused=paused,
            pace=self.pace,
            checkpoints=self.checkpoints,
            told=told,
            measured=measured,
        )

    def stop(self) -> None:
        """End the fit soon."""
        self.controls.cancel()

    def status(self) -> dict[str, Any]:
        """How it stands, ready for JSON."""
        return {
            "samples": self.samples,
            "steps": self.steps,
            "paused": self.controls.paused and not self.ended,
            "pace": self.pace,
            "ended": self.ended,
            "reason": self.reason,
            "error": self.error,
            "warnings": self.warnings,
            "checkpoints": [checkpoint.samples for checkpoint in self.checkpoints],
        }

    def __call__(self, event: Event) -> None:
        """Listen to an event of the fit."""
        self.samples = self.before + event.samples
        if isinstance(event, Progress):
            report: Mapping[str, Any] = {"samples": self.samples, "terms": dict(event.terms)}
            self.reports.append(dict(report))
        elif isinstance(event, Warned):
            self.warnings.append({"symptom": event.symptom, "advice": event.advice})
        elif isinstance(event, Finished):
            self.reason = event.reason

    def _fit(self) -> None:
        try:
            self.experiment.fit(listeners=[self], token=self.controls)
        except PushforwardError as error:
            self.error = str(error)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
        except KeyboardInterrupt:
            self.reason = "interrupted"
        finally:
            self.controls.end()  # a fit that failed before its first step has not met them
