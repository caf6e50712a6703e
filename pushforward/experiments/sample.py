"""Samples compared with data: rows as numbers, samples of a run, and records in a feature space."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue
from pushforward.core.install_line import install_line
from pushforward.core.random import derive, generator
from pushforward.core.records import Record
from pushforward.core.samplers import Sampler
from pushforward.core.scaling import Scaling
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.experiments.likeness import likeness
from pushforward.experiments.measure import describe_first
from pushforward.experiments.opened import OpenedRun, rows_of
from pushforward.metrics.feature_names import find_features
from pushforward.metrics.features import Features
from pushforward.metrics.pairs import FewRows
from pushforward.metrics.scores import scores
from pushforward.metrics.translations import variation
from pushforward.nets.feature_networks import has_efficientnet

__all__ = [
    "Rows",
    "SAMPLED",
    "compare_translations",
    "compare_with_data",
    "measure_samples",
    "as_numbers",
    "beside",
    "explain_features",
    "of_run",
    "sample_run",
    "translates",
    "usual_features",
]

SAMPLED = ("fid", "kid", "prdc")
"""Default metrics of samples."""
SMALL_SIDE = 16
"""Pixels: images with a shorter side show a network trained on photographs nothing but blur."""
FEW_ROWS = 1000
"""Images that a network has seen within a minute."""
SAMPLED_AT_ONCE = 2048
"""Samples per call, limited by the memory of image decoders."""
VALUES_AT_ONCE = 2**26
"""Values per call: clips are sampled in fewer rows."""
NUMBERS = 2**28
"""Values of each set that are compared at most, 2 GB: as float64, 5461 clips of 16 frames of 32x32
pixels in colour.
"""


VARIED, TRANSLATIONS = 64, 4
"""Conditions and translations of each, by which variation is measured: 6 pairs of each."""


@dataclass(frozen=True)
class Rows:
    """Rows read or sampled, as numbers.

    They are x (n, *shape), labels (n,) if requested, and a description.
    """

    text: str
    x: Tensor
    labels: Tensor | None
    space: Space
    description: str
    names: tuple[str, ...] = ()
    conditions: Tensor | None = None
    total: int = 0
    """Number of rows they were selected from."""

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """The ends of the range of images' values."""
        return (None, None) if self.space.kind == "points" else (self.space.low, self.space.high)


def as_numbers(text: str, x: Tensor, space: Space, description: str, y: Tensor | None) -> Rows:
    """Rows as numbers.

    Integers are rounded as when written to a file; categories have one column each.
    """
    x = x.to(torch.float64)
    if space.kind != "points" and space.integer:
        x = x.round().clamp(space.low, space.high)
    names = (
        tuple(str(name) for name in space.names)
        if space.kind == "points" and any(space.names)
        else ()
    )
    if space.kind == "points":
        whole = torch.tensor([c.kind == "integer" for c in space.columns], dtype=torch.bool)
        x = torch.where(whole, x.round(), x)
    if space.categorical:
        x = Scaling.choose("identity", space)(x)
        names = tuple(
            part
            for c in space.columns
            for part in (
                [f"{c.name}={k}" for k in c.categories] if c.kind == "categorical" else [c.name]
            )
        )
    labels = y.flatten() if y is not None and y.ndim == 1 else None
    return Rows(text, x, labels, space, description, names, y)


