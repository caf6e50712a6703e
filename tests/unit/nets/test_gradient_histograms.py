"""Histograms of oriented gradients: orientations, rotation, strength, derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.nets.gradient_histograms import gradient_histograms


def noise(*shape: int) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=rng, dtype=torch.float64)


def ramp(angle: float, side: int = 32) -> Tensor:
    """Brightness that grows in one direction, clockwise from the horizontal."""
    down, across = torch.meshgrid(*[torch.arange(side, dtype=torch.float64)] * 2, indexing="ij")
    level = across * math.cos(angle) + down * math.sin(angle)
    return (0.5 + 0.01 * level)[None, None]


@pytest.mark.parametrize("k", range(8))
@pytest.mark.parametrize("turn", [0, 1])
def test_a_gradient_is_in_the_bin_of_its_orientation(k: int, turn: int) -> None:
    h = gradient_histograms(ramp((k + 8 * turn) * math.pi / 8))
    inner = h[0, :, 1:-1, 1:-1].flatten(1).mean(1)
    assert int(inner.argmax()) == k
    assert float(inner[k]) > 0.3
    assert float(inner.sum() - inner[k]) < 1e-9
    between = gradient_histograms(ramp((k + 0.5) * math.pi / 8))[0, :, 1, 1]
    assert float(between[k]) == pytest.approx(float(between[(k + 1) % 8]), rel=1e-6)


@pytest.mark.parametrize("cell", [2, 4, 8])
def test_bins_rotate_with_the_picture(cell: int) -> None:
    x = noise(2, 1, 32, 32)
    rotated = gradient_histograms(x.rot90(1, (2, 3)), cell=cell)
    expected = gradient_histograms(x, cell=cell).rot90(1, (2, 3)).roll(4, 1)
    torch.testing.assert_close(rotated, expected, atol=1e-12, rtol=0)


def test_strokes_of_any_strength_say_the_same() -> None:
    x = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    x[..., 15:] = 1
    strong, half, none = (gradient_histograms(a * x) for a in (1.0, 0.5, 0.0))
    drawn = strong > 0.9
    assert int(drawn.sum()) == 8
    torch.testing.assert_close(strong[drawn], half[drawn], atol=0.1, rtol=0)
    assert float(none.abs().max()) == 0
    assert float(strong.square().sum(1).max()) < 1


def test_a_vote_is_shared_between_neighbouring_cells() -> None:
    x = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    x[..., 16, 16:] = 0.02  # a faint line from the corner of four cells
    h = gradient_histograms(x)[0].sum(0)
    assert float(h[1, 2]) > 0
    assert float(h[2, 1]) > 0
    assert float(h[0].abs().max()) == 0


def test_derivatives_are_finite_and_right() -> None:
    x = noise(1, 1, 8, 8).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: gradient_histograms(a, cell=4), (x,))
    flat = torch.zeros(1, 1, 8, 8, requires_grad=True)
    gradient_histograms(flat, cell=4).sum().backward()
    assert flat.grad is not None
    assert bool(flat.grad.isfinite().all())


def test_other_than_images_are_refused() -> None:
    with pytest.raises(pf.ShapeMismatch, match="at least 8x8 pixels, got"):
        gradient_histograms(torch.zeros(1, 1, 4, 9))
    with pytest.raises(pf.InvalidValue, match="2 or more"):
        gradient_histograms(torch.zeros(1, 1, 8, 8), orientations=1)
