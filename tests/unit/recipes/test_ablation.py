"""The ablation of hacks: its cases, what is called a difference, and a small run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy import stats

from pushforward.models.deep.hacks import NOT_SWITCHES, list_hacks
from pushforward.recipes import ablation
from pushforward.recipes.registry import run


def test_every_hack_is_a_case_or_has_a_reason() -> None:
    left_out = {number for number, *_ in list_hacks()} - {
        case.number for case in ablation.CASES.values()
    }
    assert left_out == {*NOT_SWITCHES, 16}
    assert {case.without for case in ablation.CASES.values()} == {"none", "minimax"}


def test_difference_of_means_with_its_interval() -> None:
    on, off = [1.0, 3.0, 2.5, 2.0], [0.0, 0.0, 3.0]
    change, width = ablation.difference(on, off)
    exact = stats.ttest_ind(on, off, equal_var=False).confidence_interval(0.95)
    assert change == pytest.approx(2.125 - 1.0)
    assert (change - width, change + width) == pytest.approx((exact.low, exact.high))
    assert ablation.difference([2.0], [1.0, 1.0]) == (1.0, math.inf)
    assert ablation.difference([8.0, 8.0], [7.0, 7.0]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("modes", "share", "divergence", "expected"),
    [
        ((1.0, 0.8), (0.0, 0.0), (0.0, 0.2), "better"),
        ((-1.0, 0.8), (0.0, 0.0), (0.3, 0.2), "worse"),
        ((1.0, 0.8), (0.0, 0.0), (0.3, 0.2), "mixed"),
        ((1.0, 1.2), (0.1, 0.12), (-0.3, 0.4), "no difference"),
        ((0.0, 0.0), (0.3, 0.2), (0.0, 0.0), "worse"),  # from .8 to 1.1 is further from .99
    ],
)
def test_a_verdict_takes_what_is_beyond_the_interval(
    modes: tuple[float, float],
    share: tuple[float, float],
    divergence: tuple[float, float],
    expected: str,
) -> None:
    changes = dict(zip(ablation.QUANTITIES, (modes, share, divergence), strict=True))
    off, ideal = (
        dict(zip(ablation.QUANTITIES, (5, 0.85, 0.5))),
        dict(zip(ablation.QUANTITIES, (8, 0.99, 0.001))),
    )
    assert ablation.verdict(changes, off, ideal) == expected


def test_the_recipe_plays_every_case_on_both_sets(tmp_path: Path) -> None:
    findings, written = run("ablation", out=tmp_path, budget=2 / ablation.QUICK)
    assert [row[1] for row in findings.rows] == list(ablation.CASES)
    assert len(findings.records) == 2 * 3 * len(ablation.CASES)
    assert {path.name for path in written} == {"ablation.png"}
