"""Where a distribution has no mass:
observations with any coordinate there have log-probability -inf.

One rule for every distribution that does not cover all numbers: Bernoulli and continuous Bernoulli
outside their two ends, levels off the lattice or beyond its ends, categories that are none of those
known. What is rounding is not outside: `slack` is sixteen units of the last place of the
coordinates' type.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.densities.normals import flat

__all__ = ["slack", "outside", "barred"]


def slack(x: Tensor) -> float:
    """What rounding may do to a coordinate of about 1."""
    return 16 * float(torch.finfo(x.dtype).eps)


def outside(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor | None:
    """Which coordinates of x lie below low or above high (NaN too),
    or None where it is plain that none does.

    On the CPU one pass over x is enough; elsewhere it would have to wait for the device.
    """
    room = slack(x)
    if x.device.type == "cpu" and not isinstance(low, Tensor) and not isinstance(high, Tensor):
        if not x.numel():
            return None
        least, most = torch.aminmax(x.detach())
        if float(least) >= low - room and float(most) <= high + room:
            return None
    return ~((x >= low - room) & (x <= high + room))


def barred(log_prob: Tensor, outside: Tensor | None, event: int) -> Tensor:
    """-inf for the rows that have a coordinate outside;
    the others' as they are, with their gradients.
    """
    if outside is None:
        return log_prob
    return torch.where(flat(outside, event).any(-1), -math.inf, log_prob)
