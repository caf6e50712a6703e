"""All settings of a fit, as one list.

Flags, the environment, configuration files and forms use it.

A model's own settings come from the signature of its `__init__`, those of the fit from the fields
of its fitter, those of the data from `DataSettings` and `TableFormat`, all with their defaults and
with the descriptions in their docstrings. A text becomes a value by the kinds of its annotation:
whole number, number, text, switch, or a list of these with commas between (commas inside
parentheses do not count).
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin

from pushforward.core.argument_names import as_text
from pushforward.core.budgets import BUDGETS
from pushforward.core.errors import InvalidKind, InvalidValue, suggest_listed
from pushforward.core.kinds import read_hints
from pushforward.data.tables.text_format import TableFormat
from pushforward.experiments.data_settings import DataSettings
from pushforward.experiments.descriptions import described_arguments, with_users_values
from pushforward.fitting.protocols import Iterative, OnePass

__all__ = [
    "PREFIX", "DataSettings", "Setting", "model_settings", "settings_of", "split_commas",
]  # fmt: skip

PREFIX = "PUSHFORWARD_"  # of environment variables
Section = Literal["hyperparameters", "fitting", "data"]
WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
METAVARS = {int: "INT", float: "NUMBER", str: "TEXT"}
SWITCH = {
    **dict.fromkeys(("true", "yes", "1", "on"), True),
    **dict.fromkeys(("false", "no", "0", "off"), False),
}
UNREADABLE = object()
"""What a text is read as that is of none of a setting's kinds."""


