"""Probabilistic PCA as a latent-variable model:
its posterior is exact, so every bound is the likelihood (A3, V5).
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_iris
from torch import Tensor

import pushforward as pf
from pushforward.core.capabilities import capabilities
from pushforward.densities.normals import Normal, kl_divergence
from pushforward.metrics.annealing import ais, bdmc
from pushforward.metrics.likelihood import iwae, naive

IRIS, ROTATED = -404.962780, 71.637736


def iris() -> Tensor:
    return torch.as_tensor(load_iris().data, dtype=torch.float64)


def drawn(k: int, d: int, sigma: float, seed: int = 0) -> pf.PCA:
    stream = torch.Generator().manual_seed(seed)
    mean, weights = (
        torch.randn(*shape, dtype=torch.float64, generator=stream) for shape in ((d,), (d, k))
    )
    return pf.PCA.of(mean, weights, sigma)


def bound(x: Tensor, mean: Tensor, weights: Tensor, sigma: float, q: Normal) -> Tensor:
    """E_q log N(x; mean + weights z, sigma² I) - KL(q ‖ N(0, I)) in closed form (n,)."""
    residual = x - mean - q.mean @ weights.T
    spread = (weights.square().sum(0) * q.scale.square()).sum(-1)
    fit = -0.5 * (
        (residual.square().sum(1) + spread) / sigma**2
        + x.shape[1] * math.log(2 * math.pi * sigma**2)
    )
    return fit - kl_divergence(q, Normal.standard(len(x), weights.shape[1], like=x))


def best_diagonal(x: Tensor, mean: Tensor, weights: Tensor, sigma: float) -> Normal:
    """The diagonal q that bounds best: the posterior's mean,
    and variances sigma²/M_ii, M = WᵀW + sigma² I.
    """
    m = weights.T @ weights + sigma**2 * torch.eye(weights.shape[1], dtype=x.dtype)
    codes = torch.linalg.solve(m, weights.T @ (x - mean).T).T
    return Normal(codes, (sigma**2 / m.diagonal()).log().div(2).expand_as(codes))


def test_a3_the_bound_at_the_optimum_is_the_likelihood_and_a_rotation_costs_what_it_must() -> None:
    x = iris()
    model = pf.PCA(2).fit(x)
    sigma = float(model.noise_variance_) ** 0.5
    weights = model.components_.T * (model.explained_variance_ - sigma**2).sqrt()
    assert float(model.log_prob(x).sum()) == pytest.approx(IRIS, abs=1e-5)
    best = best_diagonal(x, model.mean_, weights, sigma)
    assert float(bound(x, model.mean_, weights, sigma, best).sum()) == pytest.approx(IRIS, abs=1e-5)
    turn = math.radians(20)
    rotated = weights @ torch.tensor(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]], dtype=x.dtype
    )
    worse = bound(x, model.mean_, rotated, sigma, best_diagonal(x, model.mean_, rotated, sigma))
    assert float(model.log_prob(x).sum() - worse.sum()) == pytest.approx(ROTATED, abs=1e-5)
    assert torch.allclose(
        pf.PCA.of(model.mean_, rotated, sigma).log_prob(x), model.log_prob(x), atol=1e-10
    )


def test_the_posterior_is_that_of_tipping_and_bishop() -> None:
    """N(M⁻¹Wᵀ(x - μ), σ² M⁻¹) with M = WᵀW + σ²I, in units of the codes: z = (L - σ²)^½ z'."""
    x = iris()
    model = pf.PCA(2).fit(x)
    noise = model.noise_variance_
    stretch = (model.explained_variance_ - noise).sqrt()
    weights = model.components_.T * stretch
    inverse = torch.linalg.inv(weights.T @ weights + noise * torch.eye(2, dtype=x.dtype))
    q = model.posterior(model.to_model(x))
    assert torch.allclose(q.mean / stretch, (x - model.mean_) @ weights @ inverse, atol=1e-12)
    assert torch.allclose(
        torch.diag_embed((q.scale / stretch).square()),
        (noise * inverse).expand(len(x), 2, 2),
        atol=1e-12,
    )


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize(
    "model",
    [pf.PCA(2).fit(iris()), drawn(3, 4, 0.3), drawn(4, 4, 0.3)],
    ids=["fitted", "of", "of, K = d"],
)
def test_with_its_own_posterior_every_draw_weighs_the_same(model: pf.PCA, k: int) -> None:
    x = model.sample(20, rng=1)
    assert float((iwae(model, x, k=k, rng=0).values - model.log_prob(x)).abs().max()) < 1e-10


