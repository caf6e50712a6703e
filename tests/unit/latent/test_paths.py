"""Paths and planes of codes."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.latent.paths import between, interpolate, plane, walk

A, B = torch.tensor([3.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 3.0], dtype=torch.float64)


def test_both_paths_join_their_ends() -> None:
    for along in ("line", "sphere"):
        path = interpolate(A, B, 5, along=along)
        assert torch.allclose(path[0], A, atol=1e-12)
        assert torch.allclose(path[-1], B, atol=1e-12)


def test_the_sphere_keeps_lengths_and_the_line_does_not() -> None:
    assert torch.allclose(
        interpolate(A, B, 5, along="sphere").norm(dim=1), torch.full((5,), 3.0, dtype=torch.float64)
    )
    assert float(interpolate(A, B, 5)[2].norm()) == pytest.approx(3 / 2**0.5)


def test_parallel_codes_fall_back_to_the_line() -> None:
    assert torch.isfinite(interpolate(A, 2 * A, 5, along="sphere")).all()


def test_the_plane_spans_the_two_widest_directions() -> None:
    stream = torch.Generator().manual_seed(0)
    codes = (
        torch.randn(5000, 4, generator=stream, dtype=torch.float64)
        * torch.tensor([0.1, 3.0, 0.1, 2.0])
        + 5
    )
    grid = plane(codes, 5, reach=2.0)
    assert grid.shape == (5, 5, 4)
    span = (grid.amax((0, 1)) - grid.amin((0, 1))).tolist()
    assert span == pytest.approx([0, 12, 0, 8], abs=0.6)
    assert torch.allclose(grid[2, 2], codes.mean(0))


@pytest.mark.parametrize("steps", [0, 1])
def test_too_short_a_path_is_refused(steps: int) -> None:
    with pytest.raises(pf.InvalidValue, match="at least 2 steps"):
        interpolate(A, B, steps)


def test_many_paths_at_once_are_the_paths_one_by_one() -> None:
    stream = torch.Generator().manual_seed(1)
    a, b = (torch.randn(6, 4, generator=stream, dtype=torch.float64) for _ in range(2))
    for along in ("line", "sphere"):
        together = interpolate(a, b, 7, along=along)
        assert together.shape == (7, 6, 4)
        for i in range(6):
            assert torch.allclose(
                together[:, i], interpolate(a[i], b[i], 7, along=along), atol=1e-12
            )


def test_the_sphere_turns_evenly_and_keeps_lengths_between_those_of_the_ends() -> None:
    # nearly opposite: weighing the codes themselves reaches 100 here
    end = 5 * torch.tensor([-1.0, 0.02], dtype=torch.float64)
    path = interpolate(A, end, 51, along="sphere")
    assert torch.allclose(
        path.norm(dim=1), torch.linspace(3, float(end.norm()), 51, dtype=torch.float64)
    )
    turned = torch.nn.functional.cosine_similarity(path[1:], path[:-1]).acos()
    assert torch.allclose(turned, turned.mean().expand(50), atol=1e-9)


def test_codes_without_a_way_round_take_the_line() -> None:
    for end in (-A, torch.zeros_like(A)):
        assert torch.allclose(interpolate(A, end, 5, along="sphere"), interpolate(A, end, 5))


def test_other_ways_and_ends_of_other_shapes_are_refused() -> None:
    with pytest.raises(pf.InvalidValue, match="'line' or 'sphere', got 'arc'"):
        interpolate(A, B, 5, along="arc")
    with pytest.raises(pf.ShapeMismatch, match="codes of one shape"):
        interpolate(A, torch.zeros(3, dtype=torch.float64))


def test_between_observations_pca_s_straight_path_is_straight_in_the_data() -> None:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = pf.PCA().fit(x)
    path = between(model, x[:2], x[2:4], 5)
    assert path.codes.shape == (5, 2, 3)
    assert torch.allclose(path.x, interpolate(x[:2], x[2:4], 5), atol=1e-10)
    assert torch.allclose(between(model, x[0], x[2], 5).x[:, 0], path.x[:, 0])
    with pytest.raises(pf.InvalidKind, match="GMM cannot both encode and decode"):
        between(pf.GMM(1).fit(x), x[0], x[1])


@pytest.mark.parametrize("along", ["line", "sphere"])
def test_a_walk_passes_every_stop_once_and_can_be_repeated(along: str) -> None:
    stops = torch.tensor([[3.0, 0], [0, 3], [-3, 0.5]], dtype=torch.float64)
    codes = walk(stops, 4, along=along)  # type: ignore[arg-type]
    assert codes.shape == (12, 2)
    assert torch.allclose(codes[::4], stops)
    assert torch.allclose(codes[8:], interpolate(stops[2], stops[0], 5, along=along)[:-1])  # type: ignore[arg-type]
    opened = walk(stops, 4, along=along, closed=False)  # type: ignore[arg-type]
    assert torch.equal(opened[:8], codes[:8])
    assert torch.equal(opened[8:], stops[2:])


def test_walks_without_stops_or_steps_are_refused() -> None:
    with pytest.raises(pf.ShapeMismatch, match="at least 2 codes"):
        walk(A[None])
    with pytest.raises(pf.InvalidValue, match="at least 1 step"):
        walk(torch.stack([A, B]), 0)
