"""Whole numbers too large for float64, which beyond 2^53 holds every second, fourth, … of them:
nanoseconds since 1970, identifiers.

Only differences of rows matter, and these are small. So an origin, whole numbers itself, is
subtracted from 64-bit integers while they are integers still; only the rest becomes float64. This
is the one place where that is done.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.core.errors import ShapeMismatch
from pushforward.core.numbers import warn_of_rounding

__all__ = ["find_origin", "subtract_origin", "subtract_common_origin"]

LIMIT = 2**53
"""Up to here float64 holds every integer."""


def find_origin(*sets: Tensor) -> Tensor | None:
    """What to subtract (*shape), int64, from sets of rows (n, *shape): the least of each coordinate
    that float64 does not hold, else 0.

    That of the first set with such a coordinate; None where there is none.
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
    """Rows x (n, *shape) less an origin (*shape), float64;
    warns of integers that lose digits on the way.
    """
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
    """Sets of rows less a common origin, float64."""
    origin = find_origin(*sets)
    return [subtract_origin(x, origin) for x in sets]


def _warn_of_lost_digits(x: Tensor) -> None:
    if x.dtype == torch.int64:
        warn_of_rounding(x.cpu())
