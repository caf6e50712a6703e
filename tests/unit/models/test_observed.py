"""A generator with an observation noise."""

from __future__ import annotations

import math

import pytest
import torch

import pushforward as pf
from pushforward.core.capabilities import Decodes, LatentModel, Samples
from pushforward.metrics.annealing import ais, bdmc
from pushforward.metrics.likelihood import naive


def a_gan(x: torch.Tensor, y: torch.Tensor | None = None) -> pf.GAN:
    return pf.GAN(latent=2, hidden=(16,)).fit(x, y, by=pf.Trainer(steps=20, batch=50))


X = 5 + 3 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))


def test_it_is_a_latent_variable_model_in_the_users_units() -> None:
    gan = a_gan(X)
    model = pf.Observed(gan, sigma=0.5)
    assert isinstance(model, LatentModel)
    assert isinstance(model, Samples)
    assert isinstance(model, Decodes)
    z = model.prior(7).rsample(rng=0)
    distribution = model.likelihood(z)
    assert torch.equal(distribution.mean, gan.decode(z))
    by_hand = torch.distributions.Normal(gan.decode(z), 0.5).log_prob(X[:7]).sum(1)
    assert torch.allclose(distribution.log_prob(X[:7]), by_hand, atol=1e-3, rtol=1e-5)
    assert model.log_jacobian(X) == 0.0
    assert model.sample(5, rng=0).shape == (5, 2)
    assert torch.equal(model.decode(z), gan.decode(z))
    assert not torch.equal(model.decode(z, rng=0), gan.decode(z))


def test_a_generator_that_is_known() -> None:
    """A linear generator makes normal data, so the likelihood is known:
    the estimate must be that, in the user's units.
    """
    model = pf.GAN(latent=2, hidden=()).fit(X, by=pf.Trainer(steps=1, batch=50)).double()
    observed = pf.Observed(model, sigma=0.7)
    zero, eye = torch.zeros(1, 2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    with torch.no_grad():
        middle = model.decode(zero)[0]
        axes = (model.decode(eye) - middle).T
    distribution = torch.distributions.MultivariateNormal(middle, axes @ axes.T + 0.49 * eye)
    x = observed.sample(6, rng=1)
    assert torch.allclose(
        naive(observed, x, samples=50_000).values, distribution.log_prob(x), atol=0.1
    )
    annealed = ais(observed, x, temperatures=100, chains=60)
    assert float(((annealed.values - distribution.log_prob(x)) / annealed.errors).abs().max()) < 4
    assert abs(bdmc(observed, 10, temperatures=100).gap) < 0.4


def test_one_sigma_for_each_coordinate() -> None:
    gan = a_gan(X)
    distribution = pf.Observed(gan, torch.tensor([0.5, 2.0])).likelihood(torch.zeros(3, 2))
    assert torch.allclose(
        distribution.log_prob(distribution.mean),
        torch.full((3,), -math.log(2 * math.pi)),
        atol=1e-5,
    )


def test_conditions_reach_the_generator() -> None:
    y = (X[:, 0] > 5).long()
    model = pf.Observed(a_gan(X, y), 0.5)
    assert model.sample(4, y=torch.tensor([0, 1, 0, 1]), rng=0).shape == (4, 2)
    assert model.sample(4, y=1, rng=0).shape == (4, 2)
    assert ais(model, X[:4], y[:4], temperatures=10).n == 4
    assert not torch.equal(
        naive(model, X[:4], y[:4], samples=50).values,
        naive(model, X[:4], 1 - y[:4], samples=50).values,
    )


def test_what_cannot_be_observed() -> None:
    with pytest.raises(pf.InvalidKind, match="decode and prior"):
        pf.Observed(pf.KMeans(2).fit(X), 0.1)
    with pytest.raises(pf.NotFitted):
        pf.Observed(pf.GAN(latent=2), 0.1)
    gan = a_gan(X)
    for sigma in (0.0, -1.0, torch.tensor([1.0, 0.0])):
        with pytest.raises(pf.InvalidValue, match="sigma"):
            pf.Observed(gan, sigma)
