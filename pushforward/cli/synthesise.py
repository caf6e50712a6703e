"""`pushforward synthesise RUN|TABLE`: a synthetic copy of a table."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.cli.table_arguments import Fresh, Subject, reading_of

__all__ = ["synthesise"]


def synthesise(
    what: Subject,
    /,
    *,
    n: Annotated[arguments.Whole | None, Parameter(name=("--n", "-n"))] = None,
    gaps: Annotated[bool, arguments.Switch] = False,
    identifiers: Literal["pattern", "empty"] = "pattern",
    text: Literal["empty", "drop"] = "empty",
    out: arguments.Out = None,
    plot: str | None = None,
    fresh: Fresh = None,
    table: arguments.Table = None,
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """Write a table with the same columns, form and relations, drawn from a model.

    Identifiers are made in their own pattern, constants written back, free text left empty.

    Args:
        n: how many rows; as many as the table has if not given.
        gaps: leave values out as rows of the table do.
        identifiers: made in the pattern of the table's own, or empty.
        text: columns of free text are left empty, or dropped.
        out: .csv, .tsv (packed: .gz, .xz) or .parquet; CSV on stdout if not given.
        plot: draw the columns of both tables: .png, .svg or .pdf.
    """
    from pushforward.cli.progress import rows_counted
    from pushforward.cli.table_results import check_plot, draw, say_all, show_table
    from pushforward.experiments.synthesis import synthesise as make

    check_plot(plot)
    voice = Voice(quiet, json)
    with rows_counted(voice, writes=out is None):
        made = make(
            what,
            n,
            gaps=gaps,
            identifiers=identifiers,
            text=text,
            out=out,
            stream=None if out else sys.stdout,
            reading=reading_of(fresh, table),
        )
    say_all(voice, made.sentences)
    if out is not None:
        show_table(voice, made.table)
    draw(voice, plot, made.plot)
