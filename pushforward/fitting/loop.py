"""One fit as it happens, from the first to the last event: prepare, play, report, evaluate, save, go back, finish.

The loop says in which order things happen and holds little itself: how far the fit is, and the last good state. Who does
the work has a file of its own: the processes, the streams of random numbers, the budget, the feed of batches, the
players, the tally of terms, the evaluation, the run folder, the watchdog. What each has to remember is put together
here, in one state, for checkpoints on disk and for going back in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, Diverged, InvalidValue
from pushforward.core.events import CancelToken, Evaluated, Event, Finished, Progress, Saved, Started, Warned
from pushforward.core.model import Learner, evaluating
from pushforward.core.phase import Batch, Phase, Step
from pushforward.core.random import derive
from pushforward.core.scaling import Scaling
from pushforward.core.scan import scan
from pushforward.core.source import Source
from pushforward.fitting.budget import Budget
from pushforward.fitting.checkpoint import copy_tree
from pushforward.fitting.evaluation import Evaluation
from pushforward.fitting.feed import Feed, check_batch, held_out_split
from pushforward.fitting.players import Players, check_names, due
from pushforward.fitting.processes import Processes, interruptible
from pushforward.fitting.run import Run, origin
from pushforward.fitting.streams import BorrowedStreams, Streams
from pushforward.fitting.tally import Tally
from pushforward.fitting.watchdog import Watchdog, advice, bad_network, where_it_began

if TYPE_CHECKING:
    from pushforward.fitting.trainer import Trainer

__all__ = ["Loop"]

SCANNED_ROWS = 1 << 18
REPORTS = 100
CHECK_UPS = 8
EVALUATIONS = 20
ROLLBACKS = 3


class Loop:
    """One fit.

    Arguments:
        trainer: the settings.
        model: the learner, forgotten and built anew.
        source: the training rows (a held-out share is split off here).
    """

    def __init__(self, trainer: Trainer, model: Learner, source: Source) -> None:
        self.trainer, self.model = trainer, model
        self.processes = Processes(trainer)
        self.token = trainer.token or CancelToken()
        self.training, self.held_out = held_out_split(source, trainer.held_out, trainer.seed)
        check_batch(len(self.training), trainer.batch, self.processes.world, trainer.accumulate)
        self.borrowed = BorrowedStreams(self.processes.device)
        self.run = Run(trainer, self.processes)
        self.tally = Tally(self.processes)
        self.step, self.rollbacks = 0, 0
        self.warned: set[str] = set()
        self._good: Any = None

    def play(self) -> str:
        """Fit to the end; returns why it ended."""
        with self.borrowed, ExitStack() as stack:
            self._prepare()
            state = self.run.open(self.model, self.budget, self.feed.fingerprint, self.feed.held_out_fingerprint)
            self._set_up(stack)
            if state is not None:
                with self.run.believed():
                    self._restore(state)
            stack.enter_context(self.run.logging(state["log"] if state else 0))
            signals = stack.enter_context(interruptible(self.token, decides=self.processes.first))
            self._begin(state)
            reason = self._run()
            self._finish(reason)
        if signals and reason == "interrupted" and not self.run.kept:
            raise KeyboardInterrupt  # the model has what it learnt; but whoever goes on to measure it must not take it for done
        return reason

    # ------------------------------------------------------------------------------------------- before the first step

    def _prepare(self) -> None:
        """Build the model, afresh and seeded, on the device; work out the budget."""
        torch.manual_seed(derive(self.trainer.seed, "init"))
        self.run.refuse_others(self.model, self.training)
        given = None if self.trainer.start is None else copy_tree(self.trainer.start.state_dict())  # it may be this very model
        most = None if self.training.resident else SCANNED_ROWS
        facts = scan(self.training, most=most, moments=self.model.scaling_kind == "standardised")
        self.model.prepare(self.training, facts)
        self.model.to(self.processes.device)
        if self.processes.dtype == torch.float64:
            for part in self.model.children():
                if not isinstance(part, Scaling):
                    part.to(torch.float64)
        if given is not None:
            self._begin_from(given)
        self.phases = list(self.model.phases())
        check_names(self.phases, self.model, self.trainer)
        self.feed = Feed(self.trainer, self.model, self.training, self.held_out, self.processes)
        epoch = self.feed.steps_per_epoch
        self.budget = Budget(self.trainer, epoch)
        self.report_every = max(1, min(100, (self.budget.total or 10_000) // REPORTS))
        if self.trainer.evaluate_every is not None:
            self.evaluate_every = max(1, round(self.trainer.evaluate_every * epoch))
        else:
            times = EVALUATIONS if self.feed.held_out is not None else CHECK_UPS
            self.evaluate_every = max(1, (self.budget.total or times * epoch) // times)

    def _begin_from(self, given: Mapping[str, Tensor]) -> None:
        """Fine-tuning: take the weights and the scaling of a fitted model."""
        own = self.model.state_dict()
        unlike = [k for k in own if k not in given or given[k].shape != own[k].shape] + [k for k in given if k not in own]
        if unlike:
            kind = type(self.trainer.start).__name__
            raise InvalidValue(f"cannot start from this {kind}: {unlike[0]!r} differs; start from the same model on the same space")
        self.model.load_state_dict(given)

    def _set_up(self, stack: ExitStack) -> None:
        """Bring on the players, until the stack is left; then seed all randomness of the fit."""
        self.players = Players(self.trainer, self.processes, self.model, self.phases)
        stack.enter_context(self.players.at_play())
        self.streams = Streams(self.trainer.seed, self.processes.rank, self.processes.device)
        self.evaluation = Evaluation(self.trainer, self.model, self.feed, self.players, self.processes, self.streams)
        self.watchdog = self._new_watchdog()

    def _new_watchdog(self) -> Watchdog:
        at_once = self.processes.device.type == "cpu" and self.processes.world == 1
        return Watchdog(at_once, gradients=self.processes.scaler is None, agree=self.processes.first_of_all)

    def _begin(self, state: Any) -> None:
        """Start the clocks; what trainer.json cannot tell is in a checkpoint before that file is written."""
        self.budget.begin()
        self.run.restart_clock()
        if state is not None and self.trainer.extended:
            self.evaluation.be_patient()
            self._save()
        if self.run.kept and self.trainer.start is not None:
            self._save()
            self.run.store_settings()

    # ------------------------------------------------------------------------------------------- step by step

    def _run(self) -> str:
        """Play until the fit ends; returns why it did."""
        self.tally.begin(self.step)
        parameters = sum(p.numel() for network in self.players.networks.values() for p in network.parameters())
        self.emit(Started(*self._now(), self.budget.samples, self._name(), parameters))
        batches = self.feed.from_step(self.step)
        if self._good is None:
            self._remember()
        while not (reason := self._ended()):
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

    def _ended(self) -> str:
        """Why the fit is over; '' while it is not."""
        if self.budget.total is not None and self.step >= self.budget.total:
            return "budget"
        if self.evaluation.out_of_patience:
            return "patience"
        if self.budget.total is None and self._agreed(self.budget.fraction(self.step) >= 1):
            return "budget"
        return "interrupted" if self._agreed(self.token.cancelled) else ""

    def _agreed(self, mine: bool) -> bool:
        """The first process decides for all, every few steps; alone, it decides at once."""
        if self.processes.world == 1:
            return mine
        return bool(self.processes.heard(mine)) if self.step % 10 == 0 else False

    def _play_step(self, raw: Batch) -> None:
        """Take a batch through every group of phases that is due: first all gradients of a group, then its moves."""
        batch = self.feed.into_model(raw, self.streams.augment)
        here = Step(self.samples, self.budget.fraction(self.step), self.streams.noise)
        weight = self.players.total_weight(batch)
        for group in due(self.phases, self.step):
            self.players.forget_gradients(group)
            for phase in group:
                self._learn(phase, batch, here, weight)
            for phase in group:
                self.players.move(phase, here.fraction)
        if self.players.average:
            self.players.average.update()

    def _learn(self, phase: Phase, batch: Batch, here: Step, weight: float | Tensor) -> None:
        """Take a phase's gradient, and look at it."""
        before = self.streams.noise.get_state()
        terms = self.players.take_gradient(phase, batch, here, weight)
        for name, value in [*terms.items(), *terms.logged.items()]:
            plain = len(self.phases) == 1 or name == phase.name
            self.tally.note(name if plain else f"{phase.name}.{name}", value)
        try:
            self.watchdog.watch(phase.name, terms, {name: self.players.learnable[name] for name in phase.networks})
        except Diverged as error:
            self.streams.noise.set_state(before)
            self._explain(error, phase, batch, here)

    def _explain(self, error: Diverged, phase: Phase, batch: Batch, here: Step) -> NoReturn:
        """Say where it began: in the data, or where playing the phase again, with the same noise, shows it."""
        row = self.feed.bad_row(batch, self.step)
        if row is not None:
            raise BadSource(
                f"row {row} of the data holds NaN or infinity ({error} after {self.samples} samples); remove or replace such values"
            ) from error
        where = where_it_began(lambda: phase.loss(batch, here), self.players.networks, phase.networks)
        raise Diverged(f"{error}{f' ({where})' if where else ''} after {self.samples} samples") from error

    def _after_step(self) -> None:
        """Report, evaluate and save where it is time to."""
        if self.step % self.report_every == 0:
            self._report()
        if self.step % self.evaluate_every == 0 or self.step == self.budget.total:
            self._check_health()
            self._evaluate()
            self._remember()
        if self._agreed(self.run.due):
            self._check_health()
            self._save()

    def _check_health(self) -> None:
        """Nothing that is not finite is kept, on disk or in memory."""
        self.watchdog.look()
        bad = bad_network(self.players.networks)
        if bad:
            raise Diverged(f"{bad} after {self.samples} samples")

    # ------------------------------------------------------------------------------------------- telling

    @property
    def samples(self) -> int:
        """Observations seen, over all processes."""
        return self.step * self.trainer.batch

    def _now(self) -> tuple[int, float]:
        return self.samples, round(self.budget.seconds, 3)

    def _name(self) -> str:
        try:
            return self.model.registered_name
        except InvalidValue:  # a learner of one's own that is not registered can be fitted, though not stored
            return type(self.model).__name__

    def emit(self, event: Event) -> None:
        """Tell every listener, on the first process."""
        if not self.processes.first:
            return
        self.run.write(event)
        if not self.trainer.listeners and not self.trainer.callbacks:
            return
        with self.borrowed.returned(), evaluating(self.model):  # whoever looks on changes nothing
            for listener in self.trainer.listeners:
                listener(event)
            for callback in self.trainer.callbacks:
                callback(event, self.model)

    def _report(self) -> None:
        rate, means = self.tally.report(self.step)
        rate *= self.trainer.batch
        left = self.budget.left(self.step, rate)
        self.emit(Progress(*self._now(), round(rate, 1), None if left is None else round(left, 1), means))

    def _evaluate(self) -> None:
        judgement = self.evaluation.judge()
        for symptom in judgement.symptoms:
            if symptom.name not in self.warned:
                self.warned.add(symptom.name)
                self.emit(Warned(*self._now(), f"{symptom.name}: {symptom.seen}", symptom.advice))
        if judgement.quality is not None:
            self.emit(Evaluated(*self._now(), judgement.quality, judgement.better, judgement.vitals))

    # ------------------------------------------------------------------------------------------- remembering

    def _state(self) -> dict[str, Any]:
        """Everything exact resume needs, over all processes."""
        return {
            "step": self.step,
            "seconds": self.budget.seconds,
            "rollbacks": self.rollbacks,
            **self.players.state(),
            "processes": self.processes.gathered({"random": self.streams.state(), "buffers": self.players.buffers()}),
            "best": self.evaluation.state(),
            **self.tally.state(),
            "warned": sorted(self.warned),
            "log": self.run.position,
            "data": self.feed.fingerprint,
            "held_out": self.feed.held_out_fingerprint,
            "origin": origin(self.trainer, self.model),
            "world": self.processes.world,
        }

    def _restore(self, state: Mapping[str, Any], log: bool = True) -> None:
        """Take back what `_state` gave; `log`: from disk, with the time spent and the good state to go back to."""
        mine = state["processes"][self.processes.rank]
        self.players.load(state, mine["buffers"])
        self.streams.load(mine["random"])
        self.step, self.rollbacks = state["step"], state["rollbacks"]
        self.evaluation.load(state["best"])
        self.tally.load(state["sums"] if self.processes.world == 1 else state["sums"][self.processes.rank], state["counts"])
        self.warned = set(state["warned"])
        if log:
            self.budget.spent, self._good = state["seconds"], state["good"]

    def _save(self) -> None:
        """A checkpoint, and the model as sampling would use it: the best if kept, else the average if on, else the latest."""
        if not self.run.kept:
            return
        state = {**self._state(), "good": self._good}
        if self.processes.first:
            path = self.run.save_state(state, self.samples)
            with self.players.averaged():
                self.run.save_model({**self.model.tensors(), **self.evaluation.best_tensors()})
            self.emit(Saved(*self._now(), str(path)))
        self.processes.wait()
        self.run.restart_clock()

    def _remember(self) -> None:
        """Keep the last good state in memory, for a roll back."""
        if self.trainer.on_divergence == "rollback":
            self._good = copy_tree(self._state())

    def _roll_back(self, error: Diverged) -> None:
        """Go back to the last good state at half the rate; raise the error where that is not wanted, or was of no use."""
        what_to_try = advice([p.name for p in self.phases])
        if self._good is None or self.rollbacks >= ROLLBACKS:
            more = f" {ROLLBACKS} times over" if self.rollbacks else ""
            self.emit(Warned(*self._now(), f"diverged: {error}", what_to_try))
            raise Diverged(f"{error}{more}; {what_to_try}") from error
        backoff, rollbacks = self.players.backoff / 2, self.rollbacks + 1
        self._restore(self._good, log=False)
        self.players.backoff, self.rollbacks = backoff, rollbacks
        self.tally.begin(self.step)
        self.watchdog = self._new_watchdog()
        self.emit(Warned(*self._now(), f"diverged: {error}", f"went back to {self.samples} samples and halved the learning rate"))

    # ------------------------------------------------------------------------------------------- after the last step

    def _finish(self, reason: str) -> None:
        self._check_health()
        self._save()  # before the last report, which an uninterrupted fit would not have made here
        if self.tally:
            self._report()
        self.players.settle(self.evaluation.best_tensors())
        self.emit(Finished(*self._now(), reason, self.evaluation.quality))
