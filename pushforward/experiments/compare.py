"""Comparison of sets of samples with data, in named feature spaces."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.devices import find_device
from pushforward.core.errors import BadRun, BadSource, InvalidValue, ShapeMismatch
from pushforward.core.random import derive, permutation
from pushforward.core.records import Record
from pushforward.core.registry import read as read_value
from pushforward.core.samplers import Sampler
from pushforward.core.scalars import normalise_settings
from pushforward.core.source import Source
from pushforward.data import read
from pushforward.data.formats.builtin import RENAMED, centres
from pushforward.data.reading import requested_conditions
from pushforward.experiments.clips import clip_facts
from pushforward.experiments.marginals import drawn_labels, has_labels
from pushforward.experiments.measure import describe_data
from pushforward.experiments.opened import (
    MEASURED_ROWS,
    OpenedRun,
    imports_named,
    open_run,
    table_settings,
)
from pushforward.experiments.sample import (
    Rows,
    as_numbers,
    explain_features,
    measure_samples,
    sample_run,
    translates,
    usual_features,
)
from pushforward.metrics.feature_names import check_features, find_features
from pushforward.metrics.modes import modes
from pushforward.metrics.scores import BY_PAIRS, OF_CLIPS, USUAL, check_metrics, scores

__all__ = ["Comparison", "by_feature_space", "compare", "is_run"]

SPREADS = {"eight_gaussians": 0.01, "grid": 0.05}
"""Standard deviations of the built-in mixtures whose modes are known."""
TRAINING_ROWS = 10
"""Training rows to read, as a multiple of `rows`.

