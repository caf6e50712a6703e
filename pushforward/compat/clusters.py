"""k-means by scikit-learn's names: min Σ w_i min_k |x_i - c_k|²."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state

from pushforward.compat.conventions import Adapter, array, number, one_of, passes, seed_of, tensor, whole
from pushforward.core.errors import InvalidValue
from pushforward.core.random import generator
from pushforward.models.classical.kmeans import KMeans as Centres
from pushforward.models.classical.starts import START_ROWS, at_random, plus_plus

__all__ = ["KMeans"]

RANDOM_STARTS = 10


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, Adapter):
    """k-means with scikit-learn's names and numbers, on `pushforward.KMeans`.

    **Reference** scikit-learn's `cluster.KMeans`. From the same centres it takes the same steps. It differs in this:

    * a centre that owns no row stays where it is, where scikit-learn moves it to the farthest row;
    * random starts are other draws for the same `random_state`, chosen among the different rows, so that (up to 16384
      rows) their order does not matter and whole weights are repetitions;
    * with weights, `tol` is relative to the weighted variance;
    * sparse matrices are refused; `algorithm` ('lloyd' or 'elkan'), `copy_x` and `verbose` change nothing.

    **Arguments**
        n_clusters: k.
        init: 'k-means++', 'random' (rows), centres (k, d), or a function of (X, n_clusters, random_state) that gives them.
        n_init: starts to follow to the end, the lowest inertia being kept; 'auto' for 10 if they are random rows or a
            function, otherwise 1.
        max_iter: the most passes.
        tol: stop when the centres' summed squared movement is below this times the mean variance of the columns.
        random_state: seed of the starts.

    Learnt: `cluster_centers_` (k, d), `labels_` (n,), `inertia_`, `n_iter_`, `model_`.

    **Example**
        >>> import numpy as np
        >>> x = np.array([[0., 0], [0, 1], [9, 9], [9, 8]])
        >>> sorted(KMeans(2, random_state=0).fit(x).cluster_centers_.tolist())
        [[0.0, 0.5], [9.0, 8.5]]
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: int = 0,
        random_state: Any = None,
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

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from rows X (n, d) with weights (n,)."""
        rows = self._rows(X, reset=True)
        k = whole("n_clusters", self.n_clusters)
        one_of("algorithm", self.algorithm, ("lloyd", "elkan"))
        if len(rows) < k:
            raise InvalidValue(f"n_samples={len(rows)} should be >= n_clusters={k}")
        source, state = self._source(rows, sample_weight), check_random_state(self.random_state)
        most, tolerance = whole("max_iter", self.max_iter), number("tol", self.tol)
        best = np.inf
        for _ in range(self._starts()):
            seed = seed_of(state)
            model = Centres(k, self._start(rows, source.weights, seed), tolerance=tolerance, precision=rows.dtype.name)
            taken, _values, _done = passes(model, source, steps=most, tolerance=0, seed=seed)
            inertia = _inertia(model, rows, source.weights)
            if inertia < best:
                best, self.model_, self.n_iter_ = inertia, model, taken
        self.inertia_ = best
        self.cluster_centers_ = array(self.model_.centres_).astype(rows.dtype)
        self.labels_ = self._labels(rows)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """The nearest centre of each row (n,), int32."""
        return self._labels(self._rows(X, reset=False))

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[Any]:
        """Fit, and the nearest centre of each row (n,), int32."""
        labels: NDArray[Any] = self.fit(X, sample_weight=sample_weight).labels_
        return labels

    def transform(self, X: Any) -> NDArray[Any]:
        """Distance of each row to each centre (n, k), in the type of X."""
        rows = self._rows(X, reset=False)
        return array(self.model_.distances(tensor(rows))).astype(rows.dtype)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the inertia of these rows."""
        rows = self._rows(X, reset=False)
        return -_inertia(self.model_, rows, self._source(rows, sample_weight).weights)

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _labels(self, rows: NDArray[Any]) -> NDArray[Any]:
        return array(self.model_.assign(tensor(rows))).astype(np.int32)

    def _starts(self) -> int:
        if self.n_init == "auto":
            return RANDOM_STARTS if callable(self.init) or (isinstance(self.init, str) and self.init == "random") else 1
        count = whole("n_init", self.n_init)
        return count if callable(self.init) or isinstance(self.init, str) else 1

    def _start(self, rows: NDArray[Any], weights: torch.Tensor | None, seed: int) -> Any:
        """The model's argument for scikit-learn's `init`."""
        k = int(self.n_clusters)
        if isinstance(self.init, str):
            name = {"k-means++": "kmeans++", "random": "random"}[one_of("init", self.init, ("k-means++", "random"))]
            return _sorted_start(name, rows, k, weights, seed) if len(rows) <= START_ROWS else name
        given = self.init(rows, k, random_state=np.random.RandomState(seed)) if callable(self.init) else self.init
        centres = np.asarray(given, dtype=np.float64)
        if centres.shape != (k, rows.shape[1]):
            raise InvalidValue(f"init must have shape ({k}, {rows.shape[1]}): n_clusters, n_features; got {centres.shape}")
        return centres.tolist()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _inertia(model: Centres, rows: NDArray[Any], weights: Any) -> float:
    """Σ w |x - c|² over the rows and their nearest centres."""
    x = tensor(rows).to(model.centres_)
    squares = (x - model.centres_[model.assign(tensor(rows))]).square().sum(1)
    return float(squares.sum() if weights is None else weights @ squares)


def _sorted_start(name: str, rows: NDArray[Any], k: int, weights: torch.Tensor | None, seed: int) -> list[list[float]]:
    """A start among the sorted, different rows: whole weights are repetitions, and the order of the rows does not matter."""
    each = np.ones(len(rows)) if weights is None else weights.numpy()
    found, which = np.unique(rows[each > 0].astype(np.float64), axis=0, return_inverse=True)
    x, total = torch.from_numpy(found), torch.from_numpy(np.bincount(which.ravel(), each[each > 0]))
    centres: torch.Tensor = (plus_plus if name == "kmeans++" else at_random)(x - x[0], k, generator(seed), total) + x[0]
    starts: list[list[float]] = centres.tolist()
    return starts
