r"""Train on synthetic, test on real (TSTR), beside train on real, test on real (TRTR).

The same gradient-boosted trees predict one column from the others, trained once on each table and
tested on the same real rows, which neither was trained on. Of categories the measures are macro F1
and AUC (one against the rest, averaged, if there are more than two), of numbers R². The loss TRTR -
TSTR is what using the synthetic table in place of the real one costs; its error is that of paired
bootstrap resamples of the test rows.

References: Esteban, Hyland & Rätsch (2017), https://arxiv.org/abs/1706.02633; the protocol of
Kotelnikov et al. (2023), TabDDPM, https://arxiv.org/abs/2209.15421, with other trees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pushforward.core.argument_names import argument
from pushforward.core.columns import Column
from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.records import Record
from pushforward.metrics.tables.detection import for_trees
from pushforward.metrics.tables.folds import auc
from pushforward.metrics.tables.pair import Floats, TablePair, present, subsample

__all__ = ["TARGET_RULE", "choose_target", "usefulness"]

TARGET_RULE = (
    "the last column of two to ten categories, each in at least ten real rows; else the last column"
    " of numbers"
)
CLASSES, ROWS_OF_CLASS = 10, 10  # of the rule
LEAST = 20
"""Rows with a target at least, to train on and to test on."""
RESAMPLES = 200
"""Bootstrap resamples: an error is then known to 5 %."""
Score = Callable[[Floats, Floats], float]


def choose_target(real: Floats, columns: Sequence[Column], name: str | None = None) -> int | None:
    """The position of the column to predict: the named one, or by `TARGET_RULE`; None without any.

    Raises:
        InvalidValue: If there is no column of that name, or it is constant.
    """
    names = [c.name or f"x{i}" for i, c in enumerate(columns)]
    if name is not None:
        if name not in names:
            raise InvalidValue(
                f"{argument('target', name)}: no such column; {suggest(name, names)}"
            )
        there = present(real[:, names.index(name)])
        if not len(there) or np.ptp(there) == 0:
            raise InvalidValue(
                f"{argument('target', name)}: the column is constant, so there is nothing to"
                " predict; choose another"
            )
        return names.index(name)
    if len(columns) < 2:
        return None
    for i in reversed(range(len(columns))):
        if columns[i].kind == "categorical":
            counts = np.unique(present(real[:, i]), return_counts=True)[1]
            if 2 <= len(counts) <= CLASSES and counts.min() >= ROWS_OF_CLASS:
                return i
    return next(
        (
            i
            for i in reversed(range(len(columns)))
            if columns[i].kind != "categorical" and len(np.unique(present(real[:, i]))) > 2
        ),
        None,
    )


def usefulness(
    pair: TablePair, held_out: Floats | None, target: int, *, rows: int = 20_000
) -> list[Record]:
    """`TSTR …`, `TRTR …` and their difference, `loss …`, for each measure; none of too few rows.

    Args:
        held_out: real rows that the synthetic table was not made from, to test on; if None, a third
            of the real rows, which the synthetic table was made from, so that TSTR is too good.
        target: the position of the column to predict.
        rows: of each table at most, drawn by the seed.
    """
    real, test, seen = pair.real, held_out, False
    if test is None:
        order = np.random.default_rng(pair.stream("test")).permutation(len(real))
        test, real, seen = real[order[: len(real) // 3]], real[order[len(real) // 3 :]], True
    if real.shape[1] < 2:
        return []
    sets = [
        subsample(x[~np.isnan(x[:, target])], rows, pair.stream("target", i))
        for i, x in enumerate((real, pair.synthetic, test))
    ]
    if min(len(x) for x in sets) < LEAST:
        return []
    categorical = bool(pair.categorical[target])
    classes = np.unique(np.concatenate([x[:, target] for x in sets])) if categorical else None
    truth = sets[2][:, target]
    on_real, on_synthetic = (
        _predict(x, sets[2], target, pair.categorical, classes, pair.stream("trees"))
        for x in sets[:2]
    )
    scores = _of_classes(classes) if classes is not None else {"R²": _r2}
    settings = (
        f"gradient-boosted trees predict {pair.names[target]} from the other columns;"
        f" {len(sets[0])} real and {len(sets[1])} synthetic rows to train on"
    )
    facts = {
        "target": pair.names[target],
        "settings": settings,
        "test_rows": "a third of the real rows, which the synthetic table was made from"
        if seen
        else "held-out rows",
    }
    records = []
    for name, score in scores.items():
        records += _records(pair, name, score, truth, on_real, on_synthetic, facts)
    return records


def _records(
    pair: TablePair, name: str, score: Score, truth: Floats, one: Floats, two: Floats,
    facts: dict[str, Any],
) -> list[Record]:  # fmt: skip
    real, synthetic = score(truth, one), score(truth, two)
    draws = np.random.default_rng(pair.stream("bootstrap")).integers(
        0, len(truth), (RESAMPLES, len(truth))
    )
    found = np.array([(score(truth[i], one[i]), score(truth[i], two[i])) for i in draws])
    found = found[np.isfinite(found).all(1)]
    errors = found.std(0, ddof=1) if len(found) > 1 else np.full(2, math.nan)
    gap = float((found[:, 0] - found[:, 1]).std(ddof=1)) if len(found) > 1 else math.nan
    n = len(truth)
    return [
        pair.record(f"TSTR {name}", synthetic, float(errors[1]), n=n, ideal=real, **facts),
        pair.record(f"TRTR {name}", real, float(errors[0]), n=n, **facts),
        pair.record(f"loss {name}", real - synthetic, gap, n=n, ideal=0.0, better="lower", **facts),
    ]


def _predict(
    train: Floats, test: Floats, target: int, categorical: NDArray[np.bool_],
    classes: Floats | None, seed: int,
) -> Floats:  # fmt: skip
    """Predicted numbers (n,), or probabilities of all classes (n, K)."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    others = np.arange(train.shape[1]) != target
    inputs, kinds = for_trees(np.concatenate([train, test])[:, others], categorical[others])
    inputs[:, np.isnan(inputs[: len(train)]).all(0)] = 0  # the trees need a value to train on
    x, at = inputs[: len(train)], inputs[len(train) :]
    y = train[:, target]
    settings = {
        "categorical_features": kinds if kinds.any() else None,
        "early_stopping": False,
        "random_state": seed,
    }
    if classes is None:
        return np.asarray(HistGradientBoostingRegressor(**settings).fit(x, y).predict(at))
    result = np.zeros((len(test), len(classes)))
    there = np.unique(y)
    if len(there) == 1:
        result[:, np.searchsorted(classes, there[0])] = 1
        return result
    model = HistGradientBoostingClassifier(**settings).fit(x, y)
    result[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(at)
    return result


def _of_classes(classes: Floats) -> dict[str, Score]:
    return {
        "F1": lambda truth, p: _macro_f1(truth, classes[p.argmax(1)], classes),
        "AUC": lambda truth, p: _auc_of_classes(truth, p, classes),
    }


def _macro_f1(truth: Floats, guess: Floats, classes: Floats) -> float:
    """The mean of 2 TP / (2 TP + FP + FN) over the classes that are there or guessed."""
    scores = []
    for k in classes:
        hits = float(((truth == k) & (guess == k)).sum())
        total = float((truth == k).sum() + (guess == k).sum())
        if total:
            scores.append(2 * hits / total)
    return float(np.mean(scores))


def _auc_of_classes(truth: Floats, p: Floats, classes: Floats) -> float:
    """The AUC of each class against the rest, averaged over those that are there."""
    found = []
    for i, k in enumerate(classes):
        value = auc(p[truth == k, i], p[truth != k, i])[0]
        if math.isfinite(value):
            found.append(value)
    return float(np.mean(found)) if found else math.nan


def _r2(truth: Floats, guess: Floats) -> float:
    total = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((truth - guess) ** 2).sum()) / total if total else math.nan
