r"""Direct kernel sums, in blocks, in the log domain: any kernel, dimension and bandwidths.

With points p_i, weights w_i (summing to one) and one bandwidth h_i per point,

    log f(x) = log sum_i exp(a_i) k(|x - p_i| / h_i),       a_i = log w_i - d log h_i - log Z_d,

with the Euclidean norm (radial) or k a product over the axes. The factor is h_i^-d, not h_i^-1,
which integrates to one only in one dimension.

For the Gaussian the exponent is linear in (|x|^2, x, 1), so a block of it is one matrix product,

    a_i - |x - p_i|^2 / 2 h_i^2  =  |x|^2 (-1/2 h_i^2)  +  x . (p_i / h_i^2)
                                   +  (a_i - |p_i|^2 / 2 h_i^2).

Its terms cancel: the error of the exponent is about 1e-16 (|x|^2 + |p_i|^2) / h_i^2. Coordinates
are therefore centred, and where that error could exceed 1e-11 differences are formed one axis at a
time instead. All sums are exact up to rounding: nothing is pruned (see `tree_sums`).
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.kernels import Kernel, Shape

__all__ = ["Bumps", "FewSums", "is_shared", "log_sums"]

PAIRS = 2**18  # pairs per block: 2 MiB, which stays in cache
PRODUCT_LIMIT = 3e4  # largest |x|^2 / h^2 for which the matrix product keeps the exponent to 1e-11
SPREAD_LIMIT = 600.0  # largest max a_i - min a_i for which sums are taken outside the log domain


@dataclass(frozen=True)
class Bumps:
    """Kernels placed on points, with every bandwidth reduced to a number per point.

    Args:
        points: (n, d) float64, centred so that differences are accurate.
        scales: (n,) float64, the bandwidths h_i > 0 in the units of `points`.
        log_weights: (n,) float64, normalised: their exponentials sum to one.
        kernel, shape: of the bumps, see `kernels`.
    """

    points: Tensor
    scales: Tensor
    log_weights: Tensor
    kernel: Kernel
    shape: Shape = "radial"

    @property
    def dimension(self) -> int:
        return self.points.shape[1]

    @cached_property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest coordinates of the points, (d,) each."""
        columns = self.points.numpy().T
        return np.array([c.min() for c in columns]), np.array([c.max() for c in columns])

    @cached_property
    def narrowest(self) -> float:
        """The smallest bandwidth."""
        return float((self.scales[:1] if is_shared(self.scales) else self.scales).min())

    @cached_property
    def widest(self) -> float:
        """The largest bandwidth."""
        return float((self.scales[:1] if is_shared(self.scales) else self.scales).max())

    @property
    def amplitudes(self) -> Tensor:
        """(n,) the a_i above: log height of each bump at its centre."""
        normaliser = self.kernel.log_normaliser(self.dimension, self.shape)
        log_weights, scales = self.log_weights, self.scales
        if is_shared(log_weights) and is_shared(scales):
            one = log_weights[:1] - self.dimension * scales[:1].log() - normaliser
            return one.expand(len(scales))
        return log_weights - self.dimension * scales.log() - normaliser

    def take(self, index: Tensor | slice) -> "Bumps":
        """The bumps at `index`, keeping their weights (which then no longer sum to one)."""
        return replace(
            self,
            points=self.points[index],
            scales=self.scales[index],
            log_weights=self.log_weights[index],
        )

    def to(self, device: torch.device) -> "Bumps":
        """The bumps on a device."""
        return replace(
            self,
            points=self.points.to(device),
            scales=self.scales.to(device),
            log_weights=self.log_weights.to(device),
        )

    @property
    def separable(self) -> bool:
        """Whether the kernel is a product over the axes that differs from the radial kernel."""
        return self.shape == "product" and self.kernel.name != "gaussian" and self.dimension > 1


def is_shared(values: Tensor) -> bool:
    """Whether the numbers (n,) of a tensor are one in memory, expanded."""
    return len(values) > 0 and values.stride(0) == 0


