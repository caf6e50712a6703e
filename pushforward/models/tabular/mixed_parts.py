"""Parameters of mixtures over mixed columns: their steps, starts, and how many components."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from pushforward.models.classical.starts import choose_plus_plus, move_centres, squared_distances
from pushforward.models.tabular.score_sums import Precisions, ScoreSums, expect, maximise
from pushforward.models.tabular.tables import add_log_tables, count_codes, pool, smooth

__all__ = [
    "CANDIDATES",
    "KINDS",
    "PRIOR_ROWS",
    "MixedKind",
    "Parameters",
    "Rows",
    "Structure",
    "choose",
    "improve",
    "start",
]

MixedKind = Literal["auto", "full", "diagonal", "tied"]
KINDS: tuple[MixedKind, ...] = ("full", "diagonal", "tied", "auto")
"""Kinds of covariances; the first two are tried by 'auto'."""
CANDIDATES = 1, 2, 4, 8, 16
"""Numbers of components that are tried."""
START_ROWS = 4096
"""Rows in the sample for a start and for the choice of the number of components."""
HELD_OUT_ROWS = 2000
"""Rows from which one quarter is held out to choose by; with fewer, each of the four in turn."""
FOLDS = 4
"""Parts of which each is held out."""
START_STEPS, START_GAIN = 30, 3e-4
"""Passes over the sample at most, and the gain in nats per row below which they end."""
INDICATORS = 16
"""Categories of a column, the most common, that count for the clusters of a start."""
BLOCK = 1024
"""Rows of a block of the sample."""
PRIOR_ROWS = 4.0, 1.0, 0.25, 0.0625
"""Rows of a covariance's prior that are tried. (Many widen components where columns are nearly
collinear: Fraley & Raftery's s + 2 cost 8 nats a row there.)"""
POOLED = 0.75
"""Share of these rows that have the covariance within all components: a prior of columns that do
not belong together alone widens small components, by a nat in ten on irises.
"""
CLEAR_GAIN = 0.05
"""Nats per row and column that a weaker prior must gain on held-out rows: with few rows, less is
chance, and a weak prior is the greater risk.
"""


@dataclass
class Rows:
    """Rows in a mixture's coordinates.

    Args:
        z: means of scores (n, s), NaN where missing.
        variance: of scores within cells (n, s).
        codes: of listed categories (n, c), NaN where missing.
        offset: of the log-density (n,).
        weights: (n,), or None.
    """

    z: Tensor
    variance: Tensor
    codes: Tensor
    offset: Tensor
    weights: Tensor | None

    def __len__(self) -> int:
        return len(self.z)

    def at(self, rows: Tensor) -> Rows:
        """Some of the rows."""
        w = None if self.weights is None else self.weights[rows]
        return Rows(self.z[rows], self.variance[rows], self.codes[rows], self.offset[rows], w)

    def blocks(self) -> Iterator[Rows]:
        """The rows, block by block."""
        for rows in torch.arange(len(self)).split(BLOCK):
            yield self.at(rows)

    def variances(self) -> Tensor:
        """Variances of the scores (s,), over all rows."""
        known = ~torch.isnan(self.z)
        w = known if self.weights is None else known * self.weights[:, None]
        n = w.sum(0).clamp_min(1e-300)
        mean = (w * self.z.nan_to_num(0.0)).sum(0) / n
        squares = (self.z - mean).square() + self.variance
        total = (w * squares.nan_to_num(0.0)).sum(0) / n
        return torch.where(total > 1e-6, total, 1.0)


@dataclass(frozen=True)
class Structure:
    """What all components have in common.

    Args:
        kind: of covariances.
        sizes: numbers of categories.
        base: frequencies (C,).
        rare: which categories are pooled (C,).
        pseudo_count: rows with these frequencies added to each component.
        prior_rows: rows of the prior of each covariance.
    """

    kind: MixedKind
    sizes: tuple[int, ...]
    base: Tensor
    rare: Tensor
    pseudo_count: float
    prior_rows: float

    def tables(self, counts: Tensor) -> Tensor:
        """Log-probabilities (k, C) from counts."""
        pooled = pool(counts, self.base, self.rare, self.sizes)
        return smooth(pooled, self.base, self.pseudo_count, self.sizes)


class Parameters:
    """Parameters prepared for a pass; derived from a model's buffers, so no part of a checkpoint.

    Args:
        structure: common to all components.
        weights: (k,).
        means: (k, s).
        covariances: (k or 1, s, s).
        tables: log-probabilities (k, C).
    """

    def __init__(
        self,
        structure: Structure,
        weights: Tensor,
        means: Tensor,
        covariances: Tensor,
        tables: Tensor,
    ) -> None:
        self.structure, self.weights, self.means = structure, weights, means
        self.covariances, self.tables = covariances, tables
        self.prepared = Precisions.of(means, covariances)

    def expect(self, rows: Rows) -> tuple[Tensor, ScoreSums]:
        """E step."""
        logits = self.weights.clamp_min(1e-300).log() + rows.offset[:, None]
        sizes = self.structure.sizes
        add_log_tables(logits, rows.codes, self.tables, sizes)
        r, sums = expect(rows.z, rows.variance, logits, rows.weights, self.prepared)
        sums.codes = count_codes(rows.codes, r, sizes)
        return r, sums

    def maximise(self, sums: ScoreSums, variance: Tensor) -> Parameters:
        """M step; the prior of covariances is from the variances of all rows (s,)."""
        k, s = self.means.shape
        prior = torch.diag(variance) / k ** (2 / max(s, 1))
        structure = self.structure
        weights, means, covariances = maximise(
            sums, self.means, prior, structure.prior_rows, structure.kind, POOLED
        )
        return Parameters(structure, weights, means, covariances, structure.tables(sums.codes))

    def score(self, rows: Rows) -> float:
        """Mean log-density of rows, nats (a lower bound with cells)."""
        total = weight = 0.0
        for block in rows.blocks():
            sums = self.expect(block)[1]
            total, weight = total + float(sums.log_likelihood), weight + float(sums.weight)
        return total / max(weight, 1e-300)


