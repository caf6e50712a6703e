"""Predicted seconds (on 2 cores) and bytes of kernel sums, from a sample of pairs of points.

The constants were fitted to `python -m benchmarks kde-sweep`, which records every method.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.densities.direct_sums import Bumps
from pushforward.densities.trees import LEAF

__all__ = ["direct_cost", "tree_cost"]

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


def tree_cost(bumps: Bumps, m: int, tolerance: float, built: bool) -> tuple[float, float]:
    """Seconds and bytes of tree sums at m queries distributed like the points."""
    n, d = len(bumps.points), bumps.dimension
    seconds = CALL + m * (QUERY + _pairs(bumps, tolerance) * _pair_seconds(bumps))
    return seconds + (0.0 if built else POINT * n * d), 5e7 + 8.0 * n * (d + 6)


def _pairs(bumps: Bumps, tolerance: float) -> float:
    """Points in the leaves that matter to a query."""
    n, d = len(bumps.points), bumps.dimension
    some, sample = _spaced(n, 1024), _spaced(n, 64)
    distance = torch.cdist(bumps.points[sample], bumps.points[some])
    reach = _reach(bumps, distance / bumps.scales[some], tolerance)
    distance[distance == 0] = math.inf
    nearest = distance.amin(1, keepdim=True).clamp_max(1e300)
    width = (LEAF * len(some) / n) ** (1 / d) * nearest * (d / 2)
    within = distance < reach * bumps.scales[some] + width
    pairs = min(float(n), n * float(within.double().mean()) + LEAF)
    if bumps.kernel.name in ("tophat", "epanechnikov") and bumps.widest == bumps.narrowest:
        # nodes inside the supports are summed whole: the leaves at their surface are left
        pairs = min(pairs, 2 * d * LEAF * (pairs / LEAF) ** (1 - 1 / d))
    return pairs


def _reach(bumps: Bumps, scaled: Tensor, tolerance: float) -> Tensor | float:
    """Bandwidths beyond which points do not matter, from sampled scaled distances (k, c)."""
    if bumps.kernel.compact:
        return 1.0
    gaussian = bumps.kernel.name == "gaussian"
    energy = 0.5 * scaled.square() if gaussian else scaled
    # subnormal numbers are slow
    share = energy.clamp_max(700).neg().exp().mean(1, keepdim=True).clamp_min(1 / len(bumps.points))
    needed = -(share * tolerance / 2).log()
    return (2 * needed).sqrt() if gaussian else needed


def _pair_seconds(bumps: Bumps) -> float:
    """Seconds of one pair in a leaf: coordinates, and the profile."""
    profile = {"gaussian": 0.75e-9, "exponential": 1.1e-9}.get(bumps.kernel.name, 1.5e-9)
    if bumps.separable and bumps.kernel.compact:
        profile *= bumps.dimension
    if bumps.widest > bumps.narrowest:
        profile += 0.2e-9
    return profile + 0.1e-9 * bumps.dimension


def _spaced(n: int, count: int) -> Tensor:
    return torch.linspace(0, n - 1, min(n, count), dtype=torch.float64).long()
