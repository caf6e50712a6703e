r"""Initial centres chosen among the rows, by weight and a random stream.

k-means++ chooses the first centre by weight, and each further one with probability proportional to
w_i D(x_i)², where D is the distance to the nearest centre so far; then E[inertia] ≤ 8 (ln k + 2)
inertia* (Theorem 1.1). The greedy form here tries 2 + ln k candidates each time and keeps the one
that lowers the inertia most (section 5).

Reference:
    Arthur & Vassilvitskii (2007), k-means++: the advantages of careful seeding.
    https://dl.acm.org/doi/10.5555/1283383.1283494
"""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, quote
from pushforward.core.numbers import to_float64

__all__ = [
    "START_ROWS",
    "as_centres",
    "choose_at_random",
    "check_start",
    "choose_plus_plus",
    "lower_medians",
    "move_centres",
    "squared_distances",
]

START_ROWS = 16_384
"""Rows in the sample for a start (at least 64 per cluster).

Starts cannot be merged, so they use a seeded sample.
"""
CANCELLED = 1e-8
"""Share of |x|² + |c|² below which a squared distance has lost too many digits."""
LLOYD_STEPS = 30
"""Passes of k-means over a start's sample; it need not converge, since EM continues."""
DISTANCES = 1 << 20
"""Distances computed by differences per block: eight megabytes."""


def check_start(
    start: object, what: str, k: int, names: tuple[str, ...]
) -> str | tuple[tuple[float, ...], ...]:
    """A start as one of `names`, or as k finite centres (k, d).

    Args:
        start: as the user passed it.
        what: name of the centres in errors: means or centres.
        k: required number.
        names: of the methods to choose them.
    """
    choices = ", ".join(map(repr, names))
    if isinstance(start, str):
        if start not in names:
            raise InvalidValue(
                f"start must be one of {choices} or {what} ({k}, d), got {quote(start)}; "
                "pass one of these"
            )
        return start
    centres = to_float64(start, "start", f"one of {choices} or {what} ({k}, d)")
    if centres.ndim != 2 or len(centres) != k or not centres.numel():
        raise InvalidValue(
            f"start as {what} must have shape ({k}, d), got {tuple(centres.shape)}; "
            "pass a row for each"
        )
    if not bool(centres.isfinite().all()):
        raise InvalidValue(
            f"start as {what} must be finite, got missing or infinite values; pass numbers"
        )
    return tuple(map(tuple, centres.tolist()))


def as_centres(start: tuple[tuple[float, ...], ...]) -> Tensor:
    """A start's centres (k, d), float64: faster than `torch.tensor` of nested tuples."""
    numbers = np.fromiter(chain.from_iterable(start), np.float64, len(start) * len(start[0]))
    return torch.from_numpy(numbers.reshape(len(start), -1))


def lower_medians(x: Tensor) -> Tensor:
    """The lower median of each column of finite rows x (n, d), n > 0."""
    columns, middle = np.ascontiguousarray(x.cpu().numpy().T), (len(x) - 1) // 2
    return torch.from_numpy(np.partition(columns, middle, axis=1)[:, middle].copy())


def choose_plus_plus(
    x: Tensor, clusters: int, rng: torch.Generator, weights: Tensor | None = None
) -> Tensor:
    """Centres (clusters, d) among rows x (n, d) by greedy k-means++.

    Rows repeat only if there are too few distinct ones.
    """
    w = _weights(x, weights)
    trials = 2 + int(math.log(clusters))
    rows = [int(_sampled_rows(w, 1, rng))]
    nearest = squared_distances(x, x[rows[0]][None])[:, 0]
    for _ in range(1, clusters):
        candidates = _sampled_rows(nearest.to("cpu", torch.float64) * w, trials, rng).to(x.device)
        distances = torch.minimum(nearest[:, None], squared_distances(x, x[candidates]))
        best = int((w.to(distances) @ distances).argmin())
        rows.append(int(candidates[best]))
        nearest = distances[:, best].contiguous()
    return x[rows].clone()


def choose_at_random(
    x: Tensor, clusters: int, rng: torch.Generator, weights: Tensor | None = None
) -> Tensor:
    """Centres (clusters, d): rows sampled by weight, without replacement as far as possible."""
    w = _weights(x, weights)
    possible = int((w > 0).sum())
    rows = torch.multinomial(w, min(clusters, possible), generator=rng)
    spare = max(clusters - possible, 0)
    extra = torch.multinomial(w, spare or 1, replacement=True, generator=rng)[:spare]
    return x[torch.cat([rows, extra]).to(x.device)].clone()


def move_centres(x: Tensor, w: Tensor, centres: Tensor) -> Tensor:
    """Centres (k, d) after a few passes of k-means over rows x (n, d)."""
    before = None
    for _ in range(LLOYD_STEPS):
        owner = squared_distances(x, centres).argmin(1)
        if before is not None and bool((owner == before).all()):
            break
        before = owner
        count = torch.zeros_like(centres[:, 0]).index_add_(0, owner, w)
        sums = torch.zeros_like(centres).index_add_(0, owner, x * w[:, None])
        means = sums / count.clamp_min(1e-300)[:, None]
        centres = torch.where(count[:, None] > 0, means, centres)
    return centres


def squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """|x_i - c_k|² (n, k) as |x|² - 2 x·c + |c|², taken about the first centre; never negative.

    Rows for which that cancels, as with a far outlier, are recomputed by differences.
    """
    x, centres = x - centres[0], centres - centres[0]
    size, length = x.square().sum(1, keepdim=True), centres.square().sum(1)
    squares = torch.addmm(length, x, centres.T, alpha=-2).add_(size).clamp_min_(0)
    lost = (squares.amin(1) < CANCELLED * (size[:, 0] + length.max())).nonzero()[:, 0]
    exact = "donot_use_mm_for_euclid_dist"
    for rows in lost.split(max(1, DISTANCES // len(centres))):
        squares[rows] = torch.cdist(x[rows], centres, compute_mode=exact).square_()
    return squares


def _weights(x: Tensor, weights: Tensor | None) -> Tensor:
    """Weights (n,) in float64 on the CPU, where random numbers are generated."""
    if weights is None:
        return torch.ones(len(x), dtype=torch.float64)
    return weights.to("cpu", torch.float64)


def _sampled_rows(weights: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Row numbers sampled with replacement by weight; uniformly if all weights are zero."""
    total = weights.cumsum(0)
    if not float(total[-1]) > 0:
        return torch.randint(len(weights), (count,), generator=rng)
    points = torch.rand(count, dtype=torch.float64, generator=rng) * total[-1]
    return torch.searchsorted(total, points, right=True).clamp_max(len(weights) - 1)
