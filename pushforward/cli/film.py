"""`pushforward film RUN`: how a fit went, in images of the same codes:
a strip and a GIF, from the frames that a run kept.
"""

from __future__ import annotations

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["film"]


def film(
    run: arguments.Run,
    /,
    *,
    frames: arguments.Whole = 8,
    codes: arguments.Whole = 12,
    seconds: float = 0.12,
    axes: str | None = None,
    out: arguments.Out = None,
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Draw samples of the same codes over the course of training: a strip and a GIF.

    Args:
        run: a run folder, fitted with --film N.
        frames: frames in the strip.
        codes: codes shown in a strip of images.
        seconds: duration of each frame of the GIF.
        axes: columns of points to show, by name or position: x,y.
        out: folder to write to, or the GIF's name (the strip is put beside it, as .png); images/ in
            the run if not given.
        json: where the images are, as JSON.
    """
    from pushforward.experiments import open_run
    from pushforward.experiments.films import run_film

    opened, voice = open_run(run), Voice(quiet, json)
    columns = None if axes is None else [part.strip() for part in axes.split(",")]
    film = run_film(opened, frames=frames, codes=codes, seconds=seconds, axes=columns)
    for note in film.notes:
        voice.say(note)
    strip, animation = film.write(out or opened.folder / "images")
    n, first, last = len(film.samples), film.samples[0], film.samples[-1]
    voice.say(f"{n} frames, from {first:,} to {last:,} observations seen, written to")
    content = {"strip": str(strip), "film": str(animation), "frames": n}
    voice.result(content, f"{strip}\n{animation}")
