"""Relations that a table obeys without declaring them: found, and not made up."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.data.tables.relations import parse_relations
from pushforward.data.tables.suggested_relations import suggest_relations


def table(n: int = 300) -> pandas.DataFrame:
    r = np.random.default_rng(0)
    threes, twos, games = r.poisson(5, n), r.poisson(9, n), r.integers(0, 83, n)
    inch = r.normal(70, 3, n).round(2)
    columns = {
        "3P": threes, "twos": twos, "G": games, "GS": r.binomial(games, 0.4),
        "inch": inch, "cm": (2.54 * inch).round(1), "noise": r.normal(size=n),
    }  # fmt: skip
    frame = pandas.DataFrame(columns)
    frame.insert(0, "PTS", 3 * threes + 2 * twos)
    return frame


def suggested(frame: pandas.DataFrame, *declared: str) -> list[str]:
    source = pf.read(frame, types="auto")
    found = suggest_relations(source, parse_relations(declared, source.space))
    assert not any(r.violated(source.x.double().numpy(), source.space).any() for r in found)
    assert list(parse_relations([r.text for r in found], source.space)) == list(found)
    return [relation.text for relation in found]


def test_sums_multiples_and_bounds_are_found_as_they_are_declared() -> None:
    assert suggested(table()) == ["PTS = 3*`3P` + 2*twos", "cm = 2.54*inch", "GS <= G"]


def test_declared_relations_and_what_follows_from_them_are_left_out() -> None:
    assert suggested(table(), "GS <= G", "2*cm = 5.08*inch") == ["PTS = 3*`3P` + 2*twos"]
    chain = table()[["G", "GS"]].assign(more=lambda f: f.G + np.arange(len(f)) % 30)
    assert sorted(suggested(chain)) == ["G <= more", "GS <= G"]  # and so GS <= more


def test_one_row_that_does_not_obey_is_enough() -> None:
    frame = table(20_000)
    at = 12_345  # not among the rows that are looked at first
    frame.loc[at, "PTS"] += 1
    frame.loc[at, "GS"] = frame.loc[at, "G"] + 1
    frame.loc[at, "cm"] += 0.3
    assert suggested(frame) == []


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_unit_and_offset(unit: float, dtype: type) -> None:
    r = np.random.default_rng(1)
    a, b = r.normal(size=(2, 200)).round(3) * unit
    frame = pandas.DataFrame({"a": a, "b": b, "c": a + b, "d": 3 * a}).astype(dtype)
    expected = ["c = a + b", "d = 3*a"] if dtype is np.float64 else []  # not equal when rounded
    assert suggested(frame) == expected


def test_dates_and_numbers_with_an_offset() -> None:
    r = np.random.default_rng(1)
    start = pandas.Timestamp("2020-01-01") + pandas.to_timedelta(r.integers(0, 900, 200), unit="D")
    end = start + pandas.to_timedelta(r.integers(0, 300, 200), unit="D")
    celsius = r.normal(10, 8, 200).round(1)
    frame = pandas.DataFrame({"start": start, "end": end, "C": celsius, "F": 1.8 * celsius + 32})
    assert suggested(frame) == ["F = 1.8*C + 32", "start <= end"]


@pytest.mark.parametrize(
    "columns",
    [
        {"few": np.arange(12.0), "rows": 2 * np.arange(12.0)},
        {"age": np.arange(200) % 50, "height": 150 + np.arange(200) % 37},  # do not overlap
        {"a": 1 + np.arange(100) % 2 / 10, "b": 2 + np.arange(100) // 2 % 2 / 10},  # all rounding
        {"kind": ["x", "y"] * 100, "one": [1.0] * 200, "v": np.arange(200.0) ** 2},
    ],
)
def test_what_is_trivial_or_may_be_chance_is_not_said(columns: dict[str, object]) -> None:
    assert suggested(pandas.DataFrame(columns)) == []


def test_noise_has_no_relations_even_with_more_columns_than_rows() -> None:
    for rows, columns in ((200, 40), (40, 60)):
        x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)).numpy()
        assert suggested(pandas.DataFrame(x.astype(float)).add_prefix("c")) == []


def test_gaps_hide_no_relation() -> None:
    frame = table().astype(float)
    frame = frame.mask(np.random.default_rng(2).random(frame.shape) < 0.03)
    assert "PTS = 3*`3P` + 2*twos" in suggested(frame)
