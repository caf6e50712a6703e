"""The adapters against scikit-learn itself: the same numbers,
to rounding, wherever the definitions agree.

Where they do not, the truth is computed here and both are shown,
so that a change on either side is noticed.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.special import gamma, logsumexp
from sklearn import cluster, decomposition, mixture, neighbors
from sklearn.exceptions import ConvergenceWarning

from pushforward.compat.sklearn import PCA, GaussianMixture, KernelDensity, KMeans

KERNELS = ("gaussian", "tophat", "epanechnikov", "exponential", "linear", "cosine")
KINDS = ("full", "tied", "diag", "spherical")


def normals(seed: int, n: int, d: int, clusters: int = 1) -> np.ndarray:
    """Rows from a mixture with unequal scales and offsets, shuffled."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3 * rng.normal(size=d)
        for _ in range(clusters)
    ]
    return rng.permutation(np.concatenate(parts)) * rng.uniform(0.1, 10, d)


# --------------------------------------------------------------------------------------- components


@pytest.mark.parametrize(
    ("n", "d", "k"),
    [
        (200, 5, 2),
        (200, 5, None),
        (40, 8, 3),
        (300, 6, "mle"),
        (300, 6, 0.8),
        (60, 1, 1),
        (12, 30, 4),
        (12, 30, 0.5),
    ],
)
@pytest.mark.parametrize("whiten", [False, True])
def test_pca(n, d, k, whiten):
    x, new = normals(n + d, n, d), normals(1, 20, d)
    ours, theirs = (
        PCA(k, whiten=whiten).fit(x),
        decomposition.PCA(k, whiten=whiten, svd_solver="full").fit(x),
    )
    assert (ours.n_components_, ours.n_samples_, ours.n_features_in_) == (
        theirs.n_components_,
        n,
        d,
    )
    for name in (
        "mean_",
        "components_",
        "explained_variance_",
        "explained_variance_ratio_",
        "singular_values_",
    ):
        assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-10, err_msg=name
        )
    codes = ours.transform(new)
    assert_allclose(codes, theirs.transform(new), rtol=1e-9, atol=1e-10)
    assert_allclose(ours.fit_transform(x), theirs.fit_transform(x), rtol=1e-9, atol=1e-9)
    assert_allclose(
        ours.inverse_transform(codes), theirs.inverse_transform(codes), rtol=1e-9, atol=1e-9
    )
    assert list(ours.get_feature_names_out()) == list(theirs.get_feature_names_out())


@pytest.mark.parametrize(
    ("n", "d", "k"), [(200, 5, 2), (200, 5, None), (40, 8, 7), (300, 6, "mle")]
)
def test_pca_as_a_distribution(n, d, k):
    x, new = normals(n, n, d), normals(2, 20, d)
    ours, theirs = PCA(k).fit(x), decomposition.PCA(k, svd_solver="full").fit(x)
    assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_, rel=1e-9, abs=1e-12)
    assert_allclose(ours.get_covariance(), theirs.get_covariance(), rtol=1e-9, atol=1e-9)
    assert_allclose(ours.get_precision(), theirs.get_precision(), rtol=1e-7, atol=1e-9)
    assert_allclose(ours.score_samples(new), theirs.score_samples(new), rtol=1e-9)
    assert ours.score(new) == pytest.approx(theirs.score(new), rel=1e-9)


def test_pca_whose_distribution_does_not_depend_on_whitening():
    x = normals(0, 200, 4)
    plain, white = PCA(whiten=False).fit(x), PCA(whiten=True).fit(x)
    assert_allclose(white.get_covariance(), np.cov(x.T), rtol=1e-9, atol=1e-9)
    assert_allclose(white.score_samples(x), plain.score_samples(x))
    theirs = decomposition.PCA(whiten=True).fit(x)
    assert np.abs(theirs.get_covariance() - np.cov(x.T)).max() > 1  # scaled twice there


def test_pca_with_fewer_rows_than_columns_has_the_likeliest_noise():
    x = normals(0, 12, 30)
    ours, theirs = PCA(4).fit(x), decomposition.PCA(4, svd_solver="full").fit(x)
    left_out = np.trace(np.cov(x.T)) - ours.explained_variance_.sum()
    assert ours.noise_variance_ == pytest.approx(left_out / 26, rel=1e-9)
    assert theirs.noise_variance_ == pytest.approx(left_out / 8, rel=1e-9)
    assert ours.score(x) > theirs.score(x)
    assert_allclose(ours.get_precision() @ ours.get_covariance(), np.eye(30), atol=1e-8)


