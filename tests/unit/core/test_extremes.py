"""Extremes of columns are those of a plain reduction, whatever the shape of the block."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.core.extremes import column_extremes


@pytest.mark.parametrize("d", [1, 3, 10, 512, 513, 2000])
@pytest.mark.parametrize("n", [1, 2, 7, 1025])
def test_extremes(n: int, d: int) -> None:
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=(n, d)), rng.integers(-9, 9, (n, d)), rng.normal(size=(d, n)).T):
        low, high = column_extremes(x)
        assert np.array_equal(low, x.min(0))
        assert np.array_equal(high, x.max(0))


def test_the_last_row_counts() -> None:
    x = np.zeros((1025, 3))
    x[-1] = 1, -1, np.nan
    low, high = column_extremes(x)
    assert low[:2].tolist() == [0, -1]
    assert high[:2].tolist() == [1, 0]
    assert np.isnan(low[2])
    assert np.isnan(high[2])
