"""One fit as it happens: the step, what is logged, what is saved, and how it ends.

A step takes the next batch through every group of phases that is due. Within a group all gradients are taken at the
same parameters; networks that do not learn in a phase are frozen first, and left out of the processes' exchange.

Several processes: each named network has a wrapper of its own, which averages its gradients over the processes in the
phases it learns in and nowhere else. Buffers (batch norm's statistics) are *not* broadcast at every forward pass, as is
the wrappers' habit: that costs an exchange a call, and a call made by one process alone (a callback that samples) would
wait for the others for ever. Each process keeps its own, all are saved, and the first process's are everyone's at the end.
"""

from __future__ import annotations

import copy
import math
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.core.errors import BadRun, BadSource, Diverged, InvalidValue
from pushforward.core.events import CancelToken, Evaluated, Event, Finished, Progress, Saved, Started, Warned
from pushforward.core.model import Learner
from pushforward.core.phase import Batch, Phase, Step
from pushforward.core.random import derive
from pushforward.core.scaling import Scaling
from pushforward.core.scan import scan
from pushforward.core.source import Arrays, Source, Subset, as_source, fingerprint
from pushforward.core.storage import construct, describe, new_folder, write_tensors, write_text
from pushforward.fitting.augment import Augment
from pushforward.fitting.batches import Batches
from pushforward.fitting.checkpoint import Checkpoints, copy_tree, random_states, restore_random_states
from pushforward.fitting.ema import MovingAverage
from pushforward.fitting.log import Log
from pushforward.fitting.schedules import Schedule
from pushforward.fitting.watchdog import Watchdog, advice, bad_network, where_it_began

if TYPE_CHECKING:
    from pushforward.fitting.trainer import Trainer

__all__ = ["Loop"]

SCANNED_ROWS = 1 << 18
EVALUATED_ROWS = 10_000
WATCHED_ROWS = 512
REPORTS = 200
ROLLBACKS = 3
DOUBLE = ("64-true", "64", 64)
SINGLE = ("32-true", "32", 32)
EPOCHS = 20


