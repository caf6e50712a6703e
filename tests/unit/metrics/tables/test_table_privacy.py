"""Distances, copies and membership: by hand, by enumeration, and on a planted leak."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from pushforward.core.columns import Column
from pushforward.core.records import Record
from pushforward.metrics.tables import nearest, privacy
from pushforward.metrics.tables.nearest import Gower, ranges_of
from pushforward.metrics.tables.pair import TablePair
from pushforward.metrics.tables.privacy import (
    baseline_protection,
    closest_records,
    copies,
    membership,
)

NAN = math.nan
COLUMNS = [Column("x"), Column("k", "categorical", categories=("a", "b", "c")), Column("y")]
CATEGORICAL = np.array([False, True, False])


def draw(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    y[rng.random(n) < 0.1] = NAN
    return np.column_stack([rng.normal(size=n), rng.integers(0, 3, n), y])


def named(records: list[Record]) -> dict[str, Record]:
    return {r.quantity: r for r in records}


def test_gower_by_hand() -> None:
    reference = np.array([[0, 0, 5], [10, 1, NAN]])
    ranges = ranges_of(reference)
    assert ranges.tolist() == [10, 1, 0]
    gower = Gower(reference, CATEGORICAL, ranges)
    x = np.array([[5, 0, 5], [10, 2, NAN], [NAN, 1, 5], [40, 1, 6]])
    ((_, block),) = gower.blocks(x)
    expected = [
        [0.5 / 3, (0.5 + 1 + 1) / 3],
        [(1 + 1 + 1) / 3, (0 + 1 + 0) / 3],
        [(1 + 1 + 0) / 3, (1 + 0 + 1) / 3],
        [(1 + 1 + 1) / 3, (1 + 0 + 1) / 3],
    ]
    assert np.allclose(block, expected, atol=1e-6)
    assert gower.nearest(x) == pytest.approx(block.min(1))


def test_blocks_and_tiles_do_not_change_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    x, reference = draw(0, 40), draw(1, 57)
    gower = Gower(reference, CATEGORICAL, ranges_of(reference))
    whole = np.concatenate([block for _, block in gower.blocks(x)])
    monkeypatch.setattr(nearest, "BLOCK", 57 * 7)
    monkeypatch.setattr(nearest, "TILE", 50)
    parts = list(gower.blocks(x))
    assert len(parts) == 6
    assert np.array_equal(np.concatenate([block for _, block in parts]), whole)


def test_far_positions_do_not_lose_digits() -> None:
    reference = 1e9 + np.array([[0.0], [1.0], [2.0]])
    gower = Gower(reference, np.array([False]), ranges_of(reference))
    assert gower.nearest(reference + 0.25) == pytest.approx([0.125] * 3, abs=1e-6)


def test_rows_that_are_nearest_alike_share() -> None:
    reference = np.array([[0.0], [0.0], [4.0]])
    gower = Gower(reference, np.array([False]), np.array([4.0]))
    # 0.5 is nearest to both zeros, 2 to all three; 9 is a whole range away from any
    assert gower.shares(np.array([[0.5], [3.0], [2.0], [9.0]])) == pytest.approx(
        [(1 / 2 + 1 / 3 + 1 / 3) / 4, (1 / 2 + 1 / 3 + 1 / 3) / 4, (1 + 1 / 3 + 1 / 3) / 4]
    )


def test_the_closest_share_and_its_error_over_all_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all ways to split six rows into four and two: the mean is 2/3 and the error the spread."""
    monkeypatch.setattr(privacy, "SMALLEST", 1)
    rows = np.array([[0.0], [0.1], [0.1], [0.45], [0.8], [1.0]])
    made = np.array([[0.05], [0.1], [0.12], [0.5], [0.5], [0.97], [0.3]])
    found = []
    for train in itertools.combinations(range(6), 4):
        inside = np.isin(np.arange(6), train)
        pair = TablePair(rows[inside], made, [Column("x")])
        found.append(named(closest_records(pair, rows[~inside]))["closest_share"])
    assert np.mean([r.value for r in found]) == pytest.approx(2 / 3)
    assert {r.details["ideal"] for r in found} == {2 / 3}
    assert [r.error for r in found] == pytest.approx([np.std([r.value for r in found])] * 15)


def test_copies_by_hand() -> None:
    pair = TablePair(
        np.array([[1.0], [2], [2], [NAN]]), np.array([[1.0], [2], [NAN], [9]]), [Column("x")]
    )
    record = copies(pair)
    assert record.value == 0.5  # 1 and the gap; 2 repeats in the data
    assert (record.details["rows"], record.details["repeated_rows"]) == (2, 1)
    assert record.details["ideal"] == 0.5  # one of four rows occurs twice
    assert copies(pair, np.array([[1.0], [7], [8]])).details["ideal"] == pytest.approx(1 / 3)


