"""Paths and planes of codes."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.latent.paths import interpolate, plane

A, B = torch.tensor([3.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 3.0], dtype=torch.float64)


def test_both_paths_join_their_ends() -> None:
    for along in ("line", "sphere"):
        path = interpolate(A, B, 5, along=along)  # type: ignore[arg-type]
        assert torch.allclose(path[0], A, atol=1e-12)
        assert torch.allclose(path[-1], B, atol=1e-12)


def test_the_sphere_keeps_lengths_and_the_line_does_not() -> None:
    assert torch.allclose(interpolate(A, B, 5, along="sphere").norm(dim=1), torch.full((5,), 3.0, dtype=torch.float64))
    assert float(interpolate(A, B, 5)[2].norm()) == pytest.approx(3 / 2**0.5)


def test_parallel_codes_fall_back_to_the_line() -> None:
    assert torch.isfinite(interpolate(A, 2 * A, 5, along="sphere")).all()


def test_the_plane_spans_the_two_widest_directions() -> None:
    stream = torch.Generator().manual_seed(0)
    codes = torch.randn(5000, 4, generator=stream, dtype=torch.float64) * torch.tensor([0.1, 3.0, 0.1, 2.0]) + 5
    grid = plane(codes, 5, reach=2.0)
    assert grid.shape == (5, 5, 4)
    span = (grid.amax((0, 1)) - grid.amin((0, 1))).tolist()
    assert span == pytest.approx([0, 12, 0, 8], abs=0.6)
    assert torch.allclose(grid[2, 2], codes.mean(0))


@pytest.mark.parametrize("steps", [0, 1])
def test_too_short_a_path_is_refused(steps: int) -> None:
    with pytest.raises(pf.InvalidValue, match="at least 2 steps"):
        interpolate(A, B, steps)
