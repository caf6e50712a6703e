"""Distributions of tables: numbers and one-hot categories side by side."""

from __future__ import annotations

import pytest
import torch

from pushforward.densities.columns import Columns, OneHot
from pushforward.densities.normals import Normal

F64 = torch.float64


def table(n: int = 1) -> Columns:
    one = OneHot(torch.tensor([[2.0, -1.0, 0.5]], dtype=F64).expand(n, -1))
    return Columns(
        (Normal(torch.full((n, 1), 0.3, dtype=F64), torch.tensor([[-0.5]], dtype=F64)), one)
    )


def test_a_number_and_a_category_integrate_to_one() -> None:
    grid = torch.linspace(-8, 9, 20_001, dtype=F64)[:, None]
    total = 0.0
    for k in range(3):
        x = torch.cat([grid, torch.eye(3, dtype=F64)[k].expand(len(grid), -1)], 1)
        total += float(torch.trapezoid(table().log_prob(x).exp(), grid[:, 0]))
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("logits", [[0.0, 0.0], [200.0, -200.0, 0.0], [1e-8, 3.0, -2.0, 5.0]])
def test_categories_are_torchs(logits: list[float]) -> None:
    p = torch.tensor([logits], dtype=F64, requires_grad=True)
    every = torch.eye(len(logits), dtype=F64)
    found = OneHot(p).log_prob(every)
    assert torch.allclose(
        found, torch.distributions.OneHotCategorical(logits=p).log_prob(every), atol=1e-12
    )
    assert float(found.detach().exp().sum()) == pytest.approx(1, abs=1e-12)
    assert torch.autograd.gradcheck(lambda t: OneHot(t).log_prob(every), p)


def test_draws_have_the_means() -> None:
    n = 100_000
    draws = table(n).rsample(rng=0)
    assert draws.shape == (n, 4)
    assert bool((draws[:, 1:].sum(1) == 1).all())
    mean = table().mean[0]
    error = (
        4.5
        * torch.cat([torch.tensor([0.7], dtype=F64), (mean[1:] * (1 - mean[1:])).sqrt()])
        / n**0.5
    )
    assert bool(((draws.mean(0) - mean).abs() < error).all())
    assert float(mean[1:].sum()) == pytest.approx(1)


def test_rows_and_draws_broadcast() -> None:
    stream = torch.Generator().manual_seed(0)
    distribution = Columns(
        (
            OneHot(torch.randn(6, 5, 3, generator=stream)),
            Normal(torch.randn(6, 5, 2, generator=stream), torch.zeros(1, 2)),
        )
    )
    x = torch.cat([torch.eye(3)[[0, 1, 2, 0, 1]], torch.randn(5, 2, generator=stream)], 1)
    found = distribution.log_prob(x)
    assert found.shape == (6, 5)
    one = Columns(
        (
            OneHot(distribution.blocks[0].mean[:, 2].log()),
            Normal(distribution.blocks[1].mean[:, 2], torch.zeros(1, 2)),
        )
    )
    assert torch.allclose(one.log_prob(x[2:3]), found[:, 2], atol=1e-5)
