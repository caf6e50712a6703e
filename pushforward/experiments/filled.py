"""A table whose gaps were filled: what was done, in words, as tables and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.columns import Column
from pushforward.core.data_types import Frame
from pushforward.core.errors import InvalidValue
from pushforward.experiments.table_models import TableModel
from pushforward.experiments.view import Table, brief
from pushforward.plots.matplotlib_types import Figure
from pushforward.tabular.gaps import pool
from pushforward.tabular.rules import Outcome
from pushforward.tabular.tallies import Tally
from pushforward.tabular.wording import counted, few_digits, in_words, share

__all__ = ["Filled"]

FEW = 10
"""Categories of a column whose shares are pooled."""

Rows = NDArray[np.float64]


@dataclass
class Filled:
    """A table whose gaps were filled.

    Args:
        subject: the model.
        rows: of the table.
        using: 'draw', 'mean' or 'mode'.
        before: the columns with their gaps, and the values that went into them.
        values: of the filled cells alone.
        imputations: the columns without gaps, of each imputation.
        outcome: how the filled rows came to obey bounds and relations.
        notes: what else is worth knowing.
        frames: one per imputation, if they were not written.
        paths: where they were written.
        intervals: of the filled numbers, if asked for.
    """

    subject: TableModel
    rows: int
    using: str
    before: Tally
    values: Tally
    imputations: list[Tally]
    outcome: Outcome
    notes: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    intervals: dict[str, list[Any]] | None = None
    shown: tuple[Rows, Rows] = (np.empty((0, 0)), np.empty((0, 0)))

    @property
    def frame(self) -> Frame:
        """The filled table, or the first of several imputations."""
        return self.frames[0]

    @property
    def gaps(self) -> int:
        """How many cells were filled."""
        return int(self.before.missing.sum())

    @property
    def sentences(self) -> list[str]:
        """What was done."""
        columns = int((self.before.missing > 0).sum())
        if not self.gaps:
            have = "has" if self.rows == 1 else "have"
            none = f"{counted(self.rows, 'row')} {have} no gaps to fill"
            return [self.subject.said, none, *self.notes]
        how = {"draw": "draws", "mean": "conditional means", "mode": "the most probable values"}
        times = f", {len(self.imputations)} times" if len(self.imputations) > 1 else ""
        return [
            self.subject.said,
            f"{counted(self.gaps, 'gap')} in {counted(columns, 'column')} of"
            f" {counted(self.rows, 'row')} {'was' if self.gaps == 1 else 'were'} filled with"
            f" {how[self.using]} given the rest of their row{times}",
            *self.notes,
            *self.outcome.sentences(self.subject.relations),
        ]

    @property
    def table(self) -> Table:
        """What was filled: of columns with gaps, how many, and the values there and filled in."""
        names = ("column", "gaps", "share", "of", "observed", "filled", "filled_low", "filled_high")
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for j in np.flatnonzero(self.before.missing).tolist():
            column = self.subject.space.columns[j]
            for name, entry in zip(names, _row(self, j, column)):
                columns[name].append(entry)
        return columns

    @property
    def pooled(self) -> Table:
        """Means of the columns (shares of categories) from several imputations, by Rubin's rules:
        value, standard error, ends of the 95 % interval, degrees of freedom, share of the error's
        variance that is due to gaps.
        """
        names = ("column", "mean", "error", "low", "high", "freedom", "missing_information", "gaps")
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for j, column in enumerate(self.subject.space.columns):
            for label, estimates, variances in _estimates(self.imputations, j, column):
                found = pool(estimates, variances)
                low, high = found.interval()
                name = self.subject.space.names[j] + (f"={label}" if label else "")
                entries = (
                    name, found.value, found.error, low, high, found.freedom, found.fraction,
                    int(self.before.missing[j]),
                )  # fmt: skip
                for key, entry in zip(names, entries):
                    columns[key].append(_short(entry, found.error))
        return columns

    def plot(self, title: str = "") -> Figure:
        """The distribution of each column with gaps: of observed and of filled values."""
        from pushforward.plots import table_margins

        with_gaps = np.flatnonzero(self.before.missing).tolist()
        if not with_gaps:
            raise InvalidValue("there are no gaps, so there is nothing to draw")
        tables = dict(zip(("observed", "filled"), self.shown))
        title = title or f"{self.subject.title}: observed values, and those filled in"
        return table_margins(tables, self.subject.space, columns=with_gaps, title=title)

    def __repr__(self) -> str:
        return brief(self.sentences)


def _row(filled: Filled, j: int, column: Column) -> tuple[Any, ...]:
    before, values, name = filled.before, filled.values, filled.subject.space.names[j]
    gaps = int(before.missing[j])
    of = share(gaps / max(filled.rows, 1))
    if j in before.categories:
        usual = int(before.categories[j].argmax())
        shares = [share(t.categories[j][usual] / max(int(t.count[j]), 1)) for t in (before, values)]
        return (name, gaps, of, str(column.categories[usual]), *shares, "", "")
    scale = float(before.deviation[j])
    ends = [in_words(float(v[j]), column, scale) for v in (values.low, values.high)]
    means = [in_words(float(t.mean[j]), column, scale) for t in (before, values)]
    return (name, gaps, of, "mean", *means, *ends)


def _estimates(
    imputations: list[Tally], j: int, column: Column
) -> Iterator[tuple[str, list[float], list[float]]]:
    """The estimate of each imputation and its squared error: of the mean, or of each share."""
    if column.kind != "categorical":
        variances = [float(t.variance[j]) / max(int(t.count[j]), 1) for t in imputations]
        yield "", [float(t.mean[j]) for t in imputations], variances
        return
    for code, category in enumerate(column.categories[:FEW]):
        shares = [float(t.categories[j][code]) / max(int(t.count[j]), 1) for t in imputations]
        variances = [p * (1 - p) / max(int(t.count[j]), 1) for p, t in zip(shares, imputations)]
        yield str(category), shares, variances


def _short(entry: Any, error: float) -> Any:
    """A number with as many digits as its error warrants."""
    if not isinstance(entry, float):
        return entry
    return (
        float(few_digits(entry, error / 10 if error > 0 else None))
        if math.isfinite(entry)
        else entry
    )
