"""The Fréchet distance: closed forms, scipy's matrix square root, and an error bar that holds."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from pushforward.core.errors import ShapeMismatch
from pushforward.metrics.frechet import fid, frechet_distance
from pushforward.metrics.pairs import FewRows

STREAM = torch.Generator()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


def eye(d: int) -> Tensor:
    return torch.eye(d, dtype=torch.float64)


def test_from_moments_it_is_exact() -> None:
    mean, zero = (
        torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64),
        torch.zeros(3, dtype=torch.float64),
    )
    assert frechet_distance(zero, eye(3), mean, eye(3)) == pytest.approx(5.25, abs=1e-12)
    assert frechet_distance(zero, eye(3), zero, 9 * eye(3)) == pytest.approx(
        3 * (1 - 3) ** 2, abs=1e-12
    )
    a, b = (x @ x.T for x in (normal(3, 3), normal(3, 3, seed=1)))
    expected = 5.25 + float(a.trace() + b.trace()) - 2 * float(sqrtm((a @ b).numpy()).real.trace())
    assert frechet_distance(mean, a, zero, b) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(mean, a, zero, b) == pytest.approx(
        frechet_distance(zero, b, mean, a), rel=1e-10
    )


def test_singular_covariances_have_a_distance() -> None:
    flat = torch.tensor([1.0, 0, 0], dtype=torch.float64).diag()
    zero = torch.zeros(3, dtype=torch.float64)
    assert frechet_distance(zero, flat, zero, flat) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(zero, flat, zero, eye(3)) == pytest.approx(2, abs=1e-12)
    with pytest.raises(ShapeMismatch, match="one dimension"):
        frechet_distance(zero, flat, zero, eye(2))


@pytest.mark.parametrize(
    ("shift", "factor", "exact"),
    [([0.5, -1.0, 0.25, 0.0, 2.0], 1.0, 5.3125), ([0.0] * 5, 3.0, 20.0), ([1.0] * 5, 0.5, 6.25)],
)
def test_shifted_and_scaled_normals(shift: list[float], factor: float, exact: float) -> None:
    record = fid(
        normal(20_000, 5),
        factor * normal(20_000, 5, seed=1) + torch.tensor(shift, dtype=torch.float64),
    )
    assert 0 < record.error < 0.03 * exact
    assert abs(record.details["without_bias"] - exact) < 3 * record.error
    assert record.n == record.details["real"] == 20_000


def test_a_distant_origin_does_not_cancel() -> None:
    x, y = normal(3000, 3), 2 * normal(3000, 3, seed=1)
    near, far = fid(x, y), fid(x + 1e6, y + 1e6)
    assert far.value == pytest.approx(near.value, rel=1e-6)
    assert fid(x, x).value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("shift", "factor", "exact"), [(0.5, 1.0, 1.0), (0.0, 2.0, 4.0)])
def test_the_error_bar_is_the_spread_over_repetitions_and_the_bias_is_seen(
    shift: float, factor: float, exact: float
) -> None:
    found = [
        fid(normal(400, 4, seed=2 * i), factor * normal(400, 4, seed=2 * i + 1) + shift)
        for i in range(60)
    ]
    values = torch.tensor([r.value for r in found], dtype=torch.float64)
    bars = torch.tensor([r.error for r in found], dtype=torch.float64)
    assert 0.75 < float(values.std() / bars.mean()) < 1.3
    bias = sum(r.details["bias"] for r in found) / 60
    assert abs(float(values.mean()) - exact - bias) < 3 * float(values.std()) / math.sqrt(60)


def test_of_one_distribution_all_there_is_is_bias() -> None:
    null = [fid(normal(400, 4, seed=2 * i), normal(400, 4, seed=2 * i + 1)) for i in range(40)]
    assert sum(r.value for r in null) == pytest.approx(
        sum(r.details["bias"] for r in null), rel=0.15
    )


def test_too_few_rows_give_a_value_with_a_warning_and_an_error_bar() -> None:
    with pytest.warns(FewRows, match=r"20 real and 100 generated rows in 20 features.*pca\(2\)"):
        found = fid(normal(20, 20), normal(100, 20))
    assert found.value > 0
    assert 0 < found.error < found.value
    assert "too large" in found.details["note"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewRows)
        drawn = [
            fid(normal(15, 20, seed=2 * i), normal(15, 20, seed=2 * i + 1) + 0.5) for i in range(40)
        ]
    spread = float(torch.tensor([r.value for r in drawn]).std())
    assert 0.7 < sum(r.error for r in drawn) / 40 / spread < 1.6


def test_halves_that_are_singular_say_nothing_of_the_bias() -> None:
    assert math.isnan(fid(normal(30, 20), normal(30, 20, seed=1)).details["bias"])
