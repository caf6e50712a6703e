"""Registered names: models by decorator, values by class.

Each has one text form that Python, the command line, TOML and `model.json` share.

A *value* (an optimiser, a game, a penalty, a likelihood, …) is a frozen dataclass that subclasses
`Value`. Its text is its name with the arguments that differ from their defaults:
``r1(gamma=10.0)``. `read` turns the text back into the value by looking up the name, never by
importing a path or evaluating code.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from pushforward.core.argument_names import setting
from pushforward.core.docstrings import drop_full_stop, summary_of
from pushforward.core.errors import InvalidKind, InvalidValue, PushforwardError, quote, suggest
from pushforward.core.kinds import fits, read_hints
from pushforward.core.plugins import import_advice, is_users, load_plugins
from pushforward.core.scalars import PlainSettings

__all__ = [
    "Value",
    "models_accepting",
    "catalogue",
    "model_class",
    "model_name",
    "offered_models",
    "read",
    "register",
    "registered_models",
    "unlisted",
]

V = TypeVar("V", bound="Value")
M = TypeVar("M", bound=type)


@dataclasses.dataclass(frozen=True)
class Value(metaclass=PlainSettings):
    """A frozen, named, printable choice. A family is a direct subclass; its members have names.

    Example:
        >>> class Shape(Value, family="shape"): ...
        >>> @dataclasses.dataclass(frozen=True)
        ... class Ball(Shape, name="ball"):
        ...     radius: float = 1.0
        >>> str(Ball(2.0)), read(Shape, "ball(radius=2.0)") == Ball(2.0)
        ('ball(radius=2.0)', True)
    """

    family: ClassVar[str] = "value"
    name: ClassVar[str] = ""
    members: ClassVar[dict[str, type[Value]]] = {}

    def __init_subclass__(
        cls, *, family: str | None = None, name: str | None = None, **rest: Any
    ) -> None:
        super().__init_subclass__(**rest)
        if family is not None:
            cls.family, cls.members = family, {}
        if name is not None:
            taken = cls.members.get(name)
            ours = taken is not None and taken.__module__.partition(".")[0] == "pushforward"
            if taken is not None and ours and taken.__module__ != cls.__module__:
                raise InvalidValue(
                    f"the {cls.family} {name!r} belongs to this package; choose another name"
                )
            cls.name = name
            cls.members[name] = cls

    @classmethod
    def users_members(cls) -> list[str]:
        """The names in this family that the user's code registered."""
        return [name for name, member in cls.members.items() if is_users(member)]

    def __str__(self) -> str:
        arguments = [
            f"{field.name}={_text(getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != _default(field)
        ]
        return f"{self.name}({', '.join(arguments)})" if arguments else self.name

    def replace(self: V, **changes: Any) -> V:
        """The same value with some arguments changed."""
        return dataclasses.replace(self, **changes)


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _text(argument: object) -> str:
    return str(argument) if isinstance(argument, Value) else repr(argument)


