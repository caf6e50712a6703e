"""Axes of a space by name or position, for marginals and conditionals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pushforward.core.column_numbers import as_number
from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.model import Model
from pushforward.core.space import Column, Space

__all__ = ["find_axes", "axes_to_keep", "read_known_values", "subspace", "too_far_error"]

SHOWN = 8
"""Most values shown in an error message."""


def find_axes(space: Space, axes: object) -> list[int]:
    """Positions of axes given by name or position; for images, of flattened coordinates."""
    if not isinstance(axes, Iterable):
        raise InvalidKind(f"axes must be a name or position, or several, got {axes!r}")
    positions: list[int] = []
    for axis in axes:
        if space.kind == "points":
            place = space.axis(axis)
        elif str(axis).isdigit() and int(axis) < space.size:
            place = int(axis)
        else:
            raise InvalidValue(f"an axis of {space} is a number 0..{space.size - 1}, got {axis!r}")
        if place in positions:
            raise InvalidValue(f"axis {axis!r} is named twice; name every axis once")
        positions.append(place)
    return positions


def axes_to_keep(space: Space, axes: object) -> list[int]:
    """Positions of the axes of a marginal.

    Raises:
        InvalidValue: If there is none.
    """
    keep = find_axes(space, [axes] if isinstance(axes, (str, int)) else axes)
    if not keep:
        raise InvalidValue("a marginal needs at least one axis, got none")
    return keep


def read_known_values(
    model: Model, known: Mapping[Any, Any]
) -> tuple[list[int], list[int], Tensor]:
    """Positions of the known and of the free axes, and the known values, from {axis: value}.

    Date columns accept dates, percent columns also '40%'.

    Raises:
        InvalidValue: Unless all values are finite and some axis is free.
    """
    space = model.fitted_space()
    conditioned = find_axes(space, known)
    free = [i for i in range(space.size) if i not in conditioned]
    if not free:
        raise InvalidValue("every axis is known; leave at least one free")
    columns = subspace(space, conditioned).columns if conditioned else ()
    numbers = [as_number(v, column) for v, column in zip(known.values(), columns)]
    values = torch.tensor(numbers, dtype=torch.float64)
    if not bool(values.isfinite().all()):
        raise InvalidValue(
            f"values to condition on must be finite, got {values.tolist()[:SHOWN]}; "
            "leave unknown axes out"
        )
    return conditioned, free, values.to(model.device)


def too_far_error(values: Tensor) -> InvalidValue:
    """The error for values at which no conditional distribution can be represented."""
    texts = [f"{v:g}" for v in values.tolist()[:SHOWN]]
    return InvalidValue(
        f"the values {texts} are too far from the data to condition on; choose nearer ones"
    )


def subspace(space: Space, keep: list[int]) -> Space:
    """The space of some flattened coordinates of another."""
    shape = (len(keep),)
    if space.kind == "points" and space.columns:
        columns = tuple(space.columns[i] for i in keep)
        low, high = min(c.low for c in columns), max(c.high for c in columns)
        return replace(space, shape=shape, columns=columns, low=low, high=high)
    columns = tuple(Column(f"x{i}", low=space.low, high=space.high) for i in keep)
    return Space(
        "points",
        shape,
        columns,
        space.low,
        space.high,
        space.integer,
        "array" if space.form != "tensor" else "tensor",
    )
