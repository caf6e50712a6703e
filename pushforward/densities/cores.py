r"""Division of data into cores, suited to Fourier sums, and a remainder that is not.

A frequency grid costs (box / narrowest bandwidth)^d, whatever the number of points: one far
outlier, two distant clusters, or a pair of near-duplicates with a tiny bandwidth would make it
enormous. Points are therefore divided:

1. clusters whose bumps, cut off at `MARGIN` bandwidths,
  do not touch along some axis become separate cores;
2. in each, a few points with the smallest or largest bandwidths, or farthest out, are set aside as
  long as that lowers the predicted cost;
3. a part that is still too small, or too large for the memory, is not a core.

Correctness does not depend on the division. At a query in a core,

    f(x) = f_core(x) + sum over the other groups g of f_g(x),
        f_g(x) <= exp(mass_g - (gap_g / widest_g)^2 / 2),

where gap_g is the distance to the nearest point of the group (or to its box), and mass_g the log of
its summed peaks: every group that might matter is added term by term.
"""

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pushforward.densities.direct_sums import Bumps
from pushforward.densities.fourier_sums import FourierState
from pushforward.densities.frequency_grid import FrequencyGrid
from pushforward.densities.scales import Scale
from pushforward.densities.tree_sums import TreeSums

__all__ = [
    "Core",
    "Group",
    "split_cores",
    "fourier_bytes",
    "fourier_seconds",
    "least_fourier_seconds",
]

MARGIN = 6.0  # queries up to this many bandwidths outside a core belong to it
SMALLEST = 256  # fewest points in a core
SHARES = (0.0, 0.0005, 0.005, 0.03)  # shares of the points set aside at one end
MOST = 32  # most cores
DIVISION = 1e-6  # seconds to divide the points, for each


class Group:
    """Some of the bumps, with a bound on their contribution anywhere.

    Args:
        bumps: the bumps, with their weights in the full sum.
        tolerance: relative error of their sum.
    """

    def __init__(self, bumps: Bumps, tolerance: float = 1e-11) -> None:
        self.bumps, self.tolerance = bumps, tolerance
        self.widest = bumps.widest
        self.low, self.high = (torch.from_numpy(end) for end in bumps.box)
        self._tree: TreeSums | None = None

    @cached_property
    def mass(self) -> float:
        """Log of the summed peaks."""
        return float(self.bumps.amplitudes.logsumexp(0))

    def bound(self, queries: Tensor) -> Tensor:
        """(m,) an upper bound on log f of this group at the queries."""
        if len(self.bumps.points) > 20_000:
            gap = (torch.maximum(self.low - queries, queries - self.high)).clamp_min(0).norm(dim=1)
        else:
            from scipy.spatial import cKDTree

            near, _ = cKDTree(self.bumps.points.numpy()).query(queries.numpy(), workers=-1)
            gap = torch.from_numpy(near)
        bound: Tensor = self.mass - 0.5 * (gap / self.widest) ** 2
        return bound

    def log_sums(self, queries: Tensor) -> Tensor:
        """(m,) log f of this group, term by term."""
        if self._tree is None:
            self._tree = TreeSums(self.bumps, self.tolerance)
        return self._tree.log_sums(queries)


class Core(Group):
    """A group with a Fourier state: `state` holds its bumps, `error` bounds its absolute error."""

    def __init__(self, bumps: Bumps, eps: float) -> None:
        super().__init__(bumps)
        self.grid = _grid(bumps, eps)
        self._state: FourierState | None = None

    @property
    def state(self) -> FourierState:
        """The Fourier state, built on first use by transforming the data."""
        if self._state is None:
            weights, scales = self.bumps.log_weights.exp(), self.bumps.scales
            fixed = self.grid.narrowest == self.grid.widest
            self._state = FourierState(self.grid).add(
                self.bumps.points, weights, None if fixed else scales / self.grid.scale.root[0]
            )
            self.error = self._state.inner_error * self._state.mass
        return self._state

    @property
    def built(self) -> bool:
        return self._state is not None

    def density(self, queries: Tensor) -> Tensor:
        """(m,) this core's part of f, within `error`."""
        return self.state.density(queries) * self.state.mass


