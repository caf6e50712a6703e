"""`pushforward recipe NAME`: an experiment on public data, or yours, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice, print_table

__all__ = ["recipe"]


def recipe(
    name: str | None = None,
    /,
    *,
    file: str | None = None,
    out: arguments.Out = None,
    players: Annotated[tuple[str, ...], Parameter(name="--player")] = (),
    budget: float | None = None,
    seed: arguments.Seed = 0,
    quiet: arguments.Quiet = False,
    json: arguments.JsonRecords = False,
) -> None:
    """Run an experiment on a public table, on yours, or on data that it samples itself.

    Args:
        name: a recipe; without one, all are listed.
        file: your own table with the same columns; for recipes on images, a name or path.
        out: folder to write to; runs/NAME if not given.
        players: a player to show, in recipes that show players; repeatable.
        budget: share of the usual work, in recipes that train or sample: 0.1 for a quick look.
        json: the records as JSON on stdout, one a line.
    """
    from pushforward.cli.progress import several_displayed
    from pushforward.recipes.registry import run

    voice = Voice(quiet, json)
    if name is None:
        _list(voice)
        return
    folder = Path(out) if out else Path("runs") / name
    with several_displayed(voice):
        findings, images = run(
            name, file=file, out=folder, seed=seed, players=players, budget=budget
        )
    if json:
        for key, record in findings.records.items():
            voice.result({"name": key, **record.as_dict()})
    else:
        print_table(findings.heads, findings.rows)
    for note in findings.notes:
        voice.say(note)
    voice.say("\nwritten to " + ", ".join(str(p) for p in (*images, folder / "records.json")))


def _list(voice: Voice) -> None:
    from pushforward.recipes.registry import RECIPES

    if voice.as_json:
        for known in RECIPES.values():
            voice.result(
                {
                    "name": known.name,
                    "shows": known.line,
                    "origin": known.origin,
                    "columns": list(known.columns),
                }
            )
        return
    print_table(("recipe", "shows", "data"), [(r.name, r.line, r.origin) for r in RECIPES.values()])
    voice.say(
        "pushforward recipe NAME reads its table under $PUSHFORWARD_DATA, or your own with --file"
        " TABLE; some recipes generate their data"
    )
