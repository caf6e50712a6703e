"""Gaussian mixtures with scikit-learn's API: p(x) = Σ_k π_k N(x; μ_k, Σ_k), fitted by EM."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from pushforward.compat.conventions import (
    Adapter,
    Passes,
    RandomState,
    check_number,
    check_option,
    check_whole,
    draw_seed,
    fit_by_passes,
    to_array,
    to_tensor,
)
from pushforward.core.errors import FitWarning, InvalidValue
from pushforward.models.classical.covariance_kinds import CovarianceKind
from pushforward.models.classical.gmm import GMM

__all__ = ["GaussianMixture"]

COVARIANCES: dict[str, CovarianceKind] = {
    "full": "full",
    "tied": "tied",
    "diag": "diagonal",
    "spherical": "spherical",
}
STARTS = {
    "kmeans": "kmeans",
    "k-means++": "kmeans++",
    "random": "random",
    "random_from_data": "random",
}


class GaussianMixture(DensityMixin, Adapter):
    """Gaussian mixture with scikit-learn's API and results, on `pushforward.GMM`.

    **Reference** scikit-learn's `mixture.GaussianMixture`. From the same weights, means and
    precisions it takes the same steps. Differences:

    * NaN is a missing value, marginalised exactly, in fits and in all methods;
    * `reg_covar` bounds variances from below instead of being added to them, so that the likelihood
      never decreases and regular covariances keep their maximum-likelihood values;
    * starts differ, and use standardised columns: 'k-means++' assigns every row to its nearest
      chosen row, and 'random' is 'random_from_data', with equal weights and the variances of the
      data (random responsibilities would start every component at the overall mean).

    Args:
        n_components: k.
        covariance_type: 'full', 'tied', 'diag' or 'spherical'.
        tol: stop when a pass raises the mean log-likelihood by less than this, nats.
        reg_covar: smallest variance in any direction, squared units of the data.
            With 0 a collapsed component is an error.
        max_iter, n_init: most passes per start, and number of starts,
            of which the likeliest is kept.
        init_params: 'kmeans', 'k-means++', 'random' or 'random_from_data'.
        weights_init, means_init, precisions_init: (k,), (k, d) and by type (k, d, d), (d, d),
            (k, d) or (k,).
        random_state: seed of the starts and of `sample`.
        warm_start: start from the parameters of the previous fit.

    Attributes:
        weights_: (k,).
        means_: (k, d).
        covariances_, precisions_, precisions_cholesky_: by type (k, d, d), (d, d), (k, d) or (k,).
        converged_, n_iter_: of the best start.
        lower_bound_, lower_bounds_: mean log-likelihood after the last pass, and after each.
        model_: the `pushforward.GMM`.

    Example:
        >>> import numpy as np
        >>> centres = np.repeat([[0], [9]], 50, axis=0)
        >>> rows = np.random.default_rng(0).normal(size=(100, 2)) + centres
        >>> mixture = GaussianMixture(2, random_state=0).fit(rows)
        >>> sorted(mixture.weights_.round(6).tolist()), len(set(mixture.predict(rows)[:50]))
        ([0.5, 0.5], 1)
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: RandomState = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit to rows X (n, d), at least two; NaN marks missing values."""
        rows = self._rows(X, reset=True, least=2, gaps=True)
        best, self.model_ = self._likeliest_of_starts(rows)
        self.n_iter_, self.lower_bounds_, self.converged_ = best
        self.lower_bound_ = best.last
        self._warn_of_symptoms()
        self._publish(rows.dtype)
        if self.max_iter and not self.converged_:
            advice = (
                "the likeliest start did not converge; raise max_iter or tol, or try another"
                " init_params"
            )
            warnings.warn(advice, ConvergenceWarning, stacklevel=2)
        return self

    def _likeliest_of_starts(self, rows: NDArray[Any]) -> tuple[Passes, GMM]:
        """The passes from the likeliest start, and its mixture.

        Raises:
            InvalidValue: For settings out of range, or fewer rows than components.
        """
        k = check_whole("n_components", self.n_components)
        if len(rows) < k:
            raise InvalidValue(
                f"Expected n_samples >= n_components but got n_components = {k}, n_samples ="
                f" {len(rows)}"
            )
        check_option("covariance_type", self.covariance_type, tuple(COVARIANCES))
        check_option("init_params", self.init_params, tuple(STARTS))
        settings: dict[str, Any] = {
            "steps": check_whole("max_iter", self.max_iter, 0),
            "tolerance": check_number("tol", self.tol),
        }
        source, least = self._source(rows), check_number("reg_covar", self.reg_covar)
        initial = self._initial_parameters(k, rows.shape[1])
        warm = self._previous_parameters(rows.shape[1])
        state = check_random_state(self.random_state)
        before: float = getattr(self, "lower_bound_", -np.inf) if warm else -np.inf
        best: tuple[Passes, GMM] | None = None
        for attempt in range(1 if warm else check_whole("n_init", self.n_init)):
            model = GMM(k, COVARIANCES[self.covariance_type], STARTS[self.init_params])
            model.least_variance = least
            on_pass = self._make_listener(attempt, before)
            on_start = partial(_initialise, model, warm or initial)
            passes = fit_by_passes(
                model, source, on_start=on_start, on_pass=on_pass, seed=draw_seed(state), **settings
            )
            if self.verbose:
                outcome = "converged" if passes.converged else "did not converge"
                print(f"Initialization {outcome}.")
            if best is None or passes.last > best[0].last:
                best = passes, model
        assert best is not None
        return best

    def _warn_of_symptoms(self) -> None:
        """Warn of what is wrong with the fitted mixture.

        Raises:
            InvalidValue: If a component has collapsed.
        """
        for symptom in self.model_.symptoms({}):
            # A component that starts on one row may still gain others, unless no passes are left.
            over = self.converged_ or self.model_.collapsed
            if symptom.name == "variance floor" and not self.reg_covar and over:
                raise InvalidValue(
                    "a component has collapsed to fewer dimensions than the data, and"
                    " reg_covar=0 allows it; pass fewer components, or a reg_covar above 0"
                )
            warnings.warn(
                f"{symptom.name}: {symptom.observed}; try: {symptom.advice}",
                FitWarning,
                stacklevel=3,
            )

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[Any]:
        """Fit, and return the most probable component of each row (n,)."""
        return self.fit(X).predict(X)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable component of each row (n,)."""
        rows = self._check_rows(X)
        return to_array(self.model_.assign(rows))

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The probability of each component for each row (n, k), in the type of X."""
        rows = self._check_rows(X)
        return to_array(self.model_.responsibilities(rows)).astype(_numpy_dtype(rows), copy=False)

    def score_samples(self, X: ArrayLike) -> NDArray[Any]:
        """Log-density of each row (n,), nats, in the type of X."""
        rows = self._check_rows(X)
        return to_array(self.model_.log_prob(rows)).astype(_numpy_dtype(rows), copy=False)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log-density of the rows, nats."""
        return float(self.score_samples(X).mean())

    def bic(self, X: ArrayLike) -> float:
        """The Bayesian information criterion (Schwarz) of rows X; lower is better."""
        rows = self._check_rows(X)
        return self.model_.bic(rows)

    def aic(self, X: ArrayLike) -> float:
        """The Akaike information criterion of rows X; lower is better."""
        rows = self._check_rows(X)
        return self.model_.aic(rows)

    def sample(self, n_samples: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
        """n_samples draws (n, d) and their components (n,), sorted by component."""
        check_is_fitted(self)
        stream = torch.Generator().manual_seed(draw_seed(self.random_state))
        samples = self.model_.sample(check_whole("n_samples", n_samples), rng=stream)
        # Drawing k from p(k | x) for x from p(x) samples their joint distribution.
        components = torch.multinomial(self.model_.responsibilities(samples), 1, generator=stream)[
            :, 0
        ]
        order = components.argsort(stable=True)
        return to_array(samples[order]), to_array(components[order])

    def _check_rows(self, X: ArrayLike) -> torch.Tensor:
        return to_tensor(self._rows(X, reset=False, gaps=True))

    def _make_listener(self, attempt: int, before: float) -> Callable[[int, float], bool]:
        """A function that prints each pass, if `verbose`.

        A warm start counts `before` as a pass.
        """
        last = before
        if self.verbose:
            print(f"Initialization {attempt}")

        def told(count: int, bound: float) -> bool:
            nonlocal last
            gain, last = bound - last, bound
            if self.verbose and count % check_whole("verbose_interval", self.verbose_interval) == 0:
                more = (
                    f", mean log-likelihood {bound:.6f}, gain {gain:.6f}"
                    if self.verbose > 1
                    else ""
                )
                print(f"  Iteration {count}{more}")
            return count == 1 and bool(np.isfinite(before)) and abs(gain) < self.tol

        return told

    def _initial_parameters(self, k: int, d: int) -> dict[str, NDArray[Any]]:
        """The given initial weights, means and covariances."""
        shapes = {
            "weights": (k,),
            "means": (k, d),
            "precisions": _covariance_shape(self.covariance_type, k, d),
        }
        parameters = {}
        for name, shape in shapes.items():
            value = getattr(self, f"{name}_init")
            if value is None:
                continue
            parameters[name] = np.asarray(value, dtype=np.float64)
            if parameters[name].shape != shape:
                raise InvalidValue(
                    f"{name}_init must have shape {shape}, got {parameters[name].shape}"
                )
        if "weights" in parameters and not (
            np.all(parameters["weights"] >= 0) and np.isclose(parameters["weights"].sum(), 1)
        ):
            raise InvalidValue(
                f"weights_init must not be negative and must sum to 1, got {parameters['weights']}"
            )
        if "precisions" in parameters:
            _check_precisions(parameters["precisions"], self.covariance_type)
            parameters["covariances"] = _invert(parameters.pop("precisions"), self.covariance_type)
        return parameters

    def _previous_parameters(self, d: int) -> dict[str, NDArray[Any]]:
        """The parameters of the previous fit, if the next one starts from them."""
        same = hasattr(self, "means_") and self.means_.shape == (self.n_components, d)
        if not (
            self.warm_start
            and same
            and self.covariances_.shape
            == _covariance_shape(self.covariance_type, self.n_components, d)
        ):
            return {}
        parameters = {
            "weights": self.weights_,
            "means": self.means_,
            "covariances": self.covariances_,
        }
        return {name: value.astype(np.float64) for name, value in parameters.items()}

    def _publish(self, dtype: np.dtype[Any]) -> None:
        """Set the fitted attributes, in scikit-learn's shapes and the type of the rows."""
        matrices = self.covariance_type in ("full", "tied")
        spread = to_array(self.model_.covariances_ if matrices else self.model_.variances_)
        self.weights_, self.means_ = to_array(self.model_.weights_), to_array(self.model_.means_)
        self.covariances_ = {"tied": spread[0], "spherical": spread.T[0]}.get(
            self.covariance_type, spread
        ).copy()
        self.precisions_ = _invert(self.covariances_, self.covariance_type)
        self.precisions_cholesky_ = _upper_root(self.precisions_, self.covariance_type)
        for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
            setattr(self, name, getattr(self, name).astype(dtype))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _initialise(model: GMM, parameters: dict[str, NDArray[Any]]) -> None:
    """Replace the model's initialisation by the given parameters."""
    values = {name: torch.from_numpy(value).to(model.device) for name, value in parameters.items()}
    if "weights" in values:
        model.weights_ = values["weights"]
    if "means" in values:
        model.location_ = model.scaling(values["means"])
    if "covariances" in values:
        scale = torch.ones_like(model.location_[0]) * model.scaling.scale
        by = {"diagonal": scale.square(), "spherical": scale[0].square()}.get(
            model.covariance, torch.outer(scale, scale)
        )
        model.spread_ = values["covariances"] / by


def _numpy_dtype(rows: torch.Tensor) -> np.dtype[Any]:
    """The numpy dtype of a tensor."""
    return rows.numpy().dtype


def _covariance_shape(kind: str, k: int, d: int) -> tuple[int, ...]:
    """The shape of covariances and precisions."""
    return {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[kind]


def _invert(matrices: NDArray[Any], kind: str) -> NDArray[Any]:
    """Precisions from covariances, or the reverse."""
    if kind in ("diag", "spherical"):
        return 1 / matrices
    values, axes = np.linalg.eigh(matrices)
    inverse: NDArray[Any] = (axes / values[..., None, :]) @ np.swapaxes(axes, -1, -2)
    return inverse


def _check_precisions(precisions: NDArray[Any], kind: str) -> None:
    """Reject precisions that are not positive or not positive-definite."""
    if kind in ("diag", "spherical"):
        if not np.all((precisions > 0) & np.isfinite(precisions)):
            raise InvalidValue(
                f"precisions_init must be positive and finite for covariance_type={kind!r}, got"
                f" {precisions.min():g}"
            )
        return
    finite = bool(np.isfinite(precisions).all())
    if (
        not finite
        or not np.allclose(precisions, np.swapaxes(precisions, -1, -2))
        or not np.linalg.eigvalsh(precisions).min() > 0
    ):
        raise InvalidValue(
            f"precisions_init must be symmetric and positive-definite for covariance_type={kind!r}"
        )


def _upper_root(precisions: NDArray[Any], kind: str) -> NDArray[Any]:
    """Upper triangular U with U Uᵀ = precision; square roots for diagonal precisions."""
    if kind in ("diag", "spherical"):
        roots: NDArray[Any] = np.sqrt(precisions)
        return roots
    lower = np.linalg.cholesky(precisions[..., ::-1, ::-1])
    return np.ascontiguousarray(lower[..., ::-1, ::-1])
