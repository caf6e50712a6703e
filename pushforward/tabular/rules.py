"""What rows of a table must obey: decimals, whole numbers, bounds, and declared relations.

Rows that break a bound or a relation are drawn again, a bounded number of times: what is accepted
follows the model's distribution, restricted to what is allowed. Rows that still break one are
projected: values are moved to the bound, the first column on the left of an inequality to where it
holds, and the first one of an equality is computed from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.space import Space
from pushforward.data.tables.relations import Relation
from pushforward.tabular.wording import counted

__all__ = ["Outcome", "Rules", "obey"]

TRIES = 20
"""Draws of an offending row: with one in four rows allowed, all but 3 in 1000 succeed."""

Rows = NDArray[np.float64]
Draw = Callable[[NDArray[np.int64]], Tensor]
"""New values for rows of these numbers: (m, d)."""


@dataclass(frozen=True)
class Rules:
    """The rules of a table.

    Args:
        space: of its columns, with their bounds and decimals.
        relations: between its columns.
        levels: of columns of which the same numbers come again and again, these numbers, ascending,
            by the column's place.
        observed: whether numbers stay within the observed range of their column, too.
    """

    space: Space
    relations: tuple[Relation, ...] = ()
    levels: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)
    observed: bool = False

    def rounded(self, x: Rows) -> Rows:
        """Rows (n, d) with whole numbers, codes, levels and decimals as the data have them."""
        x = x.copy()
        for j, column in enumerate(self.space.columns):
            if j in self.levels:
                x[:, j] = _nearest(x[:, j], self.levels[j])
            elif column.kind == "categorical":
                x[:, j] = x[:, j].round().clip(0, max(len(column.categories) - 1, 0))
            elif column.kind == "integer":
                x[:, j] = x[:, j].round()
            elif column.decimals is not None:
                x[:, j] = np.round(x[:, j], column.decimals)
        return x

    def clipped(self, x: Rows, free: NDArray[np.bool_] | None = None) -> Rows:
        """Rows (n, d) with values beyond a bound at it, where they are free to change."""
        low, high = self._bounds()
        inside = np.clip(x, low, high)
        return inside if free is None else np.where(free, inside, x)

    def broken(self, x: Rows, free: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Which of the rows (n, d) break a bound or a relation (n,) by a value that is free."""
        low, high = self._bounds()
        beyond = (x < low) | (x > high)
        bad = (beyond if free is None else beyond & free).any(1)
        for relation in self.relations:
            violated = relation.violated(x, self.space)
            if free is not None:
                violated &= free[:, relation.places(self.space)].any(1)
            bad |= violated
        return np.asarray(bad)

    def solved(self, x: Rows, free: NDArray[np.bool_] | None, *, all_of_them: bool) -> Rows:
        """Rows (n, d) in which a free column of each equality is computed from the others, and, if
        `all_of_them`, one of each inequality that does not hold too.
        """
        x = x.copy()
        for relation in self.relations:
            if relation.sign == "=":
                self._solve(x, relation, np.ones(len(x), dtype=bool), free)
            elif all_of_them:
                self._solve(x, relation, relation.violated(x, self.space), free)
        return x

    def _solve(
        self, x: Rows, relation: Relation, rows: NDArray[np.bool_], free: NDArray[np.bool_] | None
    ) -> None:
        """Compute the first free column of a relation, in place, so that the relation holds."""
        todo = rows.copy()
        for place, factor in zip(relation.places(self.space), relation.factors):
            now = todo if free is None else todo & free[:, place]
            if not now.any():
                continue
            column = self.space.columns[place]
            value = x[now, place] - relation.excess(x[now], self.space) / factor
            step = 1.0 if column.kind == "integer" else 10.0 ** -(column.decimals or 9)
            if relation.sign == "=":
                value = np.round(value / step) * step if column.kind == "integer" else value
            else:  # towards the side on which it holds
                move = np.floor if factor > 0 else np.ceil
                value = move(value / step + np.sign(factor) * 1e-9) * step
                value -= np.sign(factor) * step if relation.sign == "<" else 0.0
            x[now, place] = value
            todo &= ~now
        x[:] = self.rounded(x)

    def _bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        columns = self.space.columns
        low = np.array([-np.inf if c.lower is None else c.lower for c in columns])
        high = np.array([np.inf if c.upper is None else c.upper for c in columns])
        if self.observed:
            low = np.maximum(low, [c.low for c in columns])
            high = np.minimum(high, [c.high for c in columns])
        return low, high


