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
from collections.abc import Sequence
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
from pushforward.metrics.gauge import Gauge, exponent_of, power_of_two, restore_units
from pushforward.metrics.kernel_tiles import cubic_sums, gaussian_sums
from pushforward.metrics.neighbours import BLOCK_NUMBERS
from pushforward.metrics.pairs import Pair, known_seed, warn_few_rows

__all__ = ["kid", "mmd", "median_distance"]

LEAST_BLOCKS = 10
LARGE = 1 << 31
"""Products of numbers from which float32 and all threads are used."""
NEAR = 1000
"""Rows whose median distance is the bandwidth."""
SHORT = 100.0
"""Largest |x|²/h² of centred rows whose distances are precise enough in float32."""
CACHED_ROWS = 32
"""Rows that are shifted at once, in a core's own cache."""
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
        return kernel.between_rounded(sets, [some.numpy() for some in part])

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
    chosen = [permutation(len(x), rng=stream)[:most] for x in pair.sets]
    n, total = len(chosen[0]), sum(len(some) for some in chosen)
    gauge = pair.gauge if n == len(pair.sets[0]) else Gauge.of(*pair.sets, around=chosen[0])
    scale = gauge.scale
    if bandwidth is None:
        width = median_distance(gauge(pair.sets[0][chosen[0][:NEAR]]))
    else:
        width = float(bandwidth) / scale
    if not width > 0:
        raise InvalidValue("the median distance between real rows is 0; pass a bandwidth")
    h = width * scale
    orders = [permutation(total, rng=stream) for _ in range(permutations)]
    splits = [torch.arange(total), *orders]
    members = torch.stack([_memberships(order, n) for order in splits], 1)
    sums = _kernel_sums(gauge, list(zip(pair.sets, chosen)), members, width)
    observed, *permuted = sums.mmd(members).tolist()
    p = (1 + sum(value >= observed for value in permuted)) / (1 + permutations)
    details = {
        "p": p,
        "permutations": permutations,
        "bandwidth": h,
        "used": (n, total - n),
        "seed": known_seed(rng),
    }
    return pair.record(
        "mmd²",
        observed,
        _error(sums.to_first, sums.total - sums.to_first, torch.ones_like(sums.total), n),
        settings=f"Gaussian kernel, h = {h:.6g}",
        **details,
    )


def median_distance(x: Tensor, most: int = NEAR) -> float:
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

    def between_rounded(
        self, sets: Sequence[NDArray[Any]], orders: Sequence[NDArray[Any]]
    ) -> float:
        """The same of some rows of both sets, by one thread, from products in float32."""
        d, (n, m) = len(self.centre), (len(order) for order in orders)
        rows, along, at = np.empty((n + m, d), np.float32), np.empty(n + m), 0
        centre, shift = self.centre.numpy(), self.gauge_centre.numpy()
        for x, order in zip(sets, orders):
            for some in np.split(order, range(CACHED_ROWS, len(order), CACHED_ROWS)):
                centred = np.subtract(x[some], shift, dtype=np.float64)
                centred /= self.unit
                part = slice(at, at + len(some))
                rows[part], along[part], at = centred, centred @ centre / d, part.stop
        real, both, generated = cubic_sums(rows, along, n, *self._constants(d))
        return 2 * (real / (n * (n - 1)) + generated / (m * (m - 1)) - both / (n * m))


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


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums of a kernel that is 1 between equal rows, over pairs of n rows in p splits in two.

    Args:
        within, across: over the pairs within the first part, and between both parts, (p,).
        to_first, total: over each row's pairs with the first part of the first split, and with all
            rows, (n,).
    """

    within: Tensor
    across: Tensor
    to_first: Tensor
    total: Tensor

    def mmd(self, members: Tensor) -> Tensor:
        """MMD² (p,) between rows marked 1 and 0, for every column of `members` (n, p)."""
        n, m = members.sum(0), (1 - members).sum(0)
        within = self.within - n  # the diagonal is 1
        rest = self.total.sum() - len(self.total) - within - 2 * self.across
        return within / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * self.across / (n * m)


def _kernel_sums(
    gauge: Gauge, parts: Sequence[tuple[Tensor, Tensor]], members: Tensor, width: float
) -> _Sums:
    """Sums of the kernel over the chosen rows (x, order) of both sets, marked in `members` (n, p).

    For many rows the matrix is made tile by tile, from products in float32 of the centred rows, as
    long as these are not long beside h: each entry is then off by some 1e-7, and independently.
    """
    if len(members) ** 2 * len(gauge.centre) >= LARGE:
        rows, squares = _rounded_rows(gauge, parts, width)
        if float(squares.max()) <= SHORT:
            found = gaussian_sums(rows.numpy(), squares.numpy(), members.numpy())
            within, to_first, total = (torch.from_numpy(each) for each in found)
            return _Sums(within, total @ members - within, to_first, total)
    x = torch.cat([gauge(x[order]) for x, order in parts])
    weights = np.concatenate([members.numpy(), np.ones((len(x), 1))], 1)
    sums = torch.from_numpy(
        torch.exp(_squared_distances(x) / (-2 * width * width)).numpy() @ weights
    )
    first, total = sums[:, :-1], sums[:, -1]
    return _Sums((members * first).sum(0), ((1 - members) * first).sum(0), first[:, 0], total)


def _rounded_rows(
    gauge: Gauge, parts: Sequence[tuple[Tensor, Tensor]], width: float
) -> tuple[Tensor, Tensor]:
    """The chosen rows in units of h (n, d), float32, and their squared lengths (n,), float64."""
    n, d = sum(len(order) for _, order in parts), len(gauge.centre)
    rows, squares, at = torch.empty(n, d), torch.empty(n, dtype=torch.float64), 0
    for x, order in parts:
        for some in order.split(max(1, BLOCK_NUMBERS // d)):
            centred = gauge(x[some]).div_(width)
            part = slice(at, at + len(some))
            rows[part], at = centred, part.stop
            squares[part] = centred.square_().sum(1)
    return rows, squares


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
