"""Whether a plain value (from JSON, TOML or a text) is of the kind that an annotation asks for."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

__all__ = ["fits", "hints_of"]


def hints_of(thing: Any) -> dict[str, Any]:
    """Annotations by name, evaluated; none where they cannot be."""
    try:
        return typing.get_type_hints(thing)
    except (NameError, TypeError, AttributeError):
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value fits an annotation made of numbers, texts, switches, None, literals, lists and maps.

    A list stands for any sequence, a whole number for a number and a text for a registered value; annotations of any other
    kind take every value.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in arguments)
    if hint is None or hint is types.NoneType:
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return isinstance(value, Mapping)
    if isinstance(kind, type) and issubclass(kind, Sequence):
        return isinstance(value, (list, tuple)) and _each(value, arguments)
    if isinstance(kind, type) and hasattr(kind, "members") and hasattr(kind, "family"):
        return isinstance(value, (str, kind))  # a registered value, or its text
    return True


def _each(values: Sequence[Any], arguments: tuple[Any, ...]) -> bool:
    """Whether every part fits: `tuple[int, ...]` and `Sequence[int]` are of any length, `tuple[int, int]` is of two."""
    if not arguments:
        return True
    if len(arguments) == 1 or arguments[-1] is Ellipsis:
        return all(fits(value, arguments[0]) for value in values)
    return len(values) == len(arguments) and all(fits(value, argument) for value, argument in zip(values, arguments))
