"""`pushforward assign RUN FILE`: the cluster of every row."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["assign"]


def assign(
    run: arguments.Run,
    file: arguments.File,
    /,
    *,
    out: arguments.Out = None,
    responsibilities: Annotated[
        bool, Parameter(name=("--responsibilities", "-r"), negative="")
    ] = False,
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """Write the cluster of every row, from 0, and with --responsibilities its probabilities.

    Args:
        out: .csv, .tsv or .json; stdout if not given.
        responsibilities: also the probability of every cluster: columns p0, p1, ...
    """
    from pushforward.cli.outputs import check_table_out, deliver_table
    from pushforward.experiments import open_run
    from pushforward.experiments.clusters import assign as assign_rows

    voice = Voice(quiet, json)
    opened = open_run(run, device)
    check_table_out(out)
    clusters = assign_rows(
        opened, file, responsibilities=responsibilities, table=arguments.table_settings(table)
    )
    n = len(clusters.cluster)
    sizes = ", ".join(f"{size} in cluster {k}" for k, size in clusters.sizes.items())
    voice.say(f"{n} rows: {sizes}")
    deliver_table(voice, clusters.table, out, what=f"{n} rows")
