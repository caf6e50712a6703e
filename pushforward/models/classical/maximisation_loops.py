"""The M step of normal mixtures in compiled loops: as `maximisation`, in one call."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pushforward.core.compiled import loop
from pushforward.models.classical.factor_loops import find_root

__all__ = ["exceeds", "maximise_full", "maximise_independent"]

Array: TypeAlias = NDArray[Any]


@loop
def maximise_independent(
    count: Array,
    first: Array,
    second: Array,
    origins: Array,
    means: Array,
    spread: Array,
    floor: Array,
    least: float,
    common: bool,
    weights: Array,
    new: Array,
    wide: Array,
) -> None:
    """Weights, means and floored variances.

    Args:
        count, first, second: Σ r (k,), Σ r z and Σ r z² (k, d) of z = x - origin.
        origins: (k, d).
        means, spread: kept by empty components (k, d), (k, d) or (k, 1).
        floor: the least variances (d,).
        least: rows at or below which a component is empty.
        common: whether coordinates share one variance.
        weights, new, wide: results (k,), (k, d), (k, d) or (k, 1).
    """
    (k, d), total, lowest = first.shape, 0.0, 0.0
    for c in range(k):
        total += count[c]
    for i in range(d):
        lowest += floor[i]
    for c in range(k):
        if not count[c] > least:
            weights[c], new[c], wide[c] = 0.0, means[c], spread[c]
            continue
        weights[c], within = count[c] / total, 0.0
        for i in range(d):
            shift = first[c, i] / count[c]
            variance = second[c, i] / count[c] - shift * shift
            within += variance
            new[c, i] = origins[c, i] + shift
            if not common:
                wide[c, i] = floor[i] if variance < floor[i] else variance
        if common:
            wide[c, 0] = lowest / d if within < lowest else within / d


@loop
def exceeds(
    matrix: Array, floor: Array, resolved: float, units: Array, scaled: Array, root: Array
) -> Any:
    """Whether Σ - diag(floor) (d, d) is definite, as `maximisation._exceeds`."""
    for i in range(len(matrix)):
        lowest, own = floor[i], resolved * matrix[i, i]
        units[i] = math.sqrt(own if own > lowest else lowest)
    for i in range(len(matrix)):
        for j in range(i + 1):
            scaled[i, j] = matrix[i, j] / units[i] / units[j]
        scaled[i, i] -= 1
    return find_root(scaled, root)


@loop
def maximise_full(
    count: Array,
    first: Array,
    second: Array,
    rows: Array,
    columns: Array,
    origins: Array,
    means: Array,
    spread: Array,
    floor: Array,
    least: float,
    resolved: float,
    weights: Array,
    new: Array,
    wide: Array,
) -> Any:
    """Weights, means and covariances; whether none of the covariances is below the floor.

    Args:
        count, first: Σ r (k,), Σ r z (k, d) of z = x - origin.
        second: Σ r z_i z_j of the pairs i, j of `rows` and `columns` (k, d (d + 1) / 2).
        origins: (k, d).
        means, spread: kept by empty components (k, d), (k, d, d).
        floor: the least variances (d,).
        least: rows at or below which a component is empty.
        resolved: the least share of each variance.
        weights, new, wide: results (k,), (k, d), (k, d, d).
    """
    (k, d), total = first.shape, 0.0
    scaled, root, units = np.empty((d, d)), np.empty((d, d)), np.empty(d)
    for c in range(k):
        total += count[c]
    for c in range(k):
        if not count[c] > least:
            weights[c], new[c], wide[c] = 0.0, means[c], spread[c]
            continue
        weights[c] = count[c] / total
        for p in range(len(rows)):
            i, j = rows[p], columns[p]
            value = second[c, p] / count[c] - first[c, i] / count[c] * (first[c, j] / count[c])
            wide[c, i, j] = wide[c, j, i] = value
        for i in range(d):
            new[c, i] = origins[c, i] + first[c, i] / count[c]
        if not exceeds(wide[c], floor, resolved, units, scaled, root):
            return False
    return True