def test_pca_draws_from_its_distribution():
    ours = PCA(2).fit(normals(0, 100, 3))
    drawn = ours.sample(200_000, random_state=0)
    spread = np.sqrt(ours.get_covariance().diagonal())
    assert_allclose(
        np.cov(drawn.T) / np.outer(spread, spread),
        ours.get_covariance() / np.outer(spread, spread),
        atol=0.02,
    )
    assert_allclose(drawn.mean(0) / spread, ours.mean_ / spread, atol=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pca_keeps_the_type(dtype):
    x = normals(0, 50, 3).astype(dtype)
    assert PCA(2).fit_transform(x).dtype == dtype
    assert_allclose(
        PCA(2).fit_transform(x),
        decomposition.PCA(2, svd_solver="full").fit_transform(x.astype(float)),
        rtol=1e-3,
        atol=1e-3,
    )


# ------------------------------------------------------------------------------------------ kernels


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("bandwidth", [0.4, 1.3, "scott", "silverman"])
def test_kernel_density(kernel, d, bandwidth):
    rng = np.random.default_rng(d)
    x, w = rng.normal(size=(300, d)), rng.uniform(0, 2, 300)
    new = np.concatenate(
        [x[:100] + 0.1 * rng.normal(size=(100, d)), 1.5 * rng.normal(size=(100, d))]
    )
    for weights in (None, w):
        ours = KernelDensity(kernel=kernel, bandwidth=bandwidth).fit(x, sample_weight=weights)
        theirs = neighbors.KernelDensity(kernel=kernel, bandwidth=bandwidth).fit(
            x, sample_weight=weights
        )
        assert ours.bandwidth_ == pytest.approx(theirs.bandwidth_, rel=1e-14)
        found, expected = ours.score_samples(new), theirs.score_samples(new)
        # Below this their tree keeps the rounding of what it has subtracted.
        seen = expected > expected.max() - 20
        assert seen.sum() >= 100
        if kernel == "cosine" and d % 2 == 0:
            expected = expected - cosine_excess(d)
        assert_allclose(found[seen], expected[seen], atol=1e-6)
        assert (found[~seen] < found.max() - 19).all()
        assert ours.score(new[seen]) == pytest.approx(found[seen].sum(), rel=1e-12)


def cosine_excess(d: int) -> float:
    """ln of what scikit-learn's cosine kernel integrates to in d dimensions;
    its norm lacks a term where d is even.
    """
    sphere = 2 * np.pi ** (d / 2) / gamma(d / 2)
    mass = sphere * quad(lambda r: np.cos(np.pi * r / 2) * r ** (d - 1), 0, 1)[0]
    peak = (
        neighbors.KernelDensity(kernel="cosine")
        .fit(np.zeros((1, d)))
        .score_samples(np.zeros((1, d)))[0]
    )
    return float(peak + np.log(mass))


def test_the_cosine_kernel_integrates_to_one_in_the_plane():
    grid = np.linspace(-1, 1, 401)
    points = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    ours, theirs = (
        np.exp(K(kernel="cosine").fit(np.zeros((1, 2))).score_samples(points)).sum() * 0.005**2
        for K in (KernelDensity, neighbors.KernelDensity)
    )
    assert ours == pytest.approx(1, abs=1e-3)
    assert theirs == pytest.approx(np.exp(cosine_excess(2)), abs=1e-3)
    assert theirs < 0.4


@pytest.mark.parametrize("d", [2, 3, 5])
def test_far_tails_are_right(d):
    rng = np.random.default_rng(0)
    x, far, h = rng.normal(size=(300, d)), rng.normal(size=(100, d)) * 8, 0.5
    squares = ((far[:, None] - x) ** 2).sum(-1)
    exact = (
        logsumexp(-squares / (2 * h * h), axis=1)
        - np.log(300)
        - d / 2 * np.log(2 * np.pi)
        - d * np.log(h)
    )
    assert exact.min() < -500
    assert_allclose(KernelDensity(bandwidth=h).fit(x).score_samples(far), exact, atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_draws_of_every_kernel_have_its_spread(kernel):
    drawn = (
        KernelDensity(kernel=kernel, bandwidth=2.0)
        .fit(np.array([[5.0, -3.0]]))
        .sample(40_000, random_state=0)
    )
    assert_allclose(drawn.mean(0), [5, -3], atol=0.1)
    distance = np.linalg.norm(drawn - [5, -3], axis=1) / 2
    if kernel in ("gaussian", "tophat"):  # the two that scikit-learn draws from
        theirs = (
            neighbors.KernelDensity(kernel=kernel, bandwidth=2.0)
            .fit([[5.0, -3.0]])
            .sample(40_000, random_state=0)
        )
        assert_allclose(
            np.quantile(distance, [0.1, 0.5, 0.9]),
            np.quantile(np.linalg.norm(theirs - [5, -3], axis=1) / 2, [0.1, 0.5, 0.9]),
            atol=0.03,
        )
    if kernel not in ("gaussian", "exponential"):
        assert distance.max() <= 1


# ----------------------------------------------------------------------------------------- mixtures


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("tol", [1e-3, 1e-6])
def test_mixtures_from_the_same_start_take_the_same_steps(kind, d, tol):
    k, x, new = 3, normals(d, 120, d, clusters=3), normals(9, 20, d)
    options = dict(start(x, k, kind), n_components=k, covariance_type=kind, max_iter=1000, tol=tol)
    ours, theirs = (
        GaussianMixture(**options).fit(x),
        mixture.GaussianMixture(**options, reg_covar=0).fit(x),
    )
    assert ours.converged_
    assert ours.n_iter_ == theirs.n_iter_
    bounds = getattr(theirs, "lower_bounds_", [theirs.lower_bound_])  # of each pass, since 1.7
    assert_allclose(ours.lower_bounds_[-len(bounds) :], bounds, rtol=1e-9)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-9)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=1e-8, err_msg=name
        )
    assert_allclose(ours.score_samples(new), theirs.score_samples(new), rtol=1e-6)
    assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), atol=1e-6)
    assert_array_equal(ours.predict(x), theirs.predict(x))
    assert ours.score(new) == pytest.approx(theirs.score(new), rel=1e-6)
    assert ours.bic(x) == pytest.approx(theirs.bic(x), rel=1e-9)
    assert ours.aic(x) == pytest.approx(theirs.aic(x), rel=1e-9)


