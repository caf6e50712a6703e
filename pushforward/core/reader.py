"""Access to the library's reader for anything that is not numeric data in memory.

Reading belongs to `pushforward.data`, a higher layer that core may not import,
so it is looked up by its module's name.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from pushforward.core.frames import is_frame
from pushforward.core.numbers import is_sparse

__all__ = ["conditions_in", "read_for_fit", "reading_arguments", "rows_in"]

READER = "pushforward.data.reading"
IMAGES = "pushforward.data.image_inputs"


def read_for_fit(x: object, y: object, weights: object) -> Any:
    """The source to fit a model to: `pushforward.read` with labels only if y requests them."""
    return importlib.import_module(READER).read_for_fit(x, y, weights)


def reading_arguments() -> tuple[str, ...]:
    """The names of the arguments of `pushforward.read`."""
    return tuple(inspect.signature(importlib.import_module(READER).read).parameters)


def conditions_in(y: Any, space: Any) -> Any:
    """Files and images of Pillow, one or several, read as conditions (n, c, h, w) of a space of
    images; other conditions as they are.
    """
    first = y[0] if isinstance(y, (list, tuple)) and y else y
    is_image = isinstance(first, (str, os.PathLike)) or hasattr(first, "getbands")
    if space.kind != "images" or not is_image:
        return y
    return importlib.import_module(IMAGES).read_conditions(y, space)


def rows_in(x: object, space: object) -> object:
    """x if it is an array, tensor, frame or list of numbers.

    Otherwise its rows, read for the space.
    """
    if (
        isinstance(x, (Tensor, np.ndarray, int, float, np.generic))
        or is_frame(x)
        or is_sparse(x)
        or _is_numbers(x)
    ):
        return x
    return importlib.import_module(READER).rows_like(x, space) if _is_readable(x) else x


def _is_numbers(x: object) -> bool:
    """Whether a list holds numbers at any depth, judging by its first items."""
    while isinstance(x, (list, tuple)) and len(x):
        x = x[0]
    return isinstance(x, (int, float, np.generic, np.ndarray, Tensor)) or (
        isinstance(x, (list, tuple)) and not x
    )


def _is_readable(x: object) -> bool:
    return (
        isinstance(x, (str, os.PathLike, Iterable))
        or callable(getattr(x, "take", None))
        or hasattr(x, "__getitem__")
    )
