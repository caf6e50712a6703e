"""Distributions and likelihoods against torch's own and against quadrature."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.core.registry import read
from pushforward.densities.distributions import Bernoulli, Normal, kl_divergence
from pushforward.densities.likelihoods import Likelihood


def law(seed: int, shape: tuple[int, ...] = (5, 3)) -> Normal:
    stream = torch.Generator().manual_seed(seed)
    return Normal(torch.randn(shape, generator=stream, dtype=torch.float64), torch.randn(shape, generator=stream, dtype=torch.float64) / 2)


def as_torch(q: Normal) -> torch.distributions.Independent:
    return torch.distributions.Independent(torch.distributions.Normal(q.mean, q.scale), q.mean.ndim - 1)


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3, 3)])
def test_log_prob_is_torchs(shape: tuple[int, ...]) -> None:
    q, x = law(0, shape), law(1, shape).mean
    assert torch.allclose(q.log_prob(x), as_torch(q).log_prob(x), atol=1e-12)


@pytest.mark.parametrize("log_scale", [torch.tensor([0.3]), torch.full((1, 1, 2, 2), 0.3), torch.full((5, 1, 2, 2), 0.3)])
def test_shared_scales_count_for_every_coordinate(log_scale: torch.Tensor) -> None:
    mean, x = law(0, (5, 1, 2, 2)).mean, law(1, (5, 1, 2, 2)).mean
    full = Normal(mean, torch.full((5, 1, 2, 2), 0.3, dtype=torch.float64))
    assert torch.allclose(Normal(mean, log_scale.double()).log_prob(x), full.log_prob(x), atol=1e-12)


def test_kl_is_torchs_and_monte_carlos() -> None:
    q, p = law(0), law(1)
    exact = torch.distributions.kl_divergence(as_torch(q), as_torch(p))
    assert torch.allclose(kl_divergence(q, p), exact, atol=1e-12)
    many = Normal(q.mean[:1].expand(200_000, -1), q.log_scale[:1].expand(200_000, -1))
    z = many.rsample(rng=0)
    ratio = many.log_prob(z) - Normal(p.mean[:1], p.log_scale[:1]).log_prob(z)
    assert float(ratio.mean()) == pytest.approx(float(exact[0]), abs=4 * float(ratio.std()) / 200_000**0.5)


def test_the_reparametrised_gradient_is_the_analytic_one() -> None:
    """d/dm E z² = 2m and d/ds E z² = 2s for z = m + s ε."""
    mean = torch.full((400_000, 1), 0.7, dtype=torch.float64, requires_grad=True)
    log_scale = torch.full((400_000, 1), -0.3, dtype=torch.float64, requires_grad=True)
    Normal(mean, log_scale).rsample(rng=0).square().sum().backward()
    s = float(torch.tensor(-0.3).exp())
    assert float(mean.grad.mean()) == pytest.approx(1.4, abs=0.01)  # type: ignore[union-attr]
    assert float(log_scale.grad.mean()) == pytest.approx(2 * s * s, abs=0.01)  # type: ignore[union-attr]


def test_bernoulli_masses_sum_to_one() -> None:
    logits = law(0, (1, 3)).mean
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    assert float(Bernoulli(logits.expand(8, -1)).log_prob(every).exp().sum()) == pytest.approx(1, abs=1e-12)


def test_bernoulli_is_torchs_cross_entropy_with_its_gradients() -> None:
    logits = torch.tensor([[-80.0, -3.0, 0.0], [0.5, 7.0, 90.0]], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[0.0, 1.0, 0.25], [1.0, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    exact = -torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    assert torch.allclose(Bernoulli(logits).log_prob(x), exact, rtol=1e-14, atol=0)
    assert torch.autograd.gradcheck(lambda a, b: Bernoulli(a).log_prob(b), (logits / 10, x))
    assert torch.autograd.gradgradcheck(lambda a, b: Bernoulli(a).log_prob(b), (logits / 10, x))


def test_bernoulli_draws_have_its_mean() -> None:
    logits = torch.full((100_000, 1), 1.0)
    assert float(Bernoulli(logits).rsample(rng=0).mean()) == pytest.approx(float(torch.tensor(1.0).sigmoid()), abs=0.005)


def test_a_gaussian_likelihood_integrates_to_one() -> None:
    x = torch.linspace(-10, 10, 20_001, dtype=torch.float64)[:, None]
    for text in ("gaussian(sigma=0.4)", "gaussian"):
        p = read(Likelihood, text).distribution(torch.zeros_like(x), torch.tensor([-0.7], dtype=torch.float64)).log_prob(x).exp()
        assert float(torch.trapezoid(p, x[:, 0])) == pytest.approx(1, abs=1e-9)


def test_likelihoods_state_their_measure_and_range() -> None:
    assert read(Likelihood, "bernoulli").measure == "binary mass"
    assert read(Likelihood, "gaussian").measure == "density per unit"
    with pytest.raises(pf.InvalidValue, match="sigma must be above 0"):
        read(Likelihood, "gaussian(sigma=-1)")
    with pytest.raises(pf.InvalidValue, match="per_dimension"):
        read(Likelihood, "gaussian(sigma=1.0, per_dimension=True)")
