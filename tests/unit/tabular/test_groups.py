"""Groups: differences by their definitions, what is worth saying, typical rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pushforward.core.space import Column, Space
from pushforward.tabular.groups import differences, typical_row

SPACE = Space(
    "points", (3,), (Column("a"), Column("b"), Column("c", "categorical", categories=("x", "y")))
)


def rows(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    stream = np.random.default_rng(seed)
    labels = (np.arange(n) < n // 4).astype(int)
    x = np.column_stack([stream.normal(size=(n, 2)), stream.random(n) < 0.3])
    x[labels == 1, 0] += 2
    x[labels == 1, 2] = stream.random(n // 4) < 0.8
    return x, labels


def test_effects_are_cohens() -> None:
    x, labels = rows()
    x[5:9, 0] = np.nan
    one, rest = (x[labels == k, 0] for k in (1, 0))
    one = one[~np.isnan(one)]
    pooled = ((len(one) - 1) * one.var(ddof=1) + (len(rest) - 1) * rest.var(ddof=1)) / (
        len(one) + len(rest) - 2
    )
    found = {(d.group, d.column, d.category): d for d in differences(x, labels, SPACE)}
    d = found[1, 0, -1]
    assert d.effect == pytest.approx((one.mean() - rest.mean()) / math.sqrt(pooled))
    assert d.worth_saying
    assert not found[1, 1, -1].worth_saying
    p, q = x[labels == 1, 2].mean(), x[labels == 0, 2].mean()
    assert found[1, 2, 1].effect == pytest.approx(2 * np.arcsin(p**0.5) - 2 * np.arcsin(q**0.5))
    assert found[1, 2, 1].worth_saying
    assert found[0, 2, 0].effect > 0  # and more often x in the rest
    gap = found[1, 0, -2]  # a share of missing values
    assert (gap.inside, gap.outside) == (4 / 100, 0)


def test_differences_by_chance_are_not_worth_saying() -> None:
    stream = np.random.default_rng(1)
    said = 0
    for _ in range(200):
        x = np.column_stack([stream.normal(size=(40, 2)), stream.random(40) < 0.5])
        labels = (np.arange(40) < 4).astype(int)
        said += sum(d.worth_saying for d in differences(x, labels, SPACE))
    assert said < 0.01 * 200 * 8


def test_one_group_differs_from_nothing() -> None:
    x, _ = rows()
    assert not differences(x, np.zeros(len(x), dtype=int), SPACE)


def test_the_typical_row_is_the_densest_complete_one_or_the_nearest_to_the_middle() -> None:
    x = np.array([[5.0, 0, 0], [1, 0, 0], [0, np.nan, 1], [-1, 0.5, 0], [9, 9, 1]])
    some = np.array([1, 2, 3])
    density = np.array([9.0, -3, 5, -2, 9])
    assert typical_row(x, some, SPACE, density) == 3
    near = np.array([[0.0, 0, 0], [0.1, 0, 0], [3, 3, 1], [-3, -3, 0]])
    assert typical_row(near, np.arange(4), SPACE, None) == 0
