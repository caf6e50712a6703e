"""Values that cost something, kept for what was used last and made again when it changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

__all__ = ["Memo"]

T = TypeVar("T")


@dataclass
class _Entry:
    lock: threading.RLock = field(default_factory=threading.RLock)
    version: object = None
    value: object = None
    made: bool = False


class Memo(Generic[T]):
    """Values by key; several threads that ask for one at once wait for the first.

    Args:
        most: values kept: the ones used last.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def get(self, key: Hashable, version: object, make: Callable[[], T]) -> T:
        """The value of a key, made unless there is one of this version."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        with entry.lock:
            if not entry.made or entry.version != version:
                entry.made, entry.value = False, make()
                entry.made, entry.version = True, version
            return cast(T, entry.value)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
