r"""The networks during training: which are frozen, their optimisers, and the exchange of gradients.

In a phase, every network that is not trained is frozen first, and left out of the exchange; a
trained network is exchanged once, on the last piece of an accumulated batch. A term t of shape (b,)
becomes

    (processes / Σ w) Σ_i w_i t_i,        Σ w over the global batch, Σ_i over this process's rows,

so that the mean over the processes, as computed by all-reduce, is the global weighted mean even if
the processes' weights differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue
from pushforward.core.fixed import Fixed
from pushforward.core.fused_adam import match_layout
from pushforward.core.learner import Learner
from pushforward.core.modes import evaluation_mode
from pushforward.core.phase import Batch, Phase, Step, Terms
from pushforward.core.scaling import Scaling
from pushforward.fitting.checkpoint import copy_tree
from pushforward.fitting.ema import MovingAverage
from pushforward.fitting.gradient_processes import GradientProcesses
from pushforward.fitting.schedules import Schedule
from pushforward.fitting.settings import OptimisationSettings
from pushforward.fitting.state_validation import check_optimizer

__all__ = ["Players", "check_names", "due_phases"]

ALONE: AbstractContextManager[Any] = nullcontext()
"""Where there is nothing to exchange."""


class Players:
    """A model's networks with their optimisers and their moving average.

    Args:
        settings: batch, optimizers, schedule, clip, accumulate and ema.
        processes: wrap the networks and exchange gradients.
        model: prepared.
        phases: the model's.

    `networks` are unwrapped; within `at_play` the model holds wrapped ones if necessary. `backoff`
    is the learning-rate factor, halved at each rollback.
    """

    def __init__(
        self,
        settings: OptimisationSettings,
        processes: GradientProcesses,
        model: Learner,
        phases: Sequence[Phase],
    ) -> None:
        self._settings, self._processes = settings, processes
        self._model, self._phases = model, phases
        self.networks = model.networks
        self.learnable = {
            name: [p for p in net.parameters() if p.requires_grad]
            for name, net in self.networks.items()
        }
        playing = {id(p) for parameters in self.learnable.values() for p in parameters}
        self._idle = [p for p in model.parameters() if p.requires_grad and id(p) not in playing]
        self.average: MovingAverage | None = None
        self.backoff = 1.0
        self.rates: dict[str, list[float]] = {}
        self._optimizers: dict[str, Any] = {}
        self._learning: tuple[str, ...] | None = None

    @property
    def parameters(self) -> int:
        """Number of the networks' weights."""
        return sum(p.numel() for net in self.networks.values() for p in net.parameters())

    @contextmanager
    def at_play(self) -> Iterator[None]:
        """Context manager: trained networks are in training mode and wrapped.

        Every phase has an optimiser.

        Networks in no phase, such as a frozen feature extractor,
        stay in evaluation mode, which protects their statistics.
        """
        try:
            self._wrap()
            self._equip()
            yield
        finally:
            self._unwrap()

    def _wrap(self) -> None:
        self._model.eval()
        for part in self._model.children():
            if _is_stateless(part) and not isinstance(part, Fixed):
                part.train()
        for name, network in self.networks.items():
            network.train()
            if self.learnable[name]:
                _put(self._model, name, self._processes.wrapped(network))
        for parameter in self._idle:
            parameter.requires_grad_(False)

    def _equip(self) -> None:
        if self._settings.ema:
            self.average = MovingAverage(self.networks, self._settings.ema)
        for phase in self._phases:
            choice = self._settings.optimizers.get(phase.name, phase.optimizer)
            optimizer = choice.build(self._parameters(phase))
            self._optimizers[phase.name] = self._processes.wrapped_optimizer(optimizer)
            self.rates[phase.name] = [group["lr"] for group in optimizer.param_groups]

    def _unwrap(self) -> None:
        for name, network in self.networks.items():
            _put(self._model, name, network)
            for parameter in (*self.learnable[name], *self._idle):
                parameter.requires_grad_(True)
                parameter.grad = None
        self._model.eval()

    def _parameters(self, phase: Phase) -> list[nn.Parameter]:
        return [p for name in phase.networks for p in self.learnable[name]]

    # -------------------------------------------------------------------------------------- playing

    def total_weight(self, batch: Batch) -> float | Tensor:
        """The total weight of the global batch, given this process's share."""
        if batch.weights is None:
            return float(self._settings.batch)
        # weights of zero move nothing
        return self._processes.total(
            batch.weights.sum().clamp_min(torch.finfo(batch.weights.dtype).tiny)
        )

    def shared(self, groups: Sequence[Sequence[Phase]]) -> dict[str, object] | None:
        """The place for what the phases of a step share; None if they cannot.

        They cannot if batches are divided into pieces, or if no phase due trains the networks.
        """
        phases = [phase for group in groups for phase in group]
        names = {name for phase in phases for name in phase.shares}
        trained = {name for phase in phases for name in phase.networks}
        return {} if names and names <= trained and self._settings.accumulate == 1 else None

    def forget_gradients(self, phases: Sequence[Phase]) -> None:
        """Clear the gradients of these phases."""
        for phase in phases:
            for parameter in self._parameters(phase):
                parameter.grad = None

    def take_gradient(
        self, phase: Phase, batch: Batch, here: Step, weight: float | Tensor
    ) -> Terms:
        """Compute the gradient of a phase's loss.

        Return the terms as scalars whose process mean is the batch mean.
        """
        shared = phase.shares if here.shared is not None else ()
        self._set_learning((*phase.networks, *shared))
        scalars = Terms()
        pieces = _split(batch, self._settings.accumulate)
        for i, piece in enumerate(pieces):
            with self._exchange({*phase.networks, *shared}, last=i == len(pieces) - 1):
                terms = phase.loss(piece, here)
                shares = {
                    k: self._share(v, piece.weights, weight, len(pieces)) for k, v in terms.items()
                }
                self._processes.backward(reduce(add, shares.values()))
            _add(scalars, shares)
            _add(
                scalars.logged,
                {k: _divided(_mean(v), len(pieces)) for k, v in terms.logged.items()},
            )
        return scalars

    def move(self, phase: Phase, batch: Batch, here: Step) -> None:
        """Take one step of a phase's optimiser, at its schedule's rate for this part of the budget.

        The batch is for what the phase does after it.
        """
        optimizer, schedule = self._optimizers[phase.name], self._settings.schedule
        if isinstance(schedule, Mapping):
            schedule = schedule.get(phase.name, Schedule())
        factor = schedule.factor(here.fraction) * self.backoff
        for group, rate in zip(optimizer.param_groups, self.rates[phase.name]):
            group["lr"] = rate * factor
        if self._settings.clip is not None:
            if self._processes.scaler is not None:
                self._processes.scaler.unscale_(optimizer.optimizer)
            nn.utils.clip_grad_norm_(self._parameters(phase), self._settings.clip)
        optimizer.step()
        if phase.after is not None:
            with torch.no_grad():
                phase.after(batch, here)

    def _set_learning(self, names: tuple[str, ...]) -> None:
        if names == self._learning:
            return
        for name, parameters in self.learnable.items():
            for parameter in parameters:
                parameter.requires_grad_(name in names)
        self._learning = names

    def _exchange(self, learning: Collection[str], last: bool) -> AbstractContextManager[Any]:
        """Exchange only the learning networks' gradients, once per step."""
        if self._processes.world == 1:
            return ALONE
        stack = ExitStack()
        for name, network in self.networks.items():
            wrapped = self._model.get_submodule(name)
            if wrapped is not network and not (last and name in learning):
                stack.enter_context(self._processes.unexchanged(wrapped))
        return stack

    def _share(
        self, term: Tensor, weights: Tensor | None, total: float | Tensor, pieces: int
    ) -> Tensor:
        """This process's share of a term.

        It is scaled so that the mean over processes is the global mean.
        """
        if term.ndim == 0:
            return _divided(term, pieces)
        if term.ndim > 1:
            term = term.flatten(1).mean(1)
        summed = term.sum() if weights is None else (term * weights).sum()
        return summed * (self._processes.world / total)

    # --------------------------------------------------------------------------- being sampled from

    @contextmanager
    def as_sampled(self) -> Iterator[None]:
        """Context manager: the networks as sampling uses them, in evaluation mode.

        They are averaged if there is an average.
        """
        with self.averaged(), evaluation_mode(self._model):
            yield

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Context manager: the networks hold the average, if there is one."""
        with ExitStack() as stack:
            if self.average:
                stack.enter_context(self.average.applied())
            yield

    @torch.no_grad()
    def settle(self, better: Mapping[str, Tensor]) -> None:
        """Finish with the average, if any, or the best tensors, and the first process's buffers."""
        if self.average:
            self.average.put()
        tensors = self.tensors()
        for key, value in better.items():
            tensors[key].copy_(value.reshape(tensors[key].shape))
        if self._processes.world > 1:
            for buffer in self._model.buffers():
                buffer.copy_(self._processes.from_first(buffer))

    # ----------------------------------------------------------------------------- being remembered

    def tensors(self) -> dict[str, Tensor]:
        """Every parameter and buffer of the networks, by the model's names."""
        return {
            f"{name}.{k}": v
            for name, network in self.networks.items()
            for k, v in network.state_dict().items()
        }

    def state(self) -> dict[str, Any]:
        """The state for exact resumption that all processes share."""
        scaler = self._processes.scaler
        return {
            "backoff": self.backoff,
            "networks": self.tensors(),
            "average": self.average.state() if self.average else None,
            "optimizers": {
                name: optimizer.state_dict() for name, optimizer in self._optimizers.items()
            },
            "scaler": scaler.state_dict() if scaler is not None else None,
        }

    def buffers(self) -> dict[str, Tensor]:
        """The state of each process: the model's buffers, which differ between processes."""
        return dict(self._model.named_buffers())

    @torch.no_grad()
    def load(self, state: Mapping[str, Any], buffers: Mapping[str, Tensor]) -> None:
        """Restore the results of `state` and `buffers`."""
        current = {**self.buffers(), **self.tensors()}
        for key, value in [*state["networks"].items(), *buffers.items()]:
            current[key].copy_(value.reshape(current[key].shape))
        if self.average:
            self.average.load(state["average"])
        for name, optimizer in self._optimizers.items():
            check_optimizer(optimizer, state["optimizers"][name])
            optimizer.load_state_dict(copy_tree(state["optimizers"][name]))
            # files store every tensor contiguously
            match_layout(getattr(optimizer, "optimizer", optimizer))
        if self._processes.scaler is not None and state["scaler"] is not None:
            self._processes.scaler.load_state_dict(state["scaler"])
        self.backoff = state["backoff"]


