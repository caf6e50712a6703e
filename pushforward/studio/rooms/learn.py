"""Learn: a fit that one watches, holds, steps, slows and changes while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes, Encodes, HasCentres, Samples
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.core.space import Space
from pushforward.studio import contents
from pushforward.studio.canvas import as_pixels
from pushforward.studio.comparison import spread_rows
from pushforward.studio.fit_requests import (
    BUILTIN,
    describe_models,
    find_data,
    make_experiment,
    rates_of,
)
from pushforward.studio.layers import draw_layers, layers_of
from pushforward.studio.live_fit import LiveFit
from pushforward.studio.messages import Answer, Request
from pushforward.studio.studio import Studio
from pushforward.studio.uploads import read_upload

__all__ = [
    "back", "change", "control", "data", "keep", "look", "models", "recall", "rejoin", "start",
    "stop",
]  # fmt: skip

SHOWN = 25
"""Images shown."""
SLOWEST = 5.0
"""Seconds between steps at most, so that a fit answers."""


def models(studio: Studio, request: Request) -> Answer:
    """Models that learn step by step, with their settings, and the built-in data."""
    return Answer({"models": describe_models(), "data": list(BUILTIN)})


def data(studio: Studio, request: Request) -> Answer:
    """Keep attached 'files' (each with 'name' and 'bytes'): a table, or images brought to a 'side'
    in 'colours'; say what they hold, and by which 'upload' they are called.
    """
    upload = read_upload(request.attached, request.content)
    studio.uploads.keep(upload)
    return _described_upload(studio, upload.name, [])


def recall(studio: Studio, request: Request) -> Answer:
    """What an 'upload' holds, and how much of it is complete in two 'columns'."""
    columns = request.content.get("columns", [])
    if not isinstance(columns, list):
        raise InvalidKind(f"columns must be names, got {columns!r}")
    return _described_upload(studio, contents.text(request.content, "upload"), columns)


def start(studio: Studio, request: Request) -> Answer:
    """Begin a fit: 'model', 'settings' (texts by name), learning 'rates' by phase, 'data', whether
    it is 'paused', and seconds to wait before each step, its 'pace'.
    """
    content = request.content
    paused, pace = contents.switch(content, "paused"), _pace(contents.number(content, "pace", 0.0))
    rows = find_data(studio, content.get("data"))  # once: an upload may be gone later
    fit = LiveFit(lambda: make_experiment(content, rows), paused=paused, pace=pace)
    return _welcome(studio, fit)


def look(studio: Studio, request: Request) -> Answer:
    """Layers of a 'fit' by 'layers', its reports from number 'since' on, and how it stands."""
    fit = studio.fit(contents.text(request.content, "fit"))
    since = contents.whole(request.content, "since", 0, 2**31, 0)
    names = request.content.get("layers", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidKind(f"layers must be names, got {names!r}")
    arrays = fit.visit(lambda model: _seen(fit, model, names))
    reports = fit.reports[since:]
    seen = {"measures": fit.measured[-1]} if fit.measured else {}
    return Answer({**fit.status(), **seen, "reports": reports, "since": since}, arrays)


def control(studio: Studio, request: Request) -> Answer:
    """'pause', 'proceed', 'step' (some 'steps' of some 'phases') or 'slow' (by 'seconds') a fit."""
    content = request.content
    fit = studio.fit(contents.text(content, "fit"))
    action = contents.choice(content, "action", ("pause", "proceed", "step", "slow"))
    if action == "pause":
        fit.controls.pause()
    elif action == "proceed":
        fit.controls.proceed()
    elif action == "slow":
        fit.slow(_pace(contents.number(content, "seconds")))
    else:
        steps = contents.whole(content, "steps", 1, 10_000, 1)
        fit.controls.step(steps, _phases(fit, content.get("phases")))
    return Answer(fit.status())


def keep(studio: Studio, request: Request) -> Answer:
    """Keep a checkpoint of a fit."""
    fit = studio.fit(contents.text(request.content, "fit"))
    fit.keep()
    return Answer(fit.status())


def back(studio: Studio, request: Request) -> Answer:
    """Continue from checkpoint 'number'."""
    fit = studio.fit(contents.text(request.content, "fit"))
    number = contents.whole(request.content, "number", 0, 1000, None)
    return _replace(studio, fit, fit.continued(number))


def change(studio: Studio, request: Request) -> Answer:
    """Continue with other 'settings' and 'rates', and other 'data' if there are any, from the
    weights of now; optimisers start afresh.
    """
    fit, content = studio.fit(contents.text(request.content, "fit")), request.content
    if not isinstance(fit.model, Learner):
        raise InvalidKind("models fitted by passes have no weights to continue from; start again")
    rows = find_data(studio, content["data"]) if "data" in content else fit.experiment.source
    fit.keep()
    last = len(fit.checkpoints) - 1
    following = fit.continued(last, lambda: make_experiment(content, rows))
    return _replace(studio, fit, following)


def rejoin(studio: Studio, request: Request) -> Answer:
    """A fit that goes on, for a page that was loaded again."""
    return _described_fit(studio.fit(contents.text(request.content, "fit")))


def stop(studio: Studio, request: Request) -> Answer:
    """End a fit and forget it."""
    studio.drop(contents.text(request.content, "fit"))
    return Answer()


# ------------------------------------------------------------------------------------ the beginning


def _described_upload(studio: Studio, name: str, columns: Sequence[str]) -> Answer:
    upload = studio.uploads.find(name)
    if upload.kind == "table":
        chosen = list(columns) or upload.first_columns()
        facts = {"chosen": chosen, "left_out": upload.left_out(chosen)}
        return Answer({**upload.described(), **facts})
    return Answer(upload.described(), {"images": as_pixels(upload.rows[:8], upload.space)})


def _welcome(studio: Studio, fit: LiveFit, instead_of: str = "") -> Answer:
    """Keep a new fit, once it has begun."""
    try:
        answer = _described_fit(fit)
        studio.add(fit, instead_of)
    except Exception:
        fit.stop()
        raise
    return answer


def _described_fit(fit: LiveFit) -> Answer:
    """What a page needs to know of a fit, with some of its data."""
    space = fit.source.space
    if space.kind == "points" and space.size != 2:
        raise InvalidKind(f"the studio draws points of two columns, got {space}")
    # the visit raises what kept the fit from beginning
    phases, rates, layers = fit.visit(
        lambda model: (_phase_names(model), rates_of(model, fit.experiment), _layers(fit, model))
    )
    content = {
        "fit": fit.name,
        "kind": space.kind,
        "phases": phases,
        "rates": rates,
        "rows": len(fit.source),
        "layers": layers,
        "measured": fit.measured,
        **fit.status(),
    }
    if space.kind != "points":
        rows = spread_rows(fit.source, SHOWN)
        return Answer(content, {"data": as_pixels(rows, space)})
    comparison = fit.comparison
    content |= {
        "names": list(space.names),
        "low": comparison.plane.low.tolist(),
        "high": comparison.plane.high.tolist(),
        "compared": comparison.compared,
        "floor": comparison.floor,
    }
    return Answer(content, {"data": comparison.shown})


def _replace(studio: Studio, old: LiveFit, new: LiveFit) -> Answer:
    """Keep a new fit in the place of an old one, which goes on if the new one cannot begin."""
    return _welcome(studio, new, old.name)


def _pace(seconds: float) -> float:
    if seconds < 0:
        raise InvalidValue(f"a pace is in seconds and must not be negative, got {seconds}")
    return min(SLOWEST, seconds)


def _layers(fit: LiveFit, model: Model) -> list[str]:
    is_planar = fit.source.space.kind == "points"
    return layers_of(model, fit.comparison.shown) if is_planar else []


def _phase_names(model: Model) -> list[str]:
    return [phase.name for phase in model.phases()] if isinstance(model, Learner) else []


def _phases(fit: LiveFit, names: object) -> Sequence[str] | None:
    """The phases to play; all for None or an empty list."""
    if not names:
        return None
    known = _phase_names(fit.model)
    if not isinstance(names, list) or not all(name in known for name in names):
        raise InvalidValue(f"phases of this model are {', '.join(known)}, got {names!r}")
    return names


# ------------------------------------------------------------------------------------------ looking


def _seen(fit: LiveFit, model: Model, names: Sequence[str]) -> dict[str, Tensor]:
    """Arrays of a model, which is measured too if it is of points."""
    space: Space = fit.source.space
    if space.kind != "points":
        return _images(model, space, fit)
    fit.measure(model)
    return draw_layers(model, fit.comparison.plane, fit.comparison.shown, names)


def _images(model: Model, space: Space, fit: LiveFit) -> dict[str, Tensor]:
    """Samples, always of the same codes; data encoded and decoded; centres of clusters."""
    found: dict[str, Tensor] = {}
    if isinstance(model, Samples):
        found["images"] = model.sample(SHOWN, rng=0)
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        rows = spread_rows(fit.source, SHOWN)
        found["rebuilt"] = cast(Decodes, model).decode(model.encode(rows))
    if isinstance(model, HasCentres):
        found["centres"] = model.centres()[:SHOWN]
    finite = {name: torch.nan_to_num(x) for name, x in found.items()}
    return {name: as_pixels(x, space) for name, x in finite.items()}
