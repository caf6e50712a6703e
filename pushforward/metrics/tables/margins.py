r"""Each column of a synthetic table beside the real one.

* Margins. Of numbers the KS complement 1 - sup |F_n - G_m|, of categories the TV complement 1 - ½
  Σ_k |p_k - q_k|, of the values that are present.
* Missing values: 1 - |share missing in one - share missing in the other|.
* Coverage. Of numbers the share of the real range that the synthetic values span, 1 - [max((s_min -
  r_min)/R, 0) + max((r_max - s_max)/R, 0)], at least 0; of categories the share of the real ones
  that occur.
* Adherence: the share of synthetic values within the real range, or of a category that the real
  table has. Of n fresh values 1/(n + 1) are expected below the least one, as many above the
  greatest, and N₁/n of a new category (Good & Turing: N₁ categories occur once).

KS and TV complements, missing values and coverage are defined as in SDMetrics (MIT licence,
https://docs.sdv.dev/sdmetrics). A complement is below 1 for fresh real rows, too, the more so the
fewer rows there are; `details['expected']` is what they would score on average: with N = nm/(n+m),
E sup |F_n - G_m| ≈ √(π/2) ln 2 / √N (the mean of Kolmogorov's distribution) and E ½ Σ |p_k - q_k| ≈
Σ √(p_k (1 - p_k) / (2π N)).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.records import Record
from pushforward.metrics.tables.pair import Floats, TablePair, present

__all__ = ["adherence", "coverage", "ks_complement", "margins", "missing", "tv_complement"]

KOLMOGOROV_MEAN = math.sqrt(math.pi / 2) * math.log(2)
"""The mean of Kolmogorov's distribution."""


def margins(pair: TablePair) -> list[Record]:
    """The complement of each column's distance, `margin NAME`, after their mean, `margins`."""
    parts = [_margin(pair, i) for i in range(len(pair.columns))]
    return [pair.mean("margins", parts, ideal=1.0, settings="mean over columns"), *parts]


def _margin(pair: TablePair, i: int) -> Record:
    one, two = present(pair.real[:, i]), present(pair.synthetic[:, i])
    name = f"margin {pair.names[i]}"
    categorical = bool(pair.categorical[i])
    settings = "TV complement" if categorical else "KS complement"
    facts: dict[str, Any] = {"column": pair.names[i], "settings": settings, "ideal": 1.0}
    if not len(one) or not len(two):
        return pair.record(name, math.nan, math.nan, n=len(one), **facts)
    value, error, expected = (tv_complement if categorical else ks_complement)(one, two)
    return pair.record(name, value, error, n=len(one), expected=expected, **facts)


def ks_complement(real: Floats, synthetic: Floats) -> tuple[float, float, float]:
    """1 - sup |F_n - G_m| of numbers (n,) and (m,), its error, and its mean for equal ones.

    The error is that of F_n - G_m where it is largest.
    """
    x, y = np.sort(real), np.sort(synthetic)
    at = np.concatenate([x, y])
    f = np.searchsorted(x, at, side="right") / len(x)
    g = np.searchsorted(y, at, side="right") / len(y)
    place = int(np.abs(f - g).argmax())
    p, q = float(f[place]), float(g[place])
    error = math.sqrt(p * (1 - p) / len(x) + q * (1 - q) / len(y))
    return 1 - abs(p - q), error, 1 - min(KOLMOGOROV_MEAN / math.sqrt(_size(x, y)), 1)


def tv_complement(real: Floats, synthetic: Floats) -> tuple[float, float, float]:
    """1 - ½ Σ |p_k - q_k| of codes (n,) and (m,), its error, and its mean for equal ones.

    The error is that of ½ Σ s_k (p_k - q_k) with the signs s_k kept (the delta method).
    """
    codes, places = np.unique(np.concatenate([real, synthetic]), return_inverse=True)
    p = np.bincount(places[: len(real)], minlength=len(codes)) / len(real)
    q = np.bincount(places[len(real) :], minlength=len(codes)) / len(synthetic)
    sign = np.sign(p - q)
    spread = (_variance(p, sign) / len(real) + _variance(q, sign) / len(synthetic)) / 4
    pooled = np.concatenate([p * len(real), q * len(synthetic)]).reshape(2, -1).sum(0)
    pooled /= pooled.sum()
    size = _size(real, synthetic)
    chance = float(np.sqrt(pooled * (1 - pooled) / (2 * math.pi * size)).sum())
    return 1 - float(np.abs(p - q).sum()) / 2, math.sqrt(max(spread, 0.0)), 1 - min(chance, 1)


