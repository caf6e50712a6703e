"""`pushforward fill RUN|TABLE [FILE]`: the gaps of a table filled."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from pushforward.cli import arguments
from pushforward.cli.console import Voice
from pushforward.cli.table_arguments import Fresh, Subject, reading_of
from pushforward.core.errors import InvalidValue

__all__ = ["fill"]


def fill(
    what: Subject,
    file: str | None = None,
    /,
    *,
    using: Literal["draw", "mean", "mode"] = "draw",
    imputations: arguments.Whole = 1,
    intervals: float | None = None,
    out: arguments.Out = None,
    plot: str | None = None,
    fresh: Fresh = None,
    table: arguments.Table = None,
    quiet: arguments.Quiet = False,
    json: arguments.JsonLines = False,
) -> None:
    """Fill missing cells from their distribution given the rest of the row; no other byte changes.

    Args:
        file: the table to fill; the one that the model was fitted to if not given.
        using: draws, means (and most probable categories), or most probable values.
        imputations: fill so many times, into OUT-1, OUT-2, ..., and pool the means of the columns
            with the error that the gaps add: OUT-means.csv.
        intervals: the share, such as 0.9, that an interval of each filled number holds:
            OUT-intervals.csv.
        out: .csv, .tsv (packed: .gz, .xz) or .parquet; stdout if not given.
        plot: draw observed and filled values: .png, .svg or .pdf.
    """
    from pushforward.cli.outputs import check_table_out, deliver_table
    from pushforward.cli.progress import rows_counted
    from pushforward.cli.table_results import check_plot, draw, say_all, show_table
    from pushforward.data.export.table_forms import check_table_path
    from pushforward.experiments.gaps import fill as fill_gaps

    check_plot(plot)
    if out is None and (imputations > 1 or intervals is not None):
        raise InvalidValue("several tables are written; pass --out filled.csv, say")
    if out is not None:
        check_table_path(out)
    beside = {} if out is None else {k: str(_beside(out, k)) for k in ("means", "intervals")}
    check_table_out(beside.get("means") if imputations > 1 else None)
    check_table_out(beside.get("intervals") if intervals is not None else None)
    voice = Voice(quiet, json)
    with rows_counted(voice, writes=out is None):
        filled = fill_gaps(
            what,
            file,
            using=using,
            imputations=imputations,
            intervals=intervals,
            out=out,
            stream=None if out else sys.stdout,
            reading=reading_of(fresh, table),
        )
    say_all(voice, filled.sentences)
    if out is not None:
        show_table(voice, filled.table)
        for path in filled.paths:
            voice.say(f"written to {path}")
    if imputations > 1:
        deliver_table(voice, filled.pooled, beside["means"], what="pooled means")
    if filled.intervals is not None:
        deliver_table(voice, filled.intervals, beside["intervals"], what="intervals")
    if filled.gaps:
        draw(voice, plot, filled.plot)


def _beside(out: str, label: str) -> Path:
    from pushforward.experiments.gaps import numbered

    stem = Path(out)
    return numbered(stem.with_name(stem.name.partition(".")[0] + ".csv"), label)
