"""What every adapter shares: rows in and out as scikit-learn checks them, its random states, and passes that are counted.

Learned parameters are arrays with a trailing underscore, set in `fit`; the model that learnt them is `model_`, where
everything else this library can do with it is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, suggestion
from pushforward.core.events import Event, Finished, Progress
from pushforward.core.model import Model
from pushforward.core.source import Arrays
from pushforward.core.space import Space
from pushforward.fitting.em import EM

__all__ = ["Adapter", "passes", "whole", "number", "one_of", "array", "tensor", "seed_of"]

FLOATS = (np.float64, np.float32)


class Adapter(BaseEstimator):
    """An estimator that keeps a model of this library in `model_`."""

    def _rows(self, X: Any, *, reset: bool, least: int = 1, gaps: bool = False) -> NDArray[Any]:
        """X (n, d) as floating numbers, checked by scikit-learn; `gaps` lets NaN through."""
        if not reset:
            check_is_fitted(self)
        finite = "allow-nan" if gaps else True
        rows: NDArray[Any] = validate_data(self, X, reset=reset, dtype=FLOATS, ensure_min_samples=least, ensure_all_finite=finite)
        return rows

    def _source(self, rows: NDArray[Any], weights: Any = None, shape: Sequence[int] | None = None) -> Arrays:
        """Rows as a source that knows the columns' names; with `shape`, each row as one picture or clip."""
        x = tensor(rows) if shape is None else tensor(rows).reshape(len(rows), *shape)
        space = Space.infer(x)
        names = getattr(self, "feature_names_in_", None)
        if names is not None and shape is None:
            space = replace(space, columns=tuple(replace(c, name=str(n)) for c, n in zip(space.columns, names)))
        return Arrays(x, weights=None if weights is None else _weights(weights, len(rows)), space=space)


def passes(model: Model, source: Arrays, **settings: Any) -> tuple[int, list[float], bool]:
    """Fit by EM; how many passes it took, the objective after each (where it has one), and whether it converged."""
    events: list[Event] = []
    model.fit(source, by=EM(listeners=[events.append], **settings))
    model.to("cpu")
    steps = [e for e in events if isinstance(e, Progress)]
    values = [value for e in steps for value in e.terms.values()]
    return len(steps), values, any(isinstance(e, Finished) and e.reason == "converged" for e in events)


def tensor(x: Any) -> torch.Tensor:
    """An array as a tensor; what may not be written to is copied first."""
    rows = np.ascontiguousarray(x)
    return torch.from_numpy(rows if rows.flags.writeable else rows.copy())


def array(x: torch.Tensor) -> NDArray[Any]:
    """A tensor as an array of its own."""
    return np.array(x.detach().to("cpu").numpy())


def seed_of(random_state: Any) -> int:
    """A seed drawn from an integer, a RandomState or None (numpy's global one)."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number, numpy's too, of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidKind(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise InvalidValue(f"{name} must be at least {least}, got {value}")
    return int(value)


def number(name: str, value: Any) -> float:
    """A finite number, not negative."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InvalidKind(f"{name} must be a number, got {value!r}")
    if not 0 <= float(value) < np.inf:
        raise InvalidValue(f"{name} must not be negative, got {value}")
    return float(value)


def one_of(name: str, value: Any, known: Sequence[str]) -> str:
    """One of the known words."""
    if not isinstance(value, str) or value not in known:
        raise InvalidValue(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}; {suggestion(str(value), known)}")
    return value


def _weights(weights: Any, n: int) -> NDArray[Any]:
    if isinstance(weights, Real):
        return np.full(n, float(weights))
    found = np.array(weights, dtype=np.float64)
    if found.shape != (n,):
        raise ShapeMismatch(f"sample_weight must have shape ({n},), got {found.shape}")
    return found
