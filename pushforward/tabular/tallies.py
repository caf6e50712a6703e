"""Means, deviations, ranges, gaps and categories of table columns, from chunks of rows.

Means and sums of squares of chunks are merged pairwise (Chan, Golub & LeVeque 1983), so that
offsets do not cancel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pushforward.core.source import Source, iterate_blocks
from pushforward.core.space import Space

__all__ = ["Tally", "tally"]


class Tally:
    """Facts about the columns of rows that are added chunk by chunk.

    `count`, `mean`, `low`, `high` and `missing` are (d,); `categories` has the counts of each code
    of categorical columns, by position.
    """

    def __init__(self, space: Space) -> None:
        d = space.size
        self.space, self.rows = space, 0
        self.count, self.missing = np.zeros(d, dtype=np.int64), np.zeros(d, dtype=np.int64)
        self.mean, self.squares = np.zeros(d), np.zeros(d)
        self.low, self.high = np.full(d, np.inf), np.full(d, -np.inf)
        self.categories = {
            j: np.zeros(len(column.categories), dtype=np.int64)
            for j, column in enumerate(space.columns)
            if column.kind == "categorical"
        }

    def add(self, x: NDArray[np.float64]) -> None:
        """Add rows (n, d), NaN for missing values."""
        if not len(x):
            return
        there = ~np.isnan(x)
        count = there.sum(0)
        self.rows += len(x)
        self.missing += len(x) - count
        self.low, self.high = (
            np.fmin(self.low, np.fmin.reduce(x, 0)),
            np.fmax(self.high, np.fmax.reduce(x, 0)),
        )
        mean = np.where(there, x, 0.0).sum(0) / np.maximum(count, 1)
        squares = (np.where(there, x - mean, 0.0) ** 2).sum(0)
        total = np.maximum(self.count + count, 1)
        shift = mean - self.mean
        self.squares += squares + shift**2 * self.count * count / total
        self.mean = self.mean + shift * count / total
        self.count += count
        for j, counts in self.categories.items():
            codes = x[there[:, j], j].astype(np.int64)
            counts += np.bincount(codes, minlength=len(counts))[: len(counts)]

    @property
    def variance(self) -> NDArray[np.float64]:
        """Variances (d,), over n - 1; NaN for fewer than two values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(self.count > 1, self.squares / (self.count - 1), math.nan))

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviations (d,)."""
        return np.sqrt(self.variance)


def tally(source: Source) -> Tally:
    """The tally of all rows of a source."""
    result = Tally(source.space)
    for batch in iterate_blocks(source, 65536):
        result.add(batch.x.detach().cpu().double().numpy())
    return result
