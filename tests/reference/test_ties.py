"""Metrics of nearest neighbours where distances are equal:
against counting in whole numbers and fractions.
"""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from pushforward.metrics import neighbours
from pushforward.metrics.feature_spaces import scaled
from pushforward.metrics.manifold import prdc
from pushforward.metrics.memorisation import memorisation
from pushforward.metrics.modes import modes
from pushforward.metrics.neighbours import ExactSquares, merge_ties, nearest, squared_radii

STREAM = torch.Generator()


def whole(n: int, d: int, levels: int, seed: int) -> Tensor:
    return torch.randint(0, levels, (n, d), generator=STREAM.manual_seed(seed)).to(torch.float64)


def squares(x: Tensor, y: Tensor) -> list[list[int]]:
    return [
        [sum((int(p) - int(q)) ** 2 for p, q in zip(a, b)) for b in y.tolist()] for a in x.tolist()
    ]


def by_counting(x: Tensor, y: Tensor, k: int) -> list[float]:
    """Open balls up to the k-th nearest other row,
    those of radius 0 holding their centre, on whole numbers.
    """

    def limits(z: Tensor) -> list[int]:
        # the smallest of all is the row itself
        return [max(sorted(row)[k], 1) for row in squares(z, z)]

    real, own, across = limits(x), limits(y), squares(x, y)
    n, m = len(x), len(y)
    held = [[across[i][j] < real[i] for i in range(n)] for j in range(m)]
    return [
        sum(any(row) for row in held) / m,
        sum(any(across[i][j] < own[j] for j in range(m)) for i in range(n)) / n,
        sum(map(sum, held)) / (k * m),
        sum(any(held[j][i] for j in range(m)) for i in range(n)) / n,
    ]


def values(x: Tensor, y: Tensor, k: int = 5, **more: object) -> list[float]:
    return [r.value for r in prdc(x, y, k=k, **more)]


# (rows, columns, levels): points on a line and in the plane, many repeated; binary codes; bytes
WHOLE = [
    (50, 1, 4),
    (50, 1, 30),
    (60, 2, 3),
    (60, 2, 10),
    (50, 8, 2),
    (60, 16, 2),
    (40, 60, 2),
    (40, 30, 256),
]
# What is done to whole numbers: units, signs and offsets that float64 holds,
# and some that it has to round
UNITS = [
    (1.0, 0.0),
    (-0.25, 3.0),
    (1.0, 1e9),
    (2.0**-60, 0.0),
    (0.1, 0.0),
    (0.1, 1e6),
    (1 / 255, 0.0),
    (1.6e-19, 0.0),
    (1e30, 1.0),
]


@pytest.mark.parametrize(("n", "d", "levels"), WHOLE)
@pytest.mark.parametrize(("a", "b"), UNITS)
def test_whole_numbers_in_any_unit_are_counted_exactly(
    n: int, d: int, levels: int, a: float, b: float
) -> None:
    x, y = whole(n, d, levels, 0), whole(n - 7, d, levels, 1)
    assert values(a * x + a * b, a * y + a * b) == pytest.approx(by_counting(x, y, 5), abs=1e-12)


@pytest.mark.parametrize("power", [0, 40, 46, 47, 48, 50, 52])
def test_whole_numbers_have_no_rounding_at_any_offset_that_float64_holds(power: int) -> None:
    x, y = whole(60, 4, 3, 0), whole(50, 4, 3, 1)
    assert values(x + 2**power, y + 2**power) == pytest.approx(by_counting(x, y, 5), abs=1e-12)


