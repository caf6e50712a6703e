"""Odd rows of a table: how unlikely each is given how many values it has, and which are why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.argument_names import argument
from pushforward.core.capabilities import HasDensity, capabilities
from pushforward.core.counting import count_rows
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.registry import registered_models
from pushforward.core.source import Source
from pushforward.core.source_views import Subset
from pushforward.experiments.judged_rows import KeptRow, judge_file
from pushforward.experiments.odd_rows import Oddities, OddRow
from pushforward.experiments.opened import table_settings
from pushforward.experiments.row_names import name_in_words, names_of_row
from pushforward.experiments.table_models import TableModel, TableReading, open_model, require_file
from pushforward.tabular.oddity import (
    SAMPLES,
    Scores,
    can_explain,
    cross_fitted,
    explain,
    score,
)

__all__ = ["FOLDS", "Oddities", "OddRow", "odd"]

FOLDS = 5
"""Parts of cross-fitting: each row is judged by a model of four fifths of the others."""
LEAST_ROWS = 11
"""Rows of a table below which none can be told to be odd beside the others."""


def odd(
    what: Observations,
    data: Observations | None = None,
    *,
    top: int = 20,
    folds: int = FOLDS,
    samples: int = SAMPLES,
    reading: TableReading | None = None,
) -> Oddities:
    """Rows by how unlikely they are, given how many values they have, and which values are why.

    Args:
        what: a run folder; or a table, to which a model is fitted.
        data: the rows; those of the model if None. These it has seen: each is judged by a model
            that is fitted to the other parts of the rows.
        top: how many rows to explain.
        folds: of cross-fitting; 0 judges rows by the model that has seen them.
        samples: of the model that rows are compared with.
        reading: how a table is read and fitted, and the seed.

    Raises:
        InvalidKind: If the model has no exact density.

    Example:
        >>> import numpy, pandas
        >>> x = numpy.random.default_rng(0).normal(size=(200, 1)) * [1.0, 2.0] + [[0.0, 5.0]]
        >>> table = pandas.DataFrame(x, columns=["a", "b"])
        >>> table.loc[7, "b"] = 50.0
        >>> found = odd(table, top=1).top[0]
        >>> found.row, found.reasons[0].column
        (7, 1)
    """
    reading = reading or TableReading()
    _check(top, folds)
    subject = open_model(what, reading)
    _require_density(subject)
    judge = _Judge(subject, folds, samples, reading.seed)
    if data is None:
        source: Any = subject.need_rows("without a FILE, this")
        judge.own(source)
        strange = np.zeros(len(source), dtype=bool)
        return _found(
            subject, judge, strange, lambda row: _own_row(source, subject, row), top, reading.seed
        )
    file = require_file(data, table_settings(data, subject.run, reading.table))
    judged = judge_file(subject, file, top=top, samples=samples, seed=reading.seed)
    judge.new(judged.scores)
    return _found(subject, judge, judged.strange, judged.kept.__getitem__, top, reading.seed)


def _check(top: int, folds: int) -> None:
    if top < 1:
        raise InvalidValue(f"{argument('top')} must be at least 1, got {top}; 20 are usual")
    if folds < 0 or folds == 1:
        raise InvalidValue(
            f"{argument('folds')} must be at least 2, or 0 for none, got {folds}; 5 are usual"
        )


def _too_small(rows: int) -> str:
    return (
        f"a table of {rows} row{'s' if rows > 1 else ''} is too small: to tell which are odd,"
        f" {LEAST_ROWS} are needed; bring more, or pass a run of another table and this one as FILE"
    )


def _require_density(subject: TableModel) -> None:
    if isinstance(subject.model, HasDensity) and hasattr(subject.model, "sample"):
        return
    able = [name for name, cls in registered_models() if "HasDensity" in capabilities(cls)]
    raise InvalidKind(
        f"the {subject.model.registered_name} model has no exact density; models that do:"
        f" {', '.join(able)}"
    )


def _own_row(source: Source, subject: TableModel, row: int) -> KeptRow:
    """A row that the model was fitted to."""
    x = source.take(torch.tensor([row])).x[0]
    return KeptRow(x, names_of_row(subject.space, source, row))


class _Judge:
    """The scores of rows, and the model that judged each."""

    def __init__(self, subject: TableModel, folds: int, samples: int, seed: int) -> None:
        self.subject, self.folds, self.samples, self.seed = subject, folds, samples, seed
        self.models: list[Any] = []
        self.scores, self.scored = Scores.empty(0), np.empty(0, dtype=object)
        self.by = np.empty(0, dtype=np.int64)

    def new(self, scores: Scores) -> None:
        """Take the scores of rows that the model has not seen."""
        n = len(scores.p)
        self.scores, self.scored = scores, np.full(n, "new", dtype=object)
        self.by, self.models = np.zeros(n, dtype=np.int64), [self.subject.model]

    def own(self, source: Source) -> None:
        """Judge the rows that the model was fitted to, and those held out."""
        self._begin(source)
        trained = self.subject.trained
        held_out = np.setdiff1d(np.arange(len(source)), trained)
        if len(held_out):
            self._judge(source, held_out, self.subject.model, "held out")
        if not self.folds:
            self._judge(source, trained, self.subject.model, "in sample")
            return
        if len(trained) < LEAST_ROWS:
            raise InvalidValue(_too_small(len(trained)))
        if self.folds > len(trained):
            raise InvalidValue(
                f"{argument('folds', str(self.folds))} is more than the {len(trained)} rows; pass"
                " fewer"
            )
        part = Subset(source, torch.from_numpy(trained))
        for rows, model in cross_fitted(self.subject.refit, part, self.folds, self.seed):
            self._judge(source, trained[rows], model, "cross-fitted")

    def _begin(self, source: Source) -> None:
        n = len(source)
        self.scores, self.scored = Scores.empty(n), np.full(n, "", dtype=object)
        self.by = np.zeros(n, dtype=np.int64)

    def _judge(self, source: Source, rows: NDArray[np.int64], model: Any, how: str) -> None:
        part = Subset(source, torch.from_numpy(rows))
        found = score(model, part, self.subject.rules, samples=self.samples, seed=self.seed)
        self.scores.put(rows, found)
        self.scored[rows], self.by[rows] = how, len(self.models)
        self.models.append(model)


def _found(
    subject: TableModel, judge: _Judge, strange: NDArray[np.bool_],
    kept: Callable[[int], KeptRow], top: int, seed: int,
) -> Oddities:  # fmt: skip
    """The order of rows, those with unseen categories first, and the reasons of the first."""
    scores, order = judge.scores, judge.scores.order
    order = np.concatenate([order[strange[order]], order[~strange[order]]])
    rows, notes = [], []
    explains = can_explain(subject.model)
    if not explains:
        notes.append(f"the {subject.model.registered_name} model does not say which values are odd")
    if "in sample" in judge.scored:
        notes.append("odd ones may hide, as the model has seen them")
    identities = []
    for row in order[:top].tolist():
        found, model = kept(row), judge.models[int(judge.by[row])]
        x, unseen = found.x.double(), found.unseen
        surprises, reasons = explain(model, x, subject.rules, seed=seed) if explains else ([], [])
        identities.append(found.identity)
        rows.append(
            OddRow(
                row,
                name_in_words(found.identity),
                float(scores.log_density[row]),
                float(scores.p[row]),
                str(judge.scored[row]),
                tuple(reasons if scores.p[row] < 0.05 or not unseen else ()),
                tuple(surprises),
                unseen,
                int((~x.isnan()).sum()) + len(unseen),
            )
        )
        count_rows("explained", len(rows), min(top, len(order)))
    names = identities[0] if identities else {}
    identifiers = {name: [identity[name] for identity in identities] for name in names}
    return Oddities(
        subject, scores, judge.scored, order, tuple(rows), identifiers, judge.samples, tuple(notes)
    )
