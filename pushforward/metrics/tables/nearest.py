r"""Distances between rows of mixed columns, and the nearest rows.

The distance of two rows is the mean over columns (Gower's, as SDMetrics uses it) of
min(|a - b| / range, 1) for numbers, [a ≠ b] for categories and numbers without a range; two missing
values are equal, and a missing one differs by 1 from any other. It lies between 0 and 1.

All distances are computed, in blocks of bounded memory, in float32: rows are nearest alike if their
distances differ by no more than `TIE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pushforward.metrics.tables.pair import Floats

__all__ = ["Gower", "ranges_of"]

Singles = NDArray[np.float32]
TIE = 1e-6
"""Distances that differ by less are equal: rounding in float32 is below 1e-7 for each column."""
BLOCK = 2**22
"""Distances of a block, 16 MB."""
TILE = 2**17
"""Distances computed at once, so that they stay in the processor's cache."""


def ranges_of(x: Floats) -> Floats:
    """The range of each column (d,); 0 for one without values."""
    there = ~np.isnan(x)
    low = np.where(there, x, np.inf).min(0)
    high = np.where(there, x, -np.inf).max(0)
    return np.where(there.any(0), high - low, 0.0)


@dataclass(frozen=True)
class Gower:
    """Gower's distance of rows to the rows of a reference table.

    Args:
        reference: (n, d).
        categorical: which columns are categories (d,).
        ranges: of the columns of numbers (d,).
    """

    reference: Floats
    categorical: NDArray[np.bool_]
    ranges: Floats

    def blocks(self, x: Floats) -> Iterator[tuple[slice, Singles]]:
        """Distances of rows (m, d) to all of the reference, some rows (b, n) at a time."""
        by_value = self.categorical | (self.ranges == 0)
        scale = np.where(by_value, 1.0, self.ranges)
        middle = np.nan_to_num(np.where(by_value, 0.0, _middle(self.reference)))
        there = np.ascontiguousarray(((self.reference - middle) / scale).T.astype(np.float32))
        rows = ((x - middle) / scale).astype(np.float32)
        n, d = self.reference.shape
        missing = np.isnan(there).any(1) | np.isnan(rows).any(0)
        height = max(1, BLOCK // n)
        for start in range(0, len(x), height):
            block = rows[start : start + height]
            total = np.zeros((len(block), n), dtype=np.float32)
            width = max(1, TILE // len(block))
            for left in range(0, n, width):
                part = total[:, left : left + width]
                for i in range(d):
                    at = there[i, left : left + width]
                    part += _differences(block[:, i], at, bool(by_value[i]), bool(missing[i]))
            yield slice(start, start + len(block)), total / np.float32(d)

    def nearest(self, x: Floats) -> Floats:
        """The distance of each row (m, d) to the nearest one (m,)."""
        return self._reduce(x, lambda block: block.min(1))

    def two_nearest(self, x: Floats) -> Floats:
        """The distances of each row to the nearest and to the second nearest (m, 2).

        The reference has at least two rows.
        """
        return self._reduce(x, lambda block: np.partition(block, 1, axis=1)[:, :2])

    def _reduce(self, x: Floats, reduce: Callable[[Singles], Singles]) -> Floats:
        parts = [reduce(block) for _, block in self.blocks(x)]
        return np.concatenate(parts).astype(np.float64)

    def shares(self, x: Floats) -> Floats:
        """How often each row of the reference is the nearest one to a row of x (n,), as a share;
        rows that are nearest alike share it evenly.
        """
        found = np.zeros(len(self.reference))
        for _, block in self.blocks(x):
            nearest = block <= block.min(1, keepdims=True) + np.float32(TIE)
            counts = nearest.sum(1)
            alone = counts == 1
            np.add.at(found, block[alone].argmin(1), 1.0)
            for row in np.flatnonzero(~alone):
                found[nearest[row]] += 1 / counts[row]
        return found / len(x)


def _differences(a: Singles, b: Singles, by_value: bool, missing: bool) -> Singles:
    """Differences of one column's values (b, 1) and (n,) as shares of its range (b, n)."""
    first = a[:, None]
    if by_value:
        result = (first != b).astype(np.float32)
    else:
        result = first - b
        np.abs(result, out=result)
        np.minimum(result, 1, out=result)
    if missing:
        neither = np.isnan(first) & np.isnan(b)
        result[np.isnan(result)] = 1
        result[neither] = 0
    return np.asarray(result)


def _middle(x: Floats) -> Floats:
    """A value within each column's range, so that float32 rounds differences and not positions."""
    there = ~np.isnan(x)
    return np.where(there.any(0), np.where(there, x, np.inf).min(0), 0.0)
