"""Motion, consistency, masks and movement of clips, with values known by hand."""

from __future__ import annotations

import pytest
import torch

from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch
from pushforward.data.formats.moving_shapes import moving_shapes
from pushforward.metrics.clips import (
    consistency,
    frames,
    masks,
    motion,
    motion_energy,
    movement,
    moving_pixels,
)
from pushforward.metrics.feature_names import find_features
from pushforward.metrics.scores import scores


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_motion_is_a_share_of_that_of_the_data() -> None:
    x = torch.zeros(6, 1, 3, 8, 8)
    x[:, :, 1] = 0.5
    assert torch.allclose(motion_energy(x), torch.full((6,), 0.25))
    record = motion(x, x / 2, low=0, high=1, stride=2, frame_rate=8)
    assert record.value == pytest.approx(0.25)
    assert record.details["frames"] == 3
    assert record.details["stride"] == 2
    assert record.details["length"] == 5
    assert record.details["frame_rate"] == 8
    assert "3 frames 8×8, stride 2" in record.details["features"]
    assert motion(255 * x, 255 * x, low=0, high=255).value == pytest.approx(1)


def test_the_error_of_the_motion_covers_its_spread() -> None:
    """Ratios of many pairs of small sets vary as the error bars say."""
    stream = rng()
    ratios, errors = [], []
    for _ in range(60):
        x, y = (torch.rand(40, 1, 2, 2, 2, generator=stream) for _ in range(2))
        record = motion(x, y, low=0, high=1)
        ratios.append(record.value)
        errors.append(record.error)
    spread = float(torch.tensor(ratios).std())
    assert spread == pytest.approx(sum(errors) / 60, rel=0.3)


def test_consistency_is_von_neumanns() -> None:
    stream = rng()
    noise = torch.rand(20, 1, 16, 8, 8, generator=stream)
    assert abs(consistency(noise, noise, low=0, high=1).value) < 0.02
    ramp = torch.linspace(0, 1, 16)[None, None, :, None, None].expand(20, 1, 16, 8, 8)
    # 1 - (1/15)² / (mean over pairs of (i - j)²/15²) = 1 - 6 / (16 · 17)
    assert consistency(ramp, ramp, low=0, high=1).value == pytest.approx(1 - 6 / (16 * 17))
    shuffled = ramp[:, :, torch.randperm(16, generator=stream)]
    record = consistency(ramp, shuffled, low=0, high=1)
    assert record.value < 0.5
    assert record.details["truth"] == pytest.approx(1 - 6 / (16 * 17))
    still = torch.ones(4, 1, 5, 8, 8)
    assert consistency(still, still, low=0, high=1).value == 1


def test_masks_of_shapes_cover_what_moves() -> None:
    made = moving_shapes(40, seed=4)
    measured = {r.quantity: r for r in masks(made.clips, made.masks, low=0, high=255)}
    assert measured["mask IoU"].value > 0.8
    assert measured["mask"].value == pytest.approx(float(made.masks.mean()), rel=1e-5)
    # pixels beside the shape at one time are under it at others
    assert measured["background variance"].value < 0.5 * measured["foreground variance"].value
    wrong = {r.quantity: r for r in masks(made.clips, 1 - made.masks, low=0, high=255)}
    assert wrong["mask IoU"].value < 0.1
    assert wrong["background variance"].value == measured["foreground variance"].value
    whole = masks(made.clips, torch.ones_like(made.masks), low=0, high=255)
    moves = moving_pixels(made.clips.double() / 255)
    assert whole[1].value == pytest.approx(float(moves.double().flatten(1).mean(1).mean()))


def test_masks_of_clips_that_stand_still() -> None:
    x = torch.ones(3, 1, 4, 8, 8)
    nothing = {r.quantity for r in masks(x, torch.zeros(3, 1, 4, 8, 8), low=0, high=1)}
    assert nothing == {"mask", "foreground variance", "background variance"}


def test_frames_are_taken_in_turn() -> None:
    """Frame i mod t of clip i, and on from block to block."""
    x = torch.zeros(5000, 1, 3, 2, 2)
    for t in range(3):
        x[:, :, t] = float(t)
    x = x + 0.01 * torch.rand(x.shape, generator=rng())
    space = frames(x, 1)
    values = space(x)[:, 0]
    steps = values.reshape(-1)[:4998].reshape(-1, 3)
    order = steps.argsort(1)
    assert bool((order == order[:1]).all())
    assert "frames of pca(1)" in space.label
    assert space.fingerprint


def test_movement_sees_where_and_when() -> None:
    x = moving_shapes(80, seed=5).clips
    space = movement(x)
    assert space(x).shape == (80, 20)
    still = x[:, :, :1].expand(-1, -1, 16, -1, -1)
    assert float(space(still).var(0).sum()) < 1e-9
    assert float(space(x).var(0).sum()) > 1
    backwards = x.flip(2)
    assert float((space(x) - space(backwards)).abs().mean()) > 0.1


@pytest.mark.parametrize("name", ["frames", "movement", "frames(5)", "movement(5)"])
def test_fid_in_features_of_clips_finds_what_differs(name: str) -> None:
    x, y = (moving_shapes(120, seed=s).clips for s in (6, 7))
    frozen = y[:, :, :1].expand_as(y)
    space = find_features(name, x)
    same, other = (
        scores(x, z, space, metrics=["fid"], rng=0)[0].value for z in (y, frozen.contiguous())
    )
    if name.startswith("movement"):
        assert other > 3 * same
    assert "5)" in space.label or "(5" not in name


def test_scores_of_clips() -> None:
    x, y = (moving_shapes(20, seed=s).clips for s in (6, 7))
    found = scores(x, y, metrics=["motion", "consistency"], clips={"low": 0, "high": 255})
    assert [r.quantity for r in found] == ["motion", "consistency"]


def test_what_is_no_clip_is_refused() -> None:
    images = torch.rand(4, 1, 8, 8)
    with pytest.raises(ShapeMismatch, match=r"this metric is of clips .*, got \(4, 1, 8, 8\)"):
        motion(images, images)
    with pytest.raises(ShapeMismatch):
        motion(torch.rand(4, 1, 4, 8, 8), torch.rand(4, 1, 5, 8, 8))
    with pytest.raises(InvalidValue, match="the real clips do not move"):
        motion(torch.ones(4, 1, 4, 8, 8), torch.rand(4, 1, 4, 8, 8), low=0, high=1)
    with pytest.raises(InvalidKind, match=r"these features are of clips .*; use raw or pca"):
        frames(images)