@dataclass(frozen=True)
class Setting:
    """One setting of a fit.

    Args:
        name: as in Python; the flag is --name with hyphens.
        section: where it stands in a configuration file.
        kinds: what a value may be: int, float, str, bool, NoneType.
        default: its value if it is not given.
        help: what it does, in a sentence.
        many: a list of such values.
        repeats: the flag may be given several times.
        choices: the only texts allowed, if any.
        panel: the heading under which help lists it.
    """

    name: str
    section: Section
    kinds: tuple[type, ...] = (str,)
    default: Any = None
    help: str = ""
    many: bool = False
    repeats: bool = False
    choices: tuple[str, ...] = ()
    panel: str = ""

    @property
    def option(self) -> str:
        """The flag as typed."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()

    @property
    def is_switch(self) -> bool:
        """Whether it is --name / --no-name."""
        return bool in self.kinds

    @property
    def metavar(self) -> str:
        """What a value looks like, in help."""
        if self.choices:
            numbers = [METAVARS[kind] for kind in self.kinds if kind in (int, float)]
            return "|".join((*numbers, *self.choices))
        scalars = [kind for kind in self.kinds if kind is not types.NoneType]
        kind = scalars[0] if len(scalars) == 1 else str if str in scalars else float
        word = METAVARS.get(kind, "TEXT")
        return f"{word},{word},…" if self.many else word

    @property
    def shown_default(self) -> str:
        """The default as it would be typed; '' if there is none."""
        return "" if self.default is None or self.default is False else as_text(self.default)

    def read(self, value: object, where: str = "") -> Any:
        """The value of a text (flag, environment) or of a TOML value.

        Raises InvalidKind or InvalidValue, whose message begins with `where`.
        """
        if self.repeats and isinstance(value, (list, tuple)):
            value = [part for item in value for part in _split(item)]
            value = [] if self.many and value == ["none"] else value
        if not self.many:
            return self._scalar(value, where)
        if isinstance(value, str):
            parts: Sequence[object] = (
                [] if value.strip().lower() in ("none", "") else split_commas(value)
            )
        else:
            parts = value if isinstance(value, (list, tuple)) else [value]
        return [self._scalar(part, where) for part in parts]

    def _scalar(self, text: object, where: str) -> Any:
        value = self._parse(text.strip() or text) if isinstance(text, str) else self._number(text)
        if value is UNREADABLE:
            words = [WORDS[kind] for kind in self.kinds if kind in WORDS]
            each = "each part of " if self.many else ""
            example = self.shown_default or {int: "20", float: "0.1"}.get(self.kinds[0], "")
            advice = f"; write {self.option} {example}" if example else ""
            raise InvalidKind(
                f"{where}{each}{self.option} must be {' or '.join(words)}, got {text!r}{advice}"
            )
        if self.choices and isinstance(value, str) and value not in self.choices:
            numbers = [f"{WORDS[kind]} or " for kind in self.kinds if kind in (int, float)]
            raise InvalidValue(
                f"{where}{self.option} must be {''.join(numbers)}one of"
                f" {', '.join(self.choices)}, got {value!r};"
                f" {suggest_listed(str(value), self.choices)}"
            )
        return value

    def _parse(self, text: str) -> Any:
        if types.NoneType in self.kinds and text.lower() == "none":
            return None
        if bool in self.kinds:
            return SWITCH.get(text.lower(), UNREADABLE)
        for kind in (int, float):
            if kind in self.kinds:
                try:
                    return kind(text)
                except ValueError:
                    continue
        return text if str in self.kinds else UNREADABLE

    def _number(self, value: object) -> Any:
        if isinstance(value, bool):
            return value if bool in self.kinds else UNREADABLE
        if value is None or (isinstance(value, int) and int in self.kinds):
            return value
        if isinstance(value, (int, float)) and float in self.kinds:
            return value
        if isinstance(value, (int, float)) and str in self.kinds and int not in self.kinds:
            return str(value)
        return UNREADABLE


def split_commas(text: str) -> list[str]:
    """The parts between commas that stand outside parentheses and brackets.

    Raises:
        InvalidKind: If one of several is empty.
    """
    parts: list[str] = []
    depth = start = 0
    for i, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts = [part.strip() for part in (*parts, text[start:])]
    if len(parts) > 1 and not all(parts):
        raise InvalidKind(f"nothing stands between two commas in {text!r}; leave one of them out")
    return [part for part in parts if part]


def _split(item: object) -> Sequence[object]:
    return split_commas(item) if isinstance(item, str) else [item]


# --------------------------------------------------------------------------------------------- data


def data_settings() -> list[Setting]:
    """The settings of the data."""
    return [
        *_of_fields(DataSettings(), DataSettings, "data", "Data"),
        *_of_fields(TableFormat(), TableFormat, "data", "Text tables"),
    ]


# ------------------------------------------------------------------------------------------ fitters

DEVICE = ("accelerator", "devices", "strategy", "precision", "num_nodes")
HIDDEN = (
    "listeners", "callbacks", "token", "run", "resume", "held_out", "overwrite", "quiet",
)  # fmt: skip
"""Fields of fitters that a run, a command or Python alone decides."""
REPEATED = ("steps", "tolerance")
"""Fields of fitters that mean nothing where one pass is all."""
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
"""Kinds of parameters that have a flag."""
TEXTS: dict[str, dict[str, Any]] = {
    "optimizers": {
        "name": "optimizer", "many": True, "repeats": True, "default": (), "kinds": (str,),
        "help": "instead of the model's own: adam(rate=1e-4), or phase=adam(rate=1e-4); repeatable",
    },
    "schedule": {
        "many": True, "repeats": True, "default": ("constant",), "kinds": (str,),
        "help": "of the learning rates: constant, cosine, linear(start=0.5), ...; or phase=cosine",
    },
    "augment": {
        "many": True, "repeats": True, "default": None, "kinds": (str,),
        "help": "instead of the model's own: flip, crop(padding=2), affine, ...; none for no"
                " augmentation",
    },
    "epochs": {"help": "the budget in passes over the data"},
    "keep_best": {"help": "hold out a tenth of the training rows and end with the weights that"
                          " were best on them"},
    "patience": {"help": "hold out a tenth of the training rows and stop after this many"
                         " evaluations without improvement on them"},
    "film": {
        "kinds": (int, types.NoneType),
        "help": "record this many samples of the same codes during training; `pushforward film"
        " RUN` draws them",
    },
    "start": {
        "kinds": (str, types.NoneType),
        "help": "a run of the same model, or of a part of it, to take the first weights from",
    },
    "accelerator": {"help": "auto (a CUDA device if there is one), cpu, cuda or cuda:1"},
    "num_nodes": {"help": "machines"},
    "devices": {"kinds": (int, str), "help": "how many processes, or which devices (0,1)"},
    "strategy": {"help": "Lightning Fabric's: auto, ddp, fsdp"},
    "precision": {"help": "32-true, bf16-mixed, 16-mixed, 64-true"},
}  # fmt: skip
"""Fields of fitters whose form as a text, or whose description, differs from that in Python."""


def fitter_settings(fitter: object) -> list[Setting]:
    """The settings of a model's own fitter, with the defaults that this model gives it."""
    if not is_dataclass(fitter):
        return []
    return list(_of_fields(fitter, type(fitter), "fitting", "Fitting"))


