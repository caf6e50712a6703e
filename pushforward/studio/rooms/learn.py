"""Learn: a fit that one watches, holds, steps, slows and changes while it goes on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pushforward.core.argument_names import as_text
from pushforward.core.capabilities import Samples
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.core.registry import model_class, registered_models
from pushforward.core.space import Space
from pushforward.data.formats.builtin import centres
from pushforward.experiments.configuration import resolve
from pushforward.experiments.experiment import Experiment
from pushforward.experiments.settings import Setting, settings_of
from pushforward.fitting.protocols import Iterative
from pushforward.metrics.modes import modes
from pushforward.objectives.distances import energy_distance
from pushforward.studio import contents
from pushforward.studio.canvas import as_pixels
from pushforward.studio.layers import Plane, draw_layers, layers_of
from pushforward.studio.live_fit import LiveFit
from pushforward.studio.messages import Answer, Request
from pushforward.studio.studio import Studio

__all__ = ["back", "change", "control", "keep", "look", "models", "rejoin", "start", "stop"]

FIRST = ("gan", "vae", "gmm", "kmeans", "autoencoder")
"""Models at the head of the list."""
BUILTIN = ("ring", "grid", "moons", "swissroll", "digits")
SPREADS = {"ring": 0.01, "grid": 0.05}
"""Standard deviations of the modes of data whose modes are known."""
FITTING = (
    "epochs", "steps", "tolerance", "batch", "optimizer", "schedule", "clip", "ema", "augment",
    "seed",
)  # fmt: skip
"""Settings of a fit that the page offers; the others are for runs."""
STEPS = 20_000
"""Steps of a fit that is watched: about as long as one watches."""
COMPARED, DATA_SHOWN = 1000, 2000
"""Rows that samples are compared with at each look, and that are drawn."""
SHOWN, DRAWN = 25, 20_000
"""Images shown, and points of a drawing at most."""


def models(studio: Studio, request: Request) -> Answer:
    """Models that learn step by step, with their settings."""
    able = {
        name: cls
        for name, cls in registered_models()
        if issubclass(cls, Learner) or isinstance(cls(), Iterative)
    }
    names = [*(n for n in FIRST if n in able), *(n for n in able if n not in FIRST)]
    found = []
    for name in names:
        summary = (inspect.getdoc(able[name]) or "").partition("\n\n")[0].replace("\n", " ")
        settings = [_described(setting) for setting in _settings(able[name])]
        found.append({"name": name, "summary": summary, "settings": settings})
    return Answer({"models": found, "data": list(BUILTIN)})


def start(studio: Studio, request: Request) -> Answer:
    """Begin a fit: 'model', 'settings' (texts by name), 'data', and whether it is 'paused'."""
    content = request.content
    fit = LiveFit(lambda: _experiment(content), paused=contents.switch(content, "paused"))
    return _welcome(studio, fit)


def look(studio: Studio, request: Request) -> Answer:
    """Layers of a 'fit' by 'layers', its reports from number 'since' on, and how it stands."""
    fit = studio.fit(contents.text(request.content, "fit"))
    since = contents.whole(request.content, "since", 0, 2**31, 0)
    names = request.content.get("layers", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidKind(f"layers must be names, got {names!r}")
    arrays, facts = fit.visit(lambda model: _seen(fit, model, names))
    reports = fit.reports[since:]
    return Answer({**fit.status(), **facts, "reports": reports, "since": since}, arrays)


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
        fit.controls.slow(min(5.0, contents.number(content, "seconds")))
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
    """Continue with other 'settings' from the weights of now; optimisers start afresh."""
    fit = studio.fit(contents.text(request.content, "fit"))
    if not isinstance(fit.model, Learner):
        raise InvalidKind("models fitted by passes have no weights to continue from; start again")
    fit.keep()
    following = fit.continued(len(fit.checkpoints) - 1, lambda: _experiment(request.content))
    return _replace(studio, fit, following)


def rejoin(studio: Studio, request: Request) -> Answer:
    """A fit that goes on, for a page that was loaded again."""
    return _described_fit(studio.fit(contents.text(request.content, "fit")))


def stop(studio: Studio, request: Request) -> Answer:
    """End a fit and forget it."""
    studio.drop(contents.text(request.content, "fit"))
    return Answer()


# ------------------------------------------------------------------------------------ the beginning


def _welcome(studio: Studio, fit: LiveFit) -> Answer:
    """Keep a new fit, once it has begun."""
    try:
        answer = _described_fit(fit)
        studio.add(fit)
    except Exception:
        fit.stop()
        raise
    return answer


def _described_fit(fit: LiveFit) -> Answer:
    """What a page needs to know of a fit, with some of its data."""
    space, rows = fit.source.space, _rows(fit, DATA_SHOWN)
    content: dict[str, Any] = {
        "fit": fit.name,
        "kind": space.kind,
        "phases": _phase_names(fit.model),
        "rows": len(fit.source),
        **fit.status(),
    }
    if space.kind != "points":
        fit.visit(lambda model: None)  # raises what kept the fit from beginning
        return Answer({**content, "layers": []}, {"data": as_pixels(rows[:SHOWN], space)})
    if space.size != 2:
        raise InvalidKind(f"the studio draws points of two columns, got {space}")
    plane = Plane.around(rows)
    content |= {
        "layers": fit.visit(layers_of),
        "names": list(space.names),
        "low": plane.low.tolist(),
        "high": plane.high.tolist(),
    }
    return Answer(content, {"data": rows})


def _replace(studio: Studio, old: LiveFit, new: LiveFit) -> Answer:
    """Keep a new fit in the place of an old one, which goes on if the new one cannot begin."""
    answer = _welcome(studio, new)
    studio.drop(old.name)
    return answer


def _experiment(content: Mapping[str, Any]) -> Experiment:
    model = contents.text(content, "model")
    cls = model_class(model)
    texts = content.get("settings", {})
    if not isinstance(texts, dict):
        raise InvalidKind(f"settings must be texts by name, got {texts!r}")
    known = {setting.name for setting in _settings(cls)}
    unknown = sorted(set(texts) - known)
    if unknown:
        raise InvalidValue(f"there is no setting {unknown[0]!r} of this model; choose another")
    source, name = _data(content.get("data"))
    chosen = {name: value for name, value in texts.items() if value != ""}
    if issubclass(cls, Learner) and not {"epochs", "steps"} & set(chosen):
        chosen["steps"] = str(STEPS)
    settings = settings_of(cls)
    configuration = resolve(model, name, settings, typed=chosen)
    experiment = configuration.experiment(configuration.build(cls))
    return replace(experiment, source=source, held_out=0)


def _data(content: object) -> tuple[Any, str]:
    """Rows, and their name."""
    if isinstance(content, dict) and content.get("kind") == "drawn":
        return contents.matrix(content, "points", DRAWN, 2), "drawing"
    if isinstance(content, dict) and content.get("kind") == "built-in":
        return (name := contents.choice(content, "name", BUILTIN)), name
    raise InvalidValue(f"data are built-in or drawn, got {content!r}")


def _settings(cls: type) -> list[Setting]:
    """Hyper-parameters, and the settings of the fit that the page offers."""
    found = settings_of(cls)
    return [s for s in found if s.section == "hyperparameters" or s.name in FITTING]


def _typed(default: object) -> str:
    """A default as one would type it; '' for none."""
    if default is None or default == () or default == []:
        return ""
    if isinstance(default, (list, tuple)):
        return ",".join(_typed(value) for value in default)
    return as_text(default)


def _described(setting: Setting) -> dict[str, Any]:
    return {
        "name": setting.name,
        "section": setting.section,
        "default": _typed(setting.default),
        "help": setting.help,
        "choices": list(setting.choices),
        "switch": setting.is_switch,
    }


def _phase_names(model: Model) -> list[str]:
    return [phase.name for phase in model.phases()] if isinstance(model, Learner) else []


def _phases(fit: LiveFit, names: object) -> Sequence[str] | None:
    """The phases to play; all for None or an empty list."""
    if not names:
        return None
    known = _phase_names(fit.model)
    if not isinstance(names, list) or not set(names) <= set(known):
        raise InvalidValue(f"phases of this model are {', '.join(known)}, got {names!r}")
    return names


# ------------------------------------------------------------------------------------------ looking


def _seen(
    fit: LiveFit, model: Model, names: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Arrays and measures of a model."""
    space: Space = fit.source.space
    if space.kind != "points":
        return _images(model, space), {}
    rows = _rows(fit, COMPARED)
    arrays = draw_layers(model, Plane.around(_rows(fit, DATA_SHOWN)), names)
    if not isinstance(model, Samples):
        return arrays, {}
    samples = model.sample(COMPARED, rng=1)
    facts: dict[str, Any] = {"distance": float(energy_distance(samples, rows.to(samples)))}
    name = fit.experiment.source
    if isinstance(name, str) and name in SPREADS and bool(samples.isfinite().all()):
        covered, good, *_ = modes(samples, centres(name), SPREADS[name])
        facts |= {"modes": covered.value, "of": len(centres(name)), "good": good.value}
    return arrays, facts


def _images(model: Model, space: Space) -> dict[str, Tensor]:
    if not isinstance(model, Samples):
        return {}
    return {"images": as_pixels(model.sample(SHOWN, rng=0), space)}


def _rows(fit: LiveFit, most: int) -> Tensor:
    """Rows of the data, evenly spaced."""
    count = len(fit.source)
    return fit.source.take(torch.arange(0, count, -(-count // most))).x
