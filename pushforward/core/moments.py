"""Mergeable moments: (n, mean, M2) with M2 = Σ w (x - mean)(x - mean)ᵀ or its diagonal.

Two sets merge exactly (Chan, Golub & LeVeque 1983, Eq. 2.1,
https://doi.org/10.1080/00031305.1983.10483115), so a pass over blocks, files or machines gives the
two-pass result, and an offset of 1e8 does not cancel as it would in Σx² - (Σx)²/n. Sums about a
fixed origin near the mean (`sum_products`) do not cancel either, and are the fastest.

The first row is subtracted before anything is summed, so that a constant column has exactly that
mean and an M2 of exactly 0. Squares of deviations below 1e-150 or above 1e150 leave float64's
range: M2 is then in units of `unit`², a power of two near the spread.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.threads import thread_count

__all__ = ["Moments", "choose_unit", "single_threaded_blas", "sum_products"]


@dataclass(frozen=True)
class Moments:
    """Weighted count (), mean (d,) and centred sums M2: (d,) of squares, or (d, d) of products.

    In units of `unit`² ((d,) or 1).
    """

    count: Tensor
    mean: Tensor
    m2: Tensor
    unit: Tensor = field(default_factory=lambda: torch.ones((), dtype=torch.float64))

    @classmethod
    def of(cls, x: Tensor, weights: Tensor | None = None, *, full: bool = False) -> Moments:
        """Moments of rows x (n, d), in float64."""
        x = x.to(torch.float64)
        w = torch.ones(len(x), dtype=x.dtype, device=x.device) if weights is None else weights.to(x)
        count = w.sum()
        safe = count.clamp_min(torch.finfo(x.dtype).tiny)
        origin = x[0].clone() if len(x) else x.new_zeros(x.shape[1])
        centred = x - origin
        shift = (w @ centred) / safe
        centred -= shift
        if full:
            return cls(
                count,
                origin + shift,
                (centred if weights is None else centred * w[:, None]).T @ centred,
            )
        m2 = _squares(centred, weights)
        # constant, or squares out of float64's range
        if not bool(((m2 > SQUARED[0]) & (m2 < SQUARED[1])).all()):
            centred = x - origin - shift
            unit = choose_unit(centred)
            if unit is not None:
                return cls(count, origin + shift, _squares(centred / unit, weights), unit)
        return cls(count, origin + shift, m2)

    @classmethod
    def over(cls, blocks: Iterable[tuple[Tensor, Tensor | None]], *, full: bool = False) -> Moments:
        """Moments of all rows of (x, weights) blocks, in one pass with the memory of one block."""
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
        share = self.count * other.count / safe
        if self.unit.ndim == other.unit.ndim == 0 and (
            self.m2.ndim == 2 or not _is_unsquarable(delta.abs())
        ):
            shift = torch.outer(delta, delta) if self.m2.ndim == 2 else delta.square()
            return Moments(count, mean, self.m2 + other.m2 + shift * share)
        unit = torch.maximum(
            torch.maximum(self._units(), other._units()), _floor_power(delta.abs())
        )
        mine, others = (m.m2 * (m._units() / unit).square() for m in (self, other))
        return Moments(count, mean, mine + others + (delta / unit).square() * share, unit)

    def _units(self) -> Tensor:
        """One per column; the smallest number for columns that do not vary."""
        return torch.where(self.m2 > 0, self.unit, torch.finfo(torch.float64).tiny)

    @property
    def covariance(self) -> Tensor:
        """M2 / n: the maximum-likelihood covariance (d, d) or variances (d,).

        0 or inf beyond float64's range.
        """
        return self.m2 / self.count * self.unit.square()

    @property
    def deviation(self) -> Tensor:
        """Standard deviations (d,), accurate wherever the values themselves are."""
        squares = self.m2 if self.m2.ndim == 1 else self.m2.diagonal()
        return (squares / self.count).sqrt() * self.unit


SQUARED = (1e-200, 1e290)
"""Sums of squares between these limits are exact to rounding."""
LEAST, MOST = 1e-120, 1e140
"""Deviations between these limits can be squared directly.

