"""Runs side by side: held-out measures, costlier estimates, and samples beside rows.

Runs compare only with those that were measured on the same rows: `Evaluation.by_rows` takes them
apart. Records of the same rows are refused unless they were measured in the same way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from pushforward.core.argument_names import argument
from pushforward.core.errors import BadRun, DataWarning, InvalidValue, suggest_listed
from pushforward.core.events import Event
from pushforward.core.manifest import Manifest
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.data.dispatch import reader_of
from pushforward.data.reading import absolute
from pushforward.experiments.clips import measure_clips
from pushforward.experiments.enlargements import Photographs, compare_rows, enlarges
from pushforward.experiments.marginals import MARGINAL, align, has_labels, marginal_records
from pushforward.experiments.measure import (
    DRAWS,
    ESTIMATORS,
    Annealing,
    describe_data,
    describe_first,
    estimates,
    measure_run,
    refuse_unlike,
)
from pushforward.experiments.opened import (
    MEASURED_ROWS,
    OpenedRun,
    imports_named,
    open_run,
    read_like,
)
from pushforward.experiments.sample import (
    Rows,
    compare_translations,
    compare_with_data,
    of_run,
    translates,
    usual_features,
)
from pushforward.metrics.feature_names import check_features

__all__ = ["Evaluation", "SampledRuns", "check_settings", "evaluate_runs"]

TO_MAPS = {
    "left": 'labels(side="left", maps="right")',
    "right": 'labels(side="right", maps="left")',
}
"""The pairing whose results are maps of known classes, by that of halves as they are."""
UNMEASURABLE = "none of these runs has a density, a bound, reconstructions or samples to measure"


@dataclass(frozen=True)
class SampledRuns:
    """Samples of several runs beside the same rows, in one feature space.

    Args:
        space: the feature space.
        records: of each run.
        samples: of each run.
        names: the folders of those that have samples.
    """

    space: str
    records: Sequence[Sequence[Record]]
    samples: Sequence[Rows]
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Evaluation:
    """What was measured of several runs.

    Args:
        runs: the runs.
        held_out: the rows of each.
        measured: the records of each: log-density or bounds, reconstruction error, likeness of
            images made of images to their originals, and the motion and masks of clips.
        estimated: the costlier estimates of each.
        most: how many rows were measured at most.
    """

    runs: Sequence[OpenedRun]
    held_out: Sequence[Source]
    measured: Sequence[Sequence[Record]]
    estimated: Sequence[Sequence[Record]]
    most: int = MEASURED_ROWS
    _sampling: Sequence[tuple[OpenedRun, Source]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        able = [
            (run, rows)
            for run, rows in zip(self.runs, self.held_out)
            if run.can("Samples") and not isinstance(rows, Photographs)
        ]
        object.__setattr__(self, "_sampling", able)

    def by_rows(self) -> list[Evaluation]:
        """Evaluations grouped by the rows they were measured on, in the order of the runs."""
        places: dict[str, list[int]] = {}
        for i, rows in enumerate(self.held_out):
            places.setdefault(describe_data(rows), []).append(i)
        return [
            replace(
                self,
                runs=[self.runs[i] for i in group],
                held_out=[self.held_out[i] for i in group],
                measured=[self.measured[i] for i in group],
                estimated=[self.estimated[i] for i in group],
            )
            for group in places.values()
        ]

    @property
    def data(self) -> str:
        """The rows of the first run that were measured, as records describe them."""
        return describe_first(self.held_out[0], self.most)

    def refuse_unlike(self) -> None:
        """Raise InvalidValue if runs on the same rows were not measured in the same way."""
        for group in self.by_rows():
            refuse_unlike(group.runs, group.measured)
            # BDMC simulates rows of its own for each run.
            without = [[r for r in each if r.quantity != "bdmc"] for each in group.estimated]
            refuse_unlike(group.runs, without)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to measure of any run."""
        return not any(self.measured) and not self._sampling

    @property
    def records(self) -> list[Record]:
        """All records, run by run."""
        pairs = zip(self.measured, self.estimated)
        return [record for pair in pairs for records in pair for record in records]

    @property
    def notes(self) -> list[str]:
        """What could also be measured, and how."""
        sides = {
            str(run.provenance.reading.get(name))
            for run in self.runs
            for name in ("y", "label")
            if translates(run) and not enlarges(run)
        }
        together = self._beside_labels()
        return [*([together] if together else []), *self._of_maps(sides)]

    def _beside_labels(self) -> str:
        """How runs with labels are measured beside runs without, if there are both."""
        told = [str(run.folder) for run in self.runs if has_labels(run)]
        if not told or all(run.conditional for run in self.runs):
            return ""
        return (
            f"{', '.join(told)}: fitted with labels, beside runs without: log-densities are"
            f" {MARGINAL}; reconstructions are told the label; samples are drawn under the labels"
            " of the rows"
        )

    @staticmethod
    def _of_maps(sides: set[str]) -> list[str]:
        return [
            "of runs that make label maps, the accuracy of pixels is measured, too, if they are"
            f" fitted with {argument('label', repr(labels))}"
            for side, labels in TO_MAPS.items()
            if side in sides
        ]

    def sample_spaces(self, names: Sequence[str] = ()) -> list[str]:
        """Feature spaces for comparing samples with rows.

        They are the requested ones; otherwise those of clips, and if a run has no other measure,
        the coordinates of the data (`usual_features`).
        """
        spaces = [rows.space for _, rows in self._sampling]
        usual = [usual_features(space, network=True) for space in spaces] or [["raw"]]
        of_clips = any(rows.space.kind == "clips" for _, rows in self._sampling)
        return list(names) or ([] if all(self.measured) and not of_clips else usual[0])

    def sample(self, space: str, warn: Callable[[str], None] = lambda text: None) -> SampledRuns:
        """As many samples of each run as there are rows, beside them in a feature space.

        Args:
            space: the name of the feature space, which the rows define.
            warn: called with what is left out, and why.

        Raises:
            InvalidValue: If no run has samples, or runs do not compare, as on other rows.
        """
        if not self._sampling:
            raise InvalidValue(UNMEASURABLE)
        pairs = [
            compare_with_data(space, run, rows, self.most, warn) for run, rows in self._sampling
        ]
        found, samples = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        runs = [run for run, _ in self._sampling]
        refuse_unlike(runs, found)
        features = str(found[0][0].details["features"]) if found[0] else space
        return SampledRuns(features, found, samples, [str(run.folder) for run in runs])


