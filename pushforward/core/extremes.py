"""The smallest and largest value of each column, at the speed of memory.

Along short rows, reductions use a few numbers of each vector instruction. Several rows are
therefore taken as one long row, and the columns that belong together are reduced at the end. One
thread suffices: for blocks that caches hold, waiting for others takes longer than the reduction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["column_extremes"]

WIDTH = 1024
"""Numbers in a long row: more are no faster."""


def column_extremes(rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Least and largest values (d,) of rows (n, d), n ≥ 1; NaN where a column holds NaN.

    Example:
        >>> low, high = column_extremes(np.array([[1., 5.], [3., 4.]]))
        >>> low.tolist(), high.tolist()
        ([1.0, 4.0], [3.0, 5.0])
    """
    n, d = rows.shape
    together = min(WIDTH // max(1, d), n)
    if together < 2 or together == n or not rows.flags.c_contiguous:
        low, high = np.minimum.reduce(rows, 0), np.maximum.reduce(rows, 0)
        return low, high
    whole = n // together * together
    long = rows[:whole].reshape(-1, together * d)
    low = long.min(0).reshape(together, d).min(0)
    high = long.max(0).reshape(together, d).max(0)
    if whole < n:
        rest = rows[whole:]
        low, high = np.minimum(low, rest.min(0)), np.maximum(high, rest.max(0))
    return low, high
