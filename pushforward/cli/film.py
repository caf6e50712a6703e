"""`pushforward film RUN`: how a fit went, in images of the same codes:
a strip and a GIF, from the frames that a run kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pushforward.cli import runs
from pushforward.cli.console import Voice
from pushforward.cli.help import single
from pushforward.core.errors import InvalidValue, PushforwardError

if TYPE_CHECKING:
    from pushforward.experiments import OpenedRun

__all__ = ["command"]

ROWS = 2000
PHOTOGRAPH, DRAWING = 256, 64
"""Colours of a GIF."""


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
    from pushforward.core.errors import require_positive
    from pushforward.fitting.film import film_folder, frames_of
    from pushforward.plots import write
    from pushforward.plots.films import some_of, write_film

    require_positive(frames=frames, codes=codes, seconds=seconds)
    opened, voice = runs.open_run(run), Voice(quiet, json)
    found = frames_of(film_folder(opened.folder))
    samples = [frame.samples for frame in found]
    times = [f"{n:,}" for n in samples]
    strip, whole, colours = _drawn(
        opened,
        voice,
        [frame.seen["x"] for frame in found],
        times,
        some_of(samples, frames),
        codes,
        axes,
    )
    folder = Path(out) if out else opened.folder / "images"
    paths = [
        write(strip, folder / "film.png"),
        write_film(whole, folder / "film.gif", seconds=seconds, colours=colours),
    ]
    voice.say(
        f"{len(found)} frames, from {samples[0]:,} to {samples[-1]:,} observations seen, written to"
    )
    voice.result(
        {"strip": str(paths[0]), "film": str(paths[1]), "frames": len(found)},
        "\n".join(map(str, paths)),
    )


def command() -> Any:
    """The command."""
    return single(film, "film")


def _drawn(
    opened: OpenedRun,
    voice: Voice,
    x: list[Any],
    times: list[str],
    chosen: list[int],
    codes: int,
    axes: str | None,
) -> tuple[Any, Iterator[Any], int]:
    """The strip, the film's frames, and how many colours they need."""
    import torch

    from pushforward.data.export.grids import frame_space
    from pushforward.plots import films

    space, name = opened.model.fitted_space(), opened.folder.name
    title = f"{name}, after so many observations"
    if space.kind == "clips":
        x, space = [frame[:, :, frame.shape[2] // 2] for frame in x], frame_space(space)
        title = f"{name}, the middle frame of each clip after so many observations"
    if space.kind == "images":
        if x[0].dtype == torch.uint8:
            space = _in_levels(space)
        return (
            films.image_strip(x, space, times, chosen, columns=codes, title=title),
            films.image_film(x, space, [f"{t} observations seen" for t in times]),
            PHOTOGRAPH,
        )
    panel = films.panel_of(x, space, data=_data(opened, voice), axes=_axes(space, axes))
    return (
        films.strip({name: panel}, times, chosen, title=title),
        films.film({name: panel}, [f"{t} observations seen" for t in times], side=4.5),
        DRAWING,
    )


def _in_levels(space: Any) -> Any:
    """The space of images whose levels are bytes, as frames hold them."""
    from dataclasses import replace

    return replace(space, low=0.0, high=255.0)


def _axes(space: Any, given: str | None) -> tuple[int, int]:
    """Two columns by name or position; the first two if not given."""
    if given is None:
        return 0, 1
    found = [space.axis(part.strip()) for part in given.split(",")]
    if len(set(found)) != 2 or len(found) != 2:
        raise InvalidValue(
            f"--axes names two different columns, got {given!r}; write --axes 0,1, say"
        )
    return found[0], found[1]


def _data(opened: OpenedRun, voice: Voice) -> Any:
    """Rows the model was fitted on, where they can be found."""
    try:
        return runs.rows_of(opened.rows("there is no telling which rows these were"), ROWS).x
    except PushforwardError as error:
        voice.say(f"drawn without rows: {error}")
        return None
