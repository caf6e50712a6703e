"""Errors that state what was expected, what was received and how to fix it.

Every error a user can cause derives from `PushforwardError`; the command line prints it on one line
and exits with status 2. Each also derives from the built-in that Python users expect: `ValueError`
for values, `TypeError` for kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from numbers import Real
from typing import Any, TypeVar

__all__ = [
    "Interrupted",
    "PushforwardError",
    "InvalidValue",
    "InvalidKind",
    "NotFitted",
    "ShapeMismatch",
    "BadSource",
    "SourceNotFound",
    "BadRun",
    "Diverged",
    "MissingExtra",
    "FitWarning",
    "DataWarning",
    "is_out_of_memory",
    "quote",
    "shorten",
    "printable",
    "require_known",
    "require_positive",
    "negative_seed",
    "require_seed",
    "suggest",
    "suggest_listed",
]


ECHOED = 200
"""The most characters of a foreign name or text that a message repeats."""

LEAST_START, MOST_LONGER = 3, 3
"""Characters that a longer word is known by, and the most of such words that are suggested."""
_LONGEST = 1000
"""Characters of a message: more is no longer read, and is likely to hold data."""
_QUOTED = re.compile(r"""(?<![\w'"])('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?![\w'"])""")


def printable(text: object, most: int = ECHOED) -> str:
    """A text on one line, unprintable characters escaped.

    Its middle is elided beyond `most` characters.
    """
    try:
        text = str(text)
    except (
        ValueError,
        RecursionError,
    ):  # for example an integer with more digits than Python prints
        text = f"a {type(text).__name__}"
    if len(text) > 8 * most:
        text = text[: 4 * most] + text[-4 * most :]
    plain = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text
    )
    return (
        plain if len(plain) <= most else f"{plain[: most - most // 3 - 1]}…{plain[-(most // 3) :]}"
    )


def quote(value: object) -> str:
    """A value's repr for a message, its middle elided beyond 200 characters."""
    if isinstance(value, str):
        return printable(repr(value[: 4 * ECHOED]))
    try:
        return printable(repr(value))
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"


def shorten(message: str) -> str:
    """A message as one printable line in which every quoted text is elided to a fixed length."""
    if len(message) <= ECHOED and message.isprintable():
        return message
    message = _QUOTED.sub(lambda match: printable(match[0]), message[: 10**5])
    words = (word if len(word) <= ECHOED else printable(word) for word in message.split())
    return printable(" ".join(words), _LONGEST)


class Interrupted(KeyboardInterrupt):
    """A signal stopped a fit before it had a model; `saved` tells whether it can be resumed."""

    def __init__(self, *, saved: bool) -> None:
        super().__init__()
        self.saved = saved


class PushforwardError(Exception):
    """An error the caller can fix; the message says how."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(shorten(a) if isinstance(a, str) else a for a in args))


class InvalidValue(PushforwardError, ValueError):
    """A value outside its range or list."""


class InvalidKind(PushforwardError, TypeError):
    """A value of the wrong type."""


class NotFitted(PushforwardError, RuntimeError):
    """A method was called that needs a fitted model."""


class ShapeMismatch(PushforwardError, ValueError):
    """Data that do not fit the model's space."""


class BadSource(PushforwardError, ValueError):
    """Data that cannot be read or fitted to."""


class SourceNotFound(BadSource):
    """A path or name at which there are no data."""


class BadRun(PushforwardError, ValueError):
    """A run folder that cannot be written, read or trusted."""


class Diverged(PushforwardError, ArithmeticError):
    """A NaN or an infinity appeared during a fit."""


class MissingExtra(PushforwardError, ImportError):
    """An optional dependency is not installed; the message holds the install command, and what
    does without it, if anything.
    """

    def __init__(self, package: str, extra: str, purpose: str, instead: str = "") -> None:
        line = import_module("pushforward.core.install_line").install_line(extra)
        other = f" (or go without: {instead})" if instead else ""
        super().__init__(f"{purpose} needs {package}, which is not installed; run: {line}{other}")
        self.package, self.extra, self.purpose = package, extra, purpose


class FitWarning(UserWarning):
    """A fit finished with a problem: what was observed, and what to try."""


class DataWarning(UserWarning):
    """Part of a source was skipped or interpreted in an unexpected way.

    The message counts and names it.
    """


def require_positive(**values: Any) -> None:
    """Raise `InvalidValue` for the first named value that is not positive; None is allowed."""
    for name, value in values.items():
        if value is None:
            continue
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number:
            raise InvalidKind(f"{name} must be a number above 0, got {quote(value)}")
        if not value > 0:
            raise InvalidValue(
                f"{name} must be above 0, got {printable(value)}; pass a positive number"
            )


def require_seed(seed: int) -> int:
    """The seed; raise `InvalidValue` for a negative one, which NumPy refuses, too."""
    if seed < 0:
        raise negative_seed(seed)
    return seed


def negative_seed(seed: int) -> InvalidValue:
    """The error for a seed below 0."""
    return InvalidValue(f"a seed must not be negative, got {printable(seed)}; pass 0, say")


_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "unable to allocate",
    "cannot allocate memory",
)
# messages of the dynamic linker about a library
_UNMAPPED = ("failed to map segment", "cannot allocate memory", "cannot map")
_TOO_LARGE = (
    "storage size calculation overflowed",
    "numel: integer multiplication overflow",
    "array is too big",
    "maximum allowed dimension",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out.

    torch raises RuntimeError for it, and NumPy ValueError for sizes beyond any memory.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, (ImportError, OSError)) and any(
        part in str(error).lower() for part in _UNMAPPED
    ):
        return True
    return isinstance(error, (RuntimeError, ValueError)) and any(
        part in str(error).lower() for part in (*_MEMORY, *_TOO_LARGE)
    )


T = TypeVar("T")


def one_of(name: str, value: object, choices: Sequence[T]) -> T:
    """The choice that a value is.

    Raises:
        InvalidValue: If it is none of them.
    """
    for choice in choices:
        if value == choice:
            return choice
    *first, last = map(repr, choices)
    words = f"{', '.join(first)} or {last}" if first else last
    remedy = suggest_listed(value, list(map(str, choices)))
    raise InvalidValue(f"{name} must be {words}, got {quote(value)}; {remedy}")


def suggest_listed(word: object, listed: Iterable[str]) -> str:
    """A sentence naming the closest of the words that a message has listed, if one is close."""
    near = suggest(word, listed) if isinstance(word, str) else ""
    return near if near.startswith("did you mean") else "pass one of these"


def require_known(name: str, words: Iterable[str], known: Iterable[str]) -> None:
    """Raise InvalidKind, a TypeError as Python's own would be, at the first word that is no
    argument of what is called `name`.
    """
    known = list(known)
    for word in words:
        if word not in known:
            raise InvalidKind(f"{name} has no argument {word!r}; {suggest(word, known)}")


def suggest(word: str, known: Iterable[str]) -> str:
    """A sentence naming the closest known word, or all of them if none is close.

    Words that begin with the given one come first: 'income' for 'income (EUR)'.
    """
    known, word = list(known), word[:ECHOED]
    longer = [k for k in known if k.casefold().startswith(word.casefold())]
    if len(word) >= LEAST_START and 1 <= len(longer) <= MOST_LONGER:
        return f"did you mean {' or '.join(map(repr, longer))}?"
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