A copy is detected only if its original is among them.
"""


@dataclass(frozen=True)
class Comparison:
    """The data and settings of a comparison.

    Args:
        real: a file, folder, built-in name or run.
        generated: the same; runs are sampled from.
        spaces: feature spaces by name; those of `usual_features` if None.
        metrics: by name; the usual ones if None, plus modes, memorisation, and motion and
            consistency of clips, where applicable.
        train: the model's training rows, for memorisation and parzen; `real` are then new rows.
        y: labels of `real`, for a classifier and for conditional runs.
        reading: further arguments of `read` for `real`.
        table: how text tables are written.
        paired: arguments of metrics of pairs (psnr, ssim).
        using: the sampler of runs, such as 'mean'; each model's own if None.
        rows: the most rows of each set.
        seed: of the rows, the samples and the networks.
    """

    real: str
    generated: Sequence[str]
    spaces: Sequence[str] | None = None
    metrics: Sequence[str] | None = None
    train: str | None = None
    y: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    table: Mapping[str, Any] = field(default_factory=dict)
    paired: Mapping[str, Any] = field(default_factory=dict)
    using: str | Sampler | None = None
    rows: int = MEASURED_ROWS
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        normalise_settings(self)


def compare(
    comparison: Comparison,
    *,
    say: Callable[[str], None] = lambda text: None,
    warn: Callable[[str], None] = warnings.warn,
) -> tuple[list[list[Record]], list[Rows]]:
    """The records of every generated set, and the sets.

    Args:
        comparison: what is compared.
        say: called with a description of each feature space.
        warn: called with caveats of the comparison and omissions.

    Example:
        >>> records, samples = compare(Comparison("ring:50", ["moons:50"], metrics=["fid"]))
        >>> [record.quantity for record in records[0]], len(samples[0].x)
        (['fid'], 50)
    """
    if comparison.rows < 2:
        raise InvalidValue(f"{argument('rows')} must be at least 2, got {comparison.rows}")
    names = (comparison.real, *comparison.generated)
    metrics = _metrics(comparison)
    runs = [text for text in names if is_run(text)]
    if comparison.using is not None and not runs:
        raise InvalidValue(
            f"{argument('using', str(comparison.using))} is how runs are sampled, and none is"
            " compared; leave it out"
        )
    plan = _Plan(comparison, {text: open_run(text, comparison.device) for text in runs})
    _check_names(comparison, metrics, plan.opened)
    pairs = _pairs(metrics, comparison, plan.opened)
    metrics = [name for name in metrics if name not in pairs]
    truth = plan.real()
    moving = [name for name in metrics if name in OF_CLIPS]
    if comparison.metrics is None and truth.space.kind == "clips":
        moving = list(OF_CLIPS)
    metrics = [name for name in metrics if name not in moving]
    others = [plan.like(text, truth, i + 1) for i, text in enumerate(comparison.generated)]
    training = None if comparison.train is None else plan.training(comparison.train, truth)
    _warn_of_copies(truth, others, warn)
    low, high = truth.ends
    spaces = comparison.spaces or usual_features(truth.space, network=True)
    if comparison.spaces is None and spaces == ["scaled"]:
        say(
            f"features: {spaces[0]}, as the columns are of different units or categories;"
            f" {argument('features', 'raw')} compares them as they are"
        )
    in_features = any(metric != "modes" for metric in metrics)
    if comparison.spaces is None and in_features and truth.space.kind == "images":
        say(explain_features(spaces, truth))
    results: list[list[Record]] = [[] for _ in others]
    for name in spaces if in_features else ():
        device = find_device(comparison.device)
        space = find_features(
            name, truth.x, truth.labels, low=low, high=high, device=device, rng=comparison.seed
        )
        if space.facts:
            say(f"{space.name}: " + ", ".join(f"{k} {v:.4g}" for k, v in space.facts.items()))
        columns = truth.names if name in ("raw", "scaled") else ()
        insisted = comparison.metrics is not None
        for records, more in zip(
            results,
            measure_samples(
                space, truth, others, training, metrics, insisted, columns, comparison.seed, warn
            ),
        ):
            records += more
    for records, other in zip(results, others):
        records += _paired_records(pairs, comparison.paired, truth, other)
        if moving:
            facts = clip_facts(truth.space)
            data = truth.description
            records += scores(truth.x, other.x, metrics=moving, clips=facts, data=data)
        if "modes" in metrics:
            name = comparison.real.partition(":")[0]
            records += modes(other.x, centres(name), SPREADS[name], data=truth.description)
    return [
        [replace(r, details={**r.details, "compared": other.description}) for r in records]
        for records, other in zip(results, others)
    ], others


def by_feature_space(measured: Sequence[Sequence[Record]]) -> dict[str, list[list[Record]]]:
    """The records of every set by the name of their feature space: those of one space compare."""
    spaces = [[_feature_space(record) for record in records] for records in measured]
    return {
        space: [
            [record for record, name in zip(records, names) if name == space]
            for records, names in zip(measured, spaces)
        ]
        for space in dict.fromkeys(name for names in spaces for name in names)
    }


def _feature_space(record: Record) -> str:
    return str(record.details.get("feature_space", record.details.get("features", "")))


@dataclass(frozen=True)
class _Plan:
    """Reads or samples the rows to compare."""

    comparison: Comparison
    opened: Mapping[str, OpenedRun]

    def real(self) -> Rows:
        """The rows that are compared with, in the space of the runs where there are any."""
        comparison, text = self.comparison, self.comparison.real
        if text in self.opened:
            return self._sample(text, None, 0)
        like = next((run.model for run in self.opened.values()), None)
        conditional = any(run.conditional for run in self.opened.values())
        y = comparison.y or (
            "auto" if "classifier" in (comparison.spaces or ()) or conditional else None
        )
        table = table_settings(text, table=comparison.table)
        source = read(
            text,
            like=like,
            seed=comparison.seed,
            **comparison.reading,
            **requested_conditions(y),
            **table,
        )
        return self._take(text, source, comparison.rows)

    def training(self, text: str, real: Rows) -> Rows:
        """The rows a model was trained on."""
        return self._take(
            text, self._read(text, real, self.comparison.seed), TRAINING_ROWS * self.comparison.rows
        )

    def like(self, text: str, real: Rows, number: int) -> Rows:
        """Rows in the space of the real ones.

        Sampled built-in data use another seed than the real ones.
        """
        if text in self.opened:
            return self._sample(text, real, number)
        return self._take(
            text, self._read(text, real, self.comparison.seed + number), self.comparison.rows
        )

    def _read(self, text: str, real: Rows, seed: int) -> Source:
        return read(
            text,
            like=real.space,
            seed=seed,
            label=False,
            **table_settings(text, table=self.comparison.table),
        )

    def _take(self, text: str, source: Source, most: int) -> Rows:
        """Up to `most` rows, selected by the seed."""
        seed = self.comparison.seed
        order = permutation(len(source), rng=derive(seed, "compare"))[:most].sort().values
        batch = source.take(order)
        sampling = f", {len(order)} drawn by seed {seed}" if len(order) < len(source) else ""
        return replace(
            as_numbers(text, batch.x, source.space, describe_data(source) + sampling, batch.y),
            total=len(source),
        )

    def _sample(self, text: str, real: Rows | None, number: int) -> Rows:
        """Samples of a run, as many as real rows.

        Conditional runs are sampled under the conditions of these rows.
        """
        run, seed = self.opened[text], self.comparison.seed
        run.need("has no samples", "Samples")
        n = self.comparison.rows if real is None else len(real.x)
        y: Tensor | None = None if real is None or not run.conditional else real.conditions
        drawn = False
        if run.conditional and y is None:
            y, drawn = self._drawn_labels(text, run, n, number), True
        using = self.comparison.using
        x = sample_run(run, n, y, derive(seed, "draws", number), using)
        description = f"{n} draws of {text}, seed {seed}" + (f", using {using}" if using else "")
        if drawn:
            description += ", under labels drawn as in its training rows"
        rows = as_numbers(text, x, run.model.fitted_space(), description, y)
        return rows if real is None else replace(rows, total=real.total)

    def _drawn_labels(self, text: str, run: OpenedRun, n: int, number: int) -> Tensor:
        """n labels in the shares of a run's training rows.

        Raises:
            BadSource: If its conditions are no labels, or its rows cannot be found.
        """
        lack = f"{text} was fitted with conditions, but REAL has none to sample with"
        if not has_labels(run):
            raise BadSource(f"{lack}; pass data with conditions as REAL")
        try:
            return drawn_labels(run, n, derive(self.comparison.seed, "labels", number))
        except (BadRun, BadSource) as error:
            raise BadSource(f"{lack} ({error}); pass data with labels as REAL") from error


def _metrics(comparison: Comparison) -> list[str]:
    """The requested metrics, or the usual ones."""
    is_spread = comparison.real.partition(":")[0] in SPREADS
    if comparison.metrics is None:
        return [
            *USUAL,
            *(["modes"] if is_spread else []),
            *(["memorisation"] if comparison.train else []),
        ]
    if "modes" in comparison.metrics and not is_spread:
        hint = f" ({RENAMED})" if comparison.real.partition(":")[0] == "ring" else ""
        raise InvalidValue(
            f"the modes are known only for eight_gaussians and grid, not for {comparison.real}"
            f"{hint}; request diversity instead, or use metrics.modes with your centres"
        )
    return list(comparison.metrics)


def _check_names(
    comparison: Comparison, metrics: Sequence[str], opened: Mapping[str, OpenedRun]
) -> None:
    """Check what is asked for by name, before anything is read or sampled.

    Raises:
        InvalidValue: For unknown names; with the code to import, where a run was fitted with some.
    """
    with ExitStack() as stack:
        for run in opened.values():
            stack.enter_context(imports_named(run.folder, run.manifest))
        check_features(comparison.spaces or ())
        check_metrics(metrics, trained=comparison.train is not None)
        if comparison.using is not None:
            read_value(Sampler, comparison.using)


def _pairs(
    metrics: Sequence[str], comparison: Comparison, opened: Mapping[str, OpenedRun]
) -> list[str]:
    """The requested metrics of pairs.

    Raises:
        InvalidValue: For options that only they use, or for runs whose samples have no originals.
    """
    pairs = [name for name in metrics if name in BY_PAIRS]
    if comparison.paired and not pairs:
        raise InvalidValue(
            f"{argument(next(iter(comparison.paired)))} is for {', '.join(BY_PAIRS)}; request one"
            f" of them with {argument('metrics')}, or leave it out"
        )
    for text, run in opened.items() if pairs else ():
        if text == comparison.real or not translates(run):
            raise InvalidValue(
                f"{pairs[0]} compares images one by one with their originals, and the draws of"
                f" {text[:80]} have none; pass two sets of images, or images with conditions and a"
                " run that makes images of these"
            )
    return pairs


def _paired_records(
    metrics: Sequence[str], arguments: Mapping[str, Any], truth: Rows, other: Rows
) -> list[Record]:
    """One record per metric, of other's rows as likenesses of truth's."""
    if not metrics:
        return []
    if truth.total != other.total:
        raise ShapeMismatch(
            f"{metrics[0]} compares images one by one: expected {truth.total} in {other.text[:80]}"
            f" as in {truth.text[:80]}, got {other.total}; pass likenesses in the order of their"
            " originals"
        )
    low, high = truth.ends
    return scores(
        truth.x,
        other.x,
        metrics=metrics,
        paired={"low": low, "high": high, **arguments},
        data=truth.description,
    )


def _warn_of_copies(real: Rows, others: Sequence[Rows], warn: Callable[[str], None]) -> None:
    """Warn if the rows are the same on both sides: metrics assume independent sets."""
    for other in others:
        if other.x.shape == real.x.shape and bool((other.x == real.x).all()):
            warn(
                f"{other.text} and {real.text} are the same rows, so error bars and p-values would"
                " be meaningless; pass different rows"
            )


def is_run(text: str) -> bool:
    return (Path(text) / "model.json").is_file()
