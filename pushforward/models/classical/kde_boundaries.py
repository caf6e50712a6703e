r"""Kernel densities at the ends of bounded axes.

A bump near the end of an axis extends beyond it. Reflection folds it back, r: R^d → box, so that
the distribution is the pushforward of f by r,

    f_r(x) = Σ f(x') over all x' with r(x') = x,

which integrates to one for every kernel. A periodic axis (an angle, an hour) wraps instead, f_w(x)
= Σ_t f(x + t P), P being the distance of its ends. Renormalisation cuts each bump and divides it by
its mass inside, Π_a [F((u_a - x_ia)/s_i h_a) - F((l_a - x_ia)/s_i h_a)]; it needs independent axes,
and bends the density less where it slopes.

References:
    Silverman (1986), Density Estimation for Statistics and Data Analysis, section 2.10.
    https://doi.org/10.1201/9781315140919 Jones (1993), Simple boundary correction for kernel
    density estimation, section 2. https://doi.org/10.1007/BF00147776
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.scan import Facts
from pushforward.core.space import Space
from pushforward.densities.bounds import FLAT, find_images, find_sources, fold, unroll, wrap
from pushforward.densities.kernels import Kernel
from pushforward.models.classical.axes import find_axes

__all__ = ["BOUNDARIES", "Bound", "Boundary", "BoundaryName", "build_boundary", "parse_bound"]

BoundaryName = Literal["reflect", "renormalise", "periodic"]
Bound = tuple[object, float | None, float | None]
"""An axis, its lower and its upper end; None for an open end."""


class Boundary:
    """Ends of axes, without correction.

    Args:
        low: lower ends (d,), -inf where open.
        high: upper ends (d,), inf where open.
    """

    circle: ClassVar[bool] = False
    """Whether the two ends of an axis are the same point."""
    folds: ClassVar[bool] = False
    """Whether mass beyond an end folds back, so that densities are sums over images."""
    cuts: ClassVar[bool] = False
    """Whether mass beyond an end is cut off, and bumps are divided by their mass inside."""

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self.low, self.high = low, high

    @property
    def bounded(self) -> bool:
        """Whether any axis has an end."""
        return bool(self.low.isfinite().any() or self.high.isfinite().any())

    def check(self, facts: Facts) -> None:
        """Raise BadSource for rows outside."""
        outside = (facts.low < self.low.cpu()) | (facts.high > self.high.cpu())
        if bool(outside.any()):
            axis = int(outside.nonzero()[0])
            raise BadSource(
                f"coordinate {axis} leaves its bounds; widen bounds, or drop those rows"
            )

    def place(self, x: Tensor) -> Tensor:
        """Rows (n, d) mapped to where they are stored and queried."""
        return x

    def straighten(self, x: Tensor, weights: Tensor) -> Tensor:
        """Rows (n, d) unrolled, so that spreads can be measured."""
        return x

    def contain(self, x: Tensor) -> Tensor:
        """Samples (n, d) of unbounded bumps, mapped back inside."""
        return x

    def only_inside(self, x: Tensor, log_density: Tensor) -> Tensor:
        """Log-densities (n,) of rows (n, d), -inf outside."""
        inside = ((x >= self.low) & (x <= self.high)).all(1)
        return torch.where(inside, log_density, -math.inf)

    def images(self, x: Tensor, kernel: Kernel, widths: Tensor) -> Tensor:
        """All points (k, m, d) that map to x (m, d), within reach of bumps of `widths`."""
        return find_images(x, self.low, self.high, kernel, widths, circle=self.circle)

    def intervals(
        self, left: Tensor, right: Tensor, kernel: Kernel, widths: Tensor
    ) -> list[list[tuple[float, float]]]:
        """For each axis the disjoint intervals that map to [left, right], (d,) each."""
        ends = (t.tolist() for t in (left, right, self.low, self.high, widths))
        return [
            find_sources(a, b, low, high, kernel, width, circle=self.circle)
            for a, b, low, high, width in zip(*ends, strict=True)
        ]

    def narrowed(self, h: Tensor, local: Tensor, kernel: Kernel) -> Tensor:
        """The bandwidth, reduced for Gaussians that are flat within the ends of an axis.

        It is replaced by the smallest that is flat, which needs fewer images.
        """
        two = self.low.isfinite() & self.high.isfinite()
        if not self.folds or kernel.name != "gaussian" or h.ndim == 2 or not bool(two.any()):
            return h
        least = FLAT * (self.high - self.low) * (1 if self.circle else 2) / local.min()
        wide = two & (h > least)
        return torch.where(wide, least, h.expand(len(self.low))) if bool(wide.any()) else h

    def refuse_outside(self, axis: int, value: Tensor) -> None:
        """Raise InvalidValue for a value () of an axis beyond its ends."""
        low, high = self.low[axis], self.high[axis]
        if not low <= value <= high:
            raise InvalidValue(f"axis {axis} is bounded to [{low:g}, {high:g}], got {value:g}")

    def select(self, axes: list[int]) -> Boundary:
        """The boundary of some of the axes."""
        return type(self)(self.low[axes], self.high[axes])

    def bounds(self) -> tuple[Bound, ...]:
        """The ends in the form of the argument `bounds`."""
        ends = zip(self.low.tolist(), self.high.tolist(), strict=True)
        return tuple((i, _end(low), _end(high)) for i, (low, high) in enumerate(ends))


class Reflecting(Boundary):
    """Mass folds back at the ends."""

    folds = True

    def contain(self, x: Tensor) -> Tensor:
        """Folded."""
        return fold(x, self.low, self.high)


class Renormalised(Boundary):
    """Bumps are cut at the ends and divided by their mass inside."""

    cuts = True

    def intervals(
        self, left: Tensor, right: Tensor, kernel: Kernel, widths: Tensor
    ) -> list[list[tuple[float, float]]]:
        """The part of [left, right] inside the ends."""
        low, high = torch.maximum(left, self.low).tolist(), torch.minimum(right, self.high).tolist()
        return [[(a, b)] if a < b else [] for a, b in zip(low, high, strict=True)]


class Periodic(Boundary):
    """The two ends of an axis are the same point; rows outside are wrapped."""

    circle = folds = True

    def check(self, facts: Facts) -> None:
        """Raise InvalidValue for bounds without a circle, and for axes with one end."""
        first, last = self.low.isfinite(), self.high.isfinite()
        if bool((first != last).any()):
            axis = int((first != last).nonzero()[0])
            raise InvalidValue(
                f"boundary 'periodic' joins two ends, and axis {axis} has one; "
                f"give bounds=[({axis}, lower, upper)]"
            )
        if not bool(first.any()):
            raise InvalidValue(
                "boundary 'periodic' needs an axis with two ends; give bounds such as [(0, 0, 360)]"
            )

    def place(self, x: Tensor) -> Tensor:
        """Wrapped into [low, high)."""
        return wrap(x, self.low, self.high)

    def straighten(self, x: Tensor, weights: Tensor) -> Tensor:
        """Rows on circles cut open opposite their mean direction."""
        return unroll(x, weights, self.low, self.high)

    def contain(self, x: Tensor) -> Tensor:
        """Wrapped."""
        return wrap(x, self.low, self.high)

    def only_inside(self, x: Tensor, log_density: Tensor) -> Tensor:
        """A circle has no outside."""
        return log_density


BOUNDARIES: dict[BoundaryName | None, type[Boundary]] = {
    None: Boundary,
    "reflect": Reflecting,
    "renormalise": Renormalised,
    "periodic": Periodic,
}


def build_boundary(
    name: BoundaryName | None, space: Space, bounds: Sequence[Bound], device: torch.device
) -> Boundary:
    """The ends of a space's axes, with `bounds` replacing known ones."""
    ends = torch.full((2, space.size), math.inf, dtype=torch.float64)
    ends[0] = -math.inf
    if name is not None:
        for i, column in enumerate(space.columns):
            ends[0, i] = -math.inf if column.lower is None else column.lower
            ends[1, i] = math.inf if column.upper is None else column.upper
        for axis, lower, upper in bounds:
            i = find_axes(space, [axis])[0]
            ends[0, i] = -math.inf if lower is None else lower
            ends[1, i] = math.inf if upper is None else upper
        if not bool((ends[0] < ends[1]).all()):
            raise InvalidValue("bounds must have lower < upper on every axis; check them")
    return BOUNDARIES[name](ends[0].to(device), ends[1].to(device))


def parse_bound(bound: object) -> Bound:
    """(axis, lower, upper) from itself or from 'axis:lower:upper'.

    Raises:
        InvalidValue: If neither.
    """
    try:
        if isinstance(bound, str):
            axis, lower, upper = (part.strip() or None for part in bound.split(":"))
        else:
            axis, lower, upper = bound  # type: ignore[misc]
        ends = (
            None if lower is None else float(lower),
            None if upper is None else float(upper),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(
            f"a bound is (axis, lower, upper) or 'axis:lower:upper', got {bound!r}; "
            "write '0:0:' for an axis that ends at 0"
        ) from error
    if None not in ends and not ends[0] < ends[1]:  # type: ignore[operator]
        raise InvalidValue(
            f"a bound is (axis, lower, upper) with lower < upper, got {ends[0]:g} and {ends[1]:g}"
            f" for axis {axis}"
        )
    return (axis, *ends)


def _end(value: float) -> float | None:
    return value if math.isfinite(value) else None
