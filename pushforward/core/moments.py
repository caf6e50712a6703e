"""Mergeable moments: (n, mean, M2) with M2 = Σ w (x - mean)(x - mean)ᵀ or its diagonal.

Two sets merge exactly (Chan, Golub & LeVeque 1983, Eq. 2.1), so a pass over blocks, over files or over machines gives
the two-pass answer, and an offset of 1e8 does not cancel as it would in Σx² - (Σx)²/n. Sums about a fixed origin near
the mean (`sums`) do not cancel either, and are the fastest.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Moments", "sums"]


@dataclass(frozen=True)
class Moments:
    """Weighted count (), mean (d,) and centred sums M2: (d,) of squares, or (d, d) of products."""

    count: Tensor
    mean: Tensor
    m2: Tensor

    @classmethod
    def of(cls, x: Tensor, weights: Tensor | None = None, *, full: bool = False) -> Moments:
        """Moments of rows x (n, d), in float64."""
        x = x.to(torch.float64)
        w = torch.ones(len(x), dtype=x.dtype, device=x.device) if weights is None else weights.to(x)
        count = w.sum()
        mean = (w @ x) / count.clamp_min(torch.finfo(x.dtype).tiny)
        centred = x - mean
        weighted = centred if weights is None else centred * w[:, None]
        return cls(count, mean, weighted.T @ centred if full else (weighted * centred).sum(0))

    @classmethod
    def over(cls, blocks: Iterable[tuple[Tensor, Tensor | None]], *, full: bool = False) -> Moments:
        """Moments of all rows of (x, weights) blocks, one pass, memory of one block."""
        total: Moments | None = None
        for x, weights in blocks:
            part = cls.of(x, weights, full=full)
            total = part if total is None else total.merge(part)
        if total is None:
            raise ValueError("moments need at least one block of rows, got none")
        return total

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets of rows together; associative up to rounding."""
        count = self.count + other.count
        safe = count.clamp_min(torch.finfo(count.dtype).tiny)
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / safe)
        shift = torch.outer(delta, delta) if self.m2.ndim == 2 else delta.square()
        return Moments(count, mean, self.m2 + other.m2 + shift * (self.count * other.count / safe))

    @property
    def covariance(self) -> Tensor:
        """M2 / n: the maximum-likelihood covariance (d, d), or variances (d,)."""
        return self.m2 / self.count


SUM_ROWS = 8192
"""Multiplied at once: fewer take longer; in float32 more lose more."""
SUM_NUMBERS = 1 << 22


def sums(x: Tensor, weights: Tensor | None = None, origin: Tensor | None = None, *, single: bool = False) -> tuple[Tensor, Tensor]:
    """Σw(x-o) (d,) and Σw(x-o)(x-o)ᵀ (d, d) of rows x (n, d) on the processor, in float64.

    With `single` the rows, shifted, are rounded to float32 and multiplied there, in small blocks that are added up in
    float64: the error of the products is about 1e-8 of the largest, if o is near the mean and no square overflows.

    Each thread takes an equal part of the rows and its own BLAS of one thread: a quarter faster than one BLAS call by
    all threads, which wait for one another at every panel (and far more than that on a busy machine).
    """
    rows = x.detach().numpy()
    w = None if weights is None else weights.to(torch.float64).numpy()
    o = None if origin is None else origin.numpy()
    threads, part = torch.get_num_threads(), _single_part if single else _part
    if threads == 1 or threads * x.shape[1] ** 2 > 1 << 25:  # where the parts' products would fill the memory, BLAS's own threads
        total, products = part(rows, w, o)
    else:
        edges = [len(rows) * i // threads for i in range(threads + 1)]
        parts = [(rows[a:b], None if w is None else w[a:b], o) for a, b in pairwise(edges)]
        with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            (total, products), *others = pool.map(part, *zip(*parts))
        for more, further in others:
            total += more
            products += further
    return torch.from_numpy(np.ascontiguousarray(total)), torch.from_numpy(np.ascontiguousarray(products))


@cache
def _blas() -> Any:
    """The BLAS libraries of this process, looked for once: NumPy's, which `_part` uses, is among them."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _part(rows: NDArray[Any], weights: NDArray[Any] | None, origin: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """`sums` of one thread; rows that must be shifted, weighted or widened pass through one small buffer."""
    d = rows.shape[1]
    total, products, found = np.zeros(d), np.zeros((d, d)), np.empty((d, d))
    plain = weights is None and origin is None and rows.dtype == np.float64
    size = SUM_ROWS if plain else max(1, min(SUM_ROWS, SUM_NUMBERS // max(d, 1)))
    buffer = np.empty((0 if plain else min(size, len(rows)), d))
    for start in range(0, len(rows), size):
        y = rows[start : start + size]
        w = np.ones(len(y)) if weights is None else weights[start : start + size]
        if not plain:
            y = np.subtract(y, 0.0 if origin is None else origin, out=buffer[: len(y)])
        total += w @ y
        if weights is not None:
            y *= np.sqrt(w)[:, None]
        products += np.matmul(y.T, y, out=found)
    return total, products


def _single_part(rows: NDArray[Any], weights: NDArray[Any] | None, origin: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same by products of float32; a last column of ones makes the sums a part of them."""
    d = rows.shape[1]
    products, found = np.zeros((d + 1, d + 1)), np.empty((d + 1, d + 1), np.float32)
    size = max(1, min(SUM_ROWS, 2 * SUM_NUMBERS // max(d, 1)))
    buffer = np.empty((min(size, len(rows)), d + 1), np.float32)
    for start in range(0, len(rows), size):
        x = rows[start : start + size]
        y = buffer[: len(x)]
        np.subtract(x, 0.0 if origin is None else origin, out=y[:, :d], casting="same_kind")
        y[:, d] = 1
        if weights is not None:
            y *= np.sqrt(weights[start : start + size])[:, None]
        with np.errstate(over="ignore", invalid="ignore"):  # whoever asked for the sums looks whether they are finite
            products += np.matmul(y.T, y, out=found)
    return products[d, :d], products[:d, :d]
