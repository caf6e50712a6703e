r"""Squared distance between the mean embeddings of two laws under a kernel k, without bias:

    MMD² = 1/n(n-1) Σ_{i≠j} k(x_i, x_j) + 1/m(m-1) Σ_{i≠j} k(y_i, y_j) - 2/nm Σ_ij k(x_i, y_j).

* KID: k(x, y) = (xᵀy/d + 1)³, the mean over disjoint blocks of rows; the blocks are independent, so their spread gives the error bar
  (Bińkowski et al. 2018). No bias with n, unlike the Fréchet distance.
* MMD: k(x, y) = exp(-|x - y|²/2h²), h the median distance between real rows unless given, with a p-value by permuting which rows
  are called real (Gretton et al. 2012); (1 + #{permuted ≥ seen})/(1 + permutations). h from the real rows alone keeps records
  of several generators on the same data comparable; it makes the test exact only up to that median's own noise.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.random import Rng, generator, permutation
from pushforward.core.records import Record
from pushforward.metrics.features import Features
from pushforward.metrics.pairs import Pair, seed_of

__all__ = ["kid", "mmd", "median_distance"]

LEAST_BLOCKS = 10


def kid(real: Any, generated: Any, *, features: Features | None = None, block: int = 1000, rng: Rng = 0, data: str = "") -> Record:
    """Kernel inception distance of generated (m, *shape) from real rows (n, *shape): 0 for equal laws, up to the error bar.

    Arguments:
        features: the space; raw if none is given.
        block: rows of each set in one block, lowered so that there are ten blocks at least.
    """
    require_positive(block=block)
    pair = Pair.of(real, generated, features, data, least=2 * LEAST_BLOCKS)
    count = max(LEAST_BLOCKS, min(len(pair.real), len(pair.generated)) // block)
    stream = generator(rng)
    parts = [x[permutation(len(x), rng=stream)].tensor_split(count) for x in (pair.real, pair.generated)]
    values = torch.stack([_unbiased(_cubic(a, a), _cubic(b, b), _cubic(a, b)) for a, b in zip(*parts)])
    return pair.mean("kid", values, blocks=count, seed=seed_of(rng))


def mmd(
    real: Any,
    generated: Any,
    *,
    features: Features | None = None,
    bandwidth: float | None = None,
    permutations: int = 500,
    most: int = 1000,
    rng: Rng = 0,
    data: str = "",
) -> Record:
    """MMD² with a Gaussian kernel; details hold 'p', the share of permutations that come out as large.

    Arguments:
        features: the space; raw if none is given.
        bandwidth: h in units of the features; the median distance between real rows if not given.
        most: rows of each set at most, drawn by `rng`; memory grows as its square.
    """
    require_positive(bandwidth=bandwidth, permutations=permutations, most=most)
    pair = Pair.of(real, generated, features, data)
    stream = generator(rng)
    one, two = (x[permutation(len(x), rng=stream)[:most]] for x in pair.centred())
    h = median_distance(one) if bandwidth is None else float(bandwidth)
    if not h > 0:
        raise InvalidValue("the median distance between real rows is 0; pass a bandwidth")
    together = torch.cat([one, two])
    kernel = torch.exp(_squares(together) / (-2 * h * h))
    seen = _split(kernel, _signs(torch.arange(len(together)), len(one))[:, None])
    drawn = torch.stack([_signs(permutation(len(together), rng=stream), len(one)) for _ in range(permutations)], 1)
    p = (1 + int((_split(kernel, drawn) >= seen).sum())) / (1 + permutations)
    details = {"p": p, "permutations": permutations, "bandwidth": h, "used": (len(one), len(two)), "seed": seed_of(rng)}
    return pair.record("mmd²", float(seen), _error(kernel, len(one)), settings=f"Gaussian kernel, h = {h:.6g}", **details)


def median_distance(x: Tensor, most: int = 1000) -> float:
    """The median distance between different rows, of the first `most`."""
    some = x[:most]
    squares = _squares(some)
    above = torch.triu_indices(len(some), len(some), 1)
    return float(squares[above[0], above[1]].sqrt().median()) if len(some) > 1 else 0.0


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _unbiased(xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """MMD² from kernel matrices; the diagonals are left out."""
    n, m = len(xx), len(yy)
    return (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1)) - 2 * xy.mean()


def _squares(x: Tensor) -> Tensor:
    squares = x.square().sum(1)
    found = (squares[:, None] + squares - 2 * x @ x.T).clamp_min_(0)
    return found.fill_diagonal_(0)


def _signs(order: Tensor, n: int) -> Tensor:
    """1.0 for the first n of an order, 0.0 for the rest."""
    return torch.zeros(len(order), dtype=torch.float64).index_fill_(0, order[:n], 1.0)


def _split(kernel: Tensor, first: Tensor) -> Tensor:
    """MMD² (p,) between the rows marked 1 and those marked 0, for every column of `first` (n + m, p); two matrix products."""
    second = 1 - first
    n, m = first.sum(0), second.sum(0)
    to_first = kernel @ first
    own = (first * to_first).sum(0) - n  # the diagonal is 1
    cross = (second * to_first).sum(0)
    rest = kernel.sum() - len(kernel) - own - 2 * cross
    return own / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * cross / (n * m)


def _error(kernel: Tensor, n: int) -> float:
    """The standard error of MMD², from how far each row moves it (first order)."""
    m = len(kernel) - n
    to_real, to_other = kernel[:, :n].sum(1), kernel[:, n:].sum(1)
    real = (to_real[:n] - 1) / (n - 1) - to_other[:n] / m
    other = (to_other[n:] - 1) / (m - 1) - to_real[n:] / n
    return 2 * math.sqrt(float(real.var() / n + other.var() / m))
