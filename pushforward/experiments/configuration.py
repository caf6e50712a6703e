"""The configuration of a fit: defaults < file < environment (PUSHFORWARD_*) < flags.

The file is TOML, or the `run.json` of a run, which holds every setting with the value it had.
"""

from __future__ import annotations

import math
import os
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pushforward.core.argument_names import as_text
from pushforward.core.budgets import BUDGETS
from pushforward.core.errors import BadRun, BadSource, InvalidValue, suggest
from pushforward.core.folders import read_file
from pushforward.core.learner import Learner
from pushforward.core.manifest import Manifest
from pushforward.core.model import Model
from pushforward.core.registry import registered_models
from pushforward.core.source import Source
from pushforward.core.stream import Stream
from pushforward.experiments.experiment import Experiment
from pushforward.experiments.resuming import build_model
from pushforward.experiments.sections import sections
from pushforward.experiments.settings import PREFIX, Setting, settings_of

__all__ = ["SECTIONS", "Configuration", "lines_of", "read_settings", "resolve"]

MOST_TOML = 1 << 24
"""Bytes of a configuration that are read: 16 MB, far more than a hand writes."""
NAME = "run.json"
OTHER_VARIABLES = tuple(PREFIX + name for name in ("CACHE", "DATA", "DEBUG", "RUN", "SOURCE"))
"""Variables of the package that are no settings of a model."""
SECTIONS = ("hyperparameters", "fitting", "data")
NOT_READ = ("held_out", "split_seed", "dequantise", "label")
"""Settings of the data that are not arguments of `read`."""


@dataclass(frozen=True)
class Configuration:
    """Everything that shapes a fit.

    Args:
        model, source: what is fitted to what.
        hyperparameters, fitting, data: values by name, defaults included.
        origins: where those that are not defaults came from: 'file', 'environment' or 'flag'.
    """

    model: str
    source: str
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    fitting: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    def with_values(self, section: str, **values: Any) -> Configuration:
        """The same with some values of a section changed."""
        return replace(self, **{section: {**getattr(self, section), **values}})  # type: ignore[arg-type]

    def lines(self) -> list[tuple[str, str]]:
        """A short form to print: a heading and the settings.

        Those that differ from the defaults are marked with their origin.
        """
        found = [("model", self.model), ("source", self.source)]
        for section in SECTIONS:
            shown = []
            for name, value in getattr(self, section).items():
                if value is None or value == [] or value == ():
                    continue
                origin = self.origins.get(name, "")
                shown.append(
                    f"{name}={as_text(value)}" + (f" ({origin})" if origin == "environment" else "")
                )
            found.append((section, "  ".join(shown)))
        return found

    def build(self, cls: type[Model]) -> Model:
        """The model with these hyper-parameters."""
        return build_model(self.model, cls, self.hyperparameters)

    def experiment(self, model: Model, command: str = "") -> Experiment:
        """The experiment that this describes; `command` is kept with the run."""
        reading = {
            name: value
            for name, value in self.data.items()
            if name not in NOT_READ and value not in (None, [], ())
        }
        fitting = dict(self.fitting)
        start = fitting.pop("start", None)
        if hasattr(model, "phases"):
            fitting = _trainer_settings(model, fitting)
        else:
            fitting = {name: value for name, value in fitting.items() if value is not None}
        return Experiment(
            model,
            self.source,
            y=self.data.get("label"),
            reading=reading,
            held_out=self.data.get("held_out") or 0,
            split_seed=int(self.data.get("split_seed") or 0),
            dequantise=self.data.get("dequantise"),
            fitter=fitting,
            start=start,
            command=command,
        )

    def suited(self, model: Model, rows: Source) -> tuple[Configuration, list[tuple[str, str]]]:
        """With what suits the rows where nobody has chosen, and lines that say so.

        A run that starts from another's weights keeps its own settings.
        """
        if not isinstance(model, Learner) or self.fitting.get("start"):
            return self, []
        length = rows.known_length if isinstance(rows, Stream) else len(rows)
        if length is None:
            return self, []
        share = self.data.get("held_out") or 0
        train = length - (math.ceil(share * length) if share < 1 else int(share))
        chosen, lines = self, []
        for suited in model.suited(rows.space, train, rows.condition_space):
            if set(suited.unless) & set(self.origins):
                continue
            left = {n: _plain(v) for n, v in suited.settings.items() if self._is_open(n)}
            if left:
                chosen = chosen._with_chosen(left)
                shown = ", ".join(f"{name}={as_text(value)}" for name, value in left.items())
                lines.append(("chosen", f"{shown}: {suited.reason}; flags change each"))
        return chosen, lines

    def _is_open(self, name: str) -> bool:
        """Whether nobody has chosen a setting, or for a budget, any budget."""
        chosen = BUDGETS if name in BUDGETS else (name,)
        return not set(chosen) & set(self.origins)

    def _with_chosen(self, values: Mapping[str, Any]) -> Configuration:
        """The same with values in the sections that have them; one budget replaces another."""
        if set(values) & set(BUDGETS):
            values = {**dict.fromkeys(set(BUDGETS) & set(self.fitting)), **values}
        parts = {
            s: {n: v for n, v in values.items() if n in getattr(self, s)}
            for s in ("hyperparameters", "fitting")
        }
        return replace(self, **{s: {**getattr(self, s), **part} for s, part in parts.items()})  # type: ignore[arg-type]

    def with_dequantising(
        self, experiment: Experiment, rows: Source
    ) -> tuple[Experiment, Configuration]:
        """Both with dequantising decided by the model for these rows, if it was left open."""
        if self.data.get("dequantise") is not None:
            return experiment, self
        dequantise = experiment.model.dequantises(rows.space)
        return (
            replace(experiment, dequantise=dequantise),
            self.with_values("data", dequantise=dequantise),
        )

    def adds_noise_by_default(self, model: Model) -> bool:
        """Whether a classical model's rows are dequantised because nobody said otherwise."""
        is_explicit = "dequantise" in self.origins
        return bool(self.data["dequantise"]) and not is_explicit and not hasattr(model, "phases")

    def as_dict(self) -> dict[str, Any]:
        """Plain content."""
        return {
            "model": self.model,
            "source": self.source,
            **{s: dict(getattr(self, s)) for s in SECTIONS},
        }


