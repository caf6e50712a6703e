"""Where codes lie: by the prior, by closed form, by codes."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.densities.normals import Normal
from pushforward.latent import CodeDistribution, infer_code_distribution

P = torch.tensor([0.1, 0.5, 0.975])


class WithPrior:
    """Only a prior: N((1, -2), diag(3, .5)²), or draws of it without its moments."""

    def __init__(self, hidden: bool = False) -> None:
        self.hidden = hidden

    def prior(self, n: int = 1) -> Any:
        distribution = Normal(
            torch.tensor([[1.0, -2.0]]).repeat(n, 1), torch.tensor([[3.0, 0.5]]).log().repeat(n, 1)
        )
        return _Draws(distribution) if self.hidden else distribution


class _Draws:
    def __init__(self, distribution: Normal) -> None:
        self.rsample = distribution.rsample


def test_a_normal_prior_is_exact() -> None:
    distribution = infer_code_distribution(WithPrior())
    assert torch.allclose(distribution.centre, torch.tensor([1.0, -2.0]))
    assert torch.allclose(distribution.scale, torch.tensor([3.0, 0.5]))
    expected = [statistics.NormalDist(-2, 0.5).inv_cdf(float(p)) for p in P]
    assert torch.allclose(distribution.quantiles(P)[:, 1], torch.tensor(expected), atol=1e-5)


def test_any_other_prior_goes_by_draws() -> None:
    distribution, exact = (
        infer_code_distribution(WithPrior(hidden=True)),
        infer_code_distribution(WithPrior()),
    )
    assert distribution.rows is not None
    assert torch.allclose(distribution.centre, exact.centre, atol=0.2)
    assert torch.allclose(distribution.scale, exact.scale, rtol=0.05)
    assert torch.allclose(distribution.quantiles(P), exact.quantiles(P), atol=0.35)
    drawn = distribution.draw(2000, rng=1)
    assert torch.allclose(drawn.std(0), exact.scale, rtol=0.1)
    assert bool((distribution.rows[None, :50] == drawn[0]).any()) or bool(
        (distribution.rows == drawn[0]).all(1).any()
    )


def test_models_without_a_prior_method(fitted: dict[str, Any]) -> None:
    assert torch.equal(infer_code_distribution(fitted["gan"]).scale, torch.ones(3))
    pca = fitted["pca"]
    assert torch.allclose(infer_code_distribution(pca).scale.square(), pca.explained_variance_)
    with pytest.raises(
        pf.InvalidKind,
        match=(
            r"Autoencoder has no prior over codes; pass observations:"
            r" infer_code_distribution\(model, x\)"
        ),
    ):
        infer_code_distribution(fitted["autoencoder"])


def test_the_aggregate_of_observations(fitted: dict[str, Any]) -> None:
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(3)) + 2
    for name in ("autoencoder", "vae"):
        z = fitted[name].encode(x).detach()
        distribution = infer_code_distribution(fitted[name], x)
        assert torch.allclose(distribution.centre, z.mean(0), atol=1e-6)
        assert torch.allclose(distribution.scale, z.std(0, correction=0), atol=1e-6)
    y = torch.zeros(50, dtype=torch.long)
    assert torch.allclose(
        infer_code_distribution(fitted["conditional"], x, y).centre,
        fitted["conditional"].encode(x, y).mean(0).detach(),
        atol=1e-6,
    )
    with pytest.raises(pf.InvalidKind, match="GAN cannot encode observations"):
        infer_code_distribution(fitted["gan"], x)


def test_lengths_are_in_standard_deviations_and_constant_dimensions_do_not_count() -> None:
    distribution = CodeDistribution(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.0]))
    assert torch.allclose(
        distribution.length(torch.tensor([[5.0, 9.0], [1.0, 0.0]])), torch.tensor([4.0, 0.0])
    )
    assert torch.allclose(
        distribution.deviations(torch.tensor([-1.0, 2.0])), torch.tensor([[-1.0, 0.0], [5.0, 0.0]])
    )


def test_what_has_no_distribution() -> None:
    with pytest.raises(pf.ShapeMismatch, match="at least 2 codes"):
        CodeDistribution.of_codes(torch.zeros(1, 2))
    with pytest.raises(pf.InvalidValue, match="strictly between 0 and 1"):
        CodeDistribution(torch.zeros(1), torch.ones(1)).quantiles(torch.tensor([0.0]))
