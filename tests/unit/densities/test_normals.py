"""Normal distributions against torch's own, against Monte Carlo,
and across the shapes they broadcast to.
"""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal
from torch.distributions import kl_divergence as torchs_kl

import pushforward as pf
from pushforward.densities.normals import FullNormal, Normal, NormalMixture, kl_divergence, rate


def distribution(seed: int, shape: tuple[int, ...] = (5, 3)) -> Normal:
    stream = torch.Generator().manual_seed(seed)
    return Normal(
        torch.randn(shape, generator=stream, dtype=torch.float64),
        torch.randn(shape, generator=stream, dtype=torch.float64) / 2,
    )


def full(seed: int, n: int = 5, d: int = 3) -> FullNormal:
    q = distribution(seed, (n, d))
    below = torch.randn(
        n, d, d, generator=torch.Generator().manual_seed(seed + 100), dtype=torch.float64
    ).tril(-1)
    return FullNormal(q.mean, torch.diag_embed(q.scale) + below)


def as_torch(q: Normal | FullNormal) -> torch.distributions.Distribution:
    if isinstance(q, FullNormal):
        return MultivariateNormal(q.mean, scale_tril=q.scale_tril)
    return Independent(torch.distributions.Normal(q.mean, q.scale), q.mean.ndim - 1)


def mixture(n: int = 1, components: Normal | FullNormal | None = None) -> NormalMixture:
    return NormalMixture(
        torch.tensor([0.0, 1.0, -1.0, 0.5], dtype=torch.float64),
        components or distribution(3, (4, 3)),
        n,
    )


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3, 3)])
def test_log_prob_is_torchs(shape: tuple[int, ...]) -> None:
    q, x = distribution(0, shape), distribution(1, shape).mean
    assert torch.allclose(q.log_prob(x), as_torch(q).log_prob(x), atol=1e-12)


def test_a_full_normals_log_prob_is_torchs() -> None:
    q, x = full(0), distribution(1).mean
    assert torch.allclose(q.log_prob(x), as_torch(q).log_prob(x), atol=1e-12)


@pytest.mark.parametrize(
    "log_scale", [torch.tensor([0.3]), torch.full((1, 1, 2, 2), 0.3), torch.full((5, 1, 2, 2), 0.3)]
)
def test_shared_scales_count_for_every_coordinate(log_scale: Tensor) -> None:
    mean, x = distribution(0, (5, 1, 2, 2)).mean, distribution(1, (5, 1, 2, 2)).mean
    every = Normal(mean, torch.full((5, 1, 2, 2), 0.3, dtype=torch.float64))
    assert torch.allclose(
        Normal(mean, log_scale.double()).log_prob(x), every.log_prob(x), atol=1e-12
    )


@pytest.mark.parametrize("q", [distribution(0), full(0), distribution(0, (1, 3)), full(0, 1)])
def test_rows_and_draws_broadcast(q: Normal | FullNormal) -> None:
    x = distribution(1, (7, 5, 3)).mean
    one_by_one = torch.stack([q.log_prob(rows) for rows in x])
    assert torch.allclose(q.log_prob(x), one_by_one, atol=1e-12)
    assert torch.allclose(
        q.log_prob(x[0, :1]), torch.stack([as_torch(q).log_prob(x[0, 0])])[0], atol=1e-12
    )


PAIRS = [
    (distribution(0), distribution(1)),
    (full(0), Normal.standard(1, 3, like=distribution(0).mean)),
    (full(0), distribution(1)),
    (full(0), full(1)),
    (distribution(0), full(1)),
]


@pytest.mark.parametrize(("q", "p"), PAIRS)
def test_kl_is_torchs(q: Normal | FullNormal, p: Normal | FullNormal) -> None:
    exact = torchs_kl(
        *(
            MultivariateNormal(
                r.mean,
                scale_tril=FullNormal.of(r).scale_tril if isinstance(r, Normal) else r.scale_tril,
            )
            for r in (q, p)
        )
    )
    assert torch.allclose(kl_divergence(q, p), exact, atol=1e-11)
    assert torch.equal(rate(q, p, q.mean), kl_divergence(q, p))


def first(q: Normal | FullNormal, n: int) -> Normal | FullNormal:
    if isinstance(q, FullNormal):
        return FullNormal(q.mean[:1].expand(n, -1), q.scale_tril[:1].expand(n, -1, -1))
    return Normal(q.mean[:1].expand(n, -1), q.log_scale[:1].expand(n, -1))


@pytest.mark.parametrize(("q", "p"), PAIRS)
def test_kl_is_monte_carlos(q: Normal | FullNormal, p: Normal | FullNormal) -> None:
    many = first(q, 100_000)
    z = many.rsample(rng=0)
    ratio = many.log_prob(z) - first(p, 1).log_prob(z)
    assert float(ratio.mean()) == pytest.approx(
        float(kl_divergence(q, p)[0]), abs=4 * float(ratio.std()) / 100_000**0.5
    )


