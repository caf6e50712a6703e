"""Latent: codes as sliders, as points of a map, along paths and attributes, beside the data."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from pushforward.core.capabilities import Encodes
from pushforward.core.errors import BadRun, InvalidKind, InvalidValue
from pushforward.core.model import Model
from pushforward.core.space import Space
from pushforward.data.export.columns import column_values
from pushforward.data.export.grids import frame_space
from pushforward.data.export.moving import single_clip, write_film
from pushforward.experiments.codes import codes_of
from pushforward.experiments.labelled_rows import LabelledRows
from pushforward.experiments.latent_settings import find_attribute
from pushforward.experiments.opened import OpenedRun
from pushforward.export.change_names import name_changes
from pushforward.latent import decode as decode_codes
from pushforward.latent import direction as find_direction
from pushforward.latent import interpolate, traverse
from pushforward.latent import walk as walk_through
from pushforward.studio import contents
from pushforward.studio.canvas import as_pixels
from pushforward.studio.conditions import chosen_condition, condition_names
from pushforward.studio.messages import Answer, Request
from pushforward.studio.neighbour_map import NeighbourMap
from pushforward.studio.studio import Studio

__all__ = [
    "at", "codes", "decode", "direction", "film", "map", "nearest", "neighbours", "open", "path",
    "walk",
]  # fmt: skip

MOST_CODES = 400
RANKED = 16
"""Samples of the prior by which dimensions are ranked."""
NAMED = 1.5
"""Standard deviations around the centre after whose change a dimension is named, as on pages."""
MAPPED = 2000
"""Rows on the map."""
NEIGHBOURS = 6
STOPS = 20
"""Codes that a walk passes at most."""
EQUAL, CLOSE, FAR = 0.25, 0.75, 1.5
"""Typical distances below which a sample is nearly a row, and close to one; above which it is far
from all.
"""
SPACED = 1000
"""Rows whose distances to their nearest others are typical."""
FRAME_RATE, SEEN = 12.0, 256
"""Frames per second of a film, and pixels of its shorter side at least."""


def open(studio: Studio, request: Request) -> Answer:
    """What the codes of a 'run' are: their number, centre, scale, ranking, and in its order names
    for what each number changes; and conditions.
    """
    run = _run(studio, request)
    space: Space = run.model.fitted_space()
    rows, notes = studio.rows(request.run)
    distribution = studio.distribution(request.run)
    how: dict[str, Any] = {
        "y": chosen_condition(run, request.content),
        "distribution": distribution,
    }
    ranking = traverse(run.model, distribution.draw(RANKED, rng=0), steps=5, **how)
    around = traverse(run.model, steps=3, reach=NAMED, **how).x
    return Answer(
        {
            "latent": distribution.latent,
            "centre": distribution.centre.tolist(),
            "scale": distribution.scale.tolist(),
            "order": ranking.order.tolist(),
            "share": ranking.share.tolist(),
            "changes": name_changes(space, [around[k] for k in ranking.order]),
            "kind": space.kind,
            "names": list(space.names) if space.kind == "points" else [],
            "shape": list(space.shape),
            "conditions": condition_names(run),
            "encodes": isinstance(run.model, Encodes),
            "rows": rows is not None,
            "labels": _label_names(rows),
            "notes": list(notes),
        }
    )


def codes(studio: Studio, request: Request) -> Answer:
    """'n' codes of the prior, drawn with a 'seed'."""
    content = request.content
    n = contents.whole(content, "n", 1, MOST_CODES, 1)
    seed = contents.whole(content, "seed", 0, 2**31, 0)
    return Answer({"codes": studio.distribution(request.run).draw(n, rng=seed).tolist()})


def decode(studio: Studio, request: Request) -> Answer:
    """What 'codes' decode to, under a condition 'y' (a label's number); with 'placed', also the
    place of the first on the map of neighbours.
    """
    run, content = _run(studio, request), request.content
    z = _codes(studio, request, "codes")
    answer = _shown(run, _decoded(run, z, content))
    if not contents.switch(content, "placed"):
        return answer
    place = _neighbour_map(studio, request).place(z[0]).tolist()
    return Answer({**answer.content, "place": place}, answer.arrays)


def at(studio: Studio, request: Request) -> Answer:
    """The code at a 'place' of the map of neighbours, and what it decodes to."""
    run, content = _run(studio, request), request.content
    place = contents.matrix(content, "place", 1, 2)[0]
    z = _neighbour_map(studio, request).code(place).to(run.model.floating())[None]
    answer = _shown(run, _decoded(run, z, content))
    return Answer({**answer.content, "code": z[0].tolist()}, answer.arrays)


def path(studio: Studio, request: Request) -> Answer:
    """What the codes on the way 'from' one code 'to' another decode to, in so many 'steps'."""
    run, content = _run(studio, request), request.content
    between = _between(studio, request)
    answer = _shown(run, _decoded(run, between, content))
    return Answer({**answer.content, "codes": between.tolist()}, answer.arrays)


def walk(studio: Studio, request: Request) -> Answer:
    """What the codes of a walk decode to that passes the codes 'through' and returns, in so many
    'steps' from one to the next.
    """
    run, content = _run(studio, request), request.content
    passed = _walked(studio, request)
    answer = _shown(run, _decoded(run, passed, content))
    return Answer({**answer.content, "codes": passed.tolist()}, answer.arrays)


def film(studio: Studio, request: Request) -> Answer:
    """A walk, or a way and back, as a film: 'format' gif, webp, apng or mp4."""
    run, content = _run(studio, request), request.content
    space: Space = run.model.fitted_space()
    if space.kind != "images":
        raise InvalidKind(f"films are of images, but this model makes {space}")
    suffix = contents.choice(content, "format", ("gif", "webp", "apng", "mp4"), "gif")
    if "through" in content:
        frames = _decoded(run, _walked(studio, request), content)
    else:
        there = _decoded(run, _between(studio, request), content)
        frames = torch.cat([there, there.flip(0)[1:-1]])
    moving = replace(space, kind="clips", shape=tuple(frames.movedim(0, 1).shape))
    stills = single_clip(frames.movedim(0, 1), moving)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"film.{suffix}"
        write_film((_enlarged(still) for still in stills), target, f".{suffix}", FRAME_RATE)
        facts = {"name": f"{run.folder.name}.{suffix}", "type": suffix}
        return Answer(facts, {"file": target.read_bytes()})


def map(studio: Studio, request: Request) -> Answer:
    """Codes of rows in the plane of their two main axes, with labels; 'basis' and 'centre' lead
    from the plane back to codes.
    """
    mapped, facts = _mapped(studio, request)
    z = mapped.to(torch.float64)
    centre = z.mean(0)
    basis = torch.eye(2, dtype=z.dtype) if z.shape[1] == 2 else _main_axes(z - centre)
    return Answer(
        {**facts, "centre": centre.tolist(), "basis": basis.tolist()},
        {"places": (z - centre) @ basis.T},
    )


def neighbours(studio: Studio, request: Request) -> Answer:
    """The same codes on a map that keeps neighbours together; it takes seconds, once."""
    _, facts = _mapped(studio, request)
    return Answer(facts, {"places": _neighbour_map(studio, request).places})


def direction(studio: Studio, request: Request) -> Answer:
    """The direction of a label in latent space: 'positive' against all others."""
    run = _run(studio, request)
    rows = _needed_rows(studio, request)
    labels, wanted, name = find_attribute(rows, contents.text(request.content, "positive"))
    found = find_direction(codes_of(run.model, rows), labels, positive=wanted)
    return Answer({"vector": found.vector.tolist(), "name": name, "accuracy": found.accuracy.value})


def nearest(studio: Studio, request: Request) -> Answer:
    """The rows nearest to what a code decodes to, with their distances per value, and the 'typical'
    distance of a row to its nearest other row, by which to judge them.
    """
    run, content = _run(studio, request), request.content
    rows = _needed_rows(studio, request)
    made = _decoded(run, _codes(studio, request, "codes")[:1], content)
    x = rows.x.to(made).flatten(1)
    distances = (x - made.flatten(1)).square().mean(1).sqrt()
    order = distances.argsort()[:NEIGHBOURS]
    answer = _shown(run, rows.x[order])
    facts = {"distances": distances[order].tolist(), "numbers": order.tolist(), "of": len(x)}
    typical = studio.spacings.get(run.folder, None, lambda: _spacing(x))
    close, verdict = _judge(float(distances[order[0]]), typical)
    judged = {"typical": typical, "close": close, "verdict": verdict}
    return Answer({**answer.content, **facts, **judged}, answer.arrays)


# ---------------------------------------------------------------------------------------------


def _needed_rows(studio: Studio, request: Request) -> LabelledRows:
    rows, notes = studio.rows(request.run)
    if rows is None:
        raise BadRun(f"the rows this run was fitted to cannot be found ({'; '.join(notes)})")
    return rows


def _run(studio: Studio, request: Request) -> OpenedRun:
    run = studio.open(request.run)
    run.need("does not decode codes", "Decodes")
    return run


def _mapped(studio: Studio, request: Request) -> tuple[Tensor, dict[str, Any]]:
    """The codes of maps (n, latent), and their labels, names and notes."""
    run = _run(studio, request)
    rows, notes = studio.rows(request.run)
    labels: list[int] = []
    model: Model = run.model
    if rows is None or not run.can("Encodes"):
        z = studio.distribution(request.run).draw(MAPPED, rng=0)
        notes = (*notes, "codes are draws of the prior, since rows or an encoder are missing")
    else:
        y = None if rows.y is None else rows.y[:MAPPED]
        z = codes_of(model, LabelledRows(rows.x[:MAPPED], y, rows.condition_space))
        if y is not None and _label_names(rows):
            labels = y.reshape(len(z), -1)[:, 0].long().tolist()
    return z, {"labels": labels, "names": _label_names(rows), "notes": list(notes)}


def _neighbour_map(studio: Studio, request: Request) -> NeighbourMap:
    run = _run(studio, request)
    return studio.maps.get(run.folder, run, lambda: NeighbourMap.of(_mapped(studio, request)[0]))


def _spacing(x: Tensor) -> float:
    """The median distance of rows (n, d) to their nearest others, per value; 0 of repeated rows."""
    rows = x.to(torch.float64)
    chosen = torch.arange(0, len(rows), -(-len(rows) // SPACED))
    distances = torch.cdist(rows[chosen], rows)
    distances[torch.arange(len(chosen)), chosen] = torch.inf
    middle: Tensor = distances.amin(1).median()
    return float(middle) / float(rows.shape[1] ** 0.5)


def _judge(distance: float, typical: float) -> tuple[bool, str]:
    """Whether a sample is suspiciously close to its nearest row, and what that means in a sentence.

    Args:
        distance: to the nearest row.
        typical: distance of a row to its nearest other row.
    """
    if typical == 0:
        return False, (
            "At least half of the rows have an equal twin, so that being close to a row says"
            " nothing about memorising."
        )
    times = distance / typical
    measured = f"{times:.2g} times the typical distance from one row to the next"
    if times < EQUAL:
        return True, (
            f"This is nearly a row of the data: {measured}. If random samples come this close, the"
            " model has memorised rows."
        )
    if times < CLOSE:
        return True, (
            f"This is closer to a row than rows are to each other: {measured}. Smooth or blurred"
            " samples often are; sharp ones may be memorised."
        )
    if times <= FAR:
        return False, (
            f"This is as far from its nearest row as rows are from each other: {measured}. It is"
            " no copy."
        )
    return False, (f"This is far from every row: {measured}. It is no copy, and unlike the data.")


def _enlarged(still: Image.Image) -> Image.Image:
    """A small image in larger squares."""
    times = max(1, SEEN // min(still.size))
    return still.resize((still.width * times, still.height * times), Image.Resampling.NEAREST)


def _codes(studio: Studio, request: Request, name: str) -> Tensor:
    width = studio.distribution(request.run).latent
    floating = studio.open(request.run).model.floating()
    return contents.matrix(request.content, name, MOST_CODES, width).to(floating)


def _between(studio: Studio, request: Request) -> Tensor:
    first, last = _codes(studio, request, "from"), _codes(studio, request, "to")
    steps = contents.whole(request.content, "steps", 2, MOST_CODES, 9)
    along: Any = contents.choice(request.content, "along", ("line", "sphere"), "line")
    return interpolate(first[:1], last[:1], steps, along=along)[:, 0]


def _walked(studio: Studio, request: Request) -> Tensor:
    stops = _codes(studio, request, "through")
    if not 2 <= len(stops) <= STOPS:
        raise InvalidValue(f"a walk passes 2 to {STOPS} codes, got {len(stops)}")
    steps = contents.whole(request.content, "steps", 1, MOST_CODES // STOPS, 12)
    along: Any = contents.choice(request.content, "along", ("line", "sphere"), "line")
    return walk_through(stops, steps, along=along)


def _decoded(run: OpenedRun, codes: Tensor, content: Mapping[str, Any]) -> Tensor:
    return decode_codes(run.model, codes, chosen_condition(run, content)).x


def _shown(run: OpenedRun, x: Tensor) -> Answer:
    """Observations, to be drawn or listed."""
    space: Space = run.model.fitted_space()
    if space.kind == "images":
        return Answer({"kind": "images"}, {"images": as_pixels(x, space)})
    if space.kind == "clips":
        frames = x.movedim(2, 1).flatten(0, 1)
        return Answer(
            {"kind": "clips", "frames": x.shape[2]},
            {"images": as_pixels(frames, frame_space(space))},
        )
    return Answer({"kind": "points", "columns": column_values(x, space)})


def _label_names(rows: LabelledRows | None) -> list[str]:
    space = None if rows is None else rows.condition_space
    return list(space.columns[0].categories) if space is not None and space.is_label else []


def _main_axes(z: Tensor) -> Tensor:
    """The two main axes (2, latent) of centred codes; of single numbers, that one and a zero."""
    if z.shape[1] == 1:
        return torch.tensor([[1.0], [0.0]], dtype=z.dtype)
    axes = torch.linalg.svd(z, full_matrices=False).Vh[:2]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    turned: Tensor = axes * largest.sign()
    return turned
