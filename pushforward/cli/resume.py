"""`pushforward resume RUN`: go on with a fit, to the bit, or extend it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.config import lines_of
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.progress import display

__all__ = ["command"]


def resume(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="the folder of a fit that was interrupted, or that is to go on",
            show_default=False,
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", help="where the rows lie, if not where the run says; they must be the same"
        ),
    ] = None,
    epochs: Annotated[
        str | None, typer.Option("--epochs", help="the whole budget in passes, or +50 to extend it")
    ] = None,
    steps: Annotated[str | None, typer.Option("--steps", help="in steps, likewise")] = None,
    samples: Annotated[
        str | None, typer.Option("--samples", help="in observations seen, likewise")
    ] = None,
    minutes: Annotated[str | None, typer.Option("--minutes", help="in minutes, likewise")] = None,
    save_every: Annotated[
        float | None, typer.Option("--save-every", help="seconds between checkpoints")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="say nothing but warnings and errors")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="events as JSON lines on stdout, then the result")
    ] = False,
) -> None:
    """Go on with a fit where it stood:
    the final weights are those of the uninterrupted run, bit for bit.
    """
    from pushforward.cli.fit import announced, show, tell
    from pushforward.experiments.resuming import begun, extended
    from pushforward.experiments.resuming import resume as go_on

    folder, voice = Path(run), Voice(quiet, json)
    opened = begun(folder, source)
    budgets = {"epochs": epochs, "steps": steps, "samples": samples, "minutes": minutes}
    budget = {name: value for name, value in budgets.items() if value is not None}
    wanted = extended(opened.manifest, budget)
    rows = opened.read()
    show(voice, lines_of(opened.manifest, wanted), folder, rows)
    with display(voice) as drawn, announced(folder):
        outcome = go_on(
            folder, budget=wanted, save_every=save_every, listeners=[drawn], run=opened, rows=rows
        )
    tell(voice, outcome)


def command() -> Any:
    """The command."""
    return single(resume, "resume")
