"""The run folder of a fit by passes: what is stored, when, and how it is restored.

Checkpoints are the Trainer's (`checkpoint.py`):
trees of plain values and tensors, written completely or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadRun, PushforwardError
from pushforward.core.events import CancelToken, Event
from pushforward.core.folder_lock import locked
from pushforward.core.folders import check_place, create_run, remove_leftovers
from pushforward.core.manifest import Manifest
from pushforward.core.model import Model
from pushforward.core.source import Source, fingerprint
from pushforward.core.storage import describe, write_tensors
from pushforward.fitting.budget import budget_exceeded
from pushforward.fitting.checkpoint import Checkpoints
from pushforward.fitting.explicit_settings import as_json
from pushforward.fitting.log import Log, read_log
from pushforward.fitting.settings import FolderSettings, PassSettings
from pushforward.fitting.signals import interruptible
from pushforward.fitting.stop_request import StopRequest

__all__ = ["PassFolder", "check_checkpoint", "has_ended", "stored_settings"]

SHORT = 2.0
"""Seconds after which a fit gets a folder."""
SETTINGS = ("steps", "tolerance", "block", "seed")
NOWHERE = Path()
KIND = "EM"
"""The class of fitter in run.json."""


class PassFolder:
    """The folder of one fit; without a folder `kept` is False and nothing is written.

    Args:
        settings: its path, the content of run.json besides `passes`, and the checkpoint interval.
        passes: settings that affect the result; stored with the model's `batch`.
        model: not prepared yet.
        source: the rows.
        first: whether this process writes and reports.
        world: number of processes.
        token: cancelled by signals.
        batch: rows per pass, if not all.
    """

    def __init__(
        self,
        settings: FolderSettings,
        passes: PassSettings,
        model: Model,
        source: Source,
        *,
        first: bool,
        world: int,
        token: CancelToken,
        batch: int | None,
    ) -> None:
        self._settings, self._passes, self._batch = settings, passes, batch
        self._model, self._source, self._first, self._world = model, source, first, world
        self._folder = NOWHERE if settings.path is None else settings.path
        self._log: Log | None = None
        self._early: list[Event] = []
        self._described: bool | None = None
        self._there = settings.resumed
        self._saved_at = time.monotonic()
        self._began = time.monotonic()
        self.kept = settings.path is not None
        self.prepared = False
        """Whether the model is prepared, so that model.json can be written."""
        self.token = token
        self.state: Mapping[str, Any] | None = None
        """The state to resume from, if any."""

    @cached_property
    def _checkpoints(self) -> Checkpoints:
        return Checkpoints(self._folder)

    @cached_property
    def _stop(self) -> StopRequest:
        return StopRequest(self._folder)

    def checking_state(self) -> AbstractContextManager[None]:
        """Context manager: raise BadRun if the checkpoint is not valid."""
        return check_checkpoint(self._folder)

    @contextmanager
    def opened(self) -> Iterator[list[int]]:
        """Context manager: the run is open, and signals ask the fit to save and stop.

        Yields those received.
        """
        with ExitStack() as stack:
            if not self.kept:
                yield []
                return
            if self._first:
                stack.enter_context(locked(self._folder))
                stack.enter_context(self._stop.heeded())
            if self._there:
                self._find()
            elif self._first:
                check_place(self._folder, overwrite=self._settings.overwrite)
            stack.callback(self._close)
            yield stack.enter_context(interruptible(self.token, decides=True))

    def _find(self) -> None:
        """The newest checkpoint of the run to resume.

        Raises:
            BadRun: If it belongs to another run, or the fit has ended.
        """
        self.state = self._checkpoints.newest()
        if self.state is None and has_ended(self._folder):
            raise BadRun(
                f"the fit in {self._folder} has ended, so there is nothing to resume; load it, or"
                " start a new run"
            )
        if self.state is not None:
            with check_checkpoint(self._folder):
                self._check(self.state)
                self._refuse_spent(self.state["passes"])
        if self._first:
            for folder in (self._folder, self._checkpoints.folder):
                remove_leftovers(folder)

    def _check(self, state: Mapping[str, Any]) -> None:
        for name, now in self._origin().items():
            before = state["origin"].get(name, now)
            if before != now:
                where = (
                    "the data differ"
                    if name == "data"
                    else f"{name} differs ({str(before)[:60]}, now {str(now)[:60]})"
                )
                raise BadRun(
                    f"{self._folder} cannot be resumed: {where}; resume it as it was started, or"
                    " start a new run"
                )

    def _refuse_spent(self, passes: Mapping[str, Any] | None) -> None:
        """Raise InvalidValue if the run has made more steps than are now allowed.

        Finished starts keep the original limit.
        """
        if passes is None:
            return
        steps = stored_settings(self._folder)["steps"] if passes["attempt"] else passes["step"]
        more = self._passes.steps
        if more < steps:
            remedy = f"{setting('steps', steps + more)} to go on for {more} more"
            raise budget_exceeded(self._folder, steps, f"{more} steps", remedy)

    def _origin(self) -> dict[str, Any]:
        """The model, settings and data that a checkpoint belongs to."""
        arguments = {
            name: str(as_json(value)) for name, value in self._model.hyperparameters().items()
        }
        settings = {name: getattr(self._passes, name) for name in SETTINGS if name != "steps"}
        labelled = {f"the model's {k}": v for k, v in arguments.items()}
        return {
            "model": type(self._model).__name__,
            **labelled,
            **settings,
            "processes": self._world,
            "data": fingerprint(self._source),
        }

    # -------------------------------------------------------------------------------------- writing

    def tick(self) -> None:
        """Create the folder once the fit has run for a while.

        A fit that fails at once leaves nothing behind.
        """
        if (
            self.kept
            and self._log is None
            and time.monotonic() - self._began > min(SHORT, self._settings.save_every)
        ):
            self.begin()

    def begin(self) -> None:
        """Create the folder unless it exists, and describe the model if it is prepared."""
        if not self.kept or not self._first:
            return
        if self._there:
            if not Manifest.path(self._folder).is_file():
                raise BadRun(
                    f"the run folder {self._folder} was removed or renamed while the fit was"
                    " writing to it; fit again"
                )
            if self._described is not self.prepared:
                self._write_known(self._folder)
        else:
            with create_run(self._folder, overwrite=self._settings.overwrite) as folder:
                self._write_known(folder)
        self._there, self._described = True, self.prepared
        if self._log is None:
            self._log = Log(self._folder, self.state["log"] if self.state else 0)
            for event in self._early:
                self._log.write(event)

    def _write_known(self, folder: Path) -> None:
        content = {**asdict(self._passes), **self._settings.content, "batch": self._batch}
        manifest = Manifest.of(
            self._model, fingerprint=fingerprint(self._source), fitter=KIND, settings=content
        )
        manifest.update(folder).write(folder)
        if self.prepared:
            describe(self._model, folder)

    def write(self, event: Event) -> None:
        """Log an event."""
        if self._log:
            self._log.write(event)
        elif self.kept:
            self._early.append(event)

    @property
    def cancelled(self) -> bool:
        """Whether the token, or a request left in the folder, asks the fit to stop."""
        if self.kept and self._first and self._stop.noticed:
            self.token.cancel()
        return self.token.cancelled

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is old enough for another."""
        return self.kept and time.monotonic() - self._saved_at > self._settings.save_every

    def save(self, state: Mapping[str, Any], samples: int, *, usable: bool) -> Path | None:
        """Write a checkpoint, and the model too if it is `usable` in its present state."""
        if not self.kept or not self._first:
            self._saved_at = time.monotonic()
            return None
        self.begin()
        assert self._log is not None
        self._log.sync()
        path = self._checkpoints.save(
            {**state, "log": self._log.position, "origin": self._origin()}, samples
        )
        if usable:
            self.save_model()
        self._saved_at = time.monotonic()
        return path

    def save_model(self) -> None:
        """Replace model.safetensors."""
        if self.kept and self._first:
            self.begin()
            write_tensors(self._folder / "model.safetensors", self._model.tensors())

    def forget(self) -> None:
        """Remove the checkpoints of a finished fit; the model holds everything."""
        if self.kept and self._first and self._checkpoints.folder.is_dir():
            for path in self._checkpoints.folder.glob("[0-9]*.safetensors"):
                path.unlink(missing_ok=True)
            if not any(self._checkpoints.folder.iterdir()):
                self._checkpoints.folder.rmdir()

    def _close(self) -> None:
        if self._log:
            self._log.close()


