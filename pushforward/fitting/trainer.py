"""Training by gradients: any learner, any number of players, on any device, exactly resumable.

`Trainer` holds the settings (`settings.py`); `fit_by_gradients` runs one fit with them. Exact
resumption means: killed at any moment and resumed on the same machine with the same number of
threads, a fit ends with the same weights as the uninterrupted run, bit for bit, for counted budgets
(samples, steps, epochs). A budget in minutes depends on the clock.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadRun, InvalidValue, printable, quote, require_positive
from pushforward.core.events import CancelToken, Finished, Listener
from pushforward.core.kinds import fits, read_hints
from pushforward.core.learner import Learner
from pushforward.core.manifest import Manifest
from pushforward.core.model import Model
from pushforward.core.numbers import normalise_settings
from pushforward.core.phase import Optimizer
from pushforward.core.registry import read
from pushforward.core.source import Source
from pushforward.core.stream import Stream
from pushforward.fitting.augment import Augment
from pushforward.fitting.budget import BUDGETS, EPOCHS, check_budget, extend
from pushforward.fitting.explicit_settings import ExplicitSettings, as_json, require_stored
from pushforward.fitting.film import Film
from pushforward.fitting.gradient_fit import fit_by_gradients
from pushforward.fitting.run_folder import KIND
from pushforward.fitting.schedules import Schedule
from pushforward.fitting.settings import (
    BATCH,
    BudgetSettings,
    Callback,
    EvaluationSettings,
    FitSettings,
    FolderSettings,
    ObserverSettings,
    OptimisationSettings,
    ProcessSettings,
)

__all__ = ["Trainer"]

GIVEN = "given with the fit"
MOST_ROWS = 1 << 31
"""The most rows per step or evaluation."""
UNSTORED = ("run", "overwrite", "resume", "start", "listeners", "callbacks", "token", "quiet")
"""Settings for the run folder, the initial weights and the observers of a fit."""
FREE = ("save_every", "film", "accelerator", "devices", "strategy", "num_nodes")
"""Settings that may change on resumption: none affects the result."""


@dataclass(frozen=True)
class _Resumed:
    """The previous budget of a resumed run, by unit, and whether it is given a new one."""

    budget: Mapping[str, float] = field(default_factory=dict)
    extended: bool = False


@dataclass
class Trainer(ExplicitSettings):
    """Fits a learner by running its phases on batches.

    Args:
        epochs: the budget in passes over the data; 20 if no budget is given. A model's own fitter,
            which `fit` uses without `by`, may have more. When resuming, '+50' extends a budget.
        steps: the budget in steps, instead of epochs.
        samples: the budget in observations seen, likewise.
        minutes: the budget in minutes, likewise.
        batch: observations per step, over all processes; if None the model's own, mostly 128, or
            all rows if there are fewer.
        seed: of initialisation, order of rows, noise and augmentation.
        optimizers: by phase name, instead of the model's own: {'critic': 'adam(rate=1e-4)'}.
        schedule: of the learning rates, one for all or by phase: 'cosine', 'linear(start=0.5)', …
        clip: largest gradient norm of a phase.
        accumulate: compute each step's gradient in this many pieces (less memory, the same step).
        ema: keep an average of the weights with this decay per step, and sample from it.
        augment: instead of the model's own, e.g. ['flip', 'crop(padding=2)'].
        held_out: a share of the rows to hold out, or a source; needed for keep_best and patience.
        evaluate_every: epochs between evaluations;
            by default a twentieth of the budget, or an eighth without held-out rows; longer where
            models are evaluated by samples and the fit is short.
        keep_best: finish with the weights of the best held-out quality.
        patience: stop after this many evaluations without improvement.
        on_divergence: 'stop', or 'rollback' to the last good state
            at half the rate (three times at most).
        run: folder to write checkpoints, log and model to.
        overwrite: replace an existing run folder.
        save_every: seconds between checkpoints.
        film: record this many samples from the same codes repeatedly,
            in the run's images/film/; or a `Film`.
        resume: run folder to continue, with its original settings. Others are refused, except for a
            longer budget, save_every, film, accelerator, devices, strategy and num_nodes.
        start: a fitted model whose weights to start from (fine-tuning): of the same class, or one
            that is a part of it, as an SRResNet is of an SRGAN.
        accelerator: 'auto' (a CUDA device if there is one, else the CPU), 'cpu', 'cuda', 'cuda:1';
            the fitted model stays there, and `model.to('cpu')` moves it.
        devices, strategy, num_nodes: as in Lightning Fabric.
        precision: '32-true', '64-true', 'bf16-mixed' or '16-mixed'; see docs/devices.md.
        listeners: called with every event.
        callbacks: called with every event and the model.
        token: stops the fit at the next step when cancelled.
        quiet: show no progress. By default there is a line on a terminal,
            a table in a notebook, and nothing elsewhere.

    Raises:
        InvalidValue, InvalidKind: For settings out of range.
        Diverged: If a term or gradient is not finite.
    """

    alternatives: ClassVar[tuple[str, ...]] = BUDGETS

    epochs: float | str | None = None
    steps: int | str | None = None
    samples: int | str | None = None
    minutes: float | str | None = None
    batch: int | None = None
    seed: int = 0
    optimizers: Mapping[str, Optimizer | str] = field(default_factory=dict)
    schedule: Schedule | str | Mapping[str, Schedule | str] = "constant"
    clip: float | None = None
    accumulate: int = 1
    ema: float | None = None
    augment: Sequence[Augment | str] | None = None
    held_out: Source | float | None = None
    evaluate_every: float | None = None
    keep_best: bool = False
    patience: int | None = None
    on_divergence: Literal["stop", "rollback"] = "stop"
    run: str | Path | None = None
    overwrite: bool = False
    save_every: float = 60.0
    film: int | Film | None = None
    resume: str | Path | None = None
    start: Model | None = None
    accelerator: str = "auto"
    devices: int | str = 1
    strategy: str = "auto"
    precision: str = "32-true"
    num_nodes: int = 1
    listeners: Sequence[Listener] = ()
    callbacks: Sequence[Callback] = ()
    token: CancelToken | None = None
    quiet: bool = False
    _resumed: _Resumed = field(default_factory=_Resumed, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        normalise_settings(self)
        if self.resume is not None:
            self._resumed = self._take_stored(Path(self.resume))
        self._check_budget()
        self._check_numbers()
        self._check_combinations()
        self.optimizers = {
            phase: read(Optimizer, value) for phase, value in self.optimizers.items()
        }
        if isinstance(self.schedule, Mapping):
            self.schedule = {phase: read(Schedule, value) for phase, value in self.schedule.items()}
        else:
            self.schedule = read(Schedule, self.schedule)
        if self.augment is not None:
            self.augment = [read(Augment, value) for value in self.augment]

    def _check_budget(self) -> None:
        for name in BUDGETS:
            check_budget(name, getattr(self, name))
        budgets = [n for n in BUDGETS if getattr(self, n) is not None]
        if len(budgets) > 1:
            raise InvalidValue(
                f"give one budget, got {' and '.join(budgets)}; leave the others out"
            )

    def _check_numbers(self) -> None:
        """Raise InvalidValue for a number out of its range."""
        require_positive(
            batch=self.batch, accumulate=self.accumulate, clip=self.clip, save_every=self.save_every
        )
        require_positive(patience=self.patience, evaluate_every=self.evaluate_every)
        require_positive(film=None if isinstance(self.film, Film) else self.film)
        if self.ema is not None and not 0 < self.ema < 1:
            raise InvalidValue(
                f"ema is the decay per step, between 0 and 1 (e.g. 0.999), got {self.ema}"
            )
        for name in ("batch", "accumulate", "patience", "seed", "film"):
            value = getattr(self, name)
            counts = isinstance(value, int) and not isinstance(value, bool)
            if not counts and not isinstance(value, Film) and (value is not None or name == "seed"):
                raise InvalidValue(f"{name} must be a whole number, got {quote(value)}")
            if isinstance(value, int) and name != "seed" and value > MOST_ROWS:
                raise InvalidValue(
                    f"{name} must be at most {MOST_ROWS:,}, got {quote(value)}; pass a smaller"
                    " number"
                )
        if isinstance(self.held_out, (int, float)) and not 0 < self.held_out < 1:
            raise InvalidValue(
                f"held_out is a share of the rows between 0 and 1, or a source, got {self.held_out}"
            )

    def _check_combinations(self) -> None:
        """Raise InvalidValue for settings that do not go together, and for an unknown choice."""
        if isinstance(self.film, int) and self.run is None and self.resume is None:
            raise InvalidValue(
                f"film stores its frames in the run's folder; pass {setting('run', 'runs/mine')}"
                " too, or a Film,"
                " which can hold them in memory"
            )
        if self.on_divergence not in ("stop", "rollback"):
            raise InvalidValue(
                f"on_divergence must be 'stop' or 'rollback', got {self.on_divergence!r}"
            )
        if (self.keep_best or self.patience) and self.held_out is None and self.resume is None:
            raise InvalidValue("keep_best and patience need held-out data; pass held_out=0.1, say")
        if self.batch is not None and self.batch % self.accumulate:
            raise InvalidValue(
                f"batch must be a multiple of accumulate, got {self.batch} and {self.accumulate}"
            )

    def fit(self, model: Model, source: Source) -> Finished:
        """Fit `model` to `source`, from scratch or from the state of the run in `resume`."""
        if not isinstance(model, Learner):
            raise InvalidValue(
                f"{type(model).__name__} is not trained by gradients; leave `by` out to use its own"
                " fitter"
            )
        return fit_by_gradients(
            self.groups(model.usual_batch(_known_length(source))), model, source
        )

    def groups(self, usual_batch: int = BATCH) -> FitSettings:
        """The settings in groups, one per collaborator.

        Args:
            usual_batch: the model's, if `batch` is not given.
        """
        units = {name: getattr(self, name) for name in BUDGETS}
        budget = BudgetSettings(
            **{name: None if value is None else float(value) for name, value in units.items()},
            resumed=self._resumed.budget,
            extended=self._resumed.extended,
        )
        folder = FolderSettings(
            path=None if self.run is None else Path(self.run),
            resumed=self.resume is not None,
            overwrite=self.overwrite,
            save_every=self.save_every,
            fine_tuned=self.start is not None,
            start=None if self.start is None else self.start.loaded_from,
            content=self.settings(),
        )
        return FitSettings(
            budget,
            OptimisationSettings(
                **{
                    **self._shared(OptimisationSettings),
                    "batch": self.batch or usual_batch,
                    "fewer": self.batch is None,
                }
            ),
            EvaluationSettings(self.held_out, self.evaluate_every, self.keep_best, self.patience),
            ProcessSettings(**self._shared(ProcessSettings)),
            folder,
            ObserverSettings(**self._shared(ObserverSettings)),
        )

    def _shared(self, group: type) -> dict[str, Any]:
        """The values of the fields that a group shares with the trainer, by name."""
        names = [f.name for f in dataclasses.fields(group) if hasattr(self, f.name)]
        return {name: getattr(self, name) for name in names}

    # --------------------------------------------------------------------------------------- stored

    def settings(self) -> dict[str, Any]:
        """Everything that affects the result, as plain JSON."""
        fields = [f.name for f in dataclasses.fields(self) if f.init and f.name not in UNSTORED]
        content = {name: as_json(getattr(self, name)) for name in fields}
        if self.held_out is not None and not isinstance(self.held_out, (int, float)):
            content["held_out"] = GIVEN
        if isinstance(self.film, Film):
            content["film"] = None
        if all(content[name] is None for name in BUDGETS):
            content["epochs"] = EPOCHS
        return content

    def _take_stored(self, folder: Path) -> _Resumed:
        """Adopt the settings of the run in `folder`.

        A budget given now replaces or extends its own.
        """
        stored = _settings_in(folder)
        if stored.get("held_out") == GIVEN and self.held_out is None:
            raise InvalidValue(
                f"{folder} was started with separate held-out data; pass the same as held_out=… to"
                " resume it"
            )
        wanted = {n: getattr(self, n) for n in BUDGETS if getattr(self, n) is not None}
        self._require_stored(stored, folder)
        for f in dataclasses.fields(self):
            if f.name in BUDGETS or f.name not in stored:
                continue
            if f.name in FREE and f.name in self.given:
                continue
            if f.name == "held_out" and stored[f.name] == GIVEN:
                continue
            setattr(self, f.name, stored[f.name])
        before = {n: stored[n] for n in BUDGETS if stored.get(n) is not None}
        budget = wanted or before
        for name in BUDGETS:
            setattr(self, name, extend(name, budget.get(name), stored))
        self.run = folder
        return _Resumed(before, bool(wanted))

    def _require_stored(self, stored: Mapping[str, Any], folder: Path) -> None:
        """Raise InvalidValue for the first explicit setting that differs from the run's own."""
        if self.run is not None and Path(self.run).resolve() != folder.resolve():
            raise InvalidValue(
                f"{setting('resume', str(folder))} continues in that folder, got"
                f" {setting('run', str(self.run))} too;"
                " leave run out"
            )
        for name in ("start", "overwrite"):
            if getattr(self, name):
                raise InvalidValue(
                    f"{name} is for new runs, but {setting('resume', str(folder))} continues one;"
                    " leave"
                    f" {name} out"
                )
        explicit = {name: getattr(self, name) for name in self.given}
        if self.held_out is not None and not isinstance(self.held_out, (int, float)):
            explicit["held_out"] = GIVEN
        if isinstance(explicit.get("optimizers"), Mapping):
            explicit["optimizers"] = {
                phase: read(Optimizer, value) for phase, value in explicit["optimizers"].items()
            }
        if isinstance(explicit.get("schedule"), Mapping):
            explicit["schedule"] = {
                phase: read(Schedule, value) for phase, value in explicit["schedule"].items()
            }
        elif "schedule" in explicit:
            explicit["schedule"] = read(Schedule, explicit["schedule"])
        if explicit.get("augment") is not None:
            explicit["augment"] = [read(Augment, value) for value in explicit["augment"]]
        require_stored(
            explicit, stored, folder, [name for name in stored if name not in (*BUDGETS, *FREE)]
        )


def _settings_in(folder: Path) -> dict[str, Any]:
    """The trainer's settings stored in a run folder.

    Raises:
        BadRun: If the folder does not hold valid settings of a Trainer.
    """
    manifest = Manifest.read(folder)
    if manifest is None or not manifest.fitter:
        raise BadRun(
            f"{folder} cannot be resumed: it holds no settings of a fit: it is not the folder of a"
            " fit, or was killed before the first step; start a new run"
        )
    if manifest.fitter != KIND:
        raise BadRun(
            f"{folder} was started by {printable(manifest.fitter)}, not by a Trainer; resume it by"
            " EM(resume=…)"
        )
    hints = read_hints(Trainer)
    for name, value in manifest.settings.items():
        if name in hints and not fits(value, hints[name]):
            raise BadRun(
                f"{manifest.path(folder)} is damaged ({name} has the wrong type); restore it from"
                " a copy"
            )
    return dict(manifest.settings)


def _known_length(source: Source) -> int | None:
    """Number of rows; None for a stream whose rows are not counted yet."""
    return source.known_length if isinstance(source, Stream) else len(source)
