"""Edits of a photograph, or of a sample, by what a run's model can make: colours, sketches, drags.

A photograph is projected on the model first; what the edit changes is then applied to the
photograph itself, at its full size (`latent.transfer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward.core.argument_names import argument
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.space import Space
from pushforward.data.formats.image_files import ImageFile
from pushforward.data.formats.photographs import Photograph, read_photograph
from pushforward.data.image_inputs import ImageInputs, image_files, is_single_file
from pushforward.data.options import Fit
from pushforward.experiments.opened import OpenedRun, labels_of, rows_of
from pushforward.experiments.photo_areas import find_areas, paste_faded
from pushforward.experiments.sampling import ConditionsGiven, condition_rows
from pushforward.experiments.stroke_images import (
    Picture,
    read_colours,
    read_lines,
    read_mask,
    read_picture,
)
from pushforward.latent import (
    CodeDistribution,
    Edited,
    Projection,
    Strokes,
    decode,
    infer_code_distribution,
    project,
    transfer,
)
from pushforward.latent import edit as edit_code
from pushforward.latent.projection import Start

__all__ = [
    "FRAMES", "STEPS", "Drag", "ImageEdit", "best_start", "change_photo", "edit", "image_space",
    "read_drag",
]  # fmt: skip

Drag = tuple[tuple[float, float], tuple[float, float]]
"""From a place to another, (x, y) pixels of the model's images each."""
FRAMES = 16
"""Images from the start to the result."""
STEPS = 50
"""Of L-BFGS, at most: an edit of small images takes a second or two."""
TRANSFERRED = 8
"""Images along which the change is followed: with half as many, a disc that moves by its own width
is no longer followed but painted over.
"""


@dataclass(frozen=True)
class ImageEdit:
    """An edit of an image.

    Args:
        before: what the model makes of the photograph, or a sample (c, h, w), user's units.
        edited: candidates, the best first.
        frames: images from there to the best (16, c, h, w).
        photo: the photograph at its own size after the edit; None for samples, for photographs no
            larger than the model's images, and where not asked for.
        projection: of the photograph; None for samples.
    """

    before: Tensor
    edited: Edited
    frames: Tensor
    photo: Photograph | None
    projection: Projection | None


def edit(
    run: OpenedRun,
    photo: str | Path | None = None,
    *,
    colour: Picture | None = None,
    sketch: Picture | None = None,
    drags: Sequence[Drag] = (),
    radius: float | None = None,
    fixed: Picture | None = None,
    y: ConditionsGiven = None,
    start: Start | None = None,
    steps: int = STEPS,
    candidates: int = 9,
    seed: int = 0,
    full_size: bool = True,
) -> ImageEdit:
    """The image of a run's model that is nearest to what is asked.

    Images of strokes may have any size; they are cut and resized as the photograph is.

    Args:
        run: whose model makes images of codes.
        photo: its path; a sample if None.
        colour: an image with transparency: colours are asked for where it is opaque.
        sketch: dark lines on a light or transparent ground.
        drags: parts that move.
        radius: of these parts, pixels of the model's images; an eighth of their shorter side if
            None.
        fixed: what stays: opaque, or white if nothing is transparent.
        y: the condition of the image, for models with conditions.
        start: where the projection of the photograph starts, as `latent.project` takes it; at the
            better of both (hybrid) by default, at draws of the prior without an encoder.
        steps: of the projection and of the edit, at most.
        candidates: kept at most.
        seed: of the sample, and of where candidates start.
        full_size: whether a photograph larger than the model's images is edited itself.

    Raises:
        InvalidKind: For a model that makes no images of codes.
        InvalidValue: For an edit that asks for nothing.
    """
    space = image_space(run)
    size = (int(space.shape[1] or 0), int(space.shape[2] or 0))
    fit: Fit = space.extra.get("prepared", {}).get("fit", "crop")
    strokes = _strokes(space, size, fit, colour, sketch, drags, radius, fixed)
    model = run.model
    rows, _ = condition_rows(model, y, 1)
    condition = None if rows is None else model.condition_space.as_given(rows[:1])
    distribution = _distribution(run)
    file = None if photo is None else _single_file(photo)
    projection, code = None, distribution.draw(1, rng=seed)
    if file is not None:
        x = ImageInputs(space, size, fit).file(file)[None]
        projection = project(
            model, x, condition, start=start or best_start(run), steps=steps,
            distribution=distribution, rng=seed,
        )  # fmt: skip
        code = projection.codes
    edited = edit_code(
        model, code, strokes, condition, candidates=candidates, steps=steps,
        distribution=distribution, rng=seed,
    )  # fmt: skip
    with torch.no_grad():
        frames = decode(model, edited.path(0, FRAMES), condition).x.detach().cpu()
    changed = None
    if file is not None and full_size:
        changed = change_photo(frames, space, read_photograph(file), fit)
    return ImageEdit(frames[0], edited, frames, changed, projection)