def missing(pair: TablePair) -> list[Record]:
    """Similarity of each column's share of missing values, after the mean over columns.

    Columns without any on both sides are left out.
    """
    parts = []
    for i, name in enumerate(pair.names):
        p, q = (float(np.isnan(x[:, i]).mean()) for x in (pair.real, pair.synthetic))
        if p == q == 0:
            continue
        error = math.sqrt(p * (1 - p) / len(pair.real) + q * (1 - q) / len(pair.synthetic))
        facts: dict[str, Any] = {
            "column": name,
            "share_real": p,
            "share_synthetic": q,
            "ideal": 1.0,
        }
        parts.append(pair.record(f"missing {name}", 1 - abs(p - q), error, **facts))
    settings = "1 - difference of the shares of missing values, mean over columns with any"
    return [pair.mean("missing", parts, ideal=1.0, settings=settings), *parts] if parts else []


def coverage(pair: TablePair) -> list[Record]:
    """How much of each real column's range or categories occurs, after the mean; exact."""
    parts = []
    for i, name in enumerate(pair.names):
        one, two = present(pair.real[:, i]), present(pair.synthetic[:, i])
        value = math.nan
        if len(one) and len(two):
            value = (_categories if pair.categorical[i] else _range)(one, two)
        settings = "categories" if pair.categorical[i] else "range"
        facts: dict[str, Any] = {"column": name, "settings": settings, "ideal": 1.0}
        parts.append(pair.record(f"coverage {name}", value, 0.0, bound="exact", **facts))
    return [pair.mean("coverage", parts, ideal=1.0, settings="mean over columns"), *parts]


def adherence(pair: TablePair) -> list[Record]:
    """The share of each column's synthetic values that the real table's range or categories
    allow, after the mean.
    """
    parts = []
    for i, name in enumerate(pair.names):
        one, two = present(pair.real[:, i]), present(pair.synthetic[:, i])
        value = error = expected = math.nan
        if len(one) and len(two):
            known = np.isin(two, one) if pair.categorical[i] else _within(one, two)
            value = float(known.mean())
            error = math.sqrt(value * (1 - value) / len(two))
            expected = 1 - _unseen(one, bool(pair.categorical[i]))
        settings = "known categories" if pair.categorical[i] else "within the real range"
        facts: dict[str, Any] = {"column": name, "settings": settings, "ideal": 1.0}
        facts["expected"] = expected
        parts.append(pair.record(f"adherence {name}", value, error, **facts))
    return [pair.mean("adherence", parts, ideal=1.0, settings="mean over columns"), *parts]


def _unseen(real: Floats, categorical: bool) -> float:
    """The share of fresh rows that is expected outside."""
    values, counts = np.unique(real, return_counts=True)
    ends = counts if categorical else counts[[0, -1]]
    singles = int((ends == 1).sum()) if len(values) > 1 else 0
    return singles / len(real) if categorical else singles / (len(real) + 1)


def _within(real: Floats, synthetic: Floats) -> NDArray[np.bool_]:
    return np.asarray((real.min() <= synthetic) & (synthetic <= real.max()))


def _categories(real: Floats, synthetic: Floats) -> float:
    there = np.unique(real)
    return float(np.isin(there, synthetic).mean())


def _range(real: Floats, synthetic: Floats) -> float:
    low, high = real.min(), real.max()
    if low == high:
        return math.nan
    below = max((synthetic.min() - low) / (high - low), 0)
    above = max((high - synthetic.max()) / (high - low), 0)
    return float(max(1 - below - above, 0))


def _variance(p: Floats, values: Floats) -> float:
    return float((p * values**2).sum() - (p * values).sum() ** 2)


def _size(x: Floats, y: Floats) -> float:
    return len(x) * len(y) / (len(x) + len(y))
