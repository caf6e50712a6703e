"""Mixtures over mixed columns: rare categories are pooled within components, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest
import torch

import pushforward as pf
from pushforward.models.tabular.mixed import MixedMixture


def two_groups() -> Any:
    """Groups far apart. Of the rare categories r of `c`, the first is in one group alone, the
    second in the other; of `d` the one rare category is in the first group.
    """
    x = np.random.default_rng(0).normal(size=80)
    x[40:] += 30
    c = np.array(["u", "v"] * 40, dtype=object)
    c[:4], c[40:42] = "r1", "r2"
    d = np.array(["p", "q"] * 40, dtype=object)
    d[10:13] = "s"
    groups = {f"g{j}": ["a"] * 40 + ["b"] * 40 for j in range(6)}  # so that nobody is in between
    return pandas.DataFrame({"x": x, "c": c, "d": d, **groups})


def fitted(rare: int) -> tuple[Any, dict[str, dict[str, torch.Tensor]]]:
    """A mixture of two, and log θ (2,) of each category by column."""
    model: Any = MixedMixture(2, covariance="diagonal", rare=rare)
    model.fit(pf.read(two_groups(), types="auto"), quiet=True)
    parts = model.tables_.split(model.sizes, 1)
    columns = [model.columns[i] for i in model.listed]
    return model, {c.name: dict(zip(c.categories, p.T)) for c, p in zip(columns, parts)}


def test_rare_categories_share_their_probability_as_in_the_whole_table() -> None:
    """log θ(r1) - log θ(r2) is log (4 + ½) / (2 + ½) in each group, though each is in one alone."""
    _, tables = fitted(rare=5)
    shares = (tables["c"]["r1"] - tables["c"]["r2"]).exp()
    assert torch.allclose(shares, torch.full((2,), 4.5 / 2.5, dtype=torch.float64))


def test_pooled_probability_is_that_of_all_rare_categories_together() -> None:
    """Four of 40 rows of one group and two of the other, with one row of the whole table added."""
    _, tables = fitted(rare=5)
    together = (tables["c"]["r1"].exp() + tables["c"]["r2"].exp()).sort().values
    base = (4.5 + 2.5) / (80 + 4 * 0.5)
    expected = torch.tensor([(2 + base) / 41, (4 + base) / 41], dtype=torch.float64)
    assert torch.allclose(together, expected, atol=1e-6)


def test_common_categories_and_other_columns_are_not_pooled() -> None:
    _, tables = fitted(rare=5)
    base = 3.5 / 81.5
    rare = tables["d"]["s"].exp().sort().values
    expected = torch.tensor([base / 41, (3 + base) / 41], dtype=torch.float64)
    assert torch.allclose(rare, expected, atol=1e-6), "one rare category has nothing to share"
    common = tables["c"]["u"].exp().sort().values
    base = 37.5 / 82
    assert torch.allclose(
        common, torch.tensor([(18 + base) / 41, (19 + base) / 41], dtype=torch.float64), atol=1e-6
    )


def test_without_pooling_each_group_has_its_own() -> None:
    _, tables = fitted(rare=0)
    shares = (tables["c"]["r1"] - tables["c"]["r2"]).sort().values
    assert float(shares[0]) < -2 < 2 < float(shares[1])


@pytest.mark.parametrize("rare", [0, 5])
def test_probabilities_of_categories_sum_to_one(rare: int) -> None:
    model, tables = fitted(rare)
    for column in tables.values():
        assert torch.allclose(sum(t.exp() for t in column.values()), torch.ones(2).double())
    rows = model.sample(2000, rng=0)
    names = np.array(model.columns[1].categories)[rows[:, 1].long().numpy()]
    assert 0.02 < np.isin(names, ["r1", "r2"]).mean() < 0.15
