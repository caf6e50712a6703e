"""An experiment: a model, its data, a fitter, and the measurements of the result."""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pushforward.core.errors import BadRun, Interrupted
from pushforward.core.events import CancelToken, Finished, Listener
from pushforward.core.fit_source import as_source
from pushforward.core.fitter import Fitter
from pushforward.core.folder_lock import locked
from pushforward.core.folders import check_place, create_run
from pushforward.core.learner import Learner
from pushforward.core.manifest import Manifest
from pushforward.core.model import Model
from pushforward.core.plain import Plain
from pushforward.core.records import Record
from pushforward.core.scalars import normalise_settings
from pushforward.core.source import Source, fingerprint
from pushforward.core.storage import describe, write_tensors
from pushforward.data import read, split
from pushforward.data.reading import requested_conditions, with_labels
from pushforward.experiments.baseline import compare_with_independent
from pushforward.experiments.card import write_card
from pushforward.experiments.fitters import make_fitter, silence_fabric, writes_run
from pushforward.experiments.images import write_images
from pushforward.experiments.measure import measure_run
from pushforward.experiments.opened import OpenedRun, Parts, open_run

__all__ = [
    "Experiment",
    "Outcome",
    "default_folder",
    "first_process",
    "fit_into",
    "fit_model",
    "free_folder",
    "complete_run",
]


@dataclass(frozen=True)
class Outcome:
    """The result of an experiment.

    Args:
        run: the run folder with the fitted model.
        finished: how the fit ended; None if the fitter does not report it.
        records: measurements on the held-out rows; empty after an interruption.
        parts: the rows trained on and those held out.
        seconds: fitting time.
    """

    run: OpenedRun
    finished: Finished | None
    records: tuple[Record, ...]
    parts: Parts
    seconds: float

    @property
    def interrupted(self) -> bool:
        """Whether a signal stopped the fit, which can then be resumed."""
        return self.finished is not None and self.finished.reason == "interrupted"


@dataclass(frozen=True)
class Experiment:
    """A model, the rows it is fitted to, a fitter, and measurements.

    Args:
        model: not fitted yet; its arguments are the experiment's hyper-parameters.
        source: a path, glob or built-in name; rows in memory;
            or a source that `pushforward.read` returned.
        y: conditions, as `Model.fit` takes them:
            True for labels that come with the data, or a name.
        reading: further arguments of `pushforward.read`.
        held_out: share (below 1) or number of rows held out from training,
            for measurements; 0 for none.
        split_seed: seed that selects the held-out rows.
        dequantise: whether to add U(-1/2, 1/2) to integers; the model's default if None.
        fitter: settings of the model's own fitter, by name:
            {'epochs': 3, 'batch': 64}; or a fitter, taken as it is.
        start: a run of the same model, or of a part of it, to take initial weights from; or a
            fitted model.
        bounds: posterior samples per row for importance-weighted
            bounds on held-out rows; 0 for the ELBO alone.
        command: the equivalent command line, for the record.

    Example:
        >>> import tempfile, pushforward as pf
        >>> experiment = pf.Experiment(pf.PCA(2), "moons", held_out=0.5)
        >>> with tempfile.TemporaryDirectory() as place:
        ...     outcome = experiment.run(f"{place}/run")
        >>> [record.quantity for record in outcome.records]
        ['log_prob', 'squared_error']
    """

    model: Model
    source: Any
    y: Any = None
    reading: Mapping[str, Plain] = field(default_factory=dict)
    held_out: float | int = 0.2
    split_seed: int = 0
    dequantise: bool | None = None
    fitter: Mapping[str, Any] | Fitter = field(default_factory=dict)
    start: str | Path | Model | None = None
    bounds: int = 0
    command: str = ""

    def __post_init__(self) -> None:
        normalise_settings(self)

    def read(self) -> Source:
        """The rows before the split; conditions only if requested."""
        if isinstance(self.source, (str, os.PathLike)):
            conditions = requested_conditions(self.y)
            source = read(self.source, **{**self.reading, **conditions})
            return with_labels(source) if conditions.get("label") is True else source
        return as_source(self.source, self.y)

    def parts(self, source: Source) -> Parts:
        """The rows to train on and those held out."""
        if not self.held_out:
            return Parts(source, None)
        return Parts(*split(source, held_out=self.held_out, seed=self.split_seed))

    def run(
        self,
        folder: str | Path | None = None,
        *,
        overwrite: bool = False,
        listeners: Sequence[Listener] = (),
        token: CancelToken | None = None,
        rows: Source | None = None,
    ) -> Outcome:
        """Read, split, fit, measure, and write a run folder.

        Args:
            folder: the run folder; runs/MODEL-SOURCE-N by default.
            overwrite: replace the run there.
            listeners: called with every event of the fit.
            token: stops the fit when cancelled, from a listener or another thread; the run can then
                be resumed.
            rows: the result of `read`, if already called.
        """
        name = str(self.source) if isinstance(self.source, (str, os.PathLike)) else "data"
        place = default_folder(self.model.registered_name, name) if folder is None else Path(folder)
        if first_process():
            check_place(place, overwrite=overwrite)
        parts = self.parts(self.read() if rows is None else rows)
        fitter = self._fitter_for(parts, place, overwrite, listeners, token)
        self.model.command = self.command
        return fit_into(
            place,
            self.model,
            parts,
            fitter,
            dequantise=self.dequantise,
            overwrite=overwrite,
            bounds=self.bounds,
        )

    def fit(
        self,
        folder: str | Path | None = None,
        *,
        overwrite: bool = False,
        listeners: Sequence[Listener] = (),
        token: CancelToken | None = None,
    ) -> Model:
        """Read, split and fit: the first half of `run`. Nothing is measured or drawn.

        Args:
            folder: where the run goes; it is not kept if not given.
            overwrite: replace the run there.
            listeners: called with every event of the fit.
            token: stops the fit when cancelled.
        """
        place = None if folder is None else Path(folder)
        if place is not None and first_process():
            check_place(place, overwrite=overwrite)
        parts = self.parts(self.read())
        fitter = self._fitter_for(parts, place, overwrite, listeners, token)
        self.model.command = self.command
        self.model.fit(parts.train, by=fitter, dequantise=self.dequantise)
        if place is not None and not writes_run(fitter) and first_process():
            with create_run(place, overwrite=overwrite) as part:
                write_run(part, self.model, parts.train)
        return self.model

    def _fitter_for(
        self,
        parts: Parts,
        place: Path | None,
        overwrite: bool,
        listeners: Sequence[Listener],
        token: CancelToken | None,
    ) -> Fitter:
        return make_fitter(
            self.model,
            self.fitter,
            parts.held_out,
            place,
            overwrite=overwrite,
            listeners=listeners,
            token=token,
            start=self.start
            if self.start is None or isinstance(self.start, Model)
            else open_run(self.start).model,
        )


