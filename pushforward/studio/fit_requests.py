"""What a page may ask of a fit: models with their settings, and experiments made of texts."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pushforward.core.argument_names import as_text
from pushforward.core.capabilities import Composes, Translates, capabilities
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.learner import Learner
from pushforward.core.model import Model
from pushforward.core.phase import Optimizer, Phase
from pushforward.core.registry import model_class, read, registered_models
from pushforward.experiments.configuration import resolve
from pushforward.experiments.experiment import Experiment
from pushforward.experiments.settings import Setting, settings_of
from pushforward.fitting.protocols import Iterative
from pushforward.studio import contents
from pushforward.studio.studio import Studio

__all__ = ["BUILTIN", "describe_models", "find_data", "make_experiment", "rates_of"]

FIRST = ("gan", "vae", "gmm", "kmeans", "autoencoder")
"""Models at the head of the list."""
BUILTIN = ("ring", "eight_gaussians", "grid", "moons", "swissroll", "digits")
FITTING = (
    "epochs", "steps", "tolerance", "batch", "optimizer", "schedule", "clip", "ema", "augment",
    "seed",
)  # fmt: skip
"""Settings of a fit that the page offers; the others are for runs."""
STEPS = 20_000
"""Steps of a fit that is watched: about as long as one watches."""
DRAWN = 20_000
"""Points of a drawing at most."""


def describe_models() -> list[dict[str, Any]]:
    """Models that learn step by step or pass by pass, with their settings, ready for JSON.

    Those that learn from pairs of images, or from clips, are left out: the room has no such data.
    """
    able = dict(_watchable())
    names = [*(n for n in FIRST if n in able), *(n for n in able if n not in FIRST)]
    found = []
    for name in names:
        summary = (inspect.getdoc(able[name]) or "").partition("\n\n")[0].replace("\n", " ")
        settings = [_described(setting) for setting in _settings(able[name])]
        described = {"name": name, "summary": summary, "settings": settings}
        found.append({**described, "rates": _first_rates(able[name])})
    return found


def make_experiment(content: Mapping[str, Any], source: Any) -> Experiment:
    """The experiment of a request: 'model', 'settings' (texts by name) and 'rates' (learning rates
    by phase), on rows.

    Raises:
        InvalidValue, InvalidKind: For what it does not know.
    """
    model = contents.text(content, "model")
    cls = model_class(model)
    texts = content.get("settings", {})
    if not isinstance(texts, dict):
        raise InvalidKind(f"settings must be texts by name, got {texts!r}")
    known = {setting.name for setting in _settings(cls)}
    unknown = sorted(set(texts) - known)
    if unknown:
        raise InvalidValue(f"there is no setting {unknown[0]!r} of this model; choose another")
    chosen = {name: value for name, value in texts.items() if value != ""}
    if issubclass(cls, Learner) and not {"epochs", "steps"} & set(chosen):
        chosen["steps"] = str(STEPS)
    name = source if isinstance(source, str) else "data"
    configuration = resolve(model, name, settings_of(cls), typed=chosen)
    experiment = configuration.experiment(configuration.build(cls))
    experiment = replace(experiment, source=source, held_out=0)
    return _with_rates(experiment, content.get("rates") or {})


def rates_of(model: Model, experiment: Experiment) -> dict[str, float]:
    """The learning rate of each phase of a fit; none for models without phases."""
    if not isinstance(model, Learner):
        return {}
    optimizers = {p.name: _optimizer(p, experiment) for p in model.phases()}
    return {name: float(o.rate) for name, o in optimizers.items() if hasattr(o, "rate")}


# ---------------------------------------------------------------------------------------- models


def _watchable() -> Iterator[tuple[str, type]]:
    elsewhere = {Translates.__name__, Composes.__name__}
    for name, cls in registered_models():
        steps = issubclass(cls, Learner) or isinstance(cls(), Iterative)
        if steps and not elsewhere & set(capabilities(cls)):
            yield name, cls


def _settings(cls: type) -> list[Setting]:
    """Hyper-parameters, and the settings of the fit that the page offers."""
    found = settings_of(cls)
    return [s for s in found if s.section == "hyperparameters" or s.name in FITTING]


def _first_rates(cls: type) -> dict[str, float]:
    """The learning rates that a model brings, by phase."""
    rates: dict[str, float] = {}
    if issubclass(cls, Learner):
        with suppress(Exception):  # the phases of a user's model may need its networks
            phases = cls().phases()
            rates = {p.name: p.optimizer.rate for p in phases if hasattr(p.optimizer, "rate")}
    return rates


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
        "choices": [] if {int, float} & set(setting.kinds) else list(setting.choices),
        "switch": setting.is_switch,
    }


# ------------------------------------------------------------------------------------------- rates


def _with_rates(experiment: Experiment, rates: object) -> Experiment:
    """The experiment with some learning rates, of the optimisers that it has already."""
    if not isinstance(rates, dict):
        raise InvalidKind(f"rates must be numbers by phase, got {rates!r}")
    if not rates or not isinstance(experiment.model, Learner):
        return experiment
    phases = {phase.name: phase for phase in experiment.model.phases()}
    optimizers = dict(_chosen_optimizers(experiment))
    for name in rates:
        if name not in phases:
            raise InvalidValue(f"phases of this model are {', '.join(phases)}, got {name!r}")
        optimizer = _optimizer(phases[name], experiment)
        if not hasattr(optimizer, "rate"):
            raise InvalidValue(f"the optimiser of {name} ({optimizer}) has no rate")
        optimizers[name] = str(replace(optimizer, rate=contents.number(rates, name)))
    assert isinstance(experiment.fitter, Mapping)  # `resolve` gives settings
    return replace(experiment, fitter={**experiment.fitter, "optimizers": optimizers})


def _chosen_optimizers(experiment: Experiment) -> Mapping[str, Any]:
    fitter = experiment.fitter
    return (fitter.get("optimizers") or {}) if isinstance(fitter, Mapping) else {}


def _optimizer(phase: Phase, experiment: Experiment) -> Any:
    """Of a phase: the one chosen for the fit, or its own."""
    chosen = _chosen_optimizers(experiment).get(phase.name)
    return phase.optimizer if chosen is None else read(Optimizer, chosen)


# ------------------------------------------------------------------------------------------- data


def find_data(studio: Studio, content: object) -> Any:
    """The rows that a page names by 'kind': 'drawn' with 'points'; 'built-in' with a 'name', which
    is returned as it is; or an 'upload' with its two 'columns', if it is a table.

    Raises:
        InvalidValue, InvalidKind: For anything else.
        BadRun: If the upload is gone.
    """
    kind = content.get("kind") if isinstance(content, dict) else None
    if not isinstance(content, dict) or kind not in ("drawn", "built-in", "upload"):
        raise InvalidValue(f"data are built-in or drawn, or an upload, got {content!r}")
    if kind == "drawn":
        return contents.matrix(content, "points", DRAWN, 2)
    if kind == "built-in":
        return contents.choice(content, "name", BUILTIN)
    columns = content.get("columns", [])
    if not isinstance(columns, list):
        raise InvalidKind(f"columns must be names, got {columns!r}")
    return studio.uploads.find(contents.text(content, "upload")).source(columns)
