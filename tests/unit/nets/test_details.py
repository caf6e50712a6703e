"""The networks that add detail: counts by hand, sizes, and what they see."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pushforward.nets.details import DetailGenerator, detail_critic


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_networks_for_cifar_have_these_parameters() -> None:
    """16 to 32 pixels in colour, by hand; with ten labels also a plane from each label."""
    makes = (4 * 49 * 64 + 64) + (64 * 49 * 64 + 64) + (64 * 25 * 3 + 3)
    judges = (3 * 25 * 64 + 64) + (64 * 25 * 64 + 64) + (64 * 12 * 12 + 1)
    event = (3, 32, 32)
    assert (_count(DetailGenerator(event)), _count(detail_critic(event))) == (makes, judges)
    assert (makes, judges) == (218_179, 116_545)
    plane = 10 * 32 * 32 + 32 * 32
    assert _count(DetailGenerator(event, 10)) == makes + 49 * 64 + plane
    assert _count(detail_critic(event, 10)) == judges + 25 * 64 + plane


@pytest.mark.parametrize("size", [(32, 32), (9, 40), (8, 13), (3, 1)])
@pytest.mark.parametrize("extra", [0, 2])
def test_any_size_fits(size: tuple[int, int], extra: int) -> None:
    x, y = torch.rand(2, 3, *size), torch.eye(2) if extra else None
    detail = DetailGenerator((3, *size), extra, 4)(torch.rand(2, 1, *size), x, y)
    assert detail.shape == x.shape
    assert detail_critic((3, *size), extra, 4)(x, y).shape == (2, 1)


def test_noise_coarse_image_and_condition_all_reach_the_detail() -> None:
    torch.manual_seed(0)
    network = DetailGenerator((1, 12, 12), 2, 4)
    z, x, y = torch.rand(1, 1, 12, 12), torch.rand(1, 1, 12, 12), torch.tensor([[1.0, 0.0]])
    before = network(z, x, y)
    assert not torch.equal(network(1 - z, x, y), before)
    assert not torch.equal(network(z, 1 - x, y), before)
    assert not torch.equal(network(z, x, 1 - y), before)
    critic = detail_critic((1, 12, 12), 2, 4).eval()
    assert not torch.equal(critic(x, y), critic(x, 1 - y))


def test_the_critic_drops_half_of_its_last_maps_in_training() -> None:
    torch.manual_seed(0)
    critic, x = detail_critic((1, 12, 12), 0, 8), torch.rand(4, 1, 12, 12)
    assert not torch.equal(critic(x), critic(x))
    critic.eval()
    assert torch.equal(critic(x), critic(x))
    assert [m.p for m in critic.modules() if isinstance(m, nn.Dropout)] == [0.5]
