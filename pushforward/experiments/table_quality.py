"""Is a synthetic table good, and is it safe: all measures of `metrics.tables` at once.

Every measure is a record. Measures of likeness are of at most `rows` rows of each table, drawn by
the seed; distances are to all real rows, from as many synthetic rows as some seconds allow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pushforward.core.argument_names import argument
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.core.folders import write_text
from pushforward.core.json_values import finite
from pushforward.core.numbers import require_whole
from pushforward.core.records import Record
from pushforward.experiments.table_findings import Findings
from pushforward.experiments.table_page import table_page
from pushforward.experiments.table_rows import TableSet, read_tables
from pushforward.experiments.table_verdicts import judge
from pushforward.metrics.tables.associations import (
    association_similarity,
    associations,
    contingency_similarity,
    correlation_similarity,
)
from pushforward.metrics.tables.detection import boosted_detection, logistic_detection
from pushforward.metrics.tables.margins import adherence, coverage, margins, missing
from pushforward.metrics.tables.pair import TablePair
from pushforward.metrics.tables.privacy import (
    baseline_protection,
    closest_records,
    copies,
    membership,
)
from pushforward.metrics.tables.usefulness import TARGET_RULE, choose_target, usefulness

__all__ = ["TableReport", "compare_tables"]

ROWS = 100_000
"""Rows of each table for margins: their error is then at most .002."""
PAIR_ROWS = 20_000
"""Rows for pairs of columns and classifiers: errors of .01, and seconds for 50 columns."""

OVERLAP = 0.01
"""Share of held-out rows beyond chance that may be rows trained on."""


class TableReport(Findings):
    """What was measured of a synthetic table, with files to write."""

    def write_results(self, path: str | Path) -> Path:
        """Write `as_dict` to a JSON file."""
        import json

        target = _new_file(path)
        write_text(target, json.dumps(finite(self.as_dict()), indent=1, default=str) + "\n")
        return target

    def write_page(self, path: str | Path) -> Path:
        """Write one HTML page that explains everything, without any request to anywhere."""
        target = _new_file(path)
        write_text(target, table_page(self))
        return target


def compare_tables(
    real: Observations,
    synthetic: Observations,
    *,
    held_out: Observations | None = None,
    train: Observations | None = None,
    target: str | None = None,
    types: Mapping[str, str] | Sequence[str] | str = "auto",
    reading: Mapping[str, Any] | None = None,
    table: Mapping[str, Any] | None = None,
    rows: int = ROWS,
    seed: int = 0,
    device: str = "cpu",
    say: Callable[[str], None] = lambda text: None,
) -> TableReport:
    """Whether a synthetic table is like the real one, useful, and safe.

    Args:
        real: a data frame, file or array: the rows that the synthetic table was made from; with
            `train`, rows that it was not made from.
        synthetic: the same, or a run, which is sampled.
        held_out: real rows that the synthetic table was not made from: privacy is judged by them.
        train: the rows that it was made from, if `real` is not.
        target: the column to predict; by default as `metrics.tables.usefulness.TARGET_RULE` says.
        types: what columns are, if not as inferred.
        reading: further arguments of `read` for the real rows.
        table: how text tables are written.
        rows: of each table at most for measures of likeness.
        seed: of subsamples, folds, resamples and a run's samples.
        device: where a run computes.
        say: called with what is measured next.

    Example:
        >>> import pandas
        >>> real = pandas.DataFrame({"a": range(0, 180, 3), "b": list("xyz") * 20})
        >>> report = compare_tables(real, real)
        >>> report.records[0].quantity, report.records[0].value
        ('margins', 1.0)
        >>> report.safe
        'bad'
    """
    rows = require_whole(rows, "rows")
    if rows < 2:
        raise InvalidValue(f"{argument('rows')} must be at least 2, got {rows}")
    if held_out is not None and train is not None:
        raise InvalidValue(
            f"with {argument('train')} the real rows are held-out ones, so {argument('held_out')}"
            " has no place; pass one of them"
        )
    tables = read_tables(
        real, synthetic, held_out=held_out, train=train, types=types, reading=reading,
        table=table, most=rows, seed=seed, device=device,
    )  # fmt: skip
    _refuse_overlap(tables)
    columns, notes = tables.columns, list(tables.notes)
    facts = {"data": tables.real.description, "compared": tables.synthetic.description}
    whole = TablePair(tables.real.x, tables.synthetic.x, columns, seed=seed, **facts)
    position = choose_target(whole.real, columns, target)
    pair, small = whole.take(rows), whole.take(min(rows, PAIR_ROWS))
    notes += _subsampled(whole, pair, small)
    say("columns and pairs of columns")
    records = [*margins(pair), *missing(pair), *coverage(pair), *adherence(pair)]
    a, ea = associations(small.real, small.categorical)
    b, eb = associations(small.synthetic, small.categorical)
    records += [
        *association_similarity(small, (a, ea, b, eb)),
        *correlation_similarity(small),
        *correlation_similarity(small, "spearman"),
        *contingency_similarity(small),
    ]
    say("classifiers")
    records += [*boosted_detection(small), *logistic_detection(small)]
    records += _usefulness(tables, small, position, notes, target)
    say("distances")
    records += _privacy(tables, whole)
    if tables.held_out is None:
        notes.append("without held-out rows, distances and membership are not measured")
    verdicts = judge(records, tables.held_out is not None, tables.copied)
    return TableReport(tables, pair, records, verdicts, notes, (a, b))


def _refuse_overlap(tables: TableSet) -> None:
    """Raise InvalidValue if held-out rows are among those trained on: all would look safe."""
    if tables.held_out is None:
        return
    both = TablePair(tables.train.x, tables.held_out.x, tables.columns)
    record = copies(both)
    if record.value - record.details["ideal"] > max(OVERLAP, 3 * record.error):
        raise InvalidValue(
            f"{100 * record.value:.0f} % of the held-out rows are also rows that the synthetic"
            f" table was made from ({tables.train.description}); pass real rows that it was not"
            f" made from as {argument('held_out')}, and the others as the real table"
        )


def _usefulness(
    tables: TableSet, pair: TablePair, position: int | None, notes: list[str], target: str | None
) -> list[Record]:
    if position is None:
        notes.append("no column can be predicted from others, so usefulness is not measured")
        return []
    held_out = None if tables.held_out is None else tables.held_out.x
    trained = replace(pair, real=tables.train.x) if tables.train is not tables.real else pair
    records = usefulness(trained, held_out, position, rows=PAIR_ROWS)
    if not records:
        notes.append("too few rows to train on, so usefulness is not measured")
    elif target is None:
        notes.append(f"{pair.names[position]} is predicted: {TARGET_RULE}")
    return records


def _privacy(tables: TableSet, whole: TablePair) -> list[Record]:
    """Measures of the rows trained on beside held-out ones."""
    train, held_out = tables.train, tables.held_out
    pair = whole
    if train is not tables.real:
        pair = replace(whole, real=train.x, data=train.description)
    fresh = None if held_out is None else held_out.x
    records = [copies(pair, fresh)]
    if fresh is not None:
        records += [*closest_records(pair, fresh), *membership(pair, fresh)]
    return records + baseline_protection(pair)


def _subsampled(whole: TablePair, pair: TablePair, small: TablePair) -> list[str]:
    """How many rows measures are of, if not of all."""
    notes = []
    for what, part in (("columns", pair), ("pairs of columns and classifiers", small)):
        sizes = (len(part.real), len(part.synthetic))
        if sizes != (len(whole.real), len(whole.synthetic)):
            notes.append(f"{what}: {sizes[0]:,} real and {sizes[1]:,} synthetic rows, drawn")
    return notes


def _new_file(path: str | Path) -> Path:
    target = Path(path)
    if target.exists():
        raise InvalidValue(f"{target} exists; choose another name, or remove it first")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
