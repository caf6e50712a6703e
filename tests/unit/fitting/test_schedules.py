"""Schedules at known fractions of the budget."""

from __future__ import annotations

import math

import pytest

from pushforward.core.errors import InvalidValue
from pushforward.core.registry import read
from pushforward.fitting.schedules import Schedule


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("constant", {0: 1, 0.5: 1, 1: 1}),
        ("constant(warmup=0.2)", {0.05: 0.25, 0.1: 0.5, 0.2: 1, 1: 1}),
        ("cosine", {0: 1, 0.25: 0.5 + math.sqrt(0.125), 0.5: 0.5, 1: 0}),
        ("cosine(final=0.2)", {0: 1, 0.5: 0.6, 1: 0.2}),
        ("cosine(warmup=0.5)", {0.25: 0.5, 0.5: 1, 0.75: 0.5, 1: 0}),
        ("linear", {0: 1, 0.25: 0.75, 1: 0}),
        ("linear(start=0.5, final=0.1)", {0: 1, 0.5: 1, 0.75: 0.55, 1: 0.1}),
        ("exponential", {0: 1, 0.5: 0.1, 1: 0.01}),
        (
            "staircase",
            {
                0: 1,
                0.5 / 3280: 1,
                1.5 / 3280: 10 ** (-1 / 7),
                3.9 / 3280: 10 ** (-1 / 7),
                4.1 / 3280: 10 ** (-2 / 7),
                1: 0.1,
            },
        ),
    ],
)
def test_factors_at_known_fractions(text: str, values: dict[float, float]) -> None:
    for t, factor in values.items():
        assert read(Schedule, text).factor(t) == pytest.approx(factor, abs=1e-12), t


@pytest.mark.parametrize(
    "text", ["constant", "cosine(warmup=0.1)", "linear(start=0.3)", "exponential", "staircase"]
)
def test_factors_lie_between_zero_and_one_and_warm_up_begins_above_zero(text: str) -> None:
    schedule = read(Schedule, text)
    assert all(0 <= schedule.factor(i / 100) <= 1 for i in range(101))
    assert schedule.factor(0) > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cosin", "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ("cosine(warmup=1.5)", "warmup is a share of the budget"),
        ("linear(start=1)", "start is a share of the budget"),
        ("linear(final=-1)", "final must not be negative"),
        ("cosine(final=-0.1)", "final must not be negative"),
        ("exponential(final=0)", "final must be above 0"),
        ("cosine(when=3)", "whose arguments are"),
    ],
)
def test_what_is_out_of_range_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidValue) as error:
        read(Schedule, text)
    assert message in str(error.value)
