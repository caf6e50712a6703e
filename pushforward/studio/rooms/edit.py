"""Edit: an image of a model, changed by what one draws on it, and the photograph that it came from.

The page holds everything that was drawn and sends it whole, so that undoing needs no memory here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.space import Space
from pushforward.data.export.grids import to_image
from pushforward.data.formats.photographs import Photograph
from pushforward.data.image_inputs import ImageInputs
from pushforward.data.options import Fit
from pushforward.experiments.edits import FRAMES, STEPS, change_photo, image_space
from pushforward.experiments.opened import OpenedRun
from pushforward.experiments.stroke_images import colour_levels, read_lines
from pushforward.latent import Projection, Strokes, decode, edit, interpolate, project
from pushforward.studio import contents
from pushforward.studio.canvas import as_pixels
from pushforward.studio.conditions import chosen_condition, condition_names
from pushforward.studio.messages import Answer, Request
from pushforward.studio.pictures import ONE_PHOTO, check_picture, read_input, read_photo
from pushforward.studio.studio import Studio

__all__ = ["begin", "change", "film", "open", "photo", "typical"]

CANDIDATES = 9
"""Shown at most."""
TYPICAL = 8
"""Rows of the data with which the error of a picture is compared."""
METHODS = {"encoder": "encoder", "optimisation": "prior", "both": "hybrid"}
"""Of projection, with the start of each; the encoder's code is taken as it is."""


def open(studio: Studio, request: Request) -> Answer:
    """The size of a run's images, its conditions, and the methods of projection, the best last."""
    run = _run(studio, request)
    space: Space = image_space(run)
    channels, height, width = space.shape
    facts = {"channels": channels, "height": height, "width": width, "methods": _methods(run)}
    return Answer({**facts, "conditions": condition_names(run)})


def begin(studio: Studio, request: Request) -> Answer:
    """The image to edit: a sample of a 'seed', or the attached picture, projected by a 'method'.

    Of a picture, the 'errors' of all methods, root mean square, as shares of the range of levels.
    """
    run, content = _run(studio, request), request.content
    y = chosen_condition(run, content)
    if not request.attached:
        seed = contents.whole(content, "seed", 0, 2**31, 0)
        return _image(run, studio.distribution(request.run).draw(1, rng=seed), y)
    x, methods = _input(run, request)[None], _methods(run)
    method = contents.choice(content, "method", methods, methods[-1])
    found = {name: _projected(studio, request, x, y, name) for name in methods}
    errors = [{"method": name, "error": float(_errors(run, p)[0])} for name, p in found.items()]
    answer = _image(run, found[method].codes, y)
    pixels = as_pixels(x, run.model.fitted_space())
    facts = {**answer.content, "method": method, "errors": errors}
    return Answer(facts, {**answer.arrays, "photo": pixels})


def typical(studio: Studio, request: Request) -> Answer:
    """The median of the errors of some 'rows' of the data, projected by a 'method'."""
    run = _run(studio, request)
    rows, _ = studio.rows(request.run)
    if rows is None:
        return Answer({"error": None, "rows": 0})
    methods = _methods(run)
    method = contents.choice(request.content, "method", methods, methods[-1])
    which = torch.linspace(0, len(rows.x) - 1, min(TYPICAL, len(rows.x))).round().long().tolist()
    y = rows.conditions(run.model, which)
    found = _projected(studio, request, rows.x[which], y, method)
    return Answer({"error": float(_errors(run, found).median()), "rows": len(which)})


def change(studio: Studio, request: Request) -> Answer:
    """Candidates for what the attached strokes ask of a 'code', the best first.

    Attached are, as many as 'parts' names, of the images' size: 'colour' (RGBA), 'sketch' and
    'fixed' (a byte a pixel). 'drags' are rows of x, y and the target's x, y.
    """
    run, content = _run(studio, request), request.content
    code = _code(studio, request, "code")
    edited = edit(
        run.model,
        code,
        _strokes(run, request),
        chosen_condition(run, content),
        candidates=CANDIDATES,
        steps=STEPS,
        distribution=studio.distribution(request.run),
        rng=0,
    )
    costs = {"cost": edited.cost.tolist(), "before": edited.before}
    facts = {"codes": edited.codes.tolist(), **costs, "most": CANDIDATES}
    return Answer(facts, {"images": as_pixels(edited.x.detach(), run.model.fitted_space())})


def film(studio: Studio, request: Request) -> Answer:
    """The images on the way 'from' a code 'to' another, for a slider."""
    run = _run(studio, request)
    frames = _frames(studio, request, run)
    return Answer({"frames": len(frames)}, {"images": as_pixels(frames, run.model.fitted_space())})


