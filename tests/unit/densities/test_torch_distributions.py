"""Our distributions are distributions of torch: its divergences and its `Independent` work on them,
beside its own.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    OneHotCategorical,
    kl_divergence,
)

from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch
from pushforward.densities.codes import StructuredCodes
from pushforward.densities.coins import Bernoulli, ContinuousBernoulli
from pushforward.densities.columns import Columns, OneHot
from pushforward.densities.distribution import RowDistribution
from pushforward.densities.levels import DiscretisedLogistic
from pushforward.densities.normals import FullNormal, Normal, NormalMixture

N, D = 4, 3
LIKE = torch.zeros((), dtype=torch.float64)


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(seed: int = 0) -> Normal:
    return Normal(numbers(seed, N, D), numbers(seed + 50, N, D) / 2)


def full(seed: int = 0) -> FullNormal:
    scale = torch.diag_embed(numbers(seed + 50, N, D).exp()) + numbers(seed + 99, N, D, D).tril(-1)
    return FullNormal(numbers(seed, N, D), scale)


def mixture() -> NormalMixture:
    return NormalMixture(numbers(0, 5), Normal(numbers(1, 5, D), numbers(2, 5, D)), N)


def coins(seed: int = 0) -> Bernoulli:
    return Bernoulli(numbers(seed, N, D))


def continuous(seed: int = 0) -> ContinuousBernoulli:
    return ContinuousBernoulli(3 * numbers(seed, N, D))


def levels() -> DiscretisedLogistic:
    return DiscretisedLogistic(numbers(0, N, D), torch.full((1,), -1.0, dtype=torch.float64), 8)


def category(seed: int = 0) -> OneHot:
    return OneHot(numbers(seed, N, D))


def columns(seed: int = 0) -> Columns:
    return Columns((Normal(numbers(seed, N, 2), numbers(seed + 5, 1, 2)), category(seed + 9)))


def codes(scale: float = 1.0) -> StructuredCodes:
    return StructuredCodes(N, 2, (3, 2), 2, LIKE, scale=scale)


def torchs(ours: RowDistribution) -> Distribution:
    """torch's own distribution with the same parameters."""
    if isinstance(ours, Normal):
        return Independent(torch.distributions.Normal(ours.loc, ours.scale), 1)
    if isinstance(ours, FullNormal):
        return MultivariateNormal(ours.loc, scale_tril=ours.scale_tril)
    if isinstance(ours, Bernoulli):
        return Independent(torch.distributions.Bernoulli(logits=ours.logits), 1)
    if isinstance(ours, ContinuousBernoulli):
        return Independent(torch.distributions.ContinuousBernoulli(logits=ours.logits), 1)
    if isinstance(ours, OneHot):
        return OneHotCategorical(logits=ours.logits)
    assert isinstance(ours, NormalMixture)
    mixed = MixtureSameFamily(Categorical(logits=ours.weights_logits), torchs(ours.components))
    return mixed.expand((ours.n,))


EVERY = [normal, full, mixture, coins, continuous, levels, category, columns, codes]


@pytest.mark.parametrize("make", EVERY)
def test_shapes_are_a_batch_of_rows_and_an_event(make: Callable[[], RowDistribution]) -> None:
    ours = make()
    assert isinstance(ours, Distribution)
    event = ours.mean.shape[1:]
    assert (ours.batch_shape, ours.event_shape) == ((N,), event)
    assert ours.rsample(rng=0).shape == (N, *event)
    several = ours.rsample((6, 2), rng=0)
    assert several.shape == (6, 2, N, *event)
    assert torch.equal(several, ours.sample((6, 2), rng=0))
    assert ours.log_prob(several).shape == (6, 2, N)
    assert bool(ours.log_prob(several).isfinite().all())
    assert ours.log_prob(several)[3, 1] == pytest.approx(ours.log_prob(several[3, 1]))
    torch.manual_seed(0)
    once = ours.sample((2,))
    torch.manual_seed(0)
    assert torch.equal(ours.sample((2,)), once)


@pytest.mark.parametrize("make", EVERY)
def test_torchs_independent_makes_rows_one_event(make: Callable[[], RowDistribution]) -> None:
    ours = make()
    joint = Independent(ours, 1)
    assert joint.batch_shape == ()
    assert joint.event_shape == (N, *ours.event_shape)
    x = ours.sample((5,), rng=1)
    assert torch.allclose(joint.log_prob(x), ours.log_prob(x).sum(-1), rtol=1e-12)
    assert joint.rsample((7,)).shape == (7, N, *ours.event_shape)
    assert torch.equal(joint.mean, ours.mean)
    assert joint.has_rsample == ours.has_rsample


@pytest.mark.parametrize("make", EVERY)
def test_a_distribution_says_whether_gradients_pass(make: Callable[[], RowDistribution]) -> None:
    passing = {normal: True, full: True, continuous: True}
    assert make().has_rsample == passing.get(make, False)
    learnt = numbers(0, N, 2).requires_grad_()
    x = Columns((Normal(learnt, numbers(1, 1, 2)),))
    assert x.has_rsample
    assert not x.sample(rng=0).requires_grad
    x.rsample(rng=0).sum().backward()
    assert torch.equal(learnt.grad, torch.ones_like(learnt))


