"""Gaps of table rows: the textbook conditional of a normal, and sums over all that is possible."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import pushforward as pf
from tests.mixed_tables import read, table

NAN = math.nan


@pytest.fixture(scope="module")
def model() -> pf.MixedMixture:
    """Three components of two numbers and two categories, on standardised numbers."""
    source = read(table(300))
    return pf.MixedMixture(3, covariance="full", margins="none").fit(source, quiet=True)


def enumerated(
    model: pf.MixedMixture, row: list[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Conditional means and variances (2,) of numbers, probabilities (3, 2) of categories."""
    shift, scale = model.margins_.edges[:, 0].numpy(), model.margins_.mass[:, 0].numpy()
    z = (np.array(row[:2]) - shift) / scale
    o, m = np.flatnonzero(~np.isnan(z)), np.flatnonzero(np.isnan(z))
    total, first, second, shares = 0.0, np.zeros(2), np.zeros(2), np.zeros((3, 2))
    for k, weight in enumerate(model.weights_.tolist()):
        mean, cov = model.location_[k].numpy(), model.covariance_of(k).numpy()
        density = weight * (multivariate_normal(mean[o], cov[o][:, o]).pdf(z[o]) if len(o) else 1.0)
        gain = cov[m][:, o] @ np.linalg.inv(cov[o][:, o])
        full, rest = z.copy(), np.zeros(2)
        full[m] = mean[m] + gain @ (z[o] - mean[o])
        rest[m] = (cov[m][:, m] - gain @ cov[o][:, m]).diagonal()
        full, rest = shift + scale * full, scale**2 * rest
        theta = [t.numpy() for t in model.tables_[k].exp().split(model.sizes)]
        known = [range(len(t)) if math.isnan(v) else [int(v)] for t, v in zip(theta, row[2:])]
        for c, d in itertools.product(*known):
            p = density * theta[0][c] * theta[1][d]
            total += p
            shares[c, d] += p
            first += p * full
            second += p * (rest + full**2)
    first /= total
    return first, second / total - first**2, shares / total


ROWS = [
    [0.3, NAN, 0.0, 1.0],
    [NAN, 2.0, NAN, 0.0],
    [NAN, NAN, 2.0, NAN],
    [4.0, NAN, NAN, NAN],
    [NAN, NAN, NAN, NAN],
]


@pytest.mark.parametrize("row", ROWS)
def test_means_and_likeliest_categories_equal_enumeration(
    model: pf.MixedMixture, row: list[float]
) -> None:
    filled = model.complete(torch.tensor([row], dtype=torch.float64), using="mean")[0]
    first, _, shares = enumerated(model, row)
    assert filled[:2].tolist() == pytest.approx(first.tolist(), rel=1e-6)
    assert filled[2:].tolist() == [int(shares.sum(1).argmax()), int(shares.sum(0).argmax())]


@pytest.mark.parametrize("row", ROWS[1:4])
def test_draws_have_the_enumerated_moments(model: pf.MixedMixture, row: list[float]) -> None:
    n = 20_000
    drawn = model.complete(torch.tensor([row], dtype=torch.float64).repeat(n, 1), rng=0).numpy()
    first, variance, shares = enumerated(model, row)
    error = np.sqrt(variance / n)
    assert (np.abs(drawn[:, :2].mean(0) - first) <= 4 * error + 1e-9).all()
    assert drawn[:, :2].var(0).tolist() == pytest.approx(variance.tolist(), rel=0.05, abs=1e-9)
    for c, d in itertools.product(range(3), range(2)):
        found = ((drawn[:, 2] == c) & (drawn[:, 3] == d)).mean()
        assert found == pytest.approx(shares[c, d], abs=0.015)


# ------------------------------------------------------------------------------ other models


