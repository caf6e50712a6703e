"""Arguments of kernel sums, checked."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.kernels import SHAPES, Kernel, Shape
from pushforward.densities.scales import Scale

__all__ = ["METHODS", "Method", "check_options", "check_positive", "check_rows"]

Method: TypeAlias = Literal["auto", "direct", "tree", "fourier"]
METHODS: tuple[Method, ...] = get_args(Method)
"""How sums are computed; 'auto' takes what is predicted to be fastest."""


def check_rows(x: Tensor, name: str, columns: int | None = None) -> Tensor:
    """x as (n, d) float64 on the CPU, checked."""
    if x.ndim != 2 or x.shape[1] == 0 or (columns is not None and x.shape[1] != columns):
        expected = "(n, d)" if columns is None else f"(m, {columns})"
        raise InvalidValue(
            f"{name} must have shape {expected}, got {tuple(x.shape)}; reshape them to rows of"
            " observations"
        )
    if columns is None and len(x) == 0:
        raise InvalidValue(f"{name} must hold at least one row, got none; pass data")
    x = x.detach().to("cpu", torch.float64)
    # the sum takes one pass and no memory; that of finite numbers may still overflow
    if not math.isfinite(x.numpy().sum()) and not bool(x.isfinite().all()):
        raise InvalidValue(f"{name} must be finite, got NaN or infinity; drop or impute these rows")
    return x


def check_positive(values: Tensor | None, n: int, name: str, *, zero: bool) -> Tensor:
    """(n,) float64, checked; without values ones, which share one place in memory."""
    if values is None:
        return torch.ones((), dtype=torch.float64).expand(n)
    v = torch.as_tensor(values).detach().to("cpu", torch.float64)
    kind = "not negative with a positive sum" if zero else "positive"
    if v.shape != (n,):
        raise InvalidValue(
            f"{name} must have shape ({n},), got {tuple(v.shape)}; pass one number per point"
        )
    if (
        not bool(v.isfinite().all())
        or bool((v < 0 if zero else v <= 0).any())
        or not bool((v > 0).any())
    ):
        raise InvalidValue(
            f"{name} must be finite and {kind}, got values from {v.min():g} to {v.max():g}; check"
            " them"
        )
    return v


def check_options(
    method: Method, shape: Shape, tolerance: float, kernel: Kernel, scale: Scale, d: int
) -> None:
    if method not in METHODS:
        raise InvalidValue(
            f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}; 'auto' chooses"
        )
    if shape not in SHAPES:
        raise InvalidValue(f"shape must be 'radial' or 'product', got {shape!r}; pass one of these")
    if not 0 < tolerance < 1:
        raise InvalidValue(
            f"tolerance must lie between 0 and 1, got {tolerance}; the default is 1e-6"
        )
    if method == "fourier" and (kernel.name != "gaussian" or d > 3):
        raise InvalidValue(
            f"method 'fourier' serves the Gaussian kernel in 1 to 3 dimensions, got {kernel.name!r}"
            f" in {d}; use 'auto'"
        )
    if shape == "product" and scale.kind == "matrix" and kernel.name != "gaussian":
        raise InvalidValue(
            "a product kernel takes one bandwidth per axis, got a matrix; pass its diagonal or use"
            " 'radial'"
        )