def test_the_exact_value_lies_between_annealing_s_bounds_and_averages_tend_to_it() -> None:
    model = drawn(2, 4, 0.5)
    bracket = bdmc(model, 10, temperatures=400, chains=32, rng=0)
    x = model.sample(8, rng=3)
    exact = model.log_prob(x)
    assert bracket.gap < 0.1
    assert float((naive(model, x, samples=20_000, rng=0).values - exact).abs().mean()) < 0.2
    assert (
        float((ais(model, x, temperatures=200, chains=16, rng=0).values - exact).abs().mean())
        < 0.15
    )


def test_a_distribution_given_by_its_parameters_is_that_normal_distribution() -> None:
    stream = torch.Generator().manual_seed(2)
    mean, weights = (
        torch.randn(5, dtype=torch.float64, generator=stream),
        torch.randn(5, 2, dtype=torch.float64, generator=stream),
    )
    model = pf.PCA.of(mean, weights, 0.4)
    covariance = weights @ weights.T + 0.16 * torch.eye(5, dtype=torch.float64)
    distribution = torch.distributions.MultivariateNormal(mean, covariance)
    x = distribution.sample((30,))
    assert torch.allclose(model.log_prob(x), distribution.log_prob(x), atol=1e-11)
    assert torch.allclose(model.gaussian().covariance_, covariance, atol=1e-12)
    many = model.sample(100_000, rng=0)
    assert torch.allclose(torch.cov(many.T, correction=0), covariance, atol=0.06)
    assert float(
        model.explained_variance_ratio_.sum() + 3 * 0.16 / covariance.trace()
    ) == pytest.approx(1)


def test_draws_of_prior_and_likelihood_are_draws_of_the_model() -> None:
    model = pf.PCA(2).fit(iris())
    z = model.prior(50_000).rsample(rng=0)
    assert torch.allclose(
        torch.cov(model.likelihood(z).rsample(rng=1).T), model.gaussian().covariance_, atol=0.05
    )
    assert torch.equal(model.likelihood(z[:9]).mean, model.decode(z[:9]))


def test_images_keep_their_shape() -> None:
    x = torch.rand(60, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    model = pf.PCA(4).fit(x)
    assert model.likelihood(model.prior(7).mean).mean.shape == (7, 1, 3, 3)
    assert float((iwae(model, x, k=3).values - model.log_prob(x)).abs().max()) < 1e-10


def test_a_distribution_of_parameters_is_stored_like_any_other(tmp_path: Path) -> None:
    model = drawn(2, 4, 0.5)
    model.save(tmp_path / "distribution")
    again = pf.load(tmp_path / "distribution")
    x = model.sample(5, rng=0)
    assert torch.equal(again.log_prob(x), model.log_prob(x))
    assert "LatentModel" in capabilities(pf.PCA)
    assert "HasBound" not in capabilities(pf.PCA)


def test_a_component_no_stronger_than_the_noise_is_silent() -> None:
    weights = torch.zeros(3, 2, dtype=torch.float64)
    weights[0, 0] = 1.0
    model = pf.PCA.of(torch.zeros(3), weights, 0.5)
    x = model.sample(10, rng=0)
    assert float((iwae(model, x, k=2).values - model.log_prob(x)).abs().max()) < 1e-10
    assert float(model.prior().scale.min()) < 1e-7


def test_what_has_no_noise_or_does_not_fit_is_refused() -> None:
    full = pf.PCA().fit(iris())
    for part in (
        full.prior,
        lambda: full.likelihood(torch.zeros(1, 4)),
        lambda: full.posterior(torch.zeros(1, 4)),
    ):
        with pytest.raises(
            pf.InvalidValue,
            match="all 4 components are kept, which leaves no noise and p\\(x\\|z\\) no density;"
            " fit with fewer, such as components=2",
        ):
            part()
    with pytest.raises(pf.InvalidValue, match="sigma must be above 0, got 0"):
        pf.PCA.of(torch.zeros(3), torch.ones(3, 1), 0)
    for mean, weights in (
        (torch.zeros(3), torch.ones(2, 1)),
        (torch.zeros(2), torch.ones(2, 3)),
        (torch.zeros(2), torch.ones(2, 0)),
    ):
        with pytest.raises(pf.ShapeMismatch, match="with K from 1 to d"):
            pf.PCA.of(mean, weights, 1.0)
    with pytest.raises(pf.InvalidValue, match="must be finite"):
        pf.PCA.of(torch.tensor([math.nan]), torch.ones(1, 1), 1.0)
    with pytest.raises(pf.NotFitted):
        pf.PCA(2).prior()
