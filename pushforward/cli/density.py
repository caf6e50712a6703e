"""`pushforward density RUN FILE`: how likely is every row, and which are the odd ones out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_table_out, deliver_table
from pushforward.cli.tables import tabular, typed

__all__ = ["command"]


def density(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run folder", show_default=False)],
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="observations, in the form the model was fitted on",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help=".csv, .tsv or .json; stdout if not given")
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", help="only this many, the least likely first")
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(
            "--y", help="conditions: a column, a file, or auto for those that come with the data"
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", help="posterior draws a row, for models that have a bound")
    ] = 100,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV")] = False,
) -> None:
    """Write log-density (nats, in the data's units) or a lower bound on it,
    and its rank, for every row; rank 1 is the oddest.

    Rows that miss a value have the density of the values that they have, and no rank.
    """
    from pushforward.experiments.densities import densities

    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    check_table_out(out)
    likely = densities(opened, file, y, draws=draws, table=typed())
    columns, missing = likely.table(top), int(likely.incomplete.sum())
    voice.say(
        f"{len(likely.values)} rows, mean {float(likely.values.mean()):.4f} nats"
        f" ({'exact' if likely.exact else 'a lower bound'}); rank 1 is the least likely"
    )
    if missing:
        voice.say(
            f"{missing} rows miss a value: their density is that of the values they have, and they"
            " are not ranked"
        )
    deliver_table(voice, columns, out, what=f"{len(columns['row'])} rows")


def command() -> Any:
    """The command."""
    return single(tabular(density), "density")
