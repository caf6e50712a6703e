"""Measurements of a run's model on unseen rows, as records."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue
from pushforward.core.events import Event
from pushforward.core.records import Record, require_comparable
from pushforward.core.scalars import normalise_settings
from pushforward.core.source import Source, fingerprint
from pushforward.experiments.opened import MEASURED_ROWS, OpenedRun, labels_of
from pushforward.metrics import likelihood
from pushforward.metrics.annealing import WideBracket, ais, bdmc
from pushforward.metrics.likelihood import naive
from pushforward.metrics.preparation import prepare_rows
from pushforward.metrics.reconstruction import squared_error

__all__ = [
    "ESTIMATORS",
    "Annealing",
    "is_measurable",
    "measure_run",
    "describe_data",
    "describe_first",
    "refuse_unlike",
]

DRAWS = 100
ESTIMATORS = ("naive", "ais", "bdmc")
"""Further estimates, on request."""


@dataclass(frozen=True)
class Annealing:
    """Settings of AIS and BDMC: temperatures, chains per row, and the most rows."""

    temperatures: int = 1000
    chains: int = 16
    rows: int = 100

    def __post_init__(self) -> None:
        normalise_settings(self)


def describe_data(source: Source) -> str:
    """The description of the data in records; a source may have one of its own."""
    own = getattr(source, "description", "")
    if own:
        return str(own)
    name = getattr(source, "name", "") or "data"
    return f"{name} ({len(source)} rows, {fingerprint(source)})"


def describe_first(source: Source, most: int) -> str:
    """The description of at most so many rows, from the first."""
    whole = describe_data(source)
    return whole if most >= len(source) else f"the first {most} of {whole}"


def is_measurable(run: OpenedRun) -> bool:
    """Whether a run has a density, bound, reconstructions or samples to measure."""
    return any(run.can(ability) for ability in ("HasDensity", "HasBound", "Samples")) or run.can(
        "Encodes", "Decodes"
    )


def measure_run(
    run: OpenedRun,
    held_out: Source,
    *,
    draws: int = DRAWS,
    most: int = MEASURED_ROWS,
) -> list[Record]:
    """Log-density or bounds, and reconstruction error, as available, on at most `most` rows."""
    model, data = run.model, describe_first(held_out, most)
    batch = prepare_rows(model, held_out, most)
    x, y = batch.x, labels_of(model, batch)
    results = []
    with torch.no_grad():
        if run.can("HasDensity"):
            results.append(likelihood.log_prob(model, x, y, data=data))
        elif run.can("HasBound"):
            results.append(likelihood.elbo(model, x, y, rng=0, data=data))
            if draws and run.can("LatentModel"):
                results.append(likelihood.iwae(model, x, y, k=draws, rng=0, data=data))
        gaps = x.is_floating_point() and bool(x.isnan().any())  # which nothing can be compared with
        if run.can("Encodes", "Decodes") and not gaps:
            results.append(squared_error(model, x, y, data=data))
    return results


def estimates(
    run: OpenedRun,
    held_out: Source,
    methods: Sequence[str],
    how: Annealing,
    listener: Callable[[str], Callable[[Event], None]],
) -> list[Record]:
    """Naive Monte Carlo and AIS on at most `how.rows` held-out rows, and BDMC.

    Both sides of BDMC use as many rows sampled from the model.
    """
    if not methods or not run.can("LatentModel"):
        return []
    limit = min(how.rows, len(held_out))
    model = run.model
    batch = prepare_rows(model, held_out, limit)
    data = describe_first(held_out, limit)
    y = labels_of(model, batch)
    annealing = {"temperatures": how.temperatures, "chains": how.chains}
    results: list[Record] = []
    if "naive" in methods:
        results.append(
            naive(model, batch.x, y, samples=10_000, listeners=[listener("naive")], data=data)
        )
    if "ais" in methods:
        results.append(ais(model, batch.x, y, **annealing, listeners=[listener("ais")], data=data))
    if "bdmc" in methods:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", WideBracket)  # the listener reports it
            bracket = bdmc(model, limit, y, **annealing, listeners=[listener("bdmc")])
        results += [bracket.lower, bracket.upper]
    return results


def refuse_unlike(runs: Sequence[OpenedRun], measured: Sequence[Sequence[Record]]) -> None:
    """Raise InvalidValue if records of several runs differ in rows or measurement."""
    first: dict[str, tuple[OpenedRun, Record]] = {}
    for run, records_of_run in zip(runs, measured):
        for record in records_of_run:
            other, before = first.setdefault(record.quantity_family, (run, record))
            try:
                require_comparable(before, record)
            except InvalidValue as error:
                raise InvalidValue(
                    f"{other.folder} and {run.folder}: {error}; evaluate them apart, or on the same"
                    f" {argument('data')}"
                ) from error
