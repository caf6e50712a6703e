"""Masses on levels: sums to one, tails and narrow scales in both precisions,
draws, and bits per dimension.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.densities.levels import DiscretisedLogistic, bits_per_dimension

F64 = torch.float64


def centres(levels: int, dtype: torch.dtype = F64) -> Tensor:
    return (2 * torch.arange(levels, dtype=dtype)[:, None] + 1) / levels - 1


def distribution(
    location: float, log_scale: float, levels: int, dtype: torch.dtype = F64, n: int = 1
) -> DiscretisedLogistic:
    return DiscretisedLogistic(
        torch.full((n, 1), location, dtype=dtype),
        torch.full((1, 1), log_scale, dtype=dtype),
        levels,
    )


EXTREMES = [
    (0.1, -2.0),
    (0.0, -20.0),
    (-1.0, -7.0),
    (0.99999, -5.0),
    (3.0, -3.0),
    (-50.0, 0.0),
    (0.3, 5.0),
    (0.3, 30.0),
]


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize(("location", "log_scale"), EXTREMES)
def test_masses_sum_to_one(
    location: float, log_scale: float, levels: int, dtype: torch.dtype
) -> None:
    masses = distribution(location, log_scale, levels, dtype).log_prob(centres(levels, dtype)).exp()
    assert float(masses.sum()) == pytest.approx(1, abs=1e-12 if dtype == F64 else 2e-5)


@pytest.mark.parametrize(("location", "log_scale"), [(0.1, -2.0), (-0.4, -4.0), (0.9, 0.5)])
def test_masses_are_differences_of_the_distribution_function(
    location: float, log_scale: float
) -> None:
    edges = torch.linspace(-1, 1, 257, dtype=F64)
    below = torch.sigmoid((edges - location) / math.exp(log_scale))
    below[0], below[-1] = 0, 1
    masses = distribution(location, log_scale, 256).log_prob(centres(256)).exp()
    assert torch.allclose(masses, below.diff(), atol=1e-14)


def test_far_tails_are_the_exponential_distribution() -> None:
    """d cells away, log P falls by the cell's width over s each:
    no floor, where the difference of sigmoids is 0.
    """
    for dtype in (torch.float32, F64):
        found = distribution(-1.0, -4.0, 256, dtype).log_prob(centres(256, dtype))
        steps = found[100:250].diff()
        assert torch.allclose(steps, torch.full_like(steps, -2 / 256 * math.exp(4)), rtol=2e-4)
    assert float(found[254]) < -100


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_gradients_are_finite_in_the_tails_and_for_narrow_scales(dtype: torch.dtype) -> None:
    location = (
        torch.tensor([-1e3, -1.0, 0.0, 0.5, 1.0, 1e3], dtype=dtype)
        .reshape(-1, 1, 1)
        .requires_grad_()
    )
    log_scale = torch.linspace(-20, 20, 9, dtype=dtype).reshape(1, -1, 1).requires_grad_()
    for x in (-1 + 1 / 256, 1 / 256, 1 - 1 / 256):
        found = DiscretisedLogistic(
            location.expand(6, 9, 1), log_scale.expand(6, 9, 1), 256
        ).log_prob(torch.full((9, 1), x, dtype=dtype))
        assert bool(found.isfinite().all())
        assert bool((found <= 0).all())
        for slope in torch.autograd.grad(found.sum(), (location, log_scale)):
            assert bool(slope.isfinite().all())


def test_gradcheck_at_first_inner_and_last_levels() -> None:
    location = torch.tensor([[-0.3, 0.2, 0.8]], dtype=F64, requires_grad=True)
    log_scale = torch.tensor([[-1.0, -2.0, 0.5]], dtype=F64, requires_grad=True)
    x = centres(16)[[0, 7, 15]].T
    assert torch.autograd.gradcheck(
        lambda m, s: DiscretisedLogistic(m, s, 16).log_prob(x), (location, log_scale)
    )


@pytest.mark.parametrize(
    ("location", "log_scale"), [(0.1, -2.0), (-0.9, -1.0), (0.3, -9.0), (2.0, 0.0)]
)
def test_the_mean_is_exact_and_draws_follow_the_masses(location: float, log_scale: float) -> None:
    n, levels = 100_000, 16
    p = distribution(location, log_scale, levels)
    masses = p.log_prob(centres(levels)).exp()
    assert float(p.mean) == pytest.approx(float((masses * centres(levels)[:, 0]).sum()), abs=1e-13)
    draws = (
        distribution(location, log_scale, levels, torch.float32, n).rsample(rng=0)[:, 0].double()
    )
    level = ((draws + 1) * levels / 2 - 0.5).round().long()
    assert torch.allclose(draws, centres(levels)[level, 0], atol=1e-6)
    shares = torch.bincount(level, minlength=levels) / n
    assert bool(((shares - masses).abs() <= 4.5 * (masses * (1 - masses) / n).sqrt() + 1e-9).all())


def test_rows_and_draws_broadcast() -> None:
    stream = torch.Generator().manual_seed(0)
    location, log_scale = (
        torch.randn(4, 5, 2, 3, 3, generator=stream, dtype=F64) for _ in range(2)
    )
    x = centres(8)[torch.randint(8, (5, 2, 3, 3), generator=stream), 0]
    found = DiscretisedLogistic(location, log_scale, 8).log_prob(x)
    assert found.shape == (4, 5)
    assert torch.allclose(found[1], DiscretisedLogistic(location[1], log_scale[1], 8).log_prob(x))
    assert torch.allclose(
        DiscretisedLogistic(location[:, 2], log_scale[:, 2], 8).log_prob(x[2:3]), found[:, 2]
    )


def test_a_uniform_distribution_on_256_levels_has_8_bits() -> None:
    """The equal mixture of 256 distributions, each as good as certain of its own level."""
    x = centres(256)[torch.randint(256, (200, 1), generator=torch.Generator().manual_seed(0)), 0]
    certain = DiscretisedLogistic(centres(256)[:, None], torch.tensor([-8.0], dtype=F64), 256)
    nats = torch.logsumexp(certain.log_prob(x) - math.log(256), 0)
    assert nats.shape == (200,)
    assert torch.allclose(
        bits_per_dimension(nats, 1), torch.full((200,), 8.0, dtype=F64), atol=1e-6
    )
    assert bits_per_dimension(float(nats.sum()), 200) == pytest.approx(8, abs=1e-6)


def test_bits_per_dimension_needs_dimensions() -> None:
    assert bits_per_dimension(-784 * math.log(256), 784) == pytest.approx(8, abs=1e-12)
    with pytest.raises(pf.InvalidValue, match="dimensions must be at least 1, got 0"):
        bits_per_dimension(-1.0, 0)
