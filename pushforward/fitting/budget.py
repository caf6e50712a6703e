"""The budget of a fit in epochs, steps, samples or minutes, and how much of it is spent.

Counted budgets are converted to steps, so that they end at the same step wherever the fit is
interrupted. A budget in minutes counts the time spent over all resumptions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsFloat, TypeVar, cast

from pushforward.core.argument_names import argument, setting
from pushforward.core.budgets import BUDGETS
from pushforward.core.errors import InvalidValue, quote, require_positive
from pushforward.fitting.settings import BudgetSettings

__all__ = ["BUDGETS", "EPOCHS", "Budget", "check_budget", "extend", "budget_exceeded"]

G = TypeVar("G")

EPOCHS = 20
"""The default budget."""


class Budget:
    """The budget of one fit, and its clock.

    Args:
        settings: the budget.
        batch: observations per step.
        steps_per_epoch: batches in a pass over the data.

    `total` is the budget in steps, None if only time is limited;
    `epoch` is the number of steps in an epoch.
    """

    def __init__(self, settings: BudgetSettings, batch: int, steps_per_epoch: int) -> None:
        self._settings = settings
        self.epoch, self.batch = steps_per_epoch, batch
        self.minutes = settings.minutes
        self.total = self._steps()
        self.spent = 0.0
        self._began = time.perf_counter()

    def _steps(self) -> int | None:
        if self.minutes is not None:
            return None
        if self._settings.steps is not None:
            return _round_up(self._settings.steps)
        if self._settings.samples is not None:
            return _round_up(self._settings.samples / self.batch)
        epochs = self._settings.epochs
        return _round_up((EPOCHS if epochs is None else epochs) * self.epoch)

    @property
    def extended(self) -> bool:
        """Whether a resumed run was given a new budget."""
        return self._settings.extended

    def begin(self) -> None:
        """Start the clock for this run of the process."""
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent fitting, over all resumptions."""
        return self.spent + time.perf_counter() - self._began

    @property
    def samples(self) -> int | None:
        """The whole budget in samples; None if only time is limited."""
        return None if self.total is None else self.total * self.batch

    def fraction(self, step: int) -> float:
        """The share of the budget spent after `step` steps."""
        if self.total is not None:
            return min(1.0, step / self.total)
        return min(1.0, self.seconds / (60 * (self.minutes or 1)))

    def refuse_spent(self, run: Path | None, step: int, seconds: float) -> None:
        """Raise InvalidValue if the resumed run is past its new budget.

        It is at `step` after `seconds`.
        """
        name, before = self._settings.unit, self._settings.resumed
        amount = None if name is None else float(getattr(self._settings, name))
        if name is None or amount is None or not self.extended or before.get(name) == amount:
            return
        progress = {
            "epochs": step / self.epoch,
            "steps": step,
            "samples": step * self.batch,
            "minutes": seconds / 60,
        }[name]
        if progress <= amount if self.total is None else step <= self.total:
            return
        more, whole = f"{amount:.12g}", f"{math.ceil(progress) + amount:.12g}"
        remedy = setting(name, f"+{more}") if name in before else argument(name, whole)
        raise budget_exceeded(run, step, f"{more} {name}", f"{remedy} to go on for {more} more")

    def remaining(self, step: int, rate: float) -> float | None:
        """Seconds left after `step` steps, at a rate in samples per second; None if unknown."""
        if self.total is not None and rate:
            return (self.total - step) * self.batch / rate
        fraction = self.fraction(step)
        return self.seconds * (1 - fraction) / fraction if fraction > 0 else None


def check_budget(name: str, value: object) -> None:
    """Raise InvalidValue unless `value` is None or a positive number; '+50' is left to `extend`."""
    if value is None:
        return
    number = _number(name, value)
    if isinstance(value, str):
        raise InvalidValue(
            f"{name}={value!r} extends a resumed run; without resume, pass the whole budget"
            if value.startswith("+")
            else f"{name} must be a number, got the text {value!r}; pass {name}={number:g}"
        )
    require_positive(**{name: number})


def extend(name: str, value: G, stored: Mapping[str, Any]) -> G | float:
    """Add '+50' to a stored budget: '+50' epochs on a run of 20 epochs give 70."""
    if not (isinstance(value, str) and value.startswith("+")):
        return value
    if stored.get(name) is None:
        have = next((n for n in BUDGETS if stored.get(n) is not None), "epochs")
        raise InvalidValue(
            f"the run's budget is in {have}, so it cannot be extended in {name}; extend it in"
            f" {have}"
        )
    more = _number(name, value[1:])
    require_positive(**{name: more})
    return float(stored[name]) + more


def budget_exceeded(run: object, step: int, budget: str, remedy: str) -> InvalidValue:
    """The error for resuming a run at `step` beyond its `budget`."""
    return InvalidValue(f"{run} is at step {step}, already past {budget}; pass {remedy}")


def _number(name: str, text: object) -> float:
    try:
        number = float(cast(str | SupportsFloat, text))
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(
            f"{name} must be a number, or '+number' when resuming, got {quote(text)}"
        ) from error
    if not math.isfinite(number):
        raise InvalidValue(
            f"{name} must be finite, got {text!r}; for a fit until Ctrl-C, pass a large number"
        )
    return number


def _round_up(steps: float) -> int:
    """Rounded up, ignoring floating-point error."""
    return max(1, math.ceil(steps - 1e-9 * max(1.0, steps)))
