"""Mergeable sums of rows, for means and covariances."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Scatter", "WeightedRows"]

BLAS_COLUMNS = 8
"""Below this many columns, the call of BLAS costs more than it saves."""
THREADED_COLUMNS = 1024
"""Below this many columns, starting PyTorch's threads costs more than they save."""


@dataclass
class Scatter:
    """Sums over weighted rows about a common origin o.

    With o near the mean nothing cancels, however far the data are from 0. Merging is in place.

    Args:
        count: Σ w, ().
        total: Σ w (x - o), (d,).
        products: Σ w (x - o)(x - o)ᵀ in the upper triangle, (d, d).
    """

    count: Tensor
    total: Tensor
    products: Tensor

    @classmethod
    def of(cls, x: Tensor, weights: Tensor | None, origin: Tensor | None) -> Scatter:
        """Sums over rows x (n, d) in float64; no origin if a shift would gain nothing."""
        x = x.to(torch.float64) if origin is None else torch.sub(x, origin)
        if weights is None:
            count = torch.tensor(float(len(x)), dtype=x.dtype, device=x.device)
            return cls(count, x.sum(0), _products(x))
        total = weights.to(x.dtype) @ x
        scaled = x * weights.to(x.dtype).sqrt()[:, None]
        return cls(weights.sum().to(x.dtype), total, _products(scaled))

    def merge(self, other: Scatter) -> Scatter:
        """Sums over both sets of rows."""
        self.count += other.count
        self.total += other.total
        self.products += other.products
        return self

    def moments(self, origin: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean (d,) and maximum-likelihood covariance (d, d)."""
        shift = self.total / self.count
        covariance = _symmetric(self.products) / self.count
        covariance -= shift[:, None] * shift
        return shift if origin is None else origin + shift, covariance


@dataclass
class WeightedRows:
    """The rows themselves, for models that need them all: x (n, d) and weights (n,)."""

    x: Tensor
    weights: Tensor

    def merge(self, other: WeightedRows) -> WeightedRows:
        """Both sets of rows, concatenated."""
        return WeightedRows(torch.cat([self.x, other.x]), torch.cat([self.weights, other.weights]))


def _symmetric(upper: Tensor) -> Tensor:
    """The symmetric matrix of an upper triangle, whatever lies below it."""
    if upper.device.type == "cpu" and len(upper) < THREADED_COLUMNS:
        half = upper.numpy()
        return torch.from_numpy(np.where(_is_upper(len(half)), half, half.T))
    rows = upper.triu()
    return rows + rows.triu(1).T


@lru_cache(16)
def _is_upper(d: int) -> NDArray[np.bool_]:
    """Whether a place of a matrix (d, d) lies on its diagonal or above it."""
    return np.triu(np.ones((d, d), dtype=np.bool_))


def _products(x: Tensor) -> Tensor:
    """The upper triangle of xᵀx (d, d); on the CPU by the BLAS routine that does half the work."""
    if x.device.type != "cpu" or x.shape[1] < BLAS_COLUMNS or not len(x):
        return x.T @ x
    from scipy.linalg.blas import dsyrk

    # dsyrk reads columns first: for a = xᵀ it returns a aᵀ, whose lower triangle, read by rows,
    # is the upper one here.
    return torch.from_numpy(dsyrk(1.0, x.contiguous().numpy().T, lower=1).T)
