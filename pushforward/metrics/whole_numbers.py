"""Integers too large for float64, such as timestamps in ns and identifiers.

Above 2^53, float64 represents only some integers.

Only differences of rows matter, and these are small. An integer origin is therefore subtracted from
64-bit integers before conversion to float64, and only here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.core.errors import ShapeMismatch
from pushforward.core.numbers import warn_of_rounding

__all__ = ["find_origin", "subtract_origin", "subtract_common_origin"]

LIMIT = 2**53
"""Largest number below which float64 represents every integer."""


def find_origin(*sets: Tensor) -> Tensor | None:
    """The origin (*shape), int64, of sets of rows (n, *shape), None if not needed.

    It is the least value of each coordinate that float64 cannot represent,
    else 0, from the first set with such a coordinate.
    """
    for x in sets:
        if x.dtype != torch.int64 or not x.numel():
            continue
        low, high = x.amin(0), x.amax(0)
        large = (low < -LIMIT) | (high > LIMIT)
        if bool(large.any()):
            return torch.where(large, low, 0).cpu()
    return None


def subtract_origin(x: Tensor, origin: Tensor | None) -> Tensor:
    """Rows x (n, *shape) minus an origin (*shape), float64; warns of integers that lose digits."""
    if origin is not None and origin.numel() != x[0].numel():
        raise ShapeMismatch(
            f"rows have shape {tuple(x.shape[1:])}, others {tuple(origin.shape)}; bring both to one"
            " shape"
        )
    origin = None if origin is None else origin.reshape(x.shape[1:])
    if origin is None or x.is_floating_point():
        _warn_of_lost_digits(x)
        wide = x.to(torch.float64)
        return wide if origin is None else wide - origin.to(wide)
    whole, origin = x.to(torch.int64), origin.to(x.device)
    rest = whole - origin
    # the difference itself is beyond 64 bits
    if bool((((whole ^ origin) & (whole ^ rest)) < 0).any()):
        _warn_of_lost_digits(whole)
        return whole.to(torch.float64) - origin.to(torch.float64)
    _warn_of_lost_digits(rest)
    return rest.to(torch.float64)


def subtract_common_origin(*sets: Tensor) -> list[Tensor]:
    """Sets of rows minus a common origin, float64."""
    origin = find_origin(*sets)
    return [subtract_origin(x, origin) for x in sets]


def _warn_of_lost_digits(x: Tensor) -> None:
    if x.dtype == torch.int64:
        warn_of_rounding(x.cpu())
