"""One fit as it happens: the step, what is logged, what is saved, and how it ends.

A step takes the next batch through every group of phases that is due. Within a group all gradients are taken at the
same parameters; networks that do not learn in a phase are frozen first, and left out of the processes' exchange.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pushforward.core.errors import BadRun, BadSource, Diverged, InvalidValue
from pushforward.core.events import CancelToken, Evaluated, Event, Finished, Progress, Saved, Started, Warned
from pushforward.core.model import Learner
from pushforward.core.phase import Batch, Phase, Step
from pushforward.core.random import derive
from pushforward.core.scan import scan
from pushforward.core.source import Arrays, Source, Subset, fingerprint
from pushforward.core.storage import construct, describe, new_folder, write_tensors, write_text
from pushforward.fitting.augment import Augment
from pushforward.fitting.batches import Batches
from pushforward.fitting.checkpoint import Checkpoints, copy_tree, random_states, restore_random_states
from pushforward.fitting.ema import MovingAverage
from pushforward.fitting.log import Log
from pushforward.fitting.schedules import Schedule
from pushforward.fitting.watchdog import Watchdog, advice, first_bad_network

if TYPE_CHECKING:
    from pushforward.fitting.trainer import Trainer

__all__ = ["Loop"]

SCANNED_ROWS = 1 << 18
EVALUATED_ROWS = 10_000
WATCHED_ROWS = 512
ROLLBACKS = 3


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
        self.dtype = torch.float64 if "64" in trainer.precision else torch.float32
        self.token = trainer.token or CancelToken()
        self.training, self.held_out = self._split(source)
        self._check_batch()
        self.step, self.spent, self.backoff, self.rollbacks = 0, 0.0, 1.0, 0
        self.best: dict[str, Any] = {"quality": -math.inf, "since": 0, "tensors": None}
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        self._good: Any = None

    # ------------------------------------------------------------------------------------------- preparing

    def _split(self, source: Source) -> tuple[Source, Source | None]:
        held = self.trainer.held_out
        if held is None or not isinstance(held, (int, float)):
            return source, held
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
        self.model.prepare(self.training, scan(self.training, most=None if self.training.resident else SCANNED_ROWS))
        if self.trainer.start is not None:
            self._begin_from(self.trainer.start)
        self.model.to(self.device)
        if self.dtype == torch.float64:
            for network in self.model.networks.values():
                network.to(torch.float64)
        self.phases = list(self.model.phases())
        self._check_phases()
        self.augments: Sequence[Augment] = (
            self.model.augmentations(self.training.space) if self.trainer.augment is None else self.trainer.augment  # type: ignore[assignment]
        )
        if self.training.resident and self.device.type != "cpu" and isinstance(self.training, Arrays):
            self.training = self.training.to(self.device)
        self.batches = Batches(self.training, self.trainer.batch, self.trainer.seed, self.rank, self.world)
        self.total = self._total_steps()
        self.report_every = max(1, min(100, (self.total or 10_000) // 200))
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

    def _begin_from(self, start: Any) -> None:
        """Fine-tuning: take the weights and the scaling of a fitted model."""
        own, given = self.model.state_dict(), start.state_dict()
        unlike = [k for k in own if k not in given or given[k].shape != own[k].shape] + [k for k in given if k not in own]
        if unlike:
            raise InvalidValue(
                f"cannot start from this {type(start).__name__}: {unlike[0]!r} differs; start from the same model on the same space"
            )
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
            return math.ceil(float(t.steps))
        if t.samples is not None:
            return math.ceil(float(t.samples) / t.batch)
        return math.ceil(float(20 if t.epochs is None else t.epochs) * self.batches.steps_per_epoch)

    def _evaluation_steps(self) -> int:
        if self.trainer.evaluate_every is not None:
            return max(1, round(self.trainer.evaluate_every * self.batches.steps_per_epoch))
        return max(1, (self.total or 20 * self.batches.steps_per_epoch) // 20)

    # ------------------------------------------------------------------------------------------- playing

    def play(self) -> str:
        """Fit to the end; returns why it ended."""
        with _kept_random_state(self.device), ExitStack() as stack:
            self._prepare()
            folder = self._open_run()
            self._set_up(stack)
            state = self.checkpoints.newest() if self.trainer.resume is not None and self.checkpoints else None
            if state is not None:
                self._restore(state)
            self.log = Log(folder, state["log"] if state else 0) if folder and self.rank == 0 else None
            stack.callback(lambda: self.log.close() if self.log else None)
            if self.rank == 0:
                stack.enter_context(_interruptible(self.token))
            reason = self._run()
            self._finish(reason)
        return reason

    def _open_run(self) -> Path | None:
        folder = None if self.trainer.run is None else Path(self.trainer.run)
        self.checkpoints = Checkpoints(folder) if folder else None
        if folder and self.rank == 0:
            if self.trainer.resume is None:
                new_folder(folder, overwrite=self.trainer.overwrite)
            self.trainer.store(folder)
            for name, text in self.trainer.documents.items():
                write_text(folder / name, text)
            if not (folder / "model.json").is_file():
                describe(self.model, folder)
        if folder:
            self.fabric.barrier()
        return folder

    def _set_up(self, stack: ExitStack) -> None:
        """Wrap the networks one by one, make an optimiser for every phase; all is unwrapped again on the way out."""
        self.plain = dict(self.model.networks)
        self.average = MovingAverage(self.plain, self.trainer.ema) if self.trainer.ema else None
        frozen_state = {p: p.requires_grad for net in self.plain.values() for p in net.parameters()}
        stack.callback(self._unwrap, frozen_state)
        used = {name for phase in self.phases for name in phase.networks}
        for name, network in self.plain.items():
            network.train()
            if name in used and any(p.requires_grad for p in network.parameters()):
                setattr(self.model, name, self.fabric.setup_module(network, move_to_device=True))
        self.optimizers = {}
        for phase in self.phases:
            choice = self.trainer.optimizers.get(phase.name, phase.optimizer)
            parameters = [p for name in phase.networks for p in getattr(self.model, name).parameters()]
            self.optimizers[phase.name] = self.fabric.setup_optimizers(choice.build(parameters))  # type: ignore[union-attr]
        self.rates = {name: [g["lr"] for g in opt.param_groups] for name, opt in self.optimizers.items()}
        self.parameters = {p.name: [q for n in p.networks for q in self.plain[n].parameters()] for p in self.phases}
        self.streams = {name: self._stream(name) for name in ("noise", "augment")}
        torch.manual_seed(derive(self.trainer.seed, "torch", self.rank))
        self.watchdog = Watchdog(self.device.type == "cpu", gradients=self._scaler() is None)
        self.learning: tuple[str, ...] | None = None

    def _stream(self, name: str) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive(self.trainer.seed, name, self.rank))

    def _unwrap(self, frozen_state: Mapping[nn.Parameter, bool]) -> None:
        for name, network in self.plain.items():
            setattr(self.model, name, network)
        for parameter, requires_grad in frozen_state.items():
            parameter.requires_grad_(requires_grad)
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
        self.began = self.saved_at = self.reported_at = time.perf_counter()
        self.reported_step = self.step
        self.emit(Started(*self._now(), self.total and self.total * self.trainer.batch, self.model.registered_name, self._count()))
        reason = ""
        feed = self.batches.from_step(self.step)
        self._remember()
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
                    self.watchdog.look()
                    reason = self._evaluate()
                    self._remember()
            except Diverged as error:
                self._roll_back(error)
                feed = self.batches.from_step(self.step)
            if self._agree(self.checkpoints is not None and time.perf_counter() - self.saved_at > self.trainer.save_every):
                self._save()
        return reason

    def _ended(self) -> str:
        if self.total is not None and self.step >= self.total:
            return "budget"
        if self.total is None and self._agree(self._fraction() >= 1):
            return "budget"
        return "interrupted" if self._agree(self.token.cancelled) else ""

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
        return Batch(self.model.scaling(x), y, raw.weights)

    def _weight(self, batch: Batch) -> float | Tensor:
        """The total weight of the global batch."""
        if batch.weights is None:
            return float(self.trainer.batch)
        mine = batch.weights.sum()
        return self.fabric.all_reduce(mine, reduce_op="sum") if self.world > 1 else mine  # type: ignore[return-value]

    def _gradient(self, phase: Phase, batch: Batch, here: Step, total: float | Tensor) -> None:
        self._set_learning(phase.networks)
        pieces = _pieces(batch, self.trainer.accumulate)
        noted: dict[str, Tensor] = {}
        for i, piece in enumerate(pieces):
            with self._exchange(phase, last=i == len(pieces) - 1):
                terms = phase.loss(piece, here)
                reduced = {k: self._reduce(v, piece.weights, total, len(pieces)) for k, v in terms.items()}
                self.fabric.backward(sum(reduced.values()))  # type: ignore[arg-type]
            for name, value in reduced.items():
                noted[name] = noted[name] + value.detach() if name in noted else value.detach()
            for name, value in terms.logged.items():
                self._note(self._label(phase, name), value.detach().to(torch.float32).mean() / (len(pieces) * self.world))
        for name, value in noted.items():
            self._note(self._label(phase, name), value / self.world)
        try:
            self.watchdog.watch(phase.name, noted, {n: self.plain[n] for n in phase.networks})
        except Diverged as error:
            where = first_bad_network(lambda: phase.loss(batch, here), self.plain, batch)
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
            self.sums[name] = value.to(torch.float32).clone()
        else:
            known.add_(value)

    def _set_learning(self, names: tuple[str, ...]) -> None:
        if names == self.learning or len(self.phases) == 1:
            return
        for name, network in self.plain.items():
            network.requires_grad_(name in names)
        self.learning = names

    @contextmanager
    def _exchange(self, phase: Phase, last: bool) -> Iterator[None]:
        """Only the learning networks' gradients are exchanged, once a step."""
        with ExitStack() as stack:
            if self.world > 1:
                for name in self.plain:
                    wrapped = getattr(self.model, name)
                    if wrapped is not self.plain[name] and not (last and name in phase.networks):
                        stack.enter_context(self.fabric.no_backward_sync(wrapped))
            yield

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
                self._scaler().unscale_(optimizer.optimizer)
            torch.nn.utils.clip_grad_norm_(self.parameters[phase.name], self.trainer.clip)
        optimizer.step()

    # ------------------------------------------------------------------------------------------- telling

    def _now(self) -> tuple[int, float]:
        return self.samples, round(self.seconds, 3)

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
        """Means of every term since the last report."""
        steps = self.step - self.reported_step
        now = time.perf_counter()
        rate = steps * self.trainer.batch / max(now - self.reported_at, 1e-9)
        totals = {name: self.fabric.all_reduce(total, reduce_op="sum") if self.world > 1 else total for name, total in self.sums.items()}
        means = {name: float(total) / steps for name, total in totals.items()}
        left = None
        fraction = self._fraction()
        if self.total is not None:
            left = (self.total - self.step) * self.trainer.batch / rate
        elif fraction > 0:
            left = self.seconds * (1 - fraction) / fraction
        self.sums, self.reported_at, self.reported_step = {}, now, self.step
        self.emit(Progress(*self._now(), round(rate, 1), left and round(left, 1), means))

    @torch.no_grad()
    def _evaluate(self) -> str:
        """Held-out quality and vital signs; the reason to stop, if there is one."""
        with self._as_sampled():
            watched = self._fixed_batch(self.held_out or self.training)
            vitals = self.model.vitals(watched, rng=self._fixed_stream("vitals"))
            for symptom in self.model.symptoms(vitals):
                self._warn_once(symptom.name, symptom.seen, symptom.advice)
            if self.held_out is None:
                return ""
            quality = self._quality(self.held_out)
            better = quality > self.best["quality"]
            if better:
                tensors = copy_tree(self._network_tensors()) if self.trainer.keep_best else None
                self.best = {"quality": quality, "since": 0, "tensors": tensors}
            else:
                self.best["since"] += 1
        self.emit(Evaluated(*self._now(), quality, better, vitals))
        return "patience" if self.trainer.patience and self.best["since"] >= self.trainer.patience else ""

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
        size = min(1000, len(source))
        for start in range(0, min(len(source), EVALUATED_ROWS) - size + 1, size):
            batch = self._held_out_batch(source.take(torch.arange(start, start + size)), rng)
            value = self.model.quality(batch, rng=rng).to(torch.float64)
            weights = torch.ones(size, dtype=torch.float64, device=value.device) if batch.weights is None else batch.weights.to(value)
            total += float((value * weights).sum())
            count += float(weights.sum())
        return total / count

    def _held_out_batch(self, raw: Batch, rng: torch.Generator) -> Batch:
        return self._into_model(raw, [a for a in self.augments if a.held_out], rng)

    def _fixed_batch(self, source: Source) -> Batch:
        rows = torch.arange(min(WATCHED_ROWS, len(source)))
        return self._held_out_batch(source.take(rows), self._fixed_stream("watched"))

    def _fixed_stream(self, name: str) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(derive(self.trainer.seed, "fixed", name))

    def _warn_once(self, name: str, seen: str, cure: str) -> None:
        self.warned = getattr(self, "warned", set())
        if name not in self.warned:
            self.warned.add(name)
            self.emit(Warned(*self._now(), f"{name}: {seen}", cure))

    # ------------------------------------------------------------------------------------------- remembering

    def _network_tensors(self) -> dict[str, Tensor]:
        return {f"{name}.{k}": v for name, network in self.plain.items() for k, v in network.state_dict().items()}

    def _state(self) -> dict[str, Any]:
        """Everything exact resume needs, over all processes."""
        mine = random_states(self.device, self.streams)
        scaler = self._scaler()
        return {
            "step": self.step,
            "seconds": self.seconds,
            "backoff": self.backoff,
            "rollbacks": self.rollbacks,
            "networks": self._network_tensors(),
            "buffers": {k: v for k, v in self.model.named_buffers() if k.split(".")[0] not in self.plain},
            "average": self.average.state() if self.average else None,
            "optimizers": {name: opt.state_dict() for name, opt in self.optimizers.items()},
            "scaler": scaler.state_dict() if scaler is not None else None,
            "random": [mine] if self.world == 1 else self._gathered(mine),
            "best": self.best,
            "sums": self.sums,
            "reported_step": self.reported_step,
            "warned": sorted(getattr(self, "warned", set())),
            "log": self.log.position if self.log else 0,
            "data": fingerprint(self.training),
            "world": self.world,
        }

    def _gathered(self, mine: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        gathered = {name: self.fabric.all_gather(state) for name, state in mine.items()}
        return [{name: states[rank].to("cpu") for name, states in gathered.items()} for rank in range(self.world)]  # type: ignore[index]

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
        self.watchdog = Watchdog(self.watchdog.at_once, self.watchdog.gradients)
        self.emit(Warned(*self._now(), f"diverged: {error}", f"went back to {self.samples} samples and halved the learning rate"))

    def _restore(self, state: Mapping[str, Any], log: bool = True) -> None:
        if state["world"] != self.world:
            raise BadRun(f"the run was made by {state['world']} processes, now there are {self.world}; resume it with as many")
        if state["data"] != fingerprint(self.training):
            raise BadRun(
                "the data differ from those the run was begun with; resume it on the same data, or start a new run from it (start=…)"
            )
        with torch.no_grad():
            own = self._network_tensors()
            for key, value in state["networks"].items():
                own[key].copy_(value)
            buffers = dict(self.model.named_buffers())
            for key, value in state["buffers"].items():
                buffers[key].copy_(value)
        if self.average:
            self.average.load(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(copy_tree(state["optimizers"][name]))
        if self._scaler() is not None and state["scaler"] is not None:
            self._scaler().load_state_dict(state["scaler"])
        restore_random_states(state["random"][self.rank], self.device, self.streams)
        self.step, self.backoff, self.rollbacks = state["step"], state["backoff"], state["rollbacks"]
        self.best = copy_tree(state["best"])
        self.sums = {k: v.clone().to(self.device) for k, v in state["sums"].items()}
        self.reported_step = state["reported_step"]
        self.warned = set(state["warned"])
        if log:
            self.spent = state["seconds"]

    def _save(self) -> None:
        if self.checkpoints is None:
            return
        self.watchdog.look()
        state = self._state()
        if self.rank == 0:
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
            tensors = self.model.tensors()
        tensors.update(self._best_tensors())
        write_tensors(self.checkpoints.folder.parent / "model.safetensors", tensors)

    def _best_tensors(self) -> dict[str, Tensor]:
        return dict(self.best["tensors"] or {}) if self.trainer.keep_best else {}

    def _finish(self, reason: str) -> None:
        if self.reported_step < self.step:
            self._report()
        if self.world > 1:
            for network in self.plain.values():
                for buffer in network.buffers():
                    buffer.copy_(self.fabric.broadcast(buffer))
        self._save()
        with torch.no_grad():
            if self.average:
                self.average._put(self.average._mean)
            own = self._network_tensors()
            for key, value in self._best_tensors().items():
                own[key].copy_(value)
        for network in self.plain.values():
            network.eval()
        quality = self.best["quality"] if math.isfinite(self.best["quality"]) else None
        self.emit(Finished(*self._now(), reason, quality))


def _launch(trainer: Trainer) -> Any:
    """Fabric, with its errors in the library's form. Under torchrun the processes are there already."""
    try:
        from lightning_fabric import Fabric

        fabric = Fabric(
            accelerator=trainer.accelerator,
            devices=trainer.devices,
            strategy=trainer.strategy,
            precision=trainer.precision,  # type: ignore[arg-type]
            num_nodes=trainer.num_nodes,
        )
    except (ValueError, TypeError, RuntimeError) as error:
        wanted = f"accelerator={trainer.accelerator!r}, devices={trainer.devices!r}, strategy={trainer.strategy!r}, precision={trainer.precision!r}"
        raise InvalidValue(f"{wanted} cannot be had here: {str(error).splitlines()[0]}") from error
    except Exception as error:
        if type(error).__name__ != "MisconfigurationException":
            raise
        raise InvalidValue(f"accelerator={trainer.accelerator!r} cannot be had here: {str(error).splitlines()[0]}") from error
    fabric.launch()
    return fabric


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
def _kept_random_state(device: torch.device) -> Iterator[None]:
    """Torch's global streams are the caller's: they are put back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def _interruptible(token: CancelToken) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the fit to stop after the step; a second Ctrl-C stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
