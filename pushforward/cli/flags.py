"""What can be set when fitting, and how its text is read:
one list for flags, environment, TOML and `--set`.

A model's own settings come from the signature of its `__init__`, those of the fit from the fields
of its fitter, both with their defaults and with what their docstrings' Arguments say. A text
becomes a value by the kinds of its annotation: whole number, number, text, switch, or a list of
these with commas between (commas inside parentheses do not count).
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin

from pushforward.core.budgets import BUDGETS
from pushforward.core.errors import InvalidKind, InvalidValue, suggest

__all__ = [
    "Flag",
    "DATA",
    "model_flags",
    "fitter_flags",
    "flags_of",
    "arguments_of",
    "summary_of",
    "split_commas",
]

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


@dataclass(frozen=True)
class Flag:
    """One setting.

    Args:
        name: as in Python; the flag is --name with hyphens.
        section: 'hyperparameters', 'fitting' or 'data', as in a configuration file.
        kinds: what a value may be: int, float, str, bool, NoneType.
        many: a list of such values.
        repeats: the flag may be given several times.
        choices: the only texts allowed, if any.
    """

    name: str
    section: str
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
        return "PUSHFORWARD_" + self.name.upper()

    @property
    def switch(self) -> bool:
        """Whether it is --name / --no-name."""
        return bool in self.kinds

    @property
    def metavar(self) -> str:
        """What a value looks like, in help."""
        if self.choices:
            return "|".join(self.choices)
        scalars = [k for k in self.kinds if k is not types.NoneType]
        word = {int: "INT", float: "NUMBER", str: "TEXT"}.get(
            scalars[0] if len(scalars) == 1 else (str if str in scalars else float), "TEXT"
        )
        return f"{word},{word},…" if self.many else word

    @property
    def shown_default(self) -> str:
        """The default as it would be typed; '' where there is none."""
        return "" if self.default is None or self.default is False else as_text(self.default)

    def read(self, given: Any, where: str) -> Any:
        """The value of a text (flag, environment) or of a TOML value;
        InvalidKind or InvalidValue, which begins with `where`.
        """
        if self.repeats and isinstance(given, (list, tuple)):
            given = [
                part
                for item in given
                for part in (split_commas(item) if isinstance(item, str) else [item])
            ]
        if self.many:
            parts = split_commas(given) if isinstance(given, str) else given
            if isinstance(given, str) and given.strip().lower() in ("none", ""):
                parts = []
            if not isinstance(parts, (list, tuple)):
                parts = [parts]
            return [self._scalar(part, where) for part in parts]
        return self._scalar(given, where)

    def _scalar(self, given: Any, where: str) -> Any:
        value = (
            self._text(given.strip() or given) if isinstance(given, str) else self._number(given)
        )
        if value is _UNREAD:
            words = [_WORDS[k] for k in self.kinds if k in _WORDS]
            each = "each part of " if self.many else ""
            example = self.shown_default or {int: "20", float: "0.1"}.get(self.kinds[0], "")
            cure = f"; write {self.option} {example}" if example else ""
            raise InvalidKind(
                f"{where}{each}{self.option} must be {' or '.join(words)}, got {given!r}{cure}"
            )
        if self.choices and value is not None and value not in self.choices:
            raise InvalidValue(
                f"{where}{self.option} must be one of {', '.join(self.choices)}, got {value!r};"
                f" {suggest(str(value), self.choices)}"
            )
        return value

    def _text(self, text: str) -> Any:
        if types.NoneType in self.kinds and text.lower() in ("none", ""):
            return None
        if bool in self.kinds:
            return {
                "true": True,
                "yes": True,
                "1": True,
                "on": True,
                "false": False,
                "no": False,
                "0": False,
                "off": False,
            }.get(text.lower(), _UNREAD)
        for kind in (int, float):
            if kind in self.kinds:
                try:
                    return kind(text)
                except ValueError:
                    continue
        return text if str in self.kinds else _UNREAD

    def _number(self, value: Any) -> Any:
        if isinstance(value, bool):
            return value if bool in self.kinds else _UNREAD
        if value is None:
            return None
        if isinstance(value, int) and int in self.kinds:
            return value
        if isinstance(value, (int, float)) and float in self.kinds:
            return value
        if isinstance(value, (int, float)) and str in self.kinds and int not in self.kinds:
            return str(value)
        return _UNREAD


_UNREAD = object()


def as_text(value: Any) -> str:
    """A value as typed on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(as_text(v) for v in value)
    return "none" if value is None else str(value)


def split_commas(text: str) -> list[str]:
    """The parts between commas that stand outside parentheses and brackets."""
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


