"""`pushforward edit RUN [PHOTO]`: an image changed by strokes, as the model can make it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice

if TYPE_CHECKING:
    from pushforward.core.space import Space
    from pushforward.experiments.edits import ImageEdit

__all__ = ["edit"]


def edit(
    run: arguments.Run,
    photo: Annotated[str | None, Parameter(help="the image to edit; a sample if not given")] = None,
    /,
    *,
    colour: str | None = None,
    sketch: str | None = None,
    drag: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    radius: float | None = None,
    fixed: str | None = None,
    out: arguments.Out = None,
    candidates: arguments.Whole | None = None,
    full_size: Annotated[bool, Parameter(negative="--no-full-size")] = True,
    start: Literal["encoder", "prior", "hybrid"] | None = None,
    steps: arguments.Whole = 50,
    y: Annotated[str | None, Parameter(name="--y")] = None,
    seed: arguments.Seed = 0,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Change an image by strokes and drags, to one that the model can make.

    Args:
        colour: an image with transparency: its colours are asked for where it is opaque.
        sketch: an image of dark lines on a light or transparent ground.
        drag: move a part, x,y:x,y in pixels of the model's images; repeatable.
        radius: of what is dragged, pixels; an eighth of the shorter side if not given.
        fixed: a mask of what stays: opaque, or white if nothing is transparent.
        out: .png, .jpg or .webp, or .gif from the start to the result; by default NAME-edited.png
            here. A larger photo is edited itself, too, in NAME-edited-photo.png.
        candidates: also the best of so many, side by side, in NAME-edited-candidates.png.
        full_size: whether a photo larger than the model's images is edited itself.
        start: of the photo's projection: the encoder's code, draws of the prior, or the better of
            both (hybrid), which it is by default where there is an encoder.
        steps: most optimisation steps, of the projection and of the edit.
        y: the condition of the image: a label or numbers, for models with conditions.
        json: where the images are, as JSON.
    """
    from pushforward.cli.sample import parse_conditions
    from pushforward.experiments import open_run
    from pushforward.experiments.edits import edit as edit_image
    from pushforward.experiments.edits import read_drag

    voice = Voice(quiet, json)
    opened = open_run(run, device)
    paths = _paths(out, photo, seed, sheet=candidates is not None, full_size=full_size)
    edited = edit_image(
        opened,
        photo,
        colour=colour,
        sketch=sketch,
        drags=[read_drag(text) for text in drag],
        radius=radius,
        fixed=fixed,
        y=parse_conditions(y, opened.model.condition_space),
        start=start,
        steps=steps,
        candidates=9 if candidates is None else candidates,
        seed=seed,
        full_size=full_size,
    )
    _describe(voice, edited)
    written = _write(edited, opened.model.fitted_space(), paths)
    for what, path in written.items():
        voice.result({"path": str(path), "what": what}, str(path))


def _paths(
    out: str | None, photo: str | None, seed: int, *, sheet: bool, full_size: bool
) -> dict[str, Path]:
    """Where results may be written: refuses what exists, before any work."""
    from pushforward.data.export.single_images import SUFFIXES, image_target

    name = f"sample{seed}" if photo is None else Path(photo).stem
    suffixes = (*SUFFIXES, ".gif")
    result = image_target(out, f"{name}-edited.png", several=False, suffixes=suffixes)
    paths = {"result": result}
    if sheet:
        paths["candidates"] = result.with_name(f"{result.stem}-candidates.png")
    if photo is not None and full_size:
        suffix = ".png" if result.suffix.lower() == ".gif" else result.suffix
        paths["photo"] = result.with_name(f"{result.stem}-photo{suffix}")
    return {
        what: image_target(str(path), "", several=False, suffixes=suffixes)
        for what, path in paths.items()
    }


def _describe(voice: Voice, edited: ImageEdit) -> None:
    projection = edited.projection
    if projection is not None:
        mean = float(projection.error[0]) / edited.before.numel()
        voice.say(
            f"squared error of the reconstruction {float(projection.error[0]):.6g}, at the start"
            f" {float(projection.first_error[0]):.6g}; {mean**0.5:.3g} per pixel"
        )
    costs = edited.edited.cost
    voice.say(
        f"cost {float(costs[0]):.4g}, before the edit {edited.edited.before:.4g};"
        f" {len(costs)} candidates"
    )


def _write(edited: ImageEdit, space: Space, paths: dict[str, Path]) -> dict[str, Path]:
    """The results that there are, and where they are written."""
    from pushforward.data import write
    from pushforward.data.export.single_images import write_image

    if edited.photo is None:
        paths = {what: path for what, path in paths.items() if what != "photo"}
    if paths["result"].suffix.lower() == ".gif":
        _write_frames(edited, space, paths["result"])
    else:
        write_image(edited.frames[-1], space, paths["result"])
    if "candidates" in paths:
        write(edited.edited.x.detach().cpu(), space, paths["candidates"])
    if edited.photo is not None:
        _write_photo(edited.photo, space, paths["photo"])
    return paths


def _write_frames(edited: ImageEdit, space: Space, path: Path) -> None:
    from pushforward.data.export.grids import image_grid
    from pushforward.data.export.moving import write_animation
    from pushforward.data.export.writing import replacing

    frames = [image_grid(frame[None], space, padding=0) for frame in edited.frames]
    with replacing(path) as part:
        write_animation(frames, part, None)


def _write_photo(photo: Any, space: Space, path: Path) -> None:
    from dataclasses import replace

    import torch

    from pushforward.data.export.single_images import write_image

    levels = torch.from_numpy(photo.levels)
    as_bytes = replace(space, shape=tuple(levels.shape), low=0.0, high=255.0)
    write_image(levels, as_bytes, path, exif=photo.exif, profile=photo.profile)
