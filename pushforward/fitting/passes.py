"""One fit by passes: its starts, passes and checkpoints, from the first to the last event.

Every process reads its own share of the rows; one exchange per pass collects the statistics, and
all processes merge them in the same order, so all get the same bits.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pushforward.core.devices import describe_device
from pushforward.core.events import Event, Finished, Progress, Reason, Saved, Started, Warned
from pushforward.core.random import derive, generator
from pushforward.core.source import Source
from pushforward.fitting.announcer import Announcer
from pushforward.fitting.blocks import Blocks
from pushforward.fitting.controls import Controls
from pushforward.fitting.facts import Scanner
from pushforward.fitting.packing import merge_over
from pushforward.fitting.pass_folder import PassFolder
from pushforward.fitting.processes import Processes
from pushforward.fitting.protocols import PassModel, Statistics
from pushforward.fitting.settings import PassSettings
from pushforward.fitting.trees import (
    as_tree,
    collect_attributes,
    find_classes,
    from_tree,
    put_attributes,
)

__all__ = ["Passes"]

_REMEMBERED = ("attempt", "step", "block", "samples", "last", "best", "reason", "ended", "begun")
"""Attributes stored in a checkpoint for the position of the fit."""

TIE = 1e-12
"""Share by which a later start must be better than the best: equal ones differ by rounding, which
depends on the number of processes.
"""


class Passes:
    """One fit.

    Args:
        settings: of the passes.
        announcer: sends events to observers.
        fitted: the model, prepared.
        source: the rows.
        processes: those sharing the rows.
        folder: the run folder.
        scanner: its result is part of checkpoints.
    """

    def __init__(
        self,
        settings: PassSettings,
        announcer: Announcer,
        fitted: PassModel,
        source: Source,
        processes: Processes,
        folder: PassFolder,
        scanner: Scanner,
    ) -> None:
        self._settings, self._announcer, self._fitted = settings, announcer, fitted
        self._model, self._source = fitted.model, source
        self._processes, self._folder, self._scanner = processes, folder, scanner
        self._blocks = Blocks(settings, fitted, source, processes)
        self._most = 1 if fitted.single else settings.steps
        self._total: Statistics | None = None
        self._best_tensors: dict[str, Tensor] | None = None
        self._settling = False
        self._began = time.monotonic()
        self.samples = self.attempt = self.step = self.block = 0
        self.last = self.best = -math.inf
        self.reason: Reason = "budget"
        self.begun = False
        self.ended: tuple[Reason, float] | None = None

    def play(self) -> Finished:
        """Run all starts, keeping the best; return the last event."""
        self._restore()
        fitted, starts = self._fitted, self._fitted.starts
        budget = (fitted.batch or len(self._source)) * (1 if fitted.single else self._most * starts)
        device = describe_device(self._processes.device)
        self._emit(Started(self.samples, self.seconds, budget, fitted.name, device=device))
        while self.attempt < starts:
            ended, value = self._once()
            if ended == "interrupted" and self._folder.kept:
                self._save(usable=not fitted.single)
                return self._finished(ended)
            if self._best_tensors is None or value > self.best + TIE * abs(self.best):
                self.best, self.reason = value, ended
                self._best_tensors = self._copied() if starts > 1 else {}
            if ended == "interrupted":
                self.reason = ended
                break
            if self.attempt + 1 < starts:
                self.step, self.last, self.ended, self.begun = 0, -math.inf, None, False
            self.attempt += 1
        return self._finish()

    def _finish(self) -> Finished:
        """Keep the best start, report its symptoms, and store it."""
        if self._best_tensors:
            self._model.load_state_dict(self._best_tensors)
        self._folder.save_model()
        self._warn()
        finished = self._finished(self.reason, self.best if math.isfinite(self.best) else None)
        if not self._extendable:
            self._folder.forget()
        return finished

    def _finished(self, reason: Reason, quality: float | None = None) -> Finished:
        finished = Finished(self.samples, self.seconds, reason=reason, quality=quality)
        self._emit(finished)
        return finished

    @property
    def _extendable(self) -> bool:
        """Whether a larger budget would allow more passes."""
        several = self._fitted.starts > 1 or self._fitted.single
        return self._folder.kept and self.reason == "budget" and not several

    # ------------------------------------------------------------------------------------ one start

    def _once(self) -> tuple[Reason, float]:
        """Run one start; return why it ended, and the last objective."""
        if not self.begun and not self._fitted.single:
            rng = generator(derive(self._settings.seed, "start", self.attempt))
            self._model.begin(self._source, rng)
        self.begun = True
        reason, value = self._passes()
        if reason == "interrupted" and self._folder.kept:
            return reason, value
        if reason == "budget" and self._extendable:
            # before settling: a further pass would continue from here
            self.ended = None
            self._save(usable=False)
        if self._fitted.unsettled:
            self._settling = True
            merged = self._one_pass(self._settings.steps)
            assert merged is not None  # a settling pass is not stopped
            statistics, _ = merge_over(self._processes, merged)
            self._model.settle(statistics)
            value = self._fitted.objective(statistics)
            self._settling = False
        return reason, value

    def _passes(self) -> tuple[Reason, float]:
        """Run passes until the last; return the reason, and the last objective."""
        while self.ended is None:
            if self.step >= self._most:
                self.ended = "budget", self.last
                break
            if not self._admitted():
                return "interrupted", self.last
            merged = self._one_pass(self.step)
            if merged is None:
                return "interrupted", self.last
            flags = self._folder.cancelled + 2 * self._folder.due
            statistics, flags = merge_over(self._processes, merged, flags)
            self._total, self.block = None, 0
            self._fitted.check(statistics, self._source)
            done = bool(self._model.update(statistics))
            if self._fitted.only_looked:
                if self._fitted.outgrown:
                    self._blocks.forget()
                continue
            self._count(statistics, done)
            if self.ended is None and flags & 1:
                return "interrupted", self.last
            if flags & 2 and not self._fitted.single:
                self._save(usable=self._fitted.starts == 1)
        assert self.ended is not None
        return self.ended

    def _admitted(self) -> bool:
        """Whether the next pass may begin; the controls, if any, may hold it up."""
        token = self._folder.token
        return not isinstance(token, Controls) or token.admit(self._model)

    def _count(self, statistics: Statistics, done: bool) -> None:
        """After a pass that changed parameters: report it, and check whether it was the last."""
        self.step += 1
        value = self._fitted.objective(statistics)
        rate = self.samples / max(self.seconds, 1e-9)
        terms = self._fitted.terms(value)
        self._emit(Progress(self.samples, self.seconds, rate=rate, terms=terms))
        tolerance = self._settings.tolerance
        still = tolerance > 0 and self._fitted.batch is None and value - self.last < tolerance
        if done or still:
            self.ended = "converged", value
        self.last = value

    def _one_pass(self, step: int) -> Statistics | None:
        """The merged statistics of all processes' rows; None if the fit was asked to stop."""
        count = self._fitted.batch
        blocks = (
            self._blocks.all() if count is None else self._blocks.sampled(count, self.attempt, step)
        )
        alone = count is None and self._processes.world == 1 and self._folder.kept
        for at, (batch, memory) in enumerate(blocks):
            if at < self.block:
                continue
            part = self._fitted.statistics(batch, memory)
            self._total = part if self._total is None else self._total.merge(part)
            self.block = at + 1
            self._folder.tick()
            if memory is None and alone and not self._settling:
                if self._folder.cancelled:
                    return None
                if self._folder.due:
                    self._save(usable=False)
        self.samples += count or len(self._source)
        total, self._total, self.block = self._total, None, 0
        return total

    # ---------------------------------------------------------------------------------- checkpoints

    def _copied(self) -> dict[str, Tensor]:
        return {k: v.detach().clone() for k, v in self._model.state_dict().items()}

    def _save(self, *, usable: bool) -> None:
        """Write a checkpoint of everything that the rest of the fit depends on."""
        best = self._best_tensors
        state = {
            **self._scanner.done,
            "passes": {name: getattr(self, name) for name in _REMEMBERED},
            "block_rows": self._blocks.size,
            "total": as_tree(self._total),
            "best_tensors": None if best is None else {k: as_tree(v) for k, v in best.items()},
            "model": collect_attributes(self._model),
            "seconds": self.seconds,
            "mine": self._processes.objects(self._blocks.state()),
        }
        path = self._folder.save(state, self.samples, usable=usable)
        if path is not None:
            self._emit(Saved(self.samples, self.seconds, str(path)))

    def _restore(self) -> None:
        """Restore the checkpoint of `_save`, if the run has one."""
        state = self._folder.state
        if state is not None and state["passes"] is not None:
            with self._folder.checking_state():
                self._load(state)

    def _load(self, state: Mapping[str, Any]) -> None:
        device = self._processes.device
        put_attributes(self._model, state["model"], device)
        for name in _REMEMBERED:
            setattr(self, name, state["passes"][name])
        self._total = from_tree(state["total"], find_classes(self._model), device)
        if state.get("block_rows") != self._blocks.size:  # blocks of another version
            self.block, self._total = 0, None
        if self._total is not None and not dataclasses.is_dataclass(self._total):
            raise TypeError("the merged statistics are empty")
        if state["best_tensors"] is not None:
            best = state["best_tensors"].items()
            self._best_tensors = {k: from_tree(v, {}, device) for k, v in best}
        self._began -= state["seconds"]
        self._blocks.load(state["mine"][self._processes.rank])

    # -------------------------------------------------------------------------------------- telling

    @property
    def seconds(self) -> float:
        """Seconds spent fitting, over all resumptions."""
        return time.monotonic() - self._began

    def _warn(self) -> None:
        """Report the symptoms of the fit."""
        for symptom in self._fitted.symptoms():
            text = f"{symptom.name}: {symptom.observed}"
            self._emit(Warned(self.samples, self.seconds, text, symptom.advice))

    def _emit(self, event: Event) -> None:
        """Log an event and send it to observers, in the first process only."""
        if not self._processes.first:
            return
        self._folder.write(event)
        self._announcer.tell(event)
        self._announcer.call(event, self._model)
