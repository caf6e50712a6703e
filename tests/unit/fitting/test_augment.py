"""Augmentations: what they do to numbers, and to their distribution."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.core.space import Space
from pushforward.fitting.augment import (
    Affine,
    Augment,
    Jitter,
    affine,
    binarise,
    crop,
    dequantise,
    flip,
    turn,
)


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


IMAGES = torch.arange(50 * 2 * 4 * 5, dtype=torch.float64).reshape(50, 1, 8, 5)
SPACE = Space.infer(torch.randint(0, 256, (9, 1, 8, 5), dtype=torch.uint8))


def test_dequantise_adds_uniform_noise_to_whole_numbers_only() -> None:
    x = torch.full((4000, 1, 8, 5), 7.0, dtype=torch.float64)
    noise = dequantise().apply(x, SPACE, _rng()) - x
    assert float(noise.min()) >= -0.5
    assert float(noise.max()) < 0.5
    assert float(noise.var()) == pytest.approx(1 / 12, rel=0.01)
    smooth = Space.infer(torch.rand(9, 1, 8, 5))
    assert torch.equal(dequantise().apply(x, smooth, _rng()), x)


def test_dequantise_leaves_continuous_columns_alone() -> None:
    pandas = pytest.importorskip("pandas")
    space = Space.infer(pandas.DataFrame({"count": np.arange(5), "length": np.linspace(0, 1, 5)}))
    x = torch.ones(100, 2)
    noisy = dequantise().apply(x, space, _rng())
    assert torch.equal(noisy[:, 1], x[:, 1])
    assert len(noisy[:, 0].unique()) > 90


def test_binarise_lights_each_pixel_with_its_own_probability() -> None:
    x = torch.tensor([0.0, 51.0, 255.0]).reshape(1, 1, 3, 1).expand(20000, 1, 3, 1)
    lit = binarise().apply(x, SPACE, _rng())
    assert set(lit.unique().tolist()) == {0.0, 255.0}
    assert (lit.mean(0).flatten() / 255).tolist() == pytest.approx([0, 0.2, 1], abs=0.01)


def test_flip_mirrors_its_share_of_the_images() -> None:
    many = IMAGES.repeat(40, 1, 1, 1)
    mirrored = [
        bool(torch.equal(a, b.flip(-1)))
        for a, b in zip(flip(share=0.25).apply(many, SPACE, _rng()), many)
    ]
    kept = [
        bool(torch.equal(a, b)) for a, b in zip(flip(share=0.25).apply(many, SPACE, _rng()), many)
    ]
    assert all(m != k for m, k in zip(mirrored, kept))
    assert sum(mirrored) / len(mirrored) == pytest.approx(0.25, abs=0.03)


def test_turn_turns_by_each_quarter_alike_often_and_a_smaller_copy_with_it() -> None:
    x = torch.rand(400, 1, 8, 8, generator=_rng())
    turned = turn().apply(x, SPACE, _rng(1))
    quarters = torch.stack([x.rot90(k, (-2, -1)) for k in range(4)])
    which = (quarters == turned).flatten(2).all(2)
    assert bool((which.sum(0) == 1).all())
    assert 70 < int(which.sum(1).min()) <= int(which.sum(1).max()) < 130
    small = torch.nn.functional.avg_pool2d(x, 2)
    again = turn().apply(small, SPACE, _rng(1))
    assert torch.allclose(again, torch.nn.functional.avg_pool2d(turned, 2))
    with pytest.raises(InvalidValue, match="turn takes square images, got 8x6; use flip"):
        turn().apply(x[..., :6], SPACE, _rng())


def test_crop_shifts_and_repeats_the_edge() -> None:
    shifted = crop(padding=1).apply(IMAGES, SPACE, _rng())
    found = set()
    for before, after in zip(IMAGES, shifted):
        padded = torch.nn.functional.pad(before[None], (1, 1, 1, 1), mode="replicate")[0]
        windows = {(i, j): padded[:, i : i + 8, j : j + 5] for i in range(3) for j in range(3)}
        matching = [at for at, window in windows.items() if torch.equal(window, after)]
        assert len(matching) == 1
        found.add(matching[0])
    assert len(found) == 9


def _spots(augment: object, at: tuple[float, float], n: int = 400) -> torch.Tensor:
    """Where a round spot, `at` pixels right and down of the middle
    of an image 32 high and 48 wide, is moved to: (n, 2).
    """
    down, right = torch.meshgrid(
        torch.arange(32.0) - 15.5, torch.arange(48.0) - 23.5, indexing="ij"
    )
    spot = torch.exp(-((right - at[0]) ** 2 + (down - at[1]) ** 2) / 8)
    moved = augment.apply(spot.expand(n, 1, 32, 48), SPACE, _rng())[:, 0]  # type: ignore[attr-defined]
    mass = moved.sum((1, 2))
    return torch.stack([(moved * right).sum((1, 2)) / mass, (moved * down).sum((1, 2)) / mass], 1)


NOTHING = {"degrees": 0.0, "shear": 0.0, "scale": 1.0, "shift": 0.0}


def test_affine_turns_about_the_middle_in_pixels() -> None:
    spots = _spots(affine(**{**NOTHING, "degrees": 30.0}), (8.0, 0.0))
    assert spots.norm(dim=1).tolist() == pytest.approx([8.0] * 400, abs=0.1)
    angles = torch.rad2deg(torch.atan2(spots[:, 1], spots[:, 0]))
    assert (float(angles.min()), float(angles.max())) == pytest.approx((-30, 30), abs=1)
    assert float(angles.std()) == pytest.approx(60 / 12**0.5, rel=0.1)


def test_affine_slants_resizes_and_shifts_by_as_much_as_is_asked() -> None:
    slanted = _spots(affine(**{**NOTHING, "shear": 0.5}), (0.0, 8.0))
    assert slanted[:, 1].tolist() == pytest.approx([8.0] * 400, abs=0.1)
    assert (float(slanted[:, 0].min()), float(slanted[:, 0].max())) == pytest.approx(
        (-4, 4), abs=0.1
    )
    sizes = _spots(affine(**{**NOTHING, "scale": 1.5}), (6.0, 6.0)) / 6
    assert torch.allclose(sizes[:, 0], sizes[:, 1], atol=0.02)
    assert (float(sizes.min()), float(sizes.max())) == pytest.approx((1 / 1.5, 1.5), abs=0.02)
    assert float(sizes.log().mean()) == pytest.approx(0, abs=0.03)
    shifted = _spots(affine(**{**NOTHING, "shift": 0.1}), (0.0, 0.0)).abs().amax(0)
    assert shifted.tolist() == pytest.approx([4.8, 3.2], abs=0.1)
    # moved, then resized
    first = _spots(affine(**{**NOTHING, "scale": 1.5, "shift": 0.1}), (0.0, 0.0)) / sizes.mean(
        1, keepdim=True
    )
    assert first.abs().amax(0).tolist() == pytest.approx([4.8, 3.2], abs=0.15)


def test_affine_turned_and_slanted_keeps_areas() -> None:
    both = affine(**{**NOTHING, "degrees": 40.0, "shear": 0.5})
    columns = torch.stack([_spots(both, (6.0, 0.0)), _spots(both, (0.0, 6.0))], 2) / 6
    assert torch.linalg.det(columns).tolist() == pytest.approx([1.0] * 400, abs=0.03)
    # slanted, not only turned
    assert float((columns[:, 0, 0] - columns[:, 1, 1]).abs().max()) > 0.2


def test_affine_that_does_nothing_changes_nothing_and_gradients_pass_through_it() -> None:
    assert torch.allclose(affine(**NOTHING).apply(IMAGES, SPACE, _rng()), IMAGES)
    x = IMAGES.clone().requires_grad_()
    affine().apply(x, SPACE, _rng()).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"degrees": -1}, "finite and not below 0, got -1"),
        ({"shift": float("inf")}, "shift must be finite"),
        ({"scale": 0.5}, "1 or more, .* got 0.5"),
    ],
)
def test_affine_refuses_settings_that_make_no_sense(setting: dict[str, float], why: str) -> None:
    with pytest.raises(InvalidValue, match=why):
        affine(**setting)


@pytest.mark.parametrize("augment", [dequantise(), binarise(), flip(), crop(padding=2), affine()])
def test_the_same_stream_gives_the_same_numbers(augment: object) -> None:
    first = augment.apply(IMAGES, SPACE, _rng(1))  # type: ignore[attr-defined]
    assert torch.equal(first, augment.apply(IMAGES, SPACE, _rng(1)))  # type: ignore[attr-defined]
    assert not torch.equal(first, augment.apply(IMAGES, SPACE, _rng(2)))  # type: ignore[attr-defined]
    assert first.dtype == IMAGES.dtype


@pytest.mark.parametrize("augment", [crop(), affine()])
def test_what_is_neither_image_nor_clip_is_refused(augment: object) -> None:
    with pytest.raises(ShapeMismatch, match=r"takes images .* or clips .*, got \(3, 8, 5\)"):
        augment.apply(torch.zeros(3, 8, 5), SPACE, _rng())  # type: ignore[attr-defined]


def test_images_are_needed_to_flip_and_crop() -> None:
    for augment in (flip(), turn(), crop(), affine()):
        with pytest.raises(
            InvalidValue,
            match="changes images or clips, but the data are points in 2 dimensions; leave it out",
        ):
            augment.apply(torch.zeros(3, 2), Space.infer(torch.zeros(3, 2)), _rng())


@pytest.mark.parametrize(
    "make",
    [
        lambda: flip(share=1.5),
        lambda: flip(share=-0.1),
        lambda: crop(padding=0),
        lambda: crop(padding=-4),
    ],
)
def test_what_is_out_of_range_is_refused(make: object) -> None:
    with pytest.raises(InvalidValue):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("change", [flip(), turn(), Jitter(), crop()])
def test_images_are_changed_alike_whatever_their_type(change: Augment) -> None:
    space = Space("images", (1, 8, 8), (), 0.0, 255.0, False)
    x = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 255
    one, two = (
        change.apply(x.to(dtype), space, torch.Generator().manual_seed(1))
        for dtype in (torch.float32, torch.float64)
    )
    assert torch.allclose(one.double(), two, atol=1e-3)
    assert not torch.allclose(one, x)


@pytest.mark.parametrize("augment", [Jitter(), Affine()])
def test_label_maps_keep_their_colours(augment: Augment) -> None:
    colours = torch.tensor([[0.0, 48, 252], [252, 80, 1], [250, 240, 4]])
    rng = torch.Generator().manual_seed(0)
    x = colours[torch.randint(3, (4, 16, 16), generator=rng)].movedim(-1, 1)
    plain = Space.infer(x.to(torch.uint8))
    palette = dataclasses.replace(plain, extra={"palette": colours.int().tolist()})

    def kinds(space: Space) -> int:
        made = augment.apply(x, space, torch.Generator().manual_seed(1))
        return len(made.movedim(1, -1).reshape(-1, 3).unique(dim=0))

    assert kinds(palette) == 3
    assert kinds(plain) > 100


def test_a_jittered_image_does_not_depend_on_the_others() -> None:
    space = Space("images", (1, 8, 8), (), 0.0, 255.0, False)
    x = 100 + torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 50
    other = x.clone()
    other[1:] = 255 * (other[1:] > 125)
    one, two = (
        Jitter().apply(each, space, torch.Generator().manual_seed(1)) for each in (x, other)
    )
    assert torch.equal(one[0], two[0])
