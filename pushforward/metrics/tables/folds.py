"""Rows as keys and folds, and the area under a curve with its error."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pushforward.metrics.tables.pair import Floats

__all__ = ["auc", "folds", "row_keys"]

Keys = NDArray[np.uint64]
ODD = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ / golden ratio, the step of SplitMix64."""
MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
"""Shifts and factors of SplitMix64 (Steele, Lea & Flood 2014)."""
LAST = np.uint64(31)  # its last shift


def row_keys(x: Floats) -> Keys:
    """A 64-bit key for each row (n,): equal rows have equal keys, missing values included.

    Of a million rows two different ones share a key with a probability of 3e-8.
    """
    bits = np.where(np.isnan(x), np.nan, x + 0.0).view(np.uint64)  # one NaN, and no -0
    key = np.zeros(len(x), dtype=np.uint64)
    for column in bits.T:
        key = _mix(key + ODD + column)
    return key


def _mix(z: Keys) -> Keys:
    for shift, factor in MIX:
        z = (z ^ (z >> shift)) * factor
    return np.asarray(z ^ (z >> LAST))


def folds(x: Floats, labels: NDArray[np.bool_], k: int, seed: int) -> Iterator[NDArray[np.bool_]]:
    """k masks of test rows, stratified by labels (n,), true for synthetic rows.

    Copies of a real row that is there once are in its fold, as they would otherwise tell its label.
    """
    rng = np.random.default_rng(seed)
    keys, place = np.unique(row_keys(x), return_inverse=True)
    once = np.bincount(place, weights=~labels)[place] == 1
    group = np.where(once, place, len(keys) + np.arange(len(x)))
    groups, place = np.unique(group, return_inverse=True)
    synthetic = np.bincount(place, weights=labels) > 0
    fold = np.empty(len(groups), dtype=np.int64)
    for kind in (synthetic, ~synthetic):
        members = rng.permutation(np.flatnonzero(kind))
        fold[members] = np.arange(len(members)) % k
    for number in range(k):
        yield fold[place] == number


def auc(positive: Floats, negative: Floats) -> tuple[float, float]:
    """P(positive > negative) + ½ P(=), with DeLong, DeLong & Clarke-Pearson's (1988) error."""
    if not len(positive) or not len(negative):
        return math.nan, math.nan
    above = _share_below(positive, np.sort(negative))
    below = 1 - _share_below(negative, np.sort(positive))
    if min(len(above), len(below)) < 2:
        return float(above.mean()), math.nan
    spread = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    return float(above.mean()), math.sqrt(float(spread))


def _share_below(x: Floats, ordered: Floats) -> Floats:
    """The share of sorted values below each of x, ties counted half."""
    left = np.searchsorted(ordered, x, side="left")
    right = np.searchsorted(ordered, x, side="right")
    return np.asarray((left + right) / (2 * len(ordered)))
