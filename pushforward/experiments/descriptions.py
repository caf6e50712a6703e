"""Descriptions of settings for help: from docstrings, and from what users registered."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, get_args

from pushforward.core.docstrings import drop_full_stop
from pushforward.core.registry import Value

__all__ = ["described_arguments", "with_users_values"]


def described_arguments(cls: type) -> dict[str, str]:
    """The descriptions of arguments in a Google-style docstring, by name.

    'a, b: text' describes both.
    """
    from docstring_parser import DocstringStyle, parse

    described = parse(inspect.cleandoc(cls.__doc__ or ""), style=DocstringStyle.GOOGLE).params
    return {
        name: " ".join((parameter.description or "").split())
        for parameter in described
        for name in parameter.arg_name.split(", ")
    }


def with_users_values(text: str, hint: Any) -> str:
    """A setting's description with registered values of the user.

    For example, "p(x|z); yours: 'poisson'".
    """
    names = [repr(name) for family in _families(hint) for name in family.users_members()]
    return f"{drop_full_stop(text)}; yours: {', '.join(names)}" if names else text


def _families(hint: Any) -> Iterator[type[Value]]:
    """The families of values in an annotation."""
    if isinstance(hint, type) and issubclass(hint, Value):
        yield hint
    for part in get_args(hint):
        yield from _families(part)
