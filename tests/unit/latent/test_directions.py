"""Attribute directions: where they lead, how far, and whether they mean anything."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.latent import direction


def classes(n: int = 4000, gap: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two normal classes `gap` apart along (1, 0, 0), stretched along (1, 1, 0)."""
    stream = torch.Generator().manual_seed(0)
    has = torch.arange(n) % 4 == 0
    z = torch.randn(n, 3, generator=stream, dtype=torch.float64)
    z = z + 3 * torch.randn(n, 1, generator=stream, dtype=torch.float64) * torch.tensor(
        [1.0, 1.0, 0.0]
    ) / math.sqrt(2)
    z[has, 0] += gap
    return z, has


def test_means_point_from_one_class_to_the_other() -> None:
    z, has = classes()
    found = direction(z, has)
    assert float(found.vector.norm()) == pytest.approx(1)
    assert float(found.vector[0]) > 0.98
    assert found.distance == pytest.approx(2.0, abs=0.2)
    moved = found.apply(z[~has], 1.0)
    assert float(found.position(moved).mean()) == pytest.approx(0.5, abs=0.05)
    assert float(found.position(z[~has]).mean()) == pytest.approx(-0.5, abs=0.05)
    assert torch.allclose(found.apply(found.apply(z, 0.7), -0.7), z)
    by_row = found.apply(z[:2], torch.tensor([0.0, 2.0]))
    assert torch.equal(by_row[0], z[0])
    assert float((by_row[1] - z[1]).norm()) == pytest.approx(2 * found.distance)


def test_the_discriminant_is_fisher_s_and_tells_the_classes_better() -> None:
    z, has = classes(20_000)
    means, fisher = direction(z, has), direction(z, has, by="discriminant")
    covariance = torch.eye(3, dtype=torch.float64)
    covariance[:2, :2] += 4.5
    expected = torch.linalg.solve(covariance, torch.tensor([2.0, 0, 0], dtype=torch.float64))
    assert torch.allclose(fisher.vector, expected / expected.norm(), atol=0.05)
    # Along v the classes are normal, so the middle tells Φ(D / 2s) of each.
    for found in (means, fisher):
        spread = float((found.vector @ covariance @ found.vector).sqrt())
        exact = 0.5 * (1 + math.erf(found.distance / (2 * spread) / math.sqrt(2)))
        assert found.accuracy.value == pytest.approx(exact, abs=4 * found.accuracy.error)
        assert found.accuracy.error < 0.02
    assert fisher.accuracy.value > means.accuracy.value + 0.03


def test_labels_that_mean_nothing_are_told_by_chance() -> None:
    z, has = classes(2000)
    shuffled = has[torch.randperm(len(has), generator=torch.Generator().manual_seed(5))]
    found = direction(z, shuffled, by="discriminant")
    assert found.accuracy.value == pytest.approx(0.5, abs=4 * found.accuracy.error)
    assert found.accuracy.details["chance"] == 0.5
    assert found.accuracy.n == 400
    assert found.accuracy.error == pytest.approx(math.sqrt(0.25 / 100 + 0.25 / 300) / 2, rel=0.03)


def test_accuracy_is_measured_on_rows_it_was_not_learnt_from() -> None:
    """With more dimensions than rows any labels are told perfectly where they were learnt."""
    stream = torch.Generator().manual_seed(0)
    z = torch.randn(60, 200, generator=stream, dtype=torch.float64)
    found = direction(z, torch.arange(60) % 2, by="discriminant", held_out=0.5)
    assert found.accuracy.value < 0.8


def test_a_direction_can_be_kept_clear_of_others() -> None:
    z, has = classes()
    other = direction(z, z[:, 1] > 0)
    free = direction(z, has, orthogonal_to=[other, torch.tensor([0.0, 0.0, 1.0])])
    assert abs(float(free.vector @ other.vector)) < 1e-12
    assert abs(float(free.vector[2])) < 1e-12
    assert float((other.position(free.apply(z, 3.0)) - other.position(z)).abs().max()) < 1e-12
    with pytest.raises(pf.InvalidValue, match="this direction vanishes"):
        direction(z, has, orthogonal_to=[torch.eye(3)[i] for i in range(3)])


def test_one_label_against_all_others() -> None:
    z, _ = classes(300)
    labels = np.array(["a", "b", "c"] * 100)
    z[torch.from_numpy(labels == "b"), 2] += 10
    found = direction(z, labels, positive="b")
    assert float(found.vector[2]) > 0.9
    assert found.accuracy.value == 1.0
    assert 0 < found.accuracy.error < 0.1
    again = direction(z, labels, positive="b", rng=0)
    assert torch.equal(found.vector, again.vector)


@pytest.mark.parametrize(
    ("labels", "how", "said"),
    [
        ([0, 1, 2, 0], {}, "expected two different labels, got 3; name the attribute: positive="),
        (
            [0, 0, 0, 0],
            {"positive": 1},
            "rows with the label 1 and rows without it; the labels are 0",
        ),
        ([0, 1], {}, "one entry for each of 4 codes"),
        ([0, 0, 0, 1], {}, "at least 2 rows with the attribute"),
        ([0, 1, 0, 1], {"held_out": 1.5}, r"fraction between 0 and 1, got 1\.5"),
    ],
)
def test_what_gives_no_direction(labels: Any, how: dict[str, Any], said: str) -> None:
    with pytest.raises(pf.PushforwardError, match=said):
        direction(torch.eye(4), torch.tensor(labels), **how)
