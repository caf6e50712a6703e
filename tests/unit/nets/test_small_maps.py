"""Convolutions of small maps: the numbers and gradients of PyTorch's own, at every size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pushforward.nets import small_maps
from pushforward.nets.small_maps import Convolution, TransposedConvolution

SHAPES = [
    # (kernel, stride, padding), (height, width)
    ((4, 2, 1), (2, 2)),
    ((4, 2, 1), (4, 4)),
    ((4, 2, 1), (3, 5)),
    ((4, 1, 0), (4, 4)),
    ((3, 1, 1), (1, 1)),
    ((3, 1, 1), (3, 2)),
    ((5, 3, 2), (6, 4)),
    ((4, 2, 1), (32, 16)),  # large: PyTorch's own
]
PAIRS = [(Convolution, nn.Conv2d), (TransposedConvolution, nn.ConvTranspose2d)]


def _answers(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """The output and the gradients of the input and of every parameter."""
    x = x.clone().requires_grad_()
    y = layer(x)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
    (y * weights).sum().backward()
    return [y.detach(), *(p.grad for p in (x, *layer.parameters()) if p.grad is not None)]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("settings", "sides"), SHAPES)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_numbers_and_gradients_are_those_of_torch(
    ours: type[nn.Module],
    theirs: type[nn.Module],
    settings: tuple[int, int, int],
    sides: tuple[int, int],
    bias: bool,
    layout: torch.memory_format,
) -> None:
    layer, other = (kind(5, 7, *settings, bias=bias).double() for kind in (ours, theirs))
    other.load_state_dict(layer.state_dict())
    layer.to(memory_format=layout)
    x = torch.randn(3, 5, *sides, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mine, expected = _answers(layer, x), _answers(other, x)
    assert len(mine) == len(expected) == 3 + bias
    for one, two in zip(mine, expected, strict=True):
        assert one.shape == two.shape
        assert torch.allclose(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_small_maps_are_products_of_matrices_and_large_ones_are_not(
    ours: type[nn.Module], theirs: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, ...]] = []
    original = theirs.forward
    monkeypatch.setattr(
        theirs, "forward", lambda self, x, *rest: calls.append(x.shape) or original(self, x, *rest)
    )
    layer = ours(2, 3, 4, 2, 1)
    layer(torch.zeros(1, 2, 4, 4))
    assert not calls
    layer(torch.zeros(1, 2, 16, 16))
    assert calls == [(1, 2, 16, 16)]


@pytest.mark.parametrize("ours", [Convolution, TransposedConvolution])
def test_maps_stored_with_channels_last_and_empty_batches_are_taken(ours: type[nn.Module]) -> None:
    layer = ours(4, 6, 4, 2, 1)
    x = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    last = x.to(memory_format=torch.channels_last)
    assert torch.allclose(layer(last), layer(x), atol=1e-6)
    assert layer(x[:0]).shape == (0, *layer(x).shape[1:])
    assert small_maps.SMALL >= 4 * 4
