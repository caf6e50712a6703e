"""Splits by seed: the same seed sets aside the same rows everywhere.

With π a seeded permutation of 0..n-1, the last ⌊f n + ½⌋ entries of π are held out. Parts of one
whole (tiles of a photograph, windows of one of several films) are never divided: then whole groups
are held out, those of the last entries of π, until they have as many rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import BadSource, InvalidKind, InvalidValue
from pushforward.core.provenance import Provenance, find_provenance
from pushforward.core.random import derive, permutation
from pushforward.core.source import Source
from pushforward.core.source_views import Subset

__all__ = ["Split", "split"]


@dataclass(frozen=True)
class Split:
    """A division of n rows into training and test rows.

    Args:
        seed: of the permutation.
        held_out: number of rows held out.
        n: total number of rows.

    Example:
        >>> train, test = Split(seed=0, held_out=2, n=10).rows()
        >>> len(train), len(test)
        (8, 2)
    """

    seed: int
    held_out: int
    n: int

    def rows(self) -> tuple[Tensor, Tensor]:
        """Row numbers of the training and of the test part, in random order."""
        order = permutation(self.n, rng=derive(self.seed, "split"))
        return order[: self.n - self.held_out], order[self.n - self.held_out :]

    def of(self, source: Source, *, share: float | int | None = None) -> tuple[Subset, Subset]:
        """The two parts of a source; rows not in memory stay in order, so that reads are local.

        Args:
            share: the requested share, for the record; the number of rows by default.
        """
        if len(source) != self.n:
            raise BadSource(
                f"this split is of {self.n} rows, but the data have {len(source)}; split them again"
            )
        groups: Tensor | None = getattr(source, "groups", None)
        train, test = self.rows() if groups is None else self._by_groups(groups)
        if not source.resident:
            train, test = train.sort().values, test.sort().values
        name = getattr(source, "name", "") or "data"
        return Subset(source, train, f"{name} train", self._provenance(source, share)), Subset(
            source, test, f"{name} test"
        )

    def _by_groups(self, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Row numbers of both parts, with the rows of a group in one of them.

        Raises:
            BadSource: If there is one group only.
        """
        order = torch.cat(self.rows())
        last, held, count = groups[order.flip(0)].tolist(), set[int](), 0
        sizes = Counter(last)
        if len(sizes) < 2:
            raise BadSource(
                "all rows are parts of one image: nothing can be held out; bring more images, or"
                f" hold nothing out ({setting('held_out', 0)})"
            )
        for group in dict.fromkeys(last):
            if count >= self.held_out or len(held) == len(sizes) - 1:
                break
            held.add(group)
            count += sizes[group]
        chosen = torch.tensor([int(g) in held for g in groups[order].tolist()])
        return order[~chosen], order[chosen]

    def _provenance(self, source: Source, share: float | int | None) -> Provenance | None:
        """Origin of the training part.

        None if the source is itself a part, which would have to be found first.
        """
        whole = find_provenance(source)
        part = whole.held_out is not None or isinstance(source, Subset)
        return (
            None
            if part
            else replace(
                whole, held_out=self.held_out if share is None else share, split_seed=self.seed
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain content for records."""
        return asdict(self)


def split(source: Source, *, held_out: float | int = 0.2, seed: int = 0) -> tuple[Subset, Subset]:
    """Training and test rows of a source.

    Args:
        held_out: the fraction held out (below 1), or the number of rows (a whole number).
        seed: of the permutation.
    """
    return plan(len(source), held_out=held_out, seed=seed).of(source, share=held_out)


def plan(n: int, *, held_out: float | int = 0.2, seed: int = 0) -> Split:
    """The split of n rows.

    Raises:
        InvalidValue: For a part that would be empty.
    """
    if isinstance(held_out, bool) or not isinstance(held_out, (int, float)):
        raise InvalidKind(
            f"held_out must be a fraction or a number of rows, got {held_out!r}; pass 0.2 or"
            " 360, say"
        )
    if not held_out > 0 or (isinstance(held_out, float) and held_out >= 1):
        raise InvalidValue(
            "held_out must be a fraction between 0 and 1, or a whole number of rows above 0, got"
            f" {held_out}"
        )
    if n < 2:
        raise BadSource(
            f"only {n} row{'s' if n != 1 else ''}: nothing can be held out; bring more data"
        )
    count = held_out if isinstance(held_out, int) else min(max(int(held_out * n + 0.5), 1), n - 1)
    if count >= n:
        raise InvalidValue(
            f"{setting('held_out', held_out)} leaves no training rows ({n} in total); hold out"
            " fewer"
        )
    return Split(int(seed), count, n)
