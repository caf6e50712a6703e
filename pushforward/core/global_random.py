"""Serialised use of torch's global random streams, which all threads of a process share.

Fits, and a few other places that seed the global streams temporarily, hold the lock meanwhile:
concurrent threads each get reproducible numbers, and the caller's stream continues afterwards as if
nothing had been drawn.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["FairLock", "GLOBAL_STREAMS", "seeded"]


class FairLock:
    """A re-entrant lock that serves waiting threads in the order of their arrival.

    (`threading.RLock` lets the thread that just released it take
    it again at once, so that others may starve.)
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[tuple[int, threading.Lock]] = deque()
        self._holder: int | None = None
        self._depth = 0

    @property
    def has_waiters(self) -> bool:
        """Whether another thread is waiting."""
        return bool(self._waiting)

    def acquire(self) -> None:
        """Wait for the lock; re-entrant."""
        me = threading.get_ident()
        with self._guard:
            if self._holder == me:
                self._depth += 1
                return
            if self._holder is None:
                self._holder, self._depth = me, 1
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append((me, gate))
        try:
            gate.acquire()  # the thread that releases the lock opens the gate
        except BaseException:  # Ctrl-C
            with self._guard:
                if (me, gate) in self._waiting:
                    self._waiting.remove((me, gate))
                    raise
            self.release()
            raise

    def release(self) -> None:
        """Release the lock once; the next thread gets it after as many releases as acquisitions."""
        with self._guard:
            self._depth -= 1
            if self._depth:
                return
            self._holder = None
            if self._waiting:
                self._holder, gate = self._waiting.popleft()
                self._depth = 1
                gate.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


GLOBAL_STREAMS = FairLock()


@contextmanager
def seeded(seed: int | None = None, device: torch.device | None = None) -> Iterator[None]:
    """Context manager: torch's global streams, seeded if a seed is given, for this thread alone.

    Restored afterwards.
    """
    with (
        GLOBAL_STREAMS,
        torch.random.fork_rng(
            devices=[device] if device is not None and device.type == "cuda" else []
        ),
    ):
        if seed is not None:
            torch.manual_seed(seed)
        yield
