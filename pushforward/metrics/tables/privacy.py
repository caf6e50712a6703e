r"""Does a synthetic table give away rows that it was made from?

T are the rows it was made from (training), H real rows it was not made from (held out), S the
synthetic rows; d(x, A) is the distance of x to the nearest row of A (`metrics.tables.nearest`).

* `copies`: the share of S that equals a row of T in every column, where rows that T itself repeats
  do not count. `ideal` is the share of H for which that holds or, without H, 2 N₂ / |T| (Good &
  Turing: N₂ rows occur twice), what fresh rows would have by chance.
* `closest_share`: the share of S whose closest record of T ∪ H is in T; the ideal is |T| / (|T| +
  |H|). Records that are closest alike share the row. With w_i the share of S that is closest to
  record i, exchangeable T and H give Σ_{i∈T} w_i with variance |T| |H| / (N (N-1)) Σ (w_i - 1/N)²,
  N = |T| + |H|: that is the error, exact under that hypothesis. S alone may be a subsample; T and H
  never are, or the ideal would be another.
* `overfitting_protection`: SDMetrics' DCROverfittingProtection, min(2 (1 - P(d(s, T) < d(s, H))),
  1); it is meant for |T| = |H|, and counts ties as closer to H.
* `baseline_protection`: SDMetrics' DCRBaselineProtection, min(median d(S, T) / median d(U, T), 1),
  U being as many rows drawn uniformly from each column's range or categories. It says how far from
  T the synthetic rows are, not whether H is as far.
* `closer`: P(d(s, T) < d(h, T)) + ½ P(=), the distance to the closest record against held-out rows'
  (Meehan et al. 2020); ½ for fresh rows, more for repeated ones.
* `neighbour_ratio`: the same for the ratio of the distances to the nearest and to the second
  nearest row of T, which is small for a row beside one record; ½ for fresh rows.
* `membership`: an attacker who has S, and a row, says 'it was in T' the rather the smaller d(row,
  S) is. The AUC of that attack for rows of T against rows of H; ½ if S tells nothing. Other attacks
  may do better.

SDMetrics: MIT licence, https://docs.sdv.dev/sdmetrics. Meehan, Chaudhuri & Dasgupta (2020),
https://arxiv.org/abs/2004.05675.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pushforward.core.records import Record
from pushforward.metrics.tables.folds import auc, row_keys
from pushforward.metrics.tables.nearest import Gower, ranges_of
from pushforward.metrics.tables.pair import Floats, TablePair, as_table, subsample

__all__ = ["baseline_protection", "closest_records", "copies", "membership"]

WORK = 4_000_000_000
"""Differences of values that a measure computes: some seconds on one core."""
LEAST, MOST = 300, 10_000  # synthetic rows of a distance, whatever the work
LARGEST = 2**63 - 1  # whole numbers beyond it are drawn as others are: float64 has gaps there
SMALLEST = 10
"""Rows of each set at least: fewer say nothing about distances."""


def copies(pair: TablePair, held_out: Floats | None = None) -> Record:
    """The share of synthetic rows that copy a training row, the real side of the pair."""
    keys, counts = np.unique(row_keys(pair.real), return_counts=True)
    single = keys[counts == 1]
    share = float(np.isin(row_keys(pair.synthetic), single).mean())
    m = len(pair.synthetic)
    if held_out is not None:
        fresh = as_table(held_out, pair.columns, "held-out rows")
        chance, n = float(np.isin(row_keys(fresh), single).mean()), len(fresh)
        by = "share of held-out rows that equal one"
    else:
        n = len(pair.real)
        chance, by = 2 * float((counts == 2).sum()) / n, "Good-Turing estimate from repeated rows"
    error = math.sqrt(share * (1 - share) / m + chance * (1 - chance) / n)
    repeated = int((counts > 1).sum())
    facts: dict[str, Any] = {
        "settings": f"equal in all {len(pair.columns)} columns; rows that repeat do not count",
        "ideal_by": by,
        "rows": round(share * m),
        "repeated_rows": repeated,
    }
    return pair.record("copies", share, error, ideal=chance, better="lower", n=m, **facts)


def closest_records(pair: TablePair, held_out: Floats, *, rows: int | None = None) -> list[Record]:
    """Distances to the closest records of the training rows, the real side of the pair, beside
    held-out ones.

    Args:
        rows: synthetic rows at most, drawn by the seed; by default as many as some seconds allow.
    """
    fresh = as_table(held_out, pair.columns, "held-out rows")
    if min(len(pair.real), len(fresh), len(pair.synthetic)) < SMALLEST:
        return []
    every = np.concatenate([pair.real, fresh])
    size = rows or _affordable(every)
    some = subsample(pair.synthetic, size, pair.stream("synthetic"))
    ranges = ranges_of(every)
    settings = f"mean of |difference| / range over columns, {len(some)} synthetic rows"
    facts: dict[str, Any] = {"settings": settings, "held_out": len(fresh)}
    records = [_closest_share(pair, every, some, ranges, facts)]
    to_train = Gower(pair.real, pair.categorical, ranges)
    near = to_train.two_nearest(some)
    others = to_train.two_nearest(subsample(fresh, size, pair.stream("held-out")))
    value, error = auc(-near[:, 0], -others[:, 0])
    medians = {
        "median_synthetic": float(np.median(near[:, 0])),
        "median_held_out": float(np.median(others[:, 0])),
    }
    more: dict[str, Any] = {**facts, **medians}
    records.append(
        pair.record("closer", value, error, ideal=0.5, better="ideal", n=len(some), **more)
    )
    one, two = _ratios(near), _ratios(others)
    value, error = auc(-one, -two)
    more = {
        **facts,
        "median_synthetic": float(np.median(one)),
        "median_held_out": float(np.median(two)),
    }
    records.append(
        pair.record("neighbour_ratio", value, error, ideal=0.5, better="ideal", n=len(some), **more)
    )
    return [*records, _overfitting(pair, fresh, some)]


def _closest_share(
    pair: TablePair, every: Floats, some: Floats, ranges: Floats, facts: dict[str, Any]
) -> Record:
    n, total = len(pair.real), len(every)
    shares = Gower(every, pair.categorical, ranges).shares(some)
    spread = n * (total - n) / (total * (total - 1)) * float(((shares - 1 / total) ** 2).sum())
    value = float(shares[:n].sum())
    return pair.record(
        "closest_share",
        value,
        math.sqrt(spread),
        ideal=n / total,
        better="ideal",
        n=len(some),
        error_of="chance, if training and held-out rows were exchangeable",
        **facts,
    )


def _overfitting(pair: TablePair, fresh: Floats, some: Floats) -> Record:
    """SDMetrics scales by the ranges of either reference, and so do we here."""
    one, two = (Gower(x, pair.categorical, ranges_of(x)).nearest(some) for x in (pair.real, fresh))
    share = float((one < two).mean())
    error = 2 * math.sqrt(share * (1 - share) / len(some)) if share > 0.5 else 0.0
    facts: dict[str, Any] = {
        "settings": "SDMetrics' DCROverfittingProtection",
        "closer_to_training": share,
    }
    return pair.record(
        "overfitting_protection", min(2 * (1 - share), 1.0), error, ideal=1.0, n=len(some), **facts
    )


def baseline_protection(pair: TablePair, *, rows: int | None = None) -> list[Record]:
    """SDMetrics' DCRBaselineProtection; its error is from 200 bootstrap resamples of both sets."""
    if min(len(pair.real), len(pair.synthetic)) < SMALLEST:
        return []
    some = subsample(pair.synthetic, rows or _affordable(pair.real), pair.stream("synthetic"))
    rng = np.random.default_rng(pair.stream("uniform"))
    gower = Gower(pair.real, pair.categorical, ranges_of(pair.real))
    one, two = gower.nearest(some), gower.nearest(_uniform(pair, len(some), rng))
    base = float(np.median(two))
    facts: dict[str, Any] = {
        "settings": f"SDMetrics' DCRBaselineProtection, {len(some)} rows",
        "median_synthetic": float(np.median(one)),
        "median_random": base,
    }
    if base == 0:
        return []
    draws = [
        np.median(rng.choice(one, len(one)))
        / max(float(np.median(rng.choice(two, len(two)))), 1e-9)
        for _ in range(200)
    ]
    value = min(float(np.median(one)) / base, 1.0)
    error = float(np.std(np.minimum(draws, 1.0), ddof=1))
    return [pair.record("baseline_protection", value, error, ideal=1.0, n=len(some), **facts)]


