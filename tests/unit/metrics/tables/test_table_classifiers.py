"""Folds, areas, detection and usefulness."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pushforward.core.columns import Column
from pushforward.core.errors import InvalidValue
from pushforward.metrics.tables.detection import boosted_detection, for_trees, logistic_detection
from pushforward.metrics.tables.folds import auc, folds, row_keys
from pushforward.metrics.tables.pair import TablePair
from pushforward.metrics.tables.usefulness import (
    _macro_f1,
    _r2,
    choose_target,
    usefulness,
)

COLUMNS = [
    Column("a"),
    Column("k", "categorical", categories=("p", "q", "r")),
    Column("b"),
    Column("c", "categorical", categories=("no", "yes")),
]


def draw(seed: int, n: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    b = z + rng.normal(size=n)
    b[rng.random(n) < 0.1] = math.nan
    c = (z + 0.5 * rng.normal(size=n) > 0).astype(float)
    return np.column_stack([z, rng.integers(0, 3, n), b, c])


def test_auc_by_hand() -> None:
    assert auc(np.array([1, 2.0]), np.array([0, 1.0]))[0] == 3.5 / 4
    assert auc(np.array([1.0, 2]), np.array([3.0, 4])) == (0.0, 0.0)
    assert math.isnan(auc(np.array([]), np.array([1.0]))[0])


def test_the_error_of_an_auc_is_its_spread() -> None:
    rng = np.random.default_rng(0)
    found = np.array([auc(rng.normal(0.7, 1, 80), rng.normal(0, 1, 60)) for _ in range(500)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.1)


def test_keys_tell_rows_apart() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(300.0)] * 2), -1).reshape(-1, 2)
    assert len(np.unique(row_keys(grid))) == 90_000
    one = np.array([[0.0, math.nan], [-0.0, -math.nan], [math.nan, 0.0]])
    first, second, third = row_keys(one)
    assert first == second != third


def test_equal_rows_are_in_one_fold_and_labels_are_spread() -> None:
    x = np.concatenate([draw(0, 60), draw(0, 60)])
    labels = np.arange(120) >= 60
    masks = list(folds(x, labels, 4, 0))
    assert (sum(m.astype(int) for m in masks) == 1).all()
    for mask in masks:
        assert (mask[:60] == mask[60:]).all()
    repeated = np.zeros((120, 4))  # a row that the real table repeats is no copy of one
    assert [int(m.sum()) for m in folds(repeated, labels, 4, 0)] == [30] * 4
    fresh = np.concatenate([draw(0, 60), draw(1, 60)])
    assert [int((m & labels).sum()) for m in folds(fresh, labels, 4, 0)] == [15] * 4


def test_copies_are_not_told_apart_by_either_classifier() -> None:
    pair = TablePair(draw(0), draw(0), COLUMNS)
    assert boosted_detection(pair)[0].value == 0.5


def test_fresh_rows_are_not_told_apart() -> None:
    scores = [
        boosted_detection(TablePair(draw(2 * s), draw(2 * s + 1), COLUMNS, seed=s))[0]
        for s in range(4)
    ]
    z = [(r.value - 0.5) / r.error for r in scores]
    assert abs(np.mean(z)) < 3 / math.sqrt(4)
    logistic = logistic_detection(TablePair(draw(0), draw(1), COLUMNS))[0]
    assert logistic.value > 0.9


def test_what_a_shifted_column_gives_away_is_named() -> None:
    other = draw(1)
    other[:, 2] += 5
    pair = TablePair(draw(0), other, COLUMNS)
    record = boosted_detection(pair)[0]
    assert record.value > 0.95
    assert record.details["tell_tale"][0][0] == "b"
    assert logistic_detection(pair)[0].value < 0.1


def test_a_relation_is_seen_by_trees_and_not_by_a_linear_classifier() -> None:
    other = draw(1)
    other[:, 3] = np.random.default_rng(0).permutation(other[:, 3])
    pair = TablePair(draw(0), other, COLUMNS)
    assert boosted_detection(pair)[0].value > 0.65
    assert logistic_detection(pair)[0].value > 0.85


def test_shares_of_a_single_category_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    column = Column("k", "categorical", categories=("p", "q", "r"))
    x, y = (rng.choice(3, (300, 1), p=p).astype(float) for p in ((0.8, 0.1, 0.1), (0.1, 0.1, 0.8)))
    assert boosted_detection(TablePair(x, y, [column]))[0].value > 0.75
    assert usefulness(TablePair(x, y, [column]), x, 0) == []


def test_too_few_rows_are_not_classified() -> None:
    pair = TablePair(draw(0, 9), draw(1, 400), COLUMNS)
    assert boosted_detection(pair) == logistic_detection(pair) == []


def test_codes_for_trees_are_numbered_from_0_and_many_are_numbers() -> None:
    x = np.array([[7, 0.5], [3, 1], [math.nan, 2], [7, 3]])
    inputs, kinds = for_trees(x, np.array([True, False]))
    assert inputs[:, 0].tolist()[:2] == [1, 0]
    assert math.isnan(inputs[2, 0])
    assert kinds.tolist() == [True, False]
    many = np.arange(300.0)[:, None]
    assert not for_trees(many, np.array([True]))[1][0]


# --------------------------------------------------------------------------------------- usefulness


def test_f1_and_r2_by_hand() -> None:
    truth, guess = np.array([0, 0, 1, 1.0]), np.array([0, 1, 1, 1.0])
    # class 0: 2·1/(2+1) = 2/3; class 1: 2·2/(2+3) = 4/5
    assert _macro_f1(truth, guess, np.array([0.0, 1, 2])) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert _r2(np.array([0, 1, 2.0]), np.array([0, 1, 3.0])) == pytest.approx(0.5)


def test_the_target_is_chosen_by_the_rule() -> None:
    x = draw(0)
    assert choose_target(x, COLUMNS) == 3
    rare = x.copy()
    rare[:, 3] = 0
    rare[:9, 3] = 1
    assert choose_target(rare, COLUMNS) == 1
    assert choose_target(x[:, [0, 2]], [COLUMNS[0], COLUMNS[2]]) == 1
    assert choose_target(x, COLUMNS, "a") == 0
    assert choose_target(x[:, :1], COLUMNS[:1]) is None
    with pytest.raises(InvalidValue, match="no such column; did you mean"):
        choose_target(x, COLUMNS, "cc")
    with pytest.raises(InvalidValue, match="constant"):
        choose_target(np.zeros((5, 4)), COLUMNS, "c")


def test_training_on_fresh_rows_loses_nothing_and_on_noise_everything() -> None:
    fresh = {r.quantity: r for r in usefulness(TablePair(draw(0), draw(1), COLUMNS), draw(2), 3)}
    assert set(fresh) == {f"{a} {b}" for a in ("TSTR", "TRTR", "loss") for b in ("F1", "AUC")}
    assert abs(fresh["loss AUC"].value) < 4 * fresh["loss AUC"].error
    assert fresh["TRTR AUC"].value > 0.85
    noise = draw(1)
    noise[:, 3] = np.random.default_rng(0).integers(0, 2, len(noise))
    found = {r.quantity: r for r in usefulness(TablePair(draw(0), noise, COLUMNS), draw(2), 3)}
    assert abs(found["TSTR AUC"].value - 0.5) < 0.15
    loss = found["TRTR AUC"].value - found["TSTR AUC"].value
    assert found["loss AUC"].value == pytest.approx(loss)
    assert found["TSTR AUC"].details["ideal"] == found["TRTR AUC"].value


def test_numbers_are_predicted_too_and_a_single_class_can_be_learnt_from() -> None:
    found = {r.quantity: r for r in usefulness(TablePair(draw(0), draw(1), COLUMNS), draw(2), 2)}
    assert set(found) == {"TSTR R²", "TRTR R²", "loss R²"}
    assert 0.2 < found["TRTR R²"].value < 0.6
    one = draw(1)
    one[:, 3] = 1
    found = {r.quantity: r for r in usefulness(TablePair(draw(0), one, COLUMNS), draw(2), 3)}
    assert found["TSTR AUC"].value == 0.5


def test_without_held_out_rows_a_third_is_tested_on_and_few_rows_are_left_alone() -> None:
    records = usefulness(TablePair(draw(0, 300), draw(1), COLUMNS), None, 3)
    assert records[0].n == 100
    assert "made from" in records[0].details["test_rows"]
    assert usefulness(TablePair(draw(0, 30), draw(1), COLUMNS), None, 3) == []
