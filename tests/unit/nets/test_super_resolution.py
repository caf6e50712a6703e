"""Networks that enlarge: published counts, pixel shuffle, reach, and tiles that equal the whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.data.resampling import enlarge
from pushforward.nets.super_resolution import (
    EnlargingCritic,
    EnlargingNetwork,
    PlainEnlarger,
    in_tiles,
    shuffle_factors,
)

NETWORKS = [
    *((EnlargingNetwork, factor, 4) for factor in (2, 3, 4, 8)),
    *((PlainEnlarger, factor, 4) for factor in (2, 3, 4, 8)),
    *((PlainEnlarger, factor, 64) for factor in (3, 4, 8)),  # several shuffles
]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def alive(network: nn.Module) -> nn.Module:
    """The network with random weights in its last layer, too, where it begins with none."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and not bool(layer.weight.any()):
            nn.init.normal_(layer.weight, std=0.1)
    return network


def test_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in EnlargingNetwork().parameters()) == 1_549_462


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_pixel_shuffle_by_its_formula(factor: int) -> None:
    """S2: out[c, h·r+i, w·r+j] = in[c·r²+i·r+j, h, w], in every shuffle of the networks."""
    shuffles = [
        layer
        for network in (EnlargingNetwork(3, factor, 4, 1), PlainEnlarger(3, factor, 64, 1))
        for layer in network.last
        if isinstance(layer, nn.PixelShuffle)
    ]
    assert len(shuffles) == 2 * len(shuffle_factors(factor))
    for layer in shuffles:
        r = layer.upscale_factor
        x = normal(2, 3 * r * r, 4, 5)
        out = layer(x)
        for c, h, w, i, j in [(0, 0, 0, 0, 1), (1, 2, 3, 1, 0), (2, 3, 4, r - 1, r - 1)]:
            expected = x[:, c * r * r + i * r + j, h, w]
            assert torch.equal(out[:, c, h * r + i, w * r + j], expected)
        assert out.shape == (2, 3, 4 * r, 5 * r)


@pytest.mark.parametrize(("kind", "factor", "width"), NETWORKS)
def test_tiles_equal_the_whole(kind: type[nn.Module], factor: int, width: int) -> None:
    """With as many pixels around them as the network reaches, and not with one pixel fewer."""
    torch.manual_seed(0)
    network = alive(kind(3, factor, width, 2)).eval().double()
    y = normal(1, 3, 25, 61).double()
    with torch.no_grad():
        whole = network(y)
        tiled = in_tiles(network, y, factor, network.reach, 9)  # type: ignore[arg-type]
        short = in_tiles(network, y, factor, network.reach - 1, 9)  # type: ignore[operator]
    assert whole.shape == (1, 3, 25 * factor, 61 * factor)
    assert float((tiled - whole).abs().max()) < 1e-12
    assert float((short - whole).abs().max()) > 1e-7


def test_tiles_are_enough_in_single_precision_far_from_the_corner() -> None:
    torch.manual_seed(0)
    network = alive(PlainEnlarger(1, 3, 8, 1)).eval()
    y = normal(1, 1, 12, 4000)
    with torch.no_grad():
        tiled = in_tiles(network, y, 3, network.reach, 64)
        assert float((tiled - network(y)).abs().max()) < 1e-5


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_an_untrained_plain_network_is_bicubic_interpolation(factor: int) -> None:
    network = PlainEnlarger(3, factor, 4, 1)
    y = normal(2, 3, 9, 8)
    inner = (..., slice(2 * factor, -2 * factor), slice(2 * factor, -2 * factor))  # MATLAB mirrors
    assert torch.allclose(network.smooth(y)[inner], enlarge(y, factor)[inner], atol=1e-5)
    assert torch.equal(network(y), network.smooth(y))


def test_the_critic_judges_images_of_its_size() -> None:
    critic = EnlargingCritic((3, 24, 20), width=4, hidden=8)
    assert critic(normal(5, 3, 24, 20)).shape == (5, 1)


def test_other_factors_are_refused() -> None:
    with pytest.raises(pf.InvalidValue, match="factor must be one of 2, 3, 4, 8, got 5"):
        EnlargingNetwork(factor=5)