# --------------------------------------------------------------------------------------------- data

_OPTIONAL = (str, types.NoneType)
DATA: tuple[Flag, ...] = tuple(
    Flag(section="data", panel="Data", **given)
    for given in (
        {
            "name": "held_out",
            "kinds": (int, float),
            "default": 0.2,
            "help": (
                "share (or number) of rows set aside, never learnt from; evaluate measures on them;"
                " 0 for none"
            ),
        },
        {"name": "split_seed", "kinds": (int,), "default": 0, "help": "which rows are set aside"},
        {
            "name": "label",
            "kinds": _OPTIONAL,
            "help": (
                "learn p(x | label): the labels' column or array, or 'auto' for those that come"
                " with the data"
            ),
        },
        {
            "name": "size",
            "kinds": _OPTIONAL,
            "help": "bring images to this size: 64, or 48x64 for height x width",
        },
        {
            "name": "fit",
            "kinds": _OPTIONAL,
            "choices": ("crop", "pad", "stretch"),
            "help": "how images are brought to the size",
        },
        {
            "name": "channels",
            "kinds": (int, types.NoneType),
            "help": "bring images to 1 (grey), 3 (colour) or 4 (with alpha) channels",
        },
        {
            "name": "categorical",
            "many": True,
            "repeats": True,
            "default": (),
            "help": "text columns to take as categories",
        },
        {
            "name": "columns",
            "many": True,
            "repeats": True,
            "default": (),
            "help": "columns to use, and no others",
        },
        {
            "name": "drop",
            "many": True,
            "repeats": True,
            "default": (),
            "help": "columns to leave out",
        },
        {
            "name": "separator",
            "kinds": _OPTIONAL,
            "help": (
                "between a text table's columns: a character, tab or whitespace; like all that"
                " follows, looked for if not given"
            ),
        },
        {"name": "decimal", "kinds": _OPTIONAL, "help": "a text table's decimal mark, . or ,"},
        {
            "name": "thousands",
            "kinds": _OPTIONAL,
            "help": "its mark between groups of digits: a character, or space",
        },
        {
            "name": "na",
            "many": True,
            "repeats": True,
            "default": (),
            "help": "further texts that mean 'missing', e.g. -999",
        },
        {"name": "encoding", "kinds": _OPTIONAL, "help": "utf-8, latin-1, utf-16, ..."},
        {
            "name": "header",
            "kinds": (bool, types.NoneType),
            "help": "its first line holds names (--no-header: a row)",
        },
        {"name": "comment", "kinds": _OPTIONAL, "help": "the character that begins a comment"},
        {
            "name": "dates",
            "kinds": (bool, types.NoneType),
            "help": "read ISO dates as numbers (--no-dates: as text)",
        },
        {
            "name": "download",
            "kinds": (bool,),
            "default": False,
            "help": "fetch a named data set that is not found",
        },
        {
            "name": "dequantise",
            "kinds": (bool, types.NoneType),
            "help": (
                "add U(-1/2, 1/2) to integers; by default to levels of images, if the model has a"
                " density per unit"
            ),
        },
    )
)


# ------------------------------------------------------------------------------------------ fitters

_OPTION: dict[str, dict[str, Any]] = {
    "optimizers": {
        "name": "optimizer",
        "many": True,
        "repeats": True,
        "default": (),
        "help": (
            "in place of the model's own: adam(rate=1e-4), or phase=adam(rate=1e-4); several times"
        ),
    },
    "schedule": {
        "many": True,
        "repeats": True,
        "default": ("constant",),
        "help": "of the learning rates: constant, cosine, linear(start=0.5), ...; or phase=cosine",
    },
    "augment": {
        "many": True,
        "repeats": True,
        "default": None,
        "help": (
            "in place of the model's own: flip, crop(padding=2), affine, "
            "dequantise, binarise; none for nothing"
        ),
    },
    "keep_best": {"help": "end with the weights that were best on a tenth of the training rows"},
    "patience": {
        "help": (
            "stop after this many evaluations without a better one, on a tenth of the training rows"
        )
    },
    "film": {
        "kinds": (int, types.NoneType),
        "help": (
            "look at this many samples again and again, from the same codes; "
            "`pushforward film RUN` draws them"
        ),
    },
    "start": {
        "kinds": _OPTIONAL,
        "help": "a run of the same model whose weights to begin from (fine-tuning)",
    },
    "accelerator": {"help": "cpu, cuda, mps, auto"},
    "devices": {"kinds": (int, str), "help": "how many processes, or which devices (0,1)"},
    "strategy": {"help": "Lightning Fabric's: auto, ddp, fsdp"},
    "precision": {"help": "32-true, bf16-mixed, 16-mixed, 64-true"},
    "num_nodes": {"help": "machines"},
}
"""Settings of fitters whose form on the command line is another than in Python;
the help of all others is their docstring's.
"""
_DEVICE = ("accelerator", "devices", "strategy", "precision", "num_nodes")
_HIDDEN = ("listeners", "callbacks", "token", "run", "resume", "held_out", "overwrite", "quiet")


