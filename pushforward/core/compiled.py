"""Loops compiled to machine code by Numba (`threads` runs them in several threads).

Array operations walk through memory once for each step of a formula, and a call of one costs
microseconds. A loop that does all steps for one row has neither cost, which counts where rows are
short, or few of many matter. Numba compiles it for its argument types the first time it is called
on a machine, in a second or two, and keeps it on disk; from then on loading takes milliseconds.

Importing Numba takes a quarter of a second. So loops live in modules named `*_loops`, and these are
imported where they are called, within functions.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["inlined", "loop", "machine_code_folder"]

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
