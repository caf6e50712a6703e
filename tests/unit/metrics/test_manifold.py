"""Precision, recall, density, coverage: a plain reading of their definition,
the authors' package, and known expectations.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.metrics import neighbours
from pushforward.metrics.manifold import prdc
from pushforward.metrics.neighbours import nearest, squared_radii

STREAM = torch.Generator()
NAMES = ["precision", "recall", "density", "coverage"]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


def by_definition(x: Tensor, y: Tensor, k: int) -> list[float]:
    """With self-distance 0 the smallest, the k-th neighbour is the (k + 1)-th smallest distance."""
    own, other = (
        torch.cdist(a, a, compute_mode="donot_use_mm_for_euclid_dist").sort(1).values[:, k]
        for a in (x, y)
    )
    across = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    inside = across < own[:, None]
    means = (
        inside.any(0),
        (across < other).any(1),
        inside.sum(0).to(torch.float64) / k,
        across.amin(1) < own,
    )
    return [float(v.to(torch.float64).mean()) for v in means]


@pytest.mark.parametrize(("n", "m", "d", "k"), [(60, 60, 2, 5), (40, 90, 3, 1), (120, 30, 8, 3)])
def test_the_definition(n: int, m: int, d: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(n, d) + 1e3, 0.8 * normal(m, d, seed=1) + 0.3 + 1e3
    found = prdc(x, y, k=k)
    assert [r.quantity for r in found] == NAMES
    assert [r.value for r in found] == pytest.approx(by_definition(x, y, k), abs=1e-12)
    monkeypatch.setattr(neighbours, "BLOCK_NUMBERS", 7 * m)
    assert [r.value for r in prdc(x, y, k=k)] == [r.value for r in found]


def test_the_authors_package_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    package = pytest.importorskip("prdc")
    x, y = normal(300, 50), normal(250, 50, seed=1) * 0.9
    expected = package.compute_prdc(x.numpy(), y.numpy(), nearest_k=5)
    assert [r.value for r in prdc(x, y)] == pytest.approx(
        [float(expected[n]) for n in NAMES], abs=1e-12
    )


def test_between_equal_distributions_density_is_one_and_coverage_known() -> None:
    found = [
        prdc(normal(500, 2, seed=2 * i), normal(400, 2, seed=2 * i + 1), k=3) for i in range(20)
    ]
    for place in (2, 3):
        values = torch.tensor([r[place].value for r in found], dtype=torch.float64)
        assert (
            abs(float(values.mean()) - found[0][place].details["ideal"])
            < 3.5 * float(values.std()) / 20**0.5
        )
    assert found[0][3].details["ideal"] == pytest.approx(
        1 - (499 / 899) * (498 / 898) * (497 / 897)
    )


def test_a_collapsed_and_a_scattered_sampler() -> None:
    x = normal(400, 2)
    precision, recall, _, coverage = prdc(x, 0.01 * normal(400, 2, seed=1))
    assert precision.value > 0.99
    assert recall.value < 0.05
    assert coverage.value < 0.1
    precision, recall, _, _ = prdc(x, 10 * normal(400, 2, seed=1))
    assert precision.value < 0.2
    assert recall.value > 0.9


def test_neighbours_of_repeated_rows() -> None:
    x = torch.tensor([[0.0], [0.0], [3.0], [7.0]], dtype=torch.float64)
    assert squared_radii(x, 1).tolist() == [0, 0, 9, 16]
    distance, index = nearest(x, x, itself=True)
    assert distance.tolist() == [0, 0, 3, 4]
    assert index[2] in (0, 1)
    with pytest.raises(InvalidValue, match="between 1 and the number of other rows, 3"):
        squared_radii(x, 4)


def test_a_thousand_dimensions_small() -> None:
    """M2 with 400 rows, by the definition."""
    x, y = normal(400, 1000), normal(400, 1000, seed=1)
    assert [r.value for r in prdc(x, y)] == pytest.approx(by_definition(x, y, 5), abs=1e-12)


# Standard deviations from draw to draw of 10 000 rows in a thousand dimensions, over 13 draws.
# Precision and recall have one distribution there, whose mean was .4766 over the 26 numbers.
SPREAD = {"precision": 0.0085, "recall": 0.0085, "density": 0.047, "coverage": 0.0044}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_rows_in_a_thousand_dimensions() -> None:
    """M2. Its numbers are those of one draw, so two draws are held to them by the spread between
    draws, and to the known means.
    """
    found = [
        prdc(normal(10_000, 1000, seed=2 * i), normal(10_000, 1000, seed=2 * i + 1), k=5)
        for i in range(2)
    ]
    mean = {name: (a.value + b.value) / 2 for name, a, b in zip(NAMES, *found)}
    one_draw = {"precision": 0.477, "recall": 0.471, "density": 1.056, "coverage": 0.974}
    known = {"density": 1.0, "coverage": found[0][3].details["ideal"]}
    for name in NAMES:
        assert abs(mean[name] - one_draw[name]) < 3 * SPREAD[name] * 1.5**0.5, (
            f"{name} {mean[name]}"
        )
    for name, value in known.items():
        assert abs(mean[name] - value) < 3 * SPREAD[name] / 2**0.5, f"{name} {mean[name]}"
    assert abs(mean["precision"] / 2 + mean["recall"] / 2 - 0.4766) < 3 * SPREAD["recall"] / 2
