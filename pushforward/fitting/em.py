r"""Learning by mergeable statistics: any number of passes over the rows, each one E step and one M step.

A model whose next parameters depend on the data only through a sum of statistics of single rows,

    T(X; θ) = Σ_i t(x_i; θ),        θ' = M(T(X; θ)),

is learnt from blocks of rows in any order, on any number of machines: T(A ∪ B) = T(A) ⊕ T(B). Expectation maximisation
(Dempster, Laird & Rubin 1977) is of this kind, and so are Lloyd's k-means and every closed form that needs moments.

What the fitter asks of a model: `statistics(batch)` gives a dataclass of tensors with an associative `merge`;
`update(statistics)` takes the M step and says whether it is done. A model may also have

* `begin(source, rng)`: set parameters before the first pass, from a seeded sample of rows that it takes itself;
* `starts`: how many such beginnings to run to their end, the best being kept;
* `objective(statistics)`: a number per row that no pass lowers (nats); decides convergence and the best start;
* `coordinates(x)`: the user's units to its own, where that is more than its scaling;
* `remember(batch)`: anything worth keeping beside a resident block between passes, handed back as `statistics(batch, memory)`;
* `looking`: whether the pass only looked and moved nothing, and so does not count; `outgrown`: whether rows must be mapped anew;
* `unsettled`, `settle(statistics)`: whether one more pass is to tell what the parameters it ended with are worth;
* `symptoms(vitals)`: what is wrong with the fit it ended with, as `Symptom`s;
* `batch`: how many rows to draw for each pass instead of taking all (mini-batches; the model then keeps what it has seen);
* `block_rows`: how many rows it likes at a time; `sampled_facts`: whether a sample of rows is enough to prepare it, in
  which case `complete(statistics)` must tell whether infinities or missing values came by.
"""

from __future__ import annotations

import dataclasses
import math
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import Diverged, FitWarning, Interrupted, InvalidValue, suggestion
from pushforward.core.events import CancelToken, Event, Finished, Listener, Progress, Saved, Started, Warned
from pushforward.core.model import Model
from pushforward.core.moments import Moments
from pushforward.core.numbers import floating, settle
from pushforward.core.phase import Batch
from pushforward.core.random import derive, generator, integers
from pushforward.core.scan import Facts, scan
from pushforward.core.source import Arrays, Source, Subset
from pushforward.fitting.em_run import SETTINGS, EMRun, attributes_of, believed, classes_of, held, put_attributes, rebuilt, stored_settings
from pushforward.fitting.explicit_settings import Given, require_stored
from pushforward.fitting.world import World

__all__ = ["EM"]

MOST_PROCESSES = 4096
"""More than any machine has."""

KEPT_BYTES = 4 << 30
"""Resident data are kept in the model's coordinates between passes up to this size, and mapped anew each pass above it."""


