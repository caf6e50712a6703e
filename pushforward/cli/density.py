"""`pushforward density RUN FILE`: how likely is every row, and which are the odd ones out."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["density"]


def density(
    run: arguments.Run,
    file: arguments.File,
    /,
    *,
    out: arguments.Out = None,
    top: arguments.Whole | None = None,
    y: arguments.Conditions = None,
    draws: arguments.Whole = 100,
    table: arguments.Table = None,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """Write the log-density (nats, in the data's units) of every row, or a bound, and its rank.

    Rank 1 is the least likely. Where the model takes missing values, rows with some have the
    density of their other values, and no rank.

    Args:
        out: .csv, .tsv or .json; stdout if not given.
        top: only this many rows, the least likely first.
        draws: posterior draws per row, for models that have a bound.
    """
    from pushforward.cli.outputs import check_table_out, deliver_table
    from pushforward.experiments import open_run
    from pushforward.experiments.densities import densities

    voice = Voice(quiet, json)
    opened = open_run(run, device)
    check_table_out(out)
    likely = densities(opened, file, y, draws=draws, table=arguments.table_settings(table))
    columns, missing = likely.table(top), int(likely.incomplete.sum())
    voice.say(
        f"{len(likely.values)} rows, mean {float(likely.values.mean()):.4f} nats"
        f" ({'exact' if likely.exact else 'a lower bound'}); rank 1 is the least likely"
    )
    if missing:
        voice.say(
            f"{missing} rows have missing values: their density is that of their other values, and"
            " they are not ranked"
        )
    deliver_table(voice, columns, out, what=f"{len(columns['row'])} rows")
