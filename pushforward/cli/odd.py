"""`pushforward odd RUN|TABLE [FILE]`: the odd rows of a table, and why."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.cli.table_arguments import Fresh, Subject, reading_of

__all__ = ["odd"]


def odd(
    what: Subject,
    file: str | None = None,
    /,
    *,
    top: arguments.Whole = 20,
    folds: arguments.Whole = 5,
    out: arguments.Out = None,
    plot: str | None = None,
    fresh: Fresh = None,
    table: arguments.Table = None,
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """List the oddest rows, given how many values they have, and the values that make them odd.

    Rows that the model was fitted to are judged by models of the other rows.

    Args:
        file: the rows; those that the model was fitted to if not given.
        top: how many rows.
        folds: parts of the rows, each judged by a model of the others; 0 for none.
        out: .csv, .tsv or .json; stdout if not given.
        plot: draw which values are odd: .png, .svg or .pdf.
    """
    from pushforward.cli.outputs import check_table_out, deliver_table
    from pushforward.cli.progress import rows_counted
    from pushforward.cli.table_results import check_plot, draw, say_all
    from pushforward.experiments.oddity import odd as find_odd

    check_plot(plot)
    check_table_out(out)
    voice = Voice(quiet, json)
    with rows_counted(voice):
        found = find_odd(what, file, top=top, folds=folds, reading=reading_of(fresh, table))
    say_all(voice, found.sentences)
    deliver_table(voice, found.table, out, what=f"{len(found.top)} rows")
    draw(voice, plot, found.plot)
