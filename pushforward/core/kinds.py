"""Check plain values (from JSON, TOML or text) against type annotations."""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

__all__ = ["fits", "read_hints"]

MOST = sys.float_info.max


def read_hints(thing: object) -> dict[str, Any]:
    """Evaluated annotations by name; empty if they cannot be evaluated."""
    try:
        return dict(_evaluate_hints(thing))
    except (NameError, TypeError, AttributeError):
        return {}


@functools.lru_cache(1024)
def _evaluate_hints(thing: object) -> dict[str, Any]:
    """`typing.get_type_hints`, which compiles every annotation; failures are not kept."""
    return typing.get_type_hints(thing)


def fits(value: object, hint: object, *, instances: bool = False) -> bool:
    """Whether a value matches an annotation.

    Supported are numbers, text, switches, None, literals, lists and maps.

    A list matches any sequence, an integer that float64 can hold matches a number, and a text
    matches a registered value. Annotations of any other kind match every value or, with
    `instances`, instances of the class (functions, for a function).
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Callable:
        return callable(value) or not instances
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option, instances=instances) for option in arguments)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in arguments)
    if hint is None or hint is types.NoneType:
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, float) or (
            isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST
        )
    if hint is str:
        return isinstance(value, str)
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return isinstance(value, Mapping) and _all_fit(value, arguments, instances)
    if isinstance(kind, type) and issubclass(kind, Sequence):
        return (
            isinstance(value, Sequence)
            and not isinstance(value, (str, bytes))
            and _each(value, arguments, instances)
        )
    if isinstance(kind, type) and hasattr(kind, "members") and hasattr(kind, "family"):
        # a registered value, or its text
        return isinstance(value, (str, kind) if not instances else kind)
    return _is_instance(value, kind) if instances else True


def _is_instance(value: object, kind: object) -> bool:
    """Whether a value is an instance of a class or protocol; True if that cannot be checked."""
    if kind is Callable:
        return callable(value)
    try:
        return kind is Any or not isinstance(kind, type) or isinstance(value, kind)
    except TypeError:  # a protocol that is not checkable at run time
        return True


def _all_fit(values: Mapping[Any, Any], arguments: tuple[Any, ...], instances: bool) -> bool:
    """Whether every key and value fits `Mapping[key, value]`."""
    if len(arguments) != 2:
        return True
    return all(
        fits(k, arguments[0], instances=instances) and fits(v, arguments[1], instances=instances)
        for k, v in values.items()
    )


def _each(values: Sequence[Any], arguments: tuple[Any, ...], instances: bool) -> bool:
    """Whether every element fits.

    `tuple[int, ...]` and `Sequence[int]` have any length, `tuple[int, int]` two.
    """
    if not arguments:
        return True
    if len(arguments) == 1 or arguments[-1] is Ellipsis:
        return all(fits(value, arguments[0], instances=instances) for value in values)
    return len(values) == len(arguments) and all(
        fits(value, argument, instances=instances) for value, argument in zip(values, arguments)
    )
