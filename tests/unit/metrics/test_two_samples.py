"""Two-sample tests: ½ and uniform p-values under one distribution,
the known optimum under two, scipy's Kolmogorov-Smirnov.
"""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch
from pushforward.metrics.two_samples import c2st, ks, ks_to_cdf

STREAM = torch.Generator()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


def phi(x: Tensor) -> Tensor:
    return torch.special.ndtr(x)


def test_a_classifier_cannot_tell_one_distribution_from_itself() -> None:
    found = [
        c2st(normal(300, 3, seed=2 * i), normal(300, 3, seed=2 * i + 1), steps=40, rng=i)
        for i in range(30)
    ]
    hits = sum(round(r.value * r.details["held_out"]) for r in found)
    total = sum(r.details["held_out"] for r in found)
    assert total == 30 * 300
    assert abs(hits - total / 2) < 3 * math.sqrt(total) / 2
    p = [r.details["p"] for r in found]
    assert stats.kstest(p, "uniform").pvalue > 0.005
    assert all(r.details["ideal"] == 0.5 for r in found)


def test_its_accuracy_on_two_normals_is_the_optimum() -> None:
    record = c2st(normal(8000, 2), normal(8000, 2, seed=1) + torch.tensor([1.0, 0.0]), steps=300)
    best = float(phi(torch.tensor(0.5)))  # the better half of N(0, 1) against N(1, 1)
    assert record.value == pytest.approx(best, abs=3 * record.error)
    assert record.error == pytest.approx(math.sqrt(best * (1 - best) / 8000), rel=0.05)
    assert record.details["p"] < 1e-50


def test_its_p_value_is_the_binomial_tail() -> None:
    record = c2st(normal(50, 1), normal(70, 1, seed=1) + 0.3, steps=20)
    count = record.details["held_out"]
    assert count == 50
    expected = stats.binom.sf(round(record.value * count) - 1, count, 0.5)
    assert record.details["p"] == pytest.approx(float(expected), rel=1e-9)
    with pytest.raises(InvalidValue, match="at least 4"):
        c2st(normal(3, 1), normal(9, 1))


def test_kolmogorov_smirnov_is_scipys_in_every_column() -> None:
    x, y = normal(300, 2), torch.stack([normal(200, seed=1) + 0.4, normal(200, seed=2).round()], 1)
    found = ks(x, y, names=["height", "age"])
    assert [r.quantity for r in found] == ["ks height", "ks age"]
    for i, record in enumerate(found):
        expected = stats.ks_2samp(x[:, i].numpy(), y[:, i].numpy(), method="asymp")
        assert record.value == pytest.approx(float(expected.statistic), abs=1e-6)
        assert record.details["p"] == pytest.approx(
            float(stats.distributions.kstwobign.sf(math.sqrt(120) * expected.statistic)), rel=1e-3
        )
    assert ks(x[:, 0], y[:, 0])[0].quantity == "ks"
    with pytest.raises(ShapeMismatch, match="2 names"):
        ks(x, y, names=["height"])


def test_its_distance_of_two_normals_and_error_bar() -> None:
    exact = 2 * float(phi(torch.tensor(0.5))) - 1
    found = [ks(normal(2000, seed=2 * i), normal(2000, seed=2 * i + 1) + 1)[0] for i in range(60)]
    values = torch.tensor([r.value for r in found], dtype=torch.float64)
    assert abs(float(values.mean()) - exact) < 0.01  # the largest of many is a little above
    assert 0.7 < float(values.std()) / (sum(r.error for r in found) / 60) < 1.3


def test_against_a_known_distribution() -> None:
    x = normal(500) + 0.2
    record = ks_to_cdf(phi, x, name="N(0, 1)")
    expected = stats.kstest(x.numpy(), "norm", method="asymp")
    assert record.value == pytest.approx(float(expected.statistic), abs=1e-12)
    assert record.details["p"] == pytest.approx(float(expected.pvalue), rel=1e-9)
    assert record.data == "N(0, 1)"
    with pytest.raises(ShapeMismatch, match="one column"):
        ks_to_cdf(phi, normal(5, 2), name="")
    with pytest.raises(InvalidValue, match="distribution function"):
        ks_to_cdf(lambda u: 2 * u, x, name="")
