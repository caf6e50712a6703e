"""CIE L*a*b*: published values, inverses, colours that sRGB lacks, greys."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward.data.colours import grey_of_lightness, lab_to_rgb, rgb_to_lab, to_gamut


def pixel(*levels: float) -> Tensor:
    return torch.tensor(levels, dtype=torch.float64).reshape(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_published_values(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    # the primaries in Lab, D65: http://www.brucelindbloom.com
    torch.testing.assert_close(rgb_to_lab(pixel(*rgb)), pixel(*lab), atol=0.01, rtol=0)


def test_the_inverse_gives_the_image_back() -> None:
    x = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(x)), x, atol=1e-12, rtol=0)
    torch.testing.assert_close(to_gamut(rgb_to_lab(x)), x, atol=1e-12, rtol=0)


def test_colours_that_srgb_lacks_keep_lightness_and_hue() -> None:
    stream = torch.Generator().manual_seed(1)
    lab = torch.rand(1, 3, 40, 40, generator=stream, dtype=torch.float64)
    lab = lab * torch.tensor([100.0, 220, 220])[:, None, None]
    lab[:, 1:] -= 110
    rgb = to_gamut(lab)
    assert 0 <= float(rgb.min()) <= float(rgb.max()) <= 1
    again = rgb_to_lab(rgb)
    assert float((again[:, 0] - lab[:, 0]).abs().max()) < 0.05
    strong = again[:, 1:].norm(dim=1) > 5
    turned = torch.atan2(again[:, 2], again[:, 1]) - torch.atan2(lab[:, 2], lab[:, 1])
    assert float(turned[strong].cos().min()) > 0.999
    assert (again[:, 1:].norm(dim=1) <= lab[:, 1:].norm(dim=1) + 0.05).all()


def test_greys_have_no_colour_and_their_lightness_is_theirs() -> None:
    grey = torch.linspace(0, 1, 256, dtype=torch.float64).reshape(1, 1, 16, 16)
    lab = rgb_to_lab(grey.expand(-1, 3, -1, -1))
    assert float(lab[:, 1:].abs().max()) < 1e-9
    torch.testing.assert_close(grey_of_lightness(lab[:, :1]), grey, atol=1e-12, rtol=0)