def evaluate_runs(
    runs: Sequence[OpenedRun | str | Path],
    *,
    data: str | Path | None = None,
    source: str | None = None,
    draws: int = DRAWS,
    most: int = MEASURED_ROWS,
    estimators: Sequence[str] = (),
    features: Sequence[str] = (),
    annealing: Annealing | None = None,
    table: Mapping[str, object] | None = None,
    device: str = "cpu",
    skip: Callable[[BadRun], None] | None = None,
    listener: Callable[[str], Callable[[Event], None]] = lambda name: lambda event: None,
) -> Evaluation:
    """Measure runs on the rows that none of them was trained on.

    Args:
        runs: run folders, or runs that are open.
        data: rows to measure on, instead of those held out; photographs of any sizes for models
            that enlarge images.
        source: where the rows of the runs are, if not where they say.
        draws: posterior draws per row for the importance-weighted bound; 0 for the ELBO alone.
        most: at most so many rows.
        estimators: costlier estimates for latent-variable models: "naive", "ais" or "bdmc".
        features: the names of feature spaces that `Evaluation.sample` will be asked for: they are
            checked before anything is measured.
        annealing: what AIS and BDMC cost.
        table: how a text table is written.
        device: where models compute.
        skip: called with the error of each run that cannot be opened or held no rows out, which is
            then left out if others remain; by default such errors are raised.
        listener: for the name of an estimator, what is called with its progress.

    Raises:
        InvalidValue: For settings out of range, or runs that were measured on the same rows but do
            not compare.
        BadRun: For a run that held no rows out.
    """
    annealing = annealing or Annealing()
    check_settings(
        runs, draws=draws, most=most, annealing=annealing, estimators=estimators, features=features
    )
    if data is not None and source is not None:
        raise InvalidValue(
            f"{argument('data')} gives other rows to measure on, {argument('source')} says where"
            " the runs' own are; give one of them"
        )
    opened: list[OpenedRun] = []
    held_out: list[Source] = []
    measured: list[list[Record]] = []
    estimated: list[list[Record]] = []
    found = _found(runs, data, source, table or {}, device, skip)
    aligned, marginal = align([run for run, _ in found], [rows for _, rows in found])
    for (run, _), rows, of_x in zip(found, aligned, marginal):
        opened.append(run)
        held_out.append(rows)
        if isinstance(rows, Photographs):
            measured.append([of_run(r, run) for r in rows.measure(run, most)])
            estimated.append([])
            continue
        found_records = measure_run(run, rows, draws=draws, most=most)
        if of_x:
            found_records = marginal_records(run, found_records, rows, source)
        records = [of_run(r, run) for r in found_records]
        likeness = [*_likeness(run, rows, most), *measure_clips(run, rows, most)]
        measured.append([*records, *likeness])
        costly = estimates(run, rows, estimators, annealing, listener)
        if of_x:
            costly = marginal_records(run, costly, rows, source)
        estimated.append([of_run(record, run) for record in costly])
    evaluation = Evaluation(opened, held_out, measured, estimated, most)
    evaluation.refuse_unlike()
    return evaluation