def _grid(bumps: Bumps, eps: float) -> FrequencyGrid:
    """The frequency grid for these bumps; factors are relative to their narrowest bandwidth."""
    low, high = (torch.from_numpy(end) for end in bumps.box)
    narrowest, ratio = bumps.narrowest, bumps.widest / bumps.narrowest
    return FrequencyGrid(low, high, Scale.of(narrowest, bumps.dimension), 1.0, ratio, eps, MARGIN)


def fourier_seconds(size: float, n: int, m: int, ratio: float, dimension: int, eps: float) -> float:
    """Predicted time to transform n points and m queries on a grid of `size` frequencies."""
    digits = 1 - math.log10(eps)
    # places of the fine grid that a point is spread over, along each axis
    places, frequency = (1.6 * digits, 6e-8) if eps >= 1e-9 else (digits, 1.5e-7)
    point = 5e-8 + 4.5e-10 * places**dimension
    transforms = 1 if ratio == 1 else 6
    grids = 1 if ratio == 1 else min(3.0, 1 + math.log(ratio))
    return 2e-3 + transforms * (n * point + grids * size * frequency) + m * point + size * frequency


def fourier_bytes(size: float, n: int, m: int, ratio: float, dimension: int, eps: float) -> float:
    """Predicted memory: fine grids, coefficients, and copies of the points."""
    upsampled = (1.25 if eps >= 1e-9 else 2.0) ** dimension
    transforms = 1 if ratio == 1 else 6
    batch = min(transforms, 2)
    return 16 * size * (upsampled * batch + transforms + 3) + 8.0 * (n + m) * (2 * dimension + 6)


def least_fourier_seconds(bumps: Bumps, m: int, eps: float) -> float:
    """The least time that Fourier sums can take, before the points are divided."""
    n, d = len(bumps.points), bumps.dimension
    ratio = bumps.widest / bumps.narrowest
    size = _size(bumps, None, eps)
    if _is_small(size, n):
        return fourier_seconds(size, n, m, ratio, d, eps)
    return fourier_seconds(0, n, m, ratio, d, eps) + DIVISION * n


def _is_small(size: float, n: int) -> bool:
    """Whether the points cost more than a grid of `size`, so that dividing them gains nothing."""
    return size < max(65_536, min(2 * n, 4_000_000))


def split_cores(
    bumps: Bumps, m: int, eps: float, memory: float, *, tolerance: float = 1e-11
) -> tuple[list[Core], list[Group]]:
    """The cores and other groups of Gaussian bumps in one to three dimensions,
    for about m queries.
    """
    n = len(bumps.points)
    whole = _size(bumps, None, eps)
    if _is_small(whole, n):
        return [Core(bumps, eps)], []
    cores: list[Core] = []
    aside: list[Tensor] = []
    for island in _find_islands(bumps):
        inner, outer = (
            _trim(bumps, island, m, eps, memory) if len(island) >= SMALLEST else (None, [island])
        )
        aside += [part for part in outer if len(part)]
        if inner is not None:
            cores.append(Core(bumps.take(inner), eps))
    return cores, [Group(bumps.take(part), tolerance) for part in _join_leftovers(bumps, aside)]


def _join_leftovers(bumps: Bumps, parts: list[Tensor]) -> list[Tensor]:
    """Leftovers grouped by bandwidth, so that one wide bump does not loosen the bound of all."""
    if not parts:
        return []
    index = torch.cat(parts)
    octave = (bumps.scales[index] / bumps.scales[index].min()).log2().div(3).long()
    return [index[octave == k] for k in octave.unique()]


