"""Two streams: data on stdout, everything said to the user on stderr.
NO_COLOR and TERM are rich's to honour.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console

from pushforward.core.json_values import finite

__all__ = ["Voice", "first_process", "print_table", "stderr", "stdout", "write_table"]


def stderr() -> Console:
    """Where messages go; a console of its own for each use, so that a redirected stream is seen."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout() -> Console:
    """Where tables go."""
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(highlight=False, width=wide)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout; the first column is kept on one line."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(heading, no_wrap=i == 0)
    for row in rows:
        table.add_row(*row)
    stdout().print(table)


def write_table(table: Any, title: str = "", form: str = "text") -> None:
    """A table on stdout, below its title, at once: what stderr says later comes later.

    Args:
        form: 'text', or one of `experiments.written_tables.FORMS`.
    """
    if form != "text":
        from pushforward.experiments.written_tables import write_as

        sys.stdout.write(write_as(table, form, title))  # type: ignore[arg-type]
        sys.stdout.flush()
        return
    console = stdout()
    if title:
        console.print(title, markup=False)
    console.print(table)
    sys.stdout.flush()


def first_process() -> bool:
    """Whether this is the process that speaks: the only one,
    or the first of those launched together.
    """
    return (
        int(os.environ.get("LOCAL_RANK", os.environ.get("RANK", "0")) or 0) == 0
        and int(os.environ.get("NODE_RANK", "0") or 0) == 0
    )


class HasContent(Protocol):
    """A record, whose module imports PyTorch: more than a line of help needs."""

    def as_dict(self) -> dict[str, Any]:
        """Plain content for JSON."""
        ...


@dataclass(frozen=True)
class Voice:
    """How much a command says.

    Args:
        quiet: only warnings and errors.
        as_json: results as JSON on stdout.
    """

    quiet: bool = False
    as_json: bool = False

    def say(self, text: str, style: str | None = None) -> None:
        """A message for the user, unless quiet."""
        if not self.quiet and first_process():
            stderr().print(text, style=style, markup=False)

    def warn(self, text: str) -> None:
        """Something to know even when quiet."""
        if first_process():
            stderr().print(f"warning: {text}", style="yellow", markup=False)

    def write(self, text: str) -> None:
        """A line of data."""
        if first_process():
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def result(self, content: Mapping[str, Any], text: str = "") -> None:
        """A result: as JSON where asked for, else the text."""
        if self.as_json:
            self.write(json.dumps(finite(content), default=str, ensure_ascii=False))
        elif text:
            self.write(text)

    def results(self, records: Iterable[HasContent]) -> None:
        """Records as JSON, one a line."""
        for record in records:
            self.result(record.as_dict())
