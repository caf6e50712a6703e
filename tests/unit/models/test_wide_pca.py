"""Principal components of few wide rows are those of the singular values."""

from __future__ import annotations

import numpy as np
import pytest

import pushforward as pf


@pytest.mark.parametrize("last", [1.0, 1e-3, 1e-9, 0.0])
def test_few_components_agree_with_singular_values(last: float) -> None:
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((40, 8)) * np.geomspace(10, 1, 8)
    x = codes @ np.linalg.qr(rng.standard_normal((300, 8)))[0].T + 5
    x += last * rng.standard_normal(x.shape)
    model = pf.PCA(8).fit(x, quiet=True)
    centred = x - x.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / len(x)
    got = model.components_.numpy()
    np.testing.assert_allclose(np.abs(got @ axes[:8].T), np.eye(8), atol=1e-9)
    np.testing.assert_allclose(got @ got.T, np.eye(8), atol=1e-10)
    np.testing.assert_allclose(model.explained_variance_.numpy(), variances[:8], rtol=1e-9)
    if last >= 1e-3:
        noise = variances[8:].sum() / (300 - 8)
        np.testing.assert_allclose(float(model.noise_variance_), noise, rtol=1e-6)


def test_axes_of_small_variances_do_not_come_from_products() -> None:
    """Their squares are lost beside the largest."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((40, 8)) * np.geomspace(1e3, 1e-4, 8)
    x = codes @ np.linalg.qr(rng.standard_normal((300, 8)))[0].T
    model = pf.PCA(8).fit(x, quiet=True)
    *_, axes = np.linalg.svd(x - x.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(model.components_.numpy() @ axes[:8].T), np.eye(8), atol=1e-6)
