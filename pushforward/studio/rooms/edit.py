"""Edit: an image of a model, changed by what one draws on it, and the photograph that it came from.

The page holds everything that was drawn and sends it whole, so that undoing needs no memory here.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.space import Space
from pushforward.data.export.grids import to_image
from pushforward.data.formats.photographs import Photograph
from pushforward.data.image_inputs import ImageInputs
from pushforward.data.options import Fit
from pushforward.experiments.edits import FRAMES, change_photo, image_space
from pushforward.experiments.opened import OpenedRun
from pushforward.latent import Strokes, decode, edit, interpolate, project
from pushforward.studio import contents
from pushforward.studio.canvas import as_pixels
from pushforward.studio.conditions import chosen_condition, condition_names
from pushforward.studio.messages import Answer, Request
from pushforward.studio.pictures import check_picture, read_input, read_photo
from pushforward.studio.studio import Studio

__all__ = ["begin", "change", "film", "open", "photo"]

CANDIDATES, STEPS = 9, 30
"""Shown at most, and steps of L-BFGS: an edit answers within a second or two."""
PROJECTED = 60
"""Steps of L-BFGS of a projection."""


def open(studio: Studio, request: Request) -> Answer:
    """The size of a run's images, and its conditions."""
    run = _run(studio, request)
    space: Space = image_space(run)
    channels, height, width = space.shape
    facts = {"channels": channels, "height": height, "width": width, "encodes": run.can("Encodes")}
    return Answer({**facts, "conditions": condition_names(run)})


def begin(studio: Studio, request: Request) -> Answer:
    """The image to edit: a sample of a 'seed', or the attached picture, projected ('start')."""
    run, content = _run(studio, request), request.content
    y = chosen_condition(run, content)
    distribution = studio.distribution(request.run)
    if not request.attached:
        seed = contents.whole(content, "seed", 0, 2**31, 0)
        code = distribution.draw(1, rng=seed)
        return _image(run, code, y)
    x = _input(run, request)[None]
    starts = ("encoder", "prior", "hybrid") if run.can("Encodes") else ("prior",)
    start: Any = contents.choice(content, "start", starts, starts[-1])
    found = project(run.model, x, y, start=start, steps=PROJECTED, distribution=distribution, rng=0)
    answer = _image(run, found.codes, y)
    error = (found.error / x[0].numel()).sqrt() / _range(run)
    pixels = as_pixels(x, run.model.fitted_space())
    return Answer({**answer.content, "error": float(error)}, {**answer.arrays, "photo": pixels})


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
    facts = {"codes": edited.codes.tolist(), "cost": edited.cost.tolist(), "before": edited.before}
    return Answer(facts, {"images": as_pixels(edited.x.detach(), run.model.fitted_space())})


def film(studio: Studio, request: Request) -> Answer:
    """The images on the way 'from' a code 'to' another, for a slider."""
    run = _run(studio, request)
    frames = _frames(studio, request, run)
    return Answer({"frames": len(frames)}, {"images": as_pixels(frames, run.model.fitted_space())})


def photo(studio: Studio, request: Request) -> Answer:
    """The attached picture, at its own size, after the change 'from' a code 'to' another."""
    run = _run(studio, request)
    name = _picture_name(request)
    check_picture(request.attached, name)
    levels = read_photo(request.attached, name)
    space = run.model.fitted_space()
    frames = _frames(studio, request, run)
    changed = change_photo(frames, space, Photograph(levels.numpy()), _fit(space))
    if changed is None:
        raise InvalidValue(
            f"{name} is no larger than the model's images: what the page shows is the result"
        )
    return Answer({"name": f"{run.folder.name}.png"}, {"file": _png(to_image(changed.levels))})


# -------------------------------------------------------------------------------------------------


def _picture_name(request: Request) -> str:
    return contents.text(request.content, "name", "the picture") or "the picture"


def _run(studio: Studio, request: Request) -> OpenedRun:
    run = studio.open(request.run)
    image_space(run)
    return run


def _range(run: OpenedRun) -> float:
    space: Space = run.model.fitted_space()
    return float(space.high - space.low)


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
    """The attached strokes; parts in which nothing is drawn are left out by the page."""
    space: Space = run.model.fitted_space()
    channels, height, width = space.shape
    planes = _planes(request, int(height or 0), int(width or 0))
    parts: dict[str, Any] = {}
    if "colour" in planes:
        rgba = planes["colour"]
        levels = rgba[:3] if channels == 3 else rgba[:3].mean(0, keepdim=True)
        parts |= {
            "colour": space.low + (space.high - space.low) * levels[: int(channels or 1)],
            "colour_mask": rgba[3],
        }
    parts |= {name: planes[name][0] for name in ("sketch", "fixed") if name in planes}
    if request.content.get("drags"):
        drags = contents.matrix(request.content, "drags", 32, 4)
        parts |= {"handles": drags[:, :2], "targets": drags[:, 2:]}
    return Strokes(**parts)


def _planes(request: Request, height: int, width: int) -> Mapping[str, Tensor]:
    """The attached parts (channels, height, width), from 0 to 1."""
    names, layers = request.content.get("parts", []), {"colour": 4, "sketch": 1, "fixed": 1}
    if not isinstance(names, list) or not set(names) <= set(layers):
        raise InvalidKind(f"parts are some of {', '.join(layers)}, got {names!r}")
    sizes = [layers[name] * height * width for name in names]
    if sum(sizes) != len(request.attached):
        raise InvalidValue(
            f"strokes must have the size of the images, {height}×{width}: expected {sum(sizes)}"
            f" bytes, got {len(request.attached)}"
        )
    if not names:
        return {}
    levels = torch.frombuffer(bytearray(request.attached), dtype=torch.uint8) / 255
    return {
        name: part.reshape(height, width, layers[name]).movedim(-1, 0)
        for name, part in zip(names, levels.split(sizes))
    }


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", compress_level=2)
    return file.getvalue()
