"""The run folder of a fit by gradients.

It determines what is written in which order, and when a run can be resumed.

A folder whose run.json holds settings can be resumed. If a fit starts from given weights, which
that file cannot describe, the settings are added after the first checkpoint. The folder appears
once everything known before the first step is in it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.errors import BadRun, PushforwardError, is_out_of_memory
from pushforward.core.events import Event
from pushforward.core.folder_lock import locked
from pushforward.core.folders import check_place, create_run, remove_leftovers
from pushforward.core.learner import Learner
from pushforward.core.manifest import Manifest
from pushforward.core.plain import Plain
from pushforward.core.source import Source, peek
from pushforward.core.storage import construct, describe, write_tensors
from pushforward.fitting.budget import Budget
from pushforward.fitting.checkpoint import Checkpoints
from pushforward.fitting.log import Log
from pushforward.fitting.processes import Processes
from pushforward.fitting.settings import FolderSettings
from pushforward.fitting.state_validation import check_state
from pushforward.fitting.stop_request import StopRequest

__all__ = ["KIND", "RunFolder", "describe_origin", "other_rows"]

KIND = "Trainer"
"""The kind of fitter, in run.json."""


class RunFolder:
    """The folder of one fit; without a folder `kept` is False and nothing is written.

    Args:
        settings: its path, the content of run.json, and the checkpoint interval.
        processes: the first one writes, all of them read.
    """

    def __init__(self, settings: FolderSettings, processes: Processes) -> None:
        self._settings, self._processes = settings, processes
        self._folder = Path() if settings.path is None else settings.path
        self._checkpoints = Checkpoints(self._folder)
        self._log: Log | None = None
        self._stop = StopRequest(self._folder)
        self._saved_at = 0.0
        self._fingerprint = ""
        self.kept = settings.path is not None

    # ------------------------------------------------------------------------------- before the fit

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Context manager: no other fit writes to the folder.

        Raises:
            BadRun: In every process, if another fit does.
        """
        with ExitStack() as stack:
            refusal = None
            if self.kept and self._processes.first:
                try:
                    stack.enter_context(locked(self._folder))
                    stack.enter_context(self._stop.heeded())
                except BadRun as error:
                    refusal = str(error)
            refusal = self._processes.from_first(refusal)
            if refusal is not None:
                raise BadRun(refusal)
            yield

    def refuse_others(self, model: Learner, training: Source) -> None:
        """Raise BadRun unless the run to resume has the same model class.

        Raise ShapeMismatch for another space.

        A new run whose folder may not be written to is refused here too, before any work is done.
        """
        if not self._settings.resumed:
            if self.kept and self._processes.first:
                check_place(self._folder, overwrite=self._settings.overwrite)
            return
        if not (self._folder / "model.json").is_file():
            return  # killed before anything was written: start over
        stored = construct(self._folder)
        if type(stored) is not type(model) or repr(stored.hyperparameters()) != repr(
            model.hyperparameters()
        ):
            raise BadRun(
                f"{self._folder} was started with {stored!r}, not with {model!r}; resume it with"
                " the same model"
            )
        if model.dequantise is None:
            model.dequantise = stored.dequantise
        row = peek(training, 1).x
        stored.fitted_space().conform(row, what=f"the data to resume {self._folder} with")

    def open(
        self,
        model: Learner,
        budget: Budget,
        fingerprint: str,
        held_out: str | None = None,
        source: str = "",
    ) -> Any | None:
        """Prepare the folder; return the state to resume from.
        A run that cannot be resumed is not changed.

        Args:
            fingerprint, held_out: of the rows trained on and of those held out.
            source: of both, as the fitter received them.
        """
        if not self.kept:
            return None
        self._fingerprint = source
        state = self._checkpoints.newest() if self._settings.resumed else None
        if (
            self._settings.resumed
            and state is None
            and (self._folder / "model.safetensors").is_file()
        ):
            raise BadRun(
                f"{self._folder} holds a trained model but no state to resume from (its folder"
                " state is gone); restore it, or start a new run from its weights"
                f" ({argument('start', 'RUN')})"
            )
        if state is not None:
            with self.checking_state():
                check_state(state, {key: value.shape for key, value in model.state_dict().items()})
                self._check(state, fingerprint, held_out)
                _check_origin(state, self.origin(model))
                _check_layout(state, model)
                budget.refuse_spent(
                    self._settings.path, int(state["step"]), float(state["seconds"])
                )
        if self._processes.first:
            self._make(model)
        self._processes.wait()
        return state

    @contextmanager
    def checking_state(self) -> Iterator[None]:
        """Context manager: raise BadRun if a checkpoint is incomplete or malformed."""
        try:
            yield
        except PushforwardError:
            raise
        except (
            KeyError,
            IndexError,
            TypeError,
            ValueError,
            AttributeError,
            RuntimeError,
            OverflowError,
        ) as error:
            if is_out_of_memory(error):
                raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise BadRun(
                f"the checkpoint in {self._folder} does not belong to this fit ({reason}); remove"
                " its state folder, or fit again"
            ) from error

    def _check(self, state: Mapping[str, Any], fingerprint: str, held_out: str | None) -> None:
        world = self._processes.world
        if state["world"] != world:
            raise BadRun(
                f"the run was made by {state['world']} processes, now there are {world}; resume it"
                " with as many"
            )
        if state["data"] != fingerprint:
            raise other_rows()
        if state.get("held_out", held_out) != held_out:
            raise BadRun(
                "the held-out data differ from those the run was started with; resume it with the"
                " same, or start a new run from it"
            )

    def _make(self, model: Learner) -> None:
        if not self._settings.resumed:
            with create_run(self._folder, overwrite=self._settings.overwrite) as folder:
                self._describe(model, folder)
        else:
            for folder in (self._folder, self._checkpoints.folder):
                remove_leftovers(folder)
            self._describe(model, self._folder)

    def _describe(self, model: Learner, folder: Path) -> None:
        """Write everything known before the first step."""
        self._store(folder, model, resumable=not self._settings.fine_tuned)
        if not (folder / "model.json").is_file():
            describe(model, folder)

    def store_settings(self, model: Learner) -> None:
        """Write the settings into run.json, which makes the run resumable."""
        if self._processes.first:
            self.check_place()
            self._store(self._folder, model, resumable=True)

    def _store(self, folder: Path, model: Learner, *, resumable: bool) -> None:
        """Write run.json, with the settings if the run is resumable."""
        manifest = Manifest.of(model, fingerprint=self._fingerprint, start=self._settings.start)
        if resumable:
            manifest = replace(manifest, fitter=KIND, settings=self._settings.content)
        manifest.update(folder).write(folder)

    def origin(self, model: Learner) -> dict[str, Any]:
        """The model and settings that a checkpoint belongs to."""
        return describe_origin(self._settings.content, model)

    # ------------------------------------------------------------------------------- during the fit

    @contextmanager
    def logging(self, position: int) -> Iterator[None]:
        """Context manager: events are logged after the first `position` bytes of a log."""
        if self.kept and self._processes.first:
            self._log = Log(self._folder, position)
        try:
            yield
        finally:
            if self._log:
                self._log.close()

    def write(self, event: Event) -> None:
        """Log an event."""
        if self._log:
            self._log.write(event)

    @property
    def stop_requested(self) -> bool:
        """Whether somebody left a request to stop in the folder."""
        return self._log is not None and self._stop.noticed

    @property
    def position(self) -> int:
        """Bytes logged so far."""
        return self._log.position if self._log else 0

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is old enough for another."""
        return self.kept and time.perf_counter() - self._saved_at > self._settings.save_every

    def restart_clock(self) -> None:
        """Count the time to the next checkpoint from now."""
        self._saved_at = time.perf_counter()

    def save_state(self, state: Mapping[str, Any], samples: int) -> Path:
        """Write a checkpoint, after syncing the log that it refers to.

        Raises:
            BadRun: If the folder no longer exists.
        """
        self.check_place()
        if self._log:
            self._log.sync()
        return self._checkpoints.save(state, samples)

    def save_model(self, tensors: Mapping[str, Tensor]) -> None:
        """Replace model.safetensors."""
        self.check_place()
        write_tensors(self._folder / "model.safetensors", tensors)

    def check_place(self) -> None:
        """Raise BadRun if the run folder has been removed or renamed since its creation."""
        if not (self._folder / "model.json").is_file():
            raise BadRun(
                f"the run folder {self._folder} was removed or renamed while the fit was writing to"
                " it; if it was renamed, continue with: pushforward resume NAME"
            )


def other_rows() -> BadRun:
    """The error of a run that is resumed on other rows than its own."""
    return BadRun(
        "the data differ from those the run was started with; resume it on the same data, or start"
        f" a new run from it ({argument('start', 'RUN')})"
    )


SHAPING = (
    "seed",
    "batch",
    "optimizers",
    "schedule",
    "clip",
    "accumulate",
    "ema",
    "augment",
    "precision",
)
"""Settings that determine the meaning of a checkpoint's numbers."""


