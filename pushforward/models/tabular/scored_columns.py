"""Tables whose columns have normal scores by their margins, or tables of categories."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.core.errors import BadSource
from pushforward.core.model import Model
from pushforward.core.random import derive, generator
from pushforward.core.scaling import ScalingKind
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.core.space import Column, Space
from pushforward.densities.margins import MarginKind, Margins
from pushforward.fitting.facts import sample_rows
from pushforward.models.classical.refusals import refuse_conditions

__all__ = ["ScoredColumns"]

MARGIN_ROWS = 200_000
"""Rows in the sample from which margins are estimated."""
MARGIN_NUMBERS = 1 << 26
"""Numbers in that sample at most: half a gigabyte of float64."""


class ScoredColumns(Model):
    """A model of the normal scores of some columns, and of the categories of others."""

    accepts: ClassVar[frozenset[str]] = frozenset(
        {"missing", "constant", "single", "few", "categorical"}
    )
    scaling_kind: ScalingKind = "identity"
    dtype: ClassVar[torch.dtype | None] = torch.float64
    block_rows: ClassVar[int] = 2048
    lists_categories: ClassVar[bool] = True
    """Whether categories have tables; otherwise they are scored."""

    margins: MarginKind
    margins_: Margins
    weights_: Tensor
    location_: Tensor
    covariance_: Tensor
    tables_: Tensor
    ranks_: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("weights_", "location_", "covariance_", "tables_", "ranks_"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))

    @staticmethod
    def check_margins(margins: MarginKind) -> MarginKind:
        """Return `margins` if it is a kind; InvalidValue otherwise."""
        return Margins(margins).kind

    # ----------------------------------------------------------------------------------- columns

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """Empty margins, and no parameters."""
        self.margins_ = Margins(self.margins)
        for name in ("weights_", "location_", "covariance_", "tables_", "ranks_"):
            setattr(self, name, torch.zeros(0, dtype=torch.float64))

    @property
    def columns(self) -> list[Column]:
        """One for each flattened coordinate."""
        space = self.fitted_space()
        if space.kind == "points" and space.columns:
            return list(space.columns)
        kind: Literal["integer", "continuous"] = "integer" if space.integer else "continuous"
        return [Column("", kind)] * space.size

    @property
    def listed(self) -> list[int]:
        """Positions of the columns with tables."""
        if not self.lists_categories:
            return []
        return [i for i, c in enumerate(self.columns) if c.kind == "categorical"]

    @property
    def scored(self) -> list[int]:
        """Positions of the columns with scores."""
        listed = set(self.listed)
        return [i for i in range(len(self.columns)) if i not in listed]

    @property
    def sizes(self) -> list[int]:
        """Number of categories of each listed column."""
        return [len(self.columns[i].categories) for i in self.listed]

    def numbers(self, rows: Tensor) -> Tensor:
        """The scored columns (n, s) of rows (n, d), scored categories by their rank."""
        numbers = rows[:, self.scored].to(torch.float64)
        start = 0
        for place, i in enumerate(self.scored):
            count = len(self.columns[i].categories)
            if count and len(self.ranks_):
                codes = numbers[:, place]
                known = ~torch.isnan(codes)
                ranks = self.ranks_[start : start + count]
                codes[known] = ranks[codes[known].to(torch.int64)]
                start += count
        return numbers

    def rows_of(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Rows (n, d) of scored columns (n, s) and codes of listed ones (n, c)."""
        rows = numbers.new_empty(len(numbers), len(self.columns))
        start = 0
        for place, i in enumerate(self.scored):
            count, column = len(self.columns[i].categories), numbers[:, place]
            if count and len(self.ranks_):
                order = self.ranks_[start : start + count].argsort()
                column = order[column.round().clamp(0, count - 1).to(torch.int64)].to(column)
                start += count
            rows[:, i] = column
        rows[:, self.listed] = codes
        return rows

    # ----------------------------------------------------------------------------------- fitting

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions and columns without any value; estimate the margins from a sample."""
        refuse_conditions(self, source)
        super().prepare(source, facts)
        empty = facts.missing == facts.count
        if bool(empty.any()):
            raise BadSource(
                f"coordinate {int(empty.nonzero()[0])} holds no value at all; drop that column"
            )
        if not bool((facts.high - facts.low).isfinite().all()):
            raise BadSource("a column spans more than float64 can hold; choose another unit for it")
        most = min(MARGIN_ROWS, max(MARGIN_NUMBERS // len(self.columns), 1))
        batch = sample_rows(source, most, generator(derive(0, "margins")))
        rows = batch.x.flatten(1).to(torch.float64)
        weights = batch.weights
        if weights is not None:
            held = ((~torch.isnan(rows)) & (weights > 0)[:, None]).any(0)
            weights = weights if bool(held.all()) else None
        self.begin_columns(rows, weights)
        columns = [self.columns[i] for i in self.scored]
        self.margins_.fit(self.numbers(rows), weights, columns)

    def begin_columns(self, rows: Tensor, weights: Tensor | None) -> None:
        """What must be known of the columns before the margins, from sampled rows (n, d)."""
