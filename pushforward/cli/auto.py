"""`pushforward fit auto TABLE`: the model that suits a table best, by a stated rule."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

from cyclopts import Parameter

from pushforward.cli import arguments

__all__ = ["auto"]


def auto(
    table_file: Annotated[str, Parameter(name="TABLE")],
    /,
    *,
    budget: float = 60.0,
    candidates: arguments.Names = (),
    folds: arguments.Whole | None = None,
    seed: arguments.Seed = 0,
    types: arguments.Names = ("auto",),
    categorical: arguments.Names = (),
    columns: arguments.Names = (),
    drop: arguments.Names = (),
    run: str | None = None,
    overwrite: Annotated[bool, arguments.Switch] = False,
    table: arguments.Table = None,
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Compare models for a table on rows that they have not seen, and fit the best to all rows.

    The highest log-density (or bound) on held-out rows is chosen, or a simpler model within one
    standard error of it; a model without either, if a classifier tells its samples from the rows
    less well by more than one standard error. choice.json in the run keeps the comparison.

    Args:
        table_file: a table, as a file or a built-in name.
        budget: seconds for the comparison: models that cannot be measured by then are skipped, but
            for the simplest; the fit of the best comes on top.
        candidates: models to try: independent,gmm,copula,mixed,vae,tvae,ctgan if not given.
        folds: parts of the rows held out in turn; 1 holds out a fifth once; 5 below 1000 rows.
        types: what columns are, such as age=count,share=bounded(0,1); the others are inferred.
        categorical: text columns to take as categories.
        columns: columns to use, and no others.
        drop: columns to leave out.
        run: folder to write to; runs/MODEL-TABLE-N if not given.
        overwrite: replace the run folder if it exists.
    """
    from pushforward.cli.console import Voice, print_table
    from pushforward.data.reading import absolute
    from pushforward.experiments.choosing import RULE, Choosing, choosing_line, fit_auto

    voice = Voice(quiet, json)
    reading = {
        "types": types,
        "categorical": categorical,
        "columns": columns,
        "drop": drop,
        **arguments.table_settings(table),
    }
    choice = fit_auto(
        absolute(table_file),
        run,
        Choosing(budget, candidates, folds, seed),
        reading={name: value for name, value in reading.items() if value},
        overwrite=overwrite,
        told=lambda candidate, trial: voice.say(choosing_line(candidate, trial)),
        command=shlex.join(["pushforward", *sys.argv[1:]]),
    )
    if json:
        voice.result({"event": "result", "run": str(choice.folder), **choice.as_dict()})
        return
    print_table(choice.headings, choice.lines())
    voice.say(f"chosen: {choice.winner.label}, fitted to all rows; rule: {RULE}")
    voice.write(str(choice.folder))
