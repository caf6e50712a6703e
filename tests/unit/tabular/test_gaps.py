"""Gaps: the textbook conditional of a normal, intervals that cover, Rubin's rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.tabular.gaps import DRAWS, complete, draw_gaps, interval, pool, require_filling

MEAN = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
COVARIANCE = torch.tensor(
    [[2.0, 0.6, 0.3], [0.6, 1.0, -0.2], [0.3, -0.2, 0.5]], dtype=torch.float64
)


def normal() -> pf.Gaussian:
    return pf.Gaussian.of(MEAN, COVARIANCE)


def test_means_are_the_textbook_conditional_of_a_normal() -> None:
    x = torch.tensor([[1.5, math.nan, 2.0], [math.nan, math.nan, 4.0], [1.0, 2.0, 3.0]]).double()
    filled = complete(normal(), x, using="mean")
    o, m = [0, 2], [1]
    gain = COVARIANCE[m][:, o] @ torch.linalg.inv(COVARIANCE[o][:, o])
    assert filled[0, 1] == pytest.approx(float((MEAN[m] + gain @ (x[0, o] - MEAN[o]))[0]), 1e-9)
    o, m = [2], [0, 1]
    gain = COVARIANCE[m][:, o] @ torch.linalg.inv(COVARIANCE[o][:, o])
    assert torch.allclose(filled[1, m], MEAN[m] + gain @ (x[1, o] - MEAN[o]))
    assert torch.equal(filled[~x.isnan()], x[~x.isnan()])


def test_draws_have_the_conditional_covariance() -> None:
    x = torch.tensor([[math.nan, math.nan, 4.0]]).double()
    drawn = draw_gaps(normal(), x, 20_000, rng=0)
    o, m = [2], [0, 1]
    gain = COVARIANCE[m][:, o] @ torch.linalg.inv(COVARIANCE[o][:, o])
    rest = COVARIANCE[m][:, m] - gain @ COVARIANCE[o][:, m]
    assert torch.allclose(drawn.T.cov(), rest, atol=0.06)
    assert torch.allclose(drawn.mean(0), MEAN[m] + gain @ (x[0, o] - MEAN[o]), atol=0.04)


def test_modes_of_a_mixture_are_its_likeliest_centre() -> None:
    means = torch.tensor([[0.0, -5.0], [0.0, 5.0]], dtype=torch.float64)
    weights = torch.tensor([0.6, 0.4], dtype=torch.float64)
    spread = torch.stack([torch.eye(2), torch.diag(torch.tensor([1.0, 9.0]))]).double()
    model = pf.GMM.of(weights, means, spread)
    x = torch.tensor([[0.0, math.nan]]).double()
    assert complete(model, x, using="mode")[0, 1] == pytest.approx(-5, abs=0.01)
    assert complete(model, x, using="mean")[0, 1] == pytest.approx(-1.0, abs=1e-9)


def test_intervals_cover_their_share_of_further_draws() -> None:
    n, stream = 100_000, np.random.default_rng(0)
    drawn, new = stream.random(size=(DRAWS, n)), stream.random(size=n)
    for share in (0.5, 0.9):
        low, high = interval(drawn, share)
        covered = float(((low <= new) & (new <= high)).mean())
        assert covered == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))
        assert float((high - low).mean()) == pytest.approx(share, abs=1e-3)  # of draws of U(0, 1)


def test_rubins_rules() -> None:
    """By hand: Q = 1, 2, 4 and U = .5, .7, .6, so that B = 7/3 and T = .6 + 4/3 · 7/3."""
    found = pool([1.0, 2.0, 4.0], [0.5, 0.7, 0.6])
    total = 0.6 + 28 / 9
    assert found.value == pytest.approx(7 / 3)
    assert found.error == pytest.approx(math.sqrt(total))
    assert found.freedom == pytest.approx(2 * (1 + 0.6 / (28 / 9)) ** 2)
    assert found.fraction == pytest.approx((28 / 9) / total)
    assert pool([2.0, 2.0], [0.1, 0.3]).freedom == math.inf
    with pytest.raises(pf.InvalidKind, match="at least two imputations, got 1"):
        pool([1.0], [0.1])


def test_pooled_intervals_cover_the_mean_where_single_ones_do_not() -> None:
    """Half of a normal column missing, imputed by draws of its posterior: 95 % intervals."""
    stream, hits, naive = np.random.default_rng(3), 0, 0
    repeats, n, m = 2000, 60, 10
    for _ in range(repeats):
        seen = stream.normal(size=n // 2)
        deviation = seen.std(ddof=1) * np.sqrt((len(seen) - 1) / stream.chisquare(len(seen) - 1, m))
        centre = stream.normal(seen.mean(), deviation / math.sqrt(len(seen)))
        drawn = stream.normal(centre, deviation, size=(n // 2, m))
        whole = np.concatenate([np.tile(seen[:, None], m), drawn])
        means, variances = whole.mean(0), whole.var(0, ddof=1) / n
        low, high = pool(means.tolist(), variances.tolist()).interval()
        hits += low <= 0 <= high
        naive += abs(means[0]) <= 2.0 * math.sqrt(variances[0])
    assert hits / repeats == pytest.approx(0.95, abs=0.02)
    assert naive / repeats < 0.87


def test_models_that_cannot_fill_gaps_are_named() -> None:
    with pytest.raises(pf.InvalidKind, match="the autoencoder model cannot fill gaps; models"):
        require_filling(pf.Autoencoder(2))
