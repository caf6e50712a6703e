"""Gaussian mixtures by scikit-learn's names:
p(x) = Σ_k π_k N(x; μ_k, Σ_k), by expectation maximisation.
"""

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
    array,
    number,
    one_of,
    passes,
    seed_of,
    tensor,
    whole,
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
    """Gaussian mixture with scikit-learn's names and numbers, on `pushforward.GMM`.

    **Reference** scikit-learn's `mixture.GaussianMixture`. From the same weights, means and
    precisions it takes the same steps. It differs in this:

    * NaN is a missing value, marginalised exactly, when fitting and everywhere else;
    * `reg_covar` bounds variances from below instead of being added to them, so that the likelihood
      never falls and covariances that need no help keep their likeliest values;
    * starts are other draws, on standardised columns: 'k-means++' gives every row to its nearest
      chosen row, and 'random' is 'random_from_data', with equal weights and the data's own
      variances (random responsibilities would start every component at the mean of all).

    Args:
        n_components: k.
        covariance_type: 'full', 'tied', 'diag' or 'spherical'.
        tol: stop when a pass raises the mean log-likelihood by less than this, nats.
        reg_covar: the least variance in any direction, squared units of the data. With 0 a
            component that collapses is an error.
        max_iter, n_init: the most passes, and how many starts to follow, the likeliest being kept.
        init_params: 'kmeans', 'k-means++', 'random' or 'random_from_data'. weights_init,
            means_init, precisions_init: (k,), (k, d) and by type (k, d, d), (d, d), (k, d) or (k,).
        random_state: seed of the starts, and of `sample`.
        warm_start: begin from what was learnt before.

    Learnt: `weights_`, `means_`, `covariances_`, `precisions_`, `precisions_cholesky_`,
    `converged_`, `n_iter_`, `lower_bound_` (of the last pass), `lower_bounds_` (of each), `model_`.

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
        """Learn from rows X (n, d), at least two; NaN where a value is missing."""
        rows = self._rows(X, reset=True, least=2, gaps=True)
        k = whole("n_components", self.n_components)
        if len(rows) < k:
            raise InvalidValue(
                f"Expected n_samples >= n_components but got n_components = {k}, n_samples ="
                f" {len(rows)}"
            )
        one_of("covariance_type", self.covariance_type, tuple(COVARIANCES))
        one_of("init_params", self.init_params, tuple(STARTS))
        settings: dict[str, Any] = {
            "steps": whole("max_iter", self.max_iter, 0),
            "tolerance": number("tol", self.tol),
        }
        source, least, given = (
            self._source(rows),
            number("reg_covar", self.reg_covar),
            self._given(k, rows.shape[1]),
        )
        warm, state = self._warm(rows.shape[1]), check_random_state(self.random_state)
        before: float = getattr(self, "lower_bound_", -np.inf) if warm else -np.inf
        best: Passes | None = None
        for attempt in range(1 if warm else whole("n_init", self.n_init)):
            model = GMM(k, COVARIANCES[self.covariance_type], STARTS[self.init_params])
            model.least_variance = least
            told = self._told(attempt, before)
            begun = partial(_begin, model, warm or given)
            found = passes(model, source, begun=begun, after=told, seed=seed_of(state), **settings)
            if self.verbose:
                print(
                    "Initialization converged."
                    if found.converged
                    else "Initialization did not converge."
                )
            if best is None or found.last > best.last:
                best, self.model_ = found, model
        assert best is not None
        self.n_iter_, self.lower_bounds_, self.converged_ = best
        self.lower_bound_ = best.last
        for symptom in self.model_.symptoms({}):
            # A component begun on one row may still take others, unless the passes are over.
            over = self.converged_ or self.model_.collapsed
            if symptom.name == "variance floor" and not self.reg_covar and over:
                raise InvalidValue(
                    "a component has collapsed to fewer dimensions than the data have, and"
                    " reg_covar=0 lets it; pass fewer components, or a reg_covar above 0"
                )
            warnings.warn(
                f"{symptom.name}: {symptom.seen}; try: {symptom.advice}", FitWarning, stacklevel=2
            )
        self._publish(rows.dtype)
        if self.max_iter and not self.converged_:
            advice = (
                "the likeliest start did not converge; raise max_iter or tol, or try another"
                " init_params"
            )
            warnings.warn(advice, ConvergenceWarning, stacklevel=2)
        return self

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[Any]:
        """Fit, and the most probable component of each row (n,)."""
        return self.fit(X).predict(X)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable component of each row (n,)."""
        rows = self._asked(X)
        return array(self.model_.assign(rows))

    def predict_proba(self, X: ArrayLike) -> NDArray[Any]:
        """The probability of each component for each row (n, k), in the type of X."""
        rows = self._asked(X)
        return array(self.model_.responsibilities(rows)).astype(_type(rows))

    def score_samples(self, X: ArrayLike) -> NDArray[Any]:
        """Log-density of each row (n,), nats, in the type of X."""
        rows = self._asked(X)
        return array(self.model_.log_prob(rows)).astype(_type(rows))

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log-density of the rows, nats."""
        return float(self.score_samples(X).mean())

    def bic(self, X: ArrayLike) -> float:
        """Schwarz's criterion on rows X; lower is better."""
        rows = self._asked(X)
        return self.model_.bic(rows)

    def aic(self, X: ArrayLike) -> float:
        """Akaike's criterion on rows X; lower is better."""
        rows = self._asked(X)
        return self.model_.aic(rows)

    def sample(self, n_samples: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
        """n_samples draws (n, d) and their components (n,), sorted by component."""
        check_is_fitted(self)
        stream = torch.Generator().manual_seed(seed_of(self.random_state))
        drawn = self.model_.sample(whole("n_samples", n_samples), rng=stream)
        # A component drawn by p(k | x) for x from p(x) is one of the pair's joint distribution.
        which = torch.multinomial(self.model_.responsibilities(drawn), 1, generator=stream)[:, 0]
        order = which.argsort(stable=True)
        return array(drawn[order]), array(which[order])

    def _asked(self, X: ArrayLike) -> torch.Tensor:
        return tensor(self._rows(X, reset=False, gaps=True))

    def _told(self, attempt: int, before: float) -> Callable[[int, float], bool]:
        """Called after every pass: prints what `verbose` asks for; with a warm start the bound
        reached `before` counts as a pass.
        """
        last = before
        if self.verbose:
            print(f"Initialization {attempt}")

        def told(count: int, bound: float) -> bool:
            nonlocal last
            gain, last = bound - last, bound
            if self.verbose and count % whole("verbose_interval", self.verbose_interval) == 0:
                more = (
                    f", mean log-likelihood {bound:.6f}, gain {gain:.6f}"
                    if self.verbose > 1
                    else ""
                )
                print(f"  Iteration {count}{more}")
            return count == 1 and bool(np.isfinite(before)) and abs(gain) < self.tol

        return told

    def _given(self, k: int, d: int) -> dict[str, NDArray[Any]]:
        """Weights, means and covariances to begin from, those that were given."""
        shapes = {
            "weights": (k,),
            "means": (k, d),
            "precisions": _shape(self.covariance_type, k, d),
        }
        found = {}
        for name, shape in shapes.items():
            value = getattr(self, f"{name}_init")
            if value is None:
                continue
            found[name] = np.asarray(value, dtype=np.float64)
            if found[name].shape != shape:
                raise InvalidValue(f"{name}_init must have shape {shape}, got {found[name].shape}")
        if "weights" in found and not (
            np.all(found["weights"] >= 0) and np.isclose(found["weights"].sum(), 1)
        ):
            raise InvalidValue(
                f"weights_init must not be negative and must sum to 1, got {found['weights']}"
            )
        if "precisions" in found:
            _check_precisions(found["precisions"], self.covariance_type)
            found["covariances"] = _inverse(found.pop("precisions"), self.covariance_type)
        return found

    def _warm(self, d: int) -> dict[str, NDArray[Any]]:
        """What was learnt before, if the next fit is to begin from it."""
        same = hasattr(self, "means_") and self.means_.shape == (self.n_components, d)
        if not (
            self.warm_start
            and same
            and self.covariances_.shape == _shape(self.covariance_type, self.n_components, d)
        ):
            return {}
        learnt = {"weights": self.weights_, "means": self.means_, "covariances": self.covariances_}
        return {name: value.astype(np.float64) for name, value in learnt.items()}

    def _publish(self, dtype: np.dtype[Any]) -> None:
        """What was learnt, in scikit-learn's shapes and in the type of the rows."""
        matrices = self.covariance_type in ("full", "tied")
        spread = array(self.model_.covariances_ if matrices else self.model_.variances_)
        self.weights_, self.means_ = array(self.model_.weights_), array(self.model_.means_)
        self.covariances_ = {"tied": spread[0], "spherical": spread.T[0]}.get(
            self.covariance_type, spread
        ).copy()
        self.precisions_ = _inverse(self.covariances_, self.covariance_type)
        self.precisions_cholesky_ = _root(self.precisions_, self.covariance_type)
        for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
            setattr(self, name, getattr(self, name).astype(dtype))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _begin(model: GMM, given: dict[str, NDArray[Any]]) -> None:
    """Put what was given in the place of the model's own beginning."""
    values = {name: torch.from_numpy(value).to(model.device) for name, value in given.items()}
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


def _type(rows: torch.Tensor) -> np.dtype[Any]:
    """numpy's name for the type of a tensor."""
    return rows.numpy().dtype


def _shape(kind: str, k: int, d: int) -> tuple[int, ...]:
    """Of covariances and precisions."""
    return {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[kind]


def _inverse(matrices: NDArray[Any], kind: str) -> NDArray[Any]:
    """Precisions from covariances, or the other way round."""
    if kind in ("diag", "spherical"):
        return 1 / matrices
    values, axes = np.linalg.eigh(matrices)
    inverse: NDArray[Any] = (axes / values[..., None, :]) @ np.swapaxes(axes, -1, -2)
    return inverse


def _check_precisions(given: NDArray[Any], kind: str) -> None:
    """Refuse precisions that are not those of a normal distribution: positive numbers, or symmetric
    matrices with such eigenvalues.
    """
    if kind in ("diag", "spherical"):
        if not np.all((given > 0) & np.isfinite(given)):
            raise InvalidValue(
                f"precisions_init must be positive and finite for covariance_type={kind!r}, got"
                f" {given.min():g}"
            )
        return
    finite = bool(np.isfinite(given).all())
    if (
        not finite
        or not np.allclose(given, np.swapaxes(given, -1, -2))
        or not np.linalg.eigvalsh(given).min() > 0
    ):
        raise InvalidValue(
            f"precisions_init must be symmetric and positive-definite for covariance_type={kind!r}"
        )


def _root(precisions: NDArray[Any], kind: str) -> NDArray[Any]:
    """Upper triangular U with U Uᵀ = precision; square roots where there are no matrices."""
    if kind in ("diag", "spherical"):
        roots: NDArray[Any] = np.sqrt(precisions)
        return roots
    lower = np.linalg.cholesky(precisions[..., ::-1, ::-1])
    return np.ascontiguousarray(lower[..., ::-1, ::-1])
