"""`pushforward demo`: the first minute, on real handwriting."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.cli.progress import display

__all__ = ["command"]



def demo(
    run: Annotated[str | None, typer.Option("--run", help="folder to write to; runs/demo-N if not given")] = None,
    seed: Annotated[int, typer.Option("--seed", help="of everything random")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but warnings and errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="events as JSON lines on stdout")] = False,
) -> None:
    """Fit a VAE on 1,797 handwritten digits, beside PCA, and leave pictures and numbers in a run folder."""
    from pathlib import Path

    from pushforward.recipes import demo as recipe

    voice = Voice(quiet, json)
    folder = Path(run) if run else _free()
    with display(voice) as drawn:
        recipe.run(folder, listeners=[drawn], seed=seed)


def _free() -> Any:
    from pathlib import Path

    n = 1
    while (folder := Path("runs") / f"demo-{n}").exists():
        n += 1
    return folder


def command() -> Any:
    """The command."""
    return single(demo, "demo")