def membership(pair: TablePair, held_out: Floats, *, rows: int | None = None) -> list[Record]:
    """The AUC of the attack by distance to the synthetic rows, all of which the attacker has.

    Args:
        rows: training and held-out rows to attack, of each; by default as many as some seconds
            allow.
    """
    fresh = as_table(held_out, pair.columns, "held-out rows")
    if min(len(pair.real), len(fresh)) < SMALLEST:
        return []
    size = rows or _affordable(pair.synthetic)
    members = subsample(pair.real, size, pair.stream("members"))
    others = subsample(fresh, size, pair.stream("held-out"))
    ranges = ranges_of(np.concatenate([pair.real, fresh]))
    gower = Gower(pair.synthetic, pair.categorical, ranges)
    value, error = auc(-gower.nearest(members), -gower.nearest(others))
    facts: dict[str, Any] = {
        "settings": "attack: a row whose closest synthetic row is nearer was rather trained on",
        "members": len(members),
        "held_out": len(others),
    }
    return [
        pair.record("membership", value, error, ideal=0.5, better="ideal", n=len(members), **facts)
    ]


def _ratios(distances: Floats) -> Floats:
    """Nearest to second nearest (m,); 1 where both are 0, as for a row that the data repeat."""
    first, second = distances.T
    return np.asarray(np.divide(first, second, out=np.ones(len(first)), where=second > 0))


def _affordable(reference: Floats) -> int:
    return int(min(max(WORK // reference.size, LEAST), MOST))


def _uniform(pair: TablePair, n: int, rng: np.random.Generator) -> Floats:
    """Rows drawn uniformly from each real column's range or categories, with as many gaps."""
    result = np.full((n, len(pair.columns)), np.nan)
    for i, column in enumerate(pair.columns):
        values = pair.real[:, i]
        there = values[~np.isnan(values)]
        if not len(there):
            continue
        if column.kind == "continuous":
            result[:, i] = rng.uniform(there.min(), there.max(), n)
        elif column.kind == "integer":
            low, high = int(there.min()), int(there.max()) + 1
            inside = low >= -LARGEST and high <= LARGEST
            result[:, i] = rng.integers(low, high, n) if inside else rng.uniform(low, high, n)
        else:
            result[:, i] = rng.choice(np.unique(there), n)
        result[rng.random(n) < np.isnan(values).mean(), i] = np.nan
    return result
