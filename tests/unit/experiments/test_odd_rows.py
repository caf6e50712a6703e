"""Odd rows: what they are called, and a sentence about each."""

from __future__ import annotations

import re

import numpy as np
import pandas
import pytest

from pushforward.experiments.groups import describe
from pushforward.experiments.oddity import odd
from pushforward.experiments.table_models import TableReading

READING = TableReading(model="copula")


@pytest.fixture(params=[40, 400])
def people(request: pytest.FixtureRequest) -> pandas.DataFrame:
    """Names, two of which are shared: of few rows they are categories, of many text."""
    n = request.param
    x = np.random.default_rng(0).normal(size=(n, 3)) @ [[1.0, 0.9, 0.0], [0, 0.4, 0], [0, 0, 1]]
    frame = pandas.DataFrame(x.round(3), columns=["a", "b", "c"])
    frame.insert(0, "name", [f"Person {i}" for i in range(n)])
    frame.loc[[7, 12], "name"] = ["Person 8", "Person 11"]
    frame.loc[7, "b"] = 60.0
    return frame


def test_names_that_some_rows_share_name_rows_beside_their_number(people: pandas.DataFrame) -> None:
    reading = TableReading(model="gmm", types={"name": "text"})
    found = odd(people, top=2, reading=reading)
    assert found.top[0].row == 7
    assert found.top[0].identity == "name Person 8"
    assert any(s.startswith("row 7 (name Person 8): b is 60") for s in found.sentences)
    assert found.table["name"][0] == "Person 8"
    assert "(name Person " in " ".join(describe(people, reading=reading).sentences)


def test_categories_of_almost_every_row_name_rows(people: pandas.DataFrame) -> None:
    found = odd(people, top=1, reading=READING)
    assert found.top[0].identity == "name Person 8"


def test_missing_and_long_names_are_left_out_and_elided() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2)).round(3)
    frame = pandas.DataFrame(x, columns=["a", "b"])
    frame["note"] = [f"a remark on row {i}, which goes on and on and on" for i in range(40)]
    frame.loc[3, "note"] = None
    frame.loc[[3, 5], "a"] = [70.0, -80.0]
    reading = TableReading(model="gmm", types={"note": "text"})
    identities = {row.row: row.identity for row in odd(frame, top=2, reading=reading).top}
    assert identities[3] == ""
    assert re.fullmatch(r"note a remark on row 5.*….*on and on", identities[5])
    assert len(identities[5]) == len("note ") + 40


def test_every_row_shown_has_a_reason_and_values_that_are_not_rare_are_not_called_so(
    people: pandas.DataFrame,
) -> None:
    found = odd(people.drop(columns="name"), top=len(people), reading=READING)
    said = {s.split(":")[0]: s for s in found.sentences if s.startswith("row ")}
    assert len(said) == len(people)
    assert "the next are no odder than" in " ".join(found.sentences)
    usual = 0
    for row in found.top:
        sentence = said[f"row {row.row}"]
        rare = [r for r in row.reasons if r.p < 0.05 or not r.low <= r.value <= r.high]
        assert ("no value is rare beside the others; least likely: " in sentence) == (not rare)
        assert sentence.count("would be expected") == len(rare)
        usual += not rare
    assert usual > len(people) / 4


def test_a_calm_table_still_says_what_is_most_unusual() -> None:
    x = np.random.default_rng(1).normal(size=(50, 2)).round(3)
    found = odd(pandas.DataFrame(x, columns=["a", "b"]), top=3, reading=READING)
    assert "no row stands out" in " ".join(found.sentences)
    assert sum(s.startswith("row ") for s in found.sentences) == 3
