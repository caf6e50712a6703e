r"""Principal components by scikit-learn's names.

The model's covariance is the likeliest, 1/N Σ (x - μ)(x - μ)ᵀ = C;
scikit-learn's is c C with c = N / (N - 1). So

    log N(x; μ, c C) = log p(μ) - d/2 ln c + (log p(x) - log p(μ)) / c.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted

from pushforward.compat.conventions import (
    FLOATS,
    Adapter,
    RandomState,
    check_option,
    check_whole,
    draw_seed,
    ignore_symptoms,
    map_blocks,
    to_array,
)
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch
from pushforward.fitting.em import EM
from pushforward.models.classical import pca

__all__ = ["PCA"]

SOLVERS = ("auto", "full", "covariance_eigh", "arpack", "randomized")


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Adapter):
    """Principal component analysis with scikit-learn's API and results, on `pushforward.PCA`.

    **Reference** scikit-learn's `decomposition.PCA`. Differences:

    * the decomposition is exact whatever the `svd_solver`, so `copy`, `tol`, `iterated_power`,
      `n_oversamples`, `power_iteration_normalizer` and `random_state` have no effect; a solver
      still limits `n_components` and sparse rows;
    * the distribution, and so its density and covariance, does not depend on `whiten`
      (scikit-learn's covariance is then scaled twice), and its density is finite where the
      covariance is singular;
    * with fewer rows than columns `noise_variance_` is the mean of all d - K discarded variances,
      the maximum-likelihood value; scikit-learn averages those that are not zero;
    * sparse rows are summed in dense blocks, into a dense covariance (d, d); `sample` is new.

    Args:
        n_components: their number, possibly 0; None for all (with 'arpack', all but one); a share
            of the variance in (0, 1) to exceed; 'mle' for Minka's choice.
        whiten: divide codes by their standard deviations. svd_solver and the others: see above.

    Attributes:
        components_: (K, d), in the floating type of X, as are all arrays.
        explained_variance_: (K,), of the 1/(N-1) covariance.
        explained_variance_ratio_, singular_values_: (K,).
        mean_: (d,).
        noise_variance_: the mean of the discarded variances.
        n_components_, n_samples_: K and N.
        model_: the `pushforward.PCA` (a `pushforward.Gaussian` if K is 0).

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(100, 3)) * [3, 2, 1]
        >>> PCA(2).fit_transform(x).shape
        (100, 2)
    """

    def __init__(
        self,
        n_components: int | float | str | None = None,
        *,
        copy: bool = True,
        whiten: bool = False,
        svd_solver: str = "auto",
        tol: float = 0.0,
        iterated_power: int | str = "auto",
        n_oversamples: int = 10,
        power_iteration_normalizer: str = "auto",
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.copy = copy
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.tol = tol
        self.iterated_power = iterated_power
        self.n_oversamples = n_oversamples
        self.power_iteration_normalizer = power_iteration_normalizer
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Fit to rows X (n, d), at least two, which may be sparse."""
        rows = self._rows(X, reset=True, least=2, sparse=True)
        solver = check_option("svd_solver", self.svd_solver, SOLVERS)
        if issparse(rows) and solver in ("full", "randomized"):
            raise InvalidKind(
                f"svd_solver {solver!r} does not take sparse rows; pass 'arpack', 'covariance_eigh'"
                " or 'auto'"
            )
        n, most = rows.shape[0], min(rows.shape)
        components = _translate_components(self.n_components, solver, *rows.shape)
        # Shares and K = 0 are computed from the full decomposition, as the model has neither.
        part = components == 0 or isinstance(components, float)
        model: Any = (
            pca.PCA(most if part else components)
            .fit(self._source(rows), by=EM(callbacks=[ignore_symptoms], quiet=True))
            .to("cpu")
        )
        if part:
            ratios = to_array(model.explained_variance_ratio_)
            count = (
                min(int(np.searchsorted(ratios.cumsum(), components, side="right")) + 1, most)
                if components
                else 0
            )
            model = model.keep(count)
        self._unbiased, self.n_samples_ = n / (n - 1), n
        self._publish(model, most, rows.dtype)
        return self

    def _publish(self, model: Any, most: int, dtype: np.dtype[Any]) -> None:
        """Set the fitted attributes, in the type of the rows."""
        self.model_ = model
        d = len(model.mean_)
        none = not isinstance(model, pca.PCA)
        self._axes = np.zeros((0, d)) if none else to_array(model.components_)
        variances = np.zeros(0) if none else to_array(model.explained_variance_) * self._unbiased
        ratios = np.zeros(0) if none else to_array(model.explained_variance_ratio_)
        self._noise = (
            float(model.covariance_[0, 0] if none else model.noise_variance_) * self._unbiased
        )
        # None below the smallest variance that float64 can distinguish from zero.
        least = 0.0 if none else float(model.floor_) * self._unbiased
        self._deviations = np.sqrt(np.maximum(variances, least))
        self.mean_, self.components_ = to_array(model.mean_).astype(dtype), self._axes.astype(dtype)
        self.explained_variance_, self.explained_variance_ratio_ = (
            variances.astype(dtype),
            ratios.astype(dtype),
        )
        self.singular_values_ = np.sqrt(variances * (self.n_samples_ - 1)).astype(dtype)
        self.n_components_ = len(variances)
        self.noise_variance_ = np.dtype(dtype).type(self._noise if self.n_components_ < most else 0)

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Codes (n, K) in the type of X."""
        rows = self._rows(X, reset=False, sparse=True)
        axes = torch.from_numpy(self._axes.T)
        codes = map_blocks(lambda x: (x.to(torch.float64) - self.model_.mean_) @ axes, rows)
        return (codes / self._deviations if self.whiten else codes).astype(rows.dtype)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Rows (n, d) for codes X (n, K)."""
        check_is_fitted(self)
        codes = check_array(X, input_name="X", dtype=FLOATS, ensure_min_features=0)
        if codes.shape[1] != self.n_components_:
            raise ShapeMismatch(
                f"codes must have {self.n_components_} columns, as from transform, got"
                f" {codes.shape[1]}"
            )
        wide = codes * self._deviations if self.whiten else codes
        rows: NDArray[Any] = (to_array(self.model_.mean_) + wide @ self._axes).astype(codes.dtype)
        return rows

    def score_samples(self, X: ArrayLike) -> NDArray[Any]:
        """Log-density of each row (n,), nats, in the type of X,
        with covariance `get_covariance()`.
        """
        rows = self._rows(X, reset=False, sparse=True)
        top = self.model_.highest_log_prob()
        rest, c = self.n_features_in_ / 2 * math.log(self._unbiased), self._unbiased
        return map_blocks(lambda x: top - rest + (self.model_.log_prob(x) - top) / c, rows).astype(
            rows.dtype
        )

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Mean log-density of the rows, nats."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: RandomState = None) -> NDArray[Any]:
        """n_samples draws (n, d) from the distribution of `score_samples`."""
        check_is_fitted(self)
        model: Any = self.model_
        samples = model.sample(check_whole("n_samples", n_samples), rng=draw_seed(random_state))
        return to_array(model.mean_ + (samples - model.mean_) * math.sqrt(self._unbiased))

    def get_covariance(self) -> NDArray[Any]:
        """(d, d): U_Kᵀ (L_K - σ² I) U_K + σ² I, in the type of the rows."""
        check_is_fitted(self)
        distribution = self.model_.gaussian() if isinstance(self.model_, pca.PCA) else self.model_
        scaled = to_array(distribution.covariance_) * self._unbiased
        covariance: NDArray[Any] = scaled.astype(self.mean_.dtype)
        return covariance

    def get_precision(self) -> NDArray[Any]:
        """The inverse covariance (d, d), along and across the components."""
        check_is_fitted(self)
        found = (self._axes.T / self._deviations**2) @ self._axes
        if self.n_components_ < self.n_features_in_:
            found = found + (np.eye(self.n_features_in_) - self._axes.T @ self._axes) / self._noise
        precision: NDArray[Any] = found.astype(self.mean_.dtype)
        return precision

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _translate_components(
    components: object, solver: str, n: int, d: int
) -> int | float | str | None:
    """The model's argument for scikit-learn's; a float is a share of the variance."""
    most = min(n, d)
    if components is None:
        return most - 1 if solver == "arpack" else most
    exact = solver in ("auto", "full", "covariance_eigh")
    if isinstance(components, str) and components == "mle":
        if not exact:
            raise InvalidValue(
                f"n_components='mle' needs all variances, got svd_solver={solver!r}; pass 'full' or"
                " 'covariance_eigh'"
            )
        if n < d:
            raise InvalidValue(
                f"n_components='mle' needs at least as many rows as columns, got {n} and {d}; pass"
                " a number"
            )
        return "minka"
    if isinstance(components, bool) or not isinstance(components, Real):
        raise InvalidKind(
            "n_components must be a number, a share of the variance, 'mle' or None, got"
            f" {components!r}"
        )
    if isinstance(components, Integral):
        least, top = (0 if exact else 1), (most - 1 if solver == "arpack" else most)
        if not least <= int(components) <= top:
            limit = (
                "min(n_samples, n_features) - 1"
                if solver == "arpack"
                else "min(n_samples, n_features)"
            )
            raise InvalidValue(
                f"n_components={components} must lie between {least} and {limit}={top} with"
                f" svd_solver={solver!r}"
            )
        return int(components)
    if not 0 < float(components) < 1:
        raise InvalidValue(
            f"n_components as a share of the variance must lie in (0, 1), got {components}; a count"
            " is a whole number"
        )
    if not exact:
        raise InvalidValue(
            f"n_components={components} as a share needs all variances, got svd_solver={solver!r};"
            " pass 'full'"
        )
    return float(components)
