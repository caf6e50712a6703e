"""Predicted seconds (on 2 cores) and bytes of kernel sums, from a sample of pairs of points.

The constants were fitted to `python -m benchmarks kde-sweep`, which records every method.
"""

from __future__ import annotations

import numpy as np

from pushforward.densities.direct_sums import Bumps
from pushforward.densities.trees import LEAF

__all__ = ["direct_cost", "points_in_reach", "tree_cost"]

POINT = 1.5e-8  # seconds to sort one coordinate into the leaves
QUERY = 2e-7  # seconds of one query's way to its leaf
CALL = 1e-3  # seconds of any call


def direct_cost(bumps: Bumps, m: int) -> tuple[float, float]:
    """Seconds and bytes of direct sums at m queries."""
    n, d = len(bumps.points), bumps.dimension
    pair = 1.8e-9 + 2e-11 * d
    if bumps.kernel.name != "gaussian":
        pair = 2.5e-9 + (4e-9 if bumps.separable else 0.5e-9) * min(d, 6)
    return n * m * pair, 3e7 + 16.0 * (n + m) * (d + 2)


def tree_cost(bumps: Bumps, m: int, reached: float, built: bool) -> tuple[float, float]:
    """Seconds and bytes of tree sums at m queries that reach so many points each."""
    n, d = len(bumps.points), bumps.dimension
    seconds = CALL + m * (QUERY + reached * _pair_seconds(bumps))
    return seconds + (0.0 if built else POINT * n * d), 5e7 + 8.0 * n * (d + 6)


def points_in_reach(bumps: Bumps, tolerance: float) -> float:
    """Points in the leaves that matter to a query distributed like the points, from a sample."""
    n, d = len(bumps.points), bumps.dimension
    points, some = bumps.points.numpy(), _spaced(n, 1024)
    queries, centres, scales = points[_spaced(n, 64)], points[some], bumps.scales.numpy()[some]
    distance = np.zeros((len(queries), len(some)))
    for axis in range(d):
        distance += np.subtract.outer(queries[:, axis], centres[:, axis]) ** 2
    distance = np.sqrt(distance, out=distance)
    reach = _reach(bumps, distance / scales, tolerance)
    nearest = np.where(distance > 0, distance, 1e300).min(1, keepdims=True)
    width = (LEAF * len(some) / n) ** (1 / d) * nearest * (d / 2)
    within = (distance > 0) & (distance < reach * scales + width)
    pairs = min(float(n), n * float(within.mean()) + LEAF)
    if bumps.kernel.name in ("tophat", "epanechnikov") and bumps.widest == bumps.narrowest:
        # nodes inside the supports are summed whole: the leaves at their surface are left
        pairs = min(pairs, 2 * d * LEAF * (pairs / LEAF) ** (1 - 1 / d))
    return pairs


def _reach(bumps: Bumps, scaled: np.ndarray, tolerance: float) -> np.ndarray | float:
    """Bandwidths beyond which points do not matter, from sampled scaled distances (k, c)."""
    if bumps.kernel.compact:
        return 1.0
    gaussian = bumps.kernel.name == "gaussian"
    energy = 0.5 * scaled**2 if gaussian else scaled
    # subnormal numbers are slow
    share = np.exp(-np.minimum(energy, 700)).mean(1, keepdims=True)
    needed = -np.log(np.maximum(share, 1 / len(bumps.points)) * tolerance / 2)
    out: np.ndarray = np.sqrt(2 * needed) if gaussian else needed
    return out


def _pair_seconds(bumps: Bumps) -> float:
    """Seconds of one pair in a leaf: coordinates, and the profile."""
    profile = {"gaussian": 0.75e-9, "exponential": 1.1e-9}.get(bumps.kernel.name, 1.5e-9)
    if bumps.separable and bumps.kernel.compact:
        profile *= bumps.dimension
    if bumps.widest > bumps.narrowest:
        profile += 0.2e-9
    return profile + 0.1e-9 * bumps.dimension


def _spaced(n: int, count: int) -> np.ndarray:
    return np.linspace(0, n - 1, min(n, count)).astype(np.int64)
