"""Errors that say what was expected, what came and what to do.

Every error a user can cause derives from `PushforwardError`; the command line prints its one line
and exits with 2. Each also derives from the built-in that Python users expect: `ValueError` for
values, `TypeError` for kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Real
from typing import Any

__all__ = [
    "Interrupted",
    "PushforwardError",
    "InvalidValue",
    "InvalidKind",
    "NotFitted",
    "ShapeMismatch",
    "BadSource",
    "BadRun",
    "Diverged",
    "MissingExtra",
    "FitWarning",
    "DataWarning",
    "is_out_of_memory",
    "quote",
    "shorten",
    "printable",
    "require_positive",
    "suggest",
]


ECHOED = 200
"""Messages repeat at most this many characters of a name or a text that came from outside."""

_LONGEST = 1000
_QUOTED = re.compile(r"""(?<![\w'"])('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?![\w'"])""")


def printable(text: object, most: int = ECHOED) -> str:
    """The text for a message: on one line, unprintable characters escaped,
    its middle left out beyond `most` characters.
    """
    try:
        text = str(text)
    except (ValueError, RecursionError):  # a whole number of more digits than Python prints, say
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
    """A value as Python writes it, for a message: a text in quotes;
    its middle left out beyond 200 characters.
    """
    if isinstance(value, str):
        return printable(repr(value[: 4 * ECHOED]))
    try:
        return printable(repr(value))
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"


def shorten(message: str) -> str:
    """A message as one printable line in which nothing that came
    from outside takes more than its share.
    """
    if len(message) <= ECHOED and message.isprintable():
        return message
    message = _QUOTED.sub(lambda found: printable(found[0]), message[: 10**5])
    words = (word if len(word) <= ECHOED else printable(word) for word in message.split())
    return printable(" ".join(words), _LONGEST)


class Interrupted(KeyboardInterrupt):
    """A fit was stopped by a signal before it had a model; `saved` if it can be resumed."""

    def __init__(self, *, saved: bool) -> None:
        super().__init__()
        self.saved = saved


class PushforwardError(Exception):
    """Something the caller can put right; the message names the cure."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(shorten(a) if isinstance(a, str) else a for a in args))


class InvalidValue(PushforwardError, ValueError):
    """A value outside its range or list."""


class InvalidKind(PushforwardError, TypeError):
    """A thing of the wrong kind."""


class NotFitted(PushforwardError, RuntimeError):
    """A model was asked for something before `fit`."""


class ShapeMismatch(PushforwardError, ValueError):
    """Data that do not lie in the model's space."""


class BadSource(PushforwardError, ValueError):
    """Data that cannot be read, or cannot be learnt from."""


class BadRun(PushforwardError, ValueError):
    """A run folder that cannot be written, read or trusted."""


class Diverged(PushforwardError, ArithmeticError):
    """Fitting met a NaN or an infinity."""


class MissingExtra(PushforwardError, ImportError):
    """An optional dependency is absent; the message holds the install line."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed; run: pip install"
            f" 'pushforward[{extra}]'"
        )


class FitWarning(UserWarning):
    """Something is wrong with a fit that was finished all the same:
    what was seen, and what to try.
    """


class DataWarning(UserWarning):
    """Part of a source was left out or taken in a way its owner may not expect;
    the message counts and names it.
    """


def require_positive(**values: Any) -> None:
    """Raise `InvalidValue` for the first named value that is not above zero; None passes."""
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


_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "unable to allocate",
    "cannot allocate memory",
)
# what the dynamic linker says of a library
_UNMAPPED = ("failed to map segment", "cannot allocate memory", "cannot map")
_TOO_LARGE = (
    "storage size calculation overflowed",
    "numel: integer multiplication overflow",
    "array is too big",
    "maximum allowed dimension",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: torch raises RuntimeError for that, NumPy a
    ValueError where nothing could hold it.
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


def suggest(word: str, known: Iterable[str]) -> str:
    """A sentence naming the closest known word, or all of them when none is close."""
    known, word = list(known), word[:ECHOED]
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"
