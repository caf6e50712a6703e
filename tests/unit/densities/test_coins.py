"""Coins and the continuous Bernoulli: sums and integrals to one, torch's own, exact limits,
gradients near the hard points.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pushforward.densities.coins import (
    BLOCK,
    SERIES,
    Bernoulli,
    ContinuousBernoulli,
    log_normaliser,
)

F64 = torch.float64


def test_bernoulli_masses_sum_to_one() -> None:
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=F64)] * 3)
    for logits in ([[0.3, -2.0, 1.0]], [[60.0, -60.0, 0.0]], [[700.0, -700.0, 1e-9]]):
        assert float(
            Bernoulli(torch.tensor(logits, dtype=F64)).log_prob(every).exp().sum()
        ) == pytest.approx(1, abs=1e-12)


def test_bernoulli_is_torchs_cross_entropy_with_its_gradients() -> None:
    logits = torch.tensor([[-80.0, -3.0, 0.0], [0.5, 7.0, 90.0]], dtype=F64, requires_grad=True)
    x = torch.tensor([[0.0, 1.0, 0.25], [1.0, 0.0, 1.0]], dtype=F64, requires_grad=True)
    exact = -torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(
        1
    )
    assert torch.allclose(Bernoulli(logits).log_prob(x), exact, rtol=1e-14, atol=0)
    # at the ends themselves a step aside has no mass
    inner = (0.1 + 0.8 * x.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: Bernoulli(a).log_prob(b), (logits / 10, inner))
    assert torch.autograd.gradgradcheck(lambda a, b: Bernoulli(a).log_prob(b), (logits / 10, inner))


@pytest.mark.parametrize(
    "shapes",
    [
        ((700, 300), (700, 300)),
        ((700, 300), (1, 300)),
        ((4, 500, 100), (500, 100)),
        ((2, 3, 400, 150), (400, 150)),
    ],
)
def test_rows_and_draws_broadcast_across_blocks(
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    stream = torch.Generator().manual_seed(0)
    logits, x = (
        torch.randn(shapes[0], generator=stream, dtype=F64),
        torch.rand(shapes[1], generator=stream, dtype=F64),
    )
    assert logits.numel() > BLOCK
    found = Bernoulli(logits.requires_grad_()).log_prob(x)
    exact = -torch.nn.functional.binary_cross_entropy_with_logits(
        logits, x.expand_as(logits), reduction="none"
    ).sum(-1)
    assert found.shape == logits.shape[:-1]
    assert torch.allclose(found, exact, atol=1e-10)
    one, other = (torch.autograd.grad(t.sum(), logits)[0] for t in (found, exact))
    assert torch.allclose(one, other, atol=1e-12)


def test_images_of_one_row_meet_many_logits() -> None:
    logits = torch.randn(6, 2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x = (logits[0] > 0).float()
    assert Bernoulli(logits).log_prob(x).shape == (6, 2)
    assert torch.allclose(
        Bernoulli(logits[:, 0]).log_prob(x[:1]), Bernoulli(logits).log_prob(x)[:, 0]
    )
    shared = logits[:1, 0].clone().requires_grad_()
    Bernoulli(shared).log_prob(x).sum().backward()
    assert shared.grad is not None
    assert torch.allclose(shared.grad, (x - shared.sigmoid()).sum(0, keepdim=True), atol=1e-6)


def test_single_precision_keeps_seven_digits_of_784_pixels() -> None:
    logits = torch.randn(500, 784, generator=torch.Generator().manual_seed(0)) * 8 - 4
    x = (torch.rand(1, 784, generator=torch.Generator().manual_seed(1)) < 0.2).float()
    exact = Bernoulli(logits.double()).log_prob(x.double())
    assert torch.allclose(Bernoulli(logits).log_prob(x).double(), exact, rtol=1e-6)


def test_bernoulli_draws_have_its_mean_at_its_ends() -> None:
    logits = torch.full((100_000, 1), 1.0)
    assert float(Bernoulli(logits).rsample(rng=0).mean()) == pytest.approx(
        float(torch.tensor(1.0).sigmoid()), abs=0.005
    )
    distribution = Bernoulli(logits, torch.tensor(0.1), torch.tensor(0.5))
    draws = distribution.rsample(rng=0)
    assert {round(v, 6) for v in draws.unique().tolist()} == {0.1, 0.6}
    assert float(draws.mean()) == pytest.approx(float(distribution.mean[0]), abs=0.005)
    assert torch.allclose(
        distribution.log_prob(draws), Bernoulli(logits).log_prob((draws > 0.3).float()), atol=1e-5
    )


# ----------------------------------------------------------------------------- continuous Bernoulli

LOGITS = [0.0, 1e-12, -1e-4, 0.02, 0.499999, 0.500001, -3.0, 20.0, -90.0, 600.0]


def exact_normaliser(value: float) -> float:
    """log ∫₀¹ e^(lx) dx by Gauss-Legendre on panels fine enough for l,
    after taking out the maximum.
    """
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0, 1, 201)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1] - edges[0]) / 2
    x = middle[:, None] + half * nodes
    return float(
        max(value, 0) + math.log(float((np.exp(value * x - max(value, 0)) * weights * half).sum()))
    )


def test_the_series_has_bernoullis_numbers() -> None:
    from scipy.special import bernoulli

    numbers = bernoulli(2 * len(SERIES))
    exact = [numbers[2 * n] / (2 * n * math.factorial(2 * n)) for n in range(1, len(SERIES) + 1)]
    assert list(SERIES) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("logit", LOGITS)
def test_the_normaliser_is_the_integral(logit: float) -> None:
    assert float(log_normaliser(torch.tensor(logit, dtype=F64))) == pytest.approx(
        exact_normaliser(logit), abs=3e-13, rel=1e-14
    )
    assert float(log_normaliser(torch.tensor(logit))) == pytest.approx(
        exact_normaliser(logit), abs=2e-7, rel=1e-6
    )


@pytest.mark.parametrize("logit", LOGITS)
def test_it_integrates_to_one_and_its_mean_is_exact(logit: float) -> None:
    x = torch.linspace(0, 1, 400_001, dtype=F64)[:, None]
    distribution = ContinuousBernoulli(torch.full((1, 1), logit, dtype=F64))
    density = distribution.log_prob(x).exp()
    assert float(torch.trapezoid(density, x[:, 0])) == pytest.approx(1, abs=1e-6)
    assert float(torch.trapezoid(density * x[:, 0], x[:, 0])) == pytest.approx(
        float(distribution.mean), abs=1e-6
    )


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_normalisers_gradient_is_the_mean_everywhere(dtype: torch.dtype) -> None:
    logits = torch.tensor(LOGITS, dtype=dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(log_normaliser(logits).sum(), logits, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), logits)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14
    assert torch.allclose(slope, ContinuousBernoulli(logits[:, None]).mean[:, 0], atol=tolerance)
    assert bool(bend.isfinite().all())
    assert bool((bend >= 0).all())
    assert float(slope[0].detach()) == 0.5
    assert float(bend[0].detach()) == pytest.approx(1 / 12)


def test_log_prob_is_torchs_away_from_one_half_and_passes_gradcheck() -> None:
    logits = torch.tensor([[-4.0, 1.5, 0.7], [2.0, -1.0, 5.0]], dtype=F64, requires_grad=True)
    x = torch.rand(2, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
    peer = torch.distributions.ContinuousBernoulli(logits=logits)
    assert torch.allclose(
        ContinuousBernoulli(logits).log_prob(x), peer.log_prob(x).sum(1), atol=1e-9
    )
    assert torch.allclose(ContinuousBernoulli(logits).mean, peer.mean, atol=1e-12)
    near = torch.tensor([[0.0, 1e-3, -0.3], [0.48, 0.52, 30.0]], dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: ContinuousBernoulli(t).log_prob(x), near)
    assert torch.autograd.gradgradcheck(lambda t: ContinuousBernoulli(t).log_prob(x), near)
    assert ContinuousBernoulli(near.expand(5, 4, 2, 3)).log_prob(x).shape == (5, 4, 2)
    assert ContinuousBernoulli(near).log_prob(x[:1]).shape == (2,)


@pytest.mark.parametrize("logit", [0.0, 1e-5, 0.3, -6.0, 40.0, -500.0])
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_draws_follow_the_distribution_function(logit: float, dtype: torch.dtype) -> None:
    """Kolmogorov-Smirnov at the .001 level, of F(x) = (e^(lx) - 1)/(e^l - 1),
    which draws make uniform.
    """
    n = 20_000
    x = (
        ContinuousBernoulli(torch.full((n, 1), logit, dtype=dtype))
        .rsample(rng=0)[:, 0]
        .double()
        .sort()
        .values
    )
    assert float(x.min()) >= 0
    assert float(x.max()) <= 1
    below = (
        x
        if logit == 0
        else (
            torch.expm1(logit * x) / math.expm1(logit)
            if logit < 0
            else (torch.exp(logit * (x - 1)) - math.exp(-logit)) / -math.expm1(-logit)
        )
    )
    ranks = torch.arange(1, n + 1, dtype=F64) / n
    assert float((below - ranks).abs().max()) < 1.95 / math.sqrt(n)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_draws_have_the_implicit_gradient(dtype: torch.dtype) -> None:
    """dx/dl = -(∂F/∂l)/p(x), by differences of the draws themselves in float64;
    finite and smooth across the series' border.
    """
    border = torch.finfo(dtype).eps ** 0.2
    logits = torch.tensor(
        [0.0, border * 0.99, border * 1.01, -border * 0.99, 2.0, -30.0, 80.0], dtype=dtype
    )[:, None].requires_grad_()
    draws = ContinuousBernoulli(logits).rsample(rng=3)
    (slope,) = torch.autograd.grad(draws.sum(), logits)
    u = torch.rand(logits.shape, generator=torch.Generator().manual_seed(3), dtype=dtype).double()

    def quantile(at: Tensor) -> Tensor:
        return torch.where(
            at == 0,
            u,
            torch.where(
                at > 0,
                1 + torch.log(u + (1 - u) * torch.exp(-at)) / at,
                torch.log1p(u * torch.expm1(at)) / at,
            ),
        )

    middle = logits.detach().double()
    step = 1e-3 + 1e-3 * middle.abs()
    difference = (quantile(middle + step) - quantile(middle - step)) / (2 * step)
    assert torch.allclose(draws.double(), quantile(middle), atol=1e-6)
    assert torch.allclose(slope.double(), difference, atol=3e-5, rtol=1e-3)
