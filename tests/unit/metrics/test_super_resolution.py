"""Enlarged images beside the originals: the protocol by hand, and the published numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import pushforward as pf
from pushforward.data.resampling import enlarge
from pushforward.metrics.super_resolution import (
    Enlarged,
    brightness,
    enlargement_records,
    reduced,
)


def noise(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, channels, height, width), generator=stream).to(torch.uint8)


def test_brightness_is_that_of_bt601_in_whole_levels() -> None:
    pure = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
    shades = brightness(pure.to(torch.uint8).T[None, :, :, None])[0, 0, :, 0]
    assert shades.tolist() == [16, 235, 81, 145, 41]
    grey = noise(1, 3, 4)
    assert torch.equal(brightness(grey), grey), "grey images are not converted"


def test_images_are_cut_to_a_multiple_before_they_are_reduced() -> None:
    x = noise(3, 14, 19)
    real, small = reduced(x, 4)
    assert torch.equal(real, x[..., :12, :16])
    assert small.shape == (1, 3, 3, 4)
    with pytest.raises(pf.BadSource, match="an image of 3×19 cannot be reduced 4 times"):
        reduced(x[..., :3, :], 4)


def test_the_border_of_the_factor_is_left_out_and_images_count_alike() -> None:
    """By hand: two images of different sizes, one of them wrong on its border only."""
    one, two = noise(1, 20, 24), noise(1, 40, 30, seed=1)
    wrong = one.clone()
    wrong[..., :2, :] = 255 - wrong[..., :2, :]
    other = (two.int() + 3).clamp(max=255).to(torch.uint8)
    found = {
        r.quantity: r
        for r in enlargement_records([(one, one // 2, wrong), (two, other, other)], 2, "two")
    }
    inner = (other.double() - two.double())[..., 2:-2, 2:-2].square().mean()
    dark = (one.double() - (one // 2).double())[..., 2:-2, 2:-2].square().mean()
    decibels = [float(10 * (255**2 / error).log10()) for error in (dark, inner)]
    assert found["psnr"].value == pytest.approx(np.mean(decibels), abs=1e-9)
    assert found["psnr of bicubic"].value == float("inf"), "its error lies within the border"
    assert found["psnr"].details["factor"] == 2
    assert "Y (BT.601) in whole levels, crop 2" in found["ssim"].details["features"]
    assert found["ssim"].data == "two"
    assert found["ssim_daala"].n == 2


def test_ssim_is_left_out_for_small_images() -> None:
    tiny = noise(3, 12, 12)
    names = [r.quantity for r in enlargement_records([(tiny, tiny // 2, tiny)], 2, "")]
    assert names == ["psnr", "ssim_daala", "psnr of bicubic", "ssim_daala of bicubic"]
    with pytest.raises(pf.BadSource, match="nothing within a border of 6 pixels"):
        enlargement_records([(tiny, tiny, tiny)], 6, "")


@pytest.mark.skipif(
    not os.environ.get("PUSHFORWARD_DATA"),
    reason="needs the real data sets: set PUSHFORWARD_DATA to their folder",
)
@pytest.mark.parametrize(
    ("name", "decibels", "wang", "daala"),
    [("Set5", 28.418, 0.8103, 0.8203), ("Set14", 26.00, 0.7027, 0.7491)],
)
def test_bicubic_of_published_sets(name: str, decibels: float, wang: float, daala: float) -> None:
    """S1: factor 4, Y, crop 4. Set14's bridge is grey and taken as it is."""

    def images() -> Iterator[Enlarged]:
        for path in sorted(
            (Path(os.environ["PUSHFORWARD_DATA"]) / "superres" / name).glob("*.png")
        ):
            image = Image.open(path)
            array = np.array(image if image.mode == "L" else image.convert("RGB"))
            x = torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)[None]
            real, small = reduced(x, 4)
            smooth = enlarge(small, 4)
            yield real, smooth, smooth

    found = {r.quantity: r.value for r in enlargement_records(images(), 4, name)}
    assert found["psnr"] == pytest.approx(decibels, abs=0.015)
    assert found["ssim"] == pytest.approx(wang, abs=0.001)
    assert found["ssim_daala"] == pytest.approx(daala, abs=0.002)


@pytest.mark.skipif(
    not os.environ.get("PUSHFORWARD_DATA"),
    reason="needs the real data sets: set PUSHFORWARD_DATA to their folder",
)
def test_bicubic_of_the_comic_of_the_lecture() -> None:
    path = Path(os.environ["PUSHFORWARD_DATA"]) / "superres" / "Set14" / "comic.png"
    x = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None]
    real, small = reduced(x, 4)
    smooth = enlarge(small, 4)
    found = {r.quantity: r.value for r in enlargement_records([(real, smooth, smooth)], 4, "")}
    assert found["psnr"] == pytest.approx(21.69, abs=0.005)
    assert found["ssim_daala"] == pytest.approx(0.6405, abs=0.001)
