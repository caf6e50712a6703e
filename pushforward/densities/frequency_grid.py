r"""The frequencies of Gaussian kernel sums, from a box and a bandwidth.

On a box of periods T, with frequencies omega_k = 2 pi k / T and a bandwidth matrix H, q_k =
omega_k^T H omega_k. The data-independent errors, from neighbouring periods and omitted frequencies,
are theorems; `fourier_sums` lists the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.scales import Scale

__all__ = ["FrequencyGrid", "select_axes"]


@dataclass(frozen=True)
class FrequencyGrid:
    """The frequencies required by a box and a bandwidth.

    Args:
        low, high: the box that holds all points (d,), d <= 3, in the user's units.
        scale: the bandwidth (see `Scale`), the same for all states to be merged.
        narrowest, widest: range of the per-point factors s_i; both 1 for one bandwidth.
        eps: accuracy of the transforms, relative to the largest density.
        reach: bandwidths outside the box where the density is available;
            None: until it falls below eps.
    """

    low: Tensor
    high: Tensor
    scale: Scale
    narrowest: float = 1.0
    widest: float = 1.0
    eps: float = 1e-12
    reach: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.dimension <= 3:
            raise InvalidValue(
                f"Fourier sums need 1 to 3 dimensions, got {self.dimension}; use direct sums above"
            )
        if not bool((self.low <= self.high).all() and (self.high - self.low).isfinite().all()):
            raise InvalidValue(
                "box must have low <= high, both finite; pass the range that will hold all points"
            )

    @property
    def dimension(self) -> int:
        """Number of axes, 1 to 3."""
        return len(self.low)

    @cached_property
    def peak(self) -> float:
        """Height of the narrowest bump: no density can be larger."""
        log_peak = -self.dimension * (0.5 * math.log(2 * math.pi) + math.log(self.narrowest))
        return math.exp(log_peak - self.scale.log_determinant)

    @cached_property
    def cut(self) -> float:
        """Omega: frequencies are kept up to this many inverse bandwidths.

        It is also the distance to the nearest image. A density's largest value is at least its mean
        over the box, so errors are held to eps times that.
        """
        spread = (self.high - self.low) + 2 * self.widest * self.scale.covariance.diagonal().sqrt()
        crowding = math.log(max(1.0, float(spread.prod()) * self.peak))
        return math.sqrt(2 * (crowding - math.log(self.eps)))

    @cached_property
    def margin(self) -> Tensor:
        """(d,) how far outside the box the density is available."""
        reach = self.cut if self.reach is None else self.reach
        return reach * self.widest * self.scale.covariance.diagonal().sqrt()

    @cached_property
    def period(self) -> Tensor:
        """Period of each axis (d,), user's units."""
        deviation = self.widest * self.scale.covariance.diagonal().sqrt()
        return self.high - self.low + self.margin + self.cut * deviation

    @cached_property
    def modes(self) -> tuple[int, ...]:
        """Number of frequencies along each axis, odd."""
        return self.modes_for(self.narrowest)

    def modes_for(self, narrowest: float) -> tuple[int, ...]:
        """Frequencies needed by bumps no narrower than this."""
        precision = torch.linalg.inv(self.scale.covariance).diagonal().sqrt() / narrowest
        highest = (self.cut * precision * self.period / (2 * math.pi)).ceil()
        return tuple(2 * int(k) + 1 for k in highest)

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return math.prod(self.modes)

    @cached_property
    def fixed_error(self) -> float:
        """Images and truncation: absolute error of f that does not depend on the data."""
        d = self.dimension
        truncation = 2 * d * math.erfc(self.cut / math.sqrt(2)) * self.peak
        deviation = self.widest * self.scale.covariance.diagonal().sqrt()
        between = float((self.period / deviation).min())
        rings = (
            ((2 * j + 1) ** d - (2 * j - 1) ** d, self.cut + (j - 1) * between) for j in range(1, 4)
        )
        images = sum(count * math.exp(-0.5 * gap * gap) for count, gap in rings) * self.peak
        error: float = truncation + images
        return error

    @property
    def outside_error(self) -> float:
        """The largest density outside the box and its margin, which is reported as zero."""
        reach = self.cut if self.reach is None else self.reach
        return self.peak * math.exp(-0.5 * reach * reach)

    def agrees(self, other: FrequencyGrid) -> bool:
        """Whether coefficients on both grids have the same meaning."""
        boxes = torch.equal(self.low, other.low) and torch.equal(self.high, other.high)
        numbers = all(
            getattr(self, name) == getattr(other, name)
            for name in ("narrowest", "widest", "eps", "reach")
        )
        same_scale = torch.equal(self.scale.factor, other.scale.factor)
        return boxes and numbers and same_scale and self.modes == other.modes

    def holds(self, x: Tensor, *, margin: bool) -> Tensor:
        """(n,) whether each row of x (n, d) is in the box,
        or with `margin` in the box and its margin.
        """
        border = self.margin if margin else torch.zeros_like(self.margin)
        return ((x >= self.low - border) & (x <= self.high + border)).all(1)

    def angles(self, x: Tensor) -> list[np.ndarray]:
        """Coordinates in [-pi, pi], one array per axis."""
        turned = (x - (self.low + self.high) / 2) * (2 * math.pi / self.period)
        return [np.ascontiguousarray(column) for column in turned.numpy().T]

    def quadratic(self, modes: tuple[int, ...]) -> np.ndarray:
        """q_k = omega^T H omega on a centred grid of `modes`."""
        axes = [
            np.arange(-(m // 2), m // 2 + 1) * (2 * math.pi / float(t))
            for m, t in zip(modes, self.period, strict=True)
        ]
        covariance, d = self.scale.covariance.numpy(), self.dimension
        total: np.ndarray = np.zeros(modes)
        for a in range(d):
            for b in range(a, d):
                if covariance[a, b] != 0:
                    factor = covariance[a, b] * (1 if a == b else 2)
                    total += (
                        factor * _broadcast_axis(axes[a], a, d) * _broadcast_axis(axes[b], b, d)
                    )
        return total


def select_axes(grid: FrequencyGrid, axes: list[int], modes: tuple[int, ...]) -> FrequencyGrid:
    """The grid over some axes, with the same periods and frequencies,
    so that nothing is interpolated.
    """
    scale = grid.scale.select(axes)
    part = FrequencyGrid(
        grid.low[axes],
        grid.high[axes],
        scale,
        grid.narrowest,
        grid.widest,
        grid.eps,
        grid.reach,
    )
    part.__dict__.update(period=grid.period[axes], cut=grid.cut, modes=modes)
    return part


def _broadcast_axis(values: np.ndarray, axis: int, dimension: int) -> np.ndarray:
    """Values of one axis (m,), broadcastable over all."""
    return values.reshape([-1 if a == axis else 1 for a in range(dimension)])
