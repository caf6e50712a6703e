"""How good a run's model is on rows it has not seen, as records."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue
from pushforward.core.events import Event
from pushforward.core.records import Record, require_comparable
from pushforward.core.source import Source, fingerprint
from pushforward.experiments.opened import MEASURED_ROWS, OpenedRun, labels_of
from pushforward.metrics import likelihood
from pushforward.metrics.annealing import WideBracket, ais, bdmc
from pushforward.metrics.likelihood import naive
from pushforward.metrics.preparation import prepared
from pushforward.metrics.reconstruction import squared_error

__all__ = ["ESTIMATORS", "Annealing", "records", "described", "refuse_unlike"]

DRAWS = 100
ESTIMATORS = ("naive", "ais", "bdmc")
"""What can be estimated besides what every run shows."""


@dataclass(frozen=True)
class Annealing:
    """What AIS and BDMC cost: temperatures, chains a row, and at most so many rows."""

    temperatures: int = 1000
    chains: int = 16
    rows: int = 100


def described(source: Source) -> str:
    """What records say they were measured on."""
    name = getattr(source, "name", "") or "data"
    return f"{name} ({len(source)} rows, {fingerprint(source)})"


def records(
    run: OpenedRun,
    held_out: Source,
    *,
    draws: int = DRAWS,
    most: int = MEASURED_ROWS,
) -> list[Record]:
    """Exact log-density, or the bounds, and the reconstruction error:
    what the model has, on at most `most` rows.
    """
    model, data = run.model, described(held_out)
    batch = prepared(model, held_out, most)
    x, y = batch.x, labels_of(model, batch)
    results = []
    with torch.no_grad():
        if run.can("HasDensity"):
            results.append(likelihood.log_prob(model, x, data=data))
        elif run.can("HasBound"):
            results.append(likelihood.elbo(model, x, y, rng=0, data=data))
            if draws and run.can("LatentModel"):
                results.append(likelihood.iwae(model, x, y, k=draws, rng=0, data=data))
        if run.can("Encodes", "Decodes"):
            results.append(squared_error(model, x, y, data=data))
    return results


def estimates(
    run: OpenedRun,
    held_out: Source,
    methods: Sequence[str],
    how: Annealing,
    listener: Callable[[str], Callable[[Event], None]],
) -> list[Record]:
    """Naive Monte Carlo and AIS on at most `how.rows` held-out rows, both sides of BDMC on as many
    rows simulated from the model.
    """
    if not methods or not run.can("LatentModel"):
        return []
    limit = min(how.rows, len(held_out))
    model = run.model
    batch = prepared(model, held_out, limit)
    data = f"the first {limit} of {described(held_out)}"
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
    """InvalidValue for records of several runs that are not of the same rows,
    measured the same way.
    """
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
