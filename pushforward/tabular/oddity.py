r"""How odd rows are given how many values they have, and which of their values make them so.

A row's log-density is compared with those of samples of the model of which the same columns are
observed: its p-value is the share of samples that are as unlikely or more,

    p(x) = (1 + #{s : log p(s_o) ≤ log p(x_o)}) / (S + 1),

uniform for rows of the model, whatever is missing in them. Rows beyond all samples are ordered by
how many standard deviations their log-density lies below the samples' mean.

Which values are odd is told by conditional log-densities, gaps integrated out,

    log p(x_j | x_-j) = log p(x) - log p(x_-j),

compared in the same way with those of values drawn from p(x_j | x_-j). The surprise of a value is
their mean, minus its own, in nats: the units of densities cancel, so that columns can be compared.
Values that are named as odd are left out of x_-j.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.capabilities import Completes, Conditions
from pushforward.core.random import derive, generator, permutation
from pushforward.core.source import Source, iterate_blocks
from pushforward.core.source_views import Subset
from pushforward.tabular.given_rest import BLOCK, GivenRest, draw_given_rest, log_densities
from pushforward.tabular.rules import Rules

__all__ = [
    "MOST_REASONS",
    "Calibration",
    "Reason",
    "Scores",
    "can_explain",
    "cross_fitted",
    "explain",
    "score",
]

SAMPLES = 4000
"""Samples that rows are compared with: p-values down to 1 in 4001."""
DRAWS = 400
"""Draws of a value given the others: its p-value down to 1 in 401."""
MOST_REASONS, SURPRISING = 3, 3.0
"""Values that are named, and the nats from which a second one is: 20 times less likely than usual.
"""


@dataclass(frozen=True)
class Scores:
    """How likely rows are.

    Args:
        log_density: of the observed values (n,), nats.
        p: the share of samples, with the same values observed, that are as unlikely (n,).
        depth: standard deviations of the log-density below the samples' mean (n,).
    """

    log_density: NDArray[np.float64]
    p: NDArray[np.float64]
    depth: NDArray[np.float64]

    @property
    def order(self) -> NDArray[np.int64]:
        """Rows, the oddest first."""
        return np.lexsort((-self.depth, self.p))

    @classmethod
    def empty(cls, n: int) -> Scores:
        """Scores to be filled in."""
        return cls(np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan))

    def at(self, rows: NDArray[np.int64]) -> Scores:
        """Those of some rows."""
        return Scores(self.log_density[rows], self.p[rows], self.depth[rows])

    def joined(self, other: Scores) -> Scores:
        """Those of further rows, too."""
        pairs = zip(vars(self).values(), vars(other).values())
        return Scores(*(np.concatenate(pair) for pair in pairs))

    def put(self, rows: NDArray[np.int64], other: Scores) -> None:
        """Set those of some rows."""
        self.log_density[rows], self.p[rows], self.depth[rows] = (
            other.log_density,
            other.p,
            other.depth,
        )


class Calibration:
    """Log-densities of samples of a model, for each pattern of observed columns.

    Args:
        model: with an exact density.
        rules: how the data are rounded and bounded; samples are alike.
        samples: how many.
    """

    def __init__(self, model: Any, rules: Rules, samples: int = SAMPLES, seed: int = 0) -> None:
        self.model = model
        x = model.sample(samples, rng=derive(seed, "calibration")).detach().cpu().double().numpy()
        self.samples = torch.from_numpy(rules.clipped(rules.rounded(x)))
        self._sorted: dict[bytes, NDArray[np.float64]] = {}

    def of(self, x: Tensor) -> Scores:
        """The scores of rows x (n, d), user's units."""
        scores = Scores.empty(len(x))
        gaps = x.isnan().cpu().numpy()
        there = np.flatnonzero(~gaps.all(1))
        own = np.zeros(len(x))
        if len(there):
            own[there] = log_densities(self.model, x[torch.from_numpy(there)])
        patterns, which = np.unique(gaps, axis=0, return_inverse=True)
        which = which.reshape(-1)
        for i, pattern in enumerate(patterns):
            rows = np.flatnonzero(which == i)
            if pattern.all():
                nothing = np.zeros(len(rows))
                scores.put(rows, Scores(nothing, nothing + 1, nothing - 1))
            else:
                scores.put(rows, self._compared(own[rows], pattern))
        return scores

    def _compared(self, own: NDArray[np.float64], pattern: NDArray[np.bool_]) -> Scores:
        reference = self._reference(pattern)
        p = (1 + np.searchsorted(reference, own, side="right")) / (len(reference) + 1)
        finite = reference[np.isfinite(reference)]
        deviation = float(finite.std()) or 1.0
        depth = np.nan_to_num((finite.mean() - own) / deviation, posinf=math.inf)
        return Scores(own, np.minimum(p, 1.0), depth)

    def _reference(self, pattern: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The samples' log-densities of the observed columns, sorted."""
        key = pattern.tobytes()
        if key not in self._sorted:
            masked = self.samples.clone()
            masked[:, torch.from_numpy(pattern)] = math.nan
            self._sorted[key] = np.sort(log_densities(self.model, masked))
        return self._sorted[key]


def score(
    model: Any, source: Source, rules: Rules, *, samples: int = SAMPLES, seed: int = 0
) -> Scores:
    """The scores of all rows of a source, which the model has not seen."""
    calibration, scores = Calibration(model, rules, samples, seed), Scores.empty(len(source))
    start = 0
    for batch in iterate_blocks(source, BLOCK):
        scores.put(np.arange(start, start + len(batch)), calibration.of(batch.x))
        start += len(batch)
    return scores


def cross_fitted(
    fit: Callable[[Source], Any], source: Source, folds: int, seed: int = 0
) -> Iterator[tuple[NDArray[np.int64], Any]]:
    """Each of K parts of the rows, with a model that was fitted to the other parts."""
    order = permutation(len(source), rng=derive(seed, "folds"))
    parts = [part for part in order.tensor_split(folds) if len(part)]
    for k, part in enumerate(parts):
        rest = torch.cat([other for i, other in enumerate(parts) if i != k]).sort().values
        yield part.sort().values.numpy(), fit(Subset(source, rest))


# ------------------------------------------------------------------------------------------ reasons


@dataclass(frozen=True)
class Reason:
    """A value of a row, beside what the others let expect.

    Args:
        column: its position.
        value: of the row.
        surprise: nats that its conditional log-density lies below the mean of draws.
        p: the share of draws that are as unlikely.
        low, middle, high: 5 %, 50 % and 95 % of draws, for numbers.
        category, share: the most probable category's code, and its probability.
        partner, partner_value: the column (-1 for none) and value beside which alone it is odd.
    """

    column: int
    value: float
    surprise: float
    p: float
    low: float = math.nan
    middle: float = math.nan
    high: float = math.nan
    category: int = -1
    share: float = math.nan
    partner: int = -1
    partner_value: float = math.nan


def can_explain(model: Any) -> bool:
    """Whether conditional densities and draws of single values can be had from a model."""
    return isinstance(model, (Completes, Conditions))


def explain(
    model: Any, row: Tensor, rules: Rules, *, draws: int = DRAWS, seed: int = 0
) -> tuple[list[Reason], list[Reason]]:
    """The observed values of a row (d,), the most surprising first; and those of them that make it
    odd.

    Named are the most surprising value, then what still is surprising when the ones before are
    taken out of the row; of models that take no gaps, the first alone. Every surprise is that given
    the values that are not named: a value that only stands beside a wrong one is not odd, and two
    wrong ones do not excuse each other.
    """
    passes = _Passes(model, row, rules, draws, generator(derive(seed, "reasons"), model.device))
    if "missing" not in model.accepts:
        every = passes.without([])
        return every, every[:1]
    names = _odd_columns(passes)
    rest = passes.without(names)
    named = []
    for j in names:
        beside = passes.without([k for k in names if k != j])
        own = next(reason for reason in beside if reason.column == j)
        named.append(_with_partner(own, beside, rest))
    named.sort(key=_most_surprising)
    return sorted([*named, *rest], key=_most_surprising), named


class _Passes:
    """The reasons of a row of which some values are taken out, each computed once."""

    def __init__(
        self, model: Any, row: Tensor, rules: Rules, draws: int, stream: torch.Generator
    ) -> None:
        self.row = row
        self._known: dict[frozenset[int], list[Reason]] = {}
        self._of: Callable[[Tensor, list[int]], list[Reason]] = lambda given, places: _reasons(
            model, given, places, rules, draws, stream
        )

    def without(self, columns: Sequence[int]) -> list[Reason]:
        """The reasons of the other values, given each other, the most surprising first."""
        key = frozenset(columns)
        if key not in self._known:
            given = self.row.clone()
            given[list(columns)] = math.nan
            places = (~given.isnan()).nonzero()[:, 0].tolist()
            self._known[key] = sorted(self._of(given, places), key=_most_surprising)
        return self._known[key]


def _most_surprising(reason: Reason) -> tuple[float, float]:
    return -reason.surprise, reason.p


def _odd_columns(passes: _Passes) -> list[int]:
    """The columns that make a row odd."""
    every = passes.without([])
    names = [every[0].column] if every else []
    left = every
    while names and len(names) < MOST_REASONS and len(left) > 2:
        left = passes.without(names)
        if left[0].surprise < SURPRISING:
            break
        names.append(left[0].column)
    while len(names) > 1:  # the first may have been odd beside a later one alone
        beside = {j: passes.without([k for k in names if k != j]) for j in names}
        own = {j: next(r.surprise for r in beside[j] if r.column == j) for j in names}
        weakest = min(names, key=own.__getitem__)
        if own[weakest] >= SURPRISING:
            break
        names.remove(weakest)
    return names


def _with_partner(own: Reason, beside: Sequence[Reason], rest: Sequence[Reason]) -> Reason:
    """A reason with the value without which it would not be odd, if there is one.

    Taking x_k out of the row makes x_j less surprising by as much as taking x_j out does for x_k:
    both are log p(x_j, x_k | rest) - log p(x_j | rest) - log p(x_k | rest).
    """
    without = {reason.column: reason.surprise for reason in rest}
    drops = [(r.surprise - without[r.column], r) for r in beside if r.column in without]
    drops = [(drop, reason) for drop, reason in drops if not math.isnan(drop)]
    if not drops:
        return own
    drop, other = max(drops, key=lambda pair: pair[0])
    if own.surprise < SURPRISING or drop < own.surprise / 2:
        return own
    return replace(own, partner=other.column, partner_value=other.value)


def _reasons(
    model: Any, row: Tensor, places: list[int], rules: Rules, draws: int, stream: torch.Generator
) -> list[Reason]:
    """The reasons of some columns of a row, each given its other values."""
    found = draw_given_rest(model, row, places, rules, draws, stream)
    return [_reason(j, float(row[j]), rules, given) for j, given in zip(places, found)]


def _reason(j: int, value: float, rules: Rules, given: GivenRest) -> Reason:
    """Why a value is odd, from draws of it given the rest."""
    drawn, own, others = given.drawn, given.own, given.others
    p = (1 + int((others <= own).sum())) / (len(drawn) + 1)
    finite = others[np.isfinite(others)]
    surprise = float(finite.mean() - own) if len(finite) else 0.0
    if rules.space.columns[j].kind == "categorical":
        codes, counts = np.unique(drawn.round().astype(int), return_counts=True)
        best = int(counts.argmax())
        share = float(counts[best] / len(drawn))
        return Reason(j, value, surprise, p, category=int(codes[best]), share=share)
    low, middle, high = np.quantile(drawn, [0.05, 0.5, 0.95])
    return Reason(j, value, surprise, p, float(low), float(middle), float(high))
