r"""Sums over kernel matrices of many rows, tile by tile, from products in float32.

Each pair of rows is multiplied once, by single-threaded BLAS in the thread that calls it; all else
is in float64. A product is off by some 1e-7 |x| |y|, independently of the others, so that their
mean is far closer. Tiles are added up in a fixed order, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pushforward.core.moments import single_threaded_blas

__all__ = ["ROWS", "COLUMNS", "cubic_sums", "gaussian_sums"]

ROWS, COLUMNS = 256, 2048
"""Of a tile of a kernel matrix: 4 MB."""
CACHED = 1 << 14
"""Numbers that a core's own cache holds, and that PyTorch leaves to the thread that calls it."""


def gaussian_sums(
    x: NDArray[Any], squares: NDArray[Any], members: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Sums of k(x, y) = exp(-|x - y|²/2), for sets of rows marked in the columns of `members`.

    As k(x, y) = exp(-|x|²/2) exp(xᵀy) exp(-|y|²/2), the outer factors join the marks.

    Args:
        x: rows (n, d) in units of the bandwidth, float32, at most some 10 long.
        squares: |x|² (n,), float64.
        members: 1 for each row of a set, otherwise 0, (n, p).

    Returns:
        The sum over all pairs of rows of each set (p,), and over each row's pairs with those of the
        first set and with all (n,). A row's pair with itself counts 1.
    """
    scales = np.exp(-0.5 * squares)
    weights = scales[:, None] * np.concatenate([members, np.ones((len(x), 1))], 1)
    ends = np.ascontiguousarray(weights[:, [0, -1]])
    inside, sums = np.zeros(weights.shape[1]), np.zeros((len(x), 2))

    def strip(top: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The sums of some rows' pairs with one another and with all later rows."""
        stop = min(top + ROWS, len(x))
        rows, mine, part = x[top:stop], weights[top:stop], np.zeros((len(x) - top, 2))
        kernel = _exponentials(rows @ rows.T)
        np.fill_diagonal(kernel, np.exp(squares[top:stop]))
        across = kernel @ mine
        total = np.einsum("ij,ij->j", mine, across)
        part[: stop - top] = across[:, [0, -1]]
        for left in range(stop, len(x), COLUMNS):
            right = min(left + COLUMNS, len(x))
            kernel = _exponentials(rows @ x[left:right].T)
            across = kernel @ weights[left:right]
            total += 2 * np.einsum("ij,ij->j", mine, across)
            part[: stop - top] += across[:, [0, -1]]
            part[left - top : right - top] += kernel.T @ ends[top:stop]
        return total, part

    tops = range(0, len(x), ROWS)
    with single_threaded_blas(), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for top, (total, part) in zip(tops, pool.map(strip, tops)):
            inside += total
            sums[top:] += part
    sums *= scales[:, None]
    return inside[:-1], sums[:, 0], sums[:, 1]


def _exponentials(products: NDArray[Any]) -> NDArray[Any]:
    """exp of float32 numbers, in float64, by one thread."""
    result = torch.empty(products.size, dtype=torch.float64)
    numbers = torch.from_numpy(products).view(-1)
    for some, found in zip(numbers.split(CACHED), result.split(CACHED)):
        found.copy_(some).exp_()
    return result.numpy().reshape(products.shape)


def cubic_sums(
    x: NDArray[Any], along: NDArray[Any], n: int, s: float, higher: float
) -> tuple[float, float, float]:
    """Sums of `kernel_distances._Cubic` over pairs of different rows, by one thread.

    With a = xᵀy/d, p and q, h = `higher`, r = (p + q) h + s and v = q h + s, they are

        h² Σ a³ + 3 h Σ a² (p h + v) + 3 Σ a (p h + v)² + 3 h Σ p q (r + s),

    where all but Σ a³ are sums of rows and columns with weights.

    Args:
        x: centred rows (m, d), the n real ones first, float32.
        along: p (m,), float64.
        n: the number of real rows.
        s, higher: the constants.

    Returns:
        The sums within real rows, between both sets, and within generated rows.
    """
    sums = np.zeros(3)
    ph, v = along * higher, along * higher + s
    weights = np.stack([np.ones_like(v), v, v * v], 1)
    for place, rows, columns in _rectangles(n, len(x)):
        products = x[rows] @ x[columns].T
        if rows == columns:
            np.fill_diagonal(products, 0)
        share = 0.5 if rows == columns else 1.0
        step = max(1, CACHED // products.shape[1])
        for start in range(0, len(products), step):
            part = slice(rows.start + start, min(rows.start + start + step, rows.stop))
            a = np.multiply(products[start : start + step], 1 / x.shape[1], dtype=np.float64)
            square, p = a * a, ph[part]
            one, two = square @ weights[columns, :2], a @ weights[columns]
            cubes = higher * float(np.vdot(square, a))
            third = higher * cubes + 3 * higher * float(p @ one[:, 0] + one[:, 1].sum())
            third += 3 * float((p * p) @ two[:, 0] + 2 * p @ two[:, 1] + two[:, 2].sum())
            sums[place] += share * third
    p, q = along[:n], along[n:]
    sums += np.array([_within(p, s, higher), _across(p, q, s, higher), _within(q, s, higher)])
    real, both, generated = sums.tolist()
    return real, both, generated


def _rectangles(n: int, rows: int) -> Iterator[tuple[int, slice, slice]]:
    """Rows and columns that cover each pair once (squares on the diagonal twice), and their sum."""
    for first, last, own in ((0, n, 0), (n, rows, 2)):
        for top in range(first, last, ROWS):
            some = slice(top, min(top + ROWS, last))
            yield own, some, some
            if some.stop < last:
                yield own, some, slice(some.stop, last)
            if own == 0:
                yield 1, some, slice(n, rows)


def _within(p: NDArray[Any], s: float, higher: float) -> float:
    """3 h Σ p q (r + s) over pairs of different rows, each once; no row's own term is subtracted,
    as that of an outlier may exceed all else beyond float64's digits.
    """
    later = np.append(np.cumsum(p[:0:-1])[::-1], 0.0)
    squares = np.append(np.cumsum(p[:0:-1] ** 2)[::-1], 0.0)
    each = higher * (p * later + squares) + 2 * s * later
    return 3 * higher * float(p @ each)


def _across(p: NDArray[Any], q: NDArray[Any], s: float, higher: float) -> float:
    """3 h Σ p q (r + s) over all pairs of a p and a q."""
    one, two = float(p.sum()), float(q.sum())
    cubes = higher * (float(p @ p) * two + one * float(q @ q))
    return 3 * higher * (cubes + 2 * s * one * two)