def photo(studio: Studio, request: Request) -> Answer:
    """The attached picture, at its own size, after the change 'from' a code 'to' another.

    A picture no larger than the model's images is answered by a 'note'.
    """
    run = _run(studio, request)
    name = _picture_name(request)
    check_picture(request.attached, name)
    levels = read_photo(request.attached, name)
    space = run.model.fitted_space()
    frames = _frames(studio, request, run)
    with ONE_PHOTO:
        changed = change_photo(frames, space, Photograph(levels.numpy()), _fit(space))
    if changed is None:
        note = f"{name} is no larger than the model's images: the page shows the result already"
        return Answer({"note": note}, {})
    facts = {
        "name": f"{run.folder.name}.png",
        "unchanged": np.array_equal(changed.levels, levels.numpy()),
    }
    return Answer(facts, {"file": _png(to_image(changed.levels))})


# -------------------------------------------------------------------------------------------------


def _picture_name(request: Request) -> str:
    return contents.text(request.content, "name", "the picture") or "the picture"


def _run(studio: Studio, request: Request) -> OpenedRun:
    run = studio.open(request.run)
    image_space(run)
    return run


def _methods(run: OpenedRun) -> list[str]:
    return list(METHODS) if run.can("Encodes") else ["optimisation"]


def _projected(studio: Studio, request: Request, x: Tensor, y: Any, method: str) -> Projection:
    run, steps = studio.open(request.run), 0 if method == "encoder" else STEPS
    distribution, start = studio.distribution(request.run), METHODS[method]
    how: Any = {"start": start, "steps": steps, "distribution": distribution}
    return project(run.model, x, y, rng=0, **how)


def _errors(run: OpenedRun, found: Projection) -> Tensor:
    """Root mean square errors (n,), as shares of the range of levels."""
    space: Space = run.model.fitted_space()
    each = found.restored[0].numel()
    return (found.error / each).sqrt() / (space.high - space.low)


def _fit(space: Space) -> Fit:
    fit: Fit = space.extra.get("prepared", {}).get("fit", "crop")
    return fit


def _input(run: OpenedRun, request: Request) -> Tensor:
    name, space = _picture_name(request), run.model.fitted_space()
    check_picture(request.attached, name)
    return read_input(
        request.attached, name, ImageInputs(space, tuple(space.shape[1:]), _fit(space))
    )


def _code(studio: Studio, request: Request, name: str) -> Tensor:
    width = studio.distribution(request.run).latent
    code = contents.matrix(request.content, name, 1, width)
    return code.to(studio.open(request.run).model.floating())


def _image(run: OpenedRun, code: Tensor, y: Any) -> Answer:
    x = decode(run.model, code, y).x
    return Answer({"code": code.tolist()}, {"image": as_pixels(x, run.model.fitted_space())})


def _frames(studio: Studio, request: Request, run: OpenedRun) -> Tensor:
    first, last = _code(studio, request, "from"), _code(studio, request, "to")
    codes = interpolate(first[0], last[0], FRAMES)
    return decode(run.model, codes, chosen_condition(run, request.content)).x.detach().cpu()


def _strokes(run: OpenedRun, request: Request) -> Strokes:
    """The attached strokes, read as `pushforward edit` reads images of them.

    Parts in which nothing is drawn are left out by the page.
    """
    space: Space = run.model.fitted_space()
    _, height, width = space.shape
    size = int(height or 0), int(width or 0)
    planes, fit = _planes(request, *size), _fit(space)
    parts: dict[str, Any] = {}
    if "colour" in planes:
        levels, mask = colour_levels(planes["colour"], space)
        parts |= {"colour": levels, "colour_mask": mask}
    if "sketch" in planes:
        parts["sketch"] = read_lines(planes["sketch"], size, fit)
    if "fixed" in planes:
        parts["fixed"] = _shares(planes["fixed"])
    if request.content.get("drags"):
        drags = contents.matrix(request.content, "drags", 32, 4)
        parts |= {"handles": drags[:, :2], "targets": drags[:, 2:]}
    return Strokes(**parts)


def _shares(image: Image.Image) -> Tensor:
    """Opacity (h, w), from 0 to 1."""
    return torch.from_numpy(np.array(image.getchannel("A"))).to(torch.float32) / 255


def _planes(request: Request, height: int, width: int) -> Mapping[str, Image.Image]:
    """The attached parts as images with transparency; sketches and what stays are black."""
    layers = {"colour": 4, "sketch": 1, "fixed": 1}
    names = contents.some_of(request.content, "parts", layers)
    sizes = [layers[name] * height * width for name in names]
    if sum(sizes) != len(request.attached):
        raise InvalidValue(
            f"strokes must have the size of the images, {height}×{width}: expected {sum(sizes)}"
            f" bytes, got {len(request.attached)}"
        )
    levels, planes = np.frombuffer(request.attached, np.uint8), {}
    for name, part in zip(names, np.split(levels, np.cumsum(sizes)[:-1]) if names else []):
        rgba = part.reshape(height, width, -1)
        if layers[name] == 1:
            rgba = np.concatenate([np.zeros_like(rgba).repeat(3, 2), rgba], 2)
        planes[name] = Image.fromarray(rgba)
    return planes


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=2)
    return file.getvalue()
