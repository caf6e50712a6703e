"""scikit-learn's mixture refuses precisions that belong to no
normal distribution, for every kind of covariance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pushforward.compat.sklearn import GaussianMixture

X = np.random.default_rng(0).normal(size=(40, 2))
GOOD: dict[str, Any] = {
    "full": np.stack([np.eye(2), 2 * np.eye(2)]),
    "tied": np.array([[2.0, 0.5], [0.5, 1.0]]),
    "diag": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "spherical": np.array([1.0, 2.0]),
}
SPOILT: dict[str, Any] = {
    "negative": lambda p: -p,
    "zero": lambda p: 0 * p,
    "one negative": lambda p: np.concatenate([p.ravel()[:-1], -p.ravel()[-1:]]).reshape(p.shape),
    "NaN": lambda p: np.where(p == p.max(), np.nan, p),
    "infinite": lambda p: np.where(p == p.max(), np.inf, p),
}


@pytest.mark.parametrize("kind", GOOD)
def test_good_precisions_are_taken(kind: str) -> None:
    mixture = GaussianMixture(
        2, covariance_type=kind, precisions_init=GOOD[kind], random_state=0, max_iter=300
    ).fit(X)
    assert np.isfinite(mixture.lower_bound_)


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("kind", GOOD)
def test_others_are_refused(kind: str, spoil: str) -> None:
    given = SPOILT[spoil](GOOD[kind])
    with pytest.raises(ValueError, match="precisions_init must be"):
        GaussianMixture(2, covariance_type=kind, precisions_init=given, random_state=0).fit(X)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_matrices_must_be_symmetric(kind: str) -> None:
    given = GOOD[kind] + np.array([[0, 0.3], [0, 0]])
    with pytest.raises(ValueError, match="symmetric"):
        GaussianMixture(2, covariance_type=kind, precisions_init=given).fit(X)
