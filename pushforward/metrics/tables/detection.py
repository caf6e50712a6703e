r"""Can a classifier tell synthetic rows from real ones?

* `boosted`: the area under the ROC curve (AUC) of gradient-boosted trees, which take missing values
  and categories as they are, on rows that they were not trained on (k folds); ½ if the tables
  cannot be told apart. Copies of a real row are in its fold, so that they are not mistaken for
  skill. The error is DeLong's, of each fold's test rows.
* `logistic`: SDMetrics' LogisticDetection (MIT licence), 1 - mean_f (2 max(½, AUC_f) - 1) over
  three shuffled, stratified folds of a logistic regression on robustly scaled columns; missing
  numbers are the real mean, categories have a column each. 1 if the tables cannot be told apart. A
  linear classifier sees means, not the shape of a column or how columns go together: beside the
  trees it says little.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.records import Record
from pushforward.metrics.tables.folds import auc, folds
from pushforward.metrics.tables.pair import Floats, TablePair, present, subsample

__all__ = ["boosted_detection", "for_trees", "logistic_detection"]

LEAST = 10
"""Rows of each table that a classifier is trained on at least."""
CATEGORIES = 255
"""Categories of a column at most that scikit-learn's trees take as such; others are numbers."""


def boosted_detection(pair: TablePair, *, rows: int = 20_000, k: int = 5) -> list[Record]:
    """AUC of gradient-boosted trees, `detection`, from as many rows of each; ideal ½.

    Args:
        rows: of each table at most, drawn by the seed.
        k: folds.
    """
    one, two = _balance(pair, rows)
    if len(one) < LEAST:
        return []
    x = np.concatenate([one, two])
    labels = np.arange(len(x)) >= len(one)
    inputs, kinds = for_trees(x, pair.categorical)
    found, importance = [], np.zeros(x.shape[1])
    for number, test in enumerate(folds(x, labels, k, pair.stream("folds"))):
        if any(len(np.unique(labels[part])) < 2 for part in (test, ~test)):
            continue
        empty = np.isnan(inputs[~test]).all(0)  # the trees need a value to train on
        usable = np.where(empty, 0.0, inputs)
        model = _trees(kinds, pair.stream("trees", number)).fit(usable[~test], labels[~test])
        score = model.decision_function(usable[test])
        found.append(auc(score[labels[test]], score[~labels[test]]))
        importance += _importance(model, usable[test], labels[test], pair.stream("shuffled"))
    kept = [(value, error) for value, error in found if math.isfinite(value)]
    if not kept:
        return []
    value = sum(v for v, _ in kept) / len(kept)
    error = math.sqrt(sum(e**2 for _, e in kept)) / len(kept)
    told = [(pair.names[i], float(importance[i] / len(kept))) for i in np.argsort(-importance)[:5]]
    facts: dict[str, Any] = {
        "settings": f"gradient-boosted trees, {k} folds, {len(one)} rows of each",
        "tell_tale": [(name, round(drop, 4)) for name, drop in told if drop > 0.01],
        "seed": pair.seed,
    }
    return [pair.record("detection", value, error, ideal=0.5, better="ideal", n=len(one), **facts)]


def logistic_detection(pair: TablePair, *, rows: int = 20_000) -> list[Record]:
    """SDMetrics' LogisticDetection; ideal 1. The error is that of the three folds' mean."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import RobustScaler

    one, two = (
        subsample(x, rows, pair.stream(name))
        for name, x in (("real", pair.real), ("synthetic", pair.synthetic))
    )
    if min(len(one), len(two)) < LEAST:
        return []
    x = np.concatenate([_expand(one, one, pair), _expand(two, one, pair)])
    labels = np.arange(len(x)) < len(one)
    scores, errors = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lbfgs may stop at its limit of steps, as in SDMetrics
        split = StratifiedKFold(3, shuffle=True, random_state=pair.stream("logistic"))
        for train, test in split.split(x, labels):
            model = make_pipeline(RobustScaler(), LogisticRegression())
            score = model.fit(x[train], labels[train]).predict_proba(x[test])[:, 1]
            value, error = auc(score[labels[test]], score[~labels[test]])
            scores.append(2 * max(0.5, value) - 1)
            errors.append(2 * error)
    error = math.sqrt(sum(e**2 for e in errors)) / len(errors)
    facts: dict[str, Any] = {"settings": "SDMetrics' LogisticDetection, 3 folds", "seed": pair.seed}
    value = 1 - sum(scores) / len(scores)
    return [pair.record("logistic_detection", value, error, ideal=1.0, n=len(one), **facts)]


def for_trees(x: Floats, categorical: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.bool_]]:
    """Inputs of scikit-learn's trees and which of them are categories: columns with too many
    categories are numbers, and codes are renumbered from 0.
    """
    inputs, kinds = x.copy(), categorical.copy()
    for i in np.flatnonzero(categorical):
        codes, place = np.unique(present(x[:, i]), return_inverse=True)
        inputs[~np.isnan(x[:, i]), i] = place
        kinds[i] = len(codes) <= CATEGORIES
    return inputs, kinds


def _trees(kinds: NDArray[np.bool_], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        categorical_features=kinds if kinds.any() else None,
        early_stopping=False,
        random_state=seed,
    )


def _importance(model: Any, x: Floats, labels: NDArray[np.bool_], seed: int) -> Floats:
    """How much the AUC falls if a column is shuffled (d,), on at most 2000 rows."""
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(x))[:2000]
    x, labels = x[some], labels[some]
    score = model.decision_function(x)
    whole = auc(score[labels], score[~labels])[0]
    drops = np.zeros(x.shape[1])
    for i in range(x.shape[1]):
        changed = x.copy()
        changed[:, i] = rng.permutation(x[:, i])
        score = model.decision_function(changed)
        drops[i] = whole - auc(score[labels], score[~labels])[0]
    return np.nan_to_num(drops)


def _balance(pair: TablePair, rows: int) -> tuple[Floats, Floats]:
    """As many rows of each table."""
    count = min(rows, len(pair.real), len(pair.synthetic))
    return (
        subsample(pair.real, count, pair.stream("real")),
        subsample(pair.synthetic, count, pair.stream("synthetic")),
    )


def _expand(x: Floats, real: Floats, pair: TablePair) -> Floats:
    """Columns of numbers (n, p), without missing ones; categories have a column each."""
    parts = []
    for i, column in enumerate(pair.columns):
        values = x[:, i]
        if column.kind == "categorical" and column.dtype not in ("bool", "boolean"):
            codes = np.unique(real[:, i])
            same = values[:, None] == codes[None]
            parts.append(same | (np.isnan(values)[:, None] & np.isnan(codes)[None]))
            continue
        there = present(real[:, i])
        fill = float(there.mean()) if len(there) else 0.0
        if column.kind == "categorical" and len(there):
            fill = float(np.bincount(there.astype(np.int64)).argmax())
        parts.append(np.where(np.isnan(values), fill, values)[:, None])
    return np.concatenate([np.asarray(p, dtype=np.float64) for p in parts], axis=1)
