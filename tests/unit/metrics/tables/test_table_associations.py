"""Pairs of columns: by hand, beside SciPy, and errors beside the spread over samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from pushforward.core.columns import Column
from pushforward.metrics.tables.associations import (
    association_similarity,
    associations,
    contingency_similarity,
    correlation,
    correlation_ratio,
    correlation_similarity,
    cramers_v,
)
from pushforward.metrics.tables.pair import TablePair

NAN = math.nan


def test_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60).round(1)
    y = x**2 + rng.normal(size=60)
    for method, theirs in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        assert correlation(x, y, method)[0] == pytest.approx(theirs(x, y)[0])
    gaps = np.where(np.arange(60) % 7 == 0, NAN, y)
    kept = ~np.isnan(gaps)
    assert correlation(x, gaps)[0] == pytest.approx(stats.pearsonr(x[kept], y[kept])[0])
    assert math.isnan(correlation(x, np.ones(60))[0])


def test_cramers_v_by_hand() -> None:
    x = np.array([0, 0, 0, 0, 1, 1, 1, 1.0])
    assert cramers_v(x, x)[0] == pytest.approx(1)
    assert cramers_v(x, np.array([0, 0, 1, 1, 0, 0, 1, 1.0]))[0] == pytest.approx(0, abs=1e-7)
    assert cramers_v(x, np.array([0, 0, 0, 1, 1, 1, 1, 0.0]))[0] == pytest.approx(0.5)
    assert math.isnan(cramers_v(x, np.zeros(8))[0])


def test_cramers_v_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, 200)
    y = (x + rng.integers(0, 3, 200)) % 4
    table = np.zeros((3, 4), dtype=int)
    np.add.at(table, (x, y), 1)
    expected = stats.contingency.association(table, method="cramer")
    assert cramers_v(x.astype(float), y.astype(float))[0] == pytest.approx(expected)


def test_the_correlation_ratio_by_hand() -> None:
    codes, y = np.array([0, 0, 1, 1.0]), np.array([0, 2, 4, 6.0])
    assert correlation_ratio(codes, y)[0] == pytest.approx(math.sqrt(16 / 20))
    assert math.isnan(correlation_ratio(np.zeros(4), y)[0])


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    z = rng.normal(size=n)
    a, b = z + rng.exponential(size=n), z + rng.normal(size=n)
    k = np.digitize(z + rng.normal(size=n), [-1, 0.5]).astype(float)
    return a, b, k, (b > 0.4).astype(float)


@pytest.mark.parametrize(
    "measure",
    [
        lambda a, b, k, c: correlation(a, b),
        lambda a, b, k, c: correlation(a, b, "spearman"),
        lambda a, b, k, c: correlation_ratio(k, b),
        lambda a, b, k, c: cramers_v(k, c),
    ],
    ids=["pearson", "spearman", "ratio", "v"],
)
def test_errors_are_the_spread_over_samples(measure: Callable[..., tuple[float, float]]) -> None:
    rng = np.random.default_rng(3)
    found = np.array([measure(*draw(rng, 300)) for _ in range(400)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.12)


def test_contingency_by_hand() -> None:
    # ten bins over [0, 10]: 0 and .9 share one, 30 falls into the last, a gap is a bin of its own
    x = np.array([[0, 0], [0.9, 0], [10, 1], [NAN, 1]])
    y = np.array([[0.5, 0], [30, 1], [30, 0], [NAN, NAN]])
    columns = [Column("n"), Column("k", "categorical", categories=("a", "b"))]
    mean, record = contingency_similarity(TablePair(x, y, columns))
    # real: ½ (0, a), ¼ (9, b), ¼ (gap, b); synthetic: ¼ (0, a), ¼ (9, b), ¼ (9, a), ¼ (gap, gap)
    assert record.value == mean.value == pytest.approx(1 - (0.25 + 0.25 + 0.25 + 0.25) / 2)
    assert record.quantity == "contingency n × k"


def test_similarities_by_hand() -> None:
    x = np.array([[0, 0, 0], [1, 1, 0], [2, 2, 1], [3, 3, 1.0]])
    y = np.array([[0, 3, 0], [1, 2, 1], [2, 1, 0], [3, 0, 1.0]])
    columns = [Column("a"), Column("b"), Column("c", "categorical", categories=("p", "q"))]
    pair = TablePair(x, y, columns)
    mean, record = correlation_similarity(pair)
    assert (mean.value, record.value) == (pytest.approx(0), pytest.approx(0))  # 1 and -1
    assert (record.details["of_real"], record.details["of_synthetic"]) == (
        pytest.approx(1), pytest.approx(-1),
    )  # fmt: skip
    found = {r.quantity: r.value for r in association_similarity(pair)}
    # η of c: means ½ and 5/2 in variance 5/4, and means 1 and 2
    real, synthetic = math.sqrt(1 / 1.25), math.sqrt(0.25 / 1.25)
    assert found["association a × c"] == pytest.approx(1 - abs(real - synthetic))
    assert found["associations"] == pytest.approx((0 + 2 * (1 - real + synthetic)) / 3)


def test_the_matrix_is_symmetric_and_undefined_for_constants() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([*draw(rng, 50), np.full(50, 2.0)])
    categorical = np.array([False, False, True, True, False])
    values, errors = associations(x, categorical)
    assert np.array_equal(values, values.T, equal_nan=True)
    assert np.isnan(values[4, :4]).all()
    assert values[4, 4] == 1
    assert (errors[:4, :4] >= 0).all()


def test_a_single_column_has_no_pairs() -> None:
    pair = TablePair(np.zeros((5, 1)), np.zeros((5, 1)), [Column("a")])
    assert correlation_similarity(pair) == association_similarity(pair) == []
    assert contingency_similarity(pair) == []