@pytest.mark.parametrize(("n", "d", "levels"), WHOLE)
@pytest.mark.parametrize("unit", [1.0, 0.1])
def test_identical_sets(n: int, d: int, levels: int, unit: float) -> None:
    x = whole(n, d, levels, 0)
    precision, recall, density, coverage = values(unit * x, unit * x)
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(by_counting(x, x, 5)[2], abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_repeated_rows_of_broken_numbers(seed: int) -> None:
    """Rows without a short binary form, each many times:
    only equal ones lie in balls of radius 0.
    """
    x = torch.randn(8, 5, generator=STREAM.manual_seed(seed), dtype=torch.float64) * 1e3 + 1e5
    rows = x.repeat(6, 1)
    assert values(rows, rows) == pytest.approx([1, 1, 6 / 5, 1])
    assert values(
        rows, torch.cat([x[:4].repeat(6, 1), x[4:].repeat(6, 1) + 1e-6])
    ) == pytest.approx([0.5, 0.5, 0.6, 0.5])


def test_two_halves_of_one_binary_distribution() -> None:
    x = whole(400, 16, 2, 3)
    found = values(x[:200], x[200:])
    assert found == pytest.approx(by_counting(x[:200], x[200:], 5), abs=1e-12)
    assert found[2] < 0.7  # ties taken for noise come to .8 or more


def test_the_order_of_rows_and_the_size_of_blocks_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, y = 0.1 * whole(60, 3, 4, 0), 0.1 * whole(50, 3, 4, 1)
    plain = values(x, y)
    assert values(x.flip(0), y.roll(7, 0)) == plain
    monkeypatch.setattr(neighbours, "BLOCK_NUMBERS", 300)
    assert values(x, y) == plain


def test_features_that_round_keep_ties() -> None:
    x, y = whole(60, 2, 6, 0), whole(60, 2, 6, 1)
    unit = torch.tensor([0.3, 0.3], dtype=torch.float64)
    assert values(x * unit, y * unit, features=scaled(x * unit)) == values(x, y, features=scaled(x))


@pytest.mark.parametrize(("a", "b"), UNITS)
@pytest.mark.parametrize(("n", "d", "levels"), [(40, 1, 30), (60, 2, 10), (50, 8, 2)])
def test_memorisation_counts_ties_half(n: int, d: int, levels: int, a: float, b: float) -> None:
    train, held_out, made = (whole(n, d, levels, seed) for seed in (0, 1, 2))
    usual, found = ([min(row) for row in squares(z, train)] for z in (held_out, made))
    halves = [
        Fraction(1) if g < h else Fraction(1, 2) if g == h else Fraction(0)
        for g in found
        for h in usual
    ]
    ordered = sorted(usual)
    closer, suspicious = memorisation(
        *(a * z + a * b for z in (train, held_out, made)), quantile=0.5
    )
    assert closer.value == pytest.approx(float(sum(halves, Fraction(0)) / len(halves)), abs=1e-12)
    limit = (math.sqrt(ordered[(n - 1) // 2]) + math.sqrt(ordered[n // 2])) / 2
    assert suspicious.value == sum(math.sqrt(g) < limit - 1e-9 for g in found) / len(found)


def test_samples_at_the_limit_of_a_mode_count_in_any_unit() -> None:
    x = torch.tensor([[0.0], [3.0], [-3.0], [4.0]], dtype=torch.float64)
    for a, b in UNITS:
        found = modes(a * x + a * b, torch.full((1, 1), a * b, dtype=torch.float64), abs(a))
        assert found[1].value == 0.75, (a, b)


@pytest.mark.parametrize("far", [0.0, 1e7])
def test_neighbours_that_a_matrix_product_cannot_tell_apart(far: float) -> None:
    """Two clusters far from each other, and neighbours nearer than the digits the product keeps."""
    x = torch.rand(40, 3, generator=STREAM.manual_seed(0), dtype=torch.float64) * 1e-3
    x[20:] += far
    exact = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
    distance, index = nearest(x, x, itself=True)
    assert torch.equal(index, exact.argmin(1))
    assert torch.allclose(distance, exact.amin(1), rtol=1e-14)
    assert torch.allclose(squared_radii(x, 3).sqrt(), exact.sort(1).values[:, 2], rtol=1e-14)


def test_merged_distances() -> None:
    found = merge_ties(
        torch.tensor([0.3, 0.1 + 0.2, 1.0, 0.0], dtype=torch.float64),
        torch.zeros(4, dtype=torch.float64),
    )
    assert found[0] == found[1] == 0.3
    assert found[2:].tolist() == [1.0, 0.0]


def test_the_authors_package_agrees_on_whole_numbers() -> None:
    """Where no ball has the radius 0."""
    package = pytest.importorskip("prdc")
    x, y = whole(80, 6, 5, 0), whole(70, 6, 5, 1)
    assert min(squared_radii(x, 5).min(), squared_radii(y, 5).min()) > 0
    expected = package.compute_prdc(x.numpy(), y.numpy(), nearest_k=5)
    assert values(x, y) == pytest.approx(
        [float(expected[name]) for name in ("precision", "recall", "density", "coverage")],
        abs=1e-12,
    )


# ------------------------------------------------------------------------------ squares beyond 2^53

MIXED = [
    (12, 12, 10**8),
    (3, 12, 2**27 + 1),
    (12, 3, 10**12),
    (1, 1, 10**9),
    (2, 0, 1),
    (50, 50, 10**8),
    (2, 2, 2**51),
]
"""(columns of 0..2, columns of 0..2 times a factor, the factor)."""


def mixed(n: int, case: tuple[int, int, int], seed: int) -> Tensor:
    small, large, factor = case
    return torch.cat([whole(n, small, 3, seed), whole(n, large, 3, seed + 100) * factor], 1)


@pytest.mark.parametrize("case", MIXED)
@pytest.mark.parametrize("offset", [0, 17 * 10**17])
def test_whole_numbers_of_unlike_columns_are_counted_exactly(
    case: tuple[int, int, int], offset: int
) -> None:
    for seed in range(2):
        x, y = mixed(40, case, seed), mixed(35, case, seed + 10)
        expected = by_counting(x, y, 5)
        assert values(x.long() + offset, y.long() + offset) == pytest.approx(expected, abs=1e-12)
        assert values(x - 2**20, y - 2**20) == pytest.approx(by_counting(x, y, 5), abs=1e-12)
        assert values(torch.cat([x, x]), torch.cat([y, y])) == pytest.approx(
            by_counting(torch.cat([x, x]), torch.cat([y, y]), 5), abs=1e-12
        )


@pytest.mark.parametrize("case", MIXED)
def test_memorisation_of_unlike_columns_ranks_exactly(case: tuple[int, int, int]) -> None:
    train, held_out, made = (mixed(40, case, seed) for seed in (0, 10, 20))
    usual, found = ([min(row) for row in squares(z, train)] for z in (held_out, made))
    halves = [
        Fraction(1) if g < h else Fraction(1, 2) if g == h else Fraction(0)
        for g in found
        for h in usual
    ]
    closer, suspicious = memorisation(train, held_out, made)
    assert closer.value == pytest.approx(float(sum(halves, Fraction(0)) / len(halves)), abs=1e-12)
    for i, j, distance in suspicious.details["pairs"]:
        assert squares(made[i : i + 1], train[j : j + 1])[0][0] == found[i]
        assert distance == pytest.approx(math.sqrt(found[i]), rel=1e-15)


def test_blocks_of_whole_numbers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = mixed(60, MIXED[0], 0), mixed(50, MIXED[0], 10)
    plain, ranked = values(x, y), [r.value for r in memorisation(x, y, y.flip(0))]
    monkeypatch.setattr(neighbours, "BLOCK_NUMBERS", 300)
    assert values(x, y) == plain
    assert [r.value for r in memorisation(x, y, y.flip(0))] == ranked


@pytest.mark.parametrize(
    ("d", "bits"), [(1, 53), (3, 53), (64, 53), (65, 53), (200, 53), (1024, 52)]
)
def test_exact_squares_of_whole_numbers(d: int, bits: int) -> None:
    a, b = (
        torch.randint(-(2**bits), 2**bits + 1, (30, d), generator=STREAM.manual_seed(seed))
        for seed in (0, 1)
    )
    a[0], b[0], a[1] = 2**bits - 1, -(2**bits), b[1]
    found = ExactSquares.between(a, b)
    expected = [sum((p - q) ** 2 for p, q in zip(u, v)) for u, v in zip(a.tolist(), b.tolist())]
    assert [(h << 54) + low for h, low in zip(found.high.tolist(), found.low.tolist())] == expected
    assert found.rounded(1.0).tolist() == pytest.approx([float(e) for e in expected], rel=1e-15)
    assert found.ranks().tolist() == [sorted(set(expected)).index(e) for e in expected]
