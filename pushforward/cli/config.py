"""The configuration of a fit: defaults < file < environment (PUSHFORWARD_*) < flags.

The file is TOML, or the `run.json` of a run, which holds every setting with the value it had.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.cli.flags import Flag, as_text
from pushforward.core.budgets import BUDGETS
from pushforward.core.errors import BadRun, BadSource, InvalidValue, suggest
from pushforward.core.folders import read_file

if TYPE_CHECKING:
    from pushforward.core.manifest import Manifest

__all__ = ["SECTIONS", "Config", "lines_of", "read_settings", "resolve"]

MOST_TOML = 1 << 24
NAME = "run.json"
SECTIONS = ("hyperparameters", "fitting", "data")


@dataclass(frozen=True)
class Config:
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

    def with_values(self, section: str, **values: Any) -> Config:
        """The same with some values of a section changed."""
        return replace(self, **{section: {**getattr(self, section), **values}})  # type: ignore[arg-type]

    def lines(self) -> list[tuple[str, str]]:
        """A short form to print: a heading and its settings, those that differ from the defaults
        marked with where they came from.
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

    def as_dict(self) -> dict[str, Any]:
        """Plain content."""
        return {
            "model": self.model,
            "source": self.source,
            **{s: dict(getattr(self, s)) for s in SECTIONS},
        }


def lines_of(manifest: Manifest, budget: Mapping[str, float]) -> list[tuple[str, str]]:
    """The settings of a run to print, with a new budget in place of its own if there is one."""
    from pushforward.experiments.sections import sections

    content = sections(manifest)
    fitting = {k: v for k, v in content["fitting"].items() if not (budget and k in BUDGETS)} | dict(
        budget
    )
    config = Config(
        manifest.model,
        content.get("source", ""),
        content["hyperparameters"],
        fitting,
        content["data"],
    )
    return config.lines()


def resolve(
    model: str,
    source: str,
    flags: Sequence[Flag],
    *,
    given: Mapping[str, Any],
    sets: Sequence[str] = (),
    file: Mapping[str, Any] | None = None,
) -> Config:
    """The configuration from all places; `given` holds flags that were typed,
    `sets` texts 'name=value'.
    """
    values: dict[str, Any] = {flag.name: _plain(flag.default) for flag in flags}
    known = {flag.name: flag for flag in flags}
    origins: dict[str, str] = {}
    for name, value in _from_file(file or {}, known).items():
        values[name], origins[name] = known[name].read(value, "the config file: "), "file"
    for flag in flags:
        if flag.variable in os.environ:
            values[flag.name], origins[flag.name] = (
                flag.read(os.environ[flag.variable], f"{flag.variable}: "),
                "environment",
            )
    for name, value in {**_from_sets(sets, known), **given}.items():
        values[name], origins[name] = known[name].read(value, ""), "flag"
    _one_budget(values, origins)
    by_section = {s: {f.name: values[f.name] for f in flags if f.section == s} for s in SECTIONS}
    return Config(model, source, **by_section, origins=origins)


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
    from pushforward.core.manifest import Manifest
    from pushforward.experiments.sections import sections

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


def _from_file(content: Mapping[str, Any], known: Mapping[str, Flag]) -> dict[str, Any]:
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


def _from_sets(sets: Sequence[str], known: Mapping[str, Flag]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidValue(f"--set {text!r} must be name=value; write --set latent=10, say")
        section, _, leaf = name.strip().rpartition(".")
        found[_known(leaf.replace("-", "_"), known, "--set", section)] = value
    return found


def _known(name: str, known: Mapping[str, Flag], where: str, section: str = "") -> str:
    if name not in known or (section and known[name].section != section):
        names = [n for n, flag in known.items() if not section or flag.section == section]
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
