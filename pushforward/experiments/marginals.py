"""Runs with labels beside runs without: what both say of x alone.

A run with labels models p(x|y), a run without p(x). They compare on p(x) = Σ_y p(y) p(x|y), of
which the row's own label gives a lower bound,

    log p(x) ≥ log p(y) + log p(x|y),

exact where no other label explains x; any bound on log p(x|y) may stand in its place. The shares
p(y) are those of the training rows, each label counted once more, so that none is impossible.
Samples of x are drawn under labels in these shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pushforward.core.errors import BadRun, BadSource
from pushforward.core.random import Rng, integers
from pushforward.core.records import Record
from pushforward.core.source import Source, fingerprint
from pushforward.core.source_views import without_labels
from pushforward.experiments.opened import OpenedRun

__all__ = ["MARGINAL", "align", "drawn_labels", "has_labels", "marginal_records", "training_labels"]

LABELS = 10_000
"""The most training rows whose labels are counted."""
MARGINAL = "log p(y) + log p(x|y), a lower bound on log p(x)"


def has_labels(run: OpenedRun) -> bool:
    """Whether a run's conditions are labels."""
    return run.conditional and bool(run.model.condition_space.is_label)


def align(runs: Sequence[OpenedRun], held_out: Sequence[Source]) -> tuple[list[Source], list[bool]]:
    """Rows under which runs with labels and runs without compare, where they hold out the same x.

    Runs without conditions get the labelled rows, whose labels they do not read.

    Returns:
        The rows of each run, and whether its likelihood is to be measured as that of x alone.
    """
    labelled = [i for i, run in enumerate(runs) if has_labels(run)]
    plain = [i for i, run in enumerate(runs) if not run.conditional]
    rows, marginal = list(held_out), [False] * len(runs)
    if not labelled or not plain:
        return rows, marginal
    alone = {i: fingerprint(without_labels(held_out[i])) for i in (*labelled, *plain)}
    for i in plain:
        twin = next((j for j in labelled if alone[j] == alone[i]), None)
        if twin is not None:
            rows[i] = held_out[twin]
    told = {fingerprint(rows[i]) for i in plain}
    for j in labelled:
        marginal[j] = fingerprint(rows[j]) in told
    return rows, marginal


def training_labels(run: OpenedRun, source: str | None = None) -> Tensor:
    """The labels (n,), as codes, that a run was trained on, or the first of them.

    Raises:
        BadRun, BadSource: If its rows cannot be found.
    """
    train = run.parts(source).train
    y = train.take(torch.arange(min(LABELS, len(train)))).y
    if y is None:
        raise BadRun(f"{run.folder} was trained on rows whose labels cannot be found")
    return y.flatten().long()


def drawn_labels(run: OpenedRun, n: int, rng: Rng) -> Tensor:
    """n labels, as codes, drawn from those a run was trained on."""
    labels = training_labels(run)
    return labels[integers(len(labels), (n,), rng=rng)]


def marginal_records(
    run: OpenedRun, records: Sequence[Record], source: Source, rows_at: str | None = None
) -> list[Record]:
    """Records of log p(x|y) on the first rows as bounds on log p(x); others as they are.

    Args:
        records: with the values of each row.
        source: the rows, with labels.
        rows_at: where the run's own rows are, if they have moved.
    """
    shares = _log_shares(run, source, rows_at)
    return [_of_x(record, shares, source) if record.measure else record for record in records]


def _log_shares(run: OpenedRun, source: Source, rows_at: str | None) -> Tensor:
    """log p(y) of every label (k,)."""
    try:
        labels = training_labels(run, rows_at)
    except (BadRun, BadSource):  # rows in memory, or not here: these are as good
        labels = source.take(torch.arange(min(LABELS, len(source)))).y.flatten().long()  # type: ignore[union-attr]
    k = len(run.model.condition_space.columns[0].categories)
    counts = torch.bincount(labels, minlength=k).double() + 1
    return (counts / counts.sum()).log()


def _of_x(record: Record, shares: Tensor, source: Source) -> Record:
    if record.values is None or record.bound == "upper bound":
        return record
    y = source.take(torch.arange(record.n)).y
    assert y is not None
    moved = Record.of(record.quantity, record.values + shares[y.flatten().long().cpu()])
    return replace(
        record,
        value=moved.value,
        error=moved.error,
        values=moved.values,
        bound="lower bound",
        details={**record.details, "likelihood": MARGINAL},
    )
