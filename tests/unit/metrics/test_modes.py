"""Modes: the ideal sampler's numbers, hand counts, and diversity of collapsed samples."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

import pushforward as pf
from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.data.formats.builtin import centres
from pushforward.metrics.modes import diversity, label_modes, modes

STREAM = torch.Generator()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "sd", "count"), [("eight_gaussians", 0.01, 8), ("grid", 0.05, 25)]
)
def test_an_ideal_sampler(name: str, sd: float, count: int) -> None:
    found, quality, kl = modes(pf.read(f"{name}:100000").x, centres(name), sd)
    assert found.value == found.details["ideal"] == count
    assert quality.details["ideal"] == pytest.approx(1 - math.exp(-4.5), abs=1e-12)
    assert abs(quality.value - 0.98889) < 3 * quality.error
    assert quality.error == pytest.approx(math.sqrt(0.98889 * 0.01111 / 1e5), rel=0.1)
    assert kl.details["ideal"] == pytest.approx((count - 1) / 2e5)
    assert 0 < kl.value < 3 * kl.details["ideal"]


def test_the_floor_of_the_reverse_kl_and_its_spread() -> None:
    """26 000 draws of a thousand modes: .0192 ± .0009."""
    stack = torch.arange(1000.0, dtype=torch.float64)[:, None]
    found = [
        modes(stack[torch.randint(1000, (26_000,), generator=STREAM.manual_seed(i))], stack, 0.1)[2]
        for i in range(10)
    ]
    values = torch.tensor([r.value for r in found])
    assert found[0].details["ideal"] == pytest.approx(0.0192, abs=5e-5)
    assert abs(float(values.mean()) - 0.0192) < 9e-4
    assert float(values.std()) == pytest.approx(9e-4, rel=0.4)
    assert found[0].error == pytest.approx(9e-4, rel=0.3)


def test_counts_by_hand() -> None:
    c = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.31, 0.0], [10.0, 0.0]])
    found, quality, kl = modes(x, c, 0.1)
    assert found.value == 2
    assert quality.value == 0.75
    assert kl.details["counts"] == [3, 1, 0]
    assert kl.value == pytest.approx(
        0.75 * math.log(0.75 * 3) + 0.25 * math.log(0.25 * 3), abs=1e-12
    )
    weighted = modes(x, c, 0.1, weights=[2, 1, 1])[2]
    assert weighted.value == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(1), abs=1e-12)
    assert weighted.details["features"] == kl.details["features"]
    assert weighted.data != kl.data
    far = modes(torch.full((5, 2), 5.0), c, 0.1)
    assert far[0].value == 0
    assert far[1].value == 0


def test_the_ideal_number_of_modes_found_by_few_samples() -> None:
    c = torch.arange(50.0)[:, None] * 10
    found = [
        modes(
            c[torch.randint(50, (60,), generator=STREAM.manual_seed(i))]
            + 0.5 * normal(60, 1, seed=i),
            c,
            0.5,
        )[0]
        for i in range(200)
    ]
    mean = sum(r.value for r in found) / 200
    share = float(stats.chi2.cdf(9, 1))
    assert found[0].details["ideal"] == pytest.approx(50 * (1 - (1 - share / 50) ** 60), rel=1e-12)
    assert mean == pytest.approx(found[0].details["ideal"], rel=0.01)


def test_diversity_of_normals_of_a_copy_and_of_half_the_spread() -> None:
    x, y = normal(6000, 3), normal(6000, 3, seed=1)
    exact = 4 / math.sqrt(math.pi)  # E |x - x'| in three dimensions is √2 times E χ_3 = 2 √(2/π)
    pairs, near = diversity(x, y, most=6000)
    assert abs(pairs.value - exact) < 3 * pairs.error
    assert abs(pairs.details["ratio"] - 1) < 0.06
    assert abs(near.details["ratio"] - 1) < 0.06
    pairs, near = diversity(x, 0.5 * y)
    assert pairs.details["ratio"] == pytest.approx(0.5, rel=0.06)
    assert near.details["ratio"] == pytest.approx(0.5, rel=0.06)
    assert diversity(x, y[:1].expand(100, 3))[0].value == 0


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ShapeMismatch, match="one d"):
        modes(normal(5, 2), normal(3, 3), 0.1)
    with pytest.raises(InvalidValue, match="sd"):
        modes(normal(5, 2), normal(3, 2), 0.0)
    with pytest.raises(InvalidValue, match="3 positive"):
        modes(normal(5, 2), normal(3, 2), 0.1, weights=[1, 0, 1])
    with pytest.raises(InvalidValue, match="NaN"):
        modes(torch.full((5, 2), math.nan), normal(3, 2), 0.1)


def test_modes_by_label_of_an_ideal_sampler() -> None:
    """Mean of the reverse KL of 26 000 draws of 1000 equal kinds: .0192 (± .0009)."""
    stream = torch.Generator().manual_seed(0)
    found = [label_modes(torch.randint(1000, (26_000,), generator=stream), 1000) for _ in range(20)]
    divergence = torch.tensor([row[1].value for row in found])
    assert found[0][1].details["ideal"] == pytest.approx(0.0192, abs=5e-5)
    assert float(divergence.mean()) == pytest.approx(0.0192, abs=4 * 0.0009 / 20**0.5)
    assert float(divergence.std()) == pytest.approx(found[0][1].error, rel=0.5)
    assert all(row[0].value == 1000 for row in found)


def test_modes_by_label_by_hand() -> None:
    count, divergence = label_modes(torch.tensor([0, 0, 0, 2]), 4)
    assert (count.value, count.n, count.details["modes"]) == (2, 4, 4)
    assert divergence.value == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))
    assert label_modes(torch.tensor([0, 1]), 2, weights=[3, 1])[1].value == pytest.approx(
        0.5 * math.log(2 / 3) + 0.5 * math.log(2)
    )


@pytest.mark.parametrize("labels", [[0, 4], [-1, 0], [0.5, 1.0]])
def test_labels_that_are_none_are_refused(labels: list[float]) -> None:
    with pytest.raises(InvalidValue, match="whole numbers from 0 to 3, got"):
        label_modes(torch.tensor(labels), 4)


@pytest.mark.parametrize("shape", [(0,), (4, 3)])
def test_labels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch, match=r"labels \(n,\), one per sample"):
        label_modes(torch.zeros(shape, dtype=torch.int64), 4)
