"""Listeners that send a fit's events to TensorBoard or Weights & Biases.

Both name numbers alike, against the samples seen: `terms/NAME` and `speed/samples per second` of
progress, `held out/quality` and `vitals/NAME` of evaluations. Warnings and the end are texts. The
run folder's `log.jsonl` has the same events, whether there is a tracker or not.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pushforward.core.errors import InvalidValue, MissingExtra, suggest
from pushforward.core.events import (
    Evaluated,
    Event,
    Finished,
    Progress,
    Started,
    Warned,
)

__all__ = ["TRACKERS", "TensorBoard", "Tracker", "WandB", "find_tracker"]


class Tracker(ABC):
    """A listener that writes numbers and texts somewhere; nothing is opened before the fit starts.

    Sub-classes say how to open, to write numbers and texts, and to close.
    """

    extra: ClassVar[str] = "trackers"

    def __init__(self) -> None:
        self._opened = False

    def __call__(self, event: Event) -> None:
        """Write an event."""
        if isinstance(event, Started):
            if not self._opened:
                self._open()
                self._opened = True
            self._text("started", _described(event), event.samples)
        elif not self._opened:  # a listener that joined late
            return
        elif isinstance(event, Progress):
            terms = {f"terms/{name}": value for name, value in event.terms.items()}
            self._numbers({**terms, "speed/samples per second": event.rate}, event)
        elif isinstance(event, Evaluated):
            vitals = {f"vitals/{name}": value for name, value in event.vitals.items()}
            self._numbers({"held out/quality": event.quality, **vitals}, event)
        elif isinstance(event, Warned):
            self._text("warned", f"{event.symptom}; try: {event.advice}", event.samples)
        elif isinstance(event, Finished):
            self._text("finished", f"{event.reason} after {event.seconds:.1f} s", event.samples)
            self._close()
            self._opened = False

    @abstractmethod
    def _open(self) -> None:
        """Begin to write."""

    @abstractmethod
    def _numbers(self, values: Mapping[str, float], event: Event) -> None:
        """Write numbers by name."""

    @abstractmethod
    def _text(self, name: str, text: str, samples: int) -> None:
        """Write a text."""

    @abstractmethod
    def _close(self) -> None:
        """Finish writing."""


class TensorBoard(Tracker):
    """Writes event files that `tensorboard --logdir FOLDER` shows. Needs the extra 'trackers'.

    Args:
        folder: for the event files; often a sub-folder of the run.

    Raises:
        MissingExtra: If TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.folder = Path(folder)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtra("tensorboard", self.extra, "writing to TensorBoard") from error
        self._writer_class: Any = SummaryWriter
        self._writer: Any = None

    def _open(self) -> None:
        self._writer = self._writer_class(str(self.folder))

    def _numbers(self, values: Mapping[str, float], event: Event) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name.replace(" ", "_"), value, event.samples)
        self._writer.flush()

    def _text(self, name: str, text: str, samples: int) -> None:
        self._writer.add_text(name, text, samples)

    def _close(self) -> None:
        self._writer.close()


class WandB(Tracker):
    """Logs to Weights & Biases. Needs the extra 'trackers'.

    Args:
        project: name of the project.
        folder: for the files of the tracker; often the run's.
        mode: 'online', 'offline' (to be sent later by `wandb sync`) or 'disabled'; by default as
            the environment variable WANDB_MODE says, else online.
        name: of the run; one is made up if not given.
        config: settings to show beside the run.

    Raises:
        MissingExtra: If Weights & Biases is not installed.
    """

    def __init__(
        self,
        project: str = "pushforward",
        folder: str | Path | None = None,
        *,
        mode: Literal["online", "offline", "disabled"] | None = None,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.project, self.folder, self.mode = project, folder, mode
        self.name, self.config = name, dict(config or {})
        try:
            import wandb
        except ImportError as error:
            raise MissingExtra("wandb", self.extra, "logging to Weights & Biases") from error
        self._wandb: Any = wandb
        self._run: Any = None

    def _open(self) -> None:
        where = None if self.folder is None else str(self.folder)
        self._run = self._wandb.init(
            project=self.project, dir=where, mode=self.mode, name=self.name, config=self.config
        )
        self._run.define_metric("*", step_metric="samples")

    def _numbers(self, values: Mapping[str, float], event: Event) -> None:
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._run.log({**finite, "samples": event.samples, "seconds": event.seconds})

    def _text(self, name: str, text: str, samples: int) -> None:
        self._run.summary[name] = text

    def _close(self) -> None:
        self._run.finish()


TRACKERS = ("tensorboard", "wandb")
"""Names of trackers, as the command line takes them."""


def find_tracker(name: str, run: Path) -> Tracker:
    """The tracker with a name, which writes into a run folder.

    Raises:
        InvalidValue: For an unknown name.
        MissingExtra: If it is not installed.
    """
    if name == "tensorboard":
        return TensorBoard(run / "tensorboard")
    if name == "wandb":
        return WandB(folder=run, name=run.name)
    raise InvalidValue(f"unknown tracker {name!r}; {suggest(name, TRACKERS)}")


def _described(event: Started) -> str:
    budget = "" if event.budget is None else f", {event.budget:,} samples"
    return f"{event.model} on {event.device}, {event.parameters:,} parameters{budget}"
