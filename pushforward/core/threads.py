"""Rows shared out among threads, for loops and routines that release the interpreter's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch

__all__ = ["in_threads", "loops_only", "parts", "thread_count"]

_own = threading.local()


def thread_count() -> int:
    """Threads to share work among: as many as PyTorch uses, also within `loops_only`."""
    return getattr(_own, "threads", 0) or torch.get_num_threads()


@contextmanager
def loops_only(when: bool = True) -> Iterator[None]:
    """A context in which PyTorch's own operations run in the calling thread, and loops in all.

    Where loops do the work, OpenMP's threads only get in their way: after each small sum they go on
    spinning on cores that the loops need. With `when` false nothing changes.
    """
    if not when:
        yield
        return
    outer, threads = getattr(_own, "threads", 0), torch.get_num_threads()
    _own.threads = outer or threads
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _own.threads = outer


def parts(count: int, pieces: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of `count` rows in like pieces, without empty ones."""
    pieces = max(1, min(pieces, count))
    for piece in range(pieces):
        yield count * piece // pieces, count * (piece + 1) // pieces


def in_threads(
    function: Callable[[int, int], object], count: int, *, least: int = 1024, pieces: int = 1
) -> None:
    """Calls `function(start, stop)` over `count` rows, in as many threads as PyTorch uses.

    Args:
        function: a loop's call on rows start to stop, which writes its results in place.
        count: number of rows.
        least: rows that are worth a thread of their own.
        pieces: pieces for each thread; more of them where rows differ in cost.

    Results may not depend on where pieces are cut, or they would depend on the number of threads.
    """
    threads = min(thread_count(), count // least)
    if threads < 2:
        function(0, count)
        return
    waiting = list(parts(count, threads * pieces))[::-1]

    def work() -> None:
        while True:
            try:
                part = waiting.pop()
            except IndexError:  # taken by the others
                return
            function(*part)

    others = [_helpers().submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for other in others:
            if not other.cancel():
                other.result()


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that wait for work: starting them anew would cost as much as a small loop."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="pushforward-loops")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork
