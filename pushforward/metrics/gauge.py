"""One centre and one scale for all sets of a comparison, so that units and offsets cost no digits.

Squares, products and float32 copies of numbers far from 0 lose the differences between rows, and
squares of 1e-200 underflow. Rows are therefore converted to float64, shifted by a common centre and
divided by a common scale before anything else:

* The centre is, in every coordinate, the data value nearest to the mean: integers stay integers, so
  that equal distances stay equal.
* The scale is a power of two, so that division is exact. All numbers then lie in [-1, 1].

Metrics in units of the features are multiplied back (`restore_units`), or rejected if float64
cannot represent them. No absolute thresholds are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.extremes import column_extremes

__all__ = [
    "Gauge",
    "exponent_of",
    "in_blocks",
    "is_finite",
    "mean_and_deviation",
    "power_of_two",
    "restore_units",
]

BLOCK_NUMBERS = 1 << 18
"""Numbers in a block that caches hold: 2 MB of float64."""
LEAST_COLUMNS = 32
"""Columns read at once: fewer would leave much of a row's part unread that memory delivers."""


@dataclass(frozen=True, eq=False)
class Gauge:
    """A centre (d,) and a scale, float64.

    Example:
        >>> x = torch.tensor([[1e9], [1e9 + 4]], dtype=torch.float64)
        >>> gauge = Gauge.of(x)
        >>> gauge(x).flatten().tolist(), gauge.scale
        ([0.0, 0.5], 8.0)
    """

    centre: Tensor
    scale: float

    @classmethod
    def of(cls, x: Tensor, *others: Tensor, around: Tensor | None = None) -> Gauge:
        """The gauge of sets of floating rows (n, d).

        The centre is that of the first set, or of its rows `around`.
        """
        some = x if around is None else x[around]
        mean = _column_means(some)
        if not bool(mean.isfinite().all()):  # a sum beyond float64
            mean = some[0].to(torch.float64)
        centre = _nearest_values(some, mean)
        reach = max(_reach(each, centre) for each in (x, *others))
        _require_span(reach)
        return cls(centre, power_of_two(reach))

    def __call__(self, x: Tensor) -> Tensor:
        """Rows (n, d) minus the centre, divided by the scale."""
        return torch.sub(x, self.centre).div_(self.scale)

    def noise(self, x: Tensor, rounding: float) -> Tensor:
        """The error (n,) of each row, divided by the scale.

        It follows from the relative error of the original numbers.

        Integer coordinates, which are exact up to 2^53, have no error.
        """
        exact = _exact_columns(x)
        parts = [
            torch.where(exact, 0.0, part.to(torch.float64) / self.scale).norm(dim=1)
            for part in in_blocks(x)
        ]
        return torch.cat(parts) * rounding

    def unit(self, *sets: Tensor) -> float:
        """The factor that turns scaled sets of rows (n, d) back into integers; 0 if there is none.
        The integers must be small enough for sums of their squared differences to have 116 bits.
        """
        small = 1 <= self.scale <= 2**53 and self.scale * self.scale * len(self.centre) <= 2**114
        return self.scale if small and all(bool(_exact_columns(x).all()) for x in sets) else 0.0


def in_blocks(x: Tensor) -> tuple[Tensor, ...]:
    """Blocks of rows of x (n, d) that caches hold, so that temporary results stay there."""
    parts: tuple[Tensor, ...] = x.split(max(1, BLOCK_NUMBERS // max(1, x.shape[1])))
    return parts


def is_finite(x: Tensor) -> bool:
    """Whether no number of x (n, d) is NaN or infinite: both show in the extremes."""
    return all(
        bool(np.isfinite(end).all())
        for part in in_blocks(x)
        for end in (column_extremes(part.numpy()) if part.numel() else ())
    )


def _column_means(x: Tensor) -> Tensor:
    """The means (d,) of x (n, d), float64, without a copy of x in it."""
    total = torch.zeros(x.shape[1], dtype=torch.float64)
    for part in in_blocks(x):
        total += part.sum(0, dtype=torch.float64)
    return total / len(x)


def _nearest_values(x: Tensor, mean: Tensor) -> Tensor:
    """In each column of x (n, d), the first of the values nearest to the mean (d,)."""
    nearest, least = mean.clone(), torch.full_like(mean, torch.inf)
    for part in in_blocks(x):
        apart = (part - mean).abs_()
        columns = (apart.amin(0) < least).nonzero()[:, 0]
        least[columns], rows = apart[:, columns].min(0)
        nearest[columns] = part[rows, columns].to(torch.float64)
    return nearest


def _reach(x: Tensor, centre: Tensor) -> float:
    """The largest distance of any number of x (n, d) from its column's centre (d,)."""
    if not x.numel():
        return 0.0
    ends = [column_extremes(part.numpy()) for part in in_blocks(x)]
    low, high = np.min([end[0] for end in ends], 0), np.max([end[1] for end in ends], 0)
    with np.errstate(over="ignore"):
        return float(max((centre.numpy() - low).max(), (high - centre.numpy()).max()))


def _exact_columns(x: Tensor) -> Tensor:
    """Which coordinates (d,) are integers in every row, up to 2^53."""
    exact = torch.full(x.shape[1:], len(x) > 0)
    for part in in_blocks(x):
        if not exact.any():
            break
        exact &= ((part == part.round()) & (part.abs() <= 2**53)).all(0)
    return exact


def power_of_two(reach: float) -> float:
    """The least power of two above a positive number; 1 for 0 and infinity."""
    return math.ldexp(1.0, min(math.frexp(reach)[1], 1023)) if 0 < reach < math.inf else 1.0


def exponent_of(power: float) -> int:
    """The exponent e of 2^e."""
    return math.frexp(power)[1] - 1


def restore_units(quantity: str, values: Sequence[float] | Tensor, exponent: int) -> Tensor:
    """Multiply values of a metric (a number and its error bar, say) by 2^exponent, float64.

    NaN stays.

    Raises:
        InvalidValue: If a value overflows, or all nonzero values underflow.
    """
    unscaled = torch.as_tensor(values, dtype=torch.float64).cpu()
    with np.errstate(over="ignore", under="ignore"):
        scaled = torch.from_numpy(np.ldexp(unscaled.numpy(), exponent))
    largest = float(unscaled.nan_to_num(0.0, math.inf, math.inf).abs().max())
    most = float(scaled.nan_to_num(0.0, math.inf, math.inf).abs().max())
    if math.isinf(most) or (largest > 0 and most < torch.finfo(torch.float64).tiny):
        size = (
            f" (about 1e{math.log10(largest) + exponent * math.log10(2):+.0f})"
            if math.isfinite(largest)
            else ""
        )
        size_word = "large" if math.isinf(most) else "small"
        raise InvalidValue(
            f"{quantity} of these features is too {size_word} for float64{size}; change their"
            " units, or pass features=scaled(real)"
        )
    return scaled


def _require_span(*reaches: float) -> None:
    if math.inf in reaches:
        raise InvalidValue(
            "the samples differ by more than float64 holds, 1.8e308; change their units: divide all"
            " by 1e10, say"
        )


def mean_and_deviation(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (d,) of x (n, d) in float64, for any offset and unit.

    Constant coordinates get the mean deviation of the others (1 if there are none), so that they
    stay constant and a common change of units has no effect.
    """
    pieces = -(-x.shape[1] // max(LEAST_COLUMNS, BLOCK_NUMBERS // max(1, len(x))))
    parts = [_scaled_moments(part.to(torch.float64)) for part in x.tensor_split(max(1, pieces), 1)]
    mean, deviation, reach = (torch.cat(each) for each in zip(*parts))
    _require_span(float(reach.max()) if reach.numel() else 0.0)
    varied, scale = reach > 0, deviation * reach
    rest = float(scale[varied].mean()) if bool(varied.any()) else 1.0
    return x[0].to(torch.float64) + mean * reach, torch.where(varied, scale, rest)


def _scaled_moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and deviation (d,) of x (n, d) less its first row, in units of its reach, and that."""
    u = x - x[0]
    reach = torch.maximum(u.amax(0), -u.amin(0))
    v = u.div_(torch.where(reach > 0, reach, 1.0))
    return v.mean(0), v.std(0, correction=0), reach
