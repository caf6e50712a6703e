"""`pushforward assign RUN FILE`: the cluster of every row."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.outputs import check_table_out, deliver_table
from pushforward.cli.tables import tabular, typed

__all__ = ["command"]


def assign(
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
    responsibilities: Annotated[
        bool,
        typer.Option(
            "--responsibilities",
            "-r",
            help="also the probability of every cluster: columns p0, p1, ...",
        ),
    ] = False,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines instead of CSV")] = False,
) -> None:
    """Write the cluster of every row, from 0,
    and with --responsibilities how probable each cluster is.
    """
    from pushforward.experiments.clusters import assign as assign_rows

    voice = Voice(quiet, json)
    opened = runs.open_run(run, device)
    check_table_out(out)
    clusters = assign_rows(opened, file, responsibilities=responsibilities, table=typed())
    n = len(clusters.cluster)
    sizes = ", ".join(f"{size} in cluster {k}" for k, size in clusters.sizes.items())
    voice.say(f"{n} rows: {sizes}")
    deliver_table(voice, clusters.table, out, what=f"{n} rows")


def command() -> Any:
    """The command."""
    return single(tabular(assign), "assign")
