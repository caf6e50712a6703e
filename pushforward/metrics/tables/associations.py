r"""How columns go together, in a synthetic table beside the real one.

* Correlation similarity of two columns of numbers: 1 - |ρ_real - ρ_synthetic| / 2, for Pearson's
  and Spearman's ρ, over rows that have both.
* Contingency similarity of any two columns: 1 - ½ Σ_ij |p_ij - q_ij|, where numbers are put into
  ten bins of equal width over the real range, values beyond it belong to the outer ones, and a
  missing value counts as a category of its own.
* Association: Pearson's ρ of two columns of numbers; Cramér's V = √(φ² / (min(I, J) - 1)) with φ² =
  Σ p_ij² / (p_i p_j) - 1 of two of categories; the correlation ratio η = √(Σ_k p_k (μ_k - μ)² / σ²)
  of one of each. Its similarity is 1 - |a_real - a_synthetic|, halved for ρ, which has twice the
  range.

The first two are defined as in SDMetrics (MIT licence, https://docs.sdv.dev/sdmetrics). Errors are
those of the influence functions (ρ, V, η), of Bonett & Wright (2000), Psychometrika 65, for
Spearman's ρ, and of the delta method (contingency). For V and η, which are chi-like near 0, V and η
in the denominator are at least their mean for independent columns. `details['expected']` is what
fresh real rows would score on average.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushforward.core.records import Record
from pushforward.metrics.tables.margins import tv_complement
from pushforward.metrics.tables.pair import Floats, TablePair, pairs_of

__all__ = [
    "association",
    "association_similarity",
    "associations",
    "contingency_similarity",
    "correlation",
    "correlation_similarity",
    "correlation_ratio",
    "cramers_v",
]

BINS = 10
"""Bins of numbers in contingency tables, as in SDMetrics."""
HALF_NORMAL = math.sqrt(2 / math.pi)
"""E |X| of a standard normal X."""
Estimate: TypeAlias = tuple[float, float]
"""A value and its standard error."""
UNKNOWN = (math.nan, math.nan)
"""Of columns that are constant, or share fewer than four rows."""
LEAST = 4
"""Rows of a correlation: Bonett & Wright's error needs more than 3."""


def correlation_similarity(
    pair: TablePair, method: Literal["pearson", "spearman"] = "pearson"
) -> list[Record]:
    """Similarity of each pair of columns of numbers, after the mean; nothing without a pair."""
    places = np.flatnonzero(~pair.categorical)
    parts = []
    for i, j in pairs_of(int(p) for p in places):
        one, two = (correlation(x[:, i], x[:, j], method) for x in (pair.real, pair.synthetic))
        parts.append(_similarity(pair, f"{method} correlation", (i, j), one, two, 0.5))
    settings = f"1 - |difference of {method.title()}'s correlations| / 2, mean over pairs"
    name = f"{method} correlations"
    return [pair.mean(name, parts, ideal=1.0, settings=settings), *parts] if parts else []


def contingency_similarity(pair: TablePair) -> list[Record]:
    """Similarity of each pair of columns, in ten bins where they are numbers, after the mean."""
    levels = [_levels(pair, i) for i in range(len(pair.columns))]
    parts = []
    for i, j in pairs_of(range(len(pair.columns))):
        (one, two), (three, four) = levels[i], levels[j]
        joint = 1 + max(three.max(), four.max())
        first, second = one * joint + three, two * joint + four
        value, error, expected = tv_complement(first, second)
        facts: dict[str, Any] = {
            "columns": [pair.names[i], pair.names[j]],
            "expected": expected,
            "ideal": 1.0,
        }
        parts.append(pair.record(_name("contingency", pair, i, j), value, error, **facts))
    settings = f"1 - TV of contingency tables, numbers in {BINS} bins, mean over pairs"
    return [pair.mean("contingency", parts, ideal=1.0, settings=settings), *parts] if parts else []


def association_similarity(
    pair: TablePair, known: tuple[Floats, Floats, Floats, Floats] | None = None
) -> list[Record]:
    """Similarity of ρ, V or η of each pair of columns, after the mean.

    Columns that go together in the real table and are constant or missing in the synthetic one do
    not go together there: 0.

    Args:
        known: values and errors of the real and of the synthetic columns, as `associations` gives
            them; computed if None.
    """
    a, ea, b, eb = known or (
        *associations(pair.real, pair.categorical),
        *associations(pair.synthetic, pair.categorical),
    )
    parts = []
    for i, j in pairs_of(range(len(pair.columns))):
        both = not (pair.categorical[i] or pair.categorical[j])
        one, two = (float(a[i, j]), float(ea[i, j])), (float(b[i, j]), float(eb[i, j]))
        if math.isnan(two[0]) and not math.isnan(one[0]) and len(pair.synthetic) >= LEAST:
            two = (0.0, 0.0)
        factor = 0.5 if both else 1.0
        parts.append(_similarity(pair, "association", (i, j), one, two, factor))
    settings = "1 - |difference| of correlation (half), Cramér's V or correlation ratio; mean"
    return [pair.mean("associations", parts, ideal=1.0, settings=settings), *parts] if parts else []


