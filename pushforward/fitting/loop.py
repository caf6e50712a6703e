"""One fit by gradients: step, report, evaluate, save, roll back, finish.

The loop determines the order and holds little state itself: the position of the fit and the last
good state. Each collaborator has its own module: processes, random streams, budget, feed, players,
tally of terms, evaluation, run folder, watchdog. Their states are combined here, for checkpoints on
disk and for rollbacks in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import Tensor

from pushforward.core.devices import describe_device
from pushforward.core.errors import BadSource, Diverged, InvalidValue
from pushforward.core.events import (
    CancelToken,
    Evaluated,
    Event,
    Finished,
    Progress,
    Reason,
    Saved,
    Started,
    Warned,
)
from pushforward.core.learner import Learner
from pushforward.core.modes import evaluation_mode
from pushforward.core.phase import Batch, Phase, Step
from pushforward.fitting.announcer import Announcer
from pushforward.fitting.budget import Budget
from pushforward.fitting.checkpoint import copy_tree
from pushforward.fitting.controls import Gate
from pushforward.fitting.evaluation import Evaluation
from pushforward.fitting.feed import Feed
from pushforward.fitting.film import Camera
from pushforward.fitting.gradient_processes import GradientProcesses
from pushforward.fitting.players import Players, due_phases
from pushforward.fitting.run_folder import RunFolder
from pushforward.fitting.settings import FitSettings
from pushforward.fitting.streams import BorrowedStreams, Streams
from pushforward.fitting.tally import Tally
from pushforward.fitting.watchdog import Watchdog, advise, find_bad_network, locate_fault

__all__ = ["Collaborators", "Loop"]

REPORTS = 100
"""Reports per budget, at least one every 100 steps: a smooth curve in a short log."""
STEPS_UNKNOWN = 10_000
"""Steps assumed for a budget in minutes, to space its reports."""
CHECK_UPS, EVALUATIONS = 8, 20  # most per budget: a curve shows by then
ROLLBACKS = 3
"""Most rollbacks: if a fit diverges again at an eighth of its rates, the rates are not the cause.
"""


@dataclass(frozen=True)
class Collaborators:
    """The collaborators of one fit; the model is prepared and the players are in training mode."""

    processes: GradientProcesses
    borrowed: BorrowedStreams
    folder: RunFolder
    feed: Feed
    budget: Budget
    players: Players
    streams: Streams
    evaluation: Evaluation
    camera: Camera
    announcer: Announcer
    token: CancelToken


class Loop:
    """One fit.

    Args:
        settings: of the fit.
        model: the learner, prepared.
        phases: the model's.
        parts: the collaborators.
        note: adjustments made to the settings.
    """

    def __init__(
        self,
        settings: FitSettings,
        model: Learner,
        phases: Sequence[Phase],
        parts: Collaborators,
        note: str = "",
    ) -> None:
        self.settings, self.model, self.phases, self.note = settings, model, phases, note
        self.processes, self.borrowed = parts.processes, parts.borrowed
        self.folder, self.feed, self.budget = parts.folder, parts.feed, parts.budget
        self.players, self.streams = parts.players, parts.streams
        self.evaluation, self.camera = parts.evaluation, parts.camera
        self.announcer, self.token = parts.announcer, parts.token
        self.gate = Gate(parts.token, self.borrowed, self.players, self._report_rest, model)
        self.tally = Tally(parts.processes)
        self.watchdog = self._new_watchdog()
        self.step, self.rollbacks = 0, 0
        self.warned: set[str] = set()
        self.report_every = max(1, min(100, (self.budget.total or STEPS_UNKNOWN) // REPORTS))
        self.evaluate_every = self._steps_between_evaluations()
        self._good: Any = None

    def _steps_between_evaluations(self) -> int:
        epoch, epochs = self.budget.epoch, self.settings.evaluation.every
        if epochs is not None:
            return max(1, round(epochs * epoch))
        times = EVALUATIONS if self.feed.held_out is not None else CHECK_UPS
        least = self.feed.least_steps_between_evaluations
        return max(least, (self.budget.total or times * epoch) // times)

    def _new_watchdog(self) -> Watchdog:
        at_once = self.processes.device.type == "cpu" and self.processes.world == 1
        return Watchdog(
            at_once, gradients=self.processes.scaler is None, agree=self.processes.first_of_all
        )

    def play(self, *, resumed: bool) -> Finished:
        """Run the fit; return the last event."""
        self._begin(resumed)
        return self._finish(self._run())

    def _begin(self, resumed: bool) -> None:
        """Start the clocks; store what run.json cannot reproduce in a checkpoint before it."""
        self.budget.begin()
        self.folder.restart_clock()
        if resumed and self.budget.extended:
            self.evaluation.be_patient()
            self._save()
        if self.folder.kept and self.settings.optimisation.start is not None:
            self._save()
            self.folder.store_settings(self.model)

    # --------------------------------------------------------------------------------- step by step

    def _run(self) -> Reason:
        """Train until the fit ends; return the reason."""
        self.tally.begin(self.step)
        size, device = self.players.parameters, describe_device(self.processes.device)
        budget, name = self.budget.samples, self._name()
        self.emit(Started(*self._now(), budget, name, size, self.note, device))
        batches = self.feed.from_step(self.step)
        if self._good is None:
            self._remember()
        while not (reason := self._ended()):
            if not self.gate.admits():
                continue
            try:
                self.borrowed.give_way()
                self._play_step(next(batches))
                self.step += 1
                self._after_step()
            except Diverged as error:
                self._roll_back(error)
                batches.close()
                batches = self.feed.from_step(self.step)
        batches.close()
        return reason

    def _ended(self) -> Reason | None:
        """The reason why the fit is over; None while it is not."""
        if self.budget.total is not None and self.step >= self.budget.total:
            return "budget"
        if self.evaluation.out_of_patience:
            return "patience"
        if self.budget.total is None and self._agreed(self.budget.fraction(self.step) >= 1):
            return "budget"
        stops = self._agreed(self.token.cancelled or self.folder.stop_requested)
        return "interrupted" if stops else None

    def _agreed(self, mine: bool) -> bool:
        """The first process's decision for all, every few steps; at once in a single process."""
        if self.processes.world == 1:
            return mine
        return bool(self.processes.from_first(mine)) if self.step % 10 == 0 else False

    def _play_step(self, raw: Batch) -> None:
        """Run the due groups of phases on a batch: all gradients of a group, then its updates."""
        batch = self.feed.into_model(raw, self.streams.augment)
        groups = due_phases(self.gate.chosen(self.phases), self.step)
        fraction, shared = self.budget.fraction(self.step), self.players.shared(groups)
        here = Step(self.samples, fraction, self.streams.noise, shared)
        weight = self.players.total_weight(batch)
        for group in groups:
            self.players.forget_gradients(group)
            for phase in group:
                self._learn(phase, batch, here, weight)
            for phase in group:
                self.players.move(phase, batch, here)
        if self.players.average:
            self.players.average.update()

    def _learn(self, phase: Phase, batch: Batch, here: Step, weight: float | Tensor) -> None:
        """Compute a phase's gradient and check it."""
        before = self.streams.noise.get_state()
        terms = self.players.take_gradient(phase, batch, here, weight)
        for name, value in [*terms.items(), *terms.logged.items()]:
            plain = len(self.phases) == 1 or name == phase.name
            self.tally.note(name if plain else f"{phase.name}.{name}", value)
        try:
            self.watchdog.watch(
                phase.name, terms, {name: self.players.learnable[name] for name in phase.networks}
            )
        except Diverged as error:
            self.streams.noise.set_state(before)
            self._explain(error, phase, batch, here)

    def _explain(self, error: Diverged, phase: Phase, batch: Batch, here: Step) -> NoReturn:
        """Raise Diverged naming the cause:
        the data, or the part found by repeating the phase with the same noise.
        """
        row = self.feed.bad_row(batch, self.step)
        if row is not None:
            raise BadSource(
                f"{row} of the data holds NaN or infinity ({error} after {self.samples} samples);"
                " remove or replace such values"
            ) from error
        where = locate_fault(lambda: phase.loss(batch, here), self.players.networks, phase.networks)
        raise Diverged(
            f"{error}{f' ({where})' if where else ''} after {self.samples} samples"
        ) from error

    def _after_step(self) -> None:
        """Report, evaluate and save when due."""
        if self.step % self.report_every == 0:
            self._report()
        if self.step % self.evaluate_every == 0 or self.step == self.budget.total:
            self._check_health()
            self._evaluate()
            self._remember()
        if self._agreed(self.folder.due):
            self._check_health()
            self._save()

    def _check_health(self) -> None:
        """Raise Diverged if a network is not finite, so that such states are never kept."""
        self.watchdog.look()
        bad = find_bad_network(self.players.networks)
        if bad:
            raise Diverged(f"{bad} after {self.samples} samples")

    # -------------------------------------------------------------------------------------- telling

    @property
    def samples(self) -> int:
        """Observations seen, over all processes."""
        return self.step * self.settings.optimisation.batch

    def _now(self) -> tuple[int, float]:
        return self.samples, round(self.budget.seconds, 3)

    def _name(self) -> str:
        try:
            return self.model.registered_name
        except InvalidValue:  # an unregistered learner can be fitted, though not stored
            return type(self.model).__name__

    def emit(self, event: Event) -> None:
        """Log an event and send it to the observers, in the first process."""
        if not self.processes.first:
            return
        self.folder.write(event)
        self.announcer.tell(event)
        filmed = self.camera.wants(event)
        if not (self.announcer.has_callbacks or filmed):
            return
        with (
            self.borrowed.returned(),
            evaluation_mode(self.model),
        ):  # observers must not affect the fit
            self.announcer.call(event, self.model)
            if filmed:
                self._film(event)

    def _film(self, event: Event) -> None:
        """Take a frame."""
        if self.camera.writes:
            self.folder.check_place()
        with self.players.as_sampled():
            self.camera.take(event, self.model)

    def _report(self) -> None:
        rate, means = self.tally.report(self.step)
        rate *= self.settings.optimisation.batch
        remaining = self.budget.remaining(self.step, rate)
        left = None if remaining is None else round(remaining, 1)
        self.emit(Progress(*self._now(), round(rate, 1), left, means))

    def _report_rest(self) -> None:
        """Report the steps since the last report, if there are any."""
        if self.tally:
            self._report()

    def _evaluate(self) -> None:
        judgement = self.evaluation.judge()
        for symptom in judgement.symptoms:
            if symptom.name not in self.warned:
                self.warned.add(symptom.name)
                self.emit(
                    Warned(*self._now(), f"{symptom.name}: {symptom.observed}", symptom.advice)
                )
        if judgement.quality is not None:
            self.emit(
                Evaluated(*self._now(), judgement.quality, judgement.better, judgement.vitals)
            )

    # ---------------------------------------------------------------------------------- remembering

    def _state(self) -> dict[str, Any]:
        """The state for exact resumption, of all processes."""
        return {
            "step": self.step,
            "seconds": self.budget.seconds,
            "rollbacks": self.rollbacks,
            **self.players.state(),
            "processes": self.processes.gathered(
                {"random": self.streams.state(), "buffers": self.players.buffers()}
            ),
            "best": self.evaluation.state(),
            **self.tally.state(),
            "warned": sorted(self.warned),
            "log": self.folder.position,
            "feed": self.feed.state(self.step),
            "data": self.feed.fingerprint,
            "held_out": self.feed.held_out_fingerprint,
            "origin": self.folder.origin(self.model),
            "world": self.processes.world,
        }

    def restore(self, state: Mapping[str, Any], log: bool = True) -> None:
        """Restore the result of `_state`; with `log`, also the time spent and the good state."""
        mine = state["processes"][self.processes.rank]
        self.players.load(state, mine["buffers"])
        self.streams.load(mine["random"])
        self.step, self.rollbacks = state["step"], state["rollbacks"]
        self.feed.load(state.get("feed", {}))
        self.evaluation.load(state["best"])
        self.tally.load(
            state["sums"] if self.processes.world == 1 else state["sums"][self.processes.rank],
            state["counts"],
        )
        self.warned = set(state["warned"])
        if log:
            self.budget.spent, self._good = state["seconds"], state["good"]

    def _save(self) -> None:
        """Write a checkpoint, and the model: the best weights if kept,
        else the average if on, else the latest.
        """
        if not self.folder.kept:
            return
        state = {**self._state(), "good": self._good}
        if self.processes.first:
            path = self.folder.save_state(state, self.samples)
            with self.players.averaged():
                self.folder.save_model({**self.model.tensors(), **self.evaluation.best_tensors()})
            self.emit(Saved(*self._now(), str(path)))
        self.processes.wait()
        self.folder.restart_clock()

    def _remember(self) -> None:
        """Keep the last good state in memory, for a rollback."""
        if self.settings.optimisation.on_divergence == "rollback":
            self._good = copy_tree(self._state())

    def _roll_back(self, error: Diverged) -> None:
        """Return to the last good state at half the rate.

        Re-raise if rollback is disabled or exhausted.
        """
        what_to_try = advise([p.name for p in self.phases])
        if self._good is None or self.rollbacks >= ROLLBACKS:
            more = f" {ROLLBACKS} times over" if self.rollbacks else ""
            self.emit(Warned(*self._now(), f"diverged: {error}", what_to_try))
            raise Diverged(f"{error}{more}; try {what_to_try}") from error
        backoff, rollbacks = self.players.backoff / 2, self.rollbacks + 1
        self.restore(self._good, log=False)
        self.players.backoff, self.rollbacks = backoff, rollbacks
        self.tally.begin(self.step)
        self.watchdog = self._new_watchdog()
        back = f"went back to {self.samples} samples and halved the learning rate"
        self.emit(Warned(*self._now(), f"diverged: {error}", back))

    # -------------------------------------------------------------------------- after the last step

    def _finish(self, reason: Reason) -> Finished:
        self._check_health()
        self._save()  # before the last report, which an uninterrupted fit would not make here
        self._report_rest()
        self.players.settle(self.evaluation.best_tensors())
        finished = Finished(*self._now(), reason, self.evaluation.quality)
        self.emit(finished)
        return finished