def test_chance_copies_of_a_small_table_are_expected() -> None:
    """Of few distinct rows fresh ones equal some, as often as estimated."""
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(60):
        x, y = (rng.geometric(0.02, (150, 1)).astype(float) for _ in range(2))
        record = copies(TablePair(x, y, [Column("x")]))
        gaps.append(record.value - record.details["ideal"])
    assert abs(np.mean(gaps)) < 3 * np.std(gaps) / math.sqrt(60)


@pytest.mark.parametrize("held_out", [200, 600])
def test_fresh_rows_are_safe(held_out: int) -> None:
    z = []
    for seed in range(5):
        train, fresh, made = (draw(10 * seed + i, n) for i, n in enumerate((400, held_out, 300)))
        pair = TablePair(train, made, COLUMNS, seed=seed)
        records = named([*closest_records(pair, fresh), *membership(pair, fresh)])
        assert records["closest_share"].details["ideal"] == 400 / (400 + held_out)
        names = ("closest_share", "membership", "closer")
        z.append(
            [(records[n].value - records[n].details["ideal"]) / records[n].error for n in names]
        )
        assert copies(pair).value == 0
    assert (np.abs(np.mean(z, 0)) < 4 / math.sqrt(5)).all()


def test_a_planted_leak_is_found_by_every_measure() -> None:
    train, fresh, made = draw(1, 1000), draw(2, 1000), draw(3, 1000)
    made[:300] = train[:300]
    pair = TablePair(train, made, COLUMNS)
    records = named([*closest_records(pair, fresh), *membership(pair, fresh)])
    assert copies(pair, fresh).value == pytest.approx(0.3)
    for name in ("closest_share", "closer", "neighbour_ratio", "membership"):
        record = records[name]
        assert record.value > record.details["ideal"] + 4 * record.error, name
    assert records["overfitting_protection"].value < 0.8


def test_a_leak_with_noise_is_found_by_distances() -> None:
    train, fresh, made = draw(1, 600), draw(2, 600), draw(3, 600)
    made[:300] = train[:300]
    made[:, [0, 2]] += np.random.default_rng(0).normal(0, 0.005, (600, 2))
    pair = TablePair(train, made, COLUMNS)
    records = named([*closest_records(pair, fresh), *membership(pair, fresh)])
    assert copies(pair, fresh).value < 0.06
    for name in ("closest_share", "membership"):
        assert records[name].value > records[name].details["ideal"] + 4 * records[name].error, name


def test_the_training_rows_themselves() -> None:
    train, fresh = draw(1, 300), draw(2, 300)
    pair = TablePair(train, train, COLUMNS)
    records = named([*closest_records(pair, fresh), *membership(pair, fresh)])
    assert copies(pair).value == 1
    assert records["membership"].value == 1
    assert records["overfitting_protection"].value == 0
    assert records["closest_share"].value == pytest.approx(1)
    assert baseline_protection(pair)[0].value == 0


def test_only_the_synthetic_side_is_drawn_from() -> None:
    pair = TablePair(draw(0, 200), draw(1, 200), COLUMNS)
    records = closest_records(pair, draw(2, 100), rows=50)
    assert {r.n for r in records} == {50}
    assert {r.details["real"] for r in records} == {200}
    assert records[0].details["ideal"] == 2 / 3


def test_random_rows_are_as_far_as_random_rows() -> None:
    rng = np.random.default_rng(0)
    train, made = rng.random((500, 2)), rng.random((500, 2))
    record = baseline_protection(TablePair(train, made, [Column("x"), Column("y")]))[0]
    assert record.value > 1 - 4 * record.error - 0.02
    near = baseline_protection(TablePair(train, train + 1e-4, [Column("x"), Column("y")]))[0]
    assert near.value < 0.05


def test_few_rows_say_nothing_about_distances() -> None:
    pair = TablePair(draw(0, 5), draw(1, 50), COLUMNS)
    assert closest_records(pair, draw(2, 50)) == membership(pair, draw(2, 50)) == []
    assert baseline_protection(pair) == []


def test_whole_numbers_beyond_64_bits_are_drawn_within_their_range() -> None:
    rng = np.random.default_rng(0)
    x = np.rint(rng.normal(size=(60, 2)) * 1e30)
    pair = TablePair(x[:30], x[30:], (Column("a", "integer"), Column("b", "integer")))
    drawn = privacy._uniform(pair, 500, rng)
    assert (drawn >= pair.real.min(0)).all()
    assert (drawn <= pair.real.max(0)).all()
    assert np.unique(drawn[:, 0]).size == 500