def best_start(run: OpenedRun) -> Start:
    """Where a projection starts if nothing is said: the start whose result is never worse."""
    return "hybrid" if run.can("Encodes") else "prior"


def read_drag(text: str) -> Drag:
    """A drag written as x,y:x,y.

    Raises:
        InvalidValue: For another text.
    """
    try:
        (a, b), (c, d) = ([float(number) for number in p.split(",")] for p in text.split(":"))
    except ValueError:
        raise InvalidValue(
            f"{argument('drag')} must be two places with a colon between, got {text!r}; write"
            f" {argument('drag', '10,12:20,12')}, say"
        ) from None
    return (a, b), (c, d)


def image_space(run: OpenedRun) -> Space:
    """The space of a model that makes grey or coloured images of codes."""
    space: Space = run.model.fitted_space()
    if space.kind != "images":
        raise InvalidKind(f"edits are of images, but {run.folder} makes {space}; use another run")
    run.need("does not decode codes, so it edits no images", "Decodes")
    if None in space.shape or space.shape[0] not in (1, 3, 4) or space.extra.get("palette"):
        raise InvalidKind(
            f"edits are of grey or coloured images of one size, but {run.folder} makes {space};"
            " use another run"
        )
    return space


def _strokes(
    space: Space,
    size: tuple[int, int],
    fit: Fit,
    colour: Picture | None,
    sketch: Picture | None,
    drags: Sequence[Drag],
    radius: float | None,
    fixed: Picture | None,
) -> Strokes:
    if colour is None and sketch is None and not drags:
        raise InvalidValue(
            f"nothing is asked of the image; pass {argument('colour', 'strokes.png')},"
            f" {argument('sketch', 'lines.png')} or {argument('drag', '10,12:20,12')}"
        )
    parts: dict[str, Any] = {"radius": radius}
    if colour is not None:
        levels, mask = read_colours(read_picture(colour, "colour"), space, size, fit)
        parts |= {"colour": levels, "colour_mask": mask}
    if sketch is not None:
        parts["sketch"] = read_lines(read_picture(sketch, "sketch"), size, fit)
    if drags:
        handles, targets = torch.tensor(drags, dtype=torch.float64).unbind(1)
        parts |= {"handles": handles, "targets": targets}
    if fixed is not None:
        parts["fixed"] = read_mask(read_picture(fixed, "fixed"), size, fit)
    return Strokes(**parts)


def _single_file(photo: str | Path) -> ImageFile:
    if Path(photo).exists() and not is_single_file(photo):
        raise InvalidValue(f"{photo} is no single image; an edit is of one photograph")
    (file,) = image_files(photo)
    return file


def _distribution(run: OpenedRun) -> CodeDistribution:
    """The model's prior, or the codes of the rows that it was fitted to."""
    try:
        return infer_code_distribution(run.model)
    except InvalidKind:
        if not run.can("Encodes"):
            raise
        batch = rows_of(run.parts().train)
        return infer_code_distribution(run.model, batch.x, labels_of(run.model, batch))


def change_photo(frames: Tensor, space: Space, photo: Photograph, fit: Fit) -> Photograph | None:
    """The photograph after the change of the frames; None if it is no larger than they are."""
    whole = torch.from_numpy(photo.levels)
    size, image = (whole.shape[1], whole.shape[2]), (frames.shape[2], frames.shape[3])
    if size[0] <= image[0] and size[1] <= image[1]:
        return None
    areas = find_areas(size, image, fit)
    levels = (frames.float() - space.low) / (space.high - space.low) * 255
    shown = levels[:, :3, areas.image[0], areas.image[1]]
    picked = torch.linspace(0, len(shown) - 1, TRANSFERRED + 1).round().long()
    colours, opacity = (whole, None) if len(whole) < 4 else (whole[:3], whole[3:])
    if shown.shape[1] == 3 and len(colours) == 1:
        colours = colours.expand(3, -1, -1)
    part = colours[:, areas.photo[0], areas.photo[1]]
    changed = transfer(shown[0], shown[picked[1:]], part)
    made = paste_faded(colours, changed, areas.photo)
    made = made if opacity is None else torch.cat([made, opacity])
    profile = photo.profile if len(made) == len(whole) else b""
    return Photograph(made.numpy(), photo.exif, profile)
