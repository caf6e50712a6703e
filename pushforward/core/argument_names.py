"""How messages name an argument that the caller may change.

The library says `data=FILE`, a command `--data FILE`, a form in a browser the label of its field:
an error that says what to pass reads well wherever it is read. Whoever calls the library in the
name of somebody else names arguments as that person knows them:

    with arguments_named(flag):
        ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["argument", "arguments_named", "flag", "flags", "keyword"]

Naming = Callable[[str, str], str]
"""(the argument's name in Python, a value or "") -> how a message writes it."""


def keyword(name: str, value: str = "") -> str:
    """As Python writes it: `data=FILE`, or `data` without a value."""
    return f"{name}={value}" if value else name


def flag(name: str, value: str = "") -> str:
    """As a command writes it: `--data FILE`, or `--data` without a value."""
    dashes = "-" if name == "n" else "--"
    return f"{dashes}{name.replace('_', '-')} {value}".rstrip()


def flags(**names: str) -> Naming:
    """As a command writes them that calls some by other names: flags(positive="class")."""

    def naming(name: str, value: str = "") -> str:
        return flag(names.get(name, name), value)

    return naming


_NAMING: ContextVar[Naming] = ContextVar("how messages name arguments", default=keyword)


def argument(name: str, value: str = "") -> str:
    """An argument, with a value where one is given, as the reader of the message knows it.

    Example:
        >>> with arguments_named(keyword):
        ...     argument("data", "FILE")
        'data=FILE'
        >>> with arguments_named(flag):
        ...     argument("prior_weight", "1")
        '--prior-weight 1'
    """
    return _NAMING.get()(name, value)


@contextmanager
def arguments_named(naming: Naming) -> Iterator[None]:
    """Within: messages name arguments in this way."""
    token = _NAMING.set(naming)
    try:
        yield
    finally:
        _NAMING.reset(token)
