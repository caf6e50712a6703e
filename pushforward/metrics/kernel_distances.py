r"""Unbiased squared distance between the mean embeddings of two distributions under a kernel k:

    MMD² = 1/n(n-1) Σ_{i≠j} k(x_i, x_j) + 1/m(m-1) Σ_{i≠j} k(y_i, y_j) - 2/nm Σ_ij k(x_i, y_j).

* KID: k(x, y) = (xᵀy/d + 1)³, the mean over disjoint blocks of rows; the blocks are independent, so
  their spread gives the error bar (Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401). No
  bias with n, unlike the Fréchet distance.
* MMD: k(x, y) = exp(-|x - y|²/2h²), h by default the median distance between real rows, with a
  permutation p-value (1 + #{permuted ≥ observed})/(1 + permutations) (Gretton et al. 2012,
  https://jmlr.org/papers/v13/gretton12a.html). As h depends on the real rows alone, records of
  several generators on the same data are comparable, and the test is exact only up to the noise of
  that median.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.moments import single_threaded_blas
from pushforward.core.numbers import require_whole
from pushforward.core.random import Rng, generator, permutation
from pushforward.core.records import Record
from pushforward.metrics.features import Features
from pushforward.metrics.gauge import exponent_of, power_of_two, restore_units
from pushforward.metrics.neighbours import BLOCK_NUMBERS
from pushforward.metrics.pairs import Pair, known_seed, warn_few_rows

__all__ = ["kid", "mmd", "median_distance"]

LEAST_BLOCKS = 10
LARGE = 1 << 33
"""Products of numbers from which float32 and all threads are used."""
ROWS, COLUMNS = 256, 4096
"""Of a tile of a kernel matrix: 8 MB."""
SHORT = 100.0
"""Largest |x|²/h² of centred rows whose distances are precise enough in float32."""
CANCELLED = 2.0**-16
"""Share of |a|² + |b|² below which a squared distance has lost too many digits."""


def kid(
    real: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    block: int = 1000,
    rng: Rng = 0,
    data: str = "",
) -> Record:
    """Kernel inception distance of generated (m, *shape) from real rows (n, *shape), 0 if equal.

    Warns (`FewRows`) if either set has fewer than 20 rows: there is only one block then, and the
    error bar, from the influence of each row, is rough.

    Args:
        features: the feature space; raw by default.
        block: rows of each set per block, at least 2;
            reduced so that there are at least ten blocks.
    """
    block = require_whole(block, "block", least=2)  # a block compares its rows with each other
    pair = Pair.of(real, generated, features, data)
    fewest, stream = min(len(x) for x in pair.sets), generator(rng)
    kernel = _Cubic.of(pair)
    orders = [permutation(len(x), rng=stream) for x in pair.sets]
    if fewest < 2 * LEAST_BLOCKS:
        note = (
            f"only {fewest} rows: the kernel distance and its error bar are rough; bring"
            f" {2 * LEAST_BLOCKS} or more"
        )
        warn_few_rows("kid", note)
        one, two = (kernel.centred(x, order) for x, order in zip(pair.sets, orders))
        together = torch.cat([one, two])
        k = kernel(together, together)
        mean = float(
            _unbiased(
                k[: len(one), : len(one)], k[len(one) :, len(one) :], k[: len(one), len(one) :]
            )
        )
        to_real, to_other = k[:, : len(one)].sum(1), k[:, len(one) :].sum(1)
        error = _error(to_real, to_other, k.diagonal(), len(one))
        value, error = restore_units("kid", [mean, error], kernel.exponent).tolist()
        return pair.record("kid", value, error, blocks=1, seed=known_seed(rng), note=note)
    count = max(LEAST_BLOCKS, fewest // block)
    values = _block_values(kernel, pair, orders, count)
    return pair.mean(
        "kid", restore_units("kid", values, kernel.exponent), blocks=count, seed=known_seed(rng)
    )


def _block_values(kernel: _Cubic, pair: Pair, orders: list[Tensor], count: int) -> Tensor:
    """MMD² of each of `count` blocks, float64, by all threads if there is enough work."""
    parts = list(zip(*(order.tensor_split(count) for order in orders)))

    largest = max(len(a) + len(b) for a, b in parts)
    if count * largest**2 * pair.dimension < LARGE:
        return torch.stack(
            [
                kernel.between(*(kernel.centred(x, some) for x, some in zip(pair.sets, part)))
                for part in parts
            ]
        )
    sets = [x.numpy() for x in pair.sets]

    def value(part: tuple[Tensor, ...]) -> float:
        return kernel.between_rounded(*(x[some.numpy()] for x, some in zip(sets, part)))

    with single_threaded_blas(), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return torch.tensor(list(pool.map(value, parts)), dtype=torch.float64)


def mmd(
    real: Observations,
    generated: Observations,
    *,
    features: Features | None = None,
    bandwidth: float | None = None,
    permutations: int = 500,
    most: int = 1000,
    rng: Rng = 0,
    data: str = "",
) -> Record:
    """MMD² with a Gaussian kernel; details hold 'p', the p-value of a permutation test.

    Args:
        features: the feature space; raw by default.
        bandwidth: h in units of the features; by default the median distance between real rows.
        most: largest number of rows of each set, sampled with `rng`.
    """
    require_positive(bandwidth=bandwidth)
    permutations, most = (
        require_whole(permutations, "permutations", least=1),
        require_whole(most, "most", least=2),
    )
    pair = Pair.of(real, generated, features, data)
    stream = generator(rng)
    one, two = (pair.gauge(x[permutation(len(x), rng=stream)[:most]]) for x in pair.sets)
    scale = pair.gauge.scale
    width = median_distance(one) if bandwidth is None else float(bandwidth) / scale
    if not width > 0:
        raise InvalidValue("the median distance between real rows is 0; pass a bandwidth")
    together, h = torch.cat([one, two]), width * scale
    orders = [permutation(len(together), rng=stream) for _ in range(permutations)]
    splits = [torch.arange(len(together)), *orders]
    members = torch.stack([_memberships(order, len(one)) for order in splits], 1)
    sums, total = _kernel_sums(together, members, width)
    observed, *permuted = _mmd_of_splits(sums, total, members).tolist()
    p = (1 + sum(value >= observed for value in permuted)) / (1 + permutations)
    details = {
        "p": p,
        "permutations": permutations,
        "bandwidth": h,
        "used": (len(one), len(two)),
        "seed": known_seed(rng),
    }
    return pair.record(
        "mmd²",
        observed,
        _error(sums[:, 0], total - sums[:, 0], torch.ones_like(total), len(one)),
        settings=f"Gaussian kernel, h = {h:.6g}",
        **details,
    )


def median_distance(x: Tensor, most: int = 1000) -> float:
    """The median distance between different rows among the first `most`."""
    some = x[:most]
    squares = _squared_distances(some)
    above = torch.triu_indices(len(some), len(some), 1)
    return float(squares[above[0], above[1]].sqrt().median()) if len(some) > 1 else 0.0


@dataclass(frozen=True, eq=False)
class _Cubic:
    """(xᵀy/d + 1)³ of rows x + c and y + c, less terms that cancel in MMD².

    These are the terms in x or y alone.

    With a = xᵀy/d, p = cᵀx/d, q = cᵀy/d and s = |c|²/d + 1 the kernel is (a + p + q + s)³. Far from
    the origin s³ would dominate in float64; without it and the other cancelling terms no digits are
    lost. The remainder,

        a³ + 3 a² r + 3 a r² + 3 p q (r + s),    r = p + q + s,

    is of sixth degree in large rows and of second degree in small ones. Rows are therefore divided
    by a unit t, and the kernel by t⁶ if t > 1 (the 1 in s becomes t⁻²), otherwise by t² (terms of
    higher degree keep a factor t²).
    """

    centre: Tensor
    unit: float
    gauge_centre: Tensor

    @classmethod
    def of(cls, pair: Pair) -> _Cubic:
        centre, offset = pair.gauge.centre, pair.features.offset
        centre = centre if offset is None else centre + offset
        unit = max(
            pair.gauge.scale, power_of_two(float(centre.abs().max()) if len(centre) else 0.0)
        )
        return cls(centre / unit, unit, pair.gauge.centre)

    def centred(self, x: Tensor, order: Tensor) -> Tensor:
        """Some rows of x (n, d) less the centre, in units of t."""
        return torch.sub(x[order], self.gauge_centre).div_(self.unit)

    @property
    def exponent(self) -> int:
        """The kernel must be multiplied by 2 to the power of this."""
        return (6 if self.unit > 1 else 2) * exponent_of(self.unit)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The kernel (b, m) of centred rows (b, d) and (m, d) in units of t."""
        d, c = x.shape[1], self.centre
        s, higher = self._constants(d)
        a, p, q = x @ y.T / d, (x @ c / d)[:, None], (y @ c / d)[None]
        rest = (p + q).mul_(higher).add_(s)
        cube = (higher * a + rest).mul_(rest).mul_(3).addcmul_(a, a, value=higher * higher).mul_(a)
        return cube.addcmul_(rest.add_(s).mul_(3 * p), q, value=higher)

    def _constants(self, d: int) -> tuple[float, float]:
        """s, and the factor of terms of higher degree, for d columns."""
        higher = 1.0 if self.unit > 1 else self.unit * self.unit
        one = 1 / self.unit / self.unit if self.unit > 1 else 1.0
        return higher * float(self.centre @ self.centre) / d + one, higher

    def between(self, x: Tensor, y: Tensor) -> Tensor:
        """MMD² () between centred rows x (n, d) and y (m, d)."""
        return _unbiased(*(self(u, v) for u, v in ((x, x), (y, y), (x, y))))

    def between_rounded(self, x: NDArray[Any], y: NDArray[Any]) -> float:
        """The same of rows x (n, d) and y (m, d), not centred yet, by one thread.

        Their products are in float32, all else in float64. Each product is off by some 1e-7 |x| |y|
        and independently of the others, so that their mean is far closer. Each pair is multiplied
        once.
        """
        from pushforward.metrics.kernel_loops import add_cubes

        n, m, d = len(x), len(y), x.shape[1]
        rows, along = np.empty((n + m, d), np.float32), np.empty(n + m)
        centre, shift = self.centre.numpy(), self.gauge_centre.numpy()
        for each, part in ((x, slice(0, n)), (y, slice(n, n + m))):
            centred = np.subtract(each, shift, dtype=np.float64)
            centred /= self.unit
            rows[part], along[part] = centred, centred @ centre / d
        sums, constants = np.zeros(3), np.array(self._constants(d))
        add_cubes(rows @ rows.T, along, n, d, constants, sums)
        real, both, generated = sums.tolist()
        return float(2 * (real / (n * (n - 1)) + generated / (m * (m - 1)) - both / (n * m)))


