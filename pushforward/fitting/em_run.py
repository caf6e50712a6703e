"""The run folder of a fit by passes: what is remembered of it, when, and how it is taken back.

Checkpoints are the Trainer's (`checkpoint.py`): trees of plain values and tensors, written whole or not at all. What a model
keeps beside its buffers while it is fitted (a plan of the centres, an origin) is taken from its attributes; dataclasses are
taken apart and put together again by the names that the model's own module has for them. Tensors come back in the order
in which they lay in memory, since products of matrices round differently in another.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pushforward.core.errors import BadRun, PushforwardError
from pushforward.core.events import CancelToken, Event
from pushforward.core.folders import check_place, clear_leftovers, new_run, parsed_json, read_file
from pushforward.core.model import Model
from pushforward.core.source import Source, fingerprint
from pushforward.core.storage import describe, write_tensors, write_text
from pushforward.fitting.budget import past_budget
from pushforward.fitting.checkpoint import Checkpoints
from pushforward.fitting.explicit_settings import as_json
from pushforward.fitting.log import Log, read_log
from pushforward.fitting.processes import interruptible

if TYPE_CHECKING:
    from pushforward.fitting.em import EM

__all__ = ["EMRun", "attributes_of", "believed", "classes_of", "ended", "held", "put_attributes", "rebuilt", "stored_settings"]

SHORT = 2.0
"""Seconds after which a fit is worth a folder."""
SETTINGS = ("steps", "tolerance", "block", "seed")
_OF_MODULES = frozenset(vars(nn.Module()))


class EMRun:
    """The folder one fit writes to; a fit without one has `kept` False and writes nothing.

    Arguments:
        em: run, resume, overwrite, documents and save_every.
        model: not prepared yet.
        source: the rows.
        first: whether this process writes and reports.
        world: how many processes there are.
    """

    def __init__(self, em: EM, model: Model, source: Source, *, first: bool, world: int) -> None:
        self._em, self._model, self._source, self._first, self._world = em, model, source, first, world
        self._folder = Path() if em.run is None else Path(em.run)
        self._checkpoints = Checkpoints(self._folder)
        self._log: Log | None = None
        self._early: list[Event] = []
        self._described: bool | None = None
        self._there = em.resume is not None
        self._saved_at = time.monotonic()
        self._began = time.monotonic()
        self.kept = em.run is not None
        self.prepared = False
        """Whether the model is; model.json can be written then."""
        self.token = em.token or CancelToken()
        self.state: Mapping[str, Any] | None = None
        """What to go on from, if anything."""

    @contextmanager
    def opened(self) -> Iterator[list[int]]:
        """Within: the run is open, and signals ask the fit to save and stop. Yields those that came."""
        with ExitStack() as stack:
            if not self.kept:
                yield []
                return
            if self._there:
                self._find()
            elif self._first:
                check_place(self._folder, overwrite=self._em.overwrite)
            stack.callback(self._close)
            yield stack.enter_context(interruptible(self.token, decides=True))

    def _find(self) -> None:
        """The newest checkpoint of the run to resume; BadRun for another run's, or where the fit has ended."""
        self.state = self._checkpoints.newest()
        if self.state is None and ended(self._folder):
            raise BadRun(f"the fit in {self._folder} has ended, so there is nothing to resume; load it, or begin a new run")
        if self.state is not None:
            with believed(self._folder):
                self._check(self.state)
                self._refuse_spent(self.state["passes"])
        if self._first:
            for folder in (self._folder, self._checkpoints.folder):
                clear_leftovers(folder)

    def _check(self, state: Mapping[str, Any]) -> None:
        for name, now in self._origin().items():
            before = state["origin"].get(name, now)
            if before != now:
                where = "the data differ" if name == "data" else f"{name} differs ({str(before)[:60]}, now {str(now)[:60]})"
                raise BadRun(f"{self._folder} cannot be resumed: {where}; resume it with what it was begun with, or begin a new run")

    def _refuse_spent(self, passes: Mapping[str, Any] | None) -> None:
        """InvalidValue where the run has made more steps than it is now allowed; starts that are done had as many as it was begun with."""
        if passes is None:
            return
        steps = stored_settings(self._folder)["steps"] if passes["attempt"] else passes["step"]
        more = self._em.steps
        if more < steps:
            cure = f"steps={steps + more} (--steps +{more}) to go on for {more} more"
            raise past_budget(self._folder, steps, f"{more} steps", cure)

    def _origin(self) -> dict[str, Any]:
        """What a checkpoint belongs to."""
        arguments = {name: str(as_json(value)) for name, value in self._model.hyperparameters().items()}
        settings = {name: getattr(self._em, name) for name in SETTINGS if name != "steps"}
        named = {f"the model's {k}": v for k, v in arguments.items()}
        return {"model": type(self._model).__name__, **named, **settings, "processes": self._world, "data": fingerprint(self._source)}

    # ------------------------------------------------------------------------------------------- writing

    def tick(self) -> None:
        """Make the folder once the fit has gone on for a while: one that fails at once leaves nothing behind."""
        if self.kept and self._log is None and time.monotonic() - self._began > min(SHORT, self._em.save_every):
            self.begin()

    def begin(self) -> None:
        """Make the folder, if it is not there yet, and describe the model, if that is known by now."""
        if not self.kept or not self._first:
            return
        if self._there:
            if not (self._folder / "trainer.json").is_file():
                raise BadRun(f"the run folder {self._folder} was removed or renamed while the fit was writing to it; fit again")
            if self._described is not self.prepared:
                self._write_known(self._folder)
        else:
            with new_run(self._folder, overwrite=self._em.overwrite) as folder:
                self._write_known(folder)
        self._there, self._described = True, self.prepared
        if self._log is None:
            self._log = Log(self._folder, self.state["log"] if self.state else 0)
            for event in self._early:
                self._log.write(event)

    def _write_known(self, folder: Path) -> None:
        for name, text in self._em.documents.items():
            write_text(folder / name, text)
        batch = getattr(self._model, "batch", None)
        content = {"fitter": "em", **{name: getattr(self._em, name) for name in SETTINGS}, "batch": batch}
        write_text(folder / "trainer.json", json.dumps(content, indent=2) + "\n")
        if self.prepared:
            describe(self._model, folder)

    def write(self, event: Event) -> None:
        """Log an event."""
        if self._log:
            self._log.write(event)
        elif self.kept:
            self._early.append(event)

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is old enough for another."""
        return self.kept and time.monotonic() - self._saved_at > self._em.save_every

    def save(self, state: Mapping[str, Any], samples: int, *, usable: bool) -> Path | None:
        """Write a checkpoint, and the model too if it is `usable` as it is."""
        if not self.kept or not self._first:
            self._saved_at = time.monotonic()
            return None
        self.begin()
        assert self._log is not None
        self._log.sync()
        path = self._checkpoints.save({**state, "log": self._log.position, "origin": self._origin()}, samples)
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
        """Remove the checkpoints of a fit that has ended: its model says all there is to say."""
        if self.kept and self._first and self._checkpoints.folder.is_dir():
            for path in self._checkpoints.folder.glob("[0-9]*.safetensors"):
                path.unlink(missing_ok=True)
            if not any(self._checkpoints.folder.iterdir()):
                self._checkpoints.folder.rmdir()

    def _close(self) -> None:
        if self._log:
            self._log.close()


@contextmanager
def believed(folder: Path) -> Iterator[None]:
    """Within: BadRun where a checkpoint turns out not to be what it should be."""
    try:
        yield
    except PushforwardError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
        raise BadRun(f"the newest checkpoint in {folder / 'state'} is not one of this fit; remove it, or begin a new run") from error


def stored_settings(folder: Path) -> dict[str, Any]:
    """What trainer.json says of a run by passes; BadRun where it is none."""
    path = folder / "trainer.json"
    try:
        content = parsed_json(read_file(path)) if path.is_file() else {}
    except ValueError as error:
        raise BadRun(f"{path} is damaged; restore it from a copy") from error
    if not isinstance(content, dict) or content.get("fitter") != "em":
        other = "it was begun by a Trainer: pass Trainer(resume=…)" if content else "it holds no trainer.json; begin a new run"
        raise BadRun(f"{folder} cannot be resumed by EM: {other}")
    kinds: dict[str, Any] = {"steps": int, "tolerance": (int, float), "block": (int, type(None)), "seed": int}
    for name, kind in kinds.items():
        if not isinstance(content.get(name, ""), kind) or isinstance(content[name], bool):
            raise BadRun(f"{path} is damaged ({name} is of the wrong kind); restore it from a copy")
    return content


def ended(folder: Path) -> bool:
    """Whether the fit in a run folder came to its end."""
    told = read_log(folder)
    return bool(told) and told[-1].get("event") == "finished" and told[-1].get("reason") != "interrupted"


# ------------------------------------------------------------------------------------------------ what is remembered


def attributes_of(model: Model) -> dict[str, Any]:
    """The tree of what a model holds beside its arguments: buffers, and attributes that can be stored."""
    known = {
        *_OF_MODULES,
        *model.hyperparameters(),
        "space",
        "condition_space",
        "command",
        "preparation",
        "dequantise",
        "accepts",
        "fit_result",
    }
    own = {name: held(value) for name, value in vars(model).items() if name not in known and _storable(value)}
    return {"buffers": {name: held(value) for name, value in model.named_buffers()}, "attributes": own}


def put_attributes(model: Model, tree: Mapping[str, Any], device: torch.device) -> None:
    """Give a prepared model what `attributes_of` took."""
    for name, value in tree["buffers"].items():
        holder, _, leaf = name.rpartition(".")
        model.get_submodule(holder)._buffers[leaf] = rebuilt(value, {}, device)
    classes = classes_of(model)
    for name, value in tree["attributes"].items():
        setattr(model, name, rebuilt(value, classes, device))


def held(value: Any) -> Any:
    """A value as a tree for a checkpoint: dataclasses by name and fields, tensors with the order of their axes in memory."""
    if isinstance(value, Tensor):
        strides = value.stride()
        order = sorted(range(value.ndim), key=lambda axis: -strides[axis])
        return value if value.is_contiguous() else {"axes": order, "tensor": value.permute(order)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: held(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": type(value).__name__, "fields": fields}
    if isinstance(value, dict):
        return {"dict": {k: held(v) for k, v in value.items()}}
    return [held(v) for v in value] if isinstance(value, list) else tuple(map(held, value)) if isinstance(value, tuple) else value


def rebuilt(tree: Any, classes: Mapping[str, type], device: torch.device) -> Any:
    """What `held` took apart; BadRun for a dataclass that is not one of `classes`."""
    if isinstance(tree, Tensor):
        return tree.to(device, copy=True)
    if isinstance(tree, dict) and "axes" in tree:
        order = [int(axis) for axis in tree["axes"]]
        return tree["tensor"].to(device, copy=True).permute([order.index(axis) for axis in range(len(order))])
    if isinstance(tree, dict) and "class" in tree:
        if tree["class"] not in classes:
            raise BadRun(f"the checkpoint holds a {str(tree['class'])[:60]}, which this version does not know; begin a new run")
        cls = classes[tree["class"]]
        made: Any = object.__new__(cls)
        for name, value in tree["fields"].items():
            object.__setattr__(made, name, rebuilt(value, classes, device))
        return made
    if isinstance(tree, dict):
        return {k: rebuilt(v, classes, device) for k, v in tree["dict"].items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(rebuilt(v, classes, device) for v in tree)
    return tree


def classes_of(model: Model) -> dict[str, type]:
    """The dataclasses that the modules of a model's classes know, by name."""
    found: dict[str, type] = {}
    for cls in reversed(type(model).__mro__):
        named = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        found.update({v.__name__: v for v in named.values() if isinstance(v, type) and dataclasses.is_dataclass(v)})
    return found


def _storable(value: Any) -> bool:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(_storable(getattr(value, f.name)) for f in dataclasses.fields(value))
    if isinstance(value, dict):
        return all(isinstance(k, (str, int)) and _storable(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_storable, value))
    return value is None or isinstance(value, (Tensor, bool, int, float, str))
