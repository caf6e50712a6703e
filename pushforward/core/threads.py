"""Rows shared out among threads, for loops and routines that release the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

__all__ = ["in_threads", "parts"]


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
    threads = min(torch.get_num_threads(), count // least)
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
