"""Training and evaluation mode.

Results never depend on a model's mode, and losses never change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from torch import nn

from pushforward.core.phase import Batch, Phase, Step, Terms
from pushforward.core.verbs import copy_signature

__all__ = ["EVALUATED", "HasMode", "evaluation_mode", "evaluated", "keep_modes_in_losses"]


P = ParamSpec("P")
R = TypeVar("R")


class HasMode(nn.Module):
    """A module that knows whether its mode is to be left alone."""

    _mode_is_set: bool = False
    """Within a loss, or within another method that looks: the mode is not to be changed again."""

    _in_loss: bool = False
    """Within a loss: parameters need gradients, and batch norm uses all rows at once."""


M = TypeVar("M", bound=HasMode)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Context manager: a module and its parts in evaluation mode.

    Each mode is restored afterwards.
    """
    learning = _in_training(module, [])
    for part in learning:
        part.training = False
    try:
        yield
    finally:
        for part in learning:
            part.training = True


def _in_training(module: nn.Module, modules: list[nn.Module]) -> list[nn.Module]:
    if module.training:
        modules.append(module)
    for part in module._modules.values():
        if part is not None:
            _in_training(part, modules)
    return modules


EVALUATED = frozenset(
    {
        "sample",
        "log_prob",
        "elbo",
        "bound",
        "encode",
        "decode",
        "prior",
        "likelihood",
        "posterior",
        "translate",
        "energy",
        "quality",
    }
    | {"vitals", "assign", "responsibilities", "condition"}
)
"""Methods of a learner that run in evaluation mode, except inside a loss."""


def evaluated(method: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """The method, run in evaluation mode whatever mode the networks are in."""

    def looked(self: M, /, *args: Any, **named: Any) -> R:
        if self._mode_is_set:
            return method(self, *args, **named)
        self._mode_is_set = True
        try:
            with evaluation_mode(self):
                return method(self, *args, **named)
        finally:
            self._mode_is_set = False

    return copy_signature(method, looked)


def keep_modes_in_losses(
    phases: Callable[[M], Sequence[Phase]],
) -> Callable[[M], Sequence[Phase]]:
    """`phases` with losses inside which the networks keep their mode."""

    def with_losses(self: M) -> Sequence[Phase]:
        return [replace(phase, loss=_keep_modes(self, phase.loss)) for phase in phases(self)]

    return copy_signature(phases, with_losses)


def _set_modes(learner: HasMode, mode_is_set: bool, in_loss: bool) -> None:
    """Set both marks, without a module's search for parameters among them."""
    learner.__dict__.update(_mode_is_set=mode_is_set, _in_loss=in_loss)


def _keep_modes(
    model: nn.Module, loss: Callable[[Batch, Step], Terms]
) -> Callable[[Batch, Step], Terms]:
    learners = [part for part in model.modules() if isinstance(part, HasMode)]

    def taken(batch: Batch, step: Step) -> Terms:
        before = [(learner._mode_is_set, learner._in_loss) for learner in learners]
        for learner in learners:
            _set_modes(learner, True, True)
        try:
            return loss(batch, step)
        finally:
            for learner, was in zip(learners, before):
                _set_modes(learner, *was)

    return taken
