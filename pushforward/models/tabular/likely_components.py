"""Densities of rows in several components, without the work for those that cannot matter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.densities.margins import Scores
from pushforward.models.parts.cells import log_masses
from pushforward.models.tabular.score_sums import Precisions, log_densities

__all__ = ["NEGLIGIBLE", "add_log_masses"]

NEGLIGIBLE = 40.0
"""Nats below another component from which a component does not matter: 4e-18."""
BLOCK = 1 << 20
"""Numbers in a block of rows: eight megabytes of float64."""


def add_log_masses(
    logits: Tensor, scores: Scores, means: Tensor, covariances: Sequence[Tensor]
) -> Tensor:
    """Logits (n, k) plus the log-masses of rows in each component.

    Cells are many times the work of points. The density of a row's points alone, with its cells
    and gaps integrated out, bounds a component from above; where that is e^-40 times another
    component's density or less, the bound is returned in its place.

    Args:
        logits: (n, k).
        scores: of rows (n, d).
        means: (k, d).
        covariances: of each component, (d, d) or variances (d,).
    """
    cells = (~torch.isnan(scores.low)).sum(1)
    components = list(zip(means, covariances))
    bounded = len(components) > 1 and covariances[0].ndim == 2 and bool((cells > 1).any())
    prepared = _prepared(means, covariances) if bounded else None
    if prepared is None:
        return logits + torch.stack([log_masses(scores, *c) for c in components], 1)
    out = torch.empty_like(logits)
    size = max(1, BLOCK // scores.z.shape[1] ** 2)
    for rows in torch.arange(len(out), device=out.device).split(size):
        out[rows] = _likely(logits[rows], scores.at(rows), components, prepared)
    return out


def _prepared(means: Tensor, covariances: Sequence[Tensor]) -> Precisions | None:
    """None for covariances that are singular up to rounding."""
    stacked = torch.stack(list(covariances))
    failed = torch.linalg.cholesky_ex(stacked).info
    return None if bool(failed.any()) else Precisions.of(means, stacked)


def _likely(
    logits: Tensor,
    scores: Scores,
    components: Sequence[tuple[Tensor, Tensor]],
    prepared: Precisions,
) -> Tensor:
    bound = logits + log_densities(scores.z, prepared)
    out, best = bound.clone(), bound.argmax(1)

    def settle(k: int, rows: Tensor) -> None:
        if len(rows):
            out[rows, k] = logits[rows, k] + log_masses(scores.at(rows), *components[k])

    for k in range(len(components)):
        settle(k, (best == k).nonzero()[:, 0])
    least = out.gather(1, best[:, None])[:, 0] - NEGLIGIBLE
    for k in range(len(components)):
        settle(k, ((best != k) & (bound[:, k] > least)).nonzero()[:, 0])
    return out