def log_sums(
    bumps: Bumps, queries: Tensor, *, exclude: Tensor | None = None, pairs: int = PAIRS
) -> Tensor:
    """(m,) log f at the (m, d) `queries`, in nats; -inf where no bump reaches.

    `exclude` (m,) is the bump to leave out for each query (-1 for none),
    for leave-one-out estimates; `pairs` is the size of a block.
    """
    n, m = len(bumps.points), len(queries)
    out = torch.full((m,), -math.inf, dtype=torch.float64, device=queries.device)
    if n == 0 or m == 0:
        return out
    terms = _Terms(bumps, queries)
    columns = min(n, max(512, pairs // m))
    rows = max(1, pairs // columns)
    for top in range(0, m, rows):
        block = slice(top, min(m, top + rows))
        for left in range(0, n, columns):
            across = slice(left, min(n, left + columns))
            skip = None if exclude is None else exclude[block] - left
            out[block] = torch.logaddexp(out[block], terms.log_sum(queries[block], across, skip))
    return out


class FewSums:
    """Gaussian sums at a few queries, prepared once: what a call costs is then the arithmetic.

    Args:
        bumps: Gaussian bumps.
    """

    def __init__(self, bumps: Bumps) -> None:
        self.columns = [np.ascontiguousarray(column) for column in bumps.points.numpy().T]
        self.heights = bumps.amplitudes.numpy()
        with np.errstate(over="ignore"):
            self.halved = (-0.5 / bumps.scales.square()).numpy()

    def log_sums(self, queries: np.ndarray) -> np.ndarray:
        """(m,) log f at (m, d) queries; -inf where squares are beyond float64."""
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            if len(queries) == 1:
                return self._log_sum(queries[0])
            square = np.square(queries[:, :1] - self.columns[0])
            for axis in range(1, len(self.columns)):
                square += np.square(queries[:, axis : axis + 1] - self.columns[axis])
            square *= self.halved
            square += self.heights
            top = square.max(1, keepdims=True)
            top[np.isneginf(top)] = 0.0
            square -= top
            sums: np.ndarray = np.log(np.exp(square, out=square).sum(1)) + top[:, 0]
        return sums

    def _log_sum(self, query: np.ndarray) -> np.ndarray:
        """The same at one query (d,), in fewer steps: (1,)."""
        square = query[0] - self.columns[0]
        square *= square
        for at, column in zip(query[1:], self.columns[1:], strict=True):
            away = at - column
            away *= away
            square += away
        square *= self.halved
        square += self.heights
        top = square.max()
        if top == -math.inf:
            return np.array([-math.inf])
        square -= top
        return np.array([math.log(np.exp(square, out=square).sum()) + top])


class _Terms:
    """Terms of the sum between blocks of queries and of bumps,
    with repeated parts computed once.
    """

    def __init__(self, bumps: Bumps, queries: Tensor) -> None:
        self.bumps, self.kernel = bumps, bumps.kernel
        self.amplitudes = bumps.amplitudes
        self.inverse = bumps.scales.reciprocal()
        self.columns = bumps.points.T.contiguous()
        largest = max(
            float(bumps.points.square().sum(1).max()), float(queries.square().sum(1).max())
        )
        inverse = float(self.inverse.max())
        exponent = largest * inverse * inverse
        if not math.isfinite(inverse * inverse):
            raise InvalidValue(
                f"the smallest bandwidth is {1 / inverse:.3g} of the data's deviations, whose"
                " square leaves float64's range; choose a larger one"
            )
        self.by_product = self.kernel.name == "gaussian" and exponent < PRODUCT_LIMIT
        spread = float(self.amplitudes.max() - self.amplitudes.min())
        self.in_logs = not self.kernel.compact or not spread < SPREAD_LIMIT
        if self.by_product:
            square = self.inverse.square()
            self.bias = self.amplitudes - 0.5 * square * bumps.points.square().sum(1)
            self.factors = torch.cat([-0.5 * square[None], self.columns * square])

    def log_sum(self, queries: Tensor, across: slice, skip: Tensor | None) -> Tensor:
        """(rows,) log of the summed terms of one block.

        `skip` is the column to leave out in each row.
        """
        amplitudes = self.amplitudes[across]
        if self.in_logs:
            exponents = self._exponents(queries, across)
            return _log_sum_exp(_mask_column(exponents, skip, -math.inf))
        top = amplitudes.max()
        values = _mask_column(self._values(queries, across), skip, 0.0)
        return (values @ (amplitudes - top).exp()).log() + top

    def _exponents(self, queries: Tensor, across: slice) -> Tensor:
        """(rows, columns) log of each term, a fresh tensor."""
        if self.by_product:
            features = torch.cat([queries.square().sum(1, keepdim=True), queries], dim=1)
            return torch.addmm(self.bias[across], features, self.factors[:, across])
        amplitudes, inverse = self.amplitudes[across], self.inverse[across]
        if self.bumps.separable:
            return sum(
                (self.kernel.log_profile(r) for r in self._axes(queries, across)), amplitudes
            )
        if self.kernel.name == "gaussian":
            return self._squares(queries, across).mul_(-0.5 * inverse.square()).add_(amplitudes)
        distance = self._squares(queries, across).sqrt_()
        return self.kernel.log_profile(distance.mul_(inverse)).add(amplitudes)

    def _values(self, queries: Tensor, across: slice) -> Tensor:
        """(rows, columns) k of each scaled difference, without amplitudes."""
        if self.bumps.separable:
            return torch.stack([self.kernel.profile(r) for r in self._axes(queries, across)]).prod(
                0
            )
        distance = self._squares(queries, across).sqrt_()
        return self.kernel.profile(distance.div_(self.bumps.scales[across]))

    def _axes(self, queries: Tensor, across: slice) -> list[Tensor]:
        scales = self.bumps.scales[across]
        return [
            (queries[:, axis, None] - self.columns[axis, across]).abs_().div_(scales)
            for axis in range(self.bumps.dimension)
        ]

    def _squares(self, queries: Tensor, across: slice) -> Tensor:
        """(rows, columns) squared distances by differences, accurate for near pairs."""
        if self.bumps.dimension > 6:
            exact = "donot_use_mm_for_euclid_dist"
            return torch.cdist(queries, self.bumps.points[across], compute_mode=exact).square_()
        total = queries.new_zeros(len(queries), len(self.inverse[across]))
        for axis in range(self.bumps.dimension):
            difference = queries[:, axis, None] - self.columns[axis, across]
            total.addcmul_(difference, difference)
        return total


def _log_sum_exp(exponents: Tensor) -> Tensor:
    """(rows,) log sum exp over columns, in place; a row of -inf gives -inf."""
    top = exponents.amax(1, keepdim=True).clamp_min(torch.finfo(torch.float64).min)
    return exponents.sub_(top).exp_().sum(1).log_().add_(top[:, 0])


def _mask_column(block: Tensor, skip: Tensor | None, neutral: float) -> Tensor:
    """The block with column `skip` of each row set to `neutral`,
    where that column is in the block.
    """
    if skip is not None:
        rows = torch.nonzero((skip >= 0) & (skip < block.shape[1]))[:, 0]
        block[rows, skip[rows]] = neutral
    return block
