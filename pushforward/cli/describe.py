"""`pushforward describe RUN|TABLE`: the groups of a table, in words."""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.cli.table_arguments import Fresh, Subject, reading_of

__all__ = ["describe"]


def describe(
    what: Subject,
    /,
    *,
    groups: arguments.Whole | None = None,
    out: arguments.Out = None,
    plot: str | None = None,
    fresh: Fresh = None,
    table: arguments.Table = None,
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """Describe the groups of a mixture or of k-means: sizes, typical rows, what is high, low or
    frequent in each, against the other rows.

    Args:
        groups: how many to fit to a table; the model's own choice if not given.
        out: .csv, .tsv or .json; stdout if not given.
        plot: draw the groups' means: .png, .svg or .pdf.
    """
    from pushforward.cli.outputs import check_table_out, deliver_table
    from pushforward.cli.table_results import check_plot, draw, say_all
    from pushforward.experiments.groups import describe as describe_groups

    check_plot(plot)
    check_table_out(out)
    voice = Voice(quiet, json)
    found = describe_groups(what, groups=groups, reading=reading_of(fresh, table))
    say_all(voice, found.sentences)
    columns = found.table
    deliver_table(voice, columns, out, what=f"{len(columns['group'])} differences")
    draw(voice, plot, found.plot)
