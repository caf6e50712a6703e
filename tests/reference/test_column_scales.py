"""Columns in units however different: the densities of Gaussian and PCA against 300 digits."""

from __future__ import annotations

import math
import warnings
from typing import Any

import mpmath
import pytest
import torch
from torch import Tensor

import pushforward as pf

SCALES = [
    (1.0, 1.0, 1.0),
    (1.0, 1e4, 1.0),
    (1.0, 1e8, 1.0),  # .96 nats a row were lost
    (1e-12, 1e12, 1.0),
    (1e-30, 1e30, 1.0),
    (1e-30, 2e-30, 3e-30),
    (1e30, 1e30, 1e22),
]


def rows(scales: tuple[float, ...], offset: float = 0.0, n: int = 40) -> Tensor:
    """Correlated columns with these scales;
    offsets are in units of each column's spread, and exact.
    """
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, 1] += 0.9 * x[:, 0]
    x = (x * 2**20).round() / 2**20 + offset
    return x * torch.tensor([2.0 ** round(math.log2(s)) for s in scales], dtype=torch.float64)


def exact(x: Tensor, kept: int) -> list[float]:
    """log p of the first rows under PCA with so many components
    (3: the full normal distribution), in 300 digits.
    """
    mpmath.mp.dps = 300
    n, d = x.shape
    points = [[mpmath.mpf(float(v)) for v in row] for row in x]
    mean = [sum(row[j] for row in points) / n for j in range(d)]
    covariance = mpmath.matrix(d, d)
    for i in range(d):
        for j in range(d):
            covariance[i, j] = sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in points) / n
    values, axes = mpmath.eigsy(covariance)
    order = sorted(range(d), key=lambda i: -values[i])
    variances = [values[i] for i in order]
    variances[kept:] = [sum(variances[kept:]) / max(d - kept, 1)] * (d - kept)
    found = []
    for row in points[:4]:
        codes = [sum((row[j] - mean[j]) * axes[j, i] for j in range(d)) for i in order]
        total = sum(mpmath.log(v) + z * z / v for v, z in zip(variances, codes))
        found.append(float(-(d * mpmath.log(2 * mpmath.pi) + total) / 2))
    return found


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_the_density_is_exact(scales: tuple[float, ...], kept: int) -> None:
    x = rows(scales)
    expected = exact(x, kept)
    assert pf.PCA(kept).fit(x).log_prob(x[:4]).tolist() == pytest.approx(
        expected, rel=1e-9, abs=1e-9
    )
    if kept == 3:
        assert pf.Gaussian().fit(x).log_prob(x[:4]).tolist() == pytest.approx(
            expected, rel=1e-11, abs=1e-11
        )
        assert pf.PCA(3).fit(x).gaussian().log_prob(x[:4]).tolist() == pytest.approx(
            expected, rel=1e-9, abs=1e-9
        )


@pytest.mark.parametrize("scales", SCALES[2:5])
@pytest.mark.parametrize("offset", [3.0, 1e4, 1e8])
def test_offsets_of_any_column_cost_nothing(scales: tuple[float, ...], offset: float) -> None:
    x, moved = rows(scales), rows(scales, float(2 ** round(math.log2(offset))))
    for model in (pf.Gaussian, pf.PCA):
        torch.testing.assert_close(
            model().fit(moved).log_prob(moved), model().fit(x).log_prob(x), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("scales", SCALES)
def test_draws_conditionals_and_marginals_keep_small_columns(scales: tuple[float, ...]) -> None:
    x, one = rows(scales), rows((1.0, 1.0, 1.0))
    unit = torch.tensor([2.0 ** round(math.log2(s)) for s in scales], dtype=torch.float64)
    distribution, plain = pf.Gaussian().fit(x), pf.Gaussian().fit(one)
    torch.testing.assert_close(
        distribution.sample(20, rng=0) / unit, plain.sample(20, rng=0), rtol=1e-9, atol=1e-9
    )
    given, like = (
        distribution.condition({1: float(x[0, 1])}),
        plain.condition({1: float(one[0, 1])}),
    )
    torch.testing.assert_close(given.mean_ / unit[[0, 2]], like.mean_, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        given.covariance_ / torch.outer(unit[[0, 2]], unit[[0, 2]]),
        like.covariance_,
        rtol=1e-9,
        atol=1e-9,
    )
    given, like = (
        distribution.condition({0: float(x[0, 0]), 2: float(x[0, 2])}),
        plain.condition({0: float(one[0, 0]), 2: float(one[0, 2])}),
    )
    torch.testing.assert_close(given.mean_ / unit[1], like.mean_, rtol=1e-9, atol=1e-9)
    spread = pf.PCA().fit(x).sample(4000, rng=0).std(0) / unit
    torch.testing.assert_close(spread, one.std(0, correction=0), rtol=0.1, atol=0)


def test_a_saved_model_keeps_what_it_resolved(tmp_path: Any) -> None:
    x = rows((1e-12, 1e12, 1.0))
    model = pf.PCA().fit(x)
    model.save(tmp_path / "run")
    assert torch.equal(pf.load(tmp_path / "run").log_prob(x), model.log_prob(x))
    older = {name: value for name, value in model.tensors().items() if name != "floor_"}
    again = pf.PCA()
    again.assemble(model.space, None)
    again.restore(older)
    assert bool(again.log_prob(x).isfinite().all())


# ----------------------------------------------------------------- data that do not vary everywhere


def flat(which: str) -> Tensor:
    x = rows((1.0, 1.0, 1.0))
    if which == "constant":
        x[:, 2] = 5.0
    elif which == "zero":
        x[:, 2] = 0.0
    elif which == "dependent":
        x[:, 2] = x[:, 0] - 2 * x[:, 1]
    return x


@pytest.mark.parametrize("a", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("which", ["constant", "zero", "dependent"])
@pytest.mark.parametrize("model", [pf.Gaussian, pf.PCA])
def test_directions_without_variance_are_said_once(model: Any, which: str, a: float) -> None:
    with pytest.warns(pf.FitWarning, match="do not vary in 1 of 3 directions") as said:
        distribution = model().fit(flat(which) * a)
    assert len(said) == 1
    value = distribution.log_prob(flat(which) * a)
    assert bool(value.isfinite().all())
    torch.testing.assert_close(
        value + 3 * math.log(a), model().fit(flat(which)).log_prob(flat(which)), rtol=0, atol=1
    )


@pytest.mark.parametrize("scales", SCALES)
def test_nothing_is_said_of_data_that_vary(scales: tuple[float, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pf.Gaussian().fit(rows(scales))
        pf.PCA().fit(rows(scales))
        pf.PCA(1).fit(flat("dependent"))


def test_a_density_follows_estimates_that_change_under_it() -> None:
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    model = pf.Gaussian().fit(x)
    first = model.log_prob(x)
    assert torch.equal(model.log_prob(x), first)
    model.covariance_.mul_(4)
    assert not torch.allclose(model.log_prob(x), first)
    model.load_state_dict(pf.Gaussian().fit(x).state_dict())
    assert torch.equal(model.log_prob(x), first)
    assert not torch.allclose(model.fit(x * 2).log_prob(x), first)
