"""The distribution of structured codes against its parts."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.densities.codes import StructuredCodes
from pushforward.densities.normals import Normal

LIKE = torch.zeros(1, dtype=torch.float64)


def distribution(n: int = 4000) -> StructuredCodes:
    return StructuredCodes(n, 2, (3, 2), 2, LIKE)


def test_draws_have_the_distributions_of_their_blocks() -> None:
    z = distribution().rsample(rng=0)
    assert z.shape == (4000, 9)
    assert z.dtype == torch.float64
    noise, (three, two), numbers = distribution().parts(z)
    for block, k in ((three, 3), (two, 2)):
        assert block.sum(1).eq(1).all()
        assert block.max(1).values.eq(1).all()
        assert torch.allclose(
            block.mean(0), torch.full((k,), 1 / k, dtype=torch.float64), atol=0.03
        )
    assert torch.allclose(noise.std(0), torch.ones(2, dtype=torch.float64), atol=0.05)
    assert float(numbers.abs().max()) <= 1
    assert torch.allclose(numbers.var(0), torch.full((2,), 1 / 3, dtype=torch.float64), atol=0.02)
    assert torch.allclose(z.mean(0), distribution().mean[0], atol=0.05)
    # one stream, not one seed
    assert abs(float(torch.corrcoef(torch.stack([numbers[:, 0], noise[:, 0]]))[0, 1])) < 0.05


def test_the_log_probability_by_hand() -> None:
    z = distribution(5).rsample(rng=0)
    expected = Normal.standard(1, 2, like=z).log_prob(z[:, :2]) - math.log(3 * 2) - 2 * math.log(2)
    assert torch.allclose(distribution().log_prob(z), expected)
    soft, far = z.clone(), z.clone()
    soft[:, 2:5] = 1 / 3
    far[:, -1] = 1.5
    assert (
        distribution().log_prob(soft).tolist()
        == distribution().log_prob(far).tolist()
        == [-math.inf] * 5
    )


def test_noise_may_be_narrower() -> None:
    narrow = StructuredCodes(4000, 2, (3, 2), 2, LIKE, scale=0.2)
    z, wide = narrow.rsample(rng=0), distribution().rsample(rng=0)
    assert torch.allclose(z[:, :2], 0.2 * wide[:, :2])
    assert torch.equal(z[:, 2:], wide[:, 2:])
    density = (
        torch.distributions.Normal(torch.zeros(2, dtype=torch.float64), 0.2)
        .log_prob(z[:, :2])
        .sum(1)
    )
    assert torch.allclose(narrow.log_prob(z), density - math.log(3 * 2) - 2 * math.log(2))


def test_entropies() -> None:
    assert distribution().entropies == pytest.approx((math.log(6), math.log(4)))
