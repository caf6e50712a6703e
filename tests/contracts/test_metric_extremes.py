"""Metrics at the ends of float64: the value in its units where that can be held, one clear line
where not; never NaN or infinity.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.records import Record
from pushforward.metrics.clusters import silhouette
from pushforward.metrics.divergence import divergence
from pushforward.metrics.feature_spaces import scaled
from pushforward.metrics.frechet import fid, frechet_distance
from pushforward.metrics.gauge import restore_units
from pushforward.metrics.kernel_distances import kid
from pushforward.metrics.modes import diversity, modes
from pushforward.metrics.pairs import FewRows
from pushforward.metrics.scores import METRICS, WITH_TRAINING
from pushforward.metrics.two_samples import c2st

STREAM = torch.Generator()
UNITS = [
    1e-300,
    1e-200,
    1e-160,
    1e-140,
    1e-100,
    1e40,
    1e51,
    1e52,
    1e100,
    1e150,
    1e160,
    1e200,
    1e300,
    1e307,
]
CENTRES = torch.tensor([[0.0, 0], [4, 0], [0, 4], [4, 4]], dtype=torch.float64)
POWERS = {"fid": (2, 2), "kid": (2, 6), "pairwise_distance": (1, 1), "neighbour_distance": (1, 1)}
"""Of the unit, in values of small and of large numbers."""


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


REAL, GENERATED, TRAIN = normal(90, 3), 0.8 * normal(80, 3, seed=1) + 0.3, normal(120, 3, seed=2)


def called(name: str, a: float) -> list[Record]:
    metric = {**METRICS, **WITH_TRAINING}[name]
    sets = (TRAIN, REAL, GENERATED) if name in WITH_TRAINING else (REAL, GENERATED)
    more = {"steps": 20} if metric is c2st else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewRows)
        found = metric(*(a * x for x in sets), **more)
    return [found] if isinstance(found, Record) else list(found)


@pytest.mark.parametrize("a", UNITS)
@pytest.mark.parametrize("name", sorted({*METRICS, *WITH_TRAINING} - {"inception_score"}))
def test_a_value_in_its_units_or_one_line(name: str, a: float) -> None:
    near = 1e-20 if a < 1 else 1e20  # where the polynomial of KID is down to one of its terms
    for i, plain in enumerate(called(name, near if name == "kid" else 1.0)):
        power = POWERS.get(plain.quantity, (0, 0))[a > 1]
        size = math.log10(abs(plain.value) or 1) + power * math.log10(
            a / (near if name == "kid" else 1.0)
        )
        if abs(size) > 308:
            with pytest.raises(
                InvalidValue,
                match=f"{plain.quantity} of these features is too (large|small) for float64",
            ) as caught:
                called(name, a)
            assert "\n" not in str(caught.value)
            continue
        found = called(name, a)[i]
        expected = plain.value - 3 * math.log(a) if name == "parzen" else plain.value
        unit = Fraction(a if name != "kid" else a / near) ** power
        assert float(Fraction(found.value) / unit) == pytest.approx(expected, rel=1e-6)
        assert float(Fraction(found.error) / unit) == pytest.approx(plain.error, rel=1e-3)


@pytest.mark.parametrize("a", UNITS)
def test_metrics_without_units(a: float) -> None:
    x, labels = CENTRES.repeat(30, 1)[:100] + 0.6 * normal(100, 2), torch.arange(90) % 3
    assert [r.value for r in modes(a * x, a * CENTRES, 0.5 * a)] == [
        r.value for r in modes(x, CENTRES, 0.5)
    ]
    assert silhouette(a * REAL, labels).value == pytest.approx(
        silhouette(REAL, labels).value, rel=1e-9
    )
    assert divergence(a * REAL, a * GENERATED, steps=5).value == pytest.approx(
        divergence(REAL, GENERATED, steps=5).value, rel=1e-3
    )
    found = fid(a * REAL, a * GENERATED, features=scaled(a * REAL)).value
    assert found == pytest.approx(fid(REAL, GENERATED, features=scaled(REAL)).value, rel=1e-9)


@pytest.mark.parametrize("far", [1e50, 1e150, 1e160, 1e300])
def test_one_sample_far_away_leaves_the_modes_of_the_others(far: float) -> None:
    x = CENTRES.repeat(30, 1)[:100] + 0.6 * normal(100, 2)
    plain = modes(x, CENTRES, 0.5)
    found = modes(torch.cat([x, x.new_full((1, 2), far)]), CENTRES, 0.5)
    assert found[0].value == plain[0].value == 4
    assert found[1].value == pytest.approx(plain[1].value * 100 / 101)
    assert sum(found[2].details["counts"]) == 101
    assert all(
        a <= b <= a + 1 for a, b in zip(plain[2].details["counts"], found[2].details["counts"])
    )


@pytest.mark.parametrize("a", [1e-170, 1e-150, 1e-100, 1e100, 1e150, 1e170])
def test_frechet_distance_of_moments_whose_products_are_beyond_float64(a: float) -> None:
    covariance, other = torch.diag(torch.tensor([1.0, 4.0])), torch.diag(torch.tensor([9.0, 1.0]))
    mean, gap = torch.zeros(2, dtype=torch.float64), torch.tensor([3.0, 0.0], dtype=torch.float64)
    if not 1e-160 < a < 1e150:
        a = 1e160 if a > 1 else 1e-160
        with pytest.raises(InvalidValue, match=r"too (large|small) for float64"):
            frechet_distance(mean, torch.zeros(2, 2), a * gap, torch.zeros(2, 2))
        return
    found = frechet_distance(mean, covariance.double() * a * a, a * gap, other.double() * a * a)
    assert found / a**2 == pytest.approx(9 + 4 + 1, rel=1e-9)


WIDE = torch.tensor(
    [[-1.7e308, 0.0], [1.7e308, 1.0], [-1.7e308, 2.0], [1.7e308, 3.0]], dtype=torch.float64
)


@pytest.mark.parametrize(
    "measure",
    [
        lambda x: fid(x, x),
        lambda x: METRICS["prdc"](x, x, k=2),
        lambda x: modes(x, x, 1.0),
        lambda x: silhouette(x, torch.tensor([0, 0, 1, 1])),
        lambda x: divergence(x.repeat(20, 1), x.repeat(20, 1), steps=1),
        lambda x: c2st(x, x, steps=1),
        scaled,
    ],
)
def test_differences_beyond_float64_are_refused(measure: Callable[[Tensor], object]) -> None:
    with pytest.raises(InvalidValue, match="differ by more than float64 holds"):
        measure(WIDE)


def test_distances_beyond_float64_are_refused() -> None:
    x = (
        torch.tensor([1.0, -1.0], dtype=torch.float64).repeat_interleave(2)[:, None].expand(4, 10)
        * 0.89e308
    )
    with pytest.raises(InvalidValue, match="pairwise_distance of these features is too large"):
        diversity(x.clone(), x.clone())


def test_equal_sets_have_no_distance_at_any_scale() -> None:
    for a in UNITS:
        x = torch.full((30, 2), a, dtype=torch.float64)
        assert kid(x, x).value == fid(x, x).value == 0


def test_values_times_powers_of_two() -> None:
    assert restore_units("m", [1.5, math.nan], 3).tolist() == pytest.approx(
        [12.0, math.nan], nan_ok=True
    )
    assert restore_units("m", [0.0, 0.0], 5000).tolist() == [0.0, 0.0]
    assert float(restore_units("m", [2.0**-1000], 2000)[0]) == 2.0**1000
