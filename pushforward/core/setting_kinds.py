"""Checks of settings against their annotations, with a one-line error for the first mismatch."""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pushforward.core.argument_names import argument, setting
from pushforward.core.errors import (
    InvalidKind,
    InvalidValue,
    PushforwardError,
    negative_seed,
    quote,
    suggest,
)
from pushforward.core.kinds import fits

__all__ = ["find_fault", "is_integers", "describe_hint"]

NONE = inspect.Parameter.empty
WORDS: dict[Any, str] = {
    int: "a whole number", float: "a number", str: "a text", bool: "True or False", None: "None",
    types.NoneType: "None", Any: "any value",
}  # fmt: skip
EXAMPLES: dict[Any, str] = {int: "8", float: "0.5", bool: "True"}


SEEDS = ("seed", "split_seed")
"""Settings that are none below 0."""


def find_fault(
    name: str, value: object, hint: object, default: object = NONE, *, instances: bool = False
) -> PushforwardError | None:
    """The error for a setting that does not match its annotation, or None.

    The default always matches.

    With `instances`, classes unknown to `fits` (a `Path`, a `Source`) are checked too, and sizes
    and NaN are left to the caller.
    """
    if name in SEEDS and type(value) is int and value < 0:
        return negative_seed(value)
    if value is default or (_is_usual(value) and type(value) in _classes(hint)):
        return None
    options = _options(hint)
    is_nan = isinstance(value, float) and math.isnan(value) and float in options and not instances
    if fits(value, hint, instances=instances) and not is_nan:
        vast = not instances and _exceeds_int64(value, hint)
        return (
            InvalidValue(f"{name} must be below 2^63, got {quote(value)}; pass a smaller number")
            if vast
            else None
        )
    remedy = _advise(name, value, hint, default)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and isinstance(value, int) and float in options:
        remedy = "pass one that float64 can hold"
    values = {
        type(choice)
        for option in options
        if get_origin(option) is Literal
        for choice in get_args(option)
    }
    error = (
        InvalidValue
        if type(value) in values or (is_number and {int, float} & set(options))
        else InvalidKind
    )
    return error(f"{name} must be {describe_hint(hint)}, got {quote(value)}; {remedy}")


@functools.lru_cache(1024)
def _classes(hint: Any) -> frozenset[Any]:
    """The classes of an annotation; with unhashable arguments it has none."""
    return frozenset(option for option in _options(hint) if isinstance(option, type))


def _is_usual(value: object) -> bool:
    """Whether a value of the annotated class is a switch, a text or a number of usual size."""
    return isinstance(value, (bool, str)) or (
        isinstance(value, (int, float)) and -(2**63) < value < 2**63
    )


def is_integers(hint: object) -> bool:
    """Whether an annotation is a sequence of whole numbers only."""
    try:
        return _is_integers(hint)
    except TypeError:  # not hashable
        return _is_integers.__wrapped__(hint)


@functools.lru_cache(1024)
def _is_integers(hint: Any) -> bool:
    return any(_is_sequence(option) and get_args(option)[:1] == (int,) for option in _options(hint))


def _exceeds_int64(value: object, hint: object) -> bool:
    """Whether a size, or one of several, exceeds 64 bits: torch raises TypeError for these."""
    sizes = (
        [value]
        if int in _options(hint)
        else value
        if is_integers(hint) and isinstance(value, Iterable)
        else ()
    )
    return any(isinstance(size, int) and abs(size) >= 2**63 for size in sizes)


def describe_hint(hint: object) -> str:
    """An annotation in words: 'a whole number or None'."""
    words: list[str] = []
    for option in _options(hint):
        choices = get_args(option) if get_origin(option) is Literal else ()
        words += [repr(choice) for choice in choices] or [_describe_word(option)]
    return _join_alternatives(list(dict.fromkeys(words)))


def _join_alternatives(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _options(hint: object) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _is_sequence(hint: object) -> bool:
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, Sequence) and kind is not str


def _describe_word(hint: object) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in WORDS:
        return WORDS[hint]
    if _is_sequence(hint):
        if arguments[:1] == (int,):
            return "a list of whole numbers"
        return (
            "a list"
            if len(arguments) != 1 or arguments[0] is Any
            else f"a list (each {describe_hint(arguments[0])})"
        )
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return (
            f"a dict (each value {describe_hint(arguments[1])})"
            if len(arguments) == 2
            else "a dict"
        )
    if hasattr(kind, "members") and hasattr(kind, "family"):
        family = str(kind.family)
        return f"{'an' if family[:1] in 'aeiou' else 'a'} {family}"
    name = getattr(kind, "__name__", str(kind))
    return "a function" if name == "Callable" else f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"


def _advise(name: str, value: object, hint: object, default: object) -> str:
    """What to pass instead: the value in a list if a list is needed, the default, or an example."""
    options = _options(hint)
    alone = isinstance(value, str) or not isinstance(value, Sequence)
    if alone and any(
        _is_sequence(option)
        and Any not in get_args(option)
        and fits([value], option, instances=True)
        for option in options
    ):
        return f"write {setting(name, [value])}"
    near = _suggest_option(value, options)
    if near:
        return near
    if isinstance(default, (bool, int, float, str, tuple, list, dict)):
        return f"pass {setting(name, default)}, say"
    if isinstance(value, str) and any(getattr(o, "__name__", "") == "Model" for o in options):
        return f"open a run: {argument(name, f'pf.load({value!r})')}"
    if type(None) in options:
        return f"pass {setting(name, None)}, or leave it out"
    return next(
        (
            f"pass {argument(name, EXAMPLES[option])}, say"
            for option in options
            if option in EXAMPLES
        ),
        f"leave {name} out",
    )


def _suggest_option(value: object, options: Sequence[Any]) -> str:
    """'did you mean …?' for a text close to one of a few options, else ''."""
    literals = [option for option in options if get_origin(option) is Literal]
    choices = [choice for literal in literals for choice in get_args(literal)]
    texts = [choice for choice in choices if isinstance(choice, str)]
    text = suggest(value, texts) if isinstance(value, str) and texts else ""
    return text if text.startswith("did you mean") else ""
