"""How well gradient-boosted trees tell a model's samples from real rows of a table."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pushforward.core.random import derive, generator, permutation
from pushforward.core.records import Record
from pushforward.core.space import Space

__all__ = ["detect", "with_gaps_of"]

FOLDS = 3
"""Folds in which each row is judged by trees that have not seen it."""
LEAST = 30
"""Rows of each side below which trees learn nothing."""
MOST_CATEGORIES = 255
"""Categories that scikit-learn's trees take as such."""


def detect(real: Tensor, generated: Tensor, space: Space, *, seed: int, data: str) -> Record | None:
    """Area under the ROC curve of samples (n, d) against real rows (n, d), ½ if alike.

    The error is that of the mean over folds. None of too few rows.
    """
    count = min(len(real), len(generated))
    if count < LEAST:
        return None
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    x = torch.cat([real[:count], generated[:count]]).to("cpu", torch.float64).numpy()
    labels = np.arange(2 * count) >= count
    categories = [
        j
        for j, column in enumerate(space.columns)
        if column.kind == "categorical" and len(column.categories) <= MOST_CATEGORIES
    ]
    scores = []
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, labels):
        trees = HistGradientBoostingClassifier(
            categorical_features=categories or None, early_stopping=False, random_state=seed
        )
        trees.fit(x[train], labels[train])
        scores.append(roc_auc_score(labels[test], trees.decision_function(x[test])))
    # trees may do worse than chance by chance, which is no virtue of the samples
    value = max(0.5, float(np.mean(scores)))
    error = max(float(np.std(scores, ddof=1)) / math.sqrt(FOLDS), _least_error(count))
    details = {"features": "raw", "folds": FOLDS, "ideal": 0.5, "seed": seed}
    return Record("detection", value, error, bound="estimate", data=data, n=count, details=details)


def _least_error(count: int) -> float:
    """The standard error of an AUC of ½ of `count` rows a side, if ranks were independent."""
    return math.sqrt((2 * count + 1) / (12 * count * count))


def with_gaps_of(samples: Tensor, rows: Tensor, seed: int) -> Tensor:
    """Samples (n, d) with the missing values of random rows (m, d)."""
    if not bool(rows.isnan().any()):
        return samples
    stream = generator(derive(seed, "gaps"))
    order = permutation(len(rows), rng=stream).repeat(-(-len(samples) // len(rows)))
    gaps = rows[order[: len(samples)]].isnan()
    return torch.where(gaps.to(samples.device), torch.nan, samples)
