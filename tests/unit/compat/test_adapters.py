"""Conventions that all adapters share, in a table;
what scikit-learn's own tests ask of each is in tests/peers.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import mixture
from sklearn.exceptions import ConvergenceWarning

from pushforward.compat import conventions
from pushforward.compat.sklearn import PCA, GaussianMixture, KMeans
from pushforward.core.errors import FitWarning

FORMATS = (sparse.csr_array, sparse.csc_matrix, sparse.coo_array)


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(60, 6)) + 5 * i for i in range(3)])
    return np.where(rng.uniform(size=x.shape) < 0.3, x, 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "estimator",
    [PCA(2), PCA(0), PCA(0.7), KMeans(3, random_state=0), GaussianMixture(2, random_state=0)],
    ids=str,
)
def test_what_is_learnt_has_the_type_of_the_rows(estimator, dtype, rows):
    estimator.fit(rows.astype(dtype))
    arrays = {
        k: v
        for k, v in vars(estimator).items()
        if k.endswith("_") and isinstance(v, np.ndarray) and v.dtype.kind == "f"
    }
    assert {v.dtype for v in arrays.values()} == {np.dtype(dtype)}
    if isinstance(estimator, PCA):
        assert type(estimator.noise_variance_) is dtype
        assert type(PCA().fit(rows.astype(dtype)).noise_variance_) is dtype
    for verb in ("transform", "score_samples", "predict_proba"):
        if hasattr(estimator, verb):
            assert getattr(estimator, verb)(rows.astype(dtype)).dtype == dtype
            assert getattr(estimator, verb)(rows).dtype == np.float64


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("estimator", "verbs"),
    [
        (PCA(3), ("transform", "score_samples")),
        (PCA(0.5, svd_solver="covariance_eigh", whiten=True), ("transform",)),
        (KMeans(3, random_state=0), ("transform", "predict")),
        (KMeans(4, init="random", n_init=3, random_state=0), ("transform", "predict")),
    ],
    ids=["pca", "share", "kmeans", "random"],
)
def test_sparse_rows_give_what_dense_ones_give(estimator, verbs, form, rows, monkeypatch):
    # answers come in blocks of 7 rows
    monkeypatch.setattr(conventions, "BLOCK_NUMBERS", 7 * rows.shape[1])
    of = {
        x is rows: {verb: getattr(estimator.fit(x), verb)(x) for verb in verbs}
        for x in (rows, form(rows))
    }
    for verb in verbs:
        assert_allclose(of[False][verb], of[True][verb], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("weights", [None, np.arange(1, 181)])
def test_sparse_rows_take_weights(rows, weights):
    dense, thin = (
        KMeans(3, random_state=0).fit(x, sample_weight=weights)
        for x in (rows, sparse.csr_array(rows))
    )
    assert thin.inertia_ == pytest.approx(dense.inertia_, rel=1e-12)
    assert thin.score(sparse.csr_array(rows), sample_weight=weights) == pytest.approx(
        -dense.inertia_, rel=1e-12
    )


def test_no_component_is_a_round_normal_distribution(rows):
    distribution = PCA(0).fit(rows)
    total = rows.var(0, ddof=1).sum()
    assert distribution.components_.shape == (0, 6)
    assert distribution.transform(rows).shape == (180, 0)
    assert_allclose(distribution.inverse_transform(np.zeros((2, 0))), np.tile(rows.mean(0), (2, 1)))
    assert distribution.noise_variance_ == pytest.approx(total / 6)
    assert_allclose(distribution.get_covariance(), total / 6 * np.eye(6), atol=1e-12)
    assert_allclose(
        distribution.get_precision() @ distribution.get_covariance(), np.eye(6), atol=1e-12
    )
    expected = -0.5 * (
        6 * np.log(2 * np.pi * total / 6) + np.square(rows - rows.mean(0)).sum(1) * 6 / total
    )
    assert_allclose(distribution.score_samples(rows), expected)
    assert distribution.sample(5, random_state=0).shape == (5, 6)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_share_is_exceeded(rows, scale):
    ratios = PCA().fit(rows * scale).explained_variance_ratio_
    for k in range(1, 6):
        share = ratios.cumsum()[k - 1]
        assert PCA(share).fit(rows * scale).n_components_ == k + 1
        assert PCA(np.nextafter(share, 0)).fit(rows * scale).n_components_ == k


def test_keeping_components_is_fitting_so_many(rows):
    whole = PCA().fit(rows).model_
    for k in (1, 3, 6):
        kept, fitted = whole.keep(k), PCA(k).fit(rows).model_
        assert_allclose(kept.log_prob(rows), fitted.log_prob(rows), rtol=1e-10)
        assert_allclose(kept.encode(rows), fitted.encode(rows), atol=1e-10)
    with pytest.raises(ValueError, match="must lie between 0 and the 6 that were fitted, got 7"):
        whole.keep(7)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_collapse_is_an_error_without_regularisation_and_said_with_it(kind, scale):
    x = np.repeat([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], 5, axis=0) * scale
    with pytest.raises(ValueError, match="a component has collapsed"):
        GaussianMixture(2, covariance_type=kind, reg_covar=0, random_state=0).fit(x)
    with pytest.warns(FitWarning, match="variance floor"):
        held = GaussianMixture(
            2, covariance_type=kind, reg_covar=1e-6 * scale**2, random_state=0
        ).fit(x)
    assert_allclose(
        held.covariances_.min()
        if kind in ("diag", "spherical")
        else np.linalg.eigvalsh(held.covariances_).min(),
        1e-6 * scale**2,
        rtol=1e-6,
    )


REPEATED = {
    "drawn": np.repeat(np.random.default_rng(0).normal(size=(3, 2)), 10, axis=0),
    "corners": np.repeat([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]], 10, axis=0),
    "one column": np.repeat([[0.0], [1.0], [5.0]], 10, axis=0),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"tol": 0},
        {"max_iter": 1},
        {"max_iter": 0},
        {"n_init": 2},
        {"max_iter": 3, "init_params": "random"},
    ],
)
@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e6])
def test_collapse_is_an_error_without_regularisation_however_early_the_fit_ends(scale, kind, how):
    for name, x in REPEATED.items():
        theirs = mixture.GaussianMixture(
            3, covariance_type=kind, reg_covar=0, random_state=0, **how
        )
        ours = GaussianMixture(3, covariance_type=kind, reg_covar=0, random_state=0, **how)
        try:
            theirs.fit(x * scale)
        except ValueError:
            with pytest.raises(ValueError, match="a component has collapsed"):
                ours.fit(x * scale)
        else:
            assert scale != 1 or how.get("init_params") == "random" or kind == "spherical", name


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_goes_on_where_the_last_fit_stopped(rows):
    whole = GaussianMixture(2, random_state=0, tol=1e-6, reg_covar=1e-2).fit(rows)
    steps = GaussianMixture(
        2, random_state=0, tol=1e-6, reg_covar=1e-2, max_iter=1, warm_start=True
    )
    count = 0
    while not hasattr(steps, "converged_") or not steps.converged_:
        steps.fit(rows)
        count += 1
    assert count == whole.n_iter_
    assert_allclose(steps.means_, whole.means_, rtol=1e-9)


def test_no_pass_is_the_start(rows):
    begun = GaussianMixture(2, means_init=rows[[0, 100]], max_iter=0, random_state=0).fit(rows)
    assert_allclose(begun.means_, rows[[0, 100]], atol=1e-12)
    assert (begun.n_iter_, begun.converged_, begun.lower_bound_) == (0, False, -np.inf)
    assert begun.score_samples(rows).shape == (180,)


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (
            KMeans(3, random_state=0, verbose=1, tol=0),
            ["Initialization complete", "Iteration 0, inertia ", "strict convergence"],
        ),
        (
            KMeans(3, random_state=0, verbose=1),
            ["Iteration 1, inertia", "center shift is within tolerance 0.0001"],
        ),
        (
            GaussianMixture(2, verbose=1, verbose_interval=1),
            ["Initialization 0", "Iteration 1", "Initialization converged"],
        ),
        (
            GaussianMixture(2, verbose=2, verbose_interval=1, n_init=2),
            ["Initialization 1", "mean log-likelihood", "gain"],
        ),
    ],
    ids=str,
)
def test_verbose_fits_say_what_they_do(estimator, said, rows, capsys):
    estimator.fit(rows)
    printed = capsys.readouterr().out
    assert all(text in printed for text in said)
    estimator.set_params(verbose=0).fit(rows)
    assert capsys.readouterr().out == ""


def test_the_inertia_that_is_printed_is_that_of_the_pass(rows, capsys):
    estimator = KMeans(3, random_state=0, verbose=1, tol=0).fit(rows)
    assert (
        f"Iteration {estimator.n_iter_ - 1}, inertia {estimator.inertia_:.6g}."
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("estimator", "category", "text"),
    [
        (KMeans(1, algorithm="elkan"), RuntimeWarning, "no effect with one cluster"),
        (
            KMeans(2, init=[[0.0], [1.0]], n_init=3),
            RuntimeWarning,
            "there is only one start, got n_init=3",
        ),
        (KMeans(3, random_state=0), ConvergenceWarning, "only 2 of the 3 clusters have rows"),
    ],
    ids=["elkan", "init", "distinct"],
)
def test_warnings(estimator, category, text):
    with pytest.warns(category, match=text):
        estimator.fit([[0.0], [0.0], [1.0], [1.0]])


def test_empty_clusters_move_to_the_farthest_rows():
    x = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    found = KMeans(2, init=[[-1.0], [10.0]], n_init=1).fit(x)
    assert found.inertia_ == pytest.approx(0.25)
    assert_array_equal(np.sort(found.cluster_centers_, axis=0), [[-0.75], [0.75]])
