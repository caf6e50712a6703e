"""`pushforward compare` for tables: measures side by side, verdicts, and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushforward.cli.console import Voice, print_table
from pushforward.core.argument_names import arguments_named, flags
from pushforward.core.errors import InvalidValue
from pushforward.core.records import Record
from pushforward.experiments.table_quality import TableReport, compare_tables
from pushforward.experiments.table_rows import is_run, is_table_file

__all__ = ["as_tables", "compare_as_tables"]

COLOURS = {"good": "green", "watch": "yellow", "bad": "red", "unknown": None}


def as_tables(real: str, generated: Sequence[str]) -> bool:
    """Whether all that is compared are tables, or runs beside one."""
    return is_table_file(real) and all(is_table_file(g) or is_run(g) for g in generated)


def compare_as_tables(
    voice: Voice, real: str, generated: Sequence[str], page: str | None, results: str | None,
    **settings: Any,
) -> None:  # fmt: skip
    """Judge each table, and write the page or the results of the only one."""
    _check(generated, page, results)
    reports = []
    with arguments_named(flags()):
        for each in generated:
            voice.say(f"measuring {each} beside {real}")
            reports.append(compare_tables(real, each, **settings))
    if voice.as_json:
        for report in reports:
            for record in report.records:
                voice.result(record.as_dict())
    else:
        names = [report.tables.synthetic.name for report in reports]
        print_table(["measure", *names, "ideal", "fresh real rows"], _lines(reports))
        for report in reports:
            _say(voice, report)
    for path, write in ((page, reports[0].write_page), (results, reports[0].write_results)):
        if path is not None:
            write(path)
            voice.say(f"{'page' if path == page else 'results'} written to {path}")


def _check(generated: Sequence[str], page: str | None, results: str | None) -> None:
    for flag, path, suffix in (("page", page, ".html"), ("results", results, ".json")):
        if path is None:
            continue
        if len(generated) > 1:
            raise InvalidValue(f"--{flag} is about one table, got {len(generated)}; pass one")
        if Path(path).suffix.lower() != suffix:
            raise InvalidValue(f"--{flag} must be a {suffix} file, got {path}")
        if Path(path).exists():
            raise InvalidValue(f"{path} exists; choose another name, or remove it first")


def _lines(reports: Sequence[TableReport]) -> list[list[str]]:
    """A line for each measure of whole tables."""
    by_name = [{r.quantity: r for r in report.summary} for report in reports]
    lines = []
    for name in dict.fromkeys(name for records in by_name for name in records):
        found = [records.get(name) for records in by_name]
        first = next(r for r in found if r is not None)
        ideal, expected = first.details.get("ideal"), first.details.get("expected")
        more = ["" if value is None else f"{value:.4g}" for value in (ideal, expected)]
        lines.append([name, *map(_value, found), *more])
    return lines


def _value(record: Record | None) -> str:
    if record is None or not math.isfinite(record.value):
        return "-"
    error = f" ± {record.error:.2g}" if math.isfinite(record.error) and record.error else ""
    return f"{record.value:.4g}{error}"


def _say(voice: Voice, report: TableReport) -> None:
    """The verdicts and notes of one table."""
    name = report.tables.synthetic.name
    voice.say(f"{name}: good? {report.good}; safe? {report.safe}", style="bold")
    for verdict in report.verdicts:
        text = f"{verdict.grade:>7}  {verdict.subject}: {verdict.sentence}"
        voice.say(text, style=COLOURS[verdict.grade])
    for note in report.notes:
        voice.say(f"         {note}")
