"""What a likelihood asks of the range of the data: its ends, its levels, and that it is known."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadSource
from pushforward.core.scaling import Scaling, find_known_range
from pushforward.core.space import Space

__all__ = ["find_ends", "count_levels", "refuse_categories", "require_range"]


def count_levels(space: Space) -> int:
    """Number of integers in the range; 0 if it has no ends."""
    return round(space.high - space.low) + 1 if math.isfinite(space.high - space.low) else 0


_known_ends: WeakKeyDictionary[Scaling, tuple[Tensor | None, Tensor | None]] = WeakKeyDictionary()


def find_ends(scaling: Scaling) -> tuple[Tensor | None, Tensor | None]:
    """The lowest value in model coordinates (None for 0),
    and the highest value's distance from it (None for 1).

    'unit' counts integer data as cells, so that levels 0..255 are at 1/512..511/512;
    a constant column is at ½.
    """
    if scaling not in _known_ends:
        _known_ends[scaling] = _find_ends(scaling)
    return _known_ends[scaling]


def _find_ends(scaling: Scaling) -> tuple[Tensor | None, Tensor | None]:
    space = scaling.space
    is_known = scaling.kind == "known"
    ranges = [find_known_range(c) if is_known else (c.low, c.high) for c in space.columns] or [
        (space.low, space.high)
    ]
    ends = torch.tensor(ranges, dtype=torch.float64, device=scaling.shift.device)
    if not space.columns:
        ends = ends[0]
    low, high = ((ends[..., i] - scaling.shift) / scaling.scale for i in (0, 1))
    span = high - low
    return (None if bool((low == 0).all()) else low), (None if bool((span == 1).all()) else span)


def refuse_categories(likelihood: str, space: Space) -> None:
    """Raise BadSource, on behalf of a likelihood of this name, if any column is categorical."""
    for name, column in zip(space.names, space.columns):
        if column.kind == "categorical":
            raise BadSource(
                f"likelihood {likelihood!r} takes numbers, but column {name!r} is categorical;"
                f" use {setting('likelihood', 'columns')}, or drop the column"
            )


def require_range(likelihood: str, space: Space) -> None:
    """Raise BadSource unless the ends are known, rather than merely observed."""
    if space.columns:
        for name, column in zip(space.names, space.columns):
            declared = column.lower is not None and column.upper is not None
            if not declared and not (column.low >= 0 and column.high <= 1):
                raise BadSource(
                    _range_message(
                        likelihood,
                        f"column {name!r} ({column.low:g}..{column.high:g} observed) has none",
                    )
                )
    elif not math.isfinite(space.low + space.high):
        raise BadSource(_range_message(likelihood, f"{space} have none"))


def _range_message(likelihood: str, what: str) -> str:
    return (
        f"likelihood {likelihood!r} needs data with a known range, but {what}; scale the data"
        " into 0..1, pass images (n, channels, height, width), or use"
        f" {setting('likelihood', 'gaussian')}"
    )