def _found(
    runs: Sequence[OpenedRun | str | Path],
    data: str | Path | None,
    source: str | None,
    table: Mapping[str, object],
    device: str,
    skip: Callable[[BadRun], None] | None,
) -> list[tuple[OpenedRun, Source]]:
    """Runs, opened, and the rows to measure each on."""
    found: list[tuple[OpenedRun, Source]] = []
    failures: list[BadRun] = []
    for each in runs:
        try:
            run = each if isinstance(each, OpenedRun) else open_run(each, device)
            if data is None:
                rows = _held_out(run, source, table)
            elif enlarges(run) and reader_of(str(data)).name == "images":
                rows = Photographs(data, run)
            else:
                rows = read_like(run, data, table=table)
        except BadRun as error:
            if skip is None:
                raise
            failures.append(error)
            continue
        _warn_of_seen(run, data)
        found.append((run, rows))
    if failures and not found:
        raise failures[0]
    if skip is not None:
        for failure in failures:
            skip(failure)
    return found


def _warn_of_seen(run: OpenedRun, data: str | Path | None) -> None:
    """Warn if a run is measured on what it was fitted to."""
    known = None if run.manifest is None else run.manifest.data
    if data is None or known is None or known.source is None:
        return
    if absolute(str(data)).rstrip("/") != known.source.rstrip("/"):
        return
    seen, remedy = "these rows", "pass others"
    if known.held_out:
        seen = "most of these rows"
        remedy = f"leave {argument('data')} out to measure it on those set aside, or pass others"
    warnings.warn(
        f"{run.folder} was fitted to {data}, and so has seen {seen}; {remedy}",
        DataWarning,
        stacklevel=2,
    )


def _likeness(run: OpenedRun, rows: Source, most: int) -> list[Record]:
    """What images made of images have in common with their originals."""
    if not enlarges(run):
        return compare_translations(run, rows, most)
    records = compare_rows(run, rows, most, describe_first(rows, most))
    return [of_run(record, run) for record in records]


def check_settings(
    runs: Sequence[OpenedRun | str | Path],
    *,
    draws: int,
    most: int,
    annealing: Annealing,
    estimators: Sequence[str],
    features: Sequence[str],
) -> None:
    """Check these arguments of `evaluate_runs`, before runs are opened or fitted again.

    Raises:
        InvalidValue: For numbers out of range or unknown names; with the code to import, where a
            run was fitted with some that may register them.
    """
    numbers = {"draws": draws, "most": most}
    numbers |= {
        f"annealing.{each.name}": getattr(annealing, each.name) for each in fields(annealing)
    }
    for name, number in numbers.items():
        least = int(name != "draws")
        if number < least:
            raise InvalidValue(f"{argument(name)} must be at least {least}, got {number}")
    for name in estimators:
        if name not in ESTIMATORS:
            raise InvalidValue(
                f"{argument('estimators')} takes {', '.join(ESTIMATORS)}, got {name!r};"
                f" {suggest_listed(name, ESTIMATORS)}"
            )
    for run in runs if features else ():
        folder = run.folder if isinstance(run, OpenedRun) else Path(run)
        with imports_named(folder, Manifest.read(folder)):
            check_features(features)


def _held_out(run: OpenedRun, source: str | None, table: Mapping[str, object]) -> Source:
    held_out = run.parts(source, **table).held_out
    if held_out is None:
        raise BadRun(
            f"{run.folder} was fitted on all its rows ({argument('held_out', '0')}); pass rows it"
            f" was not trained on: {argument('data', 'FILE')}"
        )
    return held_out
