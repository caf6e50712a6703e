"""Reports on several synthetic tables, and as text for a terminal or a notebook."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue
from pushforward.core.records import Record
from pushforward.experiments.table_findings import Findings
from pushforward.experiments.table_quality import TableReport, compare_tables

__all__ = ["compare_each", "measures_table", "refuse_table_settings", "verdict_lines"]

COLOURS = {"good": "green", "watch": "yellow", "bad": "red", "unknown": None}


def measures_table(reports: Sequence[Findings]) -> Table:
    """Measures of whole tables, a column for each table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    for report in reports:
        table.add_column(report.tables.synthetic.name, justify="right", overflow="fold")
    for heading in ("ideal", "fresh real rows"):
        table.add_column(heading, justify="right", no_wrap=True)
    by_name = [{r.quantity: r for r in report.summary} for report in reports]
    for name in dict.fromkeys(name for records in by_name for name in records):
        found = [records.get(name) for records in by_name]
        first = next(r for r in found if r is not None)
        more = [first.details.get("ideal"), first.details.get("expected")]
        table.add_row(name, *map(_value, found), *map(_number, more))
    return table


def verdict_lines(reports: Sequence[Findings]) -> Iterator[tuple[str, str | None]]:
    """The answers, verdicts and notes of each table, line by line with their style."""
    for report in reports:
        name = report.tables.synthetic.name
        yield f"{name}: good? {report.good}; safe? {report.safe}", "bold"
        for verdict in report.verdicts:
            line = f"{verdict.grade:>7}  {verdict.subject}: {verdict.sentence}"
            yield line, COLOURS[verdict.grade]
        for note in report.notes:
            yield f"   note  {note}", None


def compare_each(
    real: str,
    generated: Sequence[str],
    files: Mapping[str, str | None],
    *,
    rows: int | None = None,
    types: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> list[TableReport]:
    """Reports on several tables, as `compare_tables` makes them.

    Args:
        real: the real table.
        generated: tables and runs.
        files: what to write about the only one, 'page' and 'results', and where.
        rows: of each table at most; the default of `compare_tables` if None.
        types: what columns are; inferred where nothing is declared.
        say: called with what is done.
        settings: further arguments of `compare_tables`.
    """
    for name, path in files.items():
        if path is not None:
            _check_file(name, path, len(generated))
    if rows is not None:
        settings["rows"] = rows
    reports = []
    for each in generated:
        say(f"measuring {each} beside {real}")
        reports.append(compare_tables(real, each, types=types or "auto", **settings))
    for name, path in files.items():
        if path is not None:
            (reports[0].write_page if name == "page" else reports[0].write_results)(path)
            say(f"{name} written to {path}")
    return reports


def _check_file(name: str, path: str, tables: int) -> None:
    suffix = ".html" if name == "page" else ".json"
    if tables > 1:
        raise InvalidValue(f"{argument(name)} is about one table, got {tables}; pass one")
    if Path(path).suffix.lower() != suffix:
        raise InvalidValue(f"{argument(name)} must be a {suffix} file, got {path}")
    if Path(path).exists():
        raise InvalidValue(f"{path} exists; choose another name, or remove it first")


def refuse_table_settings(settings: Mapping[str, object]) -> None:
    """Raise InvalidValue for a setting of `compare_tables` where something else is compared."""
    for name, value in settings.items():
        if value:
            raise InvalidValue(
                f"{argument(name)} is for tables without {argument('metrics')} and"
                f" {argument('features')}; leave it out"
            )


def _value(record: Record | None) -> str:
    if record is None or not math.isfinite(record.value):
        return "-"
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) and record.error else ""
    return f"{record.value:.4g}{error}"


def _number(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.4g}"
