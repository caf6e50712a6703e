"""Divergences of histograms: exact values, bounds, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.metrics.grid_divergences import (
    CELLS,
    SMOOTHING,
    count_cells,
    grid_divergences,
    js_divergence,
    kl_divergence,
)

LOW, HIGH = torch.zeros(2), torch.ones(2)


def test_exact_values() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])
    assert kl_divergence(p, q) == pytest.approx(math.log(2), abs=1e-15)
    assert kl_divergence(q, p) == math.inf
    # m = (3/8, 3/8, 1/4)
    half_p = math.log(0.5 / 0.375)
    half_q = 0.5 * math.log(0.25 / 0.375) + 0.5 * math.log(2)
    assert js_divergence(p, q) == pytest.approx((half_p + half_q) / 2, abs=1e-15)
    assert js_divergence(p, q) == js_divergence(q, p)


def test_counts_are_normalised_and_smoothed() -> None:
    p, q = torch.tensor([3.0, 1.0]), torch.tensor([0.0, 2.0])
    a, b = 3.5 / 5, 1.5 / 5
    c, d = 0.5 / 3, 2.5 / 3
    expected = a * math.log(a / c) + b * math.log(b / d)
    assert kl_divergence(p, q, 0.5) == pytest.approx(expected, abs=1e-15)


def test_equal_and_disjoint_histograms() -> None:
    p = torch.rand(6, 6, generator=torch.Generator().manual_seed(0))
    assert kl_divergence(p, 3 * p) == pytest.approx(0, abs=1e-15)
    assert js_divergence(p, 3 * p) == 0
    assert js_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])) == math.log(2)


def test_points_are_counted_in_their_cells_and_those_beyond_in_the_outermost() -> None:
    x = torch.tensor([[0.1, 0.1], [0.1, 0.9], [0.6, 0.4], [7.0, -7.0], [1.0, 1.0]])
    expected = torch.tensor([[1.0, 1.0], [2.0, 1.0]], dtype=torch.float64)
    assert torch.equal(count_cells(x, LOW, HIGH, 2), expected)


def test_two_sets_of_points_on_the_default_grid() -> None:
    x, y = torch.full((40, 2), 0.01), torch.full((60, 2), 0.99)
    kl, js = grid_divergences(x, y, LOW, HIGH)
    assert js == math.log(2)
    empty, cells = SMOOTHING, CELLS**2
    p, q = 40 + cells * empty, 60 + cells * empty
    first = (40 + empty) / p * math.log((40 + empty) / p / (empty / q))
    second = empty / p * math.log(empty / p / ((60 + empty) / q))
    others = (cells - 2) * empty / p * math.log(q / p)
    assert kl == pytest.approx(first + second + others, abs=1e-12)


def test_what_is_refused() -> None:
    x = torch.rand(5, 2)
    with pytest.raises(ShapeMismatch, match=r"points \(n, 2\)"):
        count_cells(torch.rand(5, 3), LOW, HIGH)
    with pytest.raises(InvalidValue, match="NaN or infinity"):
        count_cells(x / 0, LOW, HIGH)
    with pytest.raises(InvalidValue, match="enclose an area"):
        count_cells(x, LOW, LOW)
    with pytest.raises(ShapeMismatch, match="one shape"):
        kl_divergence(torch.ones(2), torch.ones(3))
    with pytest.raises(InvalidValue, match="hold something"):
        js_divergence(torch.zeros(2), torch.ones(2))
