"""The Laplacian pyramid and its inverse."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.nets.pyramids import compose, decompose, expand, level_sizes, shrink

SIZES = [(32, 32), (33, 17), (5, 1), (48, 7)]


def _levels(channels: int, size: tuple[int, int]) -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, channels, *size), generator=stream)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_the_inverse_is_exact(channels: int, size: tuple[int, int], depth: int) -> None:
    """L1 of the references: to the last bit of levels in double precision."""
    x = _levels(channels, size).double()
    *residuals, coarse = decompose(x, depth)
    assert torch.equal(compose([*residuals, coarse]), x)
    rounded = torch.rand(2, channels, *size)
    torch.testing.assert_close(compose(decompose(rounded, depth)), rounded, rtol=0, atol=1e-6)
    exact = rounded.double() * torch.pi
    torch.testing.assert_close(compose(decompose(exact, depth)), exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", SIZES)
def test_zero_residuals_leave_the_enlarged_coarse_image(size: tuple[int, int]) -> None:
    x = _levels(3, size).double()
    first, coarse = decompose(x, 1)
    assert torch.equal(compose([torch.zeros_like(first), coarse]), expand(coarse, size))
    assert first.abs().mean() > 1, "there is detail that is missing"


def test_halves_are_means_of_squares_and_doubles_go_linearly_between_them() -> None:
    x = torch.tensor([[[[0.0, 4, 8], [2, 2, 4], [6, 10, 1]]]])
    assert shrink(x).tolist() == [[[[2.0, 6.0], [8.0, 1.0]]]]
    ramp = torch.arange(4.0).reshape(1, 1, 1, 4)
    assert expand(ramp, (1, 7)).flatten().tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75]
    constant = torch.full((1, 1, 9, 5), 7.0)
    assert all(not h.any() for h in decompose(constant, 3)[:-1])


def test_sides_are_rounded_up_and_levels_have_an_end() -> None:
    assert level_sizes((33, 6), 3) == [(33, 6), (17, 3), (9, 2), (5, 1)]
    with pytest.raises(pf.InvalidValue, match="4x3 pixels can be halved 2 times, got depth=3"):
        decompose(torch.zeros(1, 1, 4, 3), 3)
