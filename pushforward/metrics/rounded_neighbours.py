"""Nearest neighbours and balls of large sets, decided in float32 where that is certain.

Products in float32 take half the time. A squared distance made from them is off by at most a known
share of |a|² + |b|² of the centred rows, so nearly all comparisons are certain; the others are made
from differences in float64. Results are those of `neighbours`, whatever the number of threads. If
too many are in doubt (many equal rows, or a common scale that is far above most distances), the
caller is told to take float64 from the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Rounded", "Sides", "is_large", "nearest_squares"]

LARGE = 1 << 33
"""Products of numbers from which the loops are worth loading."""
TILE = 1 << 23
"""Numbers of a tile of products: 32 MB."""
MORE = 3
"""Neighbours kept beyond the k-th, so that those in doubt are among them."""
DOUBT = 1e-3
"""Share of comparisons in doubt above which float64 is as fast."""
EPS, TINY = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).tiny)


def is_large(n: int, m: int, d: int) -> bool:
    """Whether n × m distances in d dimensions are worth rounding."""
    return n * m * d >= LARGE


@dataclass(frozen=True, eq=False)
class Rounded:
    """Rows (n, d) in float32, with |x|² (n,) of the exact ones."""

    x: NDArray[Any]
    squares: NDArray[Any]

    @classmethod
    def of(cls, x: Tensor) -> Rounded:
        """Rows x (n, d) of a common gauge, at most 1 in size."""
        parts = x.split(1024)
        squares = torch.cat([part.square().sum(1) for part in parts])
        return cls(x.to(torch.float32).numpy(), squares.numpy())

    def margin(self, squares: NDArray[Any]) -> NDArray[Any]:
        """Largest error of squared distances (n,) of each row, of about this size.

        Numbers that float32 rounds to 0 add a share that does not depend on their size.
        """
        d = self.x.shape[1]
        reach = 2 * np.sqrt(self.squares) + np.sqrt(squares)
        return (8 + math.sqrt(d)) * EPS * reach**2 + 8 * d * TINY  # type: ignore[no-any-return]


def _tiles(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    size = max(1, TILE // max(1, columns))
    for start in range(0, rows, size):
        yield start, min(rows, start + size)


def nearest_squares(x: Tensor, k: int) -> Tensor | None:
    """Squared distance (n,) of each row of x (n, d) to its k-th nearest other row; None in doubt.

    Each pair is multiplied once, for both rows.
    """
    from pushforward.core.threads import in_threads
    from pushforward.metrics.neighbour_loops import keep_nearest, keep_nearest_across

    rounded, n = Rounded.of(x), len(x)
    if n <= k + MORE:
        return None
    squares, index = np.full((n, k + MORE), np.inf), np.zeros((n, k + MORE), np.int64)
    norms = rounded.squares
    for first, last in _tiles(n, n):
        products = rounded.x[first:last] @ rounded.x[first:].T
        rows = partial(_apply, keep_nearest, products, norms, first, squares, index)
        in_threads(rows, last - first, least=64)
        columns = partial(_apply, keep_nearest_across, products, norms, first, squares, index)
        in_threads(columns, n - last, least=64)
    return _exact_kth(x, k, squares, index, rounded.margin(squares[:, k - 1].clip(0)))


def _apply(
    keep: Callable[..., None],
    products: NDArray[Any],
    norms: NDArray[Any],
    first: int,
    squares: NDArray[Any],
    index: NDArray[Any],
    start: int,
    stop: int,
) -> None:
    """A loop's call, with the range that `in_threads` gives last."""
    keep(products, norms, first, start, stop, squares, index)


def _exact_kth(
    x: Tensor, k: int, squares: NDArray[Any], index: NDArray[Any], margin: NDArray[Any]
) -> Tensor | None:
    """The k-th of exact squared distances, from the approximate ones (n, K) and their errors."""
    low, high = (squares[:, k - 1] + side * 2 * margin for side in (-1, 1))
    lost = np.flatnonzero(squares[:, -1] <= high)  # rows that were not kept may be nearer
    if len(lost) > DOUBT * len(x):
        return None
    result = torch.empty(len(x), dtype=torch.float64)
    others = torch.from_numpy(index)
    sure = (squares[:, k] > high) & (k < 2 or squares[:, max(0, k - 2)] < low)
    for some in torch.from_numpy(np.flatnonzero(sure)).split(512):
        result[some] = (x[some] - x[others[some, k - 1]]).square().sum(1)
    for some in torch.from_numpy(np.flatnonzero(~sure)).split(64):
        exact = (x[some][:, None] - x[others[some]]).square().sum(2)
        result[some] = exact.kthvalue(k, 1).values
    for row in lost.tolist():
        exact = torch.cat([(part - x[row]).square().sum(1) for part in x.split(1024)])
        exact[row] = torch.inf
        result[row] = exact.kthvalue(k).values
    return result


class Sides:
    """Balls around centres (m, d) and around points (n, d): who is inside whose.

    Args:
        centres, points: the rows, rounded.
        around_centres, around_points: their squared radii.
    """

    def __init__(
        self,
        centres: Rounded,
        points: Rounded,
        around_centres: NDArray[Any],
        around_points: NDArray[Any],
    ) -> None:
        self.centres, self.points = centres, points
        self._columns = _limits(centres, around_centres)
        self._rows = _limits(points, around_points)
        self.count = np.zeros(len(points.x), np.int64)
        self.covered = np.zeros(len(centres.x), np.bool_)
        self.inside = np.zeros(len(centres.x), np.bool_)

    def pairs(self) -> Iterator[NDArray[Any] | None]:
        """Compare block by block; yield the pairs in doubt, for `settle`, None if they are many.

        A pair is (point, centre, 0 for the centre's ball or 1 for the point's).
        """
        from pushforward.core.threads import in_threads
        from pushforward.metrics.neighbour_loops import count_in_balls, find_doubtful

        for first, last in _tiles(len(self.points.x), len(self.centres.x)):
            products = self.points.x[first:last] @ self.centres.x.T
            norms, counts = self._rows[first:last], np.zeros((last - first, 2), np.int64)
            in_threads(
                partial(self._count, count_in_balls, products, norms, counts),
                last - first,
                least=64,
            )
            self.count[first:last] = counts[:, 0]
            doubtful = int(counts[:, 1].sum())
            if doubtful > DOUBT * products.size:
                yield None
                return
            if doubtful:
                found = np.empty((doubtful, 3), np.int64)
                find_doubtful(products, norms, self._columns, counts, found)
                found[:, 0] += first
                yield found

    def _count(
        self,
        count_in_balls: Callable[..., None],
        products: NDArray[Any],
        norms: NDArray[Any],
        counts: NDArray[Any],
        start: int,
        stop: int,
    ) -> None:
        count_in_balls(
            products, norms, self._columns, start, stop, counts, self.covered, self.inside
        )

    def settle(self, pairs: NDArray[Any]) -> None:
        """Record that these pairs (p, 3) are inside."""
        of_centres = pairs[:, 2] == 0
        np.add.at(self.count, pairs[of_centres, 0], 1)
        self.covered[pairs[of_centres, 1]] = True
        self.inside[pairs[~of_centres, 1]] = True


def _limits(rows: Rounded, squares: NDArray[Any]) -> NDArray[Any]:
    """|x|², and the squared radii below which a row is surely, and up to which perhaps, inside."""
    margin = rows.margin(squares)
    return np.stack([rows.squares, squares - margin, squares + margin], 1)