@contextmanager
def check_checkpoint(folder: Path) -> Iterator[None]:
    """Within: BadRun where a checkpoint turns out not to be what it should be."""
    try:
        yield
    except PushforwardError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise BadRun(
            f"the newest checkpoint in {folder / 'state'} does not belong to this fit; remove it,"
            " or start a new run"
        ) from error


def stored_settings(folder: Path) -> dict[str, Any]:
    """The settings of a run by passes from run.json.

    Raises:
        BadRun: If the folder holds no such run.
    """
    manifest = Manifest.read(folder)
    if manifest is None or manifest.fitter != KIND:
        by_trainer = manifest is not None and manifest.fitter == "Trainer"
        other = (
            "it was started by a Trainer: pass Trainer(resume=…)"
            if by_trainer
            else "it holds no settings of a fit; start a new run"
        )
        raise BadRun(f"{folder} cannot be resumed by EM: {other}")
    content = dict(manifest.settings)
    kinds: dict[str, Any] = {
        "steps": int,
        "tolerance": (int, float),
        "block": (int, type(None)),
        "seed": int,
    }
    for name, kind in kinds.items():
        if not isinstance(content.get(name, ""), kind) or isinstance(content[name], bool):
            raise BadRun(
                f"{manifest.path(folder)} is damaged ({name} has the wrong type); restore it from"
                " a copy"
            )
    return content


def has_ended(folder: Path) -> bool:
    """Whether the fit in a run folder has finished."""
    events = read_log(folder)
    return (
        bool(events)
        and events[-1].get("event") == "finished"
        and events[-1].get("reason") != "interrupted"
    )
