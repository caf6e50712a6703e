r"""Principal components by scikit-learn's names.

The model's covariance is the likeliest, 1/N Σ (x - μ)(x - μ)ᵀ = C; scikit-learn's is c C with c = N / (N - 1). So

    log N(x; μ, c C) = log p(μ) - d/2 ln c + (log p(x) - log p(μ)) / c.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from pushforward.compat.conventions import FLOATS, Adapter, array, one_of, seed_of, tensor, whole
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch
from pushforward.models.classical import pca

__all__ = ["PCA"]

SOLVERS = ("auto", "full", "covariance_eigh", "arpack", "randomized")


class PCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Adapter):
    """Principal component analysis with scikit-learn's names and numbers, on `pushforward.PCA`.

    **Reference** scikit-learn's `decomposition.PCA`. It differs in this:

    * the decomposition is exact whatever the `svd_solver`, so `copy`, `tol`, `iterated_power`, `n_oversamples`,
      `power_iteration_normalizer` and `random_state` change nothing; sparse matrices are refused;
    * the law, and so its density and covariance, does not depend on `whiten` (scikit-learn's covariance is then scaled
      twice), and its density is finite where the covariance is singular;
    * with fewer rows than columns `noise_variance_` is the mean of all d - K variances left out, the likeliest value;
      scikit-learn takes it over those that are not zero;
    * n_components is at least 1; `sample` is new.

    **Arguments**
        n_components: how many; None for all; a share of the variance in (0, 1); 'mle' for Minka's choice.
        whiten: divide codes by their standard deviations.
        svd_solver and the rest: accepted, see above.

    Learnt: `components_` (K, d), `explained_variance_` (K,) of the 1/(N-1) covariance, `explained_variance_ratio_`,
    `singular_values_`, `mean_`, `noise_variance_`, `n_components_`, `n_samples_`, `model_`.

    **Example**
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
        random_state: Any = None,
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

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows X (n, d), at least two."""
        rows = self._rows(X, reset=True, least=2)
        one_of("svd_solver", self.svd_solver, SOLVERS)
        model = pca.PCA(_components(self.n_components, *rows.shape)).fit(self._source(rows)).to("cpu")
        n = len(rows)
        self._unbiased = n / (n - 1)
        self.model_ = model
        self.mean_, self.components_ = array(model.mean_), array(model.components_)
        self.explained_variance_ = array(model.explained_variance_) * self._unbiased
        self.explained_variance_ratio_ = array(model.explained_variance_ratio_)
        self.singular_values_ = np.sqrt(self.explained_variance_ * (n - 1))
        self.noise_variance_ = float(model.noise_variance_) * self._unbiased
        self.n_components_, self.n_samples_ = len(self.components_), n
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Codes (n, K) in the type of X."""
        rows = self._rows(X, reset=False)
        codes = array(self.model_.encode(tensor(rows)))
        return (codes / self._deviations() if self.whiten else codes).astype(rows.dtype)

    def inverse_transform(self, X: Any) -> NDArray[Any]:
        """Rows (n, d) for codes X (n, K)."""
        check_is_fitted(self)
        codes = check_array(X, input_name="X", dtype=FLOATS)
        if codes.shape[1] != self.n_components_:
            raise ShapeMismatch(f"codes must have {self.n_components_} columns, got {codes.shape[1]}; they are what transform gives")
        wide = codes * self._deviations() if self.whiten else codes
        return array(self.model_.decode(tensor(wide))).astype(codes.dtype)

    def score_samples(self, X: Any) -> NDArray[Any]:
        """Log-density of each row (n,), nats, under the law with covariance `get_covariance()`."""
        rows = self._rows(X, reset=False)
        top = self.model_.log_prob(self.model_.mean_[None])
        d, c = self.n_features_in_, self._unbiased
        return array(top - d / 2 * math.log(c) + (self.model_.log_prob(tensor(rows)) - top) / c)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log-density of the rows, nats."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> NDArray[Any]:
        """n_samples draws (n, d) from the law whose density `score_samples` gives."""
        check_is_fitted(self)
        drawn = self.model_.sample(whole("n_samples", n_samples), rng=seed_of(random_state))
        return array(self.model_.mean_ + (drawn - self.model_.mean_) * math.sqrt(self._unbiased))

    def get_covariance(self) -> NDArray[Any]:
        """(d, d): U_Kᵀ (L_K - σ² I) U_K + σ² I."""
        check_is_fitted(self)
        return array(self.model_.gaussian().covariance_) * self._unbiased

    def get_precision(self) -> NDArray[Any]:
        """(d, d): its inverse, along the components and across them."""
        check_is_fitted(self)
        along = (self.components_.T / self._deviations() ** 2) @ self.components_
        if self.n_components_ == self.n_features_in_:
            return along
        return along + (np.eye(self.n_features_in_) - self.components_.T @ self.components_) / self.noise_variance_

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _deviations(self) -> NDArray[Any]:
        """Standard deviations of the codes (K,), none below what float64 can tell from zero."""
        least = float(self.model_.floor_) * self._unbiased
        return np.sqrt(np.maximum(self.explained_variance_, least))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _components(given: Any, n: int, d: int) -> int | float | str | None:
    """The model's argument for scikit-learn's."""
    most = min(n, d)
    if given is None:
        return most
    if given == "mle":
        if n < d:
            raise InvalidValue(f"n_components='mle' needs at least as many rows as columns, got {n} and {d}; pass a number")
        return "minka"
    if isinstance(given, bool) or not isinstance(given, Real):
        raise InvalidKind(f"n_components must be a number, a share of the variance, 'mle' or None, got {given!r}")
    if isinstance(given, Integral):
        if not 1 <= int(given) <= most:
            raise InvalidValue(f"n_components={given} must lie between 1 and min(n_samples, n_features)={most}")
        return int(given)
    if not 0 < float(given) < 1:
        raise InvalidValue(f"n_components as a share of the variance must lie in (0, 1), got {given}; a count is a whole number")
    return float(given)
