"""Columns of two tables, worked by hand; what fresh rows score, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pushforward.core.columns import Column
from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.metrics.tables.margins import (
    adherence,
    coverage,
    ks_complement,
    margins,
    missing,
    tv_complement,
)
from pushforward.metrics.tables.pair import TablePair

NAN = math.nan
NUMBER, CATEGORY = Column("x"), Column("k", "categorical", categories=("a", "b", "c"))


def numbers(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def pair(real: list[float], synthetic: list[float], column: Column = NUMBER) -> TablePair:
    return TablePair(numbers(*real)[:, None], numbers(*synthetic)[:, None], [column])


def test_ks_by_hand() -> None:
    value, error, _ = ks_complement(numbers(1, 2, 3, 4), numbers(3, 4, 5, 6))
    assert value == 0.5
    assert error == pytest.approx(math.sqrt(0.5 * 0.5 / 4))  # F(2) = ½, G(2) = 0


def test_tv_by_hand() -> None:
    value, error, _ = tv_complement(numbers(0, 0, 1, 1), numbers(0, 0, 0, 2))
    assert value == 0.5  # ½ (¼ + ½ + ¼)
    assert error == pytest.approx(0.25)  # signs -, +, -: variance 1 in one table, 0 in the other


@pytest.mark.parametrize("categories", [False, True])
def test_fresh_rows_score_what_is_expected_of_them(categories: bool) -> None:
    rng = np.random.default_rng(0)
    found, expected = [], []
    for _ in range(300):
        x, y = rng.random(80), rng.random(120)
        if categories:
            x, y = np.floor(4 * x**2), np.floor(4 * y**2)
        value, _, chance = (tv_complement if categories else ks_complement)(x, y)
        found.append(value)
        expected.append(chance)
    # the asymptotic mean of Kolmogorov's distance is a little too high for few rows
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=0.006)


@pytest.mark.parametrize("categories", [False, True])
def test_errors_are_the_spread_over_samples(categories: bool) -> None:
    rng = np.random.default_rng(1)
    found, errors = [], []
    for _ in range(400):
        x, y = rng.normal(size=150), 1 + rng.normal(size=150)
        if categories:
            x, y = np.floor(x), np.floor(y / 2)
        value, error, _ = (tv_complement if categories else ks_complement)(x, y)
        found.append(value)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.15)


def test_means_skip_columns_without_values_and_name_the_worst() -> None:
    x = np.array([[1, 0, NAN], [2, 1, NAN], [3, 1, NAN]])
    y = np.array([[1, 0, NAN], [2, 0, 1], [9, 0, 2]])
    columns = [Column("a"), Column("b", "categorical", categories=("p", "q")), Column("c")]
    mean, a, b, c = margins(TablePair(x, y, columns))
    assert [r.quantity for r in (mean, a, b, c)] == ["margins", "margin a", "margin b", "margin c"]
    assert (a.value, b.value) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert math.isnan(c.value)
    assert mean.value == pytest.approx(0.5)
    assert mean.error == pytest.approx((a.error + b.error) / 2)
    assert (mean.details["worst"], mean.details["of"]) == ("margin b", 2)


def test_coverage_by_hand() -> None:
    _, record = coverage(pair([0, 10, 5], [2, 9, NAN]))
    assert record.value == pytest.approx(0.7)
    assert record.bound == "exact"
    _, record = coverage(pair([0, 1, 2, 2], [2, 0, 0], CATEGORY))
    assert record.value == pytest.approx(2 / 3)
    _, record = coverage(pair([0, 10], [20, 30]))
    assert record.value == 0
    assert math.isnan(coverage(pair([3, 3], [3, 4]))[1].value)


def test_adherence_by_hand() -> None:
    _, record = adherence(pair([0, 10], [-1, 2, 10, 11, NAN]))
    assert record.value == 0.5
    assert record.error == pytest.approx(0.25)
    _, record = adherence(pair([0, 1], [0, 2, 2, 1], CATEGORY))
    assert record.value == 0.5


def test_missing_by_hand() -> None:
    mean, record = missing(pair([1, NAN, NAN, 4], [1, 2, 3, NAN]))
    assert mean.value == record.value == 0.75
    assert (record.details["share_real"], record.details["share_synthetic"]) == (0.5, 0.25)
    assert record.error == pytest.approx(math.sqrt(0.25 / 4 + 0.1875 / 4))
    assert missing(pair([1, 2], [1, 2])) == []


def test_what_is_no_pair_of_tables() -> None:
    with pytest.raises(ShapeMismatch, match="synthetic: expected rows of 1 columns"):
        TablePair(np.zeros((2, 1)), np.zeros((2, 2)), [NUMBER])
    with pytest.raises(InvalidValue, match="real: the table has no rows"):
        TablePair(np.zeros((0, 1)), np.zeros((2, 1)), [NUMBER])
    with pytest.raises(InvalidValue, match="infinite"):
        pair([1, math.inf], [1])


def test_subsamples_are_stated_and_keep_their_order() -> None:
    whole = pair([*map(float, range(50))], [*map(float, range(9))])
    some = whole.take(10)
    assert (len(some.real), len(some.synthetic)) == (10, 9)
    assert (np.diff(some.real[:, 0]) > 0).all()
    assert margins(some)[0].details["real"] == 10
    assert whole.take(50) is whole