def start(
    rows: Rows, k: int, structure: Structure, variance: Tensor, rng: torch.Generator
) -> Parameters:
    """k components near clusters of rows, improved by passes over them."""
    features = _features(rows, structure, variance)
    w = rows.weights
    centres = choose_plus_plus(features, k, rng, w)
    if k > 1:
        ones = features.new_ones(len(features)) if w is None else w
        centres = move_centres(features, ones, centres)
    owner = squared_distances(features, centres).argmin(1)
    r = torch.nn.functional.one_hot(owner, k).to(features)
    r = r if w is None else r * w[:, None]
    s = rows.z.shape[1]
    means = centres[:, :s] * variance.sqrt()
    spread = torch.diag(variance) / k ** (2 / max(s, 1))
    count = 1 if structure.kind == "tied" else k
    weights = (r.sum(0) + 1e-3) / (r.sum(0) + 1e-3).sum()
    tables = structure.tables(count_codes(rows.codes, r, structure.sizes))
    spreads = spread.expand(count, s, s).clone()
    return improve(Parameters(structure, weights, means, spreads, tables), rows, variance)


def choose(
    rows: Rows,
    counts: Sequence[int],
    structures: Sequence[Structure],
    strengths: Sequence[float],
    rng: torch.Generator,
) -> Parameters:
    """The best number of components, kind of covariance and prior, on held-out rows.

    For each kind, numbers of components rise until their log-density falls, under the first
    strength of the prior; then further strengths follow each other as long as each gains
    `CLEAR_GAIN` per column of scores.

    Args:
        rows: of the sample.
        counts: numbers of components, rising.
        structures: of each kind.
        strengths: rows of the prior.
        rng: of the folds and starts.
    """
    order = torch.randperm(len(rows), generator=rng)
    seed = int(torch.randint(1 << 62, (), generator=rng))
    folds = FOLDS if len(rows) < HELD_OUT_ROWS else 1

    def value_of(k: int, structure: Structure) -> float:
        stream = torch.Generator().manual_seed(seed)  # all from the same starts
        return _held_out(rows, order, folds, k, structure, stream)

    structures = [replace(s, prior_rows=strengths[0]) for s in structures]
    best, best_value = (counts[0], structures[0]), -math.inf
    alone = len(counts) * len(structures) * len(strengths) == 1 or len(rows) == 1
    for structure in () if alone else structures:
        last = -math.inf
        for k in counts:
            if k > max(len(rows) // 4, 1):
                break
            value = value_of(k, structure)
            if value > best_value:
                best, best_value = (k, structure), value
            if value <= last:
                break
            last = value
    for strength in () if alone else strengths[1:]:
        candidate = replace(best[1], prior_rows=strength)
        value = value_of(best[0], candidate)
        if value <= best_value + CLEAR_GAIN * rows.z.shape[1]:
            break
        best, best_value = (best[0], candidate), value
    return start(rows, *best, rows.variances(), rng)


def _held_out(
    rows: Rows, order: Tensor, folds: int, k: int, structure: Structure, rng: torch.Generator
) -> float:
    """Mean log-density of held-out rows, over the folds."""
    values = []
    for fold in range(folds):
        test = torch.zeros(len(rows), dtype=torch.bool)
        test[order[fold::FOLDS]] = True
        train = rows.at((~test).nonzero()[:, 0])
        parameters = start(train, k, structure, rows.variances(), rng)
        values.append(parameters.score(rows.at(test.nonzero()[:, 0])))
    return sum(values) / len(values)


def improve(parameters: Parameters, rows: Rows, variance: Tensor) -> Parameters:
    """Parameters after passes over rows."""
    last = -math.inf
    for _ in range(START_STEPS):
        total: ScoreSums | None = None
        for block in rows.blocks():
            part = parameters.expect(block)[1]
            total = part if total is None else total.merge(part)
        assert total is not None
        value = float(total.log_likelihood / total.weight)
        parameters = parameters.maximise(total, variance)
        if value - last < START_GAIN:
            break
        last = value
    return parameters


def _features(rows: Rows, structure: Structure, variance: Tensor) -> Tensor:
    """Scores of unit variance, then indicators of common categories, 0 where missing: (n, f)."""
    parts = [(rows.z / variance.sqrt()).nan_to_num(0.0)]
    for j, base in enumerate(structure.base.split(list(structure.sizes))):
        known = ~torch.isnan(rows.codes[:, j])
        common = base.argsort(descending=True, stable=True)[:INDICATORS]
        indicator = (rows.codes[:, j, None] == common).to(base)
        spread = (base * (1 - base)).sum().clamp_min(1e-3).sqrt()
        parts.append((indicator - base[common]) * known[:, None] / spread)
    return torch.cat(parts, 1)
