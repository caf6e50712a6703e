"""One coordinate of a point, or one column of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CARRIED", "COLUMN_TYPES", "Column"]

COLUMN_TYPES = (
    "continuous", "positive", "bounded", "count", "integer", "ordered", "categorical", "boolean",
    "date", "duration", "identifier", "constant", "text",
)  # fmt: skip
"""What columns can be declared as."""
CARRIED = ("identifier", "constant", "text")
"""Types of columns that are kept out of models and carried along with the rows."""


@dataclass(frozen=True)
class Column:
    """One coordinate of a point or one column of a table.

    Args:
        name: the column's name; '' if the data had none.
        kind: 'continuous', 'integer' or 'categorical' (values are
            then codes 0..K-1 into `categories`).
        low, high: the observed range, in the user's units.
        lower, upper: known bounds of the quantity (a distance has lower=0).
        categories: the category names, for kind 'categorical'.
        unit: the unit, if known; 'days since 1970-01-01' (or seconds) for dates,
            which are exported as dates.
        dtype: the original pandas dtype, restored on export; '' if there was none.
        type: one of `COLUMN_TYPES`, if types were inferred or declared.
        reason: why the column has that type.
        ordered: whether the categories have an order, that of `categories`.
        format: of dates that are written otherwise than in ISO 8601, such as '%d.%m.%Y'.
        decimals: the most decimals of the values of a typed column of fractions, if they are few.
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
    type: str = ""
    reason: str = ""
    ordered: bool = False
    format: str = ""
    decimals: int | None = None