def _find_islands(bumps: Bumps) -> list[Tensor]:
    """Indices of clusters whose bumps do not touch within MARGIN bandwidths, found axis by axis."""
    pending, islands = [torch.arange(len(bumps.points))], list[Tensor]()
    while pending:
        index = pending.pop()
        parts = [torch.arange(len(index))]
        if len(index) >= SMALLEST and len(pending) + len(islands) < MOST:
            splits = (
                _split_at_gaps(bumps.points[index, a], bumps.scales[index] * MARGIN)
                for a in range(bumps.dimension)
            )
            parts = next((split for split in splits if len(split) > 1), parts)
        if len(parts) == 1:
            islands.append(index)
        else:
            pending += [index[part] for part in parts]
    return islands


def _split_at_gaps(x: Tensor, reach: Tensor) -> list[Tensor]:
    """Positions of x split where intervals x ± reach leave a gap.

    At most `MOST` parts, widest gaps first.
    """
    low, order = (x - reach).sort()
    high = (x + reach)[order].cummax(0).values
    gap = low[1:] - high[:-1]
    breaks = torch.nonzero(gap > 0)[:, 0]
    if len(breaks) > MOST:
        breaks = breaks[gap[breaks].topk(MOST).indices].sort().values
    return list(order.tensor_split(breaks + 1))


def _trim(
    bumps: Bumps, index: Tensor, m: int, eps: float, memory: float
) -> tuple[Tensor | None, list[Tensor]]:
    """The part of a cluster worth a grid (None if none is),
    and the rest, greedily by predicted cost.
    """
    core, outside = index, list[Tensor]()
    best = _cost(bumps, core, 0, m, eps, memory)
    for rule in (_narrowest, _widest, _farthest):
        options = []
        for share in SHARES[1:]:
            inside = rule(bumps, core, share)
            if 0 < int(inside.sum()) < len(core):
                aside = len(index) - int(inside.sum())
                options.append((_cost(bumps, core[inside], aside, m, eps, memory), share))
        if options and min(options)[0] < 0.7 * best:
            best, share = min(options)
            inside = rule(bumps, core, share)
            outside.append(core[~inside])
            core = core[inside]
    if not math.isfinite(best):
        return None, [index]
    return core, outside


def _narrowest(bumps: Bumps, index: Tensor, share: float) -> Tensor:
    scales = bumps.scales[index]
    return scales >= _quantile(scales, share)


def _widest(bumps: Bumps, index: Tensor, share: float) -> Tensor:
    scales = bumps.scales[index]
    return scales <= _quantile(scales, 1 - share)


def _farthest(bumps: Bumps, index: Tensor, share: float) -> Tensor:
    inside = torch.ones(len(index), dtype=torch.bool)
    for column in bumps.points[index].T:
        inside &= (column >= _quantile(column, share)) & (column <= _quantile(column, 1 - share))
    return inside


def _quantile(x: Tensor, share: float) -> float:
    return float(np.quantile(x.numpy(), share))


def _size(bumps: Bumps, index: Tensor | None, eps: float) -> float:
    """Number of frequencies of a grid over these bumps (None: all),
    as a float because it may be astronomical.
    """
    part = bumps if index is None else bumps.take(index)
    low, high = part.box
    extent = high - low + (MARGIN + 9.0) * part.widest
    return float((extent * (2 * 8.6 / (2 * math.pi)) / part.narrowest + 1).prod())


def _cost(bumps: Bumps, index: Tensor, aside: int, m: int, eps: float, memory: float) -> float:
    """Predicted seconds for a core of `index` with `aside` summed directly.

    Infinite beyond the memory.
    """
    size, n = _size(bumps, index, eps), len(index)
    scales = bumps.scales[index]
    ratio = float(scales.max() / scales.min())
    if fourier_bytes(size, n, m, ratio, bumps.dimension, eps) > memory:
        return math.inf
    queries = m * n / len(bumps.points)
    share = aside / (aside + n)
    alone = queries * (share * (n + aside) * 1e-9 + aside * 1e-9)
    return fourier_seconds(size, n, int(queries), ratio, bumps.dimension, eps) + alone