class Loop:
    """The state of one fit.

    Arguments:
        trainer: the settings.
        model: the learner, forgotten and built anew.
        source: the training rows (a held-out share is split off here).
    """

    def __init__(self, trainer: Trainer, model: Learner, source: Source) -> None:
        self.trainer, self.model = trainer, model
        self.fabric = _launch(trainer)
        self.world, self.rank = self.fabric.world_size, self.fabric.global_rank
        self.device = self.fabric.device
        self.dtype = torch.float64 if trainer.precision in DOUBLE else torch.float32
        self.token = trainer.token or CancelToken()
        self.training, self.held_out = self._split(source)
        self._check_batch()
        self.step, self.spent, self.backoff, self.rollbacks = 0, 0.0, 1.0, 0
        self.best: dict[str, Any] = {"quality": -math.inf, "since": 0, "tensors": None}
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.warned: set[str] = set()
        self.reported_step = 0
        self._good: Any = None

    # ------------------------------------------------------------------------------------------- preparing

    def _split(self, source: Source) -> tuple[Source, Source | None]:
        held = self.trainer.held_out
        if held is None or not isinstance(held, (int, float)):
            return source, None if held is None else as_source(held)
        n = len(source)
        count = max(1, round(held * n))
        if count >= n:
            raise BadSource(f"held_out={held} of {n} rows leaves none to learn from; bring more data or hold out fewer")
        stream = torch.Generator().manual_seed(derive(self.trainer.seed, "held out"))
        order = torch.randperm(n, generator=stream)
        return Subset(source, order[count:].sort().values), Subset(source, order[:count].sort().values)

    def _check_batch(self) -> None:
        n, batch = len(self.training), self.trainer.batch
        if n < batch:
            raise BadSource(f"there are fewer rows ({n}) than a batch takes ({batch}); pass batch={max(1, n)} or bring more data")
        if batch % (self.world * self.trainer.accumulate):
            raise InvalidValue(
                f"batch={batch} must be a multiple of processes x accumulate = {self.world} x {self.trainer.accumulate}; change one of them"
            )

    def _prepare(self) -> None:
        """Build the model, afresh and seeded, on the device."""
        torch.manual_seed(derive(self.trainer.seed, "init"))
        if self.trainer.resume is not None:
            self._check_run(Path(self.trainer.resume))
        given = None if self.trainer.start is None else copy_tree(self.trainer.start.state_dict())  # it may be this very model
        self.model.prepare(self.training, scan(self.training, most=None if self.training.resident else SCANNED_ROWS))
        self.model.to(self.device)
        if self.dtype == torch.float64:
            for network in self.model.networks.values():
                network.to(torch.float64)
        if given is not None:
            self._begin_from(given)
        self.phases = list(self.model.phases())
        self._check_phases()
        self.augments: Sequence[Augment] = (
            self.model.augmentations(self.training.space) if self.trainer.augment is None else self.trainer.augment  # type: ignore[assignment]
        )
        self.fingerprint = fingerprint(self.training)
        self.training = _brought_to(self.device, self.training)
        self.scaling = _in_dtype(self.model.scaling, self.dtype)
        self.batches = Batches(self.training, self.trainer.batch, self.trainer.seed, self.rank, self.world)
        self.total = self._total_steps()
        self.report_every = max(1, min(100, (self.total or 10_000) // REPORTS))
        self.evaluate_every = self._evaluation_steps()

    def _check_run(self, run: Path) -> None:
        """A run is resumed with the same kind of model on the same space."""
        if not (run / "model.json").is_file():
            return  # killed before anything was written: it begins again
        stored = construct(run)
        if type(stored) is not type(self.model) or repr(stored.hyperparameters()) != repr(self.model.hyperparameters()):
            raise BadRun(f"{run} was begun with {stored!r}, not with {self.model!r}; resume it with the same model")
        space = stored.fitted_space()
        space.conform(self.training.take(torch.zeros(1, dtype=torch.int64)).x, what=f"the data to resume {run} with")

    def _begin_from(self, given: Mapping[str, Tensor]) -> None:
        """Fine-tuning: take the weights and the scaling of a fitted model."""
        own = self.model.state_dict()
        unlike = [k for k in own if k not in given or given[k].shape != own[k].shape] + [k for k in given if k not in own]
        if unlike:
            kind = type(self.trainer.start).__name__
            raise InvalidValue(f"cannot start from this {kind}: {unlike[0]!r} differs; start from the same model on the same space")
        self.model.load_state_dict(given)

    def _check_phases(self) -> None:
        networks = self.model.networks
        names = [p.name for p in self.phases]
        for phase in self.phases:
            for name in phase.networks:
                if name not in networks:
                    raise InvalidValue(f"phase {phase.name!r} names network {name!r}; this model has {', '.join(networks)}")
        scheduled = list(self.trainer.schedule) if isinstance(self.trainer.schedule, Mapping) else []
        for name in [*self.trainer.optimizers, *scheduled]:
            if name not in names:
                raise InvalidValue(f"there is no phase {name!r}; this model's phases are {', '.join(names)}")

    def _total_steps(self) -> int | None:
        t = self.trainer
        if t.minutes is not None:
            return None
        if t.steps is not None:
            return _up(float(t.steps))
        if t.samples is not None:
            return _up(float(t.samples) / t.batch)
        return _up(float(EPOCHS if t.epochs is None else t.epochs) * self.batches.steps_per_epoch)

    def _evaluation_steps(self) -> int:
        if self.trainer.evaluate_every is not None:
            return max(1, round(self.trainer.evaluate_every * self.batches.steps_per_epoch))
        return max(1, (self.total or 20 * self.batches.steps_per_epoch) // 20)

    # ------------------------------------------------------------------------------------------- playing

    def play(self) -> str:
        """Fit to the end; returns why it ended."""
        with _kept_random_states(self.device), ExitStack() as stack:
            self._prepare()
            folder, state = self._open_run()
            self._set_up(stack)
            if state is not None:
                self._restore(state)
            self.log = Log(folder, state["log"] if state else 0) if folder and self.rank == 0 else None
            stack.callback(lambda: self.log.close() if self.log else None)
            stack.enter_context(_interruptible(self.token, decides=self.rank == 0))
            self.began = self.saved_at = self.reported_at = time.perf_counter()
            self._begin_run(folder, state)
            reason = self._run()
            self._finish(reason)
        return reason

    def _open_run(self) -> tuple[Path | None, Any]:
        """The run folder, and the state to go on from; a run that cannot go on is left as it is."""
        folder = None if self.trainer.run is None else Path(self.trainer.run)
        self.checkpoints = Checkpoints(folder) if folder else None
        state = self.checkpoints.newest() if self.trainer.resume is not None and self.checkpoints else None
        if state is not None:
            self._check_state(state)
        if folder and self.rank == 0:
            self._clear_leftovers(folder)
            if self.trainer.resume is None:
                new_folder(folder, overwrite=self.trainer.overwrite)
            for name, text in self.trainer.documents.items():
                write_text(folder / name, text)
            if self.trainer.start is None:
                self.trainer.store(folder)
            if not (folder / "model.json").is_file():
                describe(self.model, folder)
        if folder:
            self.fabric.barrier()
        return folder, state

    def _clear_leftovers(self, folder: Path) -> None:
        """What a process left that was killed while it wrote, or before its run had begun."""
        for leftover in folder.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        if not (folder / "trainer.json").exists() and not (folder / "model.json").exists():
            for name in self.trainer.documents:
                (folder / name).unlink(missing_ok=True)

    def _begin_run(self, folder: Path | None, state: Any) -> None:
        """A folder with trainer.json can be resumed: what that file cannot tell is in a checkpoint before it is written."""
        if state is not None and self.trainer.extended:
            self.best["since"] = 0  # asked to go on, it is patient anew
            self._save()
        if folder and self.trainer.start is not None:
            self._save()
            if self.rank == 0:
                self.trainer.store(folder)

    def _set_up(self, stack: ExitStack) -> None:
        """Wrap the networks one by one, make an optimiser for every phase; all is unwrapped again on the way out."""
        self.plain = dict(self.model.networks)
        self.learnable = {name: [p for p in net.parameters() if p.requires_grad] for name, net in self.plain.items()}
        stack.callback(self._unwrap)
        # One process at full precision needs nothing of a wrapper but would pay for it at every call.
        self.wrapped = self.trainer.strategy != "auto" or self.world > 1 or self.trainer.precision not in (*SINGLE, *DOUBLE)
        used = {name for phase in self.phases for name in phase.networks}
        for name, network in self.plain.items():
            network.train()
            if self.wrapped and name in used and self.learnable[name]:
                setattr(self.model, name, self._wrap(network))
        self.average = MovingAverage(self.plain, self.trainer.ema) if self.trainer.ema else None
        self.parameters = {p.name: [q for n in p.networks for q in self.learnable[n]] for p in self.phases}
        self.optimizers = {}
        for phase in self.phases:
            choice = self.trainer.optimizers.get(phase.name, phase.optimizer)
            optimizer = choice.build(self.parameters[phase.name])  # type: ignore[union-attr]
            self.optimizers[phase.name] = self.fabric.setup_optimizers(optimizer) if self.wrapped else optimizer
        self.rates = {name: [g["lr"] for g in opt.param_groups] for name, opt in self.optimizers.items()}
        self.streams = {name: self._stream(name) for name in ("noise", "augment")}
        torch.manual_seed(derive(self.trainer.seed, "torch", self.rank))
        random.seed(derive(self.trainer.seed, "python", self.rank))
        np.random.seed(derive(self.trainer.seed, "numpy", self.rank) % 2**32)
        self.watchdog = self._new_watchdog()
        self.learning: tuple[str, ...] | None = None

    def _wrap(self, network: nn.Module) -> nn.Module:
        wrapped = self.fabric.setup_module(network, move_to_device=True)
        # Fabric forbids every backward pass but its own, also the inner one of a penalty on the critic's slope.
        wrapped._register_backward_hook = lambda tensor: tensor
        return wrapped

    def _new_watchdog(self) -> Watchdog:
        at_once = self.device.type == "cpu" and self.world == 1
        return Watchdog(at_once, gradients=self._scaler() is None, agree=self._first_of_all if self.world > 1 else None)

    def _first_of_all(self, message: str) -> str:
        """The first process's message that is not empty."""
        messages: list[Any] = [""] * self.world
        torch.distributed.all_gather_object(messages, message)
        return next((m for m in messages if m), "")

    def _stream(self, name: str) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive(self.trainer.seed, name, self.rank))

    def _unwrap(self) -> None:
        for name, network in self.plain.items():
            setattr(self.model, name, network.eval())
            for parameter in self.learnable[name]:
                parameter.requires_grad_(True)
                parameter.grad = None

    def _scaler(self) -> Any:
        return getattr(self.fabric._precision, "scaler", None)

    @property
    def samples(self) -> int:
        """Observations seen, over all processes."""
        return self.step * self.trainer.batch

    @property
    def seconds(self) -> float:
        """Time spent fitting, over all sittings."""
        return self.spent + time.perf_counter() - self.began

    def _fraction(self) -> float:
        if self.total is not None:
            return min(1.0, self.step / self.total)
        return min(1.0, self.seconds / (60 * float(self.trainer.minutes or 1)))

    def _run(self) -> str:
        self.timed_step = self.step
        self.emit(Started(*self._now(), self.total and self.total * self.trainer.batch, self._name(), self._count()))
        feed = self.batches.from_step(self.step)
        if self._good is None:
            self._remember()
        reason = ""
        while not reason:
            reason = self._ended()
            if reason:
                break
            try:
                self._play_step(next(feed))
                self.step += 1
                if self.step % self.report_every == 0:
                    self._report()
                if self.step % self.evaluate_every == 0 or self.step == self.total:
                    self._check_health()
                    self._evaluate()
                    self._remember()
                if self._agree(self.checkpoints is not None and time.perf_counter() - self.saved_at > self.trainer.save_every):
                    self._check_health()
                    self._save()
            except Diverged as error:
                self._roll_back(error)
                feed.close()
                feed = self.batches.from_step(self.step)
        feed.close()
        return reason

    def _ended(self) -> str:
        if self.total is not None and self.step >= self.total:
            return "budget"
        if self.trainer.patience and self.best["since"] >= self.trainer.patience:
            return "patience"
        if self.total is None and self._agree(self._fraction() >= 1):
            return "budget"
        return "interrupted" if self._agree(self.token.cancelled) else ""

    def _check_health(self) -> None:
        """Nothing that is not finite is kept, on disk or in memory."""
        self.watchdog.look()
        bad = bad_network(self.plain)
        if bad:
            raise Diverged(f"{bad} after {self.samples} samples")

    def _agree(self, mine: bool) -> bool:
        """The first process decides for all, every few steps; alone, it decides at once."""
        if self.world == 1:
            return mine
        return bool(self.fabric.broadcast(mine)) if self.step % 10 == 0 else False

    def _play_step(self, raw: Batch) -> None:
        batch = self._into_model(raw, self.augments, self.streams["augment"])
        here = Step(self.samples, self._fraction(), self.streams["noise"])
        total = self._weight(batch)
        for group in _groups(self.phases, self.step):
            for phase in group:
                self.optimizers[phase.name].zero_grad(set_to_none=True)
            for phase in group:
                self._gradient(phase, batch, here, total)
            for phase in group:
                self._move(phase, here.fraction)
        if self.average:
            self.average.update()

    def _into_model(self, raw: Batch, augments: Sequence[Augment], rng: torch.Generator) -> Batch:
        raw = raw.to(self.device, self.dtype)
        x = raw.x
        for augment in augments:
            x = augment.apply(x, self.training.space, rng)
        y = raw.y
        if y is not None:
            y = self.model.condition_scaling(y).to(self.dtype)
        return Batch(x if self.scaling is None else self.scaling(x), y, raw.weights)

    def _weight(self, batch: Batch) -> float | Tensor:
        """The total weight of the global batch."""
        if batch.weights is None:
            return float(self.trainer.batch)
        mine = batch.weights.sum().clamp_min(torch.finfo(self.dtype).tiny)  # a batch of zero weights moves nothing
        return self.fabric.all_reduce(mine, reduce_op="sum") if self.world > 1 else mine  # type: ignore[return-value]

    def _gradient(self, phase: Phase, batch: Batch, here: Step, total: float | Tensor) -> None:
        self._set_learning(phase.networks)
        before = self.streams["noise"].get_state()
        pieces = _pieces(batch, self.trainer.accumulate)
        noted: dict[str, Tensor] = {}
        for i, piece in enumerate(pieces):
            with self._exchange(phase, last=i == len(pieces) - 1):
                terms = phase.loss(piece, here)
                reduced = {k: self._reduce(v, piece.weights, total, len(pieces)) for k, v in terms.items()}
                loss = sum(reduced.values())
                if self.wrapped:
                    self.fabric.backward(loss)  # type: ignore[arg-type]
                else:
                    loss.backward()  # type: ignore[union-attr]
            logged = {k: v.to(torch.float32).mean() / len(pieces) for k, v in terms.logged.items()}
            for name, value in [*reduced.items(), *logged.items()]:
                noted[name] = noted[name] + value.detach() if name in noted else value.detach()
        for name, value in noted.items():
            self._note(self._label(phase, name), value)
        try:
            watched = {n: v for n, v in noted.items() if n in terms}
            self.watchdog.watch(phase.name, watched, {n: self.learnable[n] for n in phase.networks})
        except Diverged as error:
            self._explain(error, phase, batch, here, before)

    def _explain(self, error: Diverged, phase: Phase, batch: Batch, here: Step, before: Tensor) -> None:
        """Say where it began, by playing the move again with the same noise."""
        finite = torch.isfinite(batch.x).flatten(1).all(1)
        if not bool(finite.all()):
            row = int(self.batches.rows(self.step)[int((~finite).nonzero()[0])])
            row = int(self.training.rows[row]) if isinstance(self.training, Subset) else row
            raise BadSource(
                f"row {row} of the data holds NaN or infinity ({error} after {self.samples} samples); remove or replace such values"
            ) from error
        if here.rng is not None:
            here.rng.set_state(before)
        where = where_it_began(lambda: phase.loss(batch, here), self.plain, list(phase.networks))
        raise Diverged(f"{error}{f' ({where})' if where else ''} after {self.samples} samples") from error

    def _reduce(self, term: Tensor, weights: Tensor | None, total: float | Tensor, pieces: int) -> Tensor:
        """This process's share of a term, such that the exchange's mean over processes gives the global mean."""
        if term.ndim == 0:
            return term / pieces
        summed = term.sum() if weights is None else (term * weights).sum()
        return summed * (self.world / total)

    def _label(self, phase: Phase, name: str) -> str:
        return name if len(self.phases) == 1 or name == phase.name else f"{phase.name}.{name}"

    def _note(self, name: str, value: Tensor) -> None:
        known = self.sums.get(name)
        if known is None:
            self.sums[name], self.counts[name] = value.to(torch.float32).clone(), 1
        else:
            known.add_(value)
            self.counts[name] += 1

    def _set_learning(self, names: tuple[str, ...]) -> None:
        if names == self.learning:
            return
        for name, parameters in self.learnable.items():
            for parameter in parameters:
                parameter.requires_grad_(name in names)
        self.learning = names

    def _exchange(self, phase: Phase, last: bool) -> Any:
        """Only the learning networks' gradients are exchanged, once a step."""
        if self.world == 1:
            return nullcontext()
        stack = ExitStack()
        for name, network in self.plain.items():
            wrapped = getattr(self.model, name)
            if wrapped is not network and not (last and name in phase.networks):
                stack.enter_context(self.fabric.no_backward_sync(wrapped))
        return stack

    def _move(self, phase: Phase, fraction: float) -> None:
        optimizer = self.optimizers[phase.name]
        schedule = self.trainer.schedule
        if isinstance(schedule, Mapping):
            schedule = schedule.get(phase.name, Schedule())
        factor = schedule.factor(fraction) * self.backoff  # type: ignore[union-attr]
        for group, rate in zip(optimizer.param_groups, self.rates[phase.name]):
            group["lr"] = rate * factor
        if self.trainer.clip is not None:
            if self._scaler() is not None:
                self._scaler().unscale_(optimizer.optimizer)  # type: ignore[union-attr]
            torch.nn.utils.clip_grad_norm_(self.parameters[phase.name], self.trainer.clip)
        optimizer.step()

    # ------------------------------------------------------------------------------------------- telling

    def _now(self) -> tuple[int, float]:
        return self.samples, round(self.seconds, 3)

    def _name(self) -> str:
        try:
            return self.model.registered_name
        except InvalidValue:  # a learner of one's own that is not registered can be fitted, though not stored
            return type(self.model).__name__

    def _count(self) -> int:
        return sum(p.numel() for network in self.plain.values() for p in network.parameters())

    def emit(self, event: Event) -> None:
        """Tell every listener, on the first process."""
        if self.rank != 0:
            return
        if self.log:
            self.log.write(event)
        for listener in self.trainer.listeners:
            listener(event)
        for callback in self.trainer.callbacks:
            callback(event, self.model)

    def _report(self) -> None:
        """Means of every term since the last report, over the times it was played."""
        now = time.perf_counter()
        rate = (self.step - self.timed_step) * self.trainer.batch / max(now - self.reported_at, 1e-9)
        means = {}
        for name, total in self.sums.items():
            shared = self.fabric.all_reduce(total, reduce_op="sum") / self.world if self.world > 1 else total
            means[name] = float(shared) / self.counts[name]
        left, fraction = None, self._fraction()
        if self.total is not None and rate:
            left = (self.total - self.step) * self.trainer.batch / rate
        elif fraction > 0:
            left = self.seconds * (1 - fraction) / fraction
        self.sums, self.counts, self.reported_at, self.reported_step, self.timed_step = {}, {}, now, self.step, self.step
        self.emit(Progress(*self._now(), round(rate, 1), None if left is None else round(left, 1), means))

    @torch.no_grad()
    def _evaluate(self) -> None:
        """Held-out quality and vital signs."""
        with self._as_sampled():
            watched = self._fixed_batch(self.held_out or self.training)
            vitals = self.model.vitals(watched, rng=self._fixed_stream("vitals"))
            for symptom in self.model.symptoms(vitals):
                self._warn_once(symptom.name, symptom.seen, symptom.advice)
            if self.held_out is None:
                return
            quality = self._quality(self.held_out)
            if self.world > 1:  # buffers differ between processes; the first one's judgement counts
                quality = self.fabric.broadcast(quality)
            better = quality > self.best["quality"]
            if better:
                tensors = copy_tree(self._network_tensors()) if self.trainer.keep_best else None
                self.best = {"quality": quality, "since": 0, "tensors": tensors}
            else:
                self.best["since"] += 1
        self.emit(Evaluated(*self._now(), quality, better, vitals))

    @contextmanager
    def _as_sampled(self) -> Iterator[None]:
        """Within: the networks as sampling would use them: averaged if an average is kept, and in evaluation mode."""
        with ExitStack() as stack:
            if self.average:
                stack.enter_context(self.average.applied())
            for network in self.plain.values():
                network.eval()
            try:
                yield
            finally:
                for network in self.plain.values():
                    network.train()

    def _quality(self, source: Source) -> float:
        rng = self._fixed_stream("quality")
        total = count = 0.0
        for rows in _spread(len(source), EVALUATED_ROWS).split(1000):
            batch = self._held_out_batch(source.take(rows), rng)
            value = self.model.quality(batch, rng=rng).to(torch.float64)
            weights = value.new_ones(len(rows)) if batch.weights is None else batch.weights.to(value)
            total += float((value * weights).sum())
            count += float(weights.sum())
        return total / count

    def _held_out_batch(self, raw: Batch, rng: torch.Generator) -> Batch:
        return self._into_model(raw, [a for a in self.augments if a.held_out], rng)

    def _fixed_batch(self, source: Source) -> Batch:
        rows = _spread(len(source), WATCHED_ROWS)
        return self._held_out_batch(source.take(rows), self._fixed_stream("watched"))

    def _fixed_stream(self, name: str) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive(self.trainer.seed, "fixed", name))

    def _warn_once(self, name: str, seen: str, cure: str) -> None:
        if name not in self.warned:
            self.warned.add(name)
            self.emit(Warned(*self._now(), f"{name}: {seen}", cure))

    # ------------------------------------------------------------------------------------------- remembering

    def _network_tensors(self) -> dict[str, Tensor]:
        return {f"{name}.{k}": v for name, network in self.plain.items() for k, v in network.state_dict().items()}

    def _state(self) -> dict[str, Any]:
        """Everything exact resume needs, over all processes."""
        mine = {"random": random_states(self.device, self.streams), "buffers": dict(self.model.named_buffers())}
        scaler = self._scaler()
        return {
            "step": self.step,
            "seconds": self.seconds,
            "backoff": self.backoff,
            "rollbacks": self.rollbacks,
            "networks": self._network_tensors(),
            "average": self.average.state() if self.average else None,
            "optimizers": {name: opt.state_dict() for name, opt in self.optimizers.items()},
            "scaler": scaler.state_dict() if scaler is not None else None,
            "processes": [mine] if self.world == 1 else self._gathered(mine),
            "best": self.best,
            "sums": self.sums if self.world == 1 else self._gathered(self.sums),
            "counts": self.counts,
            "reported_step": self.reported_step,
            "warned": sorted(self.warned),
            "log": self.log.position if self.log else 0,
            "data": self.fingerprint,
            "world": self.world,
        }

    def _gathered(self, mine: Any) -> list[Any]:
        """The same tree of tensors of every process."""
        if isinstance(mine, Mapping):
            parts = {name: self._gathered(part) for name, part in mine.items()}
            return [{name: part[rank] for name, part in parts.items()} for rank in range(self.world)]
        return list(self.fabric.all_gather(mine).to("cpu"))  # type: ignore[union-attr]

    def _remember(self) -> None:
        """Keep the last good state in memory, for a roll back."""
        if self.trainer.on_divergence == "rollback":
            self._good = copy_tree(self._state())

    def _roll_back(self, error: Diverged) -> None:
        names = [p.name for p in self.phases]
        if self._good is None or self.rollbacks >= ROLLBACKS:
            more = f" {ROLLBACKS} times over" if self.rollbacks else ""
            self.emit(Warned(*self._now(), f"diverged: {error}", advice(names)))
            raise Diverged(f"{error}{more}; {advice(names)}") from error
        backoff, rollbacks = self.backoff / 2, self.rollbacks + 1
        self._restore(self._good, log=False)
        self.backoff, self.rollbacks = backoff, rollbacks
        self.watchdog = self._new_watchdog()
        self.emit(Warned(*self._now(), f"diverged: {error}", f"went back to {self.samples} samples and halved the learning rate"))

    def _check_state(self, state: Mapping[str, Any]) -> None:
        if state["world"] != self.world:
            raise BadRun(f"the run was made by {state['world']} processes, now there are {self.world}; resume it with as many")
        if state["data"] != self.fingerprint:
            raise BadRun(
                "the data differ from those the run was begun with; resume it on the same data, or start a new run from it (start=…)"
            )

    def _restore(self, state: Mapping[str, Any], log: bool = True) -> None:
        with torch.no_grad():
            own = self._network_tensors()
            for key, value in state["networks"].items():
                own[key].copy_(value)
            buffers = dict(self.model.named_buffers())
            for key, value in state["processes"][self.rank]["buffers"].items():
                buffers[key].copy_(value)
        if self.average:
            self.average.load(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(copy_tree(state["optimizers"][name]))
        if self._scaler() is not None and state["scaler"] is not None:
            self._scaler().load_state_dict(state["scaler"])
        restore_random_states(state["processes"][self.rank]["random"], self.device, self.streams)
        self.step, self.backoff, self.rollbacks = state["step"], state["backoff"], state["rollbacks"]
        self.best = copy_tree(state["best"])
        sums = state["sums"] if self.world == 1 else state["sums"][self.rank]
        self.sums, self.counts = {k: v.clone().to(self.device) for k, v in sums.items()}, dict(state["counts"])
        self.reported_step = state["reported_step"]
        self.warned = set(state["warned"])
        if log:
            self.spent, self._good = state["seconds"], state["good"]

    def _save(self) -> None:
        if self.checkpoints is None:
            return
        state = {**self._state(), "good": self._good}
        if self.rank == 0:
            if self.log:
                self.log.sync()
            path = self.checkpoints.save(state, self.samples)
            self._write_model()
            self.emit(Saved(*self._now(), str(path)))
        if self.world > 1:
            self.fabric.barrier()
        self.saved_at = time.perf_counter()

    def _write_model(self) -> None:
        """model.safetensors as sampling would use it: the best if kept, else the average if on, else the latest."""
        assert self.checkpoints is not None
        with ExitStack() as stack:
            if self.average:
                stack.enter_context(self.average.applied())
            tensors = {**self.model.tensors(), **self._best_tensors()}
            write_tensors(self.checkpoints.folder.parent / "model.safetensors", tensors)

    def _best_tensors(self) -> dict[str, Tensor]:
        return dict(self.best["tensors"] or {}) if self.trainer.keep_best else {}

    def _finish(self, reason: str) -> None:
        self._check_health()
        self._save()  # before the last report, which an uninterrupted fit would not have made here
        if self.sums:
            self._report()
        with torch.no_grad():
            if self.average:
                self.average.put()
            own = self._network_tensors()
            for key, value in self._best_tensors().items():
                own[key].copy_(value)
            if self.world > 1:
                for buffer in self.model.buffers():
                    buffer.copy_(self.fabric.broadcast(buffer))
        quality = self.best["quality"] if math.isfinite(self.best["quality"]) else None
        self.emit(Finished(*self._now(), reason, quality))


def _launch(trainer: Trainer) -> Any:
    """Fabric, with its errors in the library's form. Under torchrun the processes are there already."""
    wanted = (
        f"accelerator={trainer.accelerator!r}, devices={trainer.devices!r}, strategy={trainer.strategy!r}, precision={trainer.precision!r}"
    )
    try:
        from lightning_fabric import Fabric

        devices, strategy, nodes = _processes(trainer)
        fabric = Fabric(
            accelerator=trainer.accelerator,
            devices=devices,
            strategy=strategy,
            # Networks and data are in double precision then; Fabric's own would round every network's output to single.
            precision="32-true" if trainer.precision in DOUBLE else trainer.precision,  # type: ignore[arg-type]
            num_nodes=nodes,
        )
    except Exception as error:
        if (
            not isinstance(error, (ValueError, TypeError, RuntimeError, ImportError))
            and type(error).__name__ != "MisconfigurationException"
        ):
            raise
        raise InvalidValue(f"{wanted} cannot be had here: {str(error).strip().splitlines()[0]}") from error
    fabric.launch()
    return fabric


def _processes(trainer: Trainer) -> tuple[Any, Any, int]:
    """Devices, strategy and machines: torchrun's where it launched this process and nothing else was asked for."""
    devices, strategy, nodes = trainer.devices, trainer.strategy, trainer.num_nodes
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    everywhere = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if everywhere > 1 and devices in (1, "1", "auto"):
        devices, nodes = here, everywhere // here
    several = everywhere > 1 or nodes > 1 or devices not in (0, 1, "0", "1", "auto")
    if strategy == "ddp" or (strategy == "auto" and several and trainer.accelerator == "cpu"):
        from lightning_fabric.strategies import DDPStrategy

        strategy = DDPStrategy(broadcast_buffers=False)  # type: ignore[assignment]
    return devices, strategy, nodes


def _brought_to(device: torch.device, source: Source) -> Source:
    """A resident source on the device, so that batches are cut there."""
    if device.type == "cpu" or not source.resident:
        return source
    if isinstance(source, Subset):
        return Subset(_brought_to(device, source.source), source.rows.to(device), source.name)
    return source.to(device) if isinstance(source, Arrays) else source


def _in_dtype(scaling: Scaling, dtype: torch.dtype) -> Callable[[Tensor], Tensor] | None:
    """The scaling with its numbers in the data's type already; None where it changes nothing."""
    plain = not scaling.space.categorical and bool((scaling.shift == 0).all()) and bool((scaling.scale == 1).all())
    return None if plain else copy.deepcopy(scaling).to(dtype)


def _up(steps: float) -> int:
    """Rounded up, but for what floating point adds."""
    return max(1, math.ceil(steps - 1e-9 * max(1.0, steps)))


def _spread(n: int, most: int) -> Tensor:
    """At most `most` of n row numbers, evenly spread."""
    return torch.arange(n) if n <= most else torch.linspace(0, n - 1, most, dtype=torch.float64).round().to(torch.int64)


def _groups(phases: Sequence[Phase], step: int) -> list[list[Phase]]:
    """Phases due at this step, those played together in one list."""
    groups: list[list[Phase]] = []
    for phase in phases:
        if (step + 1) % phase.every:
            continue
        if phase.simultaneous and groups:
            groups[-1].append(phase)
        else:
            groups.append([phase])
    return groups


def _pieces(batch: Batch, count: int) -> list[Batch]:
    if count == 1:
        return [batch]
    parts = [[None] * count if part is None else list(part.chunk(count)) for part in batch]
    return [Batch(*piece) for piece in zip(*parts)]  # type: ignore[arg-type]


@contextmanager
def _kept_random_states(device: torch.device) -> Iterator[None]:
    """The global streams are the caller's: they are put back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _interruptible(token: CancelToken, decides: bool) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the fit to stop after the step; a second Ctrl-C stops at once.

    Of several processes the first decides; the others, which get the signal too, wait for its word.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        if token.cancelled and number == signal.SIGINT:
            raise KeyboardInterrupt
        token.cancel()

    before = {number: signal.signal(number, ask if decides else signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
