"""Bandwidths of kernel densities: validation of given ones, and selection from data.

Rules of thumb, likelihood and factors are in `densities.bandwidths`.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.numbers import to_float64
from pushforward.densities import KernelSums, Scale
from pushforward.densities.bandwidths import (
    Choice,
    Form,
    abramson,
    likelihood_bandwidth,
    nearest,
    scott,
    silverman,
)
from pushforward.densities.kernels import Shape

__all__ = [
    "RULES",
    "Adaptive",
    "Bandwidth",
    "BandwidthRule",
    "Form",
    "bandwidth_tensor",
    "check_bandwidth",
    "is_searched",
    "likeliest_bandwidth",
    "local_factors",
    "check_option",
    "check_tolerance",
    "rule_bandwidth",
]

T = TypeVar("T")

BandwidthRule = Literal["scott", "silverman", "likelihood", "crossvalidation"]
RULES: tuple[str, ...] = get_args(BandwidthRule)
Adaptive = Literal["abramson", "knn"]
Bandwidth = float | tuple[float, ...] | tuple[tuple[float, ...], ...] | str
"""A number, one per axis, a matrix, or the name of a rule."""
FOLDS = 5
"""Folds of cross-validation, the usual number."""


def check_option(name: str, value: object, options: tuple[T, ...]) -> T:
    """Return `value` if it is among the options, else raise InvalidValue."""
    if value not in options:
        choices = ", ".join(map(repr, options))
        raise InvalidValue(f"{name} must be one of {choices}, got {value!r}; pass one of these")
    return value


def check_tolerance(tolerance: object) -> float:
    """A relative error between 0 and 1.

    Raises:
        InvalidKind, InvalidValue: If not.
    """
    expected = "a number between 0 and 1, such as 1e-6"
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise InvalidKind(f"tolerance must be {expected}, got {tolerance!r}")
    if not 0 < tolerance < 1:
        raise InvalidValue(f"tolerance must be {expected}, got {tolerance!r}; the default is 1e-6")
    return float(tolerance)


def check_bandwidth(bandwidth: object, rules: tuple[str, ...] = RULES) -> Bandwidth:
    """A rule's name, a number, or nested tuples of numbers.

    Raises:
        InvalidKind, InvalidValue: If not.
    """
    if isinstance(bandwidth, str):
        return check_option("bandwidth", bandwidth, rules)
    names = ", ".join(map(repr, rules))
    expected = f"a number, one per axis, a matrix or one of {names}"
    if isinstance(bandwidth, bool) or bandwidth is None:
        raise InvalidKind(f"bandwidth must be {expected}, got {bandwidth!r}")
    h = to_float64(bandwidth, "bandwidth", expected)
    finite = h.ndim <= 2 and h.numel() and bool(h.isfinite().all())
    if not finite or (h.ndim < 2 and not bool((h > 0).all())):
        raise InvalidValue(
            f"bandwidth must be positive, got {bandwidth!r}; pass a number or one of {names}"
        )
    if h.ndim == 2:
        Scale.of(h, len(h))
        return tuple(tuple(row) for row in h.tolist())
    return tuple(h.tolist()) if h.ndim else float(h)


def is_searched(bandwidth: object) -> bool:
    """Whether a bandwidth is the name of a likelihood search."""
    return bandwidth in ("likelihood", "crossvalidation")


def rule_bandwidth(
    rule: str, x: Tensor, weights: Tensor, *, form: Form, kernel: str, shape: Shape
) -> Tensor:
    """The bandwidth (), (d,) or (d, d) of a rule of thumb for rows (n, d); Scott's for searches."""
    by_rule = silverman if rule == "silverman" else scott
    return by_rule(x, weights=weights, form=form, kernel=kernel, shape=shape)


def likeliest_bandwidth(
    rule: str,
    x: Tensor,
    weights: Tensor,
    h: Tensor,
    local: Tensor | None,
    *,
    kernel: str,
    shape: Shape,
    tolerance: float,
) -> tuple[Tensor, Choice]:
    """The multiple of h with the largest held-out likelihood, and the search's result."""
    choice = likelihood_bandwidth(
        x,
        h,
        folds=None if rule == "likelihood" else min(FOLDS, len(x)),
        weights=weights,
        local=local,
        kernel=kernel,
        shape=shape,
        tolerance=tolerance,
    )
    return h * choice.factor ** (2 if h.ndim == 2 else 1), choice


def local_factors(
    adaptive: Adaptive,
    neighbours: int | None,
    x: Tensor,
    weights: Tensor,
    h: Tensor,
    *,
    kernel: str,
    shape: Shape,
    tolerance: float,
) -> Tensor:
    """Factors s_i (n,) of the bandwidth at each row, of geometric mean one."""
    if adaptive == "abramson":
        options: dict[str, Any] = {"kernel": kernel, "shape": shape, "tolerance": tolerance}
        sums = KernelSums(x, h, weights=weights, **options)
        return abramson(sums.log_density(x), weights)
    if neighbours is None:
        neighbours = max(1, min(len(x) - 1, round(math.sqrt(len(x)))))
    distances = nearest(x, neighbours, h).to(x)
    return distances / (weights @ distances.log()).exp()


def bandwidth_tensor(bandwidth: object) -> Tensor:
    """A numeric bandwidth as a float64 tensor."""
    return torch.tensor(bandwidth, dtype=torch.float64)