@pytest.mark.parametrize("make", [normal, full, mixture, coins, continuous, category])
def test_log_prob_mean_and_samples_are_torchs(make: Callable[[], RowDistribution]) -> None:
    ours = make()
    peer = torchs(ours)
    x = ours.sample((200,), rng=0)
    assert torch.allclose(ours.log_prob(x), peer.log_prob(x), atol=1e-9)
    assert torch.allclose(ours.mean, peer.mean, atol=1e-9)
    many = ours.rsample((20_000,), rng=1)
    spread = many.std(0) / 20_000**0.5
    assert bool(((many.mean(0) - ours.mean).abs() < 5 * spread + 1e-12).all())


PAIRS = [
    (normal(0), normal(1)),
    (normal(0), full(1)),
    (full(0), normal(1)),
    (full(0), full(1)),
    (coins(0), coins(1)),
    (continuous(0), continuous(1)),
    (category(0), category(1)),
]


def as_vectors(ours: RowDistribution) -> Distribution:
    """Diagonal normals as full ones, which torch compares with each other."""
    return torchs(FullNormal.of(ours) if isinstance(ours, Normal) else ours)


@pytest.mark.parametrize(("q", "p"), PAIRS)
def test_divergences_are_torchs(q: RowDistribution, p: RowDistribution) -> None:
    exact = kl_divergence(as_vectors(q), as_vectors(p))
    assert exact.shape == (N,)
    assert torch.allclose(kl_divergence(q, p), exact, atol=1e-9)
    joint = kl_divergence(Independent(q, 1), Independent(p, 1))
    assert torch.allclose(joint, exact.sum(), atol=1e-9)


@pytest.mark.parametrize(("q", "p"), PAIRS[:4])
def test_divergences_from_and_to_torchs_own_normals(q: RowDistribution, p: RowDistribution) -> None:
    exact = kl_divergence(q, p)
    assert torch.allclose(kl_divergence(torchs(q), p), exact, atol=1e-11)
    assert torch.allclose(kl_divergence(q, torchs(p)), exact, atol=1e-11)
    other = Independent(torch.distributions.Laplace(numbers(0, N, D), 1.0), 1)
    with pytest.raises(InvalidKind, match=r"got Independent\(Laplace\)"):
        kl_divergence(q, other)


@pytest.mark.parametrize(
    ("q", "p"), [(columns(0), columns(1)), (codes(0.5), codes(0.8)), (coins(0), coins(2))]
)
def test_divergences_are_mean_log_ratios(q: RowDistribution, p: RowDistribution) -> None:
    x = q.sample((40_000,), rng=0)
    ratio = q.log_prob(x) - p.log_prob(x)
    error = ratio.std(0) / 40_000**0.5
    assert bool(((kl_divergence(q, p) - ratio.mean(0)).abs() < 5 * error).all())
    assert bool((kl_divergence(q, p) > 0).all())
    assert torch.allclose(kl_divergence(q, q), LIKE, atol=1e-12)


def test_what_has_no_closed_form_or_other_outcomes_is_refused() -> None:
    for q, p in ((normal(), mixture()), (levels(), levels())):
        with pytest.raises(NotImplementedError):  # torch's own answer
            kl_divergence(q, p)
    one, other = (Bernoulli(numbers(0, N, D), None, torch.tensor(s)) for s in (0.5, 0.6))
    assert torch.equal(kl_divergence(one, one), torch.zeros(N, dtype=torch.float64))
    with pytest.raises(InvalidValue, match="ends of the two distributions differ"):
        kl_divergence(one, other)
    with pytest.raises(ShapeMismatch, match="same blocks of columns"):
        kl_divergence(columns(), Columns(columns().blocks[::-1]))
    with pytest.raises(ShapeMismatch, match="same blocks, got"):
        kl_divergence(codes(), StructuredCodes(N, 3, (3, 2), 2, LIKE))


@pytest.mark.parametrize("make", EVERY)
def test_expand_repeats_the_rows(make: Callable[[], RowDistribution]) -> None:
    ours = make()
    if isinstance(ours, (NormalMixture, StructuredCodes)):
        wide = ours.expand((9,))
        assert (wide.batch_shape, wide.event_shape) == ((9,), ours.event_shape)
        assert wide.rsample(rng=0).shape == (9, *ours.event_shape)
        with pytest.raises(ShapeMismatch, match="a batch of identical rows has one axis"):
            ours.expand((2, 9))
        return
    wide = ours.expand((5, N))
    assert (wide.batch_shape, wide.event_shape) == ((5, N), ours.event_shape)
    x = ours.sample((5,), rng=0)
    assert wide.log_prob(x).shape == (5, N)
    assert torch.allclose(wide.log_prob(x), ours.log_prob(x), rtol=1e-12)
    assert torch.equal(wide.mean[3], ours.mean)
    assert wide.rsample((2,), rng=0).shape == (2, 5, N, *ours.event_shape)
    again = wide.expand((3, 5, N))
    assert again.log_prob(x).shape == (3, 5, N)
    assert Independent(ours, 1).expand((6,)).log_prob(x[:1]).shape == (6,)
    if not isinstance(ours, DiscretisedLogistic):
        assert kl_divergence(wide, wide).shape == (5, N)
