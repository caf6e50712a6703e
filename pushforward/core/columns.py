"""One coordinate of a point, or one column of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Column"]


@dataclass(frozen=True)
class Column:
    """One coordinate of a point or one column of a table.

    Args:
        name: the column's name, '' where the data had none.
        kind: 'continuous', 'integer' or 'categorical' (then values
            are codes 0..K-1 into `categories`).
        low, high: the range seen, in the user's units.
        lower, upper: bounds that the quantity cannot cross, where known (a distance has lower=0).
        categories: the category names, for kind 'categorical'.
        unit: the unit, where known;
            'days since 1970-01-01' (or seconds) for dates, which come back as dates.
        dtype: the pandas dtype that the column came with, and goes back to;
            '' where there was none.
    """

    name: str = ""
    kind: Literal["continuous", "integer", "categorical"] = "continuous"
    low: float = float("-inf")
    high: float = float("inf")
    lower: float | None = None
    upper: float | None = None
    categories: tuple[str, ...] = ()
    unit: str = ""
    dtype: str = ""
