"""Fits read the user's rows where they lie, and leave them as they are."""

from __future__ import annotations

import numpy as np
import pytest

import pushforward as pf

MEANS = np.array([[0.0, 0, 0], [1, 1, 1]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "model",
    [
        pf.GMM(2),
        pf.GMM(2, "diagonal", start=MEANS),
        pf.GMM(2, "tied", start="random"),
        pf.KMeans(2),
        pf.KMeans(2, start=MEANS),
        pf.PCA(1),
        pf.Gaussian(),
        pf.GaussianCopula(),
        pf.MixedMixture(2),
    ],
    ids=repr,
)
def test_a_fit_leaves_rows_untouched(model: pf.Model, dtype: str) -> None:
    x = (3 + np.random.default_rng(0).standard_normal((200, 3))).astype(dtype)
    before = x.copy()
    model.fit(x, quiet=True)
    assert np.array_equal(x, before)