def test_kl_of_images_of_codes_sums_every_axis() -> None:
    q, p = distribution(0, (4, 2, 3, 3)), distribution(1, (4, 2, 3, 3))
    assert torch.allclose(kl_divergence(q, p), torchs_kl(as_torch(q), as_torch(p)), atol=1e-11)


def test_no_closed_form_is_said_and_estimated() -> None:
    q, p = distribution(0), mixture()
    with pytest.raises(
        pf.InvalidKind,
        match=r"closed form is available for two normals, got Normal and NormalMixture; rate",
    ):
        inspect.unwrap(kl_divergence)(q, p)  # what it says itself of a wrong kind
    z = q.rsample(rng=0)
    assert torch.allclose(rate(q, p, z), q.log_prob(z) - p.log_prob(z))


@pytest.mark.parametrize("components", [distribution(3, (4, 3)), full(3, 4)])
def test_a_mixture_is_torchs(components: Normal | FullNormal) -> None:
    p = mixture(6, components)
    weights = torch.distributions.Categorical(logits=p.weights_logits)
    peer = torch.distributions.MixtureSameFamily(weights, as_torch(components))
    x = distribution(1, (9, 3)).mean
    assert torch.allclose(p.log_prob(x), peer.log_prob(x), atol=1e-12)
    assert torch.allclose(
        p.log_prob(x.reshape(3, 3, 3)), peer.log_prob(x.reshape(3, 3, 3)), atol=1e-12
    )
    assert p.mean.shape == (6, 3)
    assert torch.allclose(p.mean[0], peer.mean)
    draws = mixture(200_000, components).rsample(rng=0)
    error = 4 * peer.variance.sqrt() / 200_000**0.5
    assert bool(((draws.mean(0) - peer.mean).abs() < error).all())
    assert torch.allclose(draws.var(0), peer.variance, rtol=0.03)


def test_draws_of_a_full_normal_have_its_covariance() -> None:
    q = first(full(0), 200_000)
    draws = q.rsample(rng=0)
    assert torch.allclose(draws.T.cov(), as_torch(full(0)).covariance_matrix[0], atol=0.03)  # type: ignore[attr-defined]
    assert torch.allclose(full(0).marginal.scale, as_torch(full(0)).stddev)  # type: ignore[attr-defined]


def test_the_reparametrised_gradient_is_the_analytic_one() -> None:
    """d/dm E z² = 2m and d/ds E z² = 2s for z = m + s ε."""
    mean = torch.full((400_000, 1), 0.7, dtype=torch.float64, requires_grad=True)
    log_scale = torch.full((400_000, 1), -0.3, dtype=torch.float64, requires_grad=True)
    Normal(mean, log_scale).rsample(rng=0).square().sum().backward()
    s = float(torch.tensor(-0.3).exp())
    assert float(mean.grad.mean()) == pytest.approx(1.4, abs=0.01)  # type: ignore[union-attr]
    assert float(log_scale.grad.mean()) == pytest.approx(2 * s * s, abs=0.01)  # type: ignore[union-attr]


def test_gradients() -> None:
    q, p, x = full(0), full(1), distribution(2).mean
    inputs = [t.clone().requires_grad_() for t in (q.mean, q.scale_tril, x, p.scale_tril)]
    assert torch.autograd.gradcheck(
        lambda m, s, x, t: FullNormal(m, s.tril()).log_prob(x), inputs[:3] + inputs[3:]
    )
    assert torch.autograd.gradcheck(
        lambda m, s, x, t: (
            kl_divergence(FullNormal(m, s.tril()), FullNormal(p.mean, t.tril())) + 0 * x.sum(1)
        ),
        inputs,
    )
    a = [
        t.clone().requires_grad_() for t in (mixture().weights_logits, mixture().components.mean, x)
    ]
    assert torch.autograd.gradcheck(
        lambda w, m, x: NormalMixture(w, Normal(m, m / 3)).log_prob(x), a
    )


@pytest.mark.parametrize("rows", [(5, 5), (1, 5), (5, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_standard_normal_gives_the_bits_of_any_other(
    rows: tuple[int, int], dtype: torch.dtype
) -> None:
    """Its own formulae leave out sums with 0 and products with 1, also in gradients."""
    zeros = torch.zeros(rows[1], 3)
    results = []
    for p in (Normal.standard(rows[1], 3, like=zeros), Normal(zeros, zeros)):
        given = distribution(0, (rows[0], 3))
        loc = given.loc.to(dtype).requires_grad_()
        scale = given.log_scale.to(dtype).requires_grad_()
        spent = kl_divergence(Normal(loc, scale), p)
        spent.square().sum().backward()
        drawn = p.rsample((2,), rng=0)
        results.append((spent, loc.grad, scale.grad, drawn, p.log_prob(drawn)))
    for one, two in zip(*results):
        assert one.dtype == two.dtype
        assert torch.equal(one, two)
