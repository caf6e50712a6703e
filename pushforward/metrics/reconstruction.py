"""Reconstruction error of encoding and decoding."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes, Encodes
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind
from pushforward.core.records import Record
from pushforward.core.space import Space
from pushforward.core.units import HasSpace

__all__ = ["STANDARDISED", "reconstruct", "squared_distances", "squared_error", "unit_of_distances"]

STANDARDISED = "squared standard deviations"
"""The unit of distances between rows whose columns are of different units."""


@torch.no_grad()
def reconstruct(model: object, x: Observations, y: Conditioning = None) -> Tensor:
    """decode(encode(x)): observations (n, *shape) in the user's units."""
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise InvalidKind(
            f"{type(model).__name__} cannot both encode and decode, so it cannot reconstruct"
        )
    if y is None:
        return model.decode(model.encode(x))
    return model.decode(model.encode(x, y), y)


def squared_error(
    model: object, x: Observations, y: Conditioning = None, *, data: str = ""
) -> Record:
    """Mean of ‖x - decode(encode(x))‖², summed over the event, in squared user's units.

    Where columns are of different units, it is in squared standard deviations of each column of x;
    see `squared_distances`.
    """
    reconstructions = reconstruct(model, x, y)
    space = cast(HasSpace, model).fitted_space()
    values = squared_distances(space.conform(x), reconstructions, space)
    return Record.of("squared_error", values, unit=unit_of_distances(space), data=data)


def squared_distances(x: Tensor, restored: Tensor, space: Space) -> Tensor:
    """‖x - restored‖² of each row (n,), of observations (n, *shape) in the user's units.

    Columns of different units (`Space.mixes_units`) are divided by their standard deviations in x,
    or by their ranges where x is constant, and categories count by whether they are restored: a
    column of numbers that is restored by its mean adds 1 on average, and every column that is
    restored by the values of other rows, at random, adds 2, numbers and categories alike.
    """
    x, restored = x.to("cpu", torch.float64), restored.to("cpu", torch.float64)
    if not space.mixes_units:
        return (x - restored).square().flatten(1).sum(1)
    parts = []
    for j, (column, span) in enumerate(zip(space.columns, space.ranges)):
        here, there = x[:, j], restored[:, j]
        if column.kind == "categorical":
            shares = here.unique(return_counts=True)[1] / len(here)
            unlike = float(1 - shares.square().sum())  # of two rows at random
            parts.append(2 * (here != there) / (unlike or 1.0))
        else:
            variance = float(here.var(correction=0))
            parts.append((here - there).square() / (variance or span**2))
    return torch.stack(parts).sum(0)


def unit_of_distances(space: Space) -> str:
    """The unit of `squared_distances`."""
    return STANDARDISED if space.mixes_units else "squared units"
