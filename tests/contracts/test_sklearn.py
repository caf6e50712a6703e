"""scikit-learn's own contract, whole, for every adapter;
and life in its pipelines, searches and cross-validation.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import pushforward as pf
from pushforward.compat.sklearn import PCA, Estimator, GaussianMixture, KernelDensity, KMeans
from pushforward.densities.normals import Normal

CLASSICAL = [
    PCA(),
    PCA(2, whiten=True),
    KernelDensity(),
    KernelDensity(kernel="epanechnikov", bandwidth=5.0),
    GaussianMixture(),
    GaussianMixture(2, covariance_type="tied", n_init=2),
    GaussianMixture(2, covariance_type="diag", init_params="random"),
    KMeans(),
    KMeans(3, init="random", tol=0),
]
DEEP = [
    Estimator(pf.Autoencoder(2, (8,)), epochs=2),
    Estimator(pf.VAE(2, (8,)), epochs=2),
    Estimator(pf.GAN(2, (8,)), epochs=2),
]


class Whitener(torch.nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.shift, self.log_scale = (
            torch.nn.Parameter(torch.zeros(d)),
            torch.nn.Parameter(torch.zeros(d)),
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (x - self.shift) * self.log_scale.exp(), self.log_scale.sum()


class Flow(pf.Learner):
    """A learner with an exact density and nothing else, as a user may write one."""

    def build(self, space: pf.Space, condition_space: pf.Space | None = None) -> None:
        self.flow = Whitener(self.event_size())

    def default_fitter(self) -> pf.Trainer:
        return pf.Trainer(epochs=2)

    def phases(self) -> list[pf.Phase]:
        return [pf.Phase("flow", ("flow",), lambda batch, step: pf.Terms(nll=-self.quality(batch)))]

    def quality(self, batch: pf.Batch, *, rng: object = None) -> torch.Tensor:
        z, log_det = self.flow(batch.x)
        return Normal.standard(1, z.shape[1], like=z).log_prob(z) + log_det

    def log_prob(self, x: object) -> torch.Tensor:
        u = self.to_model(x)
        return self.quality(pf.Batch(u)) + self.scaling.log_jacobian(u)


# k-means says so where rows repeat
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([*CLASSICAL, *DEEP])
def test_contract(estimator, check):
    """Every check of `sklearn.utils.estimator_checks.check_estimator`; none is expected to fail."""
    check(estimator)


CHECKS_ARRAY_API = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 9)
"""Whether scikit-learn checks it of every estimator: earlier, of those alone that ask for it."""


def test_in_a_process_of_its_own():
    """Nothing is imported early; and the one check that is skipped
    unless SCIPY_ARRAY_API was set from the start passes.
    """
    code = (
        "import sys, pushforward as pf\n"
        "assert 'sklearn' not in sys.modules\n"
        "pf.compat\n"
        "assert 'sklearn' not in sys.modules\n"
        "s = pf.compat.sklearn\n"
        "from sklearn.utils.estimator_checks import estimator_checks_generator\n"
        "import warnings\n"
        # of columns that follow from others
        "warnings.simplefilter('ignore', pf.core.errors.FitWarning)\n"
        "count = 0\n"
        "for e in (s.PCA(), s.KernelDensity(), s.GaussianMixture(), s.KMeans(3),"
        " s.Estimator(pf.Autoencoder(2, (4,)), epochs=1)):\n"
        "    for estimator, check in estimator_checks_generator(e):\n"
        "        if check.func.__name__ == 'check_array_api_input':\n"
        "            check(estimator)\n"
        "            count += 1\n"
        f"assert count == {5 if CHECKS_ARRAY_API else 0}, count\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "SCIPY_ARRAY_API": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_unknown_rooms_are_refused():
    with pytest.raises(
        AttributeError, match=r"module 'pushforward\.compat' has no attribute 'sci'"
    ):
        pf.compat.sci  # noqa: B018


# ----------------------------------------------------------------------------------- being composed


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(40, 3)) + 6 * i for i in range(3)])


@pytest.fixture
def frame(rows) -> pandas.DataFrame:
    return pandas.DataFrame(rows, columns=["height", "weight", "age"])


def test_pipeline_and_search_choose_the_number_of_components(rows):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GaussianMixture(random_state=0)),
        {"gaussianmixture__n_components": np.arange(1, 5)},
        cv=4,
    )
    shuffled = np.random.default_rng(1).permutation(rows)
    assert search.fit(shuffled).best_params_ == {"gaussianmixture__n_components": 3}
    assert len(np.unique(search.predict(rows))) == 3


def test_search_over_bandwidths_in_two_threads(rows):
    search = GridSearchCV(
        KernelDensity(), {"bandwidth": [0.01, 0.6, 50.0], "kernel": ["gaussian"]}, n_jobs=2
    )
    with joblib.parallel_backend("threading"):
        search.fit(np.random.default_rng(1).permutation(rows))
    assert search.best_params_["bandwidth"] == 0.6


@pytest.mark.parametrize("estimator", [*CLASSICAL, *DEEP], ids=str)
def test_cross_validation_and_pickles(estimator, rows):
    estimator = clone(estimator)
    shuffled = np.random.default_rng(1).permutation(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = cross_val_score(estimator, shuffled, cv=2)
        fitted = estimator.fit(shuffled)
    assert np.isfinite(scores).all()
    again = pickle.loads(pickle.dumps(fitted))
    assert again.score(rows) == pytest.approx(fitted.score(rows), rel=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [PCA(2), KMeans(2, random_state=0), *DEEP[:2]],
    ids=["pca", "kmeans", "autoencoder", "vae"],
)
def test_frames_come_out_as_frames(estimator, frame):
    estimator = clone(estimator).set_output(transform="pandas")
    codes = estimator.fit_transform(frame)
    prefix = type(estimator).__name__.lower()
    assert list(codes.columns) == [f"{prefix}0", f"{prefix}1"]
    assert codes.index.equals(frame.index)
    assert estimator.model_.space.names == ("height", "weight", "age")
    with pytest.raises(ValueError, match="feature names"):
        estimator.transform(frame[["age", "height", "weight"]])


def test_models_underneath_know_the_columns(frame):
    mixture = GaussianMixture(3, random_state=0).fit(frame)
    assert mixture.model_.condition({"weight": 6.0}).space.names == ("height", "age")


# -------------------------------------------------------------------------------------- deep models


def test_arguments_of_the_model_are_arguments_of_the_estimator(rows):
    search = GridSearchCV(
        Estimator("autoencoder", steps=3, random_state=0),
        {"model__latent": np.array([1, 2]), "model__hidden": [[4]]},
        cv=2,
    )
    best = search.fit(rows).best_estimator_
    assert type(best.model.latent) is int
    assert best.get_params()["model__latent"] == best.model.latent
    assert "model__latent" not in best.get_params(deep=False)
    assert best.model.hidden == (4,)
    assert best.transform(rows).shape == (120, best.model.latent)
    with pytest.raises(
        ValueError, match="has no argument 'depth'; it has latent, hidden, activation"
    ):
        best.set_params(model__depth=3)


def test_the_model_given_is_not_touched(rows):
    given = pf.VAE(2, (4,))
    estimator = Estimator(given, steps=2)
    copied = clone(estimator).set_params(model__latent=1)
    copied.fit(rows)
    estimator.fit(rows)
    assert not given.fitted
    assert given.latent == 2
    assert estimator.model is given


@pytest.mark.parametrize(
    ("model", "present", "absent"),
    [
        (
            pf.Autoencoder(2, (4,)),
            {"transform", "fit_transform", "inverse_transform"},
            {"sample", "score_samples"},
        ),
        (
            pf.VAE(2, (4,)),
            {"transform", "fit_transform", "inverse_transform", "sample"},
            {"score_samples"},
        ),
        (
            pf.GAN(2, (4,)),
            {"inverse_transform", "sample"},
            {"transform", "fit_transform", "score_samples", "get_feature_names_out"},
        ),
        (Flow(), {"score_samples"}, {"transform", "inverse_transform", "sample"}),
    ],
    ids=["autoencoder", "vae", "gan", "flow"],
)
def test_a_method_exists_if_its_promise_is_kept(model, present, absent, rows):
    estimator = Estimator(model, steps=2, random_state=0)
    assert {name for name in present | absent if hasattr(estimator, name)} == present
    assert (get_tags(estimator).transformer_tags is not None) == ("transform" in present)
    estimator.fit(rows)
    if "sample" in present:
        assert np.array_equal(
            estimator.sample(5, random_state=1), estimator.sample(5, random_state=1)
        )
        assert estimator.sample(5).shape == (5, 3)
    if "inverse_transform" in present:
        assert estimator.inverse_transform(np.zeros((4, 2))).shape == (4, 3)


def test_scores_are_what_the_models_promise(rows):
    flow = Estimator(Flow(), epochs=2, random_state=0).fit(rows)
    assert flow.score(rows) == pytest.approx(flow.score_samples(rows).mean())
    coder = Estimator(pf.Autoencoder(2, (8,)), epochs=2, random_state=0).fit(rows)
    error = np.square(coder.inverse_transform(coder.transform(rows)) - rows).sum(1).mean()
    assert coder.score(rows) == pytest.approx(-error, rel=1e-10)
    vae = Estimator(pf.VAE(2, (8,)), epochs=2, random_state=0).fit(rows)
    bounds = torch.stack(
        [vae.model_.elbo(torch.from_numpy(rows), rng=i).detach().mean() for i in range(20)]
    )
    assert abs(vae.score(rows) - float(bounds.mean())) < 6 * float(bounds.std())
    assert vae.score(rows) == vae.score(rows)


def test_more_training_raises_the_score(rows):
    x = StandardScaler().fit_transform(rows)
    short, long = (
        Estimator(pf.Autoencoder(2, (16,)), epochs=n, batch=30, random_state=0).fit(x).score(x)
        for n in (1, 60)
    )
    assert long > short + 0.5


def test_images_laid_flat_are_images_to_the_model():
    x = np.random.default_rng(0).uniform(size=(20, 16))
    estimator = Estimator(pf.Autoencoder(2, (4,)), steps=2, shape=(1, 4, 4)).fit(x)
    assert estimator.model_.space.kind == "images"
    assert estimator.inverse_transform(estimator.transform(x)).shape == (20, 16)


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("estimator", "text"),
    [
        (PCA(4), r"n_components=4 must lie between 0 and min\(n_samples, n_features\)=3"),
        (
            PCA(3, svd_solver="arpack"),
            (
                r"n_components=3 must lie between 1 and min\(n_samples, n_features\) - 1=2 with"
                r" svd_solver='arpack'"
            ),
        ),
        (
            PCA(0.5, svd_solver="randomized"),
            "n_components=0.5 as a share needs all variances, got svd_solver='randomized'",
        ),
        (
            PCA("most"),
            "n_components must be a number, a share of the variance, 'mle' or None, got 'most'",
        ),
        (PCA(1.5), r"n_components as a share of the variance must lie in \(0, 1\), got 1.5"),
        (PCA(svd_solver="exact"), "svd_solver must be one of 'auto', 'full'"),
        (KernelDensity(kernel="gausian"), "kernel must be one of .* did you mean 'gaussian'"),
        (KernelDensity(bandwidth=-1.0), "bandwidth must not be negative, got -1.0"),
        (KernelDensity(bandwidth=0), "bandwidth must be above 0"),
        (
            KernelDensity(bandwidth="best"),
            "bandwidth must be a number above 0, 'scott' or 'silverman', got 'best'",
        ),
        (
            KernelDensity(metric="haversine"),
            "haversine distance needs two columns, latitude and longitude in radians, got 3",
        ),
        (
            KernelDensity(metric="haversine", algorithm="kd_tree"),
            "invalid metric: a 'kd_tree' has no 'haversine'",
        ),
        (KernelDensity(metric="cosine"), "metric must be one of 'euclidean'"),
        (
            KernelDensity(metric="minkowski", metric_params={"p": 0.5}),
            r"metric_params\['p'\] must be a number of at least 1, got 0.5",
        ),
        (
            KernelDensity(metric="manhattan", metric_params={"p": 2}),
            "metric_params may hold 'p' with the metric 'minkowski'",
        ),
        (GaussianMixture(0), "n_components must be at least 1, got 0"),
        (GaussianMixture(1000), "Expected n_samples >= n_components but got n_components = 1000"),
        (
            GaussianMixture(covariance_type="diagonal"),
            "covariance_type must be one of .* did you mean 'diag'",
        ),
        (
            GaussianMixture(2, means_init=[[0.0]]),
            r"means_init must have shape \(2, 3\), got \(1, 1\)",
        ),
        (
            GaussianMixture(2, weights_init=[1.0, 1.0]),
            "weights_init must not be negative and must sum to 1",
        ),
        (
            GaussianMixture(1, precisions_init=-np.eye(3)[None]),
            "precisions_init must be symmetric and positive-definite",
        ),
        (GaussianMixture(reg_covar=-1.0), "reg_covar must not be negative"),
        (KMeans(1000), "n_samples=120 should be >= n_clusters=1000"),
        (KMeans(2.5), "n_clusters must be a whole number, got 2.5"),
        (KMeans(2, init=[[0.0]]), r"init must have shape \(2, 3\)"),
        (Estimator("kmeans"), "model must be one trained by gradients, such as pushforward.VAE"),
        (Estimator(pf.VAE(), epochs=2, steps=2), "give one budget"),
        (Estimator("vea"), "unknown model 'vea'; did you mean 'vae'"),
    ],
    ids=str,
)
def test_refusals_name_the_argument(estimator, text, rows):
    with pytest.raises((ValueError, TypeError), match=text):
        estimator.fit(rows)


@pytest.mark.parametrize("estimator", [*CLASSICAL, *DEEP], ids=str)
def test_nothing_is_asked_before_fit(estimator, rows):
    for name in (
        "transform",
        "inverse_transform",
        "predict",
        "score",
        "score_samples",
        "sample",
        "bic",
        "get_covariance",
        "get_precision",
    ):
        if hasattr(estimator, name):
            with pytest.raises(NotFittedError):
                getattr(estimator, name)(
                    *([2] if name == "sample" else [] if name.startswith("get") else [rows])
                )
