"""Odd rows: p-values that are uniform for rows of the model, also with gaps; planted errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import pushforward as pf
from pushforward.core.array_source import Arrays
from pushforward.tabular.oddity import Calibration, cross_fitted, explain, score
from pushforward.tabular.rules import Rules

MEAN = torch.tensor([1.0, -2.0, 30.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.9, 0], [0.9, 1.0, 0], [0, 0, 400.0]], dtype=torch.float64)


def mixture() -> pf.GMM:
    means, spreads = torch.stack([MEAN, MEAN + 5]), torch.stack([COVARIANCE, COVARIANCE / 4])
    return pf.GMM.of(torch.tensor([0.7, 0.3]), means, spreads)


def rules_of(model: pf.GMM) -> Rules:
    return Rules(model.fitted_space())


def with_gaps(x: Tensor, seed: int) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.where(torch.rand(x.shape, generator=stream) < 0.4, math.nan, x)


def test_p_values_of_the_models_own_rows_are_uniform_with_and_without_gaps() -> None:
    model = mixture()
    x = with_gaps(model.sample(3000, rng=5), 6)
    scores = Calibration(model, rules_of(model), samples=8000).of(x)
    for count in range(1, 4):
        p = scores.p[(~x.isnan()).sum(1).numpy() == count]
        assert len(p) > 100
        assert stats.kstest(p, "uniform").pvalue > 1e-3, count
    raw = scores.log_density  # which without calibration puts the rows with few values last
    full, few = raw[~x.isnan().any(1).numpy()], raw[((~x.isnan()).sum(1) == 1).numpy()]
    assert full.mean() < few.mean() - 1


def test_rows_without_values_are_not_odd() -> None:
    model = mixture()
    scores = Calibration(model, rules_of(model)).of(torch.full((2, 3), math.nan).double())
    assert scores.p.tolist() == [1, 1]
    assert scores.log_density.tolist() == [0, 0]


def test_a_planted_error_ranks_first_and_its_column_is_named() -> None:
    """A value in the range of its column, at odds with another, in a row with a gap."""
    model = mixture()
    x = with_gaps(model.sample(500, rng=1), 2)
    x[123] = torch.tensor([3.0, -4.5, math.nan])
    assert float(x[:, 0].nan_to_num(0).max()) > 3
    assert float(x[:, 1].nan_to_num(0).min()) < -4.4
    scores = score(model, Arrays(x), rules_of(model))
    assert scores.order[0] == 123
    every, named = explain(model, x[123], rules_of(model))
    assert {reason.column for reason in every} == {0, 1}
    assert len(named) == 1
    assert every[0].surprise > 5
    whole = x[123].clone()
    whole[2] = 31.0
    every, named = explain(model, whole, rules_of(model))
    assert [reason.column for reason in every][-1] == 2
    assert every[-1].surprise < 1


def test_conditional_densities_are_those_of_the_definition() -> None:
    """The surprise is E[log p(x_j' | rest)] - log p(x_j | rest): of a normal, (z² - 1) / 2."""
    model = pf.GMM.of(torch.ones(1), MEAN[None], COVARIANCE[None])
    row = torch.tensor([1.0, 1.0, 30.0], dtype=torch.float64)
    found = {r.column: r for r in explain(model, row, rules_of(model), draws=20_000)[0]}
    deviation = math.sqrt(1 - 0.9**2)
    z = (1.0 - (-2.0)) / deviation
    assert found[1].surprise == pytest.approx((z**2 - 1) / 2, abs=0.05)
    assert found[2].surprise == pytest.approx(-0.5, abs=0.05)
    assert found[1].middle == pytest.approx(-2.0, abs=0.02)
    assert found[1].high == pytest.approx(-2 + 1.645 * deviation, abs=0.03)
    assert found[2].p == pytest.approx(1.0, abs=0.03)


def test_of_several_errors_each_is_named_and_no_victim() -> None:
    model = pf.GMM.of(torch.ones(1), MEAN[None], COVARIANCE[None])
    row = torch.tensor([1.0, -2.0, 30.0 + 20 * 8], dtype=torch.float64)
    assert [r.column for r in explain(model, row, rules_of(model))[1]] == [2]
    row[1] = 2.0  # 9 conditional deviations from what the first column lets expect
    assert {r.column for r in explain(model, row, rules_of(model))[1]} in ({2, 1}, {2, 0})


def test_folds_are_parts_of_the_rows_judged_by_the_others() -> None:
    x = torch.arange(23.0, dtype=torch.float64)[:, None]
    seen: list[int] = []
    for rows, model in cross_fitted(lambda source: source.all().x[:, 0], Arrays(x), 5):
        assert not np.isin(rows, model.numpy()).any()
        assert len(rows) + len(model) == 23
        seen += rows.tolist()
    assert sorted(seen) == list(range(23))


def normal() -> pf.GMM:
    return pf.GMM.of(torch.ones(1), MEAN[None], COVARIANCE[None])


def test_a_value_that_is_odd_beside_another_names_it_and_the_other_is_not_odd() -> None:
    row = torch.tensor([1.0 + 1.5, -2.0 - 1.7, 30.0], dtype=torch.float64)  # each is usual alone
    every, named = explain(normal(), row, rules_of(normal()))
    assert [(r.column, r.partner, r.partner_value) for r in named] == [(1, 0, 2.5)]
    assert named[0].surprise > 10
    assert {r.column for r in every if r.surprise > 1} == {1}
    row = torch.tensor([1.0, -2.0, 30.0 + 20 * 6], dtype=torch.float64)
    assert explain(normal(), row, rules_of(normal()))[1][0].partner == -1


def test_two_odd_values_that_suit_each_other_do_not_excuse_each_other() -> None:
    row = torch.tensor([1.0 + 6.0, -2.0 + 5.4, 30.0], dtype=torch.float64)
    every, named = explain(normal(), row, rules_of(normal()), draws=4000)
    assert [r.column for r in named] == [0, 1]
    assert [r.surprise for r in named] == pytest.approx([(36 - 1) / 2, (5.4**2 - 1) / 2], abs=0.2)
    assert every[:2] == named
