"""Warps by handles: where handles arrive, what stays, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.latent import warp


def positions(height: int, width: int) -> Tensor:
    """An image whose levels say where each pixel is: x and y."""
    down, across = torch.meshgrid(
        torch.arange(height).double(), torch.arange(width).double(), indexing="ij"
    )
    return torch.stack([across, down])


def random_places(k: int, height: int, width: int, rng: torch.Generator) -> Tensor:
    """Pixels (k, 2) in different columns."""
    x, y = (torch.randperm(side, generator=rng)[:k] for side in (width, height))
    return torch.stack([x, y], 1).double()


@pytest.mark.parametrize("size", [(16, 16), (28, 40), (64, 64), (97, 33)])
@pytest.mark.parametrize("k", [1, 2, 6])
@pytest.mark.parametrize("frame", [True, False])
def test_handles_arrive_at_their_targets(size: tuple[int, int], k: int, frame: bool) -> None:
    rng = torch.Generator().manual_seed(k)
    for _ in range(5):
        q, p = (random_places(k, *size, rng) for _ in range(2))
        warped = warp(positions(*size), q, p, frame=frame)
        x, y = p.long().T
        torch.testing.assert_close(warped[:, y, x].T, q, atol=1e-6, rtol=0)


@pytest.mark.parametrize("k", [1, 3])
def test_nothing_moved_is_the_same_image(k: int) -> None:
    x = torch.rand(2, 3, 20, 30)
    q = random_places(k, 20, 30, torch.Generator().manual_seed(0))
    assert torch.equal(warp(x, q, q), x)
    turned = warp(positions(20, 30), q, q + 1e-9)
    torch.testing.assert_close(turned, positions(20, 30), atol=1e-6, rtol=0)


def test_the_frame_stays_and_without_it_one_handle_shifts_all() -> None:
    at, (q, p) = positions(33, 33), torch.tensor([[[10.0, 12.0]], [[16.0, 15.0]]])
    framed = warp(at, q, p)
    for x, y in [(0, 0), (32, 0), (0, 32), (32, 32), (16, 0), (32, 16)]:
        assert framed[:, y, x].tolist() == pytest.approx([x, y], abs=1e-6)
    shifted = warp(at, q, p, frame=False)[:, 10:25, 10:25]
    torch.testing.assert_close(
        shifted, at[:, 10:25, 10:25] - torch.tensor([6.0, 3.0]).double()[:, None, None]
    )


def test_handles_that_turn_turn_the_image() -> None:
    """As rigid as possible: three handles turned by a right angle turn everything between them."""
    at = positions(41, 41)
    q = torch.tensor([[10.0, 20.0], [30.0, 20.0], [20.0, 10.0]])
    p = torch.tensor([[20.0, 10.0], [20.0, 30.0], [30.0, 20.0]])
    inner = warp(at, q, p, frame=False)[:, 5:36, 5:36]
    x, y = at[:, 5:36, 5:36]
    torch.testing.assert_close(inner, torch.stack([y, 40 - x]), atol=1e-6, rtol=0)


def test_warps_are_smooth() -> None:
    at = positions(65, 65)
    moved = warp(at, [[32.0, 32.0]], [[36.0, 32.0]]) - at
    assert float(moved.diff(dim=1).abs().max()) < 0.5
    assert float(moved.diff(dim=2).abs().max()) < 0.5


@pytest.mark.parametrize(
    ("q", "p", "error", "message"),
    [
        ([[1.0, 1.0]], [[16.0, 1.0]], pf.InvalidValue, "targets must lie in the image, 0 to 15"),
        ([[-1.0, 1.0]], [[1.0, 1.0]], pf.InvalidValue, "handles must lie in the image"),
        ([[float("nan"), 1.0]], [[1.0, 1.0]], pf.InvalidValue, "must lie in the image"),
        ([[1.0, 1.0]], [[1.0, 1.0], [2.0, 2.0]], pf.ShapeMismatch, "needs one target, got 1 and 2"),
        ([1.0, 1.0], [[1.0, 1.0]], pf.ShapeMismatch, r"handles must have shape \(k, 2\)"),
        ([[1.0, 1.0], [5.0, 5.0]], [[3.0, 3.0], [3.0, 3.0]], pf.InvalidValue, "one target; move"),
    ],
)
def test_impossible_drags_are_refused(q: list, p: list, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        warp(torch.zeros(1, 16, 16), q, p)


def test_other_than_images_are_refused() -> None:
    with pytest.raises(pf.ShapeMismatch, match="of floating type, got"):
        warp(torch.zeros(1, 8, 8, dtype=torch.uint8), [[1.0, 1.0]], [[2.0, 2.0]])
