"""Phases: which networks a learner trains, on which losses, in which order.

Phases are data, not a generator of losses, because the training loop must know the next phase
before the forward pass: it freezes all other networks first.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.fused_adam import FusedAdam, is_dense
from pushforward.core.registry import Value

__all__ = [
    "Batch",
    "Step",
    "Terms",
    "Optimizer",
    "Adam",
    "AdamW",
    "SGD",
    "RMSProp",
    "adam",
    "adamw",
    "sgd",
    "rmsprop",
    "Phase",
    "play_together",
]


Made = TypeVar("Made")


class Batch(NamedTuple):
    """Observations (b, *shape), their conditions and their weights (b,)."""

    x: Tensor
    y: Tensor | None = None
    weights: Tensor | None = None

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Batch:
        """The batch on a device; floating x and y in `dtype`, if one is given."""
        y = self.y
        if y is not None:
            y = y.to(device, dtype) if y.dtype.is_floating_point else y.to(device)
        x = self.x.to(device, dtype) if self.x.dtype.is_floating_point else self.x.to(device)
        return Batch(x, y, None if self.weights is None else self.weights.to(device, dtype))

    def __len__(self) -> int:
        return len(self.x)


class Step(NamedTuple):
    """Position in the fit: samples seen, fraction of the budget, and this rank's stream.

    Args:
        samples: seen so far.
        fraction: of the budget.
        rng: of this process's noise.
        shared: what phases of this step have made for later ones; None if they share nothing.
    """

    samples: int = 0
    fraction: float = 0.0
    rng: torch.Generator | None = None
    shared: dict[str, object] | None = None

    def share(self, name: str, make: Callable[[], Made]) -> Made:
        """What the first phase of this step that asks for `name` makes, for all its phases.

        It is made again for each phase unless a phase `shares` the networks that make it.
        """
        if self.shared is None:
            return make()
        if name not in self.shared:
            self.shared[name] = make()
        return cast(Made, self.shared[name])


class Terms(dict[str, Tensor]):
    """Named loss terms, summed and minimised; `logged` holds quantities that are only recorded.

    The training loop averages a term of shape (b, …) over each row's values
    (a map of patches, say), then over the weighted rows of all processes; a scalar is used as it
    is.

    Example:
        >>> terms = Terms(distortion=torch.ones(3), logged={"accuracy": torch.tensor(.5)})
        >>> sorted(terms), sorted(terms.logged)
        (['distortion'], ['accuracy'])
    """

    def __init__(self, *, logged: Mapping[str, Tensor] | None = None, **terms: Tensor) -> None:
        super().__init__(terms)
        self.logged: dict[str, Tensor] = dict(logged or {})


class Optimizer(Value, family="optimizer"):
    """An optimiser's settings."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not (math.isfinite(value) and value >= 0):
                raise InvalidValue(
                    f"{field.name} of {self.name} must be finite and not negative, got {value}"
                )
            if field.name.startswith("beta") and not value < 1:
                raise InvalidValue(
                    f"{field.name} of {self.name} must be below 1, got {value}; 0.9 is usual"
                )

    @abstractmethod
    def build(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimiser over `parameters`."""


def _fused(parameters: list[torch.nn.Parameter]) -> bool:
    return all(
        p.is_floating_point() and p.device.type in ("cpu", "cuda") and is_dense(p)
        for p in parameters
    )


@dataclass(frozen=True)
class Adam(Optimizer, name="adam"):
    """Adam, fused if the device supports it.

    Reference: Kingma & Ba (2015), Algorithm 1, https://arxiv.org/abs/1412.6980.

    Args:
        rate: the learning rate.
        beta1, beta2: of the running means of gradients and of their squares.
        epsilon: added to the root of the latter.
        decay: times the weights, is added to their gradients (an L2 penalty; `adamw` decouples it).
    """

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0

    def build(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimiser over `parameters`."""
        kind = FusedAdam if _fused(parameters) else torch.optim.Adam
        return kind(
            parameters,
            lr=self.rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            weight_decay=self.decay,
        )


@dataclass(frozen=True)
class AdamW(Optimizer, name="adamw"):
    """Adam with decoupled weight decay.

    Reference: Loshchilov & Hutter (2019), Algorithm 2, https://arxiv.org/abs/1711.05101.
    """

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    decay: float = 1e-2

    def build(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimiser over `parameters`."""
        betas = (self.beta1, self.beta2)
        return torch.optim.AdamW(
            parameters, lr=self.rate, betas=betas, weight_decay=self.decay, fused=_fused(parameters)
        )


@dataclass(frozen=True)
class SGD(Optimizer, name="sgd"):
    """Stochastic gradient descent with momentum, optionally Nesterov's.

    Reference: Polyak (1964), https://doi.org/10.1016/0041-5553(64)90137-5.
    """

    rate: float = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    def build(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimiser over `parameters`."""
        return torch.optim.SGD(
            parameters, lr=self.rate, momentum=self.momentum, nesterov=self.nesterov
        )


@dataclass(frozen=True)
class RMSProp(Optimizer, name="rmsprop"):
    """RMSProp.

    Reference: Tieleman & Hinton (2012), Lecture 6.5,
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.
    """

    rate: float = 1e-3
    decay: float = 0.99

    def build(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimiser over `parameters`."""
        return torch.optim.RMSprop(parameters, lr=self.rate, alpha=self.decay)


adam, adamw, sgd, rmsprop = Adam, AdamW, SGD, RMSProp


@dataclass(frozen=True)
class Phase:
    """One network update within a training step.

    Args:
        name: key in logs, optimiser overrides, schedules and the watchdog.
        networks: dotted names of the networks it trains ('encoder',
            'levels.0.generator'); all others are frozen.
        loss: (batch in model coordinates, step) -> Terms.
        optimizer: the default, from the paper; the Trainer may override it by phase name.
        every: runs when (step + 1) % every == 0, on that step's batch.
        shares: networks of a later phase that make samples here for it, too, through `Step.share`:
            they record the gradients that it needs. A step whose batch is divided into pieces
            (`accumulate`) shares nothing, since all pieces' samples would have to be kept.
        simultaneous: takes its gradients at the same parameters
            as the previous phase (see `play_together`).
        after: called as after(batch, step) once the update is done, without gradients, in every
            process: to clip weights, say, or to update a codebook from the batch's codes.
    """

    name: str
    networks: tuple[str, ...]
    loss: Callable[[Batch, Step], Terms]
    optimizer: Optimizer = Adam()
    every: int = 1
    simultaneous: bool = False
    shares: tuple[str, ...] = ()
    after: Callable[[Batch, Step], None] | None = None


def play_together(*phases: Phase) -> list[Phase]:
    """Phases whose gradients are all taken before any of them updates (simultaneous play)."""
    first, *rest = phases
    return [first, *(replace(p, simultaneous=True) for p in rest)]