def _unbiased(xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """MMD² from kernel matrices, without their diagonals.

    These are left out of the sums: that of an outlier may exceed all else beyond float64's digits.
    """
    n, m = len(xx), len(yy)
    one, two = (k.masked_fill(torch.eye(len(k), dtype=torch.bool), 0).sum() for k in (xx, yy))
    return one / (n * (n - 1)) + two / (m * (m - 1)) - 2 * xy.mean()


def _squared_distances(x: Tensor) -> Tensor:
    """Squared distances between all rows (n, n), recomputed from differences if they cancel."""
    squares = x.square().sum(1)
    sums = squares[:, None] + squares
    products = torch.from_numpy(x.numpy() @ x.numpy().T)  # half the work: it is symmetric
    found = products.mul_(-2).add_(sums).clamp_min_(0)
    for pairs in (found < CANCELLED * sums).nonzero().split(max(1, BLOCK_NUMBERS // x.shape[1])):
        found[pairs[:, 0], pairs[:, 1]] = (x[pairs[:, 0]] - x[pairs[:, 1]]).square().sum(1)
    return found


def _memberships(order: Tensor, n: int) -> Tensor:
    """1.0 for the first n of a permutation, 0.0 for the others."""
    return torch.zeros(len(order), dtype=torch.float64).index_fill_(0, order[:n], 1.0)


def _kernel_sums(x: Tensor, members: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Σ_j k(x_i, x_j) over the rows marked in each column (n, p), and over all rows (n,).

    For many rows the matrix is made tile by tile, from products in float32 of the centred rows, as
    long as these are not long beside h: each entry is then off by some 1e-7, and independently.
    """
    weights = np.concatenate([members.numpy(), np.ones((len(x), 1))], 1)
    short = float(x.square().sum(1).max()) <= SHORT * width * width
    if short and len(x) ** 2 * x.shape[1] >= LARGE:
        sums = _tiled_sums((x / width).numpy(), weights)
    else:
        sums = torch.exp(_squared_distances(x) / (-2 * width * width)).numpy() @ weights
    return torch.from_numpy(sums[:, :-1]), torch.from_numpy(sums[:, -1])


def _tiled_sums(x: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """exp(-|x_i - x_j|²/2) (n, n) times weights (n, p), with 1 on the diagonal."""
    halves, rounded = -0.5 * np.square(x).sum(1), x.astype(np.float32)
    sums, n = np.zeros(weights.shape), len(x)
    for top in range(0, n, ROWS):
        rows = slice(top, min(top + ROWS, n))
        for left in range(top, n, COLUMNS):
            columns = slice(left, min(left + COLUMNS, n))
            kernel = np.add(rounded[rows] @ rounded[columns].T, halves[columns], dtype=np.float64)
            kernel += halves[rows, None]
            torch.from_numpy(np.minimum(kernel, 0, out=kernel)).exp_()
            if left == top:
                np.fill_diagonal(kernel, 1)
            sums[rows] += kernel @ weights[columns]
            rest = slice(max(left, rows.stop), columns.stop)  # beyond the square on the diagonal
            sums[rest] += kernel[:, rest.start - left :].T @ weights[rows]
    return sums


def _mmd_of_splits(to_first: Tensor, total: Tensor, first: Tensor) -> Tensor:
    """MMD² (p,) between rows marked 1 and 0, for every column of `first` (n + m, p).

    From sums of the kernel over the marked rows (n + m, p) and over all rows (n + m,).
    """
    n, m = first.sum(0), (1 - first).sum(0)
    within = (first * to_first).sum(0) - n  # the diagonal is 1
    cross = ((1 - first) * to_first).sum(0)
    rest = total.sum() - len(total) - within - 2 * cross
    return within / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * cross / (n * m)


def _error(to_real: Tensor, to_other: Tensor, diagonal: Tensor, n: int) -> float:
    """The standard error of MMD², from the first-order influence of each row.

    Args:
        to_real, to_other: sums of the kernel over the n real and over the other rows, (n + m,).
        diagonal: k(x, x) of each row.
    """
    m = len(diagonal) - n
    real = (to_real[:n] - diagonal[:n]) / (n - 1) - to_other[:n] / m
    other = (to_other[n:] - diagonal[n:]) / (m - 1) - to_real[n:] / n
    return 2 * math.sqrt(float(real.var() / n + other.var() / m))
