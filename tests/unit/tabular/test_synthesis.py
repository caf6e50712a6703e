"""Synthetic rows: identifiers in their pattern, gaps as the data have them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.core.array_source import Arrays
from pushforward.core.random import generator
from pushforward.core.space import Column, Space
from pushforward.data.tables.relations import parse_relations
from pushforward.tabular.rules import Rules
from pushforward.tabular.strata import stratify
from pushforward.tabular.synthesis import find_gaps, find_levels, identifiers_like
from pushforward.tabular.tallies import Tally


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["K-1002", "K-1000", "K-1001"], ["K-1003", "K-1004", "K-1005", "K-1006"]),
        ([3, 1, 2], ["4", "5", "6", "7"]),
        ([7.0, 8.0], ["7", "8", "9", "10"]),
        (["P009", "P010"], ["P011", "P012", "P013", "P014"]),
        (["P997", "P99"], ["P998", "P999", "P1000", "P1001"]),
        (["a1@x.de", "a2@x.de"], ["a3@x.de", "a4@x.de", "a5@x.de", "a6@x.de"]),
        (["Ann", "Bert", "Cleo"], ["1", "2", "3", "4"]),
    ],
)
def test_numbered_identifiers_count_on_after_the_greatest_and_rows_from_the_first(
    values: list, expected: list[str]
) -> None:
    _, make = identifiers_like(values)
    assert [*make(0, 3), *make(3, 1)] == expected


def test_uuids_and_codes_are_drawn_in_their_pattern_and_never_repeat() -> None:
    uuids = ["4a3ee24c-4f1e-4d3a-9d8e-0a2b3c4d5e6f", "00000000-0000-4000-8000-000000000001"]
    how, make = identifiers_like(uuids, seed=1)
    found = [*make(0, 500), *make(500, 500)]
    assert how == "UUIDs"
    assert len(set(found)) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab].*", u) for u in found)
    codes = [f"X{a}{b}7Q{a}-{b}{a}{b}{a}{b}" for a in "ABCZ" for b in "1290"]
    codes = [c[:2] + c[2:] for c in codes]
    how, make = identifiers_like(codes, seed=1)
    found = make(0, 2000)
    assert how.startswith("drawn like X")
    assert len(set(found)) == 2000
    assert all(re.fullmatch(r"X[A-Z]\d7Q[A-Z]-\d[A-Z]\d[A-Z]\d", code) for code in found)


def test_drawn_identifiers_are_none_of_the_real_ones() -> None:
    r = np.random.default_rng(0)
    codes = ["".join(r.choice(list("ABCDEFGH"), size=10)) for _ in range(2000)]
    _, make = identifiers_like(codes, seed=1)
    found = make(0, 500)
    _, again = identifiers_like([*codes, *found], seed=1)  # the same draws are taken now
    assert not set(again(0, 500)) & set(found)


def test_numbers_that_come_again_and_again_are_levels() -> None:
    r = np.random.default_rng(0)
    prices = r.choice([0.99, 4.99, 19.99], size=200)
    prices[::50] = np.nan
    rare = np.where(np.arange(200) % 25 == 7, r.normal(size=200), 1.5)  # 8 of 200, 4 %
    more = np.where(np.arange(200) % 16 == 7, r.normal(size=200), 1.5)  # 12 of 200, 6 %
    twice = np.repeat(r.normal(size=100), 2)
    x = torch.tensor(np.stack([prices, rare, more, r.normal(size=200), twice], axis=1))
    levels = find_levels(Arrays(x))
    assert sorted(levels) == [0, 1, 4]
    assert levels[0].tolist() == [0.99, 4.99, 19.99]
    assert len(levels[1]) == 9


def test_as_many_rows_as_the_data_have_exactly_their_gaps() -> None:
    x = torch.randn(300, 11, generator=torch.Generator().manual_seed(0))
    x[x[:, 0] > 0, 3] = torch.nan
    x[::7, 9:] = torch.nan
    patterns = find_gaps(Arrays(x))
    masks = patterns.rows(300, seed=2)
    mask = np.concatenate([masks(0, 128), masks(128, 172)])
    assert mask.sum(0).tolist() == x.isnan().sum(0).tolist()
    assert sorted(map(tuple, mask)) == sorted(map(tuple, x.isnan().numpy()))
    more = patterns.rows(6000, seed=3)(0, 6000)
    assert more.mean(0) == pytest.approx(x.isnan().double().mean(0).numpy(), abs=0.03)
    assert (more[:, 9] == more[:, 10]).all()  # gaps that go together do


def test_tallies_of_chunks_are_those_of_the_whole() -> None:
    columns = (Column("a"), Column("b"), Column("c", "categorical", categories=("x", "y")))
    space = Space("points", (3,), columns)
    stream = np.random.default_rng(0)
    x = np.column_stack([stream.normal(1e8, 1, 500), stream.normal(size=500), np.arange(500) % 2])
    x[stream.random(x.shape) < 0.2] = np.nan
    facts = Tally(space)
    for part in np.array_split(x, 7):
        facts.add(part)
    assert facts.mean == pytest.approx(np.nanmean(x, 0), rel=1e-14)
    assert facts.variance == pytest.approx(np.nanvar(x, 0, ddof=1), rel=1e-6)
    assert facts.missing.tolist() == np.isnan(x).sum(0).tolist()
    assert facts.categories[2].tolist() == [(x[:, 2] == 0).sum(), (x[:, 2] == 1).sum()]
    assert (facts.low[1], facts.high[1]) == (np.nanmin(x[:, 1]), np.nanmax(x[:, 1]))


def test_stratified_rows_have_one_value_in_each_part_of_the_margin_and_the_ranks_drawn() -> None:
    r = np.random.default_rng(0)
    x = r.normal(size=(400, 1)) + r.normal(size=(400, 3))
    frame = pandas.DataFrame(x, columns=["a", "b", "c"])
    frame["k"] = r.choice(["u", "v"], size=400)
    model: Any = pf.GaussianCopula().fit(pf.read(frame, types="auto"), quiet=True)
    drawn = model.sample(200, rng=0).numpy()
    rules = Rules(model.fitted_space(), parse_relations(["b <= 9"], model.fitted_space()))
    made = stratify(drawn, model, rules, generator(0))
    u = torch.special.ndtr(model.margins_.scores(torch.from_numpy(made[:, model.scored])).z)
    for j in (0, 2):
        assert sorted((200 * u[:, j]).floor().tolist()) == list(range(200))
        assert (made[:, j].argsort() == drawn[:, j].argsort()).all()
    assert (made[:, 1] == drawn[:, 1]).all(), "it has a relation"
    assert (made[:, 3] != drawn[:, 3]).mean() < 0.1
    within = stratify(drawn, model, replace(rules, observed=True), generator(0))
    for j, column in ((0, rules.space.columns[0]), (2, rules.space.columns[2])):
        assert column.low < within[:, j].min() < within[:, j].max() < column.high, "none at an end"


def test_strata_end_at_the_edge_of_values_that_many_rows_share() -> None:
    r = np.random.default_rng(0)
    x = np.column_stack([r.integers(0, 6, 400), r.normal(size=400).clip(-1, 1)]).astype(float)
    rules = Rules(Space("points", (2,), (Column("a", low=0, high=5), Column("b", low=-1, high=1))))
    for kind in (pf.IndependentColumns, pf.GaussianCopula, pf.MixedMixture):
        model: Any = kind().fit(x, quiet=True)
        drawn = model.sample(400, rng=0).numpy()
        made = stratify(drawn, model, replace(rules, observed=True), generator(0))
        assert (np.bincount(made[:, 0].astype(int)) > 40).all()
        for end in (-1, 1):
            assert (made[:, 1] == end).mean() == pytest.approx((x[:, 1] == end).mean(), abs=0.01)


@pytest.mark.parametrize("kind", [pf.IndependentColumns, pf.GaussianCopula, pf.MixedMixture])
def test_categories_are_as_frequent_as_the_model_says_and_depend_as_drawn(kind: Any) -> None:
    r = np.random.default_rng(0)
    a = r.normal(size=2000)
    names = np.where(a + r.normal(size=2000) > 0.8, "u", np.where(r.random(2000) < 0.3, "v", "w"))
    frame = pandas.DataFrame({"a": a, "k": names, "l": r.choice(["x", "y"], 2000, p=[0.9, 0.1])})
    model: Any = kind().fit(pf.read(frame, types="auto"), quiet=True)
    drawn = model.sample(1000, rng=3).numpy()
    made = stratify(drawn, model, Rules(model.fitted_space()), generator(0))
    many = model.sample(400_000, rng=4).numpy()
    for j in (1, 2):
        share = np.bincount(many[:, j].astype(int)) / len(many)
        assert np.bincount(made[:, j].astype(int)) == pytest.approx(1000 * share, abs=2.5)
        assert 0 < (made[:, j] != drawn[:, j]).mean() < 0.06
    for code in range(3):  # what it goes with is what the model says
        apart = many[many[:, 1] == code, 0].mean()
        assert made[made[:, 1] == code, 0].mean() == pytest.approx(apart, abs=0.15)


def test_categories_that_change_are_drawn_given_the_rest_of_their_row() -> None:
    r = np.random.default_rng(0)
    a = r.normal(size=2000)
    frame = pandas.DataFrame({"a": a, "k": np.where(a + 0.3 * r.normal(size=2000) > 0, "u", "v")})
    model: Any = pf.MixedMixture(4).fit(pf.read(frame, types="auto"), quiet=True)
    drawn = model.sample(1000, rng=3).numpy()
    apart = drawn[drawn[:, 1] == 1, 0].mean() - drawn[drawn[:, 1] == 0, 0].mean()
    drawn[:, 1] = 0  # all of one: half must change
    made = stratify(drawn, model, Rules(model.fitted_space()), generator(0))
    again = made[made[:, 1] == 1, 0].mean() - made[made[:, 1] == 0, 0].mean()
    assert abs(apart) > 1
    assert again / apart > 0.8