def _is_stateless(network: nn.Module) -> bool:
    """Whether the network has no parameters or buffers to freeze."""
    return not any(True for _ in network.parameters()) and not any(True for _ in network.buffers())


def _put(model: nn.Module, name: str, network: nn.Module) -> None:
    """Put a network in the place of its dotted name."""
    holder, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(holder), leaf, network)


def check_names(phases: Sequence[Phase], model: Learner, settings: OptimisationSettings) -> None:
    """Raise InvalidValue for unknown networks in phases and unknown phases in settings."""
    modules = [
        name for name, part in model.named_modules() if name and not isinstance(part, Scaling)
    ]
    for phase in phases:
        for name in (*phase.networks, *phase.shares):
            if name not in modules:
                raise InvalidValue(
                    f"phase {phase.name!r} names network {name!r}; this model has"
                    f" {', '.join(_top_level(modules))}"
                )
    networks = sorted({name for phase in phases for name in phase.networks})
    for outer, inner in pairwise(networks):
        if inner.startswith(outer + "."):
            raise InvalidValue(
                f"the networks {outer!r} and {inner!r} overlap; have the phases name separate ones"
            )
    names = [p.name for p in phases]
    scheduled = list(settings.schedule) if isinstance(settings.schedule, Mapping) else []
    for name in [*settings.optimizers, *scheduled]:
        if name not in names:
            raise InvalidValue(
                f"there is no phase {name!r}; this model's phases are {', '.join(names)}"
            )


def _top_level(names: Sequence[str]) -> list[str]:
    """The names without a dot."""
    return [name for name in names if "." not in name]


def due_phases(phases: Sequence[Phase], step: int) -> list[list[Phase]]:
    """Phases due at this step, grouped by those using the same parameters."""
    groups: list[list[Phase]] = []
    for phase in phases:
        if (step + 1) % phase.every:
            continue
        if phase.simultaneous and groups:
            groups[-1].append(phase)
        else:
            groups.append([phase])
    return groups


def _mean(value: Tensor) -> Tensor:
    """The mean in float32; an operation on a number takes as long as one on a small batch."""
    value = value.to(torch.float32)
    return value.mean() if value.ndim else value


def _divided(value: Tensor, pieces: int) -> Tensor:
    return value if pieces == 1 else value / pieces


def _split(batch: Batch, count: int) -> list[Batch]:
    if count == 1:
        return [batch]
    parts = [[None] * count if part is None else list(part.chunk(count)) for part in batch]
    return [Batch(*piece) for piece in zip(*parts)]


def _add(sums: dict[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        sums[name] = sums[name] + value.detach() if name in sums else value.detach()
