"""Grids through the prior's quantiles."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.latent import CodeDistribution, decode, grid, grid_codes

DISTRIBUTION = CodeDistribution(
    torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64),
    torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64),
)


def test_every_cell_has_the_same_share_of_the_prior() -> None:
    codes = grid_codes(DISTRIBUTION, 4)
    assert codes.shape == (4, 4, 3)
    expected = [NormalDist().inv_cdf(p) for p in (0.125, 0.375, 0.625, 0.875)]
    assert codes[0, :, 0].tolist() == pytest.approx(expected)
    assert codes[:, 0, 1].tolist() == pytest.approx([1 + 2 * v for v in reversed(expected)])
    assert bool((codes[..., 2] == -1).all())


def test_a_reach_gives_equal_steps() -> None:
    codes = grid_codes(DISTRIBUTION, 20, reach=3.0)
    assert torch.allclose(codes[5, :, 0], torch.linspace(-3, 3, 20, dtype=torch.float64))
    assert torch.allclose(codes[:, 5, 1], 1 + 2 * torch.linspace(3, -3, 20, dtype=torch.float64))


def test_other_dimensions_stay_at_the_code_given() -> None:
    at = torch.tensor([7.0, 8.0, 9.0])
    codes = grid_codes(DISTRIBUTION, 3, dims=(2, 0), at=at)
    assert bool((codes[..., 1] == 8).all())
    assert bool((codes[..., 2].diff(dim=1) > 0).all())
    assert bool((codes[..., 0].diff(dim=0) < 0).all())
    assert grid_codes(DISTRIBUTION, 5, dims=(1,)).shape == (1, 5, 3)


def test_a_grid_is_decoded_in_place(fitted: dict[str, Any]) -> None:
    for name in ("pca", "vae", "gan"):
        model = fitted[name]
        laid = grid(model, 3)
        assert laid.x.shape == (3, 3, 4)
        assert torch.allclose(
            laid.x[1, 2], model.decode(laid.codes[1, 2][None])[0].detach(), atol=1e-6
        )
        assert not laid.x.requires_grad
    conditional = fitted["conditional"]
    zero, one = (grid(conditional, 3, y=torch.tensor([c])).x for c in (0, 1))
    assert not torch.allclose(zero, one)


def test_large_grids_are_decoded_in_blocks(fitted: dict[str, Any]) -> None:
    laid = grid(fitted["vae"], 40)
    assert torch.allclose(
        laid.x[39, 39], fitted["vae"].decode(laid.codes[39, 39][None])[0].detach(), atol=1e-6
    )


def test_a_condition_for_each_code_stays_with_its_code(fitted: dict[str, Any]) -> None:
    codes, y = torch.zeros(3, 700, 2), torch.arange(2100) // 1500
    x = decode(fitted["conditional"], codes, y).x.flatten(0, 1)
    assert torch.allclose(x[:1500], x[:1], atol=1e-5)
    assert torch.allclose(x[1500:], x[-1:], atol=1e-5)
    assert not torch.allclose(x[0], x[-1], atol=1e-3)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"dims": (0, 3)}, "no latent dimension 3: codes have 3"),
        ({"dims": (1, 1)}, "one or two different dimensions"),
        ({"dims": (0, 1, 2)}, "one or two different dimensions"),
        ({"steps": 0}, "steps must be above 0, got 0"),
        ({"reach": -1.0}, r"reach must be above 0, got -1\.0"),
        ({"at": torch.zeros(2)}, "expected one code of 3 numbers"),
    ],
)
def test_grids_that_do_not_fit_are_refused(how: dict[str, Any], said: str) -> None:
    with pytest.raises((pf.InvalidValue, pf.ShapeMismatch), match=said):
        grid_codes(DISTRIBUTION, **how)