def start(x: np.ndarray, k: int, kind: str) -> dict[str, np.ndarray]:
    covariance = np.cov(x.T).reshape(x.shape[1], x.shape[1])
    precision = np.linalg.inv(covariance)
    precisions = {
        "full": np.stack([precision * (1 + i) for i in range(k)]),
        "tied": precision,
        "diag": np.stack([(1 + i) / covariance.diagonal() for i in range(k)]),
        "spherical": np.arange(1, k + 1) / covariance.diagonal().mean(),
    }
    return {
        "weights_init": np.arange(1, k + 1) / (k * (k + 1) / 2),
        "means_init": x[:k],
        "precisions_init": precisions[kind],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_component_is_the_likeliest_normal_distribution(kind):
    x = normals(4, 200, 3)
    ours, theirs = (
        GaussianMixture(covariance_type=kind).fit(x),
        mixture.GaussianMixture(covariance_type=kind, reg_covar=0).fit(x),
    )
    assert_allclose(ours.means_, theirs.means_, rtol=1e-10)
    assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-9, atol=1e-10)
    assert_allclose(ours.score_samples(x), theirs.score_samples(x), rtol=1e-9)


@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_finds_well_separated_clusters(init_params):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(100, 2)) + 12 * i for i in range(3)])
    ours = GaussianMixture(3, init_params=init_params, n_init=5, max_iter=500, random_state=0).fit(
        x
    )
    theirs = mixture.GaussianMixture(3, random_state=0).fit(x)
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, abs=1e-3)
    assert len({tuple(ours.predict(x[i * 100 : (i + 1) * 100])) for i in range(3)}) == 3


def test_the_likeliest_of_several_starts_is_kept():
    x = normals(3, 30, 2, clusters=9)
    bounds = [
        GaussianMixture(9, init_params="random", n_init=n, random_state=0, max_iter=500)
        .fit(x)
        .lower_bound_
        for n in (1, 3, 8)
    ]
    assert bounds == sorted(bounds)
    assert bounds[2] > bounds[0] + 1e-3


def test_a_warm_start_goes_on():
    x = normals(5, 100, 2, clusters=3)
    whole = GaussianMixture(3, tol=0, max_iter=12, random_state=0)
    parts = GaussianMixture(3, tol=0, max_iter=6, random_state=0, warm_start=True)
    for estimator, times in ((whole, 1), (parts, 2)):
        for _ in range(times):
            with pytest.warns(ConvergenceWarning, match="did not converge"):
                estimator.fit(x)
    assert_allclose(parts.means_, whole.means_, rtol=1e-9)
    assert parts.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-10)


