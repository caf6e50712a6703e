"""Errors in the use of a command, each as one line that says where to read on."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnusedCliTokensError,
)

from pushforward.core.docstrings import drop_full_stop
from pushforward.core.errors import InvalidValue, PushforwardError, one_of

__all__ = ["explain_usage"]


def explain_usage(error: CycloptsError) -> str:
    """The command, what is wrong with its arguments, and how to see its help."""
    chain = [word for word in error.command_chain or () if word != "pushforward"]
    path = " ".join(["pushforward", *chain])
    return f"{path}: {drop_full_stop(_describe(error, chain))}; see: {path} --help"


def _describe(error: CycloptsError, chain: list[str]) -> str:
    cause = error.__cause__
    if isinstance(cause, PushforwardError):
        return " ".join(str(cause).split())
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"unexpected argument {error.unused_tokens[0]!r}"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given more than once"
    if type(error) is MissingArgumentError and error.argument is not None:
        name = error.keyword or error.argument.name
        return f"{name} needs a value" if name.startswith("-") else f"expected {name}, got nothing"
    if isinstance(error, CoercionError) and error.msg is None and error.token is not None:
        return _describe_value(error, error.token.keyword or "the argument", error.token.value)
    text = " ".join(str(error).split())
    for prefix in (f'Command "{" ".join(chain)}" ', f'Command "{chain[-1] if chain else ""}" '):
        text = text.removeprefix(prefix)
    return text[:1].lower() + text[1:]


def _describe_value(error: CoercionError, name: str, value: str) -> str:
    """What a value that cannot be read should have been."""
    kind = error.target_type
    if get_origin(kind) is Literal:
        try:
            one_of(name, value, get_args(kind))
        except InvalidValue as refused:
            return str(refused)
    if kind is bool:
        return f"{name} takes no value, got {value!r}"
    return f"{name} must be a number, got {value!r}"
