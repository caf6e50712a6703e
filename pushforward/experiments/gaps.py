"""The gaps of a table filled: only missing cells change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.argument_names import argument
from pushforward.core.columns import Column
from pushforward.core.data_types import Frame, Observations
from pushforward.core.errors import BadRun, InvalidValue, one_of
from pushforward.core.random import derive, generator
from pushforward.data.export.filled_tables import Misaligned, can_be_patched, open_filled
from pushforward.data.export.table_forms import check_table_path
from pushforward.data.tables.typed_rows import TypedRows, typed_rows
from pushforward.experiments.opened import table_settings
from pushforward.experiments.table_models import (
    TableFile,
    TableModel,
    TableReading,
    open_model,
    require_file,
)
from pushforward.experiments.view import Table
from pushforward.plots.matplotlib_types import Figure
from pushforward.tabular.gaps import (
    DRAWS,
    Using,
    complete,
    draw_gaps,
    interval,
    pool,
    require_filling,
)
from pushforward.tabular.rules import Outcome, obey
from pushforward.tabular.tallies import Tally
from pushforward.tabular.wording import few_digits, in_words, share

__all__ = ["Filled", "fill", "numbered"]

SHOWN = 5000
"""Values of each column that a figure shows."""
DRAWN_AT_ONCE = 1 << 21
"""Values that are drawn at once for intervals: 16 MB."""
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
            return [self.subject.said, f"{self.rows:,} rows have no gaps to fill", *self.notes]
        how = {"draw": "draws", "mean": "conditional means", "mode": "the most probable values"}
        times = f", {len(self.imputations)} times" if len(self.imputations) > 1 else ""
        return [
            self.subject.said,
            f"{self.gaps:,} gaps in {columns} columns of {self.rows:,} rows were filled with"
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
        return table_margins(tables, self.subject.space, columns=with_gaps, title=title)


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


def numbered(path: Path, label: int | str) -> Path:
    """filled-2.csv, the path of an imputation, for filled.csv."""
    stem, dot, rest = path.name.partition(".")
    return path.with_name(f"{stem}-{label}{dot}{rest}")


def fill(
    what: Observations,
    data: Observations | None = None,
    *,
    using: Using = "draw",
    imputations: int = 1,
    intervals: float | None = None,
    out: str | Path | None = None,
    stream: TextIO | None = None,
    reading: TableReading | None = None,
) -> Filled:
    """Fill the gaps of a table from the model's distribution given the rest of each row.

    Args:
        what: a run folder; or a table, to which a model is fitted first.
        data: the table to fill; that of the model if None.
        using: 'draw', 'mean' (means of numbers, most probable categories) or 'mode'.
        imputations: draw so many filled tables; `Filled.pooled` then has the means of columns with
            the error that the gaps add.
        intervals: the share of the distribution of each filled number that its interval holds.
        out: .csv .tsv .parquet; a text table keeps every other byte. Of several imputations,
            out-1.csv, out-2.csv, …
        stream: an open text file to write to instead; None for data frames.
        reading: how a table is read and fitted, and the seed.

    Example:
        >>> import numpy, pandas
        >>> x = numpy.random.default_rng(0).normal(size=(200, 1)) @ numpy.array([[1.0, 2.0]])
        >>> table = pandas.DataFrame(x + 5, columns=["a", "b"]).round(3)
        >>> table.loc[3, "b"] = None
        >>> filled = fill(table, using="mean").frame
        >>> bool(abs(filled["b"][3] - (2 * (table["a"][3] - 5) + 5)) < 0.01)
        True
    """
    one_of("using", using, ("draw", "mean", "mode"))
    _check(using, imputations, intervals)
    target = None if out is None else check_table_path(out)
    paths = _paths(target, imputations)
    subject = open_model(what, reading)
    require_filling(subject.model)
    reading = reading or TableReading()
    file = _file(subject, data, reading)
    result = Filled(subject, 0, using, Tally(subject.space), Tally(subject.space), [], Outcome())
    for m, path in enumerate(paths):
        work = _Work(result, file, m, reading.seed, intervals if m == 0 else None)
        work.run(path, stream)
    if intervals is not None:
        result.notes.append(
            f"intervals hold {share(intervals)} of the distribution of each filled number"
        )
    return result


def _check(using: str, imputations: int, intervals: float | None) -> None:
    if imputations < 1:
        raise InvalidValue(
            f"{argument('imputations')} must be at least 1, got {imputations}; 5 are usual"
        )
    if imputations > 1 and using != "draw":
        raise InvalidValue(
            f"{argument('imputations', str(imputations))} needs draws, which differ; {using}s do"
            f" not: leave {argument('using')} out"
        )
    if intervals is not None and not 0 < intervals < 1:
        raise InvalidValue(
            f"{argument('intervals')} must lie between 0 and 1, got {intervals:g}; pass"
            f" {argument('intervals', '0.9')}, say"
        )


def _paths(target: Path | None, imputations: int) -> list[Path | None]:
    if target is None or imputations == 1:
        return [target] * imputations
    paths = [numbered(target, m + 1) for m in range(imputations)]
    return [check_table_path(path) for path in paths]


def _file(subject: TableModel, data: Observations | None, reading: TableReading) -> TableFile:
    if data is not None:
        return require_file(data, table_settings(data, subject.run, reading.table))
    if subject.file is None:
        raise BadRun(
            f"{subject.name}: the rows it was fitted to are lost ({subject.lost}); pass a FILE"
        )
    return subject.file


class _Work:
    """One imputation of a table."""

    def __init__(
        self, result: Filled, file: TableFile, m: int, seed: int, intervals: float | None
    ) -> None:
        self.result, self.file, self.m, self.seed = result, file, m, seed
        self.share = intervals
        self.subject = result.subject

    def run(self, path: Path | None, stream: TextIO | None) -> None:
        """Fill the table, in its own text where that can be done, else written anew."""
        file, to_text = self.file, path is not None or stream is not None
        patched = to_text and can_be_patched(file.table, file.path, path)
        try:
            self._fill(path, stream, patched)
        except Misaligned:
            self.result.notes.append("the table is written anew, as its lines are no plain rows")
            self._fill(path, stream, False)

    def _fill(self, path: Path | None, stream: TextIO | None, patched: bool) -> None:
        self._begin()
        file, form = self.file, self.file.form
        space = self.subject.space
        with open_filled(
            file.table, file.path, path, space, form, file.dtypes, stream=stream, patched=patched
        ) as (add, frames):
            for rows in typed_rows(file.table, space, file.options):
                add(rows, self._filled(rows))
        result = self.result
        result.rows, result.before, result.values = self.rows, self.before, self.values
        result.imputations.append(self.completed)
        result.outcome.add(self.outcome)
        if self.m == 0:
            result.shown = (np.concatenate(self.seen), np.concatenate(self.put))
            result.intervals = self.intervals
            self._note_unseen()
        if frames is not None:
            result.frames.append(frames.frame())
        if path is not None:
            result.paths.append(path)

    def _begin(self) -> None:
        space = self.subject.space
        self.stream = generator(derive(self.seed, "fill", self.m), self.subject.model.device)
        self.before, self.values, self.completed = Tally(space), Tally(space), Tally(space)
        self.outcome, self.rows, self.unseen = Outcome(), 0, 0
        self.seen: list[Rows] = []
        self.put: list[Rows] = []
        names = ("row", "column", "value", "low", "high")
        self.intervals: dict[str, list[Any]] | None = (
            None if self.share is None else {name: [] for name in names}
        )

    def _filled(self, rows: TypedRows) -> Rows:
        """The rows (n, d) with the missing values filled in; unseen categories stay NaN."""
        model, x = self.subject.model, rows.x.copy()
        at = np.flatnonzero(rows.missing.any(1))
        if len(at):
            part = torch.from_numpy(x[at])
            using: Any = self.result.using
            whole = complete(model, part, using=using, rng=self.stream)
            redraw = None
            if using == "draw":

                def redraw(some: NDArray[np.int64]) -> torch.Tensor:
                    return complete(model, part[torch.from_numpy(some)], rng=self.stream)

            filled, outcome = obey(whole, self.subject.rules, redraw, free=rows.missing[at])
            x[at] = np.where(rows.missing[at], filled, x[at])
            self.outcome.add(outcome)
            self._measure(rows, at, x)
        self._count(rows, x)
        return x

    def _measure(self, rows: TypedRows, at: NDArray[np.int64], x: Rows) -> None:
        """The interval of each filled number."""
        if self.intervals is None or self.share is None:
            return
        step = max(1, DRAWN_AT_ONCE // (DRAWS * x.shape[1]))
        stream = generator(derive(self.seed, "intervals", rows.first), self.subject.model.device)
        for start in range(0, len(at), step):
            some = at[start : start + step]
            part = torch.from_numpy(rows.x[some])
            drawn = draw_gaps(self.subject.model, part, DRAWS, rng=stream).double().numpy()
            gaps = np.isnan(rows.x[some])
            low, high = self._ends(gaps, drawn)
            self._list(rows, some, x, low, high)

    def _ends(self, gaps: NDArray[np.bool_], drawn: Rows) -> tuple[Rows, Rows]:
        assert self.share is not None
        ends = []
        for end in interval(drawn, self.share):
            whole = np.zeros(gaps.shape)
            whole[gaps] = end
            ends.append(self.subject.rules.clipped(self.subject.rules.rounded(whole)))
        return ends[0], ends[1]

    def _list(
        self, rows: TypedRows, some: NDArray[np.int64], x: Rows, low: Rows, high: Rows
    ) -> None:
        assert self.intervals is not None
        columns = self.subject.space.columns
        for i, j in zip(*np.nonzero(rows.missing[some])):
            if columns[j].kind == "categorical":
                continue
            entries = (x[some[i], j], low[i, j], high[i, j])
            self.intervals["row"].append(rows.first + int(some[i]))
            self.intervals["column"].append(self.subject.space.names[j])
            for name, value in zip(("value", "low", "high"), entries):
                self.intervals[name].append(in_words(float(value), columns[j]))

    def _count(self, rows: TypedRows, x: Rows) -> None:
        self.before.add(rows.x)
        unseen = np.isnan(rows.x) & ~rows.missing
        self.before.missing -= unseen.sum(0)
        self.unseen += len(rows.unseen)
        self.values.add(np.where(rows.missing, x, np.nan)[rows.missing.any(1)])
        self.completed.add(x)
        if self.rows < SHOWN:
            self.seen.append(rows.x[:SHOWN])
            self.put.append(np.where(rows.missing, x, np.nan)[:SHOWN])
        self.rows += len(rows)

    def _note_unseen(self) -> None:
        if self.unseen:
            self.result.notes.append(
                f"{self.unseen:,} values are categories that the model has never seen: they stay,"
                " and count as unknown when the rest of their row is filled"
            )
