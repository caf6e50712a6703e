"""Distances between two sets of rows, in blocks of bounded memory, and their ties.

|a - b|² = |a|² + |b|² - 2 aᵀb in float64, of rows centred first (`metrics.gauge`). That is
exact for integers of some 25 bits (pixel levels, counts, binary codes). For other numbers it
cancels; wherever the lost digits could decide which row is nearer, or whether one is within a
radius, the distance is recomputed from the difference. Results are thus those of the definition.
Radii of large sets are found from products in float32 first (`metrics.rounded_neighbours`).

Ties: the original numbers are themselves rounded (0.1 is no binary fraction). Two distances are
equal if they differ by no more than that rounding explains. Integers are not rounded: if their
squares have more digits than float64 (columns of 0..2 beside columns of 10^8 and its multiples),
values that float64 cannot distinguish are compared in integers (`ExactSquares`). A ball is open: a
row at the radius, up to rounding, is outside. A ball of radius 0, around a row with k equal rows,
is its centre alone and contains every row equal to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.metrics.gauge import in_blocks
from pushforward.metrics.rounded_neighbours import is_large, nearest_squares

__all__ = [
    "Points",
    "ExactSquares",
    "Balls",
    "squared_distances",
    "squared_radii",
    "nearest",
    "nearest_whole",
    "merge_ties",
]

BLOCK_NUMBERS = 1 << 24
DIGITS = 27
"""Bits of half a number, whose square fits into 64 bits with room for a sum over COLUMNS."""
MASK = (1 << DIGITS) - 1
"""Mask of the lower half of a number's bits."""
COLUMNS = 64
"""Squares summed between carries: as many as fit beside `DIGITS`."""
EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Points:
    """Rows x (n, d) in a gauge, and the rounding error `noise` (n,) of each, in the same units."""

    x: Tensor
    noise: Tensor
    unit: float = 0.0
    """A power of two that turns x into integers, which are exact; 0 if there is none."""

    @classmethod
    def of(cls, x: Tensor) -> Points:
        """Rows (n, d) in their original numbers."""
        return cls(x, x.norm(dim=1) * (8 * EPS))

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def integers(self) -> Tensor:
        """The rows as int64 integers."""
        return (self.x * self.unit).to(torch.int64)

    def part(self, rows: slice) -> Points:
        """A subset of the rows."""
        points = Points(self.x[rows], self.noise[rows], self.unit)
        if "whole" in self.__dict__:
            points.__dict__["whole"] = self.integers[rows]
        return points


