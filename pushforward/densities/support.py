"""Supports of distributions: outside them, observations have log-probability -inf.

One rule for every distribution with bounded support: Bernoulli and continuous Bernoulli outside
their two ends, levels off the lattice or beyond its ends, unknown categories. A tolerance for
rounding, `rounding_slack`, is sixteen units in the last place of the coordinates' type.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.densities.normals import flatten_event

__all__ = ["rounding_slack", "find_outside", "mask_outside"]


def rounding_slack(x: Tensor) -> float:
    """Tolerance for the rounding of a coordinate of about 1."""
    return 16 * float(torch.finfo(x.dtype).eps)


def find_outside(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor | None:
    """Which coordinates of x are below low, above high or NaN; None if clearly none is.

    On the CPU a single pass decides; on other devices that would force a synchronisation.
    """
    room = rounding_slack(x)
    if x.device.type == "cpu" and not isinstance(low, Tensor) and not isinstance(high, Tensor):
        if not x.numel():
            return None
        least, most = torch.aminmax(x.detach())
        if float(least) >= low - room and float(most) <= high + room:
            return None
    return ~((x >= low - room) & (x <= high + room))


def mask_outside(log_prob: Tensor, outside: Tensor | None, event: int) -> Tensor:
    """log_prob with -inf for rows that have a coordinate outside.

    Other rows keep values and gradients.
    """
    if outside is None:
        return log_prob
    return torch.where(flatten_event(outside, event).any(-1), -math.inf, log_prob)