def _nearest(values: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest level of each value (n,); values stay that are NaN, or beyond all levels by more
    than half a step: they break the range of the data, and are drawn again.
    """
    if len(levels) == 1:
        return np.where(np.isnan(values), values, levels[0])
    between = (levels[1:] + levels[:-1]) / 2
    low, high = 2 * levels[0] - between[0], 2 * levels[-1] - between[-1]
    near = (values >= low) & (values <= high)
    places = np.searchsorted(between, np.where(near, values, levels[0]))
    return np.where(near, levels[places], values)


@dataclass
class Outcome:
    """How rows came to obey the rules, in numbers of rows.

    Args:
        redrawn: drawn again at least once.
        projected: moved, as drawing again was of no use.
        violating: that break a rule nevertheless, by relation; those of observed values count.
    """

    redrawn: int = 0
    projected: int = 0
    violating: dict[str, int] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Count further rows."""
        self.redrawn += other.redrawn
        self.projected += other.projected
        for name, count in other.violating.items():
            self.violating[name] = self.violating.get(name, 0) + count

    def sentences(self, relations: Sequence[Relation]) -> list[str]:
        """What was done, and what could not be mended."""
        said = []
        if self.redrawn:
            said.append(
                f"{counted(self.redrawn, 'row')} drawn again for breaking a bound or a relation"
            )
        if self.projected:
            said.append(
                f"{self.projected:,} of them still broke one: moved to the nearest allowed values"
            )
        for relation in relations:
            count = self.violating.get(relation.text, 0)
            said.append(
                f"{counted(count, 'row')} {'violates' if count == 1 else 'violate'} {relation}, by"
                " observed values or whole numbers"
                if count
                else f"all rows obey {relation}"
            )
        return said


def obey(
    x: Tensor,
    rules: Rules,
    draw: Draw | None = None,
    *,
    free: NDArray[np.bool_] | None = None,
    tries: int = TRIES,
) -> tuple[Rows, Outcome]:
    """Rows (n, d) that obey the rules, as float64 in the user's units, and how they came to.

    Args:
        x: drawn rows.
        draw: draws some of the rows again; None to project at once.
        free: the values that may change (n, d); all if None.
        tries: how often a row is drawn again at most.
    """
    given = x.detach().cpu().double().numpy()

    def settled(values: Rows, rows: NDArray[np.int64] | slice) -> Rows:
        loose = None if free is None else free[rows]
        values = rules.solved(rules.rounded(values), loose, all_of_them=False)
        return values if loose is None else np.where(loose, values, given[rows])

    rows = settled(given, slice(None))
    outcome, ever = Outcome(), np.zeros(len(rows), dtype=bool)
    for _ in range(tries if draw is not None else 0):
        bad = np.flatnonzero(rules.broken(rows, free))
        if not len(bad):
            break
        assert draw is not None
        ever[bad] = True
        rows[bad] = settled(draw(bad).detach().cpu().double().numpy(), bad)
    bad = np.flatnonzero(rules.broken(rows, free))
    if len(bad):
        rows[bad] = _projected(rows[bad], rules, None if free is None else free[bad])
    outcome.redrawn, outcome.projected = int(ever.sum()), len(bad)
    for relation in rules.relations:
        outcome.violating[relation.text] = int(relation.violated(rows, rules.space).sum())
    return rows, outcome


def _projected(x: Rows, rules: Rules, free: NDArray[np.bool_] | None) -> Rows:
    """Rows moved to bounds and relations, one after the other, twice: each may undo the other.
    Relations are worth more than the observed range.
    """
    for _ in range(2):
        x = rules.clipped(x, free)
        x = rules.solved(x, free, all_of_them=True)
    if not rules.relations:
        return x
    known = replace(rules, observed=False)
    return np.asarray(np.where(known.broken(x, free)[:, None], rules.clipped(x, free), x))
