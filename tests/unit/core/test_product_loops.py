"""Products in registers, beside NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pushforward.core.compiled import loop
from pushforward.core.product_loops import STRIP, add_inner_products, add_products


@loop
def products(x: Any, begin: int, end: int, table: Any, first: Any, sums: Any) -> None:
    add_products(x, begin, end, table, first, sums)


@loop
def inner_products(a: Any, b: Any, pairs: int, rows: int, sums: Any) -> None:
    add_inner_products(a, b, pairs, rows, sums)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [4, 12, 64])
@pytest.mark.parametrize(("begin", "end"), [(0, STRIP), (0, 80), (32, 64), (16, 70)])
def test_four_products_of_each_row(kind: Any, columns: int, begin: int, end: int) -> None:
    """The rows from begin to end, up to the end of a strip; no others are written."""
    rng = np.random.default_rng(columns)
    x, four = (rng.standard_normal((n, m)).astype(kind) for n, m in ((columns, 96), (4, columns)))
    first, sums = rng.standard_normal(4).astype(kind), np.full((4, 112), 7, kind)
    table = np.ascontiguousarray(four.reshape(4, columns // 4, 4).transpose(1, 0, 2))
    products(x, begin, end, table.reshape(columns // 4, 16), first, sums)
    expected = first[:, None] + four.astype(np.float64) @ x.astype(np.float64)
    tolerance = 30 * np.finfo(kind).eps * columns**0.5
    np.testing.assert_allclose(sums[:, begin:end], expected[:, begin:end], atol=tolerance)
    assert (sums[:, :begin] == 7).all()
    assert (sums[:, end + STRIP :] == 7).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("pairs", [1, 3, 16])
@pytest.mark.parametrize("rows", [8, 40, 250])
def test_inner_products_are_added(kind: Any, pairs: int, rows: int) -> None:
    """Rows behind the last are zeros, as loops leave them; other sums are kept."""
    rng = np.random.default_rng(rows)
    a, b = np.zeros((4, 272), kind), np.zeros((2 * pairs + 2, 272), kind)
    a[:, :rows], b[:, :rows] = rng.standard_normal((4, rows)), rng.standard_normal((len(b), rows))
    sums = np.full((4, 2 * pairs + 3), 5.0)
    inner_products(a, b, pairs, rows, sums)
    expected = a.astype(np.float64) @ b.astype(np.float64).T + 5
    tolerance = 30 * np.finfo(kind).eps * rows**0.5
    np.testing.assert_allclose(sums[:, : 2 * pairs], expected[:, : 2 * pairs], atol=tolerance)
    assert (sums[:, 2 * pairs :] == 5).all()


def test_an_overflow_stays_in_its_row() -> None:
    x, sums = np.ones((4, 16)), np.zeros((4, 16))
    x[2, 5] = np.inf
    products(x, 0, 16, np.ones((1, 16)), np.zeros(4), sums)
    assert np.isinf(sums[:, 5]).all()
    assert (np.delete(sums, 5, 1) == 4).all()
