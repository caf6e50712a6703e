"""Odd rows of a table: how unlikely each is given how many values it has, and which are why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
from pushforward.data.tables.typed_rows import Unseen
from pushforward.experiments.judged_rows import KeptRow, judge_file
from pushforward.experiments.opened import table_settings
from pushforward.experiments.table_models import TableModel, TableReading, open_model, require_file
from pushforward.experiments.view import Table
from pushforward.plots.matplotlib_types import Figure
from pushforward.tabular.oddity import (
    MOST_REASONS,
    SAMPLES,
    Reason,
    Scores,
    can_explain,
    cross_fitted,
    explain,
    score,
)
from pushforward.tabular.wording import few_digits, in_words, listed, share

__all__ = ["FOLDS", "Oddities", "OddRow", "odd"]

FOLDS = 5
"""Parts of cross-fitting: each row is judged by a model of four fifths of the others."""
LEAST_ROWS = 11
"""Rows of a table below which none can be told to be odd beside the others."""
SPOKEN = 0.05
"""Rows as odd by chance alone, up to which a row is put in words; those beyond all samples are."""


@dataclass(frozen=True)
class OddRow:
    """A row, and why it is odd.

    Args:
        row: its number, from 0.
        identity: its identifiers, such as 'id K-1012'; '' without any.
        log_density: of its values, nats.
        p: how many of the model's samples with the same values are as unlikely, as a share.
        scored: 'cross-fitted', 'held out', 'new' or 'in sample'.
        reasons: those of its values that make it odd, the most surprising first.
        surprises: all of its values.
        unseen: categories that the model has never seen.
        values: how many it has.
    """

    row: int
    identity: str
    log_density: float
    p: float
    scored: str
    reasons: tuple[Reason, ...] = ()
    surprises: tuple[Reason, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    values: int = 0


@dataclass(frozen=True)
class Oddities:
    """The rows of a table by how odd they are.

    Args:
        subject: the model.
        scores: of all rows.
        scored: how each row was judged (n,).
        order: row numbers, the oddest first.
        top: the oddest rows, with reasons.
        identifiers: theirs, by column.
        samples: that rows were compared with.
        notes: what else is worth knowing.
    """

    subject: TableModel
    scores: Scores
    scored: NDArray[Any]
    order: NDArray[np.int64]
    top: tuple[OddRow, ...]
    identifiers: dict[str, list[Any]] = field(default_factory=dict)
    samples: int = SAMPLES
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """How rows were judged, then one sentence for each row that chance does not explain."""
        n = len(self.order)
        kinds, counts = np.unique(self.scored, return_counts=True)
        how = listed([f"{count:,} {kind}" for kind, count in zip(kinds, counts)])
        said = [self.subject.said, f"{n:,} rows: {how}", *self.notes]
        least = 1.5 / (self.samples + 1)
        odd = [r for r in self.top if r.unseen or r.p <= max(SPOKEN / max(n, 1), least)]
        chance = n / (self.samples + 1)
        if odd and chance >= 1:
            said.append(f"by chance, {chance:.0f} of so many rows are odder than all samples")
        if not odd:
            return [*said, "no row is odder than the oddest of so many rows usually is"]
        return [*said, *(self._sentence(row) for row in odd)]

    def _sentence(self, row: OddRow) -> str:
        name = f"row {row.row}" + (f" ({row.identity})" if row.identity else "")
        space = self.subject.space
        parts = [f"{space.names[u.column]} is {u.text!r}, which is not known" for u in row.unseen]
        parts += [self._reason(reason) for reason in row.reasons]
        chance = (
            f"odder than all {self.samples:,} samples"
            if row.p <= 1.5 / (self.samples + 1)
            else f"as odd as {share(row.p)} of samples"
        )
        return f"{name}: {'; '.join(parts) or 'its values together'} ({chance})"

    def _reason(self, reason: Reason) -> str:
        column = self.subject.space.columns[reason.column]
        name = self.subject.space.names[reason.column]
        value = in_words(reason.value, column)
        return f"{name} is {value}, where {_expected(reason, column)} would be expected"

    @property
    def table(self) -> Table:
        """The oddest rows: rank, row, identifiers, p, log-density, how judged, and up to three
        columns that make it odd with their values, what was expected, and the surprise in nats.
        """
        columns: dict[str, list[Any]] = {"rank": list(range(1, len(self.top) + 1))}
        columns["row"] = [row.row for row in self.top]
        columns |= self.identifiers
        columns["p"] = [float(few_digits(row.p)) for row in self.top]
        columns["log_density"] = [float(few_digits(row.log_density, 0.1)) for row in self.top]
        columns["values"] = [row.values for row in self.top]
        columns["scored"] = [row.scored for row in self.top]
        for k in range(MOST_REASONS):
            names = [f"{key}{k + 1}" for key in ("column", "value", "expected", "surprise")]
            entries = [self._entries(row, k) for row in self.top]
            columns |= {name: [e[i] for e in entries] for i, name in enumerate(names)}
        return columns

    def _entries(self, row: OddRow, k: int) -> tuple[str, str, str, float | str]:
        space = self.subject.space
        if k < len(row.unseen):
            unseen = row.unseen[k]
            return space.names[unseen.column], unseen.text, "a known category", ""
        k -= len(row.unseen)
        if k >= len(row.reasons):
            return "", "", "", ""
        reason = row.reasons[k]
        column = space.columns[reason.column]
        return (
            space.names[reason.column],
            in_words(reason.value, column),
            _expected(reason, column),
            float(few_digits(reason.surprise, 1.0)),
        )

    def plot(self, title: str = "") -> Figure:
        """The surprise of each value of the oddest rows, with the values."""
        from pushforward.plots import cell_map

        space = self.subject.space
        values = np.full((len(self.top), space.size), np.nan)
        texts = [[""] * space.size for _ in self.top]
        for i, row in enumerate(self.top):
            for reason in row.surprises:
                values[i, reason.column] = max(reason.surprise, 0.0)
                texts[i][reason.column] = _clip(
                    in_words(reason.value, space.columns[reason.column])
                )
            for unseen in row.unseen:
                values[i, unseen.column], texts[i][unseen.column] = 10.0, _clip(unseen.text)
        names = [row.identity or f"row {row.row}" for row in self.top]
        label = "surprise, nats"
        return cell_map(
            values, names, space.names, label=label, texts=texts, diverging=False, most=10.0,
            title=title,
        )  # fmt: skip


def _clip(text: str) -> str:
    return text if len(text) <= 10 else text[:9] + "…"


def _expected(reason: Reason, column: Any) -> str:
    if reason.category >= 0:
        return f"{in_words(reason.category, column)} ({share(reason.share)})"
    scale = (reason.high - reason.low) / 3.3  # 90 % of a normal distribution are 3.3 deviations
    whole = column.kind == "integer"
    ends = [round(v) if whole else v for v in (reason.low, reason.high)]
    low, high = (in_words(v, column, None if whole else scale or None) for v in ends)
    return low if low == high else f"{low} to {high}"


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
    columns = subject.identifier_columns([row])
    return KeptRow(x, {name: values[0] for name, values in columns.items()})


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
        notes.append("rows were judged by the model that was fitted to them: odd ones may hide")
    identities = []
    for row in order[:top].tolist():
        found, model = kept(row), judge.models[int(judge.by[row])]
        x, unseen = found.x.double(), found.unseen
        surprises, reasons = explain(model, x, subject.rules, seed=seed) if explains else ([], [])
        identities.append(found.identity)
        rows.append(
            OddRow(
                row,
                ", ".join(f"{name} {value}" for name, value in found.identity.items()),
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
