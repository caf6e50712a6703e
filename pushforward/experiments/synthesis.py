"""A synthetic copy of a table: the same columns, in the same order and form, and as many gaps."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.argument_names import argument, setting
from pushforward.core.columns import Column
from pushforward.core.counting import count_rows
from pushforward.core.data_types import Frame, Observations
from pushforward.core.errors import InvalidValue, one_of
from pushforward.core.source import peek
from pushforward.core.space.export import column_of
from pushforward.data.export.table_forms import (
    FrameSink,
    TableForm,
    check_table_path,
    open_sink,
)
from pushforward.data.export.tables import Writable
from pushforward.data.tables.relations import Relation
from pushforward.data.tables.suggested_relations import suggest_relations
from pushforward.data.tables.typed_rows import chunk_size
from pushforward.experiments.sampling import require_sample_size
from pushforward.experiments.table_models import TableModel, TableReading, open_model
from pushforward.experiments.view import Table, brief
from pushforward.plots.matplotlib_types import Figure
from pushforward.tabular.rules import Outcome, Rules
from pushforward.tabular.synthesis import (
    find_gaps,
    find_levels,
    identifiers_like,
    synthetic_rows,
)
from pushforward.tabular.tallies import Tally, tally
from pushforward.tabular.wording import counted, in_words, listed, share

__all__ = ["Synthetic", "synthesise"]

SHOWN = 5000
"""Rows of each table that a figure shows: more would not change a histogram."""
MOST_RELATIONS = 5
"""Undeclared relations that are told."""

Entries = tuple[NDArray[Any], Column] | Sequence[Any]
"""The entries of a column: numbers and what they are, or texts."""


@dataclass(frozen=True)
class Synthetic:
    """A synthetic table.

    Args:
        subject: the model, and the table that it imitates.
        rows: how many were written.
        real, synthetic: facts about the columns of both; of the real one None if it is lost.
        notes: what was done, in sentences.
        frame: the rows, if they were not written.
        path: where they were written.
        shown: some of the real and of the synthetic rows.
    """

    subject: TableModel
    rows: int
    real: Tally | None
    synthetic: Tally
    notes: tuple[str, ...]
    frame: Frame | None = None
    path: Path | None = None
    shown: tuple[NDArray[np.float64] | None, NDArray[np.float64]] = (None, np.empty((0, 0)))

    @property
    def sentences(self) -> list[str]:
        """What was done."""
        where = "" if self.path is None else f", written to {self.path}"
        return [self.subject.said, f"{counted(self.rows, 'synthetic row')}{where}", *self.notes]

    @property
    def table(self) -> Table:
        """Columns of the tables side by side: means (shares of the most frequent category),
        standard deviations, and gaps.
        """
        tallies = {"real": self.real, "synthetic": self.synthetic}
        columns: dict[str, list[str]] = {"column": [], "type": [], "of": []}
        for name in tallies:
            columns |= {name: [], f"{name}_sd": [], f"{name}_gaps": []}
        for j, column in enumerate(self.subject.space.columns):
            columns["column"].append(self.subject.space.names[j])
            columns["type"].append(column.type or column.kind)
            usual = _usual(self.real or self.synthetic, j)
            columns["of"].append("mean" if usual < 0 else str(column.categories[usual]))
            for name, facts in tallies.items():
                for key, text in zip(("", "_sd", "_gaps"), _facts(facts, j, column, usual)):
                    columns[f"{name}{key}"].append(text)
        return columns

    def plot(self, title: str = "") -> Figure:
        """The distribution of each column in both tables."""
        from pushforward.plots import table_margins

        real, made = self.shown
        tables = {"synthetic": made} if real is None else {"real": real, "synthetic": made}
        beside = "synthetic rows" if real is None else "real and synthetic rows"
        title = title or f"{self.subject.title}: {beside}"
        return table_margins(tables, self.subject.space, title=title)

    def __repr__(self) -> str:
        return brief(self.sentences)


def _usual(facts: Tally, j: int) -> int:
    """The code of the most frequent category; -1 of a number."""
    return int(facts.categories[j].argmax()) if j in facts.categories else -1


def _facts(facts: Tally | None, j: int, column: Column, usual: int) -> tuple[str, str, str]:
    if facts is None:
        return "", "", ""
    gaps = share(facts.missing[j] / max(facts.rows, 1))
    if usual >= 0:
        return share(facts.categories[j][usual] / max(facts.count[j], 1)), "", gaps
    deviation = float(facts.deviation[j])
    plain = Column(kind="continuous")
    mean = in_words(float(facts.mean[j]), column, deviation)
    return mean, in_words(deviation, plain), gaps


def synthesise(
    what: Observations,
    n: int | None = None,
    *,
    gaps: bool = False,
    identifiers: Literal["pattern", "empty"] = "pattern",
    text: Literal["empty", "drop"] = "empty",
    out: str | Path | None = None,
    stream: Writable | None = None,
    reading: TableReading | None = None,
) -> Synthetic:
    """A table like another: drawn from a model, and written as the table is.

    Args:
        what: a run folder; or a table, to which a model is fitted first.
        n: how many rows; as many as the table has if None.
        gaps: whether values are missing, in the patterns of the table's rows.
        identifiers: made in their own pattern, or left empty.
        text: free text is left empty, or its columns left out.
        out: .csv, .tsv (packed: .gz, .xz) or .parquet; written in chunks, whatever the number of
            rows.
        stream: an open text file to write to instead; None for a data frame.
        reading: how a table is read and fitted, and the seed.

    Example:
        >>> import pandas
        >>> table = pandas.DataFrame({"id": ["K-7", "K-8", "K-9"], "x": [1.5, 2.0, 4.0]})
        >>> reading = TableReading(types={"id": "identifier"})
        >>> synthesise(table, reading=reading).frame["id"].tolist()
        ['K-10', 'K-11', 'K-12']
    """
    one_of("identifiers", identifiers, ("pattern", "empty"))
    one_of("text", text, ("empty", "drop"))
    reading = reading or TableReading()
    if n is not None:
        require_sample_size(n)
    target = None if out is None else check_table_path(out)
    subject = open_model(what, reading)
    if n is None and subject.rows is None:
        raise InvalidValue(
            f"{subject.name}: how many rows its table has is unknown ({subject.lost}); pass"
            f" {argument('n', '1000')}, say"
        )
    subject_rows = subject.rows
    n = n or len(subject_rows or ())
    mask = None
    if gaps:
        mask = find_gaps(subject.need_rows(argument("gaps"))).rows(n, reading.seed)
    carried, notes = _carried(subject, identifiers, text, reading.seed)
    notes += [] if gaps else _gaps_left_out(subject)
    facts, outcome, kept = Tally(subject.space), Outcome(), []
    rules, chunk = _rules(subject), chunk_size(subject.space.size)
    undeclared = _Undeclared.of(subject)
    form = TableForm() if subject.file is None else subject.file.form
    dtypes = {} if subject.file is None else subject.file.dtypes
    first = 0
    with open_sink(target, form, dtypes, stream) as sink:
        for rows, how in synthetic_rows(
            subject.model,
            n,
            rules,
            chunk=chunk,
            seed=reading.seed,
        ):
            undeclared.check(rows)
            if mask is not None:
                rows[mask(first, len(rows))] = np.nan
            sink.add(_arranged(rows, first, subject, carried))
            facts.add(rows)
            outcome.add(how)
            kept += [rows[:SHOWN]] if first < SHOWN else []
            first += len(rows)
            count_rows("drawn", first, n)
    real = None if subject_rows is None else tally(subject_rows)
    shown = None if subject_rows is None else peek(subject_rows, SHOWN).x.double().cpu().numpy()
    return Synthetic(
        subject,
        n,
        real,
        facts,
        (*notes, *outcome.sentences(subject.relations), *undeclared.sentences(n)),
        sink.frame() if isinstance(sink, FrameSink) and target is None else None,
        target,
        (shown, np.concatenate(kept)[:SHOWN]),
    )


@dataclass
class _Undeclared:
    """Relations that all rows of a table obey, though nobody has declared them.

    Args:
        subject: the table.
        relations: those that it obeys.
        broken: how many synthetic rows do not, of each.
    """

    subject: TableModel
    relations: Sequence[Relation]
    broken: NDArray[np.int64]

    @classmethod
    def of(cls, subject: TableModel) -> _Undeclared:
        rows = subject.rows
        found = () if rows is None else suggest_relations(rows, subject.relations)
        return cls(subject, found, np.zeros(len(found), dtype=np.int64))

    def check(self, rows: NDArray[np.float64]) -> None:
        """Count the synthetic rows that do not obey."""
        space = self.subject.space
        self.broken += np.array([r.violated(rows, space).sum() for r in self.relations], np.int64)

    def sentences(self, n: int) -> list[str]:
        """What holds in the table and not in n synthetic rows, and how to declare it."""
        missed = [(r, k) for r, k in zip(self.relations, self.broken.tolist()) if k]
        if not missed:
            return []
        real = len(self.subject.rows or ())
        said = [
            f"all {counted(real, 'row')} obey {relation}, which {share(broken / n)} of the"
            " synthetic ones do not"
            for relation, broken in missed[:MOST_RELATIONS]
        ]
        texts = [
            r.text for r in (*self.subject.relations, *(r for r, _ in missed[:MOST_RELATIONS]))
        ]
        return [*said, f"if rows must, next: {_next_command(self.subject, texts)}"]


def _next_command(subject: TableModel, relations: Sequence[str]) -> str:
    """The same again with relations declared, as it is typed where the message is read."""
    flags = [setting("relation", text) for text in relations]
    if argument("relation").startswith("--"):
        return shlex.join(["pushforward", "synthesise", subject.name]) + " " + " ".join(flags)
    return f"pass reading=TableReading(relation={list(relations)})"


def _gaps_left_out(subject: TableModel) -> list[str]:
    """That the table has gaps and the rows have none, if it has."""
    rows = subject.rows
    if rows is None or not torch.isnan(peek(rows, SHOWN).x).any():
        return []
    wanted = setting("gaps", True)
    return [f"no value is missing, where the table has gaps; {wanted} leaves out as many"]


def _rules(subject: TableModel) -> Rules:
    """The rules of rows that could be the table's: within its range, and with its levels where no
    relation holds (sums would break).
    """
    rules = replace(subject.rules, observed=True)
    if subject.trained_rows is None:
        return rules
    related = {j for r in subject.relations for j in r.places(subject.space)}
    levels = find_levels(subject.trained_rows)
    return replace(rules, levels={j: v for j, v in levels.items() if j not in related})


Carried = dict[str, tuple[int, Callable[[int, int], Entries]]]
"""Of each column that is carried along, its place, and its entries from a row on."""


def _carried(
    subject: TableModel, identifiers: str, text: str, seed: int
) -> tuple[Carried, list[str]]:
    """The columns that are no part of the model, and what was done with them, in sentences."""
    held: Mapping[str, Any] = getattr(subject.rows, "carried", {})
    columns: Carried = {}
    notes: list[str] = []
    by_type: dict[str, list[str]] = {}
    for facts in subject.carried:
        name, kind = facts["name"], facts["type"]
        by_type.setdefault(kind, []).append(name)
        if kind == "text" and text == "drop":
            continue
        entries: Callable[[int, int], Entries] = _empty
        if kind == "constant":
            entries = _constant(facts)
        elif kind == "identifier" and identifiers == "pattern":
            how, entries = identifiers_like(held.get(name, ()), seed)
            if name not in held:
                how = "numbered from 1, as the table's own are lost"
            notes.append(f"identifiers in {name!r} are new: {how}")
        columns[name] = (facts["place"], entries)
    if "identifier" in by_type and identifiers == "empty":
        notes.append(f"identifiers are left empty: {listed(by_type['identifier'])}")
    if "text" in by_type:
        done = "left out" if text == "drop" else "left empty"
        notes.append(f"free text is {done}: {listed(by_type['text'])}")
    if "constant" in by_type:
        notes.append(f"constants are written back: {listed(by_type['constant'])}")
    return columns, notes


def _empty(start: int, count: int) -> list[Any]:
    return [None] * count


def _constant(facts: Mapping[str, Any]) -> Callable[[int, int], Entries]:
    """A constant in the notation and dtype of its column."""
    if "column" not in facts:
        return lambda start, count: [facts.get("value")] * count
    column = column_of(facts["column"])
    return lambda start, count: (np.full(count, column.low), column)


def _arranged(
    rows: NDArray[np.float64], first: int, subject: TableModel, carried: Carried
) -> dict[str, Entries]:
    """The columns in the table's order."""
    space = subject.space
    arranged: list[tuple[str, Entries]] = [
        (name, (rows[:, j], column))
        for j, (name, column) in enumerate(zip(space.names, space.columns))
    ]
    for name, (place, entries) in sorted(carried.items(), key=lambda item: item[1][0]):
        arranged.insert(min(place, len(arranged)), (name, entries(first, len(rows))))
    return dict(arranged)
