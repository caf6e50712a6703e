"""How messages name an argument that the caller may change.

The library says `data=FILE`, a command `--data FILE`, a form in a browser the label of its field:
an error that says what to pass reads well wherever it is read. Whoever calls the library in the
name of somebody else names arguments as that person knows them:

    with arguments_named(flag):
        ...
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from pushforward.core.errors import quote, shorten

__all__ = [
    "argument",
    "arguments_named",
    "as_text",
    "flag",
    "flags",
    "keyword",
    "naming_read",
    "setting",
]

Naming = Callable[[str, str], str]
"""(the argument's name in Python, a value or "") -> how a message writes it."""


SINGULAR = {"optimizers": "optimizer"}
"""Arguments that are a mapping in Python, and a flag for each entry on the command line."""


def keyword(name: str, value: str = "") -> str:
    """As Python writes it: `data=FILE`, or `data` without a value."""
    return f"{name}={value}" if value else name


def of_read(name: str, value: str = "") -> str:
    """As Python writes it where data are read before they are passed on."""
    return f"pf.read(…, {name}={value})" if value else f"{name} of pf.read"


def flag(name: str, value: str = "") -> str:
    """As a command writes it: `--data FILE`, or `--data` without a value."""
    dashes = "-" if name == "n" else "--"
    name = SINGULAR.get(name, name)
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


def setting(name: str, value: object) -> str:
    """An argument with a value, as it is typed where the message is read.

    Example:
        >>> with arguments_named(keyword):
        ...     setting("likelihood", "columns"), setting("hidden", (8, 8)), setting("size", None)
        ("likelihood='columns'", 'hidden=(8, 8)', 'size=None')
        >>> with arguments_named(flag):
        ...     setting("likelihood", "columns"), setting("hidden", (8, 8)), setting("size", None)
        ('--likelihood columns', '--hidden 8,8', '--size none')
        >>> with arguments_named(flag):
        ...     setting("download", True), setting("penalties", ["r1(gamma=2.0)"])
        ('--download', "--penalties 'r1(gamma=2.0)'")
    """
    naming = _NAMING.get()
    if naming in (keyword, of_read):
        return naming(name, quote(value))
    if isinstance(value, bool):
        return naming(name if value else f"no_{name}", "")
    return naming(name, shlex.quote(shorten(as_text(value))))


def as_text(value: object) -> str:
    """A value as typed on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(as_text(part) for part in value)
    if isinstance(value, Mapping):
        return ",".join(f"{key}={as_text(part)}" for key, part in value.items())
    return "none" if value is None else str(value)


@contextmanager
def naming_read() -> Iterator[None]:
    """Within: messages of Python say that arguments are those of `read`, as `fit` has none of them;
    elsewhere arguments are the same whatever reads.
    """
    with arguments_named(of_read if _NAMING.get() is keyword else _NAMING.get()):
        yield


@contextmanager
def arguments_named(naming: Naming) -> Iterator[None]:
    """Within: messages name arguments in this way."""
    token = _NAMING.set(naming)
    try:
        yield
    finally:
        _NAMING.reset(token)
