"""One candidate for a table: fitted to training rows within a time, and measured on the others."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.core.capabilities import HasDensity, LatentModel, Samples
from pushforward.core.errors import FitWarning, PushforwardError
from pushforward.core.events import CancelToken, Event, Listener
from pushforward.core.model import Model
from pushforward.core.preparation import has_integers
from pushforward.core.random import derive
from pushforward.core.records import Record
from pushforward.core.source import Source
from pushforward.core.source_views import Subset
from pushforward.experiments.candidates import Candidate
from pushforward.experiments.fitters import make_fitter
from pushforward.experiments.measure import describe_data
from pushforward.experiments.selection import Trial
from pushforward.experiments.table_detection import detect, with_gaps_of
from pushforward.metrics import likelihood
from pushforward.metrics.preparation import prepare_rows

__all__ = ["Deadline", "dequantises", "log_likelihood", "try_candidate"]

DRAWS = 50
"""Codes per row of the importance-weighted bound."""


class Deadline:
    """A listener that cancels a fit at the first event after some seconds."""

    def __init__(self, seconds: float) -> None:
        self.token, self._end = CancelToken(), time.monotonic() + seconds

    def __call__(self, event: Event) -> None:
        """Cancel if the time is over."""
        if time.monotonic() > self._end:
            self.token.cancel()


def dequantises(candidate: Candidate, rows: Source) -> bool | None:
    """Whole numbers are cells to models with a likelihood, so that all of them compare."""
    return True if has_integers(rows.space) and candidate.has_likelihood else None


def try_candidate(
    candidate: Candidate,
    parts: Sequence[tuple[Subset, Subset]],
    seconds: float,
    seed: int,
    listeners: Sequence[Listener],
    *,
    limit: float = math.inf,
) -> Trial:
    """Fit a candidate to each fold's training rows, and measure it on the others.

    Args:
        candidate: to try.
        parts: training and held-out rows of each fold.
        seconds: for its fits together.
        seed: of fits and samples.
        listeners: called with the events of its fits.
        limit: a time of `time.monotonic` from which no further fold is begun.
    """
    began, each, note, fitting = time.monotonic(), seconds / len(parts), "", 0.0
    logs, samples, rows = [], [], []
    exact = True
    try:
        for number, (train, test) in enumerate(parts):
            start = time.monotonic()
            if start > limit:
                what = f"given up: the budget ended after {number} of {len(parts)} folds"
                return Trial(candidate, seconds=start - began, skipped=what)
            model, whole = _fitted(candidate, train, each, derive(seed, number), listeners)
            fitting += time.monotonic() - start
            note = note if whole else "stopped by the budget"
            rows.append(test.all().x)
            found = log_likelihood(model, test)
            if found is not None:
                logs.append(found.values)
                exact = exact and found.bound == "exact"
            if isinstance(model, Samples):
                drawn = model.sample(len(test), rng=derive(seed, "samples", number))
                drawn = _rounded(drawn, train).to("cpu", torch.float64)
                samples.append(with_gaps_of(drawn, train.all().x, seed))
    except PushforwardError as error:
        return Trial(candidate, seconds=time.monotonic() - began, skipped=_first_sentence(error))
    data, space = describe_data(parts[0][1].source), parts[0][0].space
    likelihood_ = _joined([v for v in logs if v is not None], exact, data)
    real = torch.cat(rows).to("cpu", torch.float64)
    detection = detect(real, torch.cat(samples), space, seed=seed, data=data) if samples else None
    seconds = time.monotonic() - began
    return Trial(
        candidate,
        likelihood_,
        detection,
        seconds,
        fitting / len(parts),
        seconds - fitting,
        note=note,
    )


def _fitted(
    candidate: Candidate, train: Source, seconds: float, seed: int, listeners: Sequence[Listener]
) -> tuple[Model, bool]:
    """The model of the training rows, and whether the time was enough."""
    model, deadline = candidate.build(), Deadline(seconds)
    settings = {**candidate.fitter, "seed": seed % 2**31} if candidate.learns else candidate.fitter
    fitter = make_fitter(
        model,
        settings,
        None,
        None,
        overwrite=False,
        listeners=[*listeners, deadline],
        token=deadline.token,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # what is wrong shows in the comparison
        model.fit(train, by=fitter, dequantise=dequantises(candidate, train))
    result = getattr(model, "fit_result", None)
    cut = deadline.token.cancelled and (result is None or result.reason == "interrupted")
    return model, not cut


def log_likelihood(model: Model, test: Source) -> Record | None:
    """Log-density of held-out rows, or the tightest bound at hand."""
    x = prepare_rows(model, test).x
    if isinstance(model, HasDensity):
        return likelihood.log_prob(model, x)
    if isinstance(model, LatentModel):
        return likelihood.iwae(model, x, k=DRAWS, rng=0)
    return None


def _joined(values: Sequence[Tensor], exact: bool, data: str) -> Record | None:
    """One record of all folds' rows."""
    if not values:
        return None
    quantity, bound = ("log_prob", "exact") if exact else ("bound", "lower bound")
    return Record.of(quantity, torch.cat(list(values)), unit="nats", bound=bound, data=data)


def _rounded(x: Tensor, source: Source) -> Tensor:
    """Samples with whole numbers where the column's values are, as they are exported."""
    whole = torch.tensor([c.kind == "integer" for c in source.space.columns], device=x.device)
    return torch.where(whole, x.round(), x)


def _first_sentence(error: Exception) -> str:
    """What was wrong: up to the first semicolon outside parentheses."""
    return re.split(r";(?![^(]*\))", str(error), maxsplit=1)[0]
