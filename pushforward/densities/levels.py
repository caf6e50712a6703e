"""Distributions on levels: integers v = 0..L-1,
each at the centre u = -1 + (2v+1)/L of a cell of [-1, 1].

The discretised logistic gives a cell the mass that a logistic distribution with location m and
scale s has there, the first and last cells reaching to infinity. With the cell's ends a =
(u - 1/L - m)/s and b = (u + 1/L - m)/s,

    σ(b) - σ(a) = σ(b) σ(-a) (1 - e^(a-b)),

whose logarithm -softplus(-b) - softplus(a) + log(1 - e^(-2/(L s))) never cancels: neither in the
tails, where both σ are 0 or 1, nor for narrow or wide scales. Between and beyond the levels there
is no mass: -inf (see `support`). Reference: Salimans et al. (2017,
https://arxiv.org/abs/1701.05517), Eq. 2 (PixelCNN++), there by cases and a floor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from pushforward.core.errors import InvalidValue
from pushforward.core.random import Rng, uniform
from pushforward.densities.distribution import RowDistribution
from pushforward.densities.normals import event_rank, sum_event
from pushforward.densities.support import mask_outside, rounding_slack

__all__ = ["DiscretisedLogistic", "bits_per_dimension"]

N = TypeVar("N", float, Tensor)


@dataclass(eq=False)
class DiscretisedLogistic(RowDistribution):
    """Independent masses on the levels of every coordinate.

    Args:
        location: m, (n, *event), in [-1, 1] coordinates (it may lie outside).
        log_scale: log s, broadcastable to location.
        levels: L.
        event_dims: number of axes of location in the event; all but the first by default.
    """

    location: Tensor
    log_scale: Tensor
    levels: int
    event_dims: int | None = None

    def __post_init__(self) -> None:
        rank = self.location.ndim - 1 if self.event_dims is None else self.event_dims
        self.declare(self.location.shape, rank)

    @property
    def mean(self) -> Tensor:
        """Σ_v u_v P(v) = u_0 + 2/L Σ_j P(V ≥ j): exact, in one pass per level."""
        inverse = torch.exp(-self.log_scale)
        total = torch.zeros_like(self.location)
        for j in range(1, self.levels):
            total += torch.sigmoid((self.location - (2 * j / self.levels - 1)) * inverse)
        return total * (2 / self.levels) + (1 / self.levels - 1)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> DiscretisedLogistic:
        """The same distribution for more rows."""
        shape = (*batch_shape, *self.event_shape)
        scale = self.log_scale.expand_as(self.location).expand(shape)
        return DiscretisedLogistic(
            self.location.expand(shape), scale, self.levels, len(self.event_shape)
        )

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ log P(the level at x), over the event; -inf if any x is not the centre of a cell."""
        half, inverse = 1 / self.levels, torch.exp(-self.log_scale)
        middle = (x - self.location) * inverse
        reach = half * inverse
        # Halfway between the outermost centres and their neighbours,
        # so that rounding cannot change the level.
        first, last = x < 2 * half - 1, x > 1 - 2 * half
        below = torch.where(first, 0.0, -_softplus(middle - reach))
        above = torch.where(last, 0.0, -_softplus(-middle - reach))
        inner = torch.where(first | last, 0.0, _log1mexp(2 * reach))
        event = event_rank(x, self.location) if self.event_dims is None else self.event_dims
        return mask_outside(sum_event(below + above + inner, event), self._off(x), event)

    def _off(self, x: Tensor) -> Tensor | None:
        """Which coordinates are not levels; None if all clearly are."""
        level = x.detach() * (self.levels / 2) + self.levels / 2
        room = min(0.25, 1e-3 + self.levels * rounding_slack(x))
        if x.device.type == "cpu" and x.numel():
            ends, parts = torch.aminmax(level), torch.aminmax(level.frac())
            if (
                float(ends.min) > 0
                and float(ends.max) < self.levels
                and max(0.5 - float(parts.min), float(parts.max) - 0.5) <= room
            ):
                return None
        off: Tensor = ~(((level.frac() - 0.5).abs() <= room) & (level > 0) & (level < self.levels))
        return off

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """Samples at the centres of levels; without gradients."""
        u = uniform(*sample_shape, *self.location.shape, rng=rng, like=self.location)
        with torch.no_grad():
            x = self.location + self.log_scale.exp() * torch.logit(u)
            level = ((x + 1) * (self.levels / 2)).floor().clamp(0, self.levels - 1)
            return (2 * level + 1) / self.levels - 1


def _softplus(t: Tensor) -> Tensor:
    """log(1 + e^t), replaced by t only where that is exact even in float64."""
    return softplus(t, threshold=50)


def _log1mexp(t: Tensor) -> Tensor:
    """log(1 - e^-t) for t > 0."""
    return torch.log(-torch.expm1(-t))


def bits_per_dimension(nats: N, dimensions: int) -> N:
    """Bits to encode one coordinate, from an observation's log-mass: -nats / (dimensions log 2).

    A uniform distribution on 256 levels has 8.

    Raises:
        InvalidValue: Unless dimensions ≥ 1.
    """
    if dimensions < 1:
        raise InvalidValue(
            f"dimensions must be at least 1, got {dimensions}; pass the number of coordinates of an"
            " observation"
        )
    return -nats / (dimensions * math.log(2))
