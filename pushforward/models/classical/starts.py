r"""Where to begin: centres chosen among the rows, as pure functions of rows, weights and a random stream.

k-means++ draws the first centre by weight, and each next one with probability proportional to w_i D(x_i)², D being the
distance to the nearest centre so far; then E[inertia] ≤ 8 (ln k + 2) inertia* (Arthur & Vassilvitskii 2007, Theorem 1.1).
The greedy form here draws 2 + ln k candidates each time and keeps the one that lowers the inertia most (their section 5).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue, quoted
from pushforward.core.numbers import floats_given

__all__ = ["START_ROWS", "centres_given", "plus_plus", "refuse_many", "at_random", "squared_distances"]

START_ROWS = 16_384
"""Rows a start is chosen among (at least 64 a cluster): starts cannot be merged, so they look at a seeded sample."""

MOST_SPARE = 4096
"""Centres that may be asked for whatever the number of rows."""

CANCELLED = 1e-8
"""Share of |x|² + |c|² below which a squared distance has lost too many digits."""


def centres_given(start: Any, what: str, k: int, known: tuple[str, ...]) -> str | tuple[tuple[float, ...], ...]:
    """A start as the name of one of those known, or as k finite centres (k, d): means or centres, as `what` says."""
    names = ", ".join(map(repr, known))
    if isinstance(start, str):
        if start not in known:
            raise InvalidValue(f"start must be one of {names} or {what} ({k}, d), got {quoted(start)}; pass one of these")
        return start
    given = floats_given(start, "start", f"one of {names} or {what} ({k}, d)")
    if given.ndim != 2 or len(given) != k or not given.numel():
        raise InvalidValue(f"start as {what} must have shape ({k}, d), got {tuple(given.shape)}; pass a row for each")
    if not bool(given.isfinite().all()):
        raise InvalidValue(f"start as {what} must be finite, got missing or infinite values; pass numbers")
    return tuple(tuple(row) for row in given.tolist())


def refuse_many(model: str, parts: str, asked: int, rows: int) -> None:
    """Raise BadSource where far more centres are asked for than there are rows: nobody needs them, and choosing them takes for ever."""
    if asked > max(rows, MOST_SPARE):
        raise BadSource(
            f"{model} is asked for more {parts} ({quoted(asked)}) than there are rows ({rows:,}); ask for fewer, or bring more data"
        )


def plus_plus(x: Tensor, clusters: int, rng: torch.Generator, weights: Tensor | None = None) -> Tensor:
    """Centres (clusters, d) among rows x (n, d) by greedy k-means++; rows repeat only where too few differ."""
    w = torch.ones(len(x), dtype=torch.float64) if weights is None else weights.to("cpu", torch.float64)
    trials = 2 + int(math.log(clusters))
    chosen = [int(_draw(w, 1, rng))]
    nearest = squared_distances(x, x[chosen[0]][None])[:, 0]
    for _ in range(1, clusters):
        candidates = _draw(nearest.to("cpu", torch.float64) * w, trials, rng).to(x.device)
        distances = torch.minimum(nearest[:, None], squared_distances(x, x[candidates]))
        best = int((w.to(distances) @ distances).argmin())
        chosen.append(int(candidates[best]))
        nearest = distances[:, best].contiguous()
    return x[chosen].clone()


def at_random(x: Tensor, clusters: int, rng: torch.Generator, weights: Tensor | None = None) -> Tensor:
    """Centres (clusters, d): rows drawn by weight, without replacement as far as they go."""
    w = torch.ones(len(x), dtype=torch.float64) if weights is None else weights.to("cpu", torch.float64)
    possible = int((w > 0).sum())
    rows = torch.multinomial(w, min(clusters, possible), generator=rng)
    extra = torch.multinomial(w, max(clusters - possible, 0) or 1, replacement=True, generator=rng)[: max(clusters - possible, 0)]
    return x[torch.cat([rows, extra]).to(x.device)].clone()


def squared_distances(x: Tensor, centres: Tensor) -> Tensor:
    """|x_i - c_k|² (n, k) as |x|² - 2 x·c + |c|², taken about the first centre; never negative.

    Rows for which that cancels, as beside a far outlier, are done again by differences.
    """
    x, centres = x - centres[0], centres - centres[0]
    size, length = x.square().sum(1, keepdim=True), centres.square().sum(1)
    squares = torch.addmm(length, x, centres.T, alpha=-2).add_(size).clamp_min_(0)
    lost = (squares.amin(1) < CANCELLED * (size[:, 0] + length.max())).nonzero()[:, 0]
    for rows in lost.split(max(1, (1 << 20) // len(centres))):
        squares[rows] = torch.cdist(x[rows], centres, compute_mode="donot_use_mm_for_euclid_dist").square_()
    return squares


def _draw(weights: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Row numbers drawn with replacement by weight; uniformly where all weights are zero."""
    total = weights.cumsum(0)
    if not float(total[-1]) > 0:
        return torch.randint(len(weights), (count,), generator=rng)
    points = torch.rand(count, dtype=torch.float64, generator=rng) * total[-1]
    return torch.searchsorted(total, points, right=True).clamp_max(len(weights) - 1)
