"""`pushforward recipe NAME`: an experiment on public data (or yours),
in one command: images and numbers out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.console import Voice, stdout
from pushforward.cli.help import single

__all__ = ["command"]


def recipe(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="a recipe; without one they are listed", show_default=False
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            help=(
                "your own table, with the same columns; for recipes on images a name or path of"
                " those"
            ),
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="folder to write to; runs/NAME if not given")
    ] = None,
    player: Annotated[
        list[str] | None,
        typer.Option(
            "--player", help="whom to show, where the recipe shows players; several times"
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            "--budget",
            help=(
                "of the usual work, what share: 0.1 for a quick look, where a recipe learns or"
                " samples"
            ),
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="of everything random")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="the records as JSON on stdout, one a line")
    ] = False,
) -> None:
    """Run an experiment on a public table, on yours, or on data that it draws itself;
    without NAME all are listed.
    """
    from pushforward.recipes.registry import run

    voice = Voice(quiet, json)
    if name is None:
        return _list(voice)
    folder = Path(out) if out else Path("runs") / name
    findings, images = run(
        name, file=file, out=folder, seed=seed, players=player or (), budget=budget
    )
    if json:
        for key, record in findings.records.items():
            voice.result({"name": key, **record.as_dict()})
    else:
        _table(findings.heads, findings.rows)
    for note in findings.notes:
        voice.say(note)
    voice.say("\nwritten to " + ", ".join(str(p) for p in (*images, folder / "records.json")))
    return None


def command() -> Any:
    """The command."""
    return single(recipe, "recipe")


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
    _table(("recipe", "shows", "data"), [[r.name, r.line, r.origin] for r in RECIPES.values()])
    voice.say(
        "pushforward recipe NAME reads its table under $PUSHFORWARD_DATA, or yours: --file TABLE;"
        " some draw their own data"
    )


def _table(heads: Any, rows: Any) -> None:
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, head in enumerate(heads):
        shown.add_column(head, no_wrap=i == 0)
    for row in rows:
        shown.add_row(*row)
    stdout().print(shown)
