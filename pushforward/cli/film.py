"""`pushforward film RUN`: how a fit went, in images of the same codes:
a strip and a GIF, from the frames that a run kept.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single

__all__ = ["command"]


def film(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="a run folder, fitted with --film N", show_default=False
        ),
    ],
    frames: Annotated[int, typer.Option("--frames", help="frames in the strip")] = 8,
    codes: Annotated[int, typer.Option("--codes", help="codes shown in a strip of images")] = 12,
    seconds: Annotated[
        float, typer.Option("--seconds", help="for which each frame of the GIF is shown")
    ] = 0.12,
    axes: Annotated[
        str | None,
        typer.Option("--axes", help="columns of points to show, by name or position: x,y"),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="folder to write to; images/ in the run if not given"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but errors")] = False,
    json: Annotated[bool, typer.Option("--json", help="where the images are, as JSON")] = False,
) -> None:
    """Draw samples from the same codes while a model was fitted: film.png, a strip of some frames,
    and film.gif with all of them.
    """
    from pushforward.experiments.films import run_film

    opened, voice = runs.open_run(run), Voice(quiet, json)
    columns = None if axes is None else [part.strip() for part in axes.split(",")]
    film = run_film(opened, frames=frames, codes=codes, seconds=seconds, axes=columns)
    for note in film.notes:
        voice.say(note)
    strip, animation = film.write(out or opened.folder / "images")
    n, first, last = len(film.samples), film.samples[0], film.samples[-1]
    voice.say(f"{n} frames, from {first:,} to {last:,} observations seen, written to")
    content = {"strip": str(strip), "film": str(animation), "frames": n}
    voice.result(content, f"{strip}\n{animation}")


def command() -> Any:
    """The command."""
    return single(film, "film")