def sample_run(
    run: OpenedRun, n: int, y: Tensor | None, seed: int, using: str | Sampler | None = None
) -> Tensor:
    """n samples of a run (n, *shape), given conditions y (n, …) in a source's form, if any."""
    stream = generator(seed, run.model.device)
    conditions = None if y is None else run.model.condition_space.as_given(y)
    once = min(SAMPLED_AT_ONCE, max(1, VALUES_AT_ONCE // run.model.fitted_space().size))
    whole: Tensor | None = None
    for i in range(0, n, once):
        y_part = None if conditions is None else conditions[i : i + once]
        part = run.model.sample(min(once, n - i), y=y_part, rng=stream, using=using).cpu()
        if whole is None:  # allocated once: joining parts would need twice the memory
            whole = part if len(part) == n else part.new_empty(n, *part.shape[1:])
        whole[i : i + len(part)] = part
    assert whole is not None
    return whole


def measure_samples(
    space: Features,
    truth: Rows,
    others: Sequence[Rows],
    learnt: Rows | None,
    metrics: Sequence[str],
    insisted: bool,
    names: Sequence[str],
    seed: int,
    warn: Callable[[str], None],
) -> list[list[Record]]:
    """The records of every set in one space.

    Unavailable default metrics are skipped with a warning.
    """
    real = space(truth.x)
    train = None if learnt is None else space(learnt.x)
    results = []
    for other in others:
        generated, records = space(other.x), []
        for metric in (m for m in metrics if m != "modes"):
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", FewRows)
                    records += scores(
                        real,
                        generated,
                        space.precomputed(),
                        metrics=[metric],
                        train=train,
                        names=names,
                        rng=seed,
                        data=truth.description,
                    )
                for warning in caught:
                    if issubclass(warning.category, FewRows):
                        warn(str(warning.message))
                    else:
                        warnings.warn_explicit(
                            warning.message, warning.category, warning.filename, warning.lineno
                        )
            except InvalidValue as error:
                if insisted:
                    raise
                warn(f"{metric} left out: {error}")
        results.append(records)
    return results


def compare_with_data(
    name: str, run: OpenedRun, source: Source, most: int, warn: Callable[[str], None]
) -> tuple[list[Record], Rows]:
    """Compare rows with as many samples of a run, in a feature space defined by the rows.

    Args:
        name: of the feature space.
        source: rows that the run has not seen.
        most: the most rows to use.
        warn: called with omissions and their reasons.
    """
    real, samples = beside(run, source, most)
    low, high = real.ends
    space = find_features(
        name, real.x, real.labels, low=low, high=high, device=run.model.device, rng=0
    )
    columns = real.names if name in ("raw", "scaled") else ()
    (records,) = measure_samples(space, real, [samples], None, SAMPLED, False, columns, 0, warn)
    return [of_run(record, run) for record in records], samples


def translates(run: OpenedRun) -> bool:
    """Whether a run's samples are images conditioned on images.

    Each then has an original to compare it with.
    """
    space = run.model.condition_space
    return (
        run.can("Samples")
        and space is not None
        and {space.kind, run.model.fitted_space().kind} == {"images"}
    )


def compare_translations(run: OpenedRun, source: Source, most: int) -> list[Record]:
    """Likeness of samples to the originals whose conditions they have, and their variation.

    Runs without image conditions have none.

    Args:
        source: rows that the run has not seen, with conditions.
        most: the most rows to use.
    """
    if not translates(run):
        return []
    real, samples = beside(run, source, most)
    records = likeness(real.x, samples.x, run.model.fitted_space(), real.description)
    return [of_run(record, run) for record in (*records, *_variation(run, source, most))]


def _variation(run: OpenedRun, source: Source, most: int) -> list[Record]:
    """How much samples differ under the same conditions."""
    batch = rows_of(source, min(most, VARIED, len(source)))
    assert batch.y is not None
    draws = [
        sample_run(run, len(batch.x), batch.y, derive(seed, "variation"))
        for seed in range(TRANSLATIONS)
    ]
    space = source.space
    data = describe_first(source, len(batch.x))
    return variation(torch.stack(draws), batch.x, low=space.low, high=space.high, data=data)


def beside(run: OpenedRun, source: Source, most: int) -> tuple[Rows, Rows]:
    """The first rows of a source, and as many samples of a run.

    The samples have the rows' conditions if the run has any.
    """
    n = min(most, len(source), max(2, NUMBERS // source.space.size))
    batch, folder = rows_of(source, n), str(run.folder)
    y = batch.y if run.conditional else None
    real = as_numbers(folder, batch.x, source.space, describe_first(source, n), batch.y)
    x = sample_run(run, len(real.x), y, derive(0, "draws"))
    description = f"{len(x)} draws of {folder}"
    return real, as_numbers(folder, x, run.model.fitted_space(), description, y)


def is_small(space: Space) -> bool:
    """Whether images have a side too short for a network that was trained on photographs."""
    return any(side is not None and int(side) < SMALL_SIDE for side in space.shape[1:])


def usual_features(space: Space, *, network: bool = False) -> list[str]:
    """The feature spaces that suit data of a space: the coordinates.

    Standardised where columns are of different units, as distances would otherwise be those of one
    column. Of clips, their frames and their movement.

    Args:
        network: of images, a named network if one is installed; it takes minutes for thousands.
            Images with a side below `SMALL_SIDE` are compared by their pixels all the same.
    """
    if space.kind == "clips":
        return ["frames", "movement"]
    if network and space.kind == "images" and not is_small(space) and has_efficientnet():
        return ["efficientnet"]
    return ["scaled" if space.mixes_units else "raw"]


def explain_features(spaces: Sequence[str], real: Rows) -> str:
    """Which features images are compared in when nobody chose, and how to choose."""
    if spaces == ["efficientnet"]:
        many = f"; {argument('rows', str(FEW_ROWS))} is quicker" if len(real.x) > FEW_ROWS else ""
        return (
            "features: efficientnet, trained on ImageNet; FID and KID in it compare with each"
            " other, not with those of Inception in papers;"
            f" {argument('features', 'raw')} compares pixels; a thousand images take a CPU some"
            f" minutes{many}"
        )
    if is_small(real.space):
        return (
            f"features: raw pixels, as the images are smaller than {SMALL_SIDE} pixels, too small"
            f" for a network; {argument('features', 'classifier')} or"
            f" {argument('features', 'efficientnet')} compares them otherwise"
        )
    return (
        "features: raw pixels, in which images that look alike may lie far apart; a named network,"
        f" {argument('features', 'efficientnet')}, needs: {install_line('metrics')}"
    )


def of_run(record: Record, run: OpenedRun) -> Record:
    """The record with the run's name in its details."""
    return replace(record, details={**record.details, "model": run.name, "run": str(run.folder)})
