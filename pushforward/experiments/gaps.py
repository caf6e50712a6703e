"""The gaps of a table filled: only missing cells change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.argument_names import argument
from pushforward.core.counting import count_rows
from pushforward.core.data_types import Observations
from pushforward.core.errors import BadRun, InvalidValue, one_of
from pushforward.core.random import derive, generator
from pushforward.data.export.filled_tables import Misaligned, can_be_patched, open_filled
from pushforward.data.export.table_forms import check_table_path
from pushforward.data.export.tables import Writable
from pushforward.data.tables.typed_rows import TypedRows, typed_rows
from pushforward.experiments.filled import Filled
from pushforward.experiments.opened import table_settings
from pushforward.experiments.table_models import (
    TableFile,
    TableModel,
    TableReading,
    open_model,
    require_file,
)
from pushforward.tabular.gaps import (
    DRAWS,
    Using,
    complete,
    interval,
    require_filling,
)
from pushforward.tabular.refits import (
    CONCENTRATION,
    REFITS,
    can_be_refitted,
    draw_refitted,
    refit_reweighted,
)
from pushforward.tabular.rules import Outcome, obey
from pushforward.tabular.tallies import Tally
from pushforward.tabular.wording import in_words, listed, share

__all__ = ["Filled", "fill", "numbered"]

SHOWN = 5000
"""Values of each column that a figure shows."""
SPOKEN = 10
"""Columns that a note names."""
ANEW = "the table is written anew; values that are there stay as they are spelled"
DRAWN_AT_ONCE = 1 << 21
"""Values that are drawn at once for intervals: 16 MB."""

Rows = NDArray[np.float64]


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
    stream: Writable | None = None,
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
        out: .csv, .tsv (packed: .gz, .xz) or .parquet; a text table keeps every other byte. Of
            several imputations, out-1.csv, out-2.csv, …
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
    models = Refits(subject, reading.seed, wanted=imputations > 1 or intervals is not None)
    result.notes.extend(models.notes)
    for m, path in enumerate(paths):
        model = models[m] if imputations > 1 else subject.model
        work = _Work(result, file, m, reading.seed, model, intervals if m == 0 else None, models)
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


class Refits:
    """Models of a table fitted again, one for each imputation, made when they are asked for, and
    those whose draws make intervals.

    Args:
        subject: the model.
        seed: of the weights.
        wanted: whether any will be asked for; otherwise nothing is said.
    """

    def __init__(self, subject: TableModel, seed: int, *, wanted: bool = True) -> None:
        self._subject, self._seed, self._made = subject, seed, dict[tuple[int, int], Any]()
        self.possible = (  # rows that are not wanted are not read
            wanted and subject.rows is not None and can_be_refitted(subject.model)
        )
        self.notes: list[str] = []
        if wanted and not self.possible:
            why = "it takes long" if subject.rows is not None else "its rows are lost"
            self.notes.append(
                f"the model is not fitted again for each imputation, as {why}: errors and intervals"
                " leave out how far the model itself is uncertain"
            )

    def __getitem__(self, m: int) -> Any:
        """The model of an imputation; the model itself if it cannot be fitted again."""
        return self._model(m, 1) if self.possible else self._subject.model

    def for_intervals(self) -> list[Any]:
        """The models among which the draws of intervals are divided."""
        if not self.possible:
            return [self._subject.model]
        return [self._model(m, CONCENTRATION) for m in range(REFITS)]

    def _model(self, m: int, concentration: int) -> Any:
        if (m, concentration) not in self._made:
            rows = self._subject.trained_rows
            assert rows is not None
            seed = derive(self._seed, "refit", m)
            self._made[m, concentration] = refit_reweighted(
                self._subject.model, rows, seed, concentration
            )
        return self._made[m, concentration]


class _Work:
    """One imputation of a table."""

    def __init__(
        self,
        result: Filled,
        file: TableFile,
        m: int,
        seed: int,
        model: Any,
        intervals: float | None,
        models: Refits,
    ) -> None:
        self.result, self.file, self.m, self.seed = result, file, m, seed
        self.model, self.share, self.models = model, intervals, models
        self.subject = result.subject

    def run(self, path: Path | None, stream: Writable | None) -> None:
        """Fill the table, in its own text where that can be done, else written anew."""
        file, to_text = self.file, path is not None or stream is not None
        patched = to_text and can_be_patched(file.table, file.path, path)
        try:
            self._fill(path, stream, patched)
        except Misaligned:
            patched = False
            self._fill(path, stream, patched)
        texts = file.table.texts is not None and (path is None or path.suffix != ".parquet")
        if to_text and texts and not patched and ANEW not in self.result.notes:
            self.result.notes.append(ANEW)

    def _fill(self, path: Path | None, stream: Writable | None, patched: bool) -> None:
        self._begin()
        file, form = self.file, self.file.form
        space = self.subject.space
        with open_filled(
            file.table,
            file.path,
            path,
            space,
            form,
            file.dtypes,
            na=file.options.table.na,
            stream=stream,
            patched=patched,
        ) as (add, frames):
            for rows in typed_rows(file.table, space, file.options):
                add(rows, self._filled(rows))
                count_rows("filled", self.rows)
        result = self.result
        result.rows, result.before, result.values = self.rows, self.before, self.values
        result.imputations.append(self.completed)
        result.outcome.add(self.outcome)
        if self.m == 0:
            result.shown = (np.concatenate(self.seen), np.concatenate(self.put))
            result.intervals = self.intervals
            self._note_unseen()
            self._note_carried()
        if frames is not None:
            result.frames.append(frames.frame())
        if path is not None:
            result.paths.append(path)

    def _begin(self) -> None:
        space = self.subject.space
        self.stream = generator(derive(self.seed, "fill", self.m), self.subject.model.device)
        self.before, self.values, self.completed = Tally(space), Tally(space), Tally(space)
        self.outcome, self.rows, self.unseen = Outcome(), 0, 0
        self.carried: dict[str, int] = {}
        self.seen: list[Rows] = []
        self.put: list[Rows] = []
        names = ("row", "column", "value", "low", "high")
        self.intervals: dict[str, list[Any]] | None = (
            None if self.share is None else {name: [] for name in names}
        )

    def _filled(self, rows: TypedRows) -> Rows:
        """The rows (n, d) with the missing values filled in; unseen categories stay NaN."""
        model, x = self.model, rows.x.copy()
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
            drawn = draw_refitted(self.models.for_intervals(), part, rng=stream).numpy()
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
        frame: Any = rows.frame
        for name, series in frame.items():
            count = int(series.isna().sum())
            if count and str(name) not in self.subject.space.names:
                self.carried[str(name)] = self.carried.get(str(name), 0) + count
        self.values.add(np.where(rows.missing, x, np.nan)[rows.missing.any(1)])
        self.completed.add(x)
        if self.rows < SHOWN:
            self.seen.append(rows.x[:SHOWN])
            self.put.append(np.where(rows.missing, x, np.nan)[:SHOWN])
        self.rows += len(rows)

    def _note_carried(self) -> None:
        if self.carried and any(column.name for column in self.subject.space.columns):
            each = [f"{name} ({count:,})" for name, count in self.carried.items()]
            self.result.notes.append(
                f"columns that are not modelled keep their gaps: {listed(each, SPOKEN)}"
            )

    def _note_unseen(self) -> None:
        if self.unseen:
            self.result.notes.append(
                f"{self.unseen:,} values are categories that the model has never seen: they stay,"
                " and count as unknown when the rest of their row is filled"
            )