def associations(x: Floats, categorical: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """ρ, V or η of all pairs of columns (d, d), and their errors; NaN where undefined."""
    d = x.shape[1]
    values, errors = np.eye(d), np.zeros((d, d))
    for i, j in pairs_of(range(d)):
        value, error = association(x[:, i], x[:, j], bool(categorical[i]), bool(categorical[j]))
        values[i, j] = values[j, i] = value
        errors[i, j] = errors[j, i] = error
    return values, errors


def association(x: Floats, y: Floats, x_categorical: bool, y_categorical: bool) -> Estimate:
    """ρ, V or η of two columns, with its error."""
    if x_categorical and y_categorical:
        return cramers_v(x, y)
    if x_categorical or y_categorical:
        return correlation_ratio(x, y) if x_categorical else correlation_ratio(y, x)
    return correlation(x, y)


def correlation(
    x: Floats, y: Floats, method: Literal["pearson", "spearman"] = "pearson"
) -> Estimate:
    """Pearson's or Spearman's correlation of the rows that have both, with its error."""
    x, y = _both(x, y)
    if len(x) < LEAST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return UNKNOWN
    if method == "spearman":
        from scipy.stats import rankdata

        x, y = rankdata(x), rankdata(y)
    u, v = _standardise(x), _standardise(y)
    rho = float(np.clip((u * v).mean(), -1, 1))
    if method == "spearman":
        return rho, (1 - rho**2) * math.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    influence = u * v - rho / 2 * (u**2 + v**2)
    return rho, float(influence.std()) / math.sqrt(len(x))


def cramers_v(x: Floats, y: Floats) -> Estimate:
    """Cramér's V of two columns of codes, without correction for bias, with its error."""
    x, y = _both(x, y)
    (rows, i), (cols, j) = (np.unique(z, return_inverse=True) for z in (x, y))
    degree = min(len(rows), len(cols)) - 1
    if degree < 1:
        return UNKNOWN
    n = len(x)
    p = np.bincount(i * len(cols) + j, minlength=len(rows) * len(cols)).reshape(len(rows), -1) / n
    r, c = p.sum(1, keepdims=True), p.sum(0, keepdims=True)
    ratio = p / (r * c)
    v = math.sqrt(max(float((p * ratio).sum()) - 1, 0) / degree)
    influence = 2 * ratio - (p * ratio).sum(1, keepdims=True) / r
    influence -= (p * ratio).sum(0, keepdims=True) / c
    spread = float((p * influence**2).sum() - (p * influence).sum() ** 2)
    chance = math.sqrt((len(rows) - 1) * (len(cols) - 1) / n / degree)
    return v, math.sqrt(max(spread, 0) / n) / (2 * degree * max(v, chance))


def correlation_ratio(codes: Floats, y: Floats) -> Estimate:
    """The correlation ratio η of numbers given categories, with its error."""
    codes, y = _both(codes, y)
    groups, i = np.unique(codes, return_inverse=True)
    if len(groups) < 2 or len(y) < LEAST or np.ptp(y) == 0:
        return UNKNOWN
    n, z = len(y), _standardise(y)
    mean = np.bincount(i, weights=z) / np.bincount(i)
    of_row = mean[i]
    square = float((of_row**2).mean())
    influence = 2 * of_row * z - of_row**2 - square * z**2
    eta = math.sqrt(min(square, 1.0))
    chance = math.sqrt((len(groups) - 1) / n)
    return eta, float(influence.std()) / math.sqrt(n) / (2 * max(eta, chance))


def _similarity(
    pair: TablePair, what: str, place: tuple[int, int], one: Estimate, two: Estimate, factor: float
) -> Record:
    """1 - factor |difference| of two estimates."""
    i, j = place
    error = factor * math.hypot(one[1], two[1])
    facts: dict[str, Any] = {
        "columns": [pair.names[i], pair.names[j]],
        "of_real": one[0],
        "of_synthetic": two[0],
        "expected": 1 - HALF_NORMAL * error,
        "ideal": 1.0,
    }
    value = 1 - factor * abs(one[0] - two[0])
    return pair.record(_name(what, pair, i, j), value, error, **facts)


def _name(what: str, pair: TablePair, i: int, j: int) -> str:
    return f"{what} {pair.names[i]} × {pair.names[j]}"


def _levels(pair: TablePair, i: int) -> tuple[Floats, Floats]:
    """A column's whole levels from 0, in the real and in the synthetic table; missing is one."""
    x, y = pair.real[:, i], pair.synthetic[:, i]
    if pair.categorical[i]:
        last = float(max(len(pair.columns[i].categories), 1))
        return np.where(np.isnan(x), last, x), np.where(np.isnan(y), last, y)
    there = x[~np.isnan(x)]
    edges = np.histogram_bin_edges(there, bins=BINS)[1:-1]
    return _binned(x, edges), _binned(y, edges)


def _binned(x: Floats, edges: Floats) -> Floats:
    """The bin of each value, missing ones in one of their own."""
    return np.asarray(np.where(np.isnan(x), len(edges) + 1, np.digitize(x, edges)), np.float64)


def _both(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    kept = ~(np.isnan(x) | np.isnan(y))
    return x[kept], y[kept]


def _standardise(x: Floats) -> Floats:
    centred = x - x.mean()
    return np.asarray(centred / math.sqrt(float((centred**2).mean())))
