"""Every metric of samples on a x + b, for units a from 1e-30 to 1e30 and offsets b of up to 1e9
spreads: the plain answer, in its units.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pushforward.core.records import Record
from pushforward.metrics import feature_spaces as spaces
from pushforward.metrics.classifiers import classifier
from pushforward.metrics.clusters import silhouette
from pushforward.metrics.divergence import divergence
from pushforward.metrics.frechet import frechet_distance
from pushforward.metrics.gauge import Gauge, mean_and_deviation
from pushforward.metrics.modes import modes
from pushforward.metrics.pairs import FewRows
from pushforward.metrics.scores import METRICS, WITH_TRAINING
from pushforward.metrics.two_samples import c2st, ks, ks_to_cdf

STREAM = torch.Generator()
D = 3
AFFINE = [
    (1e-30, 0.0), (1e-19, 0.0), (1e-7, 0.0), (1e7, 0.0), (1e30, 0.0), (-3.0, 0.0), (1.0, 1e3),
    (1.0, -1e6), (1.0, 1e8), (1.0, 1e9), (0.1, 1e9), (1.6e-19, 1e6), (1e30, -1e9), (1e-30, 1e9),
]  # fmt: skip
"""(a, b): b in spreads, so that rows are a (x + b)."""

POWERS = {"fid": 2, "pairwise_distance": 1, "neighbour_distance": 1}
"""Of a, in the values of metrics that have units; 0 for the others."""
NOT_INVARIANT = {"kid", "inception_score"}
"""KID has a kernel with an origin and a unit of its own: see test_kid_... below and in
unit/metrics/test_kernel_distances.py. The other needs a classifier, which is tested below.
"""


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


REAL, GENERATED, TRAIN = normal(90, D), 0.8 * normal(80, D, seed=1) + 0.3, normal(120, D, seed=2)


def moved(x: Tensor, a: float, b: float) -> Tensor:
    return a * (x + b)


def called(
    metric: Callable[..., Record | list[Record]], *sets: Tensor, **more: object
) -> list[Record]:
    if metric is c2st:
        more = {**more, "steps": 60}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewRows)
        found = metric(*sets, **more)
    return [found] if isinstance(found, Record) else list(found)


def agree(found: Record, plain: Record, a: float, power: int, rel: float) -> None:
    """Value and error bar, in units of a to the power."""
    unit = abs(a) ** power
    assert found.quantity == plain.quantity
    spread = max(abs(plain.value), plain.error if math.isfinite(plain.error) else 0.0)
    assert abs(found.value / unit - plain.value) <= rel * spread, (
        f"{found.quantity}: {found.value / unit!r}, plain {plain.value!r}"
    )
    assert found.error / unit == pytest.approx(plain.error, rel=1e-3, nan_ok=True)


@pytest.mark.parametrize(("a", "b"), AFFINE)
@pytest.mark.parametrize("name", sorted({*METRICS, *WITH_TRAINING} - NOT_INVARIANT))
def test_every_metric_of_samples(name: str, a: float, b: float) -> None:
    if a < 0 and name in ("ks", "c2st"):
        # mirrored, the largest gap of shares has its error bar at
        # another place, and a network another start
        return
    sets = (TRAIN, REAL, GENERATED) if name in WITH_TRAINING else (REAL, GENERATED)
    metric = {**METRICS, **WITH_TRAINING}[name]
    plain = called(metric, *sets)
    for found, expected in zip(called(metric, *(moved(x, a, b) for x in sets)), plain, strict=True):
        if name == "parzen":
            expected = Record(
                **{**expected.__dict__, "value": expected.value - D * math.log(abs(a))}
            )
            assert found.details["sigma"] / abs(a) == pytest.approx(
                expected.details["sigma"], rel=1e-6
            )
        if name == "mmd":
            assert found.details["p"] == expected.details["p"]
        agree(found, expected, a, POWERS.get(found.quantity, 0), 1e-2 if name == "c2st" else 2e-6)


@pytest.mark.parametrize(("a", "b"), AFFINE)
def test_modes_with_their_centres(a: float, b: float) -> None:
    centres = torch.tensor([[0.0, 0], [4, 0], [0, 4], [4, 4]], dtype=torch.float64)
    x = centres.repeat(30, 1)[:100] + 0.6 * normal(100, 2)
    plain = modes(x, centres, 0.5)
    for found, expected in zip(
        modes(moved(x, a, b), moved(centres, a, b), 0.5 * abs(a)), plain, strict=True
    ):
        agree(found, expected, a, 0, 1e-12)
    assert plain[1].value < 1


@pytest.mark.parametrize(("a", "b"), AFFINE)
def test_silhouette(a: float, b: float) -> None:
    labels = torch.arange(90) % 3
    x = REAL + labels[:, None]
    agree(silhouette(moved(x, a, b), labels), silhouette(x, labels), a, 0, 1e-6)


@pytest.mark.parametrize(("a", "b"), [(1e-30, 0.0), (1e30, 0.0), (1.0, 1e8), (0.1, 1e9)])
def test_divergence_and_classifiers_of_two_normals(a: float, b: float) -> None:
    """Networks take float32: what they see must have been centred and scaled before."""
    p, q = normal(200, 1), normal(200, 1, seed=1) + 1
    plain = divergence(p, q, "js", steps=100)
    assert plain.value > 0.05
    agree(divergence(moved(p, a, b), moved(q, a, b), "js", steps=100), plain, a, 0, 1e-2)
    x, labels = torch.cat([p, q + 4]), torch.arange(400) // 200
    space, other = classifier(x, labels, steps=30), classifier(moved(x, a, b), labels, steps=30)
    assert space.facts["accuracy"] == other.facts["accuracy"] > 0.9
    assert torch.allclose(other(moved(x, a, b)), space(x), atol=1e-3)


@pytest.mark.parametrize(("a", "b"), AFFINE)
@pytest.mark.parametrize("columns", ["all", "one constant"])
def test_scaled_features_have_no_units(a: float, b: float, columns: str) -> None:
    real, generated = REAL.clone(), GENERATED.clone()
    if columns == "one constant":
        real[:, 1] = 2.0
    expected = called(METRICS["fid"], real, generated, features=spaces.scaled(real))[0]
    one, two = moved(real, a, b), moved(generated, a, b)
    agree(called(METRICS["fid"], one, two, features=spaces.scaled(one))[0], expected, a, 0, 1e-6)
    assert expected.value > 0.1


@pytest.mark.parametrize("a", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_scaled_images_have_no_units(a: float, shift: float) -> None:
    x, y = (
        a * (torch.rand(30, 1, 2, 2, generator=STREAM.manual_seed(s), dtype=torch.float64) + shift)
        for s in (0, 1)
    )
    for other in (x, y):
        assert torch.allclose(
            spaces.scaled(x)(other), spaces.scaled(x / a - shift)(other / a - shift), atol=1e-6
        )
    assert float(spaces.scaled(x)(x).max()) == 1


@pytest.mark.parametrize("a", [1e-30, 1e-10, 1e-6])
def test_kid_of_small_numbers_is_that_of_its_linear_part(a: float) -> None:
    """(1 + t)³ = 1 + 3t for small t, so KID is 3/d times the
    unbiased squared distance of means, however small.
    """
    found = called(METRICS["kid"], a * REAL, a * GENERATED)[0]
    other = called(METRICS["kid"], 1e-8 * REAL, 1e-8 * GENERATED)[0]
    assert found.value / a**2 == pytest.approx(other.value / 1e-16, rel=1e-6)
    assert found.error / a**2 == pytest.approx(other.error / 1e-16, rel=1e-6)


def test_kid_of_large_numbers_grows_as_their_sixth_power() -> None:
    small, large = (called(METRICS["kid"], a * REAL, a * GENERATED)[0] for a in (1e10, 1e30))
    assert large.value / 1e180 == pytest.approx(small.value / 1e60, rel=1e-9)
    assert large.error / 1e180 == pytest.approx(small.error / 1e60, rel=1e-9)


@pytest.mark.parametrize("a", [1e-30, 1.0, 1e30])
def test_frechet_distance_of_moments(a: float) -> None:
    covariance = REAL.T.cov()
    plain = frechet_distance(REAL.mean(0), covariance, GENERATED.mean(0), GENERATED.T.cov())
    found = frechet_distance(
        a * REAL.mean(0), a * a * covariance, a * GENERATED.mean(0), a * a * GENERATED.T.cov()
    )
    assert found / a**2 == pytest.approx(plain, rel=1e-9)


def test_kolmogorov_smirnov_is_a_difference_of_shares_in_float64() -> None:
    x, y = (
        torch.arange(3.0, dtype=torch.float64),
        torch.tensor([10.0, 11, 12, 13, 14, 15, 16], dtype=torch.float64),
    )
    assert ks(x, torch.cat([x[:1], y[:6]]))[0].value == pytest.approx(6 / 7, rel=1e-15)
    step = ks(torch.arange(300.0), torch.arange(700.0) - 400)[0]
    assert step.value == pytest.approx(4 / 7, rel=1e-15)
    whole = ks(torch.arange(20_170_101, 20_170_121), torch.arange(20_170_102, 20_170_122))[0]
    assert whole.value == pytest.approx(0.05, rel=1e-12)
    distribution = ks_to_cdf(lambda t: (t / 10).clamp(0, 1), torch.arange(1, 10), name="uniform")
    assert distribution.value == pytest.approx(0.1, rel=1e-12)


def test_the_gauge_keeps_whole_numbers_whole() -> None:
    x = torch.randint(0, 256, (50, 4), generator=STREAM.manual_seed(0)).to(torch.float64) + 2.0**40
    gauge = Gauge.of(x)
    steps = gauge(x) * gauge.scale
    assert torch.equal(steps, steps.round())
    assert float(gauge(x).abs().max()) <= 1
    assert math.log2(gauge.scale).is_integer()
    assert Gauge.of(torch.zeros(3, 2, dtype=torch.float64)).scale == 1
    for a in (1e-300, 1e300):
        assert 0.5 <= float(Gauge.of(a * REAL)(a * REAL).abs().max()) <= 1


def test_standard_of_constant_coordinates() -> None:
    x = torch.tensor([[0.1, 1e9, 5.0], [0.1, 1e9 + 1, 7.0]], dtype=torch.float64)
    shift, scale = mean_and_deviation(x)
    assert scale.tolist() == [0.75, 0.5, 1.0]
    assert shift.tolist() == [0.1, 1e9 + 0.5, 6.0]
    assert mean_and_deviation(x[:1])[1].tolist() == [1, 1, 1]
