"""The measures of the study of gaps: by hand, and right whatever the ties."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from studies import gaps


def table(truth: Any, masked: Any, kinds: tuple[str, ...] = ("continuous", "continuous")) -> Any:
    columns = [
        SimpleNamespace(kind=k, categories=("x", "y") if k == "categorical" else ()) for k in kinds
    ]
    subject: Any = SimpleNamespace(space=SimpleNamespace(columns=columns))
    return gaps.Gapped(subject, np.array(truth, float), np.array(masked, bool))


def test_coverage_is_exact_with_and_without_ties() -> None:
    """Truths from the distribution of the draws: normal, counts, mostly zeros, constants."""
    stream, m = np.random.default_rng(0), 20_000
    for draw in (
        lambda *s: stream.normal(size=s),
        lambda *s: stream.poisson(2.0, size=s).astype(float),
        lambda *s: stream.binomial(1, 0.03, size=s).astype(float),
        lambda *s: np.zeros(s),
    ):
        inside = gaps._share_within(draw(199, m), draw(m))
        assert inside.mean() == pytest.approx(gaps.INTERVAL, abs=0.006)


def test_draws_that_are_too_narrow_or_wide_miss_the_share() -> None:
    stream = np.random.default_rng(0)
    drawn, truth = stream.normal(size=(199, 5000)), stream.normal(size=5000)
    assert gaps._share_within(0.8 * drawn, truth).mean() < 0.83
    assert gaps._share_within(1.3 * drawn, truth).mean() > 0.95


def test_errors_are_in_deviations_of_columns_and_of_masked_numbers_alone() -> None:
    truth = [[0.0, 10.0], [2.0, 30.0], [4.0, 50.0]]
    found = table(truth, [[0, 1], [1, 0], [0, 0]])
    filled = np.array([[9.0, 20.0], [2.5, 99.0], [4.0, 50.0]])
    deviations = np.std(truth, axis=0)
    by_hand = np.sqrt(np.mean([(10 / deviations[1]) ** 2, (0.5 / deviations[0]) ** 2]))
    assert gaps.error(found, filled) == pytest.approx(by_hand)


def test_accuracy_counts_masked_categories() -> None:
    found = table([[0, 1], [1, 1], [0, 0]], [[1, 0], [1, 0], [0, 1]], ("categorical",) * 2)
    assert gaps.accuracy(found, np.array([[0, 0], [0, 0], [1, 0]])) == pytest.approx(2 / 3)


def test_the_rival_predicts_categories_from_numbers() -> None:
    """With an indicator for each category it would not: each follows from the others."""
    x = np.random.default_rng(0).normal(size=200)
    truth = np.column_stack([x > 0, x])
    masked = np.column_stack([np.arange(200) % 3 == 0, np.zeros(200)])
    found = table(truth, masked, ("categorical", "continuous"))
    filled = gaps.impute(found, gaps.imputers(0)["iterative"])
    assert gaps.accuracy(found, filled) > 0.9
    assert gaps.accuracy(found, gaps.impute(found, gaps.imputers(0)["means"])) < 0.7


def test_masks_differ_by_seed_and_leave_gaps_alone() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(1000, 4)))
    frame.iloc[::5, 0] = np.nan
    cells = gaps.mask(frame, 1)
    assert not (cells & frame.isna().to_numpy()).any()
    assert cells[:, 1:].mean() == pytest.approx(gaps.SHARE, abs=0.03)
    assert (gaps.mask(frame, 1) == cells).all()
    assert (gaps.mask(frame, 2) != cells).any()
