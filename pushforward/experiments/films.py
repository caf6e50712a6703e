"""The progress of a fit, from the frames in its run: a strip of some of them, and a film of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.space import Space
from pushforward.data.export.grids import frame_space
from pushforward.experiments.labelled_rows import LabelledRows, if_available
from pushforward.experiments.opened import OpenedRun
from pushforward.fitting.film import film_folder, read_frames
from pushforward.plots import films, write_figure
from pushforward.plots.matplotlib_types import Figure

__all__ = ["RunFilm", "as_shown", "run_film"]

ROWS = 2000
"""Rows drawn beneath points: more would hide them."""
IMAGE_COLOURS, DRAWING_COLOURS = 256, 64
"""Colours of a GIF: all that the format has for images, a few for a drawing."""
SIDE = 4.5
"""Inches of a film of points."""


@dataclass(frozen=True)
class RunFilm:
    """Samples of the same codes during a fit.

    Args:
        strip: some of the frames, side by side.
        frames: called for all frames, one after the other, as images.
        samples: observations seen at each frame.
        colours: number of colours for a GIF.
        seconds: duration of each frame.
        notes: omissions, with reasons.
    """

    strip: Figure
    frames: Callable[[], Iterator[Image.Image]]
    samples: tuple[int, ...]
    colours: int
    seconds: float
    notes: tuple[str, ...] = ()

    def write(self, place: str | Path) -> tuple[Path, Path]:
        """Write the strip and the film, replacing older ones; return their paths.

        Args:
            place: a folder, for film.png and film.gif in it, or a name ending in .gif, for the film
                and beside it the strip, of the same name ending in .png.
        """
        path = Path(place)
        path = path if path.suffix.lower() == ".gif" else path / "film.gif"
        strip = write_figure(self.strip, path.with_suffix(".png"))
        film = films.write_film(self.frames(), path, seconds=self.seconds, colours=self.colours)
        return strip, film


def run_film(
    run: OpenedRun,
    *,
    frames: int = 8,
    codes: int = 12,
    seconds: float = 0.12,
    axes: Sequence[str | int] | None = None,
) -> RunFilm:
    """The film of a fit that kept frames (`film=64` of the `Trainer`, say).

    Args:
        run: of the fit.
        frames: number of frames in the strip.
        codes: number of samples in a strip of images.
        seconds: duration of each frame of the film.
        axes: two columns of points, by name or position; the first two if None.

    Raises:
        BadRun: If the run kept no frames.
    """
    require_positive(frames=frames, codes=codes, seconds=seconds)
    recorded = read_frames(film_folder(run.folder))
    samples = [frame.samples for frame in recorded]
    indices, times = films.choose_frames(samples, frames), [f"{n:,}" for n in samples]
    x, space = as_shown(run.model.fitted_space(), [frame.tensors["x"] for frame in recorded])
    title = f"{run.folder.name}, after training on this many observations"
    if run.model.fitted_space().kind == "clips":
        title = title.replace("after", "the middle frame of each clip after")
    headings = [f"{time} observations seen" for time in times]
    if space.kind == "images":
        names = _condition_names(run, recorded[-1].tensors.get("y"))
        strip = films.image_strip(x, space, times, indices, columns=codes, names=names, title=title)
        return RunFilm(
            strip,
            lambda: films.image_film(x, space, headings),
            tuple(samples),
            IMAGE_COLOURS,
            seconds,
        )
    rows, notes = if_available(lambda: _rows(run), required=False)
    data = None if rows is None else rows.x
    panel = films.panel_of(x, space, data=data, axes=_columns(space, axes))
    panels = {run.folder.name: panel}
    return RunFilm(
        films.strip(panels, times, indices, title=title),
        lambda: films.film(panels, headings, side=SIDE),
        tuple(samples),
        DRAWING_COLOURS,
        seconds,
        notes,
    )


def as_shown(space: Space, x: Sequence[Tensor]) -> tuple[list[Tensor], Space]:
    """The part of each frame to show (the middle image of clips), and its space.

    Args:
        space: of the model's observations.
        x: observations of each frame, as a film stores them.
    """
    shown = list(x)
    if space.kind == "clips":
        shown = [clips[:, :, clips.shape[2] // 2] for clips in shown]
        space = frame_space(space)
    if space.kind == "images" and shown[0].dtype == torch.uint8:
        space = replace(space, low=0.0, high=255.0)
    return shown, space


def _condition_names(run: OpenedRun, y: Tensor | None) -> list[str] | None:
    """The condition of each sample in words; None without conditions, or in films that do not have
    them.
    """
    space = run.model.condition_space
    if y is None or space is None:
        return None
    if space.is_label:
        return [space.columns[0].categories[int(code)] for code in y]
    return [f"{float(value):.3g}" for value in y]


def _columns(space: Space, axes: Sequence[str | int] | None) -> tuple[int, int]:
    """The positions of two columns."""
    if axes is None:
        return 0, 1
    positions = [space.axis(axis) for axis in axes]
    if len(axes) != 2 or len(set(positions)) != 2:
        raise InvalidValue(
            f"{argument('axes')} names two different columns, got {','.join(map(str, axes))!r};"
            f" write {argument('axes', '0,1')}, say"
        )
    return positions[0], positions[1]


def _rows(run: OpenedRun) -> LabelledRows:
    """Rows that the model was fitted to."""
    return LabelledRows.of(run.rows("which rows these were is unknown"), ROWS)
