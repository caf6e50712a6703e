"""Whether a model of a table is better than independent columns, on rows that it has not seen.

A joint model that predicts rows worse than its columns alone has learnt noise, or too little; its
samples may still look right, column by column.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch

from pushforward.core.errors import FitWarning, PushforwardError
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.core.records import Record
from pushforward.core.registry import catalogue, model_class
from pushforward.core.source import Source, space_rows
from pushforward.core.source_views import Subset
from pushforward.core.space import Space
from pushforward.metrics import likelihood
from pushforward.metrics.preparation import prepare_rows

__all__ = ["BASELINE", "compare_with_independent"]

BASELINE = "independent"
"""The model of independent columns."""
FITTED_ROWS = 20_000
"""Training rows of the baseline: margins need no more."""
LIKELIHOODS = ("iwae", "log_prob", "elbo")
"""Quantities that compare with a log-density, the tightest first."""


def compare_with_independent(
    model: Model, train: Source, held_out: Source, records: Sequence[Record]
) -> list[Record]:
    """The baseline's log-density if the model's is lower by more than one standard error.

    Warns of it then, with what to try. Empty if the model is no worse, or does not compare: no
    table, no likelihood, or conditions.

    Args:
        model: fitted to `train`.
        train: rows that the baseline is fitted to.
        held_out: rows that were measured.
        records: measured of the model on these, with their values.
    """
    measured = next((r for q in LIKELIHOODS for r in records if r.quantity == q), None)
    if measured is None or measured.values is None or not _compares(model, model.fitted_space()):
        return []
    independent = _fitted(model, train)
    if independent is None:
        return []
    x = prepare_rows(model, held_out, len(measured.values)).x
    alone = likelihood.log_prob(independent, x, data=measured.data)
    assert alone.values is not None
    gaps = alone.values - measured.values.to(alone.values)
    mean = float(gaps.mean())
    error = float(gaps.std(correction=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.inf
    if not (mean > error or (mean == math.inf and bool(alone.values.isfinite().all()))):
        return []
    details = {"model": BASELINE, "gap": mean, "gap_error": error, "compared": measured.quantity}
    record = Record.of(
        "log_prob of independent columns",
        alone.values,
        unit="nats",
        measure=alone.measure,
        data=measured.data,
        details=details,
    )
    warnings.warn(_message(model, measured, record), FitWarning, stacklevel=2)
    return [record]


def _compares(model: Model, space: Space) -> bool:
    """Whether the model is of a table, without conditions, and not the baseline itself."""
    named = space.kind == "points" and len(space.columns) > 1 and bool(space.columns[0].name)
    other = type(model) is not (model_class(BASELINE) if BASELINE in catalogue else type(model))
    return named and other and model.condition_space is None


def _fitted(model: Model, train: Source) -> Model | None:
    """Independent columns of the training rows, prepared as the model's; None if they refuse."""
    rows = train
    if len(train) > FITTED_ROWS:
        rows = Subset(train, space_rows(len(train), FITTED_ROWS))
    independent: Model = model_class(BASELINE)()
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore", FitWarning)
            return independent.fit(rows, dequantise=model.preparation.dequantise or None)
    except PushforwardError:
        return None


def _message(model: Model, measured: Record, alone: Record) -> str:
    remedy = (
        "a smaller network, or the weights that are best on rows set aside (keep_best)"
        if isinstance(model, Learner)
        else "fewer components"
        if hasattr(model, "components")
        else "another model"
    )
    return (
        f"worse than independent columns: {measured.quantity} {measured.value:.2f} against"
        f" {alone.value:.2f} nats per row on the same {alone.n} rows it has not seen; try:"
        f" {remedy}, more rows, or pushforward fit auto, which compares models"
    )
