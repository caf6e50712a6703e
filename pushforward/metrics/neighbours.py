"""Distances between two sets of rows, in blocks of bounded memory, and which of them are equal.

|a - b|² = |a|² + |b|² - 2 aᵀb in float64, of rows that were centred first (`metrics.gauge`). That is exact for whole numbers of some 25
bits (pixel levels, counts, binary codes). For others it cancels; wherever the cancelled digits could decide which row is nearer, or
whether one lies within a radius, the distance is computed again from the difference. So answers are those of the definition.

Ties: numbers as they came are rounded themselves (0.1 is no binary fraction). Two distances count as equal when they differ by no more
than that rounding can account for. A ball is open: a row as far from its centre as the radius, up to rounding, is outside. A ball of
radius 0, around a row that has k equal ones, is its centre alone and holds every row equal to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue

__all__ = ["Points", "Balls", "squared_distances", "radii", "nearest", "merged"]

BLOCK_NUMBERS = 1 << 24
EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Points:
    """Rows x (n, d) in a gauge, and how far each may be off by rounding, `noise` (n,), in the same units."""

    x: Tensor
    noise: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Points:
        """Rows (n, d) whose numbers are as they came."""
        return cls(x, x.norm(dim=1) * (8 * EPS))

    def __len__(self) -> int:
        return len(self.x)


def squared_distances(x: Tensor, reference: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """(rows of x, their squared distances (b, m) to all reference rows), a block at a time; off by `_slack` (|a|² + |b|²) at most."""
    norms = reference.square().sum(1)
    size = max(1, BLOCK_NUMBERS // max(1, len(reference)))
    for start in range(0, len(x), size):
        part = x[start : start + size]
        squares = torch.addmm(norms, part, reference.T, alpha=-2).add_(part.square().sum(1)[:, None]).clamp_min_(0)
        yield slice(start, start + len(part)), squares


def radii(x: Tensor, k: int) -> Tensor:
    """Squared distance (n,) from each row to its k-th nearest other row."""
    if not 1 <= k < len(x):
        raise InvalidValue(f"k must lie between 1 and the number of other rows, {len(x) - 1}, got {k}; bring more rows or lower k")
    found, slack, norms = x.new_empty(len(x)), _slack(x), x.norm(dim=1)
    for rows, squares in squared_distances(x, x):
        own = torch.arange(rows.start, rows.stop)
        squares[own - rows.start, own] = torch.inf  # itself, which the matrix product need not put at exactly 0
        least, index = squares.topk(min(k + 1, len(x)), 1, largest=False)
        values = least[:, k - 1]
        if slack:
            margin = 2 * _margin(slack, norms[rows], values)
            gaps = least[:, max(0, k - 2) :].diff(dim=1)  # to the one before and to the one after
            crowded = (gaps <= margin[:, None]).any(1)
            values = (x[rows] - x[index[:, k - 1]]).square().sum(1)
            for some in crowded.nonzero()[:, 0].split(max(1, BLOCK_NUMBERS // len(x))):
                distances = _direct(x[own[some]], x)
                distances[torch.arange(len(some)), own[some]] = torch.inf
                values[some] = distances.kthvalue(k, 1).values.square()
        found[rows] = values
    return found


def nearest(x: Tensor, reference: Tensor, *, itself: bool = False) -> tuple[Tensor, Tensor]:
    """Distance (n,) and number (n,) of the nearest reference row; `itself`: x are the reference rows, none its own neighbour."""
    index, slack, norms = torch.empty(len(x), dtype=torch.int64), _slack(x, reference), x.norm(dim=1)
    for rows, squares in squared_distances(x, reference):
        own = torch.arange(rows.start, rows.stop)
        if itself:
            squares[own - rows.start, own] = torch.inf
        values, index[rows] = squares.min(1)
        if slack:
            margin = 2 * _margin(slack, norms[rows], values)
            second = squares.scatter_(1, index[rows, None], torch.inf).amin(1)
            crowded = (second <= values + margin).nonzero()[:, 0]
            for some in crowded.split(max(1, BLOCK_NUMBERS // len(reference))):
                distances = _direct(x[own[some]], reference)
                if itself:
                    distances[torch.arange(len(some)), own[some]] = torch.inf
                index[own[some]] = distances.argmin(1)
    distance = torch.cat([(a - reference[i]).norm(dim=1) for a, i in zip(x.split(4096), index.split(4096))])
    return distance, index


class Balls:
    """Open balls around rows, each up to its k-th nearest other row: they hold what is nearer than the root of `squares`."""

    def __init__(self, centres: Tensor, squares: Tensor, slack: float) -> None:
        self.centres, self.squares, self.slack = centres, squares, slack
        margin = _margin(slack, centres.norm(dim=1), squares)
        self.sure, self.perhaps = squares - margin, squares + margin

    @classmethod
    def of(cls, points: Points, k: int, *others: Points) -> Balls:
        """The balls of k-th neighbours, to be asked about these other points too."""
        slack, squares = _slack(points.x, *(p.x for p in others)), radii(points.x, k)
        tiny = torch.finfo(squares.dtype).tiny
        if slack == 0 and max(float(p.noise.max()) for p in (points, *others)) < 2.0 ** -_bits(points.x.shape[1]) / 4:
            return cls(points.x, squares.clamp_min(tiny), slack)
        radius = squares.sqrt()
        noise = points.noise + 8 * EPS * radius
        limit = torch.where(radius > 2 * noise, radius - noise, noise)
        return cls(points.x, limit.square().clamp_min(tiny), slack)

    def part(self, rows: slice) -> Balls:
        """Some of the balls."""
        return Balls(self.centres[rows], self.squares[rows], self.slack)

    def hold(self, points: Tensor, squares: Tensor) -> Tensor:
        """Whether points (b, d) lie in the balls (n,), given their squared distances by matrix product (b, n): bool (b, n)."""
        inside = squares < self.sure
        if self.slack:
            maybe = squares <= self.perhaps
            if torch.count_nonzero(maybe) != torch.count_nonzero(inside):
                asked = (maybe & ~inside).nonzero()
                for pairs in asked.split(max(1, BLOCK_NUMBERS // points.shape[1])):
                    row, ball = pairs[:, 0], pairs[:, 1]
                    exact = (points[row] - self.centres[ball]).square().sum(1)
                    inside[row, ball] = exact < self.squares[ball]
        return inside


def merged(values: Tensor, noise: Tensor) -> Tensor:
    """Distances (n,) with those that differ by rounding alone made equal: the least of each group in their place."""
    ordered, order = values.sort()
    apart = ordered[1:] - ordered[:-1] > noise[order][1:] + 8 * EPS * ordered[1:]
    first = torch.cat([torch.zeros(1, dtype=torch.int64), torch.where(apart, torch.arange(1, len(values)), 0)]).cummax(0).values
    return torch.empty_like(values).index_copy_(0, order, ordered[first])


def _direct(x: Tensor, reference: Tensor) -> Tensor:
    """Distances (b, m) from differences."""
    return torch.cdist(x, reference, compute_mode="donot_use_mm_for_euclid_dist")


def _bits(d: int) -> int:
    """So many bits after the point may numbers in -1..1 have for |a - b|² by matrix product to be exact in d dimensions."""
    return (50 - math.ceil(math.log2(d))) // 2


def _slack(*sets: Tensor) -> float:
    """The share of |a|² + |b|² that a squared distance by matrix product may be off by: 0 where all numbers have few enough bits."""
    d = sets[0].shape[1]
    reach = max(float(x.abs().max()) for x in sets)
    if not 0 < reach < math.inf:
        return 0.0
    unit = math.ldexp(1.0, max(-1000, min(_bits(d) - math.frexp(reach)[1], 1000)))
    if all(_whole(x[:64] * unit) for x in sets) and all(_whole(x * unit) for x in sets):
        return 0.0
    return (8 + math.sqrt(d)) * EPS


def _whole(x: Tensor) -> bool:
    return bool((x == x.round()).all())


def _margin(slack: float, norms: Tensor, squares: Tensor) -> Tensor:
    """How far off a squared distance of about `squares` (n,) by matrix product may be, from rows of these norms (n,)."""
    return slack * (2 * norms + squares.sqrt()).square()
