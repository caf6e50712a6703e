"""The settings of one fit by gradients, in groups.

Each collaborator receives only the group it needs.

`Trainer` has them as flat keyword arguments, from which it builds the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pushforward.core.budgets import BUDGETS
from pushforward.core.events import CancelToken, Event, Listener
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.core.phase import Optimizer
from pushforward.core.plain import Plain
from pushforward.core.source import Source
from pushforward.fitting.augment import Augment
from pushforward.fitting.film import Film
from pushforward.fitting.schedules import Schedule

__all__ = [
    "BATCH",
    "Callback",
    "BudgetSettings",
    "OptimisationSettings",
    "EvaluationSettings",
    "ProcessSettings",
    "FolderSettings",
    "ObserverSettings",
    "FitSettings",
    "PassSettings",
]

BATCH = 128
"""Default rows per step: enough for batch norm, few enough for small tables."""
Callback = Callable[[Event, Learner], None]


@dataclass(frozen=True)
class BudgetSettings:
    """The budget: at most one of the four units is not None.

    `resumed` is the previous budget of a resumed run, by unit;
    `extended` tells whether it was given a new one.
    """

    epochs: float | None = None
    steps: float | None = None
    samples: float | None = None
    minutes: float | None = None
    resumed: Mapping[str, float] = field(default_factory=dict)
    extended: bool = False

    @property
    def unit(self) -> str | None:
        """The unit in which a budget is set, if any."""
        return next((unit for unit in BUDGETS if getattr(self, unit) is not None), None)


@dataclass(frozen=True)
class OptimisationSettings:
    """A training step: rows, gradients and optimisers.

    `batch` counts rows over all processes; with `fewer` it is reduced if there are fewer rows, or
    if they cannot be divided evenly.
    """

    batch: int = BATCH
    fewer: bool = False
    seed: int = 0
    optimizers: Mapping[str, Optimizer] = field(default_factory=dict)
    schedule: Schedule | Mapping[str, Schedule] = field(default_factory=Schedule)
    clip: float | None = None
    accumulate: int = 1
    ema: float | None = None
    augment: Sequence[Augment] | None = None
    on_divergence: Literal["stop", "rollback"] = "stop"
    start: Model | None = None


@dataclass(frozen=True)
class EvaluationSettings:
    """The held-out rows, the epochs between evaluations, and what evaluations decide."""

    held_out: Source | float | None = None
    every: float | None = None
    keep_best: bool = False
    patience: int | None = None


@dataclass(frozen=True)
class ProcessSettings:
    """Devices and processes, by Lightning Fabric's names.

    `accelerator` may also be 'auto' (see `core/devices.py`), or a device with its number: 'cuda:1'.
    """

    accelerator: str = "auto"
    devices: int | str = 1
    strategy: str = "auto"
    precision: str = "32-true"
    num_nodes: int = 1


@dataclass(frozen=True)
class FolderSettings:
    """The run folder and the checkpoint interval; no folder if `path` is None.

    `content` is the settings in run.json; `fine_tuned` tells that the fit starts from given
    weights, which that file cannot describe, and `start` is the run they come from, if known.
    """

    path: Path | None = None
    resumed: bool = False
    overwrite: bool = False
    save_every: float = 60.0
    fine_tuned: bool = False
    start: str | None = None
    content: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class ObserverSettings:
    """The observers of the fit, and the token to stop it."""

    listeners: Sequence[Listener] = ()
    callbacks: Sequence[Callback] = ()
    film: int | Film | None = None
    token: CancelToken | None = None
    quiet: bool = False


@dataclass(frozen=True)
class FitSettings:
    """All groups of one fit."""

    budget: BudgetSettings
    optimisation: OptimisationSettings
    evaluation: EvaluationSettings
    processes: ProcessSettings
    folder: FolderSettings
    observers: ObserverSettings

    def with_batch(self, batch: int) -> FitSettings:
        """The same settings with another batch, also in the stored content."""
        optimisation = replace(self.optimisation, batch=batch, fewer=False)
        folder = replace(self.folder, content={**self.folder.content, "batch": batch})
        return replace(self, optimisation=optimisation, folder=folder)


@dataclass(frozen=True)
class PassSettings:
    """The settings of a fit by passes.

    `steps` is the most passes per start, `tolerance` the least increase of the objective per pass
    (nats per row), `block` the rows per block, `seed` that of the starts.
    """

    steps: int = 100
    tolerance: float = 1e-6
    block: int | None = None
    seed: int = 0
