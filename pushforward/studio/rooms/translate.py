"""Translate: photographs and drawings turned into images, and photographs enlarged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from pushforward.core.capabilities import Translates
from pushforward.core.errors import BadRun, BadSource, InvalidKind, InvalidValue
from pushforward.core.model import Model
from pushforward.core.space import Space
from pushforward.data.image_inputs import ImageInputs, image_channels
from pushforward.data.pairing import Pairing
from pushforward.data.pairings import Edges, pairing_of, pairing_to_derive
from pushforward.data.palettes import (
    Palette,
    find_palette,
    named_palette,
    nearest_colour,
    paint,
    scaled_palette,
    share_between,
)
from pushforward.experiments.enlargements import enlarge_levels
from pushforward.experiments.labelled_rows import LabelledRows
from pushforward.experiments.opened import OpenedRun
from pushforward.models.parts.enlarger import Enlarger
from pushforward.studio import contents
from pushforward.studio.canvas import as_pixels
from pushforward.studio.messages import Answer, Request
from pushforward.studio.pictures import as_rgba, check_picture, read_input, read_photo
from pushforward.studio.studio import Studio

__all__ = ["drawing", "example", "open", "photo"]

MOST_TRANSLATED, MOST_ENLARGED = 2, 16
"""Megapixels of a result: a network's maps take hundreds of bytes a pixel; enlargers work in tiles.
"""
LARGEST_SIDE = 1024
"""Of a drawing, pixels."""
SURVEYED = 32
"""Conditions of the data in which colours are looked for."""
MOST_COLOURS, BLURRED = 24, 0.1
"""Colours of a map of classes, and the share of pixels between them, at most."""
LINES: Palette = ((255, 255, 255), (0, 0, 0))
_DRAWN: WeakKeyDictionary[Model, Palette] = WeakKeyDictionary()
"""Colours of drawings for the models of opened runs."""
_ONE_AT_A_TIME = threading.Lock()
"""Noise is switched on in a network while it is used, so uses take turns."""


def open(studio: Studio, request: Request) -> Answer:
    """What a 'run' takes and makes, what is drawn for it, and how many rows of data there are."""
    run = _run(studio, request)
    told, made = _told(run), run.model.fitted_space()
    rows, notes = studio.rows(request.run)
    pairing, colours = pairing_of(told), _colours(run, rows)
    lines = isinstance(pairing, Edges)
    enlarges = isinstance(run.model, Enlarger)
    return Answer(
        {
            "enlarges": run.model.factor if enlarges else 0,
            "takes": list(told.shape),
            "makes": list(made.shape),
            "derives": "" if pairing is None else str(pairing.name),
            "derive": pairing is not None and not pairing.halves and not enlarges,
            "noisy": not enlarges and bool(getattr(run.model, "dropout", True)),
            "colours": [(list(c) * 3)[:3] for c in (LINES if lines else colours)],
            "lines": lines,
            "rows": 0 if rows is None or rows.y is None else len(rows.x),
            "notes": list(notes),
        }
    )


def photo(studio: Studio, request: Request) -> Answer:
    """The attached picture of a 'name', and what a run makes of it.

    'derive' makes the condition of it first, 'size' is 'model' or 'own' with a 'fit', and 'seed'
    is of the noise, which 'mean' leaves out.
    """
    run, content = _run(studio, request), request.content
    name = contents.text(content, "name", "the picture") or "the picture"
    head = check_picture(request.attached, name)
    several = "it holds several frames or pages, of which the first is taken"
    notes = [several] if head.frames else []
    derive = contents.switch(content, "derive")
    if isinstance(run.model, Enlarger) and not derive:
        answer = _enlarged(run.model, request.attached, name, (head.height, head.width))
    else:
        inputs = _inputs(run, content, derive, (head.height, head.width))
        height, width = inputs.size or (head.height, head.width)
        _refuse_large(height * width, MOST_TRANSLATED)
        y = read_input(request.attached, name, inputs)
        answer = _translated(run, y, content)
    before = {"before": [head.height, head.width], "notes": notes}
    return Answer({**answer.content, **before}, answer.arrays)


def drawing(studio: Studio, request: Request) -> Answer:
    """What a run makes of a drawing: attached numbers of colours, one byte a pixel, 'height' by
    'width'.
    """
    run, content = _run(studio, request), request.content
    rows, _ = studio.rows(request.run)
    colours = _colours(run, rows)
    if not colours:
        raise InvalidKind("this run is told photographs, which cannot be drawn; choose a photo")
    number = _numbers(request.attached, content, len(colours))
    return _translated(run, _painted(number, colours, _told(run)), content)


def example(studio: Studio, request: Request) -> Answer:
    """Row 'number' of the data: what the run is told of it, what it makes, and what it was; and the
    drawing that it could have been.
    """
    run, content = _run(studio, request), request.content
    rows, notes = studio.rows(request.run)
    if rows is None or rows.y is None:
        raise BadRun(f"the rows this run was fitted to cannot be found ({'; '.join(notes)})")
    number = contents.whole(content, "number", 0, len(rows.x) - 1, 0)
    answer = _translated(run, rows.y[number], content)
    arrays = dict(answer.arrays)
    arrays["target"] = as_pixels(rows.x[number][None], run.model.fitted_space())
    colours = _colours(run, rows)
    if colours:
        arrays["drawing"] = _classes(rows.y[number], colours, _told(run)).to(torch.uint8)
    return Answer({**answer.content, "number": number}, arrays)


# ------------------------------------------------------------------------------------------- runs


def _run(studio: Studio, request: Request) -> OpenedRun:
    run = studio.open(request.run)
    run.need("translates no images", "Translates")
    return run


def _told(run: OpenedRun) -> Space:
    """The space of what a model is told."""
    space: Space | None = run.model.condition_space
    if space is None or space.kind != "images":
        raise InvalidKind(f"this room translates images, but this model is told {space}")
    return space


def _inputs(
    run: OpenedRun, content: Mapping[str, Any], derive: bool, sides: tuple[int, int]
) -> ImageInputs:
    """How a picture of these sides is read, as `pushforward translate` reads it.

    Enlargers are told a reduced picture, so that it is cut to a multiple of their factor.
    """
    told, made = _told(run), run.model.fitted_space()
    pairing: Pairing | None = pairing_to_derive(told) if derive else None
    fit: Any = contents.choice(content, "fit", ("crop", "pad", "stretch"), "crop")
    own = contents.choice(content, "size", ("model", "own"), "model") == "own"
    high, wide = (made if derive else told).shape[1:]
    size = None if own or high is None or wide is None else (high, wide)
    if own and isinstance(run.model, Enlarger):
        times = run.model.factor
        size = sides[0] // times * times or times, sides[1] // times * times or times
    if pairing is not None:
        return ImageInputs.deriving(made, pairing, size, fit)
    return ImageInputs(told, size, fit)


# ---------------------------------------------------------------------------------------- results


def _translated(run: OpenedRun, y: Tensor, content: Mapping[str, Any]) -> Answer:
    """What a model makes of one condition (c, h, w), beside it."""
    how: dict[str, Any] = {"using": "mean"} if contents.switch(content, "mean") else {}
    seed = contents.whole(content, "seed", 0, 2**31, 0)
    model = cast(Translates, run.model)
    x, seconds = _timed(lambda: cast(Tensor, model.translate(y, rng=seed, **how)))
    told = _shown(y, _told(run))
    return _answer(told, as_pixels(x[None], run.model.fitted_space()), seconds)


def _enlarged(model: Enlarger, data: bytes, name: str, sides: tuple[int, int]) -> Answer:
    """A photo enlarged in its own channels, beside it."""
    _refuse_large(sides[0] * sides[1] * model.factor**2, MOST_ENLARGED)
    levels = read_photo(data, name)
    made, seconds = _timed(lambda: enlarge_levels(model, levels))
    return _answer(as_rgba(levels), as_rgba(made), seconds)


def _answer(told: Tensor, made: Tensor, seconds: float) -> Answer:
    facts = {"milliseconds": round(1000 * seconds), "after": list(made.shape[1:3])}
    return Answer(facts, {"input": told, "output": made})


def _timed(make: Callable[[], Tensor]) -> tuple[Tensor, float]:
    with _ONE_AT_A_TIME:
        began = time.perf_counter()
        return make(), time.perf_counter() - began


def _shown(y: Tensor, told: Space) -> Tensor:
    """A condition as a picture: classes in their colours, without a channel of what is hidden."""
    palette = told.extra.get("palette")
    if palette and told.extra.get("planes"):
        colours = torch.tensor(named_palette(palette), dtype=torch.float64)
        return as_rgba(paint(y.argmax(0)[None], colours)[0].to(torch.uint8))
    return as_pixels(y[None, : 3 if len(y) > 2 else 1], told)


def _refuse_large(pixels: int, most: int) -> None:
    if pixels > most * 1_000_000:
        raise BadSource(
            f"the result would have {pixels / 1e6:.0f} megapixels, and the studio makes at most"
            f" {most}; bring the picture to the model's size, or shrink it first"
        )


# --------------------------------------------------------------------------------------- drawings


def _colours(run: OpenedRun, rows: LabelledRows | None) -> Palette:
    """The colours of drawings as the model is told them; none if its conditions are photographs.

    Outlines are told in white on black, and drawn in black on white.
    """
    model: Model = run.model
    if model not in _DRAWN:
        told = _told(run)
        known = told.extra.get("palette")
        lines = isinstance(pairing_of(told), Edges)
        found = () if known or lines else _found(told, rows)
        _DRAWN[model] = named_palette(known) if known else LINES[::-1] if lines else found
    return _DRAWN[model]


def _found(told: Space, rows: LabelledRows | None) -> Palette:
    """The few colours of conditions that are maps of classes without being known as such."""
    pairing = pairing_of(told)
    if rows is None or rows.y is None or (pairing is not None and not pairing.halves):
        return ()
    y = rows.y[:SURVEYED].to(torch.float64)
    try:
        palette = find_palette(y, told.low, told.high)
    except BadSource:
        return ()
    span = told.high - told.low
    blurred = share_between(y, scaled_palette(palette, told.low, told.high), span)
    return palette if len(palette) <= MOST_COLOURS and blurred <= BLURRED else ()


def _numbers(data: bytes, content: Mapping[str, Any], colours: int) -> Tensor:
    """Numbers of colours (h, w)."""
    height, width = (contents.whole(content, n, 1, LARGEST_SIDE, None) for n in ("height", "width"))
    if len(data) != height * width:
        raise InvalidValue(
            f"a drawing of {height}x{width} has {height * width} bytes, got {len(data)}"
        )
    number = torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(height, width)
    if int(number.max()) >= colours:
        raise InvalidValue(f"the colours of a drawing are numbered 0 to {colours - 1}")
    return number.to(torch.int64)


def _painted(number: Tensor, colours: Sequence[Sequence[int]], told: Space) -> Tensor:
    """A drawing as a condition (c, h, w)."""
    levels = paint(number[None], torch.tensor(colours, dtype=torch.float64))[0]
    return ImageInputs(told).levels(levels[: image_channels(told)].to(torch.uint8).numpy())


def _classes(y: Tensor, colours: Palette, told: Space) -> Tensor:
    """The numbers (h, w) of the colours of a condition (c, h, w)."""
    if told.extra.get("planes"):
        return y.argmax(0)
    scaled = scaled_palette(colours, told.low, told.high)[:, : len(y)]
    return nearest_colour(y[None].to(torch.float64), scaled)[0][0]
