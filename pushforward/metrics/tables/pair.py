"""A real and a synthetic table with the same columns, as numbers.

Rows are float64 (n, d) in the user's units; categories are codes into the columns' `categories`,
and a missing value is NaN. Errors of pair measures are those of both sets of rows, taken as
independent draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushforward.core.columns import Column
from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.random import Rng, derive, generator, permutation
from pushforward.core.records import Bound, Record

__all__ = ["Better", "Floats", "TablePair", "as_table", "pairs_of", "present", "subsample"]

Floats: TypeAlias = NDArray[np.float64]
Better = Literal["higher", "lower", "ideal"]
"""Which way is better: up, down, or towards the ideal."""


@dataclass(frozen=True)
class TablePair:
    """A real and a synthetic table.

    Args:
        real: (n, d), categories as codes, NaN where a value is missing.
        synthetic: (m, d), the same columns.
        columns: d columns.
        data: the description of the real rows, for records.
        compared: that of the synthetic rows.
        seed: of all subsamples, folds and resamples.

    Raises:
        ShapeMismatch: If the tables do not have these columns.
        InvalidValue: If one has no rows, or an infinite value.
    """

    real: Floats
    synthetic: Floats
    columns: Sequence[Column]
    data: str = ""
    compared: str = ""
    seed: int = 0
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        for what in ("real", "synthetic"):
            object.__setattr__(self, what, as_table(getattr(self, what), self.columns, what))
        names = tuple(c.name or f"x{i}" for i, c in enumerate(self.columns))
        object.__setattr__(self, "names", names)

    @cached_property
    def categorical(self) -> NDArray[np.bool_]:
        """Which columns are categories (d,)."""
        return np.array([c.kind == "categorical" for c in self.columns], dtype=bool)

    def take(self, most: int) -> TablePair:
        """The pair with at most so many rows of each side, drawn by the seed."""
        if max(len(self.real), len(self.synthetic)) <= most:
            return self
        return TablePair(
            subsample(self.real, most, self.stream("real")),
            subsample(self.synthetic, most, self.stream("synthetic")),
            self.columns,
            self.data,
            self.compared,
            self.seed,
        )

    def stream(self, *path: str | int) -> int:
        """A seed below 2³¹, as scikit-learn wants it, for what `path` names."""
        return derive(self.seed, "tables", *path) % 2**31

    def record(
        self,
        quantity: str,
        value: float,
        error: float,
        *,
        ideal: float | None = None,
        better: Better = "higher",
        bound: Bound = "estimate",
        n: int | None = None,
        **details: Any,
    ) -> Record:
        """A record of these tables; `details` also name what it is of and how it was measured."""
        facts = {
            "features": f"table of {len(self.columns)} columns",
            "real": len(self.real),
            "synthetic": len(self.synthetic),
            "better": better,
            **({} if ideal is None else {"ideal": ideal}),
            **({"compared": self.compared} if self.compared else {}),
            **details,
        }
        count = len(self.real) if n is None else n
        return Record(quantity, value, error, bound=bound, data=self.data, n=count, details=facts)

    def mean(self, quantity: str, parts: Sequence[Record], **details: Any) -> Record:
        """The mean of records that have a value.

        They are of the same rows and may depend on each other in any way, so the error is the mean
        of theirs: no dependence gives more.
        """
        kept = [r for r in parts if math.isfinite(r.value)]
        if not kept:
            return self.record(quantity, math.nan, math.nan, of=0, **details)
        value = sum(r.value for r in kept) / len(kept)
        error = sum(r.error for r in kept) / len(kept)
        expected = [r.details["expected"] for r in kept if "expected" in r.details]
        more = {"expected": sum(expected) / len(expected)} if len(expected) == len(kept) else {}
        worst = min(kept, key=lambda r: r.value)
        more |= {"of": len(kept), "worst": worst.quantity, "worst_value": worst.value}
        return self.record(quantity, value, error, **{**more, **details})


def as_table(x: object, columns: Sequence[Column], what: str) -> Floats:
    """Rows as float64 (n, d).

    Raises:
        ShapeMismatch: If they do not have these columns.
        InvalidValue: If there is no row, or a value is infinite.
    """
    table = np.asarray(x, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(columns) or not len(columns):
        raise ShapeMismatch(
            f"{what}: expected rows of {len(columns)} columns, got shape {table.shape}"
        )
    if not len(table):
        raise InvalidValue(f"{what}: the table has no rows; expected at least one")
    if np.isinf(table).any():
        raise InvalidValue(f"{what}: a value is infinite; mark it as missing, or correct it")
    return table


def present(x: Floats) -> Floats:
    """The values of a column that are not missing."""
    return x[~np.isnan(x)]


def subsample(x: Floats, most: int, rng: Rng) -> Floats:
    """At most so many rows, in their order."""
    if len(x) <= most:
        return x
    chosen = permutation(len(x), rng=generator(rng))[:most].sort().values
    return np.asarray(x[chosen.numpy()])


def pairs_of(places: Iterable[int]) -> list[tuple[int, int]]:
    """Every pair (i, j) with i < j."""
    ordered = list(places)
    return [(i, j) for k, i in enumerate(ordered) for j in ordered[k + 1 :]]