def test_the_floor_of_a_collapsed_component_is_reg_covar():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(60, 2)), np.full((30, 2), 7.0)])
    for reg in (1e-6, 1e-2):
        ours = GaussianMixture(2, random_state=0, reg_covar=reg).fit(x)
        assert np.linalg.eigvalsh(ours.covariances_).min() == pytest.approx(reg, rel=0.3)


def test_missing_values_are_marginalised():
    x = normals(6, 300, 3, clusters=2)
    gappy = x.copy()
    gappy[np.random.default_rng(0).uniform(size=x.shape) < 0.1] = np.nan
    full, partial = (
        GaussianMixture(2, random_state=0, max_iter=500).fit(rows) for rows in (x, gappy)
    )
    order = np.argsort(full.weights_), np.argsort(partial.weights_)
    assert_allclose(partial.means_[order[1]], full.means_[order[0]], atol=0.3 * x.std())
    row = np.array([[x[0, 0], np.nan, np.nan]])
    alone = partial.model_.marginal(0).log_prob(x[:1, :1])
    assert partial.score_samples(row)[0] == pytest.approx(float(alone), rel=1e-9)


def test_draws_of_a_mixture_come_with_their_components():
    x = normals(7, 200, 2, clusters=3)
    ours = GaussianMixture(3, random_state=0).fit(x)
    drawn, which = ours.sample(60_000)
    assert (np.diff(which) >= 0).all()
    assert_allclose(np.bincount(which, minlength=3) / 60_000, ours.weights_, atol=0.01)
    for k in range(3):
        spread = np.sqrt(ours.covariances_[k].diagonal())
        assert_allclose((drawn[which == k].mean(0) - ours.means_[k]) / spread, 0, atol=0.05)


# ----------------------------------------------------------------------------------------- clusters


@pytest.mark.parametrize("k", [2, 8, 30])
@pytest.mark.parametrize("d", [1, 2, 6])
@pytest.mark.parametrize("tol", [0, 1e-4])
def test_kmeans_from_the_same_centres_takes_the_same_steps(k, d, tol):
    x, new = normals(k + d, 120, d, clusters=3), normals(8, 30, d)
    # Their tolerance is relative to the variance of the rows without weights, ours with.
    for weights in (None,) if tol else (None, np.random.default_rng(k).uniform(0, 2, len(x))):
        centres = x[:k]
        ours = KMeans(k, init=centres, tol=tol).fit(x, sample_weight=weights)
        theirs = cluster.KMeans(k, init=centres, tol=tol, n_init=1).fit(x, sample_weight=weights)
        assert abs(ours.n_iter_ - theirs.n_iter_) <= 1
        assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-10)
        assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-9, atol=1e-10)
        assert_array_equal(ours.labels_, theirs.labels_)
        assert_array_equal(ours.predict(new), theirs.predict(new))
        # Distances of theirs are by products, which cancel.
        assert_allclose(ours.transform(new), theirs.transform(new), rtol=1e-6, atol=1e-6)
        assert ours.score(x, sample_weight=weights) == pytest.approx(
            theirs.score(x, sample_weight=weights), rel=1e-10
        )
        assert ours.score(x, sample_weight=weights) == pytest.approx(-ours.inertia_, rel=1e-12)


def test_kmeans_on_float32():
    x = normals(0, 100, 4, clusters=3).astype(np.float32)
    ours, theirs = (K(5, init=x[:5], n_init=1).fit(x) for K in (KMeans, cluster.KMeans))
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-4)
    assert ours.cluster_centers_.dtype == ours.transform(x).dtype == np.float32


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_starts_of_kmeans_are_as_good(init):
    x = normals(1, 100, 3, clusters=6)
    ours, theirs = (
        K(6, init=init, n_init=10, random_state=0).fit(x).inertia_ for K in (KMeans, cluster.KMeans)
    )
    assert ours == pytest.approx(theirs, rel=0.02)


def test_kmeans_takes_a_function_for_its_start():
    x = normals(1, 50, 2, clusters=3)
    given = KMeans(
        3,
        init=lambda rows, k, random_state: rows[random_state.permutation(len(rows))[:k]],
        random_state=0,
    ).fit(x)
    assert given.inertia_ == pytest.approx(
        cluster.KMeans(3, n_init=10, random_state=0).fit(x).inertia_, rel=0.02
    )


def test_the_order_of_the_rows_does_not_matter_to_kmeans():
    x = normals(2, 100, 2, clusters=4)
    order = np.random.default_rng(0).permutation(len(x))
    one, two = KMeans(4, random_state=3).fit(x), KMeans(4, random_state=3).fit(x[order])
    assert_allclose(one.cluster_centers_, two.cluster_centers_)
    assert_array_equal(one.labels_[order], two.labels_)