@dataclass
class EM(Given):
    """Fits models by passes of mergeable statistics: θ ← M(⊕ T(block; θ)) until the objective stands still.

    **Reference** Dempster, Laird & Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.

    **Arguments**
        steps: the most passes (from each start).
        tolerance: stop when a pass raises the objective by less than this (nats per row); 0 never stops for it.
        block: rows at a time; None for what the model likes.
        seed: of the starts.
        devices, num_nodes, strategy: as in Lightning Fabric; processes that torchrun started are joined in any case.
        accelerator: 'auto' (a CUDA device if there is one), 'cpu' or 'cuda'.
        run: folder to write checkpoints, log and model to; a fit that is killed goes on from there to the same bits.
        overwrite: replace the run folder if it is one already.
        documents: texts to put into the run folder as soon as it is made, by file name.
        resume: run folder to go on from, with the settings it was begun with; `steps` may be more.
        save_every: seconds between checkpoints, of the passes or, within a long one, of what has been merged so far.
        listeners: called with every event, in the first process only.
        token: stops the fit after the pass it is cancelled in.

    Every process reads its own share of the rows; one all-gather a pass brings the statistics together, and all merge
    them in the same order, so all end with the same bits. Data that are not resident stream, one block at a time.

    **Example**
        >>> import torch, pushforward as pf
        >>> x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> pf.PCA(2).fit(x, by=pf.EM(block=100)).encode(x).shape
        torch.Size([500, 2])
    """

    steps: int = 100
    tolerance: float = 1e-6
    block: int | None = None
    seed: int = 0
    devices: int = 1
    accelerator: str = "auto"
    strategy: str = "auto"
    num_nodes: int = 1
    run: str | Path | None = None
    overwrite: bool = False
    documents: Mapping[str, str] = field(default_factory=dict, repr=False)
    resume: str | Path | None = None
    save_every: float = 60.0
    listeners: Sequence[Listener] = field(default=(), repr=False)
    token: CancelToken | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        settle(self)
        if self.resume is not None:
            self._take_stored(Path(self.resume))
        if not self.save_every >= 0:
            raise InvalidValue(f"save_every is in seconds and must not be negative, got {self.save_every}; pass 60, say")
        for name in ("steps", "block", "devices", "num_nodes"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise InvalidValue(f"{name} must be a whole number above 0, got {value!r}; pass {name}=1, say")
        if not self.tolerance >= 0:
            raise InvalidValue(f"tolerance must not be negative, got {self.tolerance}; pass 0 to use every step")
        if self.accelerator not in ("auto", "cpu", "cuda", "gpu"):
            raise InvalidValue(f"accelerator must be 'auto', 'cpu' or 'cuda', got {self.accelerator!r}")
        if max(self.devices, self.num_nodes) > MOST_PROCESSES:
            raise InvalidValue(f"devices and num_nodes must be at most {MOST_PROCESSES}, got {max(self.devices, self.num_nodes)}")
        if self.strategy not in ("auto", "ddp"):
            from lightning_fabric.strategies import STRATEGY_REGISTRY

            known = ["auto", *STRATEGY_REGISTRY.available_strategies()]
            if self.strategy not in known:
                raise InvalidValue(f"unknown strategy {self.strategy!r}; {suggestion(str(self.strategy), known)}")

    def fit(self, model: Any, source: Source) -> Finished:
        """Learn `model` from `source`, afresh, in every process of the world."""
        if not callable(getattr(model, "statistics", None)) or not callable(getattr(model, "update", None)):
            cure = "fit it with a Trainer" if hasattr(model, "phases") else "define statistics(batch) and update(statistics)"
            raise InvalidValue(f"EM needs a model with mergeable statistics, and {type(model).__name__} has none; {cure}")
        with torch.no_grad():
            world = World.join(self)
            run = EMRun(self, model, source, first=world.rank == 0, world=world.size)
            with run.opened():
                model.prepare(source, self._facts(model, source, world, run))
                model.to(world.device)
                run.prepared = True
                finished = _Fit(self, model, source, world, run).run()
        model.eval()
        if run.kept and finished.reason == "interrupted" and getattr(model, "one_pass", False):
            raise Interrupted(saved=True)  # there is no model yet
        return finished

    def _facts(self, model: Any, source: Source, world: World, run: EMRun) -> Facts:
        """What the data are like; the scan, which may be as long as a pass, is saved and resumed too."""
        size = max(256, (1 << 18) // source.space.size)
        self._scanned: tuple[Any, int] = (None, 0)
        if getattr(model, "sampled_facts", False):
            return scan(source, most=2048, block=256)
        rows, state = world.share(len(source)), run.state or {}
        facts, begin = _no_facts(source.space.size), rows.start
        if state.get("facts") is not None:
            with believed(Path(self.run or "")):
                facts = rebuilt(state["facts"], {"Facts": Facts, "Moments": Moments}, torch.device("cpu"))
                begin = rows.start + int(state["scanned"] - rows.start)
        for start in range(begin, rows.stop, size):
            facts = facts.merge(Facts.of(_rows(source, start, min(start + size, rows.stop))))
            if world.size == 1 and (run.due or (run.kept and run.token.cancelled)):
                run.save({"facts": held(facts), "scanned": min(start + size, rows.stop), "passes": None}, 0, usable=False)
                if run.token.cancelled:
                    raise Interrupted(saved=True)
            run.tick()
        self._scanned = (held(facts), rows.stop) if world.size == 1 else (None, 0)
        merged: Facts = world.merge(_even(facts))
        return _plain(dataclasses.replace(merged, count=len(source)))

    def _take_stored(self, folder: Path) -> None:
        """Fill in the settings of the run to resume; those given must be the same, but for more steps."""
        stored = stored_settings(folder)
        given = {name: getattr(self, name) for name in self.given}
        if self.run is not None and Path(self.run) != folder:
            raise InvalidValue(f"resume={str(folder)!r} goes on in that folder, got run={str(self.run)!r} too; leave run out")
        require_stored(given, stored, folder, ("tolerance", "block", "seed"))
        for name in SETTINGS:
            if name != "steps" or name not in given:
                setattr(self, name, stored[name])
        self.run = folder


_STOPPED = object()
_REMEMBERED = ("attempt", "step", "block", "samples", "last", "best", "reason", "ended", "begun")


class _Fit:
    """One call of `EM.fit`: the clock, the blocks and the passes."""

    def __init__(self, em: EM, model: Any, source: Source, world: World, run: EMRun) -> None:
        self.em, self.model, self.source, self.world, self.folder = em, model, source, world, run
        self.began, self.samples = time.monotonic(), 0
        self.starts = int(getattr(model, "starts", 1)) if hasattr(model, "begin") else 1
        self.rows = world.share(len(source))
        self.size = em.block or int(getattr(model, "block_rows", 4096))
        self.single = bool(getattr(model, "one_pass", False))
        self.batch: int | None = getattr(model, "batch", None)
        self.kept: list[tuple[Batch, Any]] | None = None
        self.attempt = self.step = self.block = 0
        self.last = self.best = -math.inf
        self.total: Any = None
        self.best_tensors: dict[str, Tensor] | None = None
        self.reason = "budget"
        self.ended: tuple[str, float] | None = None
        self.begun = self.settling = False

    def run(self) -> Finished:
        """All starts; the best is what the model keeps."""
        self.restore()
        budget = (self.batch or len(self.source)) * (1 if self.single else self.em.steps * self.starts)
        parameters = sum(b.numel() for k, b in self.model.named_buffers() if k.rpartition(".")[2].endswith("_"))
        self.emit(Started(self.samples, self.seconds, budget=budget, model=type(self.model).__name__, parameters=parameters))
        while self.attempt < self.starts:
            ended, value = self.once(self.attempt)
            if ended == "interrupted" and self.folder.kept:
                self.save(usable=not self.single)
                return self.ended_with(ended)
            if self.best_tensors is None or value > self.best:
                self.best, self.reason = value, ended
                self.best_tensors = _copy(self.model) if self.starts > 1 else {}
            if ended == "interrupted":
                self.reason = ended
                break
            if self.attempt + 1 < self.starts:
                self.step, self.last, self.ended, self.begun = 0, -math.inf, None, False
            self.attempt += 1
        return self.finish()

    def finish(self) -> Finished:
        """Keep the best, say what is wrong with it, and store it."""
        if self.best_tensors:
            self.model.load_state_dict(self.best_tensors)
        self.folder.save_model()
        self.warn()
        quality = self.best if math.isfinite(self.best) else None
        finished = self.ended_with(self.reason, quality)
        if not self.extendable:
            self.folder.forget()
        return finished

    def ended_with(self, reason: str, quality: float | None = None) -> Finished:
        """Tell the listeners that the fit is over; returns the event."""
        finished = Finished(self.samples, self.seconds, reason=reason, quality=quality)
        self.emit(finished)
        return finished

    @property
    def extendable(self) -> bool:
        """Whether more passes would follow, if there were more of a budget."""
        return self.folder.kept and self.reason == "budget" and self.starts == 1 and not self.single

    def once(self, attempt: int) -> tuple[str, float]:
        """From one start to its end: why it ended, and the last objective."""
        if not self.begun and hasattr(self.model, "begin"):
            self.model.begin(self.source, generator(derive(self.em.seed, "start", attempt)))
        self.begun = True
        reason, value = self.passes(attempt)
        if reason == "interrupted" and self.folder.kept:
            return reason, value
        if reason == "budget" and self.extendable:  # before it settles: the next pass, should there be one, follows from here
            self.ended = None
            self.save(usable=False)
        if getattr(self.model, "unsettled", False):
            self.settling = True
            statistics, _ = self.world.gather(self.one_pass(attempt, self.em.steps), 0)
            self.model.settle(statistics)
            value = self.objective(statistics)
            self.settling = False
        return reason, value

    def passes(self, attempt: int) -> tuple[str, float]:
        """Passes until one is the last: why, and the last objective."""
        while self.ended is None:
            if self.step >= (1 if self.single else self.em.steps):
                self.ended = "budget", self.last
                break
            own = self.one_pass(attempt, self.step)
            if own is _STOPPED:
                return "interrupted", self.last
            statistics, flags = self.world.gather(own, self.cancelled + 2 * self.folder.due)
            self.total, self.block = None, 0
            self.check(statistics)
            done = bool(self.model.update(statistics))
            if getattr(self.model, "looking", False):
                self.kept = None if getattr(self.model, "outgrown", False) else self.kept
                continue
            self.step += 1
            value = self.objective(statistics)
            self.report(value)
            if done or (self.em.tolerance > 0 and self.batch is None and value - self.last < self.em.tolerance):
                self.ended = "converged", value
            self.last = value
            if self.ended is None and flags & 1:
                return "interrupted", value
            if flags & 2 and not self.single:
                self.save(usable=self.starts == 1)
        return self.ended

    def one_pass(self, attempt: int, step: int) -> Any:
        """The merged statistics of this process's rows, which may be none; `_STOPPED` where the fit was asked to stop."""
        blocks = self.batches() if self.batch is None else self.drawn(attempt, step, self.batch)
        for at, (batch, memory) in enumerate(blocks):
            if at < self.block:
                continue
            part = self.model.statistics(batch) if memory is None else self.model.statistics(batch, memory)
            self.total = part if self.total is None else self.total.merge(part)
            self.block = at + 1
            self.folder.tick()
            if memory is None and self.batch is None and self.world.size == 1 and self.folder.kept and not self.settling:
                if self.folder.token.cancelled:
                    return _STOPPED
                if self.folder.due:
                    self.save(usable=False)
        self.samples += self.batch or len(self.source)
        total, self.total, self.block = self.total, None, 0
        return total

    # ------------------------------------------------------------------------------------------- being remembered

    def save(self, *, usable: bool) -> None:
        """A checkpoint of everything that the rest of the fit depends on."""
        mine = {"memories": [None if m is None else _stored(m) for _, m in self.kept or ()]}
        state = {
            "facts": self.em._scanned[0],
            "scanned": self.em._scanned[1],
            "passes": {name: getattr(self, name) for name in _REMEMBERED},
            "total": held(self.total),
            "best_tensors": None if self.best_tensors is None else {k: held(v) for k, v in self.best_tensors.items()},
            "model": attributes_of(self.model),
            "seconds": self.seconds,
            "mine": self.world.objects(mine),
        }
        path = self.folder.save(state, self.samples, usable=usable)
        if path is not None:
            for listener in self.em.listeners:
                listener(Saved(self.samples, self.seconds, str(path)))

    def restore(self) -> None:
        """Take back what `save` put down, if the run has it."""
        state = self.folder.state
        if state is not None and state["passes"] is not None:
            with believed(Path(self.em.run or "")):
                self._restore(state)

    def _restore(self, state: Mapping[str, Any]) -> None:
        device = self.world.device
        put_attributes(self.model, state["model"], device)
        for name in _REMEMBERED:
            setattr(self, name, state["passes"][name])
        self.total = rebuilt(state["total"], classes_of(self.model), device)
        if self.total is not None and not dataclasses.is_dataclass(self.total):
            raise TypeError("the merged statistics are none")
        if state["best_tensors"] is not None:
            self.best_tensors = {k: rebuilt(v, {}, device) for k, v in state["best_tensors"].items()}
        self.began -= state["seconds"]
        memories = state["mine"][self.world.rank]["memories"]
        if memories:
            classes = classes_of(self.model)
            self.kept = [(batch, memory) for batch, memory in self._mapped_blocks(remembering=any(m is not None for m in memories))]
            for (_, memory), tree in zip(self.kept, memories):
                if tree is not None:
                    vars(memory).update(rebuilt(tree, classes, device))

    def drawn(self, attempt: int, step: int, count: int) -> Iterator[tuple[Batch, Any]]:
        """This process's part of a mini-batch: rows drawn with replacement, the same ones whatever the number of processes."""
        rows = integers(len(self.source), (count,), rng=derive(self.em.seed, "batch", attempt, step))
        for part in rows[self.world.rank :: self.world.size].sort().values.split(self.size):
            yield self.mapped(self.source.take(part)), None

    def batches(self) -> Iterator[tuple[Batch, Any]]:
        """This process's rows in the model's coordinates, kept between passes where they are resident and fit."""
        if self.kept is not None:
            yield from self.kept
            return
        keep = self.source.resident and not self.single and len(self.rows) * self.source.space.size * 8 <= KEPT_BYTES
        kept: list[tuple[Batch, Any]] = []
        for batch, memory in self._mapped_blocks(remembering=keep and hasattr(self.model, "remember")):
            if keep:
                kept.append((batch, memory))
            yield batch, memory
        if keep:
            self.kept = kept

    def _mapped_blocks(self, remembering: bool) -> Iterator[tuple[Batch, Any]]:
        for start in range(self.rows.start, self.rows.stop, self.size) or [self.rows.start]:
            batch = self.mapped(_rows(self.source, start, min(start + self.size, self.rows.stop)))
            yield batch, self.model.remember(batch) if remembering else None

    def mapped(self, batch: Batch) -> Batch:
        """A block in the model's coordinates, on its device, in its floating type."""
        x, dtype = batch.x.to(self.world.device), self.model.floating()
        if hasattr(self.model, "coordinates"):
            x = self.model.coordinates(x)
        else:
            wide = x if x.dtype == torch.float64 or dtype != torch.float64 else x.to(dtype)
            x = (wide if self.model.scaling.kind == "identity" else self.model.scaling(wide)).to(dtype)
        return Batch(x, batch.y, None if batch.weights is None else batch.weights.to(self.world.device, dtype))

    def check(self, statistics: Any) -> None:
        """Refuse what a sampled scan could not see: missing or infinite values anywhere in the data."""
        if getattr(self.model, "sampled_facts", False) and not self.model.complete(statistics):
            self.model.refuse(self.source, scan(self.source, block=max(256, (1 << 18) // self.source.space.size)))
            raise Diverged(f"the statistics of {type(self.model).__name__} overflowed; the values are too large to square: rescale them")

    def objective(self, statistics: Any) -> float:
        """The model's own; minus infinity where it has none."""
        if not hasattr(self.model, "objective"):
            return -math.inf
        value = float(self.model.objective(statistics))
        if math.isnan(value):
            raise Diverged(f"the objective of {type(self.model).__name__} became NaN; look for extreme values, or use precision='float64'")
        return value

    def report(self, value: float) -> None:
        """One Progress event."""
        rate = self.samples / max(self.seconds, 1e-9)
        terms: Mapping[str, float] = dict(self.model.report(value)) if hasattr(self.model, "report") else {"log_likelihood": value}
        self.emit(Progress(self.samples, self.seconds, rate=rate, terms=terms if math.isfinite(value) else {}))

    def warn(self) -> None:
        """Say what is wrong with the fit: to the listeners, and as a FitWarning unless one of them shows what it hears."""
        if self.world.rank > 0 or not hasattr(self.model, "symptoms"):
            return
        shown = any(getattr(listener, "shows_warnings", False) for listener in self.em.listeners)
        for symptom in self.model.symptoms({}):
            said = f"{symptom.name}: {symptom.seen}"
            self.emit(Warned(self.samples, self.seconds, said, symptom.advice))
            if not shown:
                warnings.warn(f"{said}; try: {symptom.advice}", FitWarning, stacklevel=_user())

    @property
    def seconds(self) -> float:
        """Since the fit began."""
        return time.monotonic() - self.began

    @property
    def cancelled(self) -> bool:
        """Whether this process was asked to stop."""
        return self.folder.token.cancelled

    def emit(self, event: Event) -> None:
        """Tell the listeners, in the first process only."""
        if self.world.rank == 0:
            self.folder.write(event)
            for listener in self.em.listeners:
                listener(event)


# -------------------------------------------------------------------------------------------------------- helpers


def _user() -> int:
    """The stack level, for a warning of the caller, of the first frame outside this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and (
        frame.f_globals.get("__name__", "").startswith("pushforward.") or frame.f_code.co_filename[:1] == "<"
    ):
        frame, level = frame.f_back, level + 1
    return level


def _rows(source: Source, start: int, stop: int) -> Batch:
    """Consecutive rows; a view where the source holds one tensor, so that no row is copied."""
    if isinstance(source, Arrays) and isinstance(source.x, Tensor):
        x = floating(source.x[start:stop])
        return Batch(x, None, None if source.weights is None else source.weights[start:stop])
    batch = source.take(torch.arange(start, stop))
    return Batch(batch.x, None, batch.weights)


def _no_facts(d: int) -> Facts:
    """Of no rows in d coordinates."""
    zero, none = torch.zeros(d, dtype=torch.float64), torch.zeros(d, dtype=torch.int64)
    return Facts(0, Moments(zero, zero, zero), zero + math.inf, zero - math.inf, none, none)


def _even(facts: Facts) -> Facts:
    """Facts with one count per column, the same form in every process."""
    moments = facts.moments
    return dataclasses.replace(facts, moments=dataclasses.replace(moments, count=moments.count.expand_as(moments.mean).clone()))


def _plain(facts: Facts) -> Facts:
    """Back to one count for all where no value is missing."""
    moments, gaps = facts.moments, bool(facts.missing.any()) or bool(facts.infinite.any())
    return facts if gaps else dataclasses.replace(facts, moments=dataclasses.replace(moments, count=moments.count[0]))


def _stored(memory: Any) -> Any:
    """What is kept beside a block, without what follows from its rows."""
    return held({k: v for k, v in vars(memory).items() if k not in getattr(memory, "derived", ())})


def _copy(model: Model) -> dict[str, Tensor]:
    return {k: v.detach().clone() for k, v in model.state_dict().items()}


def sample_rows(source: Source, most: int, rng: torch.Generator) -> Batch:
    """At most `most` rows, drawn without replacement, in order: the same in every process for the same seed."""
    n = len(source)
    rows = torch.arange(n) if n <= most else torch.randperm(n, generator=rng)[:most].sort().values
    return Subset(source, rows).take(torch.arange(len(rows)))
