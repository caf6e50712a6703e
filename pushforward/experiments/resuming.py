"""Resumption of a fit with the settings in its run folder, exactly or with a longer budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pushforward import models  # noqa: F401 - fills the catalogue
from pushforward.core.argument_names import argument
from pushforward.core.budgets import BUDGETS
from pushforward.core.errors import (
    BadRun,
    InvalidKind,
    InvalidValue,
    PushforwardError,
    is_out_of_memory,
)
from pushforward.core.events import CancelToken, Listener
from pushforward.core.fitter import Fitter
from pushforward.core.manifest import Manifest
from pushforward.core.model import Model
from pushforward.core.model_validation import check_hyperparameters
from pushforward.core.plain import from_plain
from pushforward.core.provenance import Provenance
from pushforward.core.registry import model_class
from pushforward.core.source import Source
from pushforward.core.storage import construct
from pushforward.experiments.experiment import Outcome, fit_into
from pushforward.experiments.opened import (
    Parts,
    at_source,
    divide,
    imports_named,
    read_again_or_advise,
)
from pushforward.fitting.checkpoint import Checkpoints
from pushforward.fitting.em import EM
from pushforward.fitting.pass_folder import has_ended
from pushforward.fitting.trainer import Trainer

__all__ = ["ResumableRun", "find_run_to_resume", "build_model", "extend_budget", "resume"]


@dataclass(frozen=True)
class ResumableRun:
    """A run that can be resumed.

    Args:
        folder: of the run.
        model: the unfitted model of the run.
        manifest: of the run, with the present location of its rows.
        provenance: present location of its rows.
    """

    folder: Path
    model: Model
    manifest: Manifest
    provenance: Provenance

    def read(self, **reading: Any) -> Source:
        """The rows, before they are split."""
        with imports_named(self.folder, self.manifest):
            return read_again_or_advise(self.provenance, **reading)


def resume(
    folder: str | Path,
    *,
    source: str | None = None,
    budget: Mapping[str, str | float] | None = None,
    save_every: float | None = None,
    listeners: Sequence[Listener] = (),
    token: CancelToken | None = None,
    run: ResumableRun | None = None,
    rows: Source | None = None,
) -> Outcome:
    """Resume a fit; the final weights equal those of the uninterrupted run, bit for bit.

    Args:
        folder: of the run.
        source: location of its rows, if it differs from the run's record; they must be the same.
        budget: at most one, by unit; '+50' extends the run's own by 50.
        save_every: seconds between checkpoints.
        listeners: called with every event.
        token: stops the fit when cancelled; the run can then be resumed again.
        run, rows: the results of `find_run_to_resume` and its `read`, if already called.
    """
    run = find_run_to_resume(Path(folder), source) if run is None else run
    budget_target = extend_budget(run.manifest, budget or {})
    parts = _parts(run, run.read() if rows is None else rows)
    settings: dict[str, Any] = {
        "resume": run.folder,
        "listeners": listeners,
        "token": token,
        **budget_target,
    }
    if save_every is not None:
        settings["save_every"] = save_every
    fitter = (
        _passes(run, settings) if run.manifest.fitter == "EM" else _trainer(run, settings, parts)
    )
    run.model.command = run.manifest.command
    return fit_into(run.folder, run.model, parts, fitter, dequantise=run.manifest.dequantise)


def find_run_to_resume(folder: Path, source: str | None = None) -> ResumableRun:
    """The run to resume, which may have been killed before its first step."""
    if not folder.is_dir():
        raise BadRun(f"{folder} does not exist; expected a run folder made by fit")
    manifest = Manifest.read(folder)
    if manifest is None:
        raise BadRun(
            f"{folder} is not a run folder: it holds no run.json; expected a folder made by fit"
        )
    if not manifest.fitter:
        raise InvalidKind(
            f"{folder} was fitted in one go, or killed before its first checkpoint, so there is"
            f" nothing to resume; fit it again: pushforward fit --config {folder}"
        )
    provenance = at_source(manifest.data or Provenance(), source)
    if provenance.source is None:
        raise BadRun(
            f"{folder} was fitted to rows in memory; pass {argument('source', 'FILE')} with the"
            " same rows"
        )
    with imports_named(folder, manifest):
        model = _build_unfitted(folder, manifest)
    if manifest.fitter == "EM":
        _require_unfinished(folder, model.registered_name)
    return ResumableRun(folder, model, replace(manifest, data=provenance), provenance)


def _build_unfitted(folder: Path, manifest: Manifest) -> Model:
    """The unfitted model of the run."""
    if manifest.model:
        cls = model_class(manifest.model)
        hyperparameters = {
            name: from_plain(value) for name, value in manifest.hyperparameters.items()
        }
        try:
            check_hyperparameters(cls, hyperparameters)
        except ValueError as error:
            raise BadRun(
                f"{Manifest.path(folder)} is damaged ({error}); restore it from a copy"
            ) from error
        return build_model(manifest.model, cls, hyperparameters)
    stored = construct(folder)  # runs of format 1 from Python record it only there
    return build_model(stored.registered_name, type(stored), stored.hyperparameters())


def build_model(name: str, cls: type, hyperparameters: Mapping[str, Any]) -> Model:
    """A model with these hyper-parameters.

    Raises:
        InvalidValue: If it does not accept them.
    """
    try:
        model: Model = cls(**hyperparameters)
    except PushforwardError:
        raise
    except (TypeError, ValueError, OverflowError, RuntimeError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InvalidValue(
            f"cannot create the {name} model ({reason}); see: pushforward fit {name} --help"
        ) from error
    return model


def _parts(run: ResumableRun, source: Source) -> Parts:
    """The rows as the fitter received them, and the held-out ones.

    A trainer's own share is held out again.
    """
    if run.provenance.held_out is None:
        return Parts(source, None)
    return divide(run.provenance, source)


def _trainer(run: ResumableRun, settings: dict[str, Any], parts: Parts) -> Fitter:
    if not isinstance(run.manifest.settings.get("held_out"), (int, float)):
        settings["held_out"] = parts.held_out
    return Trainer(**settings)


def _passes(run: ResumableRun, settings: dict[str, Any]) -> Fitter:
    own = {
        name: run.manifest.settings[name]
        for name in ("devices", "accelerator", "strategy", "num_nodes", "save_every")
        if name in run.manifest.settings
    }
    return EM(**{**own, **settings})


def _require_unfinished(folder: Path, name: str) -> None:
    """Raise InvalidKind for a fit by passes that has ended or left no checkpoint."""
    if has_ended(folder) and Checkpoints(folder).newest() is None:
        raise InvalidKind(
            f"the fit of this {name} has ended, in one go or by converging, so there is nothing to"
            f" resume; fit it again: pushforward fit --config {folder}"
        )


def extend_budget(manifest: Manifest, budget: Mapping[str, str | float]) -> dict[str, float]:
    """The new budget of a run, by unit: '+50' on 20 gives 70."""
    if len(budget) > 1:
        raise InvalidValue(
            f"give one budget, got {' and '.join(map(argument, budget))}; leave the others out"
        )
    for name, text in budget.items():
        number = _number(name, str(text))
        have = next((n for n in BUDGETS if manifest.settings.get(n) is not None), "epochs")
        more = str(text).startswith("+")
        if name != have and (more or manifest.fitter == "EM"):
            raise InvalidValue(
                f"the run's budget is in {have}, so it cannot be extended in {name}; extend it with"
                f" {argument(have, text if isinstance(text, str) else str(text))}"
            )
        number += float(manifest.settings[have]) if more else 0  # type: ignore[arg-type]
        return {name: int(number) if number == int(number) else number}
    return {}


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise InvalidKind(
            f"{argument(name)} must be a number, or +number to extend the budget, got {text!r}"
        ) from None
    if not math.isfinite(number):
        raise InvalidValue(
            f"{argument(name)} must be finite, got {text!r}; pass +50 to extend the budget by 50"
        )
    if name in ("steps", "samples") and number != int(number):
        raise InvalidKind(
            f"{argument(name)} must be a whole number, got {text!r}; pass +50 to extend the budget"
            " by 50"
        )
    if number <= 0:
        raise InvalidValue(
            f"{argument(name)} must be above 0, got {text}; pass +50 to extend the budget by 50"
        )
    return number
