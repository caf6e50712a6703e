"""k-means with scikit-learn's API: min Σ w_i min_k |x_i - c_k|²."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state

from pushforward.compat.conventions import (
    Adapter,
    RandomState,
    Rows,
    check_number,
    check_option,
    check_weights,
    check_whole,
    draw_seed,
    fit_by_passes,
    map_blocks,
    to_array,
    to_dense,
)
from pushforward.core.errors import InvalidValue
from pushforward.core.random import generator
from pushforward.models.classical.kmeans import KMeans as Centres
from pushforward.models.classical.starts import START_ROWS, choose_at_random, choose_plus_plus

__all__ = ["KMeans"]

RANDOM_STARTS = 10
"""Starts of scikit-learn's n_init='auto' for random rows."""


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, Adapter):
    """k-means with scikit-learn's API and results, on `pushforward.KMeans`.

    **Reference** scikit-learn's `cluster.KMeans`.
    From the same centres it takes the same steps. Differences:

    * random starts differ for the same `random_state`: they are chosen among distinct rows, so that
      (up to 16384 rows) their order does not matter and integer weights are repetitions;
    * with weights, `tol` is relative to the weighted variance;
    * `algorithm` ('lloyd' or 'elkan') and `copy_x` change nothing; sparse rows are made dense in
      blocks, and at once for `init`.

    Args:
        n_clusters: k.
        init: 'k-means++', 'random' (rows), centres (k, d), or a function of (X, n_clusters,
            random_state) that returns them.
        n_init: number of starts, of which the one with the lowest inertia is kept; 'auto' for 10 if
            they are random rows or a function, otherwise 1.
        max_iter: the most passes.
        verbose: 1 prints the inertia of every pass.
        tol: stop when the summed squared movement of the centres
            is below this times the mean variance of the columns.
        random_state: seed of the starts.

    Attributes:
        cluster_centers_: (k, d).
        labels_: (n,).
        inertia_, n_iter_: of the best start.
        model_: the `pushforward.KMeans`.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0., 0], [0, 1], [9, 9], [9, 8]])
        >>> sorted(KMeans(2, random_state=0).fit(x).cluster_centers_.tolist())
        [[0.0, 0.5], [9.0, 8.5]]
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | ArrayLike = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: int = 0,
        random_state: RandomState = None,
        copy_x: bool = True,
        algorithm: str = "lloyd",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to rows X (n, d), which may be sparse, with weights (n,)."""
        rows = self._rows(X, reset=True, sparse=True)
        n, k = rows.shape[0], check_whole("n_clusters", self.n_clusters)
        if check_option("algorithm", self.algorithm, ("lloyd", "elkan")) == "elkan" and k == 1:
            warnings.warn(
                "algorithm 'elkan' has no effect with one cluster; using 'lloyd'",
                RuntimeWarning,
                stacklevel=2,
            )
        if n < k:
            raise InvalidValue(f"n_samples={n} should be >= n_clusters={k}")
        source, state = self._source(rows, sample_weight), check_random_state(self.random_state)
        weights = source.weights
        most, tolerance = check_whole("max_iter", self.max_iter), check_number("tol", self.tol)
        best = np.inf
        for _ in range(self._start_count()):
            seed = draw_seed(state)
            model = Centres(
                k,
                self._start(rows, weights, seed),
                tolerance=tolerance,
                precision="float32" if rows.dtype == np.float32 else "float64",
            )
            on_pass = self._make_printer(n if weights is None else float(weights.sum()))
            count, _values, converged = fit_by_passes(
                model, source, steps=most, tolerance=0, seed=seed, on_pass=on_pass
            )
            if self.verbose and converged:
                reason = (
                    f"center shift is within tolerance {tolerance}"
                    if tolerance
                    else "strict convergence"
                )
                print(f"Converged at iteration {count - 1}: {reason}.")
            labels, inertia = _labels_and_inertia(model, rows, weights)
            if inertia < best:
                best, self.model_, self.n_iter_, self.labels_ = inertia, model, count, labels
        self.inertia_ = best
        self.cluster_centers_ = to_array(self.model_.centres_).astype(rows.dtype)
        distinct = len(np.unique(self.labels_))
        if distinct < k:
            message = (
                f"only {distinct} of the {k} clusters have rows; X may have fewer distinct rows"
                f" than n_clusters={k}"
            )
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The index of the nearest centre of each row (n,), int32."""
        return self._labels(self._rows(X, reset=False, sparse=True))

    def fit_predict(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Fit, and return the index of the nearest centre of each row (n,), int32."""
        labels: NDArray[Any] = self.fit(X, sample_weight=sample_weight).labels_
        return labels

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Distance of each row to each centre (n, k), in the type of X."""
        rows = self._rows(X, reset=False, sparse=True)
        return map_blocks(self.model_.distances, rows).astype(rows.dtype)

    def score(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """The negative inertia of these rows."""
        rows = self._rows(X, reset=False, sparse=True)
        weights = (
            None
            if sample_weight is None
            else torch.from_numpy(check_weights(sample_weight, rows.shape[0]))
        )
        return -_labels_and_inertia(self.model_, rows, weights)[1]

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _labels(self, rows: Rows) -> NDArray[Any]:
        return map_blocks(self.model_.assign, rows).astype(np.int32)

    def _make_printer(self, weight: float) -> Callable[[int, float], bool] | None:
        """A function that prints each pass, if `verbose`.

        The model's objective is -ln(inertia / weight).
        """
        if not self.verbose:
            return None
        print("Initialization complete")

        def told(count: int, value: float) -> bool:
            print(f"Iteration {count - 1}, inertia {math.exp(-value) * weight:.6g}.")
            return False

        return told

    def _start_count(self) -> int:
        if self.n_init == "auto":
            return (
                RANDOM_STARTS
                if callable(self.init) or (isinstance(self.init, str) and self.init == "random")
                else 1
            )
        count = check_whole("n_init", self.n_init)
        if callable(self.init) or isinstance(self.init, str):
            return count
        if count > 1:
            message = (
                f"init gives the centres, so there is only one start, got n_init={count}; pass"
                " n_init=1"
            )
            warnings.warn(message, RuntimeWarning, stacklevel=3)
        return 1

    def _start(
        self, rows: Rows, weights: torch.Tensor | None, seed: int
    ) -> str | list[list[float]]:
        """The model's argument for scikit-learn's `init`."""
        k = int(self.n_clusters)
        if isinstance(self.init, str):
            name = {"k-means++": "kmeans++", "random": "random"}[
                check_option("init", self.init, ("k-means++", "random"))
            ]
            return (
                _sorted_start(name, to_dense(rows), k, weights, seed)
                if rows.shape[0] <= START_ROWS
                else name
            )
        given = (
            self.init(rows, k, random_state=np.random.RandomState(seed))
            if callable(self.init)
            else self.init
        )
        centres = np.asarray(given, dtype=np.float64)
        if centres.shape != (k, rows.shape[1]):
            raise InvalidValue(
                f"init must have shape ({k}, {rows.shape[1]}): n_clusters, n_features; got"
                f" {centres.shape}"
            )
        numbers: list[list[float]] = centres.tolist()
        return numbers

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _labels_and_inertia(
    model: Centres, rows: Rows, weights: torch.Tensor | None
) -> tuple[NDArray[Any], float]:
    """The nearest centre of each row (n,), int32, and Σ w |x - c|²."""
    labels = []

    def squares(x: torch.Tensor) -> torch.Tensor:
        labels.append(model.assign(x))
        return (x.to(model.centres_) - model.centres_[labels[-1]]).square().sum(1)

    distances = map_blocks(squares, rows)
    inertia = float(distances.sum() if weights is None else weights.numpy() @ distances)
    return to_array(torch.cat(labels)).astype(np.int32), inertia


def _sorted_start(
    name: str, rows: NDArray[Any], k: int, weights: torch.Tensor | None, seed: int
) -> list[list[float]]:
    """A start among the sorted distinct rows, with integer weights as repetitions."""
    each = np.ones(len(rows)) if weights is None else weights.numpy()
    distinct, index = np.unique(rows[each > 0].astype(np.float64), axis=0, return_inverse=True)
    x, total = (
        torch.from_numpy(distinct),
        torch.from_numpy(np.bincount(index.ravel(), each[each > 0])),
    )
    centres: torch.Tensor = (choose_plus_plus if name == "kmeans++" else choose_at_random)(
        x - x[0], k, generator(seed), total
    ) + x[0]
    starts: list[list[float]] = centres.tolist()
    return starts