def describe_origin(settings: Mapping[str, Plain], model: Learner) -> dict[str, Any]:
    """The model with its arguments, and the settings that affect its numbers, as plain JSON."""
    arguments = {name: _text(value) for name, value in model.hyperparameters().items()}
    return {
        "model": type(model).__name__,
        "arguments": arguments,
        "settings": {name: settings[name] for name in SHAPING},
    }


def _text(value: object) -> str:
    """A hyper-parameter as text, the same before and after storage.

    Values appear by text, lists as tuples.
    """
    if isinstance(value, (list, tuple)):
        return f"({', '.join(_text(v) for v in value)})"
    return str(value)


def _check_origin(state: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
    """Raise BadRun, naming the first difference, if a checkpoint belongs to another run.

    Facts that older versions did not store are not checked.
    """
    stored = state.get("origin")
    if stored is None:
        return
    pairs = [("model", stored["model"], origin["model"])]
    pairs += [
        (f"the model's {k}", v, origin["arguments"][k])
        for k, v in stored["arguments"].items()
        if k in origin["arguments"]
    ]
    pairs += [
        (k, v, origin["settings"][k])
        for k, v in stored["settings"].items()
        if k in origin["settings"]
    ]
    for name, before, now in pairs:
        if before != now:
            raise BadRun(
                f"the checkpoint was made with another {name.removeprefix('the ')}:"
                f" {str(before)[:80]!r}, not {str(now)[:80]!r}; restore the checkpoint of this run,"
                " or start a new one"
            )


def _check_layout(state: Mapping[str, Any], model: Learner) -> None:
    """Raise BadRun if a checkpoint's tensors differ from the model's.

    Another version laid them out differently.
    """
    shapes = {
        f"{name}.{key}": value.shape
        for name, net in model.networks.items()
        for key, value in net.state_dict().items()
    }
    stored = {key: value.shape for key, value in state["networks"].items()}
    unlike = sorted(key for key in {*shapes, *stored} if shapes.get(key) != stored.get(key))
    if unlike:
        raise BadRun(
            f"the checkpoint was written by a version whose {type(model).__name__} has other"
            f" tensors ({unlike[0]} is one of {len(unlike)} that differ); resume it with that"
            " version, or fit again"
        )
