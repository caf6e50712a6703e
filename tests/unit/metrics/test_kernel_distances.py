"""KID and MMD: no bias under one distribution, exact values in small cases,
p-values that are uniform.
"""

from __future__ import annotations

import itertools
import math
import warnings
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.random import generator, permutation
from pushforward.metrics.kernel_distances import kid, median_distance, mmd
from pushforward.metrics.pairs import FewRows

STREAM = torch.Generator()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=STREAM.manual_seed(seed), dtype=torch.float64)


def by_pairs(kernel, x: Tensor, y: Tensor) -> float:
    n, m = len(x), len(y)
    within = sum(float(kernel(a, b)) for a, b in itertools.permutations(x, 2)) / (n * (n - 1))
    other = sum(float(kernel(a, b)) for a, b in itertools.permutations(y, 2)) / (m * (m - 1))
    return within + other - 2 * sum(float(kernel(a, b)) for a in x for b in y) / (n * m)


def test_kid_of_one_distribution_is_zero() -> None:
    record = kid(normal(5000, 10), normal(5000, 10, seed=1))
    assert abs(record.value) < 3 * record.error
    assert record.details["blocks"] == 10
    found = torch.tensor(
        [kid(normal(200, 3, seed=2 * i), normal(200, 3, seed=2 * i + 1)).value for i in range(100)]
    )
    assert abs(float(found.mean())) < 3 * float(found.std()) / 10


def test_kid_of_shifted_normals_is_exact() -> None:
    """With x, x' ~ N(0, I_d) and y, y' ~ N(v, I_d):
    E (xᵀx'/d + 1)³ = 1 + 3/d, and the same in v by moments of yᵀy'.
    """
    d, v = 4, torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    xx = 1 + 3 * d / d**2
    # s = yᵀy': E s = 1, E s² = d + 2 + 1, E s³ = 1 + 3·2 + 3d + 6 with |v| = 1 (Gaussian moments),
    # and xᵀy: E s² = d + 1, E s³ = 0.
    s1, s2, s3 = 1, d + 3, 3 * d + 13
    yy = s3 / d**3 + 3 * s2 / d**2 + 3 * s1 / d + 1
    xy = 3 * (d + 1) / d**2 + 1
    record = kid(normal(20_000, d), normal(20_000, d, seed=1) + v)
    assert record.error < 0.1
    assert abs(record.value - (xx + yy - 2 * xy)) < 3 * record.error


def test_kid_in_small_blocks_is_on_average_that_of_all_pairs() -> None:
    x, y = normal(20, 2), normal(20, 2, seed=1) + 1
    record = kid(x, y)  # ten blocks of two
    assert record.details["blocks"] == 10
    averaged = torch.tensor([kid(x, y, rng=seed).value for seed in range(500)])
    exact = by_pairs(lambda a, b: (a @ b / 2 + 1) ** 3, x, y)
    assert abs(float(averaged.mean()) - exact) < 4 * float(averaged.std()) / math.sqrt(500)


@pytest.mark.parametrize("n", [2, 3, 5, 19])
def test_kid_of_few_rows_is_the_plain_mean_over_pairs_with_a_warning_and_an_error_bar(
    n: int,
) -> None:
    x, y = normal(n, 2), normal(n + 1, 2, seed=1) + 0.5
    with pytest.warns(FewRows, match=f"only {n} rows"):
        found = kid(x, y)
    assert found.value == pytest.approx(
        by_pairs(lambda a, b: (a @ b / 2 + 1) ** 3, x, y), rel=1e-10
    )
    assert 0 < found.error < math.inf


def test_the_error_bar_of_few_rows_is_about_their_spread() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewRows)
        drawn = [
            kid(normal(12, 4, seed=2 * i), normal(12, 4, seed=2 * i + 1) + 0.5) for i in range(100)
        ]
    spread = float(torch.tensor([r.value for r in drawn]).std())
    assert 0.7 < sum(r.error for r in drawn) / 100 / spread < 1.6


@pytest.mark.parametrize("block", [1, 0])
def test_a_block_of_kid_has_at_least_two_rows(block: int) -> None:
    with pytest.raises(InvalidValue, match="block must be"):
        kid(normal(100, 2), normal(100, 2, seed=1), block=block)


def test_kid_far_from_the_origin_is_the_exact_one() -> None:
    """The kernel is not invariant, but its value there is known:
    by whole fractions of the numbers as they are.
    """
    x, y = ((normal(20, 2, seed=s) * 1000).round() / 1024 + 2.0**30 + s for s in (0, 1))

    def kernel(a: list[Fraction], b: list[Fraction]) -> Fraction:
        return (sum((p * q for p, q in zip(a, b)), Fraction(0)) / 2 + 1) ** 3

    order = [permutation(20, rng=stream) for stream in [generator(0)] for _ in range(2)]
    parts = [
        [[[Fraction(v) for v in row] for row in part.tolist()] for part in z[o].tensor_split(10)]
        for z, o in zip((x, y), order)
    ]
    values = [
        kernel(*a) + kernel(*b) - sum((kernel(p, q) for p in a for q in b), Fraction(0)) / 2
        for a, b in zip(*parts)
    ]
    assert kid(x, y).value == pytest.approx(float(sum(values, Fraction(0)) / 10), rel=1e-9)


def test_mmd_is_its_definition() -> None:
    x, y = normal(9, 3), normal(12, 3, seed=1) + 0.5
    record = mmd(x, y, bandwidth=1.3, permutations=5)
    exact = by_pairs(lambda a, b: (-(a - b).square().sum() / (2 * 1.3**2)).exp(), x, y)
    assert record.value == pytest.approx(exact, abs=1e-12)
    assert median_distance(x) == pytest.approx(float(torch.pdist(x).median()), rel=1e-12)
    assert mmd(x, y).details["bandwidth"] == pytest.approx(median_distance(x), rel=1e-12)


def test_mmd_of_normals_is_its_closed_form() -> None:
    """E k for x - x' ~ N(u, 2I): (1 + 2/h²)^(-d/2) exp(-|u|²/(2 (h² + 2)))."""
    d, h, u = 3, 1.5, 0.5
    scale = (1 + 2 / h**2) ** (-d / 2)
    exact = 2 * scale * (1 - math.exp(-d * u * u / (2 * (h * h + 2))))
    found = [
        mmd(
            normal(300, d, seed=2 * i),
            normal(300, d, seed=2 * i + 1) + u,
            bandwidth=h,
            permutations=1,
        )
        for i in range(40)
    ]
    values = torch.tensor([r.value for r in found], dtype=torch.float64)
    assert abs(float(values.mean()) - exact) < 3 * float(values.std()) / math.sqrt(40)
    assert 0.75 < float(values.std()) / (sum(r.error for r in found) / 40) < 1.3


def test_p_values_are_uniform_under_one_distribution_and_small_under_two() -> None:
    p = torch.tensor(
        [
            mmd(
                normal(40, 2, seed=2 * i), normal(60, 2, seed=2 * i + 1), permutations=99, rng=i
            ).details["p"]
            for i in range(200)
        ]
    ).sort()[0]
    distance = float((p - torch.arange(1, 201) / 200).abs().max())
    assert distance < 1.63 / math.sqrt(200)  # Kolmogorov's 1 % point
    shifted = mmd(normal(200, 2), normal(200, 2, seed=1) + 0.5, permutations=199)
    assert shifted.details["p"] == pytest.approx(1 / 200)


def test_one_repeated_row_needs_a_bandwidth() -> None:
    with pytest.raises(InvalidValue, match="pass a bandwidth"):
        mmd(torch.ones(5, 2), normal(5, 2))