M = TypeVar("M", bound=Model)


def fit_model(
    model: M,
    x: Any,
    y: Any = None,
    *,
    by: Fitter | None = None,
    folder: str | Path | None = None,
) -> M:
    """The model, fitted by an experiment that holds nothing out.

    Args:
        model: not fitted yet.
        x, y: rows and conditions, as `Experiment` takes them.
        by: the fitter; the model's own if not given.
        folder: where the run goes, in the place of an older one; it is not kept if not given.

    Raises:
        Interrupted: If a signal stopped the fit, so that no half-trained model is measured.
    """
    experiment = Experiment(model, x, y=y, held_out=0, fitter={} if by is None else by)
    experiment.fit(folder, overwrite=True)
    finished = model.fit_result
    if finished is not None and finished.reason == "interrupted":
        raise Interrupted(saved=folder is not None)
    return model


def write_run(part: Path, model: Model, rows: Source) -> None:
    """Write a fitted model and its manifest to a folder, for fitters that do not.

    Args:
        part: the folder.
        model: fitted.
        rows: that it was fitted to.
    """
    write_tensors(part / "model.safetensors", model.tensors())
    describe(model, part)
    Manifest.of(model, fingerprint=fingerprint(model.prepared_for_fit(rows))).write(part)


def fit_into(
    folder: Path,
    model: Model,
    parts: Parts,
    fitter: Fitter,
    *,
    dequantise: bool | None,
    overwrite: bool = False,
    bounds: int = 0,
) -> Outcome:
    """Fit a model, measure it on the rows held out, and complete its run folder.

    Raises:
        BadRun: If another fit writes to the folder.
    """
    with locked(folder) if first_process() else nullcontext():
        return _fit_into(folder, model, parts, fitter, dequantise, overwrite, bounds)


def _fit_into(
    folder: Path,
    model: Model,
    parts: Parts,
    fitter: Fitter,
    dequantise: bool | None,
    overwrite: bool,
    bounds: int,
) -> Outcome:
    began = time.monotonic()
    quiet = silence_fabric() if isinstance(model, Learner) else nullcontext()
    finished: Finished | None
    try:
        with quiet:
            model.fit(parts.train, by=fitter, dequantise=dequantise)
        finished = model.fit_result
    except Interrupted as stopped:
        if not stopped.saved:
            raise
        finished = Finished(0, time.monotonic() - began, reason="interrupted")
    outcome = Outcome(OpenedRun(folder, model), finished, (), parts, time.monotonic() - began)
    if outcome.interrupted or not first_process():
        return outcome
    if writes_run(fitter):
        return complete_run(folder, folder, outcome, bounds)
    with create_run(folder, overwrite=overwrite) as part:
        write_run(part, model, parts.train)
        return complete_run(part, folder, outcome, bounds)


def complete_run(part: Path, folder: Path, outcome: Outcome, bounds: int = 0) -> Outcome:
    """Measure, and add images and the model card to a run.

    Args:
        part: the temporary folder of the run.
        folder: its final folder.
        outcome: of the fit.
        bounds: posterior samples per row for importance-weighted bounds.
    """
    if not (part / "model.json").is_file():
        raise BadRun(
            f"the run folder {folder} was removed or renamed while the fit was writing to it; fit"
            " again, to another folder"
        )
    run, parts = OpenedRun(part, outcome.run.model, Manifest.read(part)), outcome.parts
    results: list[Record] = []
    if parts.held_out is not None:
        results = measure_run(run, parts.held_out, draws=bounds)
        results += compare_with_independent(run.model, parts.train, parts.held_out, results)
    write_images(run, parts)
    write_card(run, folder, parts, results)
    return replace(outcome, run=replace(run, folder=folder), records=tuple(results))


def first_process() -> bool:
    """Whether this is the only process, or the first of several."""
    return (
        int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0")) or 0) == 0
        and int(os.environ.get("NODE_RANK", "0") or 0) == 0
    )


def default_folder(model: str, source: str) -> Path:
    """runs/<model>-<source>-<n>, with the smallest n that is free."""
    plain = [part for part in Path(source.rstrip("/")).parts if not glob.has_magic(part)]
    name = plain[-1].split(".")[0] if plain else ""
    stem = re.sub(r"[^\w-]+", "-", name or "data").strip("-") or "data"
    return free_folder(f"{model}-{stem}")


def free_folder(stem: str) -> Path:
    """runs/<stem>-<n>, with the smallest n that is free."""
    n = 1
    while (folder := Path("runs") / f"{stem}-{n}").exists():
        n += 1
    return folder