def textbook(
    mean: np.ndarray, cov: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    o, m = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
    gain = cov[np.ix_(m, o)] @ np.linalg.inv(cov[np.ix_(o, o)])
    rest = cov[np.ix_(m, m)] - gain @ cov[np.ix_(o, m)]
    return m, mean[m] + gain @ (row[o] - mean[o]), rest


@pytest.mark.parametrize("make", [pf.Gaussian, lambda: pf.PCA(2), lambda: pf.PCA(4)])
def test_filling_with_a_gaussian_equals_the_textbook(make: Any) -> None:
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(300, 4, generator=stream, dtype=torch.float64).cumsum(1)
    model = make().fit(x * torch.tensor([1.0, 1e-3, 10.0, 1.0]) + 7)
    normal = model if isinstance(model, pf.Gaussian) else model.gaussian()
    mean, cov = normal.mean_.numpy(), normal.covariance_.numpy()
    rows = (x * torch.tensor([1.0, 1e-3, 10.0, 1.0]) + 7)[:4].clone()
    rows[0, 1], rows[1, :3], rows[2, [0, 3]], rows[3] = NAN, NAN, NAN, NAN
    for using in ("mean", "mode"):
        filled = model.complete(rows, using=using)
        for row, got in zip(rows.numpy(), filled.numpy()):
            m, expected, _ = textbook(mean, cov, row)
            np.testing.assert_allclose(got[m], expected, rtol=1e-6)
            known = np.setdiff1d(range(4), m)
            assert (got[known] == row[known]).all()
    drawn = model.complete(rows[1:2].repeat(40_000, 1), rng=0)[:, :3].numpy()
    _, expected, rest = textbook(mean, cov, rows[1].numpy())
    scale = np.sqrt(rest.diagonal())
    assert (np.abs(drawn.mean(0) - expected) < 4 * scale / 200).all()
    np.testing.assert_allclose(
        np.cov(drawn.T) / np.outer(scale, scale), rest / np.outer(scale, scale), atol=0.03
    )


@pytest.mark.parametrize("covariance", ["full", "diagonal", "tied", "spherical"])
def test_filling_with_a_mixture_equals_its_conditional(covariance: Any) -> None:
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(600, 3, generator=stream, dtype=torch.float64)
    x[::2] += torch.tensor([4.0, -3.0, 2.0])
    model = pf.GMM(2, covariance).fit(x)
    row = torch.tensor([[1.5, NAN, NAN]], dtype=torch.float64)
    given = model.condition({0: 1.5})
    expected = given.weights_ @ given.means_
    torch.testing.assert_close(model.complete(row, using="mean")[0, 1:], expected)
    best = given.means_[int(given.weights_.argmax())]
    torch.testing.assert_close(model.complete(row, using="mode")[0, 1:], best)
    drawn = model.complete(row.repeat(20_000, 1), rng=0)
    torch.testing.assert_close(drawn[:, 1:].mean(0), expected, rtol=0, atol=0.1)
    assert float(drawn[:, 1:].std(0)[0]) == pytest.approx(
        float(given.sample(20_000, rng=0).std(0)[0]), rel=0.05
    )


@pytest.mark.parametrize("make", [pf.GaussianCopula, lambda: pf.MixedMixture(3)])
def test_filling_a_table_follows_its_conditional(make: Any) -> None:
    """Draws against importance weights: p(c, d | a) by the density itself."""
    model = make().fit(read(table(800)), quiet=True)
    rows = torch.tensor([[2.6, 0.4, NAN, NAN]], dtype=torch.float64)
    cases = [[2.6, 0.4, c, d] for c in range(3) for d in range(2)]
    exact = model.log_prob(torch.tensor(cases, dtype=torch.float64)).softmax(0).reshape(3, 2)
    drawn = model.complete(rows.repeat(20_000, 1), rng=0)
    found = torch.zeros(3, 2).double()
    for c, d in drawn[:, 2:].to(torch.int64).tolist():
        found[c, d] += 1 / 20_000
    torch.testing.assert_close(found, exact, rtol=0, atol=0.015)
    mode = model.complete(rows, using="mean")[0, 2:]
    assert mode.tolist() == [int(exact.sum(1).argmax()), int(exact.sum(0).argmax())]


@pytest.mark.parametrize("make", [pf.GaussianCopula, lambda: pf.MixedMixture(3)])
def test_numbers_are_filled_given_categories(make: Any) -> None:
    """The mean of a given c = 'x', d = 'yes' against quadrature of the density."""
    model = make().fit(read(table(800)), quiet=True)
    a = torch.linspace(-6, 9, 3001, dtype=torch.float64)
    rows = torch.tensor([NAN, NAN, 0.0, 1.0], dtype=torch.float64).repeat(len(a), 1)
    filled = model.complete(rows[:1], using="mean")[0, 0]
    rows[:, 0] = a
    p = model.log_prob(rows).softmax(0)
    assert float(filled) == pytest.approx(float(p @ a), abs=0.05)
    drawn = model.complete(
        torch.tensor([[NAN, NAN, 0.0, 1.0]], dtype=torch.float64).repeat(10_000, 1), rng=0
    )[:, 0]
    assert float(drawn.mean()) == pytest.approx(float(p @ a), abs=0.08)
    conditional = model.condition({"c": "x", "d": "yes"}).sample(10_000, rng=0)[:, 0]
    assert float(conditional.mean()) == pytest.approx(float(p @ a), abs=0.08)