def fitter_flags(fitter: Any) -> list[Flag]:
    """The settings of a model's own fitter, with the defaults that this model gives it."""
    if not is_dataclass(fitter):
        return []
    hints, described = _hints(type(fitter)), arguments_of(type(fitter))
    flags = []
    for field in fields(fitter):
        hint, name = hints.get(field.name), field.name
        if (
            name in _HIDDEN
            or not field.init
            or not (name in BUDGETS or name in _OPTION or _plain(hint))
        ):
            continue
        kinds, many, choices = _kinds(hint, getattr(fitter, name))
        if name in BUDGETS:  # '+50' is for resume
            kinds = tuple(kind for kind in kinds if kind is not str)
        facts = {
            "name": name,
            "kinds": kinds,
            "many": many,
            "choices": choices,
            "default": getattr(fitter, name),
        }
        facts |= {"help": described.get(name, ""), **_OPTION.get(name, {})}
        if name in _OPTION and facts["many"]:
            facts["kinds"] = (str,)
        flags.append(
            Flag(section="fitting", panel="Device" if name in _DEVICE else "Fitting", **facts)
        )
    return flags


# ------------------------------------------------------------------------------------------- models


def model_flags(cls: type) -> list[Flag]:
    """A model's hyper-parameters, from the signature of its `__init__` and its docstring."""
    hints = _hints(vars(cls).get("__init__", cls))
    said = arguments_of(cls)
    flags = []
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        kinds, many, choices = _kinds(hints.get(name, parameter.annotation), default)
        flags.append(
            Flag(
                name,
                "hyperparameters",
                kinds,
                default,
                said.get(name, ""),
                many,
                many and str in kinds,
                choices,
                "Model",
            )
        )
    return flags


def flags_of(cls: type) -> list[Flag]:
    """Everything that can be set when fitting a model:
    its own settings first; a name taken is not taken again.
    """
    own = model_flags(cls)
    taken = {flag.name for flag in own}
    rest = [
        flag for flag in (*fitter_flags(cls().default_fitter()), *DATA) if flag.name not in taken
    ]
    return [*own, *rest]


def summary_of(cls: type) -> str:
    """The first paragraph of a class's docstring, on one line."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())


def arguments_of(cls: type) -> dict[str, str]:
    """What the Arguments part of a docstring says, by name; 'a, b: text' is said of both."""
    from docstring_parser import DocstringStyle, parse

    described = parse(inspect.cleandoc(cls.__doc__ or ""), style=DocstringStyle.GOOGLE).params
    return {
        name: " ".join((p.description or "").split())
        for p in described
        for name in p.arg_name.split(", ")
    }


def _hints(thing: Any) -> Mapping[str, Any]:
    """Annotations, evaluated where they can be."""
    try:
        return typing.get_type_hints(thing)
    except (NameError, TypeError):
        return getattr(thing, "__annotations__", {})


def _plain(hint: Any) -> bool:
    """Whether a hint is one of numbers, texts and switches only."""
    if hint is None:
        return False
    options = get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return all(
        option in (int, float, str, bool, types.NoneType) or get_origin(option) is Literal
        for option in options
    )


def _kinds(hint: Any, default: Any) -> tuple[tuple[type, ...], bool, tuple[str, ...]]:
    """The kinds a value may have, whether it is a list, and its choices."""
    found: list[type] = []
    many = False
    choices: tuple[str, ...] = ()
    options = get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        origin = get_origin(option)
        if origin is Literal:
            choices = tuple(str(c) for c in get_args(option))
            found.append(str)
        elif isinstance(origin, type) and issubclass(origin, Sequence):
            many = True
            found += _kinds((get_args(option) or (str,))[0], None)[0]
        elif option in (int, float, str, bool, types.NoneType):
            found.append(option)
        elif isinstance(option, str):
            found += [
                k
                for k, word in ((int, "int"), (float, "float"), (bool, "bool"), (str, "str"))
                if re.search(rf"\b{word}\b", option)
            ]
            many = many or "Sequence" in option or "tuple" in option
    if not found:
        found = [type(default)] if isinstance(default, (bool, int, float, str)) else [str]
    return tuple(dict.fromkeys(found)), many, choices
