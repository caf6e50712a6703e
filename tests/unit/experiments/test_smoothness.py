"""Rules of thumb for bandwidths are told when they blur groups, and only then."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.experiments import smoothness
from pushforward.experiments.smoothness import oversmoothed


def rows(apart: float, n: int = 200) -> Tensor:
    stream = torch.Generator().manual_seed(0)
    groups = torch.arange(n) % 2
    return torch.randn(n, 2, generator=stream, dtype=torch.float64) + apart * groups[:, None]


@pytest.mark.parametrize("n", [2, 20, 200])
def test_one_group_needs_no_words(n: int) -> None:
    assert oversmoothed(pf.KDE().fit(rows(0.0, n))) == ""


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_groups_that_are_blurred_are_told_in_any_unit(unit: float) -> None:
    text = oversmoothed(pf.KDE().fit(unit * rows(9.0)))
    assert text.startswith("the bandwidth by the rule 'scott' is too smooth for these rows")
    assert "bandwidth=likelihood" in text
    assert "silverman" in oversmoothed(pf.KDE("silverman", form="matrix").fit(unit * rows(9.0)))


def test_of_many_rows_some_are_judged_with_the_bandwidth_that_as_many_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smoothness, "MOST_POINTS", 100)
    assert "too smooth" in oversmoothed(pf.KDE().fit(rows(9.0, 400)))
    assert oversmoothed(pf.KDE().fit(rows(0.0, 400))) == ""


def test_nothing_is_said_of_other_bandwidths_models_and_repeated_rows() -> None:
    x = rows(9.0)
    assert oversmoothed(pf.KDE("likelihood").fit(x)) == ""
    assert oversmoothed(pf.KDE(5.0).fit(x)) == ""
    assert oversmoothed(pf.KDE(adaptive="abramson").fit(x)) == ""
    assert oversmoothed(pf.GMM(1).fit(x)) == ""
    assert oversmoothed(pf.KDE().fit(x.round())) == ""