@dataclass(frozen=True, eq=False)
class ExactSquares:
    """Exact squared distances (n,) of integers: high 2^54 + low, int64, with low in 0..2^54 - 1."""

    high: Tensor
    low: Tensor

    @classmethod
    def between(cls, x: Tensor, y: Tensor) -> ExactSquares:
        """Between rows x and y (n, d), int64, pairwise.

        Differences have at most 54 bits, and the sums of their squares at most 116.
        """
        parts = [
            cls._of(a, b)
            for a, b in zip(*(z.split(max(1, BLOCK_NUMBERS // (8 * x.shape[1]))) for z in (x, y)))
        ]
        return cls(torch.cat([p.high for p in parts]), torch.cat([p.low for p in parts]))

    @classmethod
    def _of(cls, x: Tensor, y: Tensor) -> ExactSquares:
        high, middle, low = (x.new_zeros(len(x)) for _ in range(3))
        for a, b in zip(
            x.split(COLUMNS, 1), y.split(COLUMNS, 1)
        ):  # few enough that no sum overflows
            difference = (a - b).abs()
            upper, lower = difference >> DIGITS, difference & MASK
            low = low + (lower * lower).sum(1)
            middle = middle + 2 * (upper * lower).sum(1) + (low >> DIGITS)
            high = high + (upper * upper).sum(1) + (middle >> DIGITS)
            middle, low = middle & MASK, low & MASK
        return cls(high, (middle << DIGITS) + low)

    def __lt__(self, other: ExactSquares) -> Tensor:
        return (self.high < other.high) | ((self.high == other.high) & (self.low < other.low))

    def __getitem__(self, index: Tensor | slice) -> ExactSquares:
        return ExactSquares(self.high[index], self.low[index])

    def rounded(self, unit: float) -> Tensor:
        """The nearest float64, in units of unit²."""
        return (
            self.high.to(torch.float64) * (2.0 ** (2 * DIGITS) / unit / unit)
            + self.low.to(torch.float64) / unit / unit
        )

    def argsort(self, *before: Tensor) -> Tensor:
        """The order of the squares, after that of the keys `before` (n,)."""
        return torch.from_numpy(np.lexsort([x.numpy() for x in (self.low, self.high, *before)]))

    def ranks(self) -> Tensor:
        """Ranks from 0 (the least), equal for equal squares: float64 (n,)."""
        order = self.argsort()
        up = self[order[:-1]] < self[order[1:]]
        result = torch.zeros(len(order), dtype=torch.float64)
        result[order[1:]] = up.cumsum(0).to(torch.float64)
        return result


def squared_distances(x: Tensor, reference: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yield blocks of rows of x with their squared distances (b, m) to all reference rows.

    They are off by at most `_slack` (|a|² + |b|²).
    """
    norms = reference.square().sum(1)
    size = max(1, BLOCK_NUMBERS // max(1, len(reference)))
    for start in range(0, len(x), size):
        part = x[start : start + size]
        squares = (
            torch.addmm(norms, part, reference.T, alpha=-2)
            .add_(part.square().sum(1)[:, None])
            .clamp_min_(0)
        )
        yield slice(start, start + len(part)), squares


def squared_radii(x: Tensor, k: int) -> Tensor:
    """Squared distance (n,) of each row to its k-th nearest other row."""
    _require_k(k, len(x))
    result, slack, norms = x.new_empty(len(x)), _slack(x), x.norm(dim=1)
    if slack and is_large(len(x), len(x), x.shape[1]):
        found = nearest_squares(x, k)
        if found is not None:
            return found
    for rows, squares in squared_distances(x, x):
        positions = torch.arange(rows.start, rows.stop)
        # its own distance, which the matrix product may not give as exactly 0
        squares[positions - rows.start, positions] = torch.inf
        least, index = squares.topk(min(k + 1, len(x)), 1, largest=False)
        values = least[:, k - 1]
        if slack:
            margin = 2 * _margin(slack, norms[rows], values)
            gaps = least[:, max(0, k - 2) :].diff(dim=1)  # to its neighbours in the order
            crowded = (gaps <= margin[:, None]).any(1)
            values = (x[rows] - x[index[:, k - 1]]).square().sum(1)
            for some in crowded.nonzero()[:, 0].split(max(1, BLOCK_NUMBERS // len(x))):
                distances = _direct_distances(x[positions[some]], x)
                distances[torch.arange(len(some)), positions[some]] = torch.inf
                values[some] = distances.kthvalue(k, 1).values.square()
        result[rows] = values
    return result


def _whole_radii(points: Points, k: int) -> ExactSquares:
    """The same (n,) for integers, exactly, among candidates that float64 cannot distinguish."""
    x, parts = points.x, []
    slack, norms = _slack(x), x.norm(dim=1)
    for rows, squares in squared_distances(x, x):
        positions = torch.arange(rows.start, rows.stop)
        squares[positions - rows.start, positions] = torch.inf
        values = squares.kthvalue(k, 1).values
        margin = 2 * _margin(slack, norms[rows], values)
        before = torch.count_nonzero(squares < (values - margin)[:, None], 1)
        row, other = (
            ((squares >= (values - margin)[:, None]) & (squares <= (values + margin)[:, None]))
            .nonzero()
            .T
        )
        candidates = ExactSquares.between(points.integers[positions[row]], points.integers[other])
        counts = torch.bincount(row, minlength=len(positions))
        parts.append(
            candidates[candidates.argsort(row)[counts.cumsum(0) - counts + k - 1 - before]]
        )
    return ExactSquares(torch.cat([p.high for p in parts]), torch.cat([p.low for p in parts]))


def nearest_whole(points: Points, reference: Points) -> tuple[Tensor, Tensor, ExactSquares]:
    """Distance (n,), index (n,) and exact squared distance (n,) of the nearest integer row."""
    x, index = points.x, torch.empty(len(points), dtype=torch.int64)
    slack, norms = _slack(x, reference.x), x.norm(dim=1)
    for rows, squares in squared_distances(x, reference.x):
        values = squares.amin(1)
        row, other = (
            (squares <= (values + 2 * _margin(slack, norms[rows], values))[:, None]).nonzero().T
        )
        candidates = ExactSquares.between(points.integers[rows][row], reference.integers[other])
        counts = torch.bincount(row, minlength=len(values))
        index[rows] = other[candidates.argsort(row)[counts.cumsum(0) - counts]]
    exact = ExactSquares.between(points.integers, reference.integers[index])
    return exact.rounded(points.unit).sqrt(), index, exact


def nearest(x: Tensor, reference: Tensor, *, itself: bool = False) -> tuple[Tensor, Tensor]:
    """Distance (n,) and index (n,) of the nearest reference row.

    With `itself`, x are the reference rows, and none is its own neighbour.
    """
    index, slack, norms = (
        torch.empty(len(x), dtype=torch.int64),
        _slack(x, reference),
        x.norm(dim=1),
    )
    for rows, squares in squared_distances(x, reference):
        positions = torch.arange(rows.start, rows.stop)
        if itself:
            squares[positions - rows.start, positions] = torch.inf
        values, index[rows] = squares.min(1)
        if slack:
            margin = 2 * _margin(slack, norms[rows], values)
            second = squares.scatter_(1, index[rows, None], torch.inf).amin(1)
            crowded = (second <= values + margin).nonzero()[:, 0]
            for some in crowded.split(max(1, BLOCK_NUMBERS // len(reference))):
                distances = _direct_distances(x[positions[some]], reference)
                if itself:
                    distances[torch.arange(len(some)), positions[some]] = torch.inf
                index[positions[some]] = distances.argmin(1)
    distance = torch.cat(
        [(a - reference[i]).norm(dim=1) for a, i in zip(x.split(4096), index.split(4096))]
    )
    return distance, index


class Balls:
    """Open balls around rows, with squared radii `squares`, up to the k-th nearest other rows."""

    def __init__(
        self, centres: Points, squares: Tensor, slack: float, exact: ExactSquares | None = None
    ) -> None:
        self.points, self.centres, self.squares, self.slack, self.exact = (
            centres,
            centres.x,
            squares,
            slack,
            exact,
        )
        margin = _margin(slack, self.centres.norm(dim=1), squares)
        self.sure, self.perhaps = squares - margin, squares + margin

    @classmethod
    def of(cls, points: Points, k: int, *others: Points) -> Balls:
        """The balls of k-th neighbours, prepared for queries by the other points too."""
        slack = _slack(points.x, *(p.x for p in others))
        _require_k(k, len(points))
        if slack and points.unit:
            exact = _whole_radii(points, k)
            exact = ExactSquares(
                exact.high, torch.where(exact.high == 0, exact.low.clamp_min(1), exact.low)
            )
            return cls(points, exact.rounded(points.unit), slack, exact)
        squares = squared_radii(points.x, k)
        tiny = torch.finfo(squares.dtype).tiny
        if (
            slack == 0
            and max(float(p.noise.max()) for p in (points, *others))
            < 2.0 ** -_exact_bits(points.x.shape[1]) / 4
        ):
            return cls(points, squares.clamp_min(tiny), slack)
        radius = squares.sqrt()
        noise = points.noise + 8 * EPS * radius
        limit = torch.where(radius > 2 * noise, radius - noise, noise)
        return cls(points, limit.square().clamp_min(tiny), slack)

    def part(self, rows: slice) -> Balls:
        """A subset of the balls."""
        return Balls(
            self.points.part(rows),
            self.squares[rows],
            self.slack,
            None if self.exact is None else self.exact[rows],
        )

    def contain(self, points: Points, squares: Tensor) -> Tensor:
        """Whether points (b, d) are in the balls (n,): bool (b, n).

        `squares` (b, n) are their squared distances by matrix product.
        """
        inside = squares < self.sure
        if self.slack:
            maybe = squares <= self.perhaps
            if torch.count_nonzero(maybe) != torch.count_nonzero(inside):
                doubtful = (maybe & ~inside).nonzero()
                for pairs in doubtful.split(max(1, BLOCK_NUMBERS // self.centres.shape[1])):
                    row, ball = pairs[:, 0], pairs[:, 1]
                    if self.exact is not None:
                        inside[row, ball] = (
                            ExactSquares.between(points.integers[row], self.points.integers[ball])
                            < self.exact[ball]
                        )
                    else:
                        inside[row, ball] = (points.x[row] - self.centres[ball]).square().sum(
                            1
                        ) < self.squares[ball]
        return inside


def _require_k(k: int, rows: int) -> None:
    if not 1 <= k < rows:
        raise InvalidValue(
            f"k must lie between 1 and the number of other rows, {rows - 1}, got {k}; bring more"
            " rows or lower k"
        )


def merge_ties(values: Tensor, noise: Tensor) -> Tensor:
    """Distances (n,) with each group of values equal up to rounding replaced by its least."""
    ordered, order = values.sort()
    apart = ordered[1:] - ordered[:-1] > noise[order][1:] + 8 * EPS * ordered[1:]
    first = (
        torch.cat(
            [torch.zeros(1, dtype=torch.int64), torch.where(apart, torch.arange(1, len(values)), 0)]
        )
        .cummax(0)
        .values
    )
    return torch.empty_like(values).index_copy_(0, order, ordered[first])


def _direct_distances(x: Tensor, reference: Tensor) -> Tensor:
    """Distances (b, m) from differences."""
    return torch.cdist(x, reference, compute_mode="donot_use_mm_for_euclid_dist")


def _exact_bits(d: int) -> int:
    """Most binary places of numbers in -1..1 for exact |a - b|² in d dimensions.

    The squares are computed by matrix product.
    """
    return (50 - math.ceil(math.log2(d))) // 2


def _slack(*sets: Tensor) -> float:
    """Largest error of a squared distance by matrix product, as a share of |a|² + |b|².

    0 if exact.
    """
    d = sets[0].shape[1]
    reach = max(float(part.abs().max()) for x in sets for part in in_blocks(x))
    if not 0 < reach < math.inf:
        return 0.0
    unit = math.ldexp(1.0, max(-1000, min(_exact_bits(d) - math.frexp(reach)[1], 1000)))
    if all(_is_whole(x[:64] * unit) for x in sets) and all(_is_whole(x * unit) for x in sets):
        return 0.0
    return (8 + math.sqrt(d)) * EPS


def _is_whole(x: Tensor) -> bool:
    return bool((x == x.round()).all())


def _margin(slack: float, norms: Tensor, squares: Tensor) -> Tensor:
    """Largest error of squared distances by matrix product.

    The distances are about `squares` (n,), with norms (n,).
    """
    return slack * (2 * norms + squares.sqrt()).square()