def _of_fields(value: Any, kind: type, section: Section, panel: str) -> Iterator[Setting]:
    hints, described = read_hints(kind), described_arguments(kind)
    for field in fields(kind):
        name, hint = field.name, hints.get(field.name)
        if section == "fitting" and (name in HIDDEN or not field.init):
            continue
        if section == "fitting" and not (name in BUDGETS or name in TEXTS or _is_plain(hint)):
            continue
        default = getattr(value, name)
        kinds, many, choices = _kinds(hint, default)
        if name in BUDGETS:  # '+50' is for resume
            kinds = tuple(kind for kind in kinds if kind is not str)
        facts: dict[str, Any] = {
            "name": name,
            "kinds": kinds,
            "many": many,
            "repeats": many and str in kinds,
            "choices": choices,
            "default": default,
            "help": described.get(name, ""),
        }
        facts |= TEXTS.get(name, {}) if section == "fitting" else {}
        facts["help"] = with_users_values(facts["help"], hint)
        yield Setting(section=section, panel="Device" if name in DEVICE else panel, **facts)


# ------------------------------------------------------------------------------------------- models


def model_settings(cls: type) -> list[Setting]:
    """A model's hyper-parameters, from the signature of its `__init__` and its docstring."""
    hints = read_hints(vars(cls).get("__init__", cls))
    described = described_arguments(cls)
    settings = []
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        hint = hints.get(name, parameter.annotation)
        kinds, many, choices = _kinds(hint, default)
        settings.append(
            Setting(
                name=name,
                section="hyperparameters",
                kinds=kinds,
                default=default,
                help=with_users_values(described.get(name, ""), hint),
                many=many,
                repeats=many and str in kinds,
                choices=choices,
                panel="Model",
            )
        )
    return settings


def settings_of(cls: Any) -> list[Setting]:
    """All settings of a fit of a model: its own first, then its fitter's and those of the data.

    A name that is taken is not taken again.
    """
    settings = model_settings(cls)
    names = {setting.name for setting in settings}
    parameters = inspect.signature(cls).parameters.values()
    bare = [p.name for p in parameters if p.default is p.empty and p.kind in NAMED]
    if bare:
        raise InvalidKind(
            f"every argument of {cls.__name__} needs a default, so that it can be fitted without"
            f" flags; {bare[0]} has none"
        )
    model = cls()
    fitting = fitter_settings(model.default_fitter())
    if isinstance(model, OnePass) and not isinstance(model, Iterative):
        fitting = [setting for setting in fitting if setting.name not in REPEATED]
    others = (*fitting, *data_settings())
    return [*settings, *(setting for setting in others if setting.name not in names)]


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _is_plain(hint: Any) -> bool:
    """Whether an annotation is one of numbers, texts and switches only."""
    plain = (int, float, str, bool, types.NoneType)
    return hint is not None and all(
        option in plain or get_origin(option) is Literal for option in _options(hint)
    )


def _kinds(hint: Any, default: object) -> tuple[tuple[type, ...], bool, tuple[str, ...]]:
    """The kinds a value may have, whether it is a list, and its choices."""
    kinds: list[type] = []
    many = False
    choices: tuple[str, ...] = ()
    for option in _options(hint):
        origin = get_origin(option)
        if origin is Literal:
            choices = tuple(str(choice) for choice in get_args(option))
            kinds.append(str)
        elif isinstance(origin, type) and issubclass(origin, Sequence):
            many = True
            kinds += _kinds((get_args(option) or (str,))[0], None)[0]
        elif option in (int, float, str, bool, types.NoneType):
            kinds.append(option)
        elif isinstance(option, str):  # an annotation that could not be evaluated
            words = ((int, "int"), (float, "float"), (bool, "bool"), (str, "str"))
            kinds += [kind for kind, word in words if re.search(rf"\b{word}\b", option)]
            many = many or "Sequence" in option or "tuple" in option
    if not kinds:
        kinds = [type(default)] if isinstance(default, (bool, int, float, str)) else [str]
    return tuple(dict.fromkeys(kinds)), many, choices
