"""Layers: what is drawn of a model of points in the plane."""

from __future__ import annotations

import torch

import pushforward as pf
from pushforward.studio.layers import Plane, draw_layers, layers_of


def test_ellipses_of_components_have_their_covariances() -> None:
    covariances = torch.tensor([[[2.0, 0.6], [0.6, 0.5]], [[1.0, 0.0], [0.0, 3.0]]]).double()
    means = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    model = pf.GMM.of(torch.tensor([0.25, 0.75]), means, covariances)
    rows = model.sample(200, rng=0)
    drawn = draw_layers(model, Plane.around(rows), rows, ["components"])["components"]
    assert torch.allclose(drawn[:, 0], torch.tensor([0.25, 0.75]).double())
    assert torch.allclose(drawn[:, 1:3], means.double())
    roots = drawn[:, 3:].reshape(2, 2, 2)
    assert torch.allclose(roots @ roots.mT, covariances, atol=1e-10)


def test_one_normal_distribution_is_a_mixture_of_one() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)).double()
    model = pf.Gaussian().fit(x)
    weights, means, covariances = model.normal_components()
    assert weights.tolist() == [1]
    assert torch.equal(means[0], model.mean_)
    assert torch.equal(covariances[0], model.covariance_)
    assert "components" in layers_of(model, x)


def test_centres_are_those_of_the_model() -> None:
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    model = pf.KMeans(3).fit(x)
    drawn = draw_layers(model, Plane.around(x), x, ["centres", "density"])
    assert torch.equal(drawn["centres"], model.centres_)
    assert set(drawn) == {"centres"}


def test_codes_of_three_numbers_are_not_drawn() -> None:
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    for latent, planar in ((2, True), (3, False)):
        model = pf.Autoencoder(latent, hidden=(4,)).fit(x, steps=1, quiet=True)
        found = set(layers_of(model, x))
        assert ({"manifold", "codes"} <= found) is planar
        assert "rebuilt" in found
