"""Shared parts of the adapters: scikit-learn's checks of rows, random states, counted passes.

Fitted parameters are arrays with a trailing underscore, set in `fit`; the fitted model is `model_`,
with all other methods of this library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeGuard, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pushforward.core.array_source import Arrays
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, suggest_listed
from pushforward.core.events import Event, Finished, Progress
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.source import Source
from pushforward.core.space import Column, Space
from pushforward.fitting.em import EM
from pushforward.fitting.protocols import Iterative, Statistics

__all__ = [
    "Adapter", "Passes", "RandomState",
    "Rows", "SparseRows", "to_array", "map_blocks", "to_dense", "check_number", "check_option",
    "fit_by_passes", "ignore_symptoms", "draw_seed", "to_tensor", "check_weights", "check_whole",
]  # fmt: skip

RandomState: TypeAlias = int | np.random.RandomState | None
"""scikit-learn's sources of random numbers; None is numpy's global stream."""


class SparseMatrix(Protocol):
    """A SciPy sparse matrix."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, rows: Any, /) -> Any: ...

    def toarray(self) -> NDArray[Any]: ...

    def max(self, axis: int | None = None) -> Any: ...

    def min(self, axis: int | None = None) -> Any: ...


Rows: TypeAlias = NDArray[Any] | SparseMatrix
"""Rows as scikit-learn's checks leave them."""


FLOATS = (np.float64, np.float32)


class Adapter(BaseEstimator):
    """An estimator with a model of this library in `model_`."""

    def _rows(
        self, X: ArrayLike, *, reset: bool, least: int = 1, gaps: bool = False, sparse: bool = False
    ) -> NDArray[Any]:
        """X (n, d) as floating-point numbers, checked by scikit-learn.
        `gaps` admits NaN, `sparse` sparse rows (as CSR).
        """
        if self._is_plain(X, reset, least):
            if reset:
                self.n_features_in_ = X.shape[1]
            return X
        if not reset:
            check_is_fitted(self)
        finite = "allow-nan" if gaps else True
        kinds: Any = "csr" if sparse else False
        rows: NDArray[Any] = validate_data(
            self, X, reset=reset, dtype=FLOATS, ensure_min_samples=least, ensure_all_finite=finite,
            accept_sparse=kinds,
        )  # fmt: skip
        return rows

    def _is_plain(self, X: object, reset: bool, least: int) -> TypeGuard[NDArray[Any]]:
        """Whether X passes all checks of scikit-learn, which take longer than a query of one row.

        It does if it is a finite matrix of floats with the expected columns, without names.
        """
        if type(X) is not np.ndarray or X.ndim != 2 or X.dtype.type not in FLOATS:
            return False
        n, d = X.shape
        known = hasattr(self, "feature_names_in_")
        expected = d if reset else getattr(self, "n_features_in_", -1)
        if known or n < max(least, 1) or d < 1 or d != expected or not X.dtype.isnative:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(X.sum()))

    def _source(
        self, rows: Rows, weights: ArrayLike | None = None, shape: Sequence[int] | None = None
    ) -> Arrays | SparseRows:
        """Rows as a source with column names; with `shape`, each row is one image or clip."""
        sample_weights = None if weights is None else check_weights(weights, rows.shape[0])
        if sparse.issparse(rows):
            return SparseRows(rows, sample_weights)
        names = getattr(self, "feature_names_in_", None)
        x = to_tensor(to_dense(rows))
        x = x if shape is None else x.reshape(len(x), *shape)
        space = Space.infer(x)
        if names is not None and shape is None:
            space = replace(
                space, columns=tuple(replace(c, name=str(n)) for c, n in zip(space.columns, names))
            )
        return Arrays(x, weights=sample_weights, space=space)


class SparseRows:
    """The rows of a sparse matrix as a source, made dense in blocks.

    Args:
        matrix: CSR (n, d).
        weights: (n,), or None.
    """

    condition_space = None
    resident = True

    def __init__(self, matrix: Rows, weights: NDArray[Any] | None = None) -> None:
        self.matrix = matrix
        self.weights = None if weights is None else torch.as_tensor(weights, dtype=torch.float64)
        low, high = (_flatten_row(getattr(matrix, side)(axis=0)) for side in ("min", "max"))
        columns = tuple(
            Column("", "continuous", float(a), float(b)) for a, b in zip(low, high, strict=True)
        )
        self.space = Space(
            "points",
            (matrix.shape[1],),
            columns,
            float(low.min()),
            float(high.max()),
            False,
            "array",
        )

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def take(self, rows: torch.Tensor) -> Batch:
        """The given rows, dense."""
        return Batch(
            to_tensor(to_dense(self.matrix[rows.numpy()])),
            None,
            None if self.weights is None else self.weights[rows],
        )


BLOCK_NUMBERS = 1 << 22
"""Numbers per dense block of a sparse matrix: 32 MB of float64."""


