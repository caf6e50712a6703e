"""Arrays and tensors as sources.

Bytes on three axes are grey images without a channel axis, and bytes with 1, 3 or 4 on the last
axis are channels-last images: both are converted to (n, channels, height, width), and the space
records it so that `write` can restore the layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.data_types import ArrayOrTensor, Observations
from pushforward.core.errors import BadSource, InvalidValue, PushforwardError, ShapeMismatch
from pushforward.core.numbers import is_sparse
from pushforward.core.source import Source
from pushforward.core.space import Form, Space, as_array
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options

__all__ = ["from_array", "refuse_infinity", "as_images", "labels_of", "X_KEYS", "Y_KEYS"]

X_KEYS = (
    "x",
    "X",
    "images",
    "image",
    "pictures",
    "data",
    "samples",
    "features",
    "x_train",
    "train_images",
    "pixel_values",
    "img",
)
Y_KEYS = (
    "y",
    "Y",
    "labels",
    "label",
    "targets",
    "target",
    "y_train",
    "train_labels",
    "classes",
    "class",
)


def _is_array(x: object) -> bool:
    """Whether x is an array, a tensor, a sparse matrix, or a list of numbers or lists only."""
    if isinstance(x, (Tensor, np.ndarray)) or is_sparse(x):
        return True
    return isinstance(x, (list, tuple)) and all(isinstance(v, (int, float, list, tuple)) for v in x)


@register_reader(name="array", claims=_is_array)
def _from_memory(x: Observations, options: Options) -> Arrays:
    """Arrays, tensors, sparse matrices and lists of numbers."""
    if isinstance(x, (list, tuple)) and not x:
        raise BadSource("the data have no rows; expected at least one observation")
    return from_array(x, options, form="tensor" if isinstance(x, Tensor) else "array")


def from_array(
    x: Observations,
    options: Options,
    *,
    form: Form = "array",
    labels: ArrayLike | Tensor | None = None,
    space: Space | None = None,
    layout: str = "",
) -> Arrays:
    """A source over an array or tensor with leading length n.

    Args:
        labels: those found with the data.
        layout: the original layout of byte images already converted to (n,
            channels, height, width).
    """
    name = options.name or "array"
    array, original = as_images(_numeric(x, name))
    layout = layout or original
    if array.ndim >= 1 and len(array) == 0:
        raise BadSource(f"{name}: the data have no rows; expected at least one observation")
    if 0 in array.shape[1:]:
        raise BadSource(
            f"{name}: observations of shape {tuple(array.shape[1:])} hold no values; expected at"
            " least one column"
        )
    wholes = len(array) if array.ndim else 0
    array, space = _prepare(array, space, options)
    if space is None:
        space = (
            options.like
            if options.like is not None and options.like.kind == "points"
            else Space.infer(array, form=form)
        )
    if space is options.like:
        _check_width(array, space, name)
    if layout:
        space = replace(space, extra={**space.extra, "layout": layout})
    y, condition_space = labels_of(labels, options, len(array))
    weights = options.weights
    if isinstance(weights, str):
        raise InvalidValue(
            f"weights={weights!r} names a column, but {name} has no named columns; pass an array of"
            " weights"
        )
    source = Arrays(array, y, weights, space=space, condition_space=condition_space, name=name)
    if array.ndim == 5 and len(array) > wholes:  # windows of clips
        from pushforward.data.clip_windows import whole_clips

        source.groups = whole_clips([len(array) // wholes] * wholes)
    if source.resident and not (options.lenient or options.scanned_later):
        refuse_infinity(source.x, space, name)
    return source


def labels_of(
    labels: ArrayLike | Tensor | None, options: Options, n: int
) -> tuple[Any, Space | None]:
    """The conditions to use, with their space: the caller's,
    else the labels found, unless label=False.
    """
    y = options.y if options.y is not None else (labels if options.labelled else None)
    if y is None:
        return None, None
    if isinstance(y, Iterator):
        y = list(y)
    if isinstance(y, Source):
        options = replace(options, like_condition=options.like_condition or y.space)
        y = y.take(torch.arange(len(y))).x
    space = options.like_condition
    if space is not None and space.is_label:
        y = space.conform(y, what="y")
    count = len(cast(Sized, y))
    if count != n:
        raise ShapeMismatch(f"y must have one entry per observation: expected {n}, got {count}")
    return y, space


def _numeric(x: Observations, name: str) -> ArrayOrTensor:
    """x as a numeric array or tensor, with readable errors otherwise."""
    try:
        array = as_array(x)
    except PushforwardError as error:
        raise type(error)(f"{name}: {error}") from error
    except ValueError as error:
        raise ShapeMismatch(
            f"{name}: the rows have different lengths; every observation needs the same shape"
        ) from error
    return array[:, None] if array.ndim == 1 else array


def as_images(x: ArrayOrTensor) -> tuple[Any, str]:
    """Byte images with channels on axis 1, and their original layout."""
    byte = x.dtype in (torch.uint8, np.dtype("uint8"))
    if byte and x.ndim == 3:
        return x[:, None], "no channel axis"
    if byte and x.ndim == 4 and x.shape[1] not in (1, 3, 4) and x.shape[3] in (1, 3, 4):
        return (
            x.permute(0, 3, 1, 2) if isinstance(x, Tensor) else x.transpose(0, 3, 1, 2)
        ), "channels last"
    return x, ""


def _prepare(x: ArrayOrTensor, space: Space | None, options: Options) -> tuple[Any, Space | None]:
    """Convert images to the requested size and channels."""
    if x.ndim == 5 and (options.size or options.channels or options.frames or options.stride):
        from pushforward.data.clip_windows import prepare_clips

        clips, settings = prepare_clips(x, options)
        return clips, replace(space or Space.infer(x[:1]), shape=tuple(clips.shape[1:]), **settings)
    if options.size is None and options.channels is None:
        return x, space
    if x.ndim != 4:
        raise InvalidValue(
            f"size, fit and channels are for images; {options.name or 'the data'} has shape"
            f" {tuple(x.shape)}"
        )
    from pushforward.data.formats.images import prepare_array  # Pillow is loaded for images only

    if x.dtype in (torch.float16, torch.bfloat16, np.dtype("float16")):
        x = x.to(torch.float32) if isinstance(x, Tensor) else x.astype(np.float32)
    return prepare_array(x, space, options)


def _check_width(x: ArrayOrTensor, space: Space, name: str) -> None:
    if tuple(x.shape[1:]) != space.shape:
        raise ShapeMismatch(
            f"{name}: expected {'×'.join(map(str, space.shape))} columns ({space}), got"
            f" {'×'.join(map(str, x.shape[1:]))}"
        )


def refuse_infinity(x: Tensor, space: Space, name: str) -> None:
    """Raise BadSource naming the first column (or image) that holds infinity."""
    if not x.dtype.is_floating_point:
        return
    for start in range(0, len(x), 65536):
        infinite = torch.isinf(x[start : start + 65536])
        if bool(infinite.any()):
            row, *place = (int(i) for i in infinite.nonzero()[0])
            where = f"column {space.names[place[0]]!r}" if space.kind == "points" else "an image"
            remedy = "remove or replace those values (NaN marks a missing value)"
            raise BadSource(
                f"{name}: {where} holds infinity (first in row {start + row}); {remedy}"
            )
