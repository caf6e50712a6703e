"""`pushforward translate RUN PHOTO`: images made from other images, of any size."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from pushforward.cli import arguments
from pushforward.cli.console import Voice

__all__ = ["translate"]


def translate(
    run: arguments.Run,
    file: arguments.File,
    /,
    *,
    out: arguments.Out = None,
    derive: Annotated[bool, Parameter(name="--derive-conditions", negative="")] = False,
    size: str | None = None,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    using: str | None = None,
    seed: arguments.Seed = 0,
    device: arguments.Device = "cpu",
    quiet: arguments.Quiet = False,
    json: arguments.Json = False,
) -> None:
    """Translate images: one file, a folder, a glob or a zip; sizes may differ.

    Args:
        out: .png or .jpg for one image, a folder/ for several; by default NAME-translated.png here,
            or the folder NAME-translated/.
        derive: make of each image what the model is told first, such as its edges, its grey levels
            or its left half.
        size: bring images to this size first, 64 or 48x64 (a half of side-by-side images);
            otherwise they keep their own.
        fit: how: crop, pad or stretch.
        using: mean for results without noise (dropout); by default with it, as in training.
        json: where the images are, as JSON.
    """
    from pushforward.data.export.single_images import image_target, results_folder, write_image
    from pushforward.data.image_inputs import is_single_file
    from pushforward.data.options import read_size
    from pushforward.experiments import open_run
    from pushforward.experiments.translations import translate as translations

    voice = Voice(quiet, json)
    opened = open_run(run, device)
    wanted = None if size is None else read_size(size)
    results = translations(
        opened, file, derive_conditions=derive, size=wanted, fit=fit, seed=seed, using=using
    )
    several = not is_single_file(file)
    out = results_folder(file, "translated") if several and out is None else out
    for result in results:
        path = image_target(out, f"{result.name}-translated.png", several=several)
        write_image(result.x, opened.model.fitted_space(), path)
        for note in result.notes:
            voice.say(note)
        voice.result({"path": str(path)}, str(path))
