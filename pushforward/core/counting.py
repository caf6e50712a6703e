"""Long work on the rows of a table tells how far it is, to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

__all__ = ["CountListener", "count_rows", "counted_by"]

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


@contextmanager
def counted_by(listener: CountListener) -> Iterator[None]:
    """Within: rows are counted by this listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