def lines_of(manifest: Manifest, budget: Mapping[str, float]) -> list[tuple[str, str]]:
    """The settings of a run to print, with a new budget in place of its own if there is one."""
    content = sections(manifest)
    fitting = {k: v for k, v in content["fitting"].items() if not (budget and k in BUDGETS)} | dict(
        budget
    )
    configuration = Configuration(
        manifest.model,
        content.get("source", ""),
        content["hyperparameters"],
        fitting,
        content["data"],
    )
    return configuration.lines()


def resolve(
    model: str,
    source: str,
    settings: Sequence[Setting],
    *,
    typed: Mapping[str, Any],
    sets: Sequence[str] = (),
    file: Mapping[str, Any] | None = None,
) -> Configuration:
    """The configuration from all places; `typed` holds flags, `sets` texts
    'name=value'.
    """
    values: dict[str, Any] = {setting.name: _plain(setting.default) for setting in settings}
    known = {setting.name: setting for setting in settings}
    origins: dict[str, str] = {}
    for name, value in _from_file(file or {}, known).items():
        values[name], origins[name] = known[name].read(value, "the config file: "), "file"
    _warn_of_unknown_variables(settings)
    for setting in settings:
        text = os.environ.get(setting.variable)
        if text is not None:
            values[setting.name] = setting.read(text, f"{setting.variable}: ")
            origins[setting.name] = "environment"
    for name, value in {**_from_sets(sets, known), **typed}.items():
        values[name], origins[name] = known[name].read(value), "flag"
    _one_budget(values, origins)
    by_section = {s: {f.name: values[f.name] for f in settings if f.section == s} for s in SECTIONS}
    return Configuration(model, source, **by_section, origins=origins)