def map_blocks(verb: Callable[[torch.Tensor], torch.Tensor], rows: Rows) -> NDArray[Any]:
    """verb(rows) as a new array; for sparse rows in dense blocks."""
    if not sparse.issparse(rows):
        return to_array(verb(to_tensor(to_dense(rows))))
    size = max(1, BLOCK_NUMBERS // rows.shape[1])
    return np.concatenate(
        [
            to_array(verb(to_tensor(to_dense(rows[i : i + size]))))
            for i in range(0, rows.shape[0], size)
        ]
    )


def to_dense(rows: Rows) -> NDArray[Any]:
    """Rows (n, d) as a dense array."""
    return rows if isinstance(rows, np.ndarray) else rows.toarray()


def _flatten_row(row: Rows) -> NDArray[Any]:
    """One row of a sparse matrix or array, as (d,)."""
    values: NDArray[Any] = np.asarray(to_dense(row)).reshape(-1)
    return values


class Passes(NamedTuple):
    """The result of a fit by passes.

    Args:
        taken: number of passes.
        values: the objective after each pass, if it has one.
        converged: whether it stopped by convergence.
    """

    taken: int
    values: list[float]
    converged: bool

    @property
    def last(self) -> float:
        """The last objective; minus infinity if there is none."""
        return self.values[-1] if self.values else -np.inf


def fit_by_passes(
    model: Model, source: Source, *, steps: int, on_start: Callable[[], None] | None = None,
    on_pass: Callable[[int, float], bool] | None = None, **settings: Any,
) -> Passes:  # fmt: skip
    """Fit by EM with at most `steps` passes; with 0, the model keeps its initial parameters.

    `on_start()` is called after initialisation. `on_pass(pass, objective)` is called after every
    pass, and stops the fit, as converged, by returning True.
    """
    values: list[float] = []
    reasons: list[str] = []
    fitted = cast(Iterative[Any], model)
    own_begin, own_update = fitted.begin, fitted.update

    def hear(event: Event, model: Model) -> None:
        if isinstance(event, Finished):
            reasons.append(event.reason)
        elif isinstance(event, Progress):
            values.extend(event.terms.values())

    def update(statistics: Statistics) -> bool:
        converged = not steps or bool(own_update(statistics))
        return (
            steps > 0
            and on_pass is not None
            and on_pass(len(values) + 1, float(fitted.objective(statistics)))
        ) or converged

    def begin(source: Source, rng: torch.Generator) -> None:
        own_begin(source, rng)
        if on_start is not None:
            on_start()
        model.__dict__["update"] = update  # only now: a model may initialise itself by an update

    hear.shows_warnings = True  # type: ignore[attr-defined]  # of the start that is kept alone, by the caller
    model.__dict__["begin"] = begin
    try:
        model.fit(source, by=EM(callbacks=[hear], quiet=True, steps=max(steps, 1), **settings))
    finally:
        for name in ("begin", "update"):
            model.__dict__.pop(name, None)
    model.to("cpu")
    return Passes(len(values), values, reasons == ["converged"]) if steps else Passes(0, [], False)


def ignore_symptoms(event: Event, model: Model) -> None:
    """A callback that ignores symptoms, such as data that do not vary in some direction."""


ignore_symptoms.shows_warnings = True  # type: ignore[attr-defined]


def to_tensor(x: ArrayLike) -> torch.Tensor:
    """An array as a tensor; read-only arrays are copied first."""
    rows = np.ascontiguousarray(x)
    return torch.from_numpy(rows if rows.flags.writeable else rows.copy())


def to_array(x: torch.Tensor) -> NDArray[Any]:
    """A tensor as a new array."""
    return np.array(x.numpy(force=True))


def draw_seed(random_state: RandomState) -> int:
    """A seed drawn from an integer, a RandomState or None (numpy's global stream)."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def check_whole(name: str, value: object, least: int = 1) -> int:
    """Check that a value is an integer (also numpy's) of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidKind(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise InvalidValue(f"{name} must be at least {least}, got {value}")
    return int(value)


def check_number(name: str, value: object) -> float:
    """Check that a value is a finite number, not negative."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidKind(f"{name} must be a number, got {value!r}")
    if not 0 <= float(value) < np.inf:
        raise InvalidValue(f"{name} must not be negative, got {value}")
    return float(value)


def check_option(name: str, value: object, options: Sequence[str]) -> str:
    """Check that a value is one of the options."""
    if not isinstance(value, str) or value not in options:
        raise InvalidValue(
            f"{name} must be one of {', '.join(map(repr, options))}, got {value!r};"
            f" {suggest_listed(value, options)}"
        )
    return value


def check_weights(weights: object, n: int) -> NDArray[Any]:
    """Weights (n,) from an array or one number for all."""
    if isinstance(weights, Real):
        return np.full(n, float(weights))
    array = np.array(weights, dtype=np.float64)
    if array.shape != (n,):
        raise ShapeMismatch(f"sample_weight must have shape ({n},), got {array.shape}")
    return array