A sum of 1e20 squares then stays in float64's range.
"""


def _squares(centred: Tensor, weights: Tensor | None) -> Tensor:
    """Σ w x² of each column (d,); squares the rows in place."""
    squares = centred.square_()
    return squares.sum(0) if weights is None else weights.to(squares) @ squares


def choose_unit(centred: Tensor) -> Tensor | None:
    """Powers of two near the largest deviation of each column (d,).

    None if all deviations can be squared.
    """
    if not centred.numel():
        return None
    most = torch.maximum(centred.amax(0), -centred.amin(0))
    return _floor_power(most) if _is_unsquarable(most) else None


def _is_unsquarable(size: Tensor) -> bool:
    """Whether any size is too large or too small to square."""
    return bool((((size > 0) & (size < LEAST)) | ((size > MOST) & torch.isfinite(size))).any())


def _floor_power(size: Tensor) -> Tensor:
    """The largest power of two at or below each size, within the divisible range."""
    return torch.ldexp(torch.ones_like(size), torch.frexp(size).exponent.clamp(-1000, 1000) - 1)


SUM_ROWS = 8192
"""Rows multiplied at once: fewer are slower, and more lose precision in float32."""
SUM_NUMBERS = 1 << 22
"""Numbers multiplied at once, where rows are wide: 32 MB of float64."""


def sum_products(
    x: Tensor, weights: Tensor | None = None, origin: Tensor | None = None, *, single: bool = False
) -> tuple[Tensor, Tensor]:
    """Σw(x-o) (d,) and Σw(x-o)(x-o)ᵀ (d, d) of rows x (n, d) on the CPU, in float64.

    With `single` the rows, shifted, are rounded to float32 and multiplied there, in small blocks
    that are added up in float64: the error of the products is about 1e-8 of the largest, if o is
    near the mean and no square overflows.

    Each thread multiplies an equal share of the rows with single-threaded BLAS: a quarter faster
    than one BLAS call by all threads, which wait for one another at every panel (and much faster on
    a busy machine).
    """
    rows = x.detach().numpy()
    w = None if weights is None else weights.to(torch.float64).numpy()
    o = None if origin is None else origin.numpy()
    threads, part = thread_count(), _sum_part_float32 if single else _sum_part
    # BLAS's own threads if the partial products would fill the memory
    if threads == 1 or threads * x.shape[1] ** 2 > 1 << 25:
        total, products = part(rows, w, o)
    else:
        edges = [len(rows) * i // threads for i in range(threads + 1)]
        parts = [(rows[a:b], None if w is None else w[a:b], o) for a, b in pairwise(edges)]
        with single_threaded_blas(), ThreadPoolExecutor(threads) as pool:
            (total, products), *others = pool.map(part, *zip(*parts))
        for more, further in others:
            total += more
            products += further
    return torch.from_numpy(np.ascontiguousarray(total)), torch.from_numpy(
        np.ascontiguousarray(products)
    )


def single_threaded_blas() -> AbstractContextManager[Any]:
    """A context in which each matrix product of NumPy's runs in the thread that calls it."""
    limited: AbstractContextManager[Any] = _find_blas().limit(limits=1, user_api="blas")
    return limited


@cache
def _find_blas() -> Any:
    """The BLAS libraries of this process, looked up once.

    NumPy's, used by `_sum_part`, is among them.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _sum_part(
    rows: NDArray[Any], weights: NDArray[Any] | None, origin: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """`sum_products` by one thread.

    A small buffer holds rows that are shifted, weighted or widened.
    """
    d = rows.shape[1]
    total, products, product = np.zeros(d), np.zeros((d, d)), np.empty((d, d))
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
        products += np.matmul(y.T, y, out=product)
    return total, products


def _sum_part_float32(
    rows: NDArray[Any], weights: NDArray[Any] | None, origin: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """`_sum_part` in float32; a last column of ones makes the sums part of the product."""
    d = rows.shape[1]
    products, product = np.zeros((d + 1, d + 1)), np.empty((d + 1, d + 1), np.float32)
    size = max(1, min(SUM_ROWS, 2 * SUM_NUMBERS // max(d, 1)))
    buffer = np.empty((min(size, len(rows)), d + 1), np.float32)
    for start in range(0, len(rows), size):
        x = rows[start : start + size]
        y = buffer[: len(x)]
        np.subtract(x, 0.0 if origin is None else origin, out=y[:, :d], casting="same_kind")
        y[:, d] = 1
        if weights is not None:
            y *= np.sqrt(weights[start : start + size])[:, None]
        # the caller checks that the sums are finite
        with np.errstate(over="ignore", invalid="ignore"):
            products += np.matmul(y.T, y, out=product)
    return products[d, :d], products[:d, :d]