def _warn_of_unknown_variables(settings: Sequence[Setting]) -> None:
    """Warn of each variable PUSHFORWARD_… that is no setting of this model, nor of another."""
    expected = {*(setting.variable for setting in settings), *OTHER_VARIABLES}
    unknown = {name for name in os.environ if name.startswith(PREFIX)} - expected
    if unknown:  # reading the settings of every model takes a second
        models = (cls for _, cls in registered_models())
        unknown -= {setting.variable for cls in models for setting in settings_of(cls)}
    for name in sorted(unknown):
        near = suggest(name, expected)
        advice = near if near.startswith("did you mean") else "unset it"
        warnings.warn(f"the environment variable {name} is no setting; {advice}", stacklevel=3)


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings in a TOML file, or those of a run: its folder or its run.json.

    Raises:
        BadSource: For anything else.
    """
    found = Path(path)
    try:
        if not found.exists():
            raise BadSource(
                f"{path}: no such config file; expected a TOML file, or the run.json of a run"
            )
        if found.is_dir() or found.name == NAME:
            return _of_run(found if found.is_dir() else found.parent)
        return tomllib.loads(read_file(found, MOST_TOML).decode())
    except BadRun as error:
        raise BadSource(f"{error}; pass a TOML file, or the run.json of a run") from error
    except BadSource:
        raise
    except (OSError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise BadSource(
            f"{path}: cannot be read as TOML ({reason}); write lines such as epochs = 20"
        ) from error


def _of_run(folder: Path) -> dict[str, Any]:
    manifest = Manifest.read(folder)
    if manifest is None:
        raise BadRun(f"{folder} holds no run.json")
    return {**sections(manifest), "of a run": True}


def _plain(default: Any) -> Any:
    """A default as TOML can hold it: values as their texts."""
    if isinstance(default, (list, tuple)):
        return [_plain(v) for v in default]
    if isinstance(default, Mapping):
        return [f"{k}={_plain(v)}" for k, v in default.items()]
    return (
        default if default is None or isinstance(default, (bool, int, float, str)) else str(default)
    )


def _from_file(content: Mapping[str, Any], known: Mapping[str, Setting]) -> dict[str, Any]:
    """Values by name, from sections or from the top."""
    found: dict[str, Any] = {}
    if content.get("of a run"):  # settings of fitters and readers that no flag has are passed over
        return {
            n: v
            for s in SECTIONS
            for n, v in content[s].items()
            if n in known and known[n].section == s
        }
    for key, value in content.items():
        if key in ("model", "source"):
            continue
        if isinstance(value, Mapping):
            if key not in SECTIONS:
                raise InvalidValue(
                    f"the config file has an unknown section [{key}]; {suggest(key, SECTIONS)}"
                )
            for name, inner in value.items():
                found[_known(name, known, "the config file", key)] = inner
        else:
            found[_known(key, known, "the config file")] = value
    return found


def _from_sets(sets: Sequence[str], known: Mapping[str, Setting]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidValue(f"--set {text!r} must be name=value; write --set latent=10, say")
        section, _, leaf = name.strip().rpartition(".")
        found[_known(leaf.replace("-", "_"), known, "--set", section)] = value
    return found


def _known(name: str, known: Mapping[str, Setting], where: str, section: str = "") -> str:
    if name not in known or (section and known[name].section != section):
        names = [n for n, setting in known.items() if not section or setting.section == section]
        raise InvalidValue(f"{where}: unknown setting {name!r}; {suggest(name, names)}")
    return name


def _one_budget(values: dict[str, Any], origins: Mapping[str, str]) -> None:
    """A budget given in one unit replaces a default, or one from a weaker place, in another."""
    strength = {"": 0, "file": 1, "environment": 2, "flag": 3}
    budgets = [n for n in BUDGETS if n in values]
    strongest = max(
        (strength[origins.get(n, "")] for n in budgets if values[n] is not None), default=0
    )
    for name in budgets:
        if strength[origins.get(name, "")] < strongest:
            values[name] = None


# -------------------------------------------------------------------------------------- experiment


def _trainer_settings(model: Model, fitting: Mapping[str, Any]) -> dict[str, Any]:
    """The Trainer's arguments for the texts of flags."""
    arguments = dict(fitting)
    arguments["optimizers"] = _by_phase(arguments.pop("optimizer", []), model, "--optimizer")
    schedule = arguments.pop("schedule", None) or ["constant"]
    arguments["schedule"] = (
        _by_phase(schedule, model, "--schedule")
        if len(schedule) > 1 or _phase_of(schedule[0])
        else schedule[0]
    )
    return arguments


def _phase_of(text: str) -> str:
    name, equals, _ = text.partition("=")
    return name.strip() if equals and "(" not in name else ""


def _by_phase(texts: Sequence[str], model: Model, flag: str) -> dict[str, str]:
    """{'critic': 'adam(rate=1e-4)'} from 'critic=adam(rate=1e-4)'.

    A text without a phase is for all of them.
    """
    names = [phase.name for phase in model.phases()]  # type: ignore[operator]
    texts_by_phase: dict[str, str] = {}
    for text in texts:
        phase = _phase_of(text)
        if phase and phase not in names:
            raise InvalidValue(
                f"{flag} {text}: there is no phase {phase!r}; {suggest(phase, names)}"
            )
        value = text.partition("=")[2] if phase else text
        texts_by_phase.update(dict.fromkeys([phase] if phase else names, value))
    return texts_by_phase
