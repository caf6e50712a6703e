"""Long work on the rows of a table tells how far it is, to whoever listens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

__all__ = ["CountListener", "count_rows", "counted_by", "told_every"]

CountListener: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is done ('read'), with how many rows, and of how many (None if unknown)."""

_listener: ContextVar[CountListener | None] = ContextVar("count_listener", default=None)


def count_rows(what: str, rows: int, of: int | None = None) -> None:
    """Tell the listener, if there is one, that so many rows are done.

    Args:
        what: a participle: 'read', 'filled'.
        rows: done so far.
        of: all rows, if known.
    """
    listener = _listener.get()
    if listener is not None:
        listener(what, rows, of)


def told_every(seconds: float, tell: Callable[[str], None]) -> CountListener:
    """A listener that tells, at most every so many seconds: '20 of 100 rows filled'."""
    said = time.monotonic()

    def listen(what: str, rows: int, of: int | None) -> None:
        nonlocal said
        if (now := time.monotonic()) - said >= seconds:
            said = now
            tell(f"{rows:,}{f' of {of:,}' if of else ''} rows {what}")

    return listen


@contextmanager
def counted_by(listener: CountListener) -> Iterator[None]:
    """Within: rows are counted by this listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
