"""How well gradient-boosted trees tell a model's samples from real rows of a table."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pushforward.core.random import derive, generator, permutation
from pushforward.core.records import Record
from pushforward.core.space import Space
from pushforward.metrics.tables.detection import boosted_detection
from pushforward.metrics.tables.pair import TablePair

__all__ = ["detect", "with_gaps_of"]

FOLDS = 3
"""Folds in which each row is judged by trees that have not seen it: as many as a choice needs."""
LEAST = 30
"""Rows of each side below which trees learn nothing."""


def detect(real: Tensor, generated: Tensor, space: Space, *, seed: int, data: str) -> Record | None:
    """Area under the ROC curve of samples (n, d) against real rows (n, d), ½ if alike.

    None of too few rows.
    """
    if min(len(real), len(generated)) < LEAST:
        return None
    one, two = (x.to("cpu", torch.float64).numpy() for x in (real, generated))
    found = boosted_detection(TablePair(one, two, space.columns, data=data, seed=seed), k=FOLDS)
    if not found:
        return None
    # trees may do worse than chance by chance, which is no virtue of the samples
    return replace(found[0], value=max(0.5, found[0].value))


def with_gaps_of(samples: Tensor, rows: Tensor, seed: int) -> Tensor:
    """Samples (n, d) with the missing values of random rows (m, d)."""
    if not bool(rows.isnan().any()):
        return samples
    stream = generator(derive(seed, "gaps"))
    order = permutation(len(rows), rng=stream).repeat(-(-len(samples) // len(rows)))
    gaps = rows[order[: len(samples)]].isnan()
    return torch.where(gaps.to(samples.device), torch.nan, samples)
