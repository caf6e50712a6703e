"""Measures of images made from images: values worked out by hand, and their relatives."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.core.errors import InvalidValue
from pushforward.core.records import require_comparable
from pushforward.metrics.scores import TRANSLATED, scores
from pushforward.metrics.translations import (
    absolute_error,
    colour_histograms,
    gradient_energy,
    label_accuracy,
    variation,
)

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
PALETTE = (RED, GREEN, BLUE)


def classes(*rows: list[tuple[int, int, int]]) -> torch.Tensor:
    """One image of pixels in these colours: (1, 3, h, w), bytes."""
    return torch.tensor(rows, dtype=torch.uint8).permute(2, 0, 1)[None]


def smooth(n: int = 3, seed: int = 0) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, 12, 12), generator=stream, dtype=torch.uint8)


def test_absolute_error_is_a_share_of_the_range() -> None:
    x = torch.tensor([[[[0.0, 255.0], [100.0, 50.0]]]])
    y = torch.tensor([[[[51.0, 255.0], [49.0, 50.0]]]])
    assert absolute_error(x, y).value == pytest.approx((51 + 51) / 4 / 255)


def test_gradient_energy_of_a_halved_contrast_is_a_quarter() -> None:
    x = smooth().double()
    assert gradient_energy(x, 128 + (x - 128) / 2).value == pytest.approx(0.25)
    step = torch.tensor([[[[0.0, 255.0], [0.0, 255.0]]]])
    half = torch.tensor([[[[0.0, 255.0], [0.0, 0.0]]]])  # one step across, one down
    assert gradient_energy(step, half).value == pytest.approx(1.0)
    with pytest.raises(InvalidValue, match="these are flat"):
        gradient_energy(torch.full((2, 1, 4, 4), 7.0), x[:2, :1, :4, :4])


def test_the_error_of_gradient_energy_is_that_of_a_ratio() -> None:
    x = smooth(40).double()
    assert gradient_energy(x, x).error == pytest.approx(0, abs=1e-12)
    y = smooth(40, seed=1).double()
    energies = [
        z.diff(dim=2).square().flatten(1).sum(1) + z.diff(dim=3).square().flatten(1).sum(1)
        for z in (x, y)
    ]
    ratio = energies[1].sum() / energies[0].sum()
    spread = (energies[1] - ratio * energies[0]).std() / energies[0].mean() / math.sqrt(40)
    record = gradient_energy(x, y)
    assert record.value == pytest.approx(float(ratio))
    assert record.error == pytest.approx(float(spread))


def test_histograms_intersect_where_colours_agree() -> None:
    x = classes([RED, RED], [BLUE, BLUE])
    y = classes([BLUE, BLUE], [BLUE, RED])
    found = {r.quantity: r.value for r in colour_histograms(x, y)}
    assert found == pytest.approx({"histogram_L": 0.75, "histogram_a": 0.75, "histogram_b": 0.75})
    grey = torch.full((1, 3, 2, 2), 100, dtype=torch.uint8)
    bright = torch.full((1, 3, 2, 2), 200, dtype=torch.uint8)
    assert [r.value for r in colour_histograms(grey, bright)] == pytest.approx([0, 1, 1])
    with pytest.raises(InvalidValue, match="3 channels"):
        colour_histograms(grey[:, :1], bright[:, :1])


def test_histograms_count_colours_and_not_places() -> None:
    x = smooth(6)
    moved = x.flip(0).flip(2)
    assert [r.value for r in colour_histograms(x, moved)] == pytest.approx([1, 1, 1])


def test_accuracy_by_pixel_by_class_and_intersection_over_union() -> None:
    truth = classes([RED, RED, RED, RED], [GREEN, GREEN, RED, RED])
    made = classes([RED, RED, RED, GREEN], [GREEN, BLUE, RED, RED])
    found = {r.quantity: r.value for r in label_accuracy(truth, made, palette=PALETTE)}
    assert found["pixel_accuracy"] == pytest.approx(6 / 8)
    assert found["class_accuracy"] == pytest.approx((5 / 6 + 1 / 2) / 2)  # no blue in the truth
    assert found["mean_iou"] == pytest.approx((5 / 6 + 1 / 3) / 2)
    assert found["majority"] == pytest.approx(6 / 8)
    perfect = {r.quantity: r.value for r in label_accuracy(truth, truth, palette=PALETTE)}
    assert perfect["pixel_accuracy"] == perfect["class_accuracy"] == perfect["mean_iou"] == 1


def test_classes_are_those_of_the_nearest_colours() -> None:
    truth = classes([RED, GREEN], [BLUE, BLUE])
    noisy = (truth.double() * 0.8 + 30).round()
    (pixel, *_) = label_accuracy(truth, noisy, palette=PALETTE, low=0, high=255)
    assert pixel.value == 1
    assert pixel.details["palette"] == [list(c) for c in PALETTE]
    (other, *_) = label_accuracy(truth, noisy, palette=PALETTE[:2], low=0, high=255)
    with pytest.raises(InvalidValue, match="features"):
        require_comparable(pixel, other)
    with pytest.raises(InvalidValue, match="needs the colours of the classes"):
        label_accuracy(truth, noisy)


def test_errors_of_accuracies_leave_out_one_image_each() -> None:
    truth = torch.cat([classes([RED, RED]), classes([RED, GREEN]), classes([GREEN, GREEN])])
    made = torch.cat([classes([RED, RED]), classes([RED, RED]), classes([GREEN, RED])])
    (pixel, *_) = label_accuracy(truth, made, palette=PALETTE)
    without = torch.tensor([2 / 4, 3 / 4, 3 / 4]).double()
    assert pixel.value == pytest.approx(4 / 6)
    assert pixel.error == pytest.approx(
        float((2 / 3 * (without - without.mean()).square().sum()).sqrt())
    )
    assert math.isnan(label_accuracy(truth[:1], made[:1], palette=PALETTE)[0].error)


def test_variation_is_what_noise_changes() -> None:
    truth = torch.zeros(2, 1, 1, 2)
    draws = torch.tensor([[[[[0.0, 2.0]]], [[[0.0, 0.0]]]], [[[[4.0, 2.0]]], [[[0.0, 0.0]]]]])
    found = {r.quantity: r for r in variation(draws, truth, low=0, high=10)}
    assert found["variation"].values is not None
    assert found["variation"].values.tolist() == pytest.approx([0.2, 0.0])
    # of two numbers 0 and .4 the variance is .08, of one pixel in two
    assert found["variation_sd"].value == pytest.approx(math.sqrt(0.04) / 2)
    assert found["variation_of_error"].value == pytest.approx(0.1 / 0.1)
    same = variation(draws[:1].expand(3, -1, -1, -1, -1), truth, low=0, high=10)
    assert [r.value for r in same] == [0, 0, 0]
    with pytest.raises(InvalidValue, match="two translations"):
        variation(draws[:1], truth, low=0, high=10)


@pytest.mark.parametrize("name", list(TRANSLATED))
def test_units_and_types_do_not_matter(name: str) -> None:
    x, y = smooth(4), smooth(4, seed=1)

    def values(real: torch.Tensor, other: torch.Tensor, low: float, high: float) -> list[float]:
        paired = {"low": low, "high": high, "palette": PALETTE}
        return [r.value for r in scores(real, other, metrics=[name], paired=paired)]

    plain = values(x, y, 0, 255)
    assert all(0 < v < 2 for v in plain)
    assert values(x.double(), y.double(), 0, 255) == plain
    unit = values(x.double() / 255, y.double() / 255, 0, 1)
    assert unit == pytest.approx(plain, rel=1e-9)
    moved = values(x.double() * 2e9 - 7, y.double() * 2e9 - 7, -7, 255 * 2e9 - 7)
    assert moved == pytest.approx(plain, rel=1e-6)
    assert values(x.float(), y.float(), 0, 255) == pytest.approx(plain, rel=1e-6)
    assert values(x.numpy(), y.numpy(), 0, 255) == plain  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(TRANSLATED))
def test_records_say_how_they_were_measured(name: str) -> None:
    x, y = smooth(4), smooth(4, seed=1)
    paired = {"palette": PALETTE, "crop": 2}
    for record in scores(x, y, metrics=[name], paired=paired, data="noise"):
        assert record.data == "noise"
        assert "12×12" in record.details["features"]
        assert "crop 2" in record.details["features"]
        assert record.n == 4
        assert record.bound == "estimate"
