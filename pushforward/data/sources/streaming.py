"""Observations read one by one, in order, once per pass: `read(make, stream=True)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, quote
from pushforward.core.stream import Stream
from pushforward.data.options import Options
from pushforward.data.sources.arrays import as_images
from pushforward.data.sources.items import check_alike, parts_of

__all__ = ["read_stream"]

AT_ONCE = 256
"""Observations per block: enough to estimate ranges, few enough for images."""


def read_stream(make: object, options: Options) -> Stream:
    """A stream of single observations, or of (observation, label) pairs."""
    if not callable(make):
        what = quote(make)
        raise InvalidKind(
            f"stream=True takes a function that returns an iterator, got {what}; pass lambda:"
            " iter(...)"
        )
    for name in ("y", "weights", "columns", "n"):
        if getattr(options, name) is not None:
            remedy = "have the function give (observation, label) pairs, or use pf.Stream"
            raise InvalidValue(f"{name} is not for streams; {remedy}")
    name = options.name or getattr(make, "__name__", "stream")
    stream = Stream(
        _blocks(make, options),
        space=options.like,
        condition_space=options.like_condition,
        name=name,
    )
    stream.unrequested_labels = stream.condition_space is not None and options.label is None
    return stream


def _blocks(make: Callable[[], Iterable[Any]], options: Options) -> Callable[[], Iterator[Any]]:
    """A function that yields blocks, from one that yields observations."""

    def blocks() -> Iterator[Any]:
        items = iter(make())
        index, first = 0, None
        while chunk := list(islice(items, AT_ONCE)):
            rows: list[Any] = []
            labels: list[Any] = []
            for item in chunk:
                x, y, _ = parts_of(item, index, options)
                first = x if first is None else first
                check_alike(x, first, index)
                rows.append(x)
                labels += [] if y is None or not options.labelled else [y]
                index += 1
            if labels and len(labels) != len(rows):
                counts = f"{len(labels)} of {len(rows)} observations came with a label"
                raise ShapeMismatch(f"{counts}; expected all or none")
            stacked = as_images(np.stack(rows))[0]
            yield (stacked, np.array(labels)) if labels else stacked

    return blocks