def read(family: type[V], given: V | str) -> V:
    """The value of `family` that a text names; values of the family are returned unchanged.

    Raises:
        InvalidKind: For anything else (a lambda cannot be stored).
        InvalidValue: For unknown names or arguments.
    """
    if isinstance(given, family):
        return given
    if not isinstance(given, str):
        raise InvalidKind(
            f"{family.family} must be one of the registered values or its text, got"
            f" {type(given).__name__}; a function cannot be stored with the model: write a frozen"
            f" dataclass that subclasses {family.__name__}"
        )
    try:
        node = ast.parse(given.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidValue(
            f"{family.family} {quote(given)} cannot be read; write it like {_example(family)}"
        ) from error
    value = _evaluate(family, node, given)
    if not isinstance(value, family):
        raise InvalidValue(
            f"{family.family} {quote(given)} is not a {family.family};"
            f" {suggest(given, family.members)}"
        )
    return value


def _example(family: type[Value]) -> str:
    return repr(next(iter(family.members))) if family.members else "name(argument=1.0)"


def _evaluate(family: type[Value], node: ast.AST, text: str) -> object:
    if isinstance(node, ast.Name):
        return _find_member(family, node.id)()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        cls = _find_member(family, node.func.id)
        if any(k.arg is None for k in node.keywords):
            raise InvalidValue(
                f"{family.family} {quote(text)} cannot be read; write it like {_example(family)}"
            )
        hints = read_hints(cls)
        kinds = [hints.get(field.name) for field in dataclasses.fields(cls)]
        args = [
            _evaluate_argument(family, a, text, kind)
            for a, kind in zip(node.args, [*kinds, *[None] * len(node.args)])
        ]
        kwargs = {
            k.arg: _evaluate_argument(family, k.value, text, hints.get(k.arg))
            for k in node.keywords
            if k.arg
        }
        _check_arguments(cls, args, kwargs, text)
        try:
            return cls(*args, **kwargs)
        except PushforwardError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            fields = ", ".join(f.name for f in dataclasses.fields(cls)) or "none"
            raise InvalidValue(
                f"{quote(text)} does not fit {family.family} {cls.name!r}, whose arguments are:"
                f" {fields}"
            ) from error
    raise InvalidValue(
        f"{family.family} {quote(text)} cannot be read; write it like {_example(family)}"
    )


def _check_arguments(
    cls: type[Value], args: Sequence[Any], kwargs: Mapping[str, Any], text: str
) -> None:
    """Check the arguments of a value against its fields."""
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = read_hints(cls)
    for name, value in {**dict(zip(fields, args)), **kwargs}.items():
        if name not in fields:
            continue
        default = _default(fields[name])
        endless = (
            isinstance(value, float)
            and not math.isfinite(value)
            and not (isinstance(default, float) and not math.isfinite(default))
        )
        hint = hints.get(name, Any)
        # a text that is none of a few is refused, with these, where the value is made
        chosen = get_origin(hint) is Literal and isinstance(value, str)
        if endless or not (chosen or fits(value, hint)):
            raise InvalidValue(
                f"{quote(text)}: {name} {_mismatch(value, hint)}; {cls.name} takes {_settings(cls)}"
            )


def _options(hint: object) -> tuple[object, ...]:
    """The kinds of which an argument is one."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _mismatch(value: object, hint: object) -> str:
    """What a value should have been."""
    options = _options(hint)
    choices = [c for option in options if get_origin(option) is Literal for c in get_args(option)]
    if not choices or any(get_origin(o) is not Literal and o is not NoneType for o in options):
        return f"cannot be {quote(value)}"
    *most, last = map(repr, choices)
    return f"must be {', '.join(most)}{' or ' if most else ''}{last}, got {quote(value)}"


def _settings(cls: type[Value]) -> str:
    """The arguments of a value with their defaults, as they are written."""
    pairs = [(field.name, _default(field)) for field in dataclasses.fields(cls)]
    return ", ".join(
        name if default is dataclasses.MISSING else f"{name}={_text(default)}"
        for name, default in pairs
    )


def _takes_text(hint: object) -> bool:
    """Whether an argument is a text, and no value that a text names."""
    options = _options(hint)
    plain = not any(isinstance(option, type) and issubclass(option, Value) for option in options)
    return plain and any(
        option is str
        or (get_origin(option) is Literal and any(isinstance(c, str) for c in get_args(option)))
        for option in options
    )


def _evaluate_argument(family: type[Value], node: ast.AST, text: str, hint: object) -> object:
    if isinstance(node, ast.Name) and _takes_text(hint):
        return node.id
    if isinstance(node, (ast.Name, ast.Call)):
        return _evaluate(family, node, text)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        part = ast.get_source_segment(text, node) or ""
        quoted = f"; quote a text: {part!r}" if part and _takes_text(hint) else ""
        raise InvalidValue(
            f"{quote(text)}: arguments must be numbers, texts or values{quoted}"
        ) from error


def _find_member(family: type[Value], name: str) -> type[Value]:
    if name not in family.members:
        load_plugins()
    if name not in family.members:
        raise InvalidValue(
            f"unknown {family.family} {quote(name)}; {suggest(name, family.members)}"
        )
    return family.members[name]


# ------------------------------------------------------------------------------------------- models

_models: dict[str, type] = {}

catalogue: dict[str, tuple[str, str]] = {}
"""Models of the package: name -> (module, one line).
Filled by `pushforward.models`, imported on demand.
"""

unlisted: dict[str, str] = {}
"""Models of the package for Python only: name -> module.
They load like the others, but the command line does not offer them.
"""


def register(name: str) -> Callable[[M], M]:
    """Class decorator: the model is saved, loaded and named on the command line as `name`."""

    def accept(cls: M) -> M:
        if name in _models and _models[name].__qualname__ != cls.__qualname__:
            raise InvalidValue(
                f"a model named {name!r} is already registered ({_models[name].__qualname__});"
                " choose another name"
            )
        home = catalogue.get(name, (cls.__module__, ""))[0]
        if home != cls.__module__:
            raise InvalidValue(
                f"{name!r} is the name of a model of this package; choose another name"
            )
        _models[name] = cls
        return cls

    return accept


def model_class(name: str) -> type:
    """The model class registered as `name`, imported if it belongs to the package."""
    if name not in _models and name in unlisted:
        importlib.import_module(unlisted[name])
    if not isinstance(name, str):
        raise InvalidKind(f"a model's name must be a text, got {quote(name)}")
    if name not in _models and name in catalogue:
        importlib.import_module(catalogue[name][0])
    if name not in _models:
        load_plugins()
    if name not in _models:
        near = suggest(name, {*_models, *catalogue})
        raise InvalidValue(
            f"unknown model {quote(name)}; {near}; for a model of your own,"
            f" {import_advice(['mine.py'])}"
        )
    return _models[name]


def model_name(cls: type) -> str:
    """The name a class was registered under."""
    for name, known in _models.items():
        if known is cls:
            return name
    raise InvalidValue(
        f"{cls.__name__} is not registered; decorate it with"
        f" @pushforward.register('{cls.__name__.lower()}')"
    )


def registered_models() -> Iterator[tuple[str, type]]:
    """Every registered model, those of the package first, in the order of the catalogue."""
    places = {name: place for place, name in enumerate(catalogue)}
    for name in places:
        model_class(name)
    load_plugins()
    yield from sorted(_models.items(), key=lambda item: places.get(item[0], len(places)))


def offered_models() -> dict[str, str]:
    """The models that `fit` offers, with one line each; the package's are not imported."""
    load_plugins()
    lines = {name: line for name, (_, line) in catalogue.items()}
    users = {name: cls for name, cls in _models.items() if is_users(cls)}
    return {
        **lines,
        **{name: drop_full_stop(summary_of(cls)) for name, cls in users.items()},
    }


def models_accepting(issue: str) -> list[str]:
    """The package's models that accept data with an issue ('missing', 'categorical', …), by name,
    and with the setting that they need for it if any.
    """
    models = []
    for name in list(catalogue):
        cls = model_class(name)
        needed = getattr(cls, "accepts_with", {}).get(issue)
        if issue in getattr(cls, "accepts", ()):
            models.append(name)
        elif needed:
            models.append(f"{name} with {setting(*needed)}")
    return models
