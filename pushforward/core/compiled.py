"""Loops compiled to machine code by Numba, and the threads that run them.

Array operations walk through memory once for each step of a formula, and a call of one costs
microseconds. A loop that does all steps for one row has neither cost, which counts where rows are
short, or few of many matter. Numba compiles it for its argument types the first time it is called
on a machine, in a second or two, and keeps it on disk; from then on loading takes milliseconds.

Importing Numba takes a quarter of a second. So loops live in modules named `*_loops`, and these are
imported where they are called, within functions.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import torch

__all__ = ["in_threads", "inlined", "loop", "machine_code_folder", "parts"]

Function = TypeVar("Function", bound=Callable[..., object])

CONFIG: Any = numba.config  # its settings are made at run time

# Sums may be reordered, and products fused with them, so that loops use vector instructions.
# NaN and infinity keep their meaning.
REORDER = {"reassoc", "contract", "nsz", "arcp"}


def loop(function: Function) -> Function:
    """The function compiled; it releases the interpreter's lock, and divides as NumPy does.

    Its arguments are arrays and numbers; its globals are constants, or loops themselves.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": REORDER}
    users = CONFIG.CACHE_DIR
    try:
        CONFIG.CACHE_DIR = machine_code_folder()  # read while a function is decorated
        return cast(Function, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder can be written to: compiled once in each process
        return cast(Function, numba.njit(**options)(function))
    finally:
        CONFIG.CACHE_DIR = users


@cache
def machine_code_folder() -> str:
    """Where machine code is kept: apart for each state of the package's loops.

    A loop's code contains that of the loops it calls, of whose changes Numba knows nothing. Below
    NUMBA_CACHE_DIR if set, else beside the package where that can be written to, else in the user's
    cache folder.
    """
    package, text = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted([*package.glob("*/*_loops.py"), *package.glob("*/*/*_loops.py")]):
        text.update(path.read_bytes())
    users = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    beside = package / "__pycache__" if os.access(package, os.W_OK) else ""
    home = CONFIG.CACHE_DIR or str(beside) or os.path.join(users, "pushforward")
    return os.path.join(home, f"loops-{text.hexdigest()[:12]}")


def inlined(function: Function) -> Function:
    """A step of a loop, compiled into each loop that calls it."""
    options: dict[str, Any] = {"error_model": "numpy", "fastmath": REORDER}
    return cast(Function, numba.njit(inline="always", **options)(function))


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

    _let_idle_threads_sleep()
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


def _let_idle_threads_sleep() -> None:
    """End the threads in which OpenMP ran PyTorch's last operation, if it did.

    They wait for the next one without sleeping, for milliseconds, on the processors that loops are
    about to use; starting new ones takes some ten microseconds.
    """
    pause = _find_pause()
    if pause is not None:
        pause(1)  # omp_pause_soft; only of the thread that calls


@cache
def _find_pause() -> Callable[[int], int] | None:
    """`omp_pause_resource_all` of the OpenMP that PyTorch loaded, if it has one (OpenMP 5.0)."""
    try:
        return ctypes.CDLL(None).omp_pause_resource_all  # type: ignore[no-any-return]
    except (AttributeError, OSError, TypeError):  # another OpenMP; Windows
        return None
