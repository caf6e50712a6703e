"""The U-Net and the critic of patches: published counts, receptive fields, skips, sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.nets.unet import PatchCritic, UNet, patch_layers, receptive_field, unet_depth


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_published_numbers_of_parameters() -> None:
    for norm in ("instance", "batch"):
        assert count(UNet(3, 3, unet_depth((256, 256)), norm=norm)) == 54_413_955  # type: ignore[arg-type]
        assert count(PatchCritic(6, norm=norm)) == 2_768_705  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layers", "size"), [(0, 1), (1, 16), (2, 34), (3, 70), (4, 142), (5, 286)]
)
def test_the_receptive_field_is_the_support_of_the_gradient(layers: int, size: int) -> None:
    assert receptive_field(layers) == size
    critic = PatchCritic(1, layers, width=1).eval()
    for layer in critic.modules():  # statistics of the image would reach everywhere
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1.0)
    critic.layers = nn.Sequential(
        *(layer for layer in critic.layers if not isinstance(layer, nn.InstanceNorm2d))
    )
    side = size + 64
    x = torch.ones(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    scores = critic.double()(x)
    middle = scores.shape[-1] // 2
    (gradient,) = torch.autograd.grad(scores[0, middle, middle], x)
    reached = gradient[0, 0].abs().sum(0).nonzero().flatten()
    assert int(reached[-1] - reached[0]) + 1 == size


def test_severing_a_skip_changes_the_output() -> None:
    network = UNet(1, 1, 4, width=4).eval()
    y = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = network(y)
    last = network.up[-1][1]
    with torch.no_grad():
        last.weight[network.up[-2][1].weight.shape[1] :] = 0  # what comes from the first map down
    assert (network(y) - whole).abs().max() > 1e-4


def test_images_of_any_size_keep_it() -> None:
    network = UNet(2, 3, 3, width=4).eval()
    for size in ((8, 8), (9, 31), (16, 5)):
        assert network(torch.randn(1, 2, *size)).shape == (1, 3, *size)
    with pytest.raises(pf.InvalidValue, match="at least 5 pixels a side, got 4x8"):
        network(torch.randn(1, 2, 4, 8))
    y = torch.randn(1, 2, 16, 16)
    inner = torch.cat([y, y.flip(-1)], -1)  # a multiple of the stride is not padded
    assert network(inner).shape == (1, 3, 16, 32)


def test_depth_and_layers_follow_the_size() -> None:
    assert [unet_depth((s, 300)) for s in (2, 3, 64, 65, 256, 1000)] == [1, 1, 6, 6, 8, 8]
    assert [patch_layers(s, s) for s in (8, 16, 31, 32, 256)] == [1, 2, 2, 3, 3]
    with pytest.raises(pf.InvalidValue, match="at least 8x8"):
        patch_layers(7, 20)
    for size in (8, 16, 31, 32):
        assert (
            min(PatchCritic(1, patch_layers(size, size), 2)(torch.randn(1, 1, size, size)).shape)
            >= 1
        )


def test_each_image_is_judged_and_translated_by_itself() -> None:
    network, critic = UNet(1, 1, 3, width=4, dropout=0.0).train(), PatchCritic(2, 2, 4).train()
    y = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(y)[1:2], network(y[1:2]))
    torch.testing.assert_close(critic(y, y)[1:2], critic(y[1:2], y[1:2]))


def test_conditions_of_another_size_are_resized_for_the_critic() -> None:
    critic = PatchCritic(4, 2, 4)
    assert critic(torch.randn(2, 1, 16, 16), torch.randn(2, 3, 8, 8)).shape == (2, 2, 2)
