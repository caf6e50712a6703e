"""Margins: densities that integrate to one, inverses to rounding, values that come back as such."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.core.columns import Column
from pushforward.core.errors import InvalidValue
from pushforward.densities.margins import Margins, truncated_moments
from tests.conftest import WrongKind

RNG = np.random.default_rng(0)
N = 700
NORMAL = RNG.normal(size=N)
CASES: dict[str, tuple[np.ndarray, Column]] = {
    "normal": (NORMAL, Column("a")),
    "positive": (np.exp(NORMAL), Column("a", lower=0.0)),
    "bounded": (RNG.beta(0.7, 0.7, N), Column("a", lower=0.0, upper=1.0)),
    "cents": (np.round(NORMAL, 2), Column("a")),
    "counts": (RNG.poisson(2, N).astype(float), Column("a", "integer", lower=0.0)),
    "large counts": (RNG.integers(0, 10**5, N).astype(float), Column("a", "integer", lower=0.0)),
    "truths": (RNG.integers(0, 2, N).astype(float), Column("a", "integer")),
    "many zeros": (np.where(RNG.random(N) < 0.4, 0, np.exp(NORMAL)), Column("a", lower=0.0)),
    "seconds": (1.7e9 + 1e6 * NORMAL, Column("a", unit="seconds since 1970-01-01")),
    "days": (np.round(19_000 + 300 * NORMAL), Column("a", unit="days since 1970-01-01")),
    "tiny": (1e-30 * NORMAL, Column("a")),
    "huge": (1e30 * NORMAL, Column("a")),
    "gaps": (np.where(RNG.random(N) < 0.3, np.nan, NORMAL), Column("a")),
    "constant": (np.full(N, 3.7), Column("a")),
    "zero": (np.zeros(N), Column("a")),
    "one row": (np.array([5.25]), Column("a")),
    "two rows": (np.array([5.25, 7.0]), Column("a")),
    "categories": (
        RNG.integers(0, 3, N).astype(float),
        Column("a", "categorical", categories=("x", "y", "z", "unseen")),
    ),
}
KINDS = ("kernel", "empirical")


def fitted(case: str, kind: Any = "kernel") -> tuple[Margins, torch.Tensor]:
    values, column = CASES[case]
    x = torch.from_numpy(values)[:, None]
    margins = Margins(kind)
    margins.fit(x, None, [column])
    return margins, x


def knots(margins: Margins) -> torch.Tensor:
    return margins.edges[0, : int(margins.sizes[0]) + 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_the_density_integrates_to_one(case: str, kind: str) -> None:
    """By the middle of each interval, where it is constant, and by quadrature of both tails."""
    margins, _ = fitted(case, kind)
    edges = knots(margins)
    middles = (edges[:-1] + edges[1:]) / 2
    total = float(margins.log_density(middles[:, None])[:, 0].exp() @ edges.diff())
    for side, end in ((0, edges[0]), (1, edges[-1])):
        mass, scale = margins.tails[0, side], margins.tails[0, 2 + side]
        length = min(40.0, float((margins.bounds[0, 2 + side] - end).abs() / scale))
        step = length / 40_000  # to the bound, or to 40 mean lengths
        t = (torch.arange(40_000, dtype=torch.float64) + 0.5) * step
        x = end - scale * t if side == 0 else end + scale * t
        tail = margins.log_density(x[:, None])[:, 0].exp().sum() * step * scale
        if case not in ("seconds",) or float(mass) == 0:  # x is too coarse for the steps there
            assert float(tail) == pytest.approx(float(mass), rel=1e-4, abs=1e-12)
        total += float(tail)
    assert total == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", [c for c in CASES if c != "constant"])
def test_the_inverse_is_exact_to_rounding(case: str, kind: str) -> None:
    margins, _ = fitted(case, kind)
    z = torch.linspace(-4.5, 4.5, 2001, dtype=torch.float64)
    x = margins.inverse(z[:, None], snap=False)
    again = margins.inverse(margins.scores(x).z.nan_to_num(0.0), snap=False)
    point = ~torch.isnan(margins.scores(x).z)
    size = float(x.abs().max())
    torch.testing.assert_close(again[point], x[point], rtol=1e-9, atol=1e-12 * size)
    assert bool((x[:, 0].diff() >= 0).all())


@pytest.mark.parametrize("kind", KINDS)
def test_log_jacobians_are_derivatives(kind: str) -> None:
    margins, x = fitted("positive", kind)
    step = 1e-9
    inside = x[:50] + 1e-7
    slope = (margins.scores(inside + step).z - margins.scores(inside).z) / step
    torch.testing.assert_close(
        margins.scores(inside).log_jacobian.exp(), slope, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("kind", [*KINDS, "none"])
@pytest.mark.parametrize("case", CASES)
def test_samples_keep_bounds_and_are_values_of_the_column(case: str, kind: str) -> None:
    values, column = CASES[case]
    margins, _ = fitted(case, kind)
    z = torch.randn(4000, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = margins.inverse(1.5 * z)[:, 0].numpy()
    assert np.isfinite(drawn).all()
    assert column.lower is None or drawn.min() >= column.lower
    assert column.upper is None or drawn.max() <= column.upper
    if case in ("counts", "large counts", "truths", "days", "categories"):
        assert (drawn == np.round(drawn)).all()
    if case == "cents":
        assert (drawn == np.round(drawn, 2)).all()
    if case == "many zeros" and kind != "none":
        plain = margins.inverse(z)[:, 0].numpy()
        assert (plain == 0).mean() == pytest.approx((values == 0).mean(), abs=0.03)
        assert np.median(plain[plain > 0]) == pytest.approx(np.median(values[values > 0]), rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["normal", "positive", "seconds", "tiny", "huge", "large counts"])
def test_scores_of_data_are_standard_normal(case: str, kind: str) -> None:
    margins, x = fitted(case, kind)
    z = margins.scores(x).moments()[0]
    assert float(z.mean()) == pytest.approx(0, abs=0.1)
    assert float(z.std()) == pytest.approx(1, abs=0.1)


def test_a_kernel_margin_is_near_the_density_it_estimates() -> None:
    margins, _ = fitted("normal")
    x = torch.linspace(-1.5, 1.5, 41, dtype=torch.float64)[:, None]
    found = margins.log_density(x)[:, 0]
    true = torch.distributions.Normal(0.0, 1.0).log_prob(x[:, 0])
    assert float((found - true).abs().max()) < 0.2
    assert float((found - true).abs().mean()) < 0.1


def test_a_cell_has_its_mass_over_its_width() -> None:
    values = np.repeat([0.0, 1.0, 2.0], [50, 30, 20])
    margins = Margins("empirical")
    margins.fit(
        torch.from_numpy(values)[:, None], None, [Column("a", "integer", lower=0.0, upper=2.0)]
    )
    x = torch.tensor([[0.0], [1.0], [2.0], [0.3], [math.nan]], dtype=torch.float64)
    expected = torch.tensor([0.5, 0.3, 0.2, 0.5, 1.0], dtype=torch.float64).log()
    torch.testing.assert_close(margins.log_density(x)[:, 0], expected, rtol=0, atol=2e-3)


def test_a_value_beyond_a_known_bound_has_no_density() -> None:
    margins, _ = fitted("bounded")
    value = margins.log_density(torch.tensor([[-0.1], [1.1], [0.5]], dtype=torch.float64))[:, 0]
    assert value[:2].tolist() == [-math.inf, -math.inf]
    assert math.isfinite(float(value[2]))


def test_a_bound_that_the_data_break_does_not_count() -> None:
    margins = Margins()
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    margins.fit(x, None, [Column("a", lower=0.0)])
    assert bool(margins.log_density(x).isfinite().all())


def test_weights_count_as_rows() -> None:
    repeats = torch.tensor([1, 4, 2, 1, 3])
    weights = repeats.to(torch.float64)
    one, two, three = (Margins("empirical") for _ in range(3))
    column = [Column("a", "categorical", categories=tuple("012345"))]
    codes = torch.tensor([0, 1, 2, 4, 5], dtype=torch.float64)[:, None]
    one.fit(codes, weights, column)
    two.fit(codes.repeat_interleave(repeats, 0), None, column)
    three.fit(codes, 7 * weights, column)
    torch.testing.assert_close(one.mass, three.mass)  # only their ratios count
    share = (two.mass[0] * 14 - 0.5) / 11  # without the half row of each category
    found = (one.mass[0] * 8 - 0.5) / 5
    torch.testing.assert_close(found, share)


def test_moments_of_a_truncated_normal() -> None:
    low, high = torch.tensor([-1.0, 0.5, -math.inf, 8.0]), torch.tensor([0.2, math.inf, -2.0, 9.0])
    mean, variance = truncated_moments(low.double(), high.double())
    for i, (a, b) in enumerate(zip(low.tolist(), high.tolist())):
        t = torch.linspace(max(a, -12), min(b, 20), 400_001, dtype=torch.float64)
        p = torch.exp(-0.5 * (t**2 - t.abs().min() ** 2))
        p = p / p.sum()
        assert float(mean[i]) == pytest.approx(float(p @ t), rel=1e-4)
        assert float(variance[i]) == pytest.approx(float(p @ (t - p @ t) ** 2), rel=1e-3)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises((InvalidValue, WrongKind), match="kernal"):
        Margins("kernal")  # type: ignore[arg-type]
