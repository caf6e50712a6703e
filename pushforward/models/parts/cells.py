r"""Normal densities of rows of which some coordinates are known only to lie in a cell.

For a row with points o, cells c and gaps, the density of the points times the mass of the cells is

    N(z_o; μ_o, Σ_oo) · P(low < z_c < high | z_o).

With Cholesky's factor of the covariance in the order points, cells, gaps, z = μ + L e, each cell is
an interval of its own e given the e before it; the product of their masses, over e drawn one after
the other within them, is an unbiased estimate of the probability (Genz 1992; Geweke, Hajivassiliou
and Keane). Here the e are quasi-random, the same for all rows: results are deterministic, and exact
for rows with no more than one cell, or where coordinates are independent.

Reference:
    Genz (1992), Numerical computation of multivariate normal probabilities.
    https://doi.org/10.1080/10618600.1992.10477010
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from pushforward.densities.margins import (
    LOG_2PI,
    Scores,
    log_normal_mass,
    normal_mass_below,
)

__all__ = ["Paths", "follow", "log_masses", "quasi_random"]

POINTS = 64
"""Quasi-random paths of a row with several cells."""
LEAST = 1e-15
"""Distance of uniform numbers from 0 and 1."""
MOST_DIGITS = 39
"""Digits of base 3 that an int64 holds."""
BLOCK = 1 << 20
"""Numbers in a block: eight megabytes of float64."""


@dataclass
class Paths:
    """Paths through the cells of rows.

    Args:
        order: of the coordinates: points, cells, gaps (n, d).
        root: Cholesky's factor in that order (n, d, d).
        mean: in that order (n, d).
        e: standardised points in that order, 0 for the rest (n, d).
        inside: standardised cells (c, n, m), for rows with fewer than c of them 0 at the end.
        log_weight: log-density of the points times the masses of the cells (n, m).
        points, cells, gaps: how many (n,).
    """

    order: Tensor
    root: Tensor
    mean: Tensor
    e: Tensor
    inside: Tensor
    log_weight: Tensor
    points: Tensor
    cells: Tensor
    gaps: Tensor

    def log_mass(self) -> Tensor:
        """The mean over paths (n,)."""
        return self.log_weight.logsumexp(1) - math.log(self.log_weight.shape[1])

    def given(self) -> tuple[Tensor, Tensor]:
        """Means (n, m, d) and deviations (n, d) of z given each path, in the original order.

        Deviations are 0 except for gaps.
        """
        d, count = self.order.shape[1], self.log_weight.shape[1]
        e = self.e[:, None, :].repeat(1, count, 1)
        row, c = self._filled()
        e[row, :, self.points[row] + c] = self.inside[c, row]
        mean = self.mean[:, None] + e @ self.root.mT
        rest = self.root * self._hidden()[:, None, :]
        deviation = rest.square().sum(2).sqrt()
        back = self.order.argsort(1)
        where = back[:, None, :].expand(-1, count, d)
        return mean.gather(2, where), deviation.gather(1, back)

    def draw(self, path: Tensor, noise: Tensor) -> Tensor:
        """z (n, d) on one path of each row (n,), with noise (n, d) for the gaps."""
        e = torch.where(self._hidden(), noise, self.e)
        row, c = self._filled()
        e[row, self.points[row] + c] = self.inside[c, row, path[row]]
        z = self.mean + (self.root @ e[:, :, None])[:, :, 0]
        return z.gather(1, self.order.argsort(1))

    def _filled(self) -> tuple[Tensor, Tensor]:
        """The rows of all cells, and their numbers in these."""
        c = torch.arange(len(self.inside), device=self.order.device)
        row, cell = (c < self.cells[:, None]).nonzero(as_tuple=True)
        return row, cell

    def _hidden(self) -> Tensor:
        """Which ordered coordinates are gaps (n, d)."""
        d = self.order.shape[1]
        return torch.arange(d, device=self.order.device) >= d - self.gaps[:, None]


@lru_cache(maxsize=32)
def quasi_random(count: int, d: int) -> Tensor:
    """Points (count, d) of a scrambled Sobol sequence, the same in every process."""
    engine = torch.quasirandom.SobolEngine(max(d, 1), scramble=True, seed=0)
    return engine.draw(count, dtype=torch.float64)[:, :d].clamp(LEAST, 1 - LEAST)


def follow(scores: Scores, mean: Tensor, covariance: Tensor, points: int | None = None) -> Paths:
    """Paths of rows through their cells.

    Args:
        scores: of rows (n, d); a coordinate without z and cell is a gap.
        mean, covariance: of the normal distribution (d,), (d, d) or variances (d,).
        points: the number of paths; by default as many as needed for the rows' cells.
    """
    paths = _start(scores, mean, covariance)
    cells = paths.cells
    count = points or (POINTS if bool((cells > 1).any()) else 1)
    most = int(cells.max()) if len(cells) else 0
    paths.log_weight = paths.log_weight.repeat(1, count)
    paths.inside = paths.e.new_zeros(most, len(cells), count)
    if not most:
        return paths
    edges = scores.low.gather(1, paths.order), scores.high.gather(1, paths.order)
    u = quasi_random(count, paths.order.shape[1]).to(mean).T
    for c in range(most):
        rows = (cells > c).nonzero()[:, 0]
        place, each = paths.points[rows] + c, torch.arange(len(rows), device=mean.device)
        factors = paths.root[rows, place]
        shift = (paths.mean[rows, place] + (factors * paths.e[rows]).sum(1))[:, None]
        for before in range(c):
            factor = factors[each, place - c + before]
            shift = shift + factor[:, None] * paths.inside[before].index_select(0, rows)
        scale = factors[each, place][:, None]
        low, high = ((x[rows, place][:, None] - shift) / scale for x in edges)
        log_mass, inside = _enter(low, high, u[place])
        paths.log_weight.index_add_(0, rows, log_mass.expand_as(inside))
        paths.inside[c].index_copy_(0, rows, inside)
    return paths


def _start(scores: Scores, mean: Tensor, covariance: Tensor) -> Paths:
    """Rows with their points alone: one path each."""
    covariance = torch.diag(covariance) if covariance.ndim == 1 else covariance
    cell = ~torch.isnan(scores.low)
    gap = torch.isnan(scores.z) & ~cell
    d = scores.z.shape[1]
    kind = cell.to(torch.int8) + 2 * gap.to(torch.int8)
    order = kind.argsort(stable=True, dim=1)
    cells, gaps = cell.sum(1), gap.sum(1)
    root, mean = _ordered_root(covariance, order, kind), mean[order]
    points = d - cells - gaps
    known = points[:, None] > torch.arange(d, device=mean.device)
    away = torch.where(known, scores.z.gather(1, order) - mean, 0.0)
    e = torch.linalg.solve_triangular(root, away[:, :, None], upper=False)[:, :, 0]
    e = torch.where(known, e, 0.0)
    scale = root.diagonal(dim1=1, dim2=2)
    each = torch.where(known, -0.5 * (e.square() + LOG_2PI) - scale.log(), 0.0)
    inside = e.new_zeros(0, len(e), 1)
    return Paths(order, root, mean, e, inside, each.sum(1)[:, None], points, cells, gaps)


def log_masses(scores: Scores, mean: Tensor, covariance: Tensor) -> Tensor:
    """Log-density of the points times the mass of the cells (n,), gaps integrated out.

    Args:
        scores: of rows (n, d).
        mean: (d,).
        covariance: (d, d), or variances (d,) of independent coordinates.
    """
    cell = ~torch.isnan(scores.low)
    if covariance.ndim == 1:
        return _independent(scores, cell, mean, covariance.sqrt())
    n, d = scores.z.shape
    out = mean.new_empty(n)
    complete = ~torch.isnan(scores.z).any(1)
    plain = torch.arange(d, device=mean.device)[None]
    root = _ordered_root(covariance, plain, torch.zeros_like(plain))[0]
    away = torch.linalg.solve_triangular(root, (scores.z[complete] - mean).T, upper=False)
    constant = 0.5 * d * LOG_2PI + root.diagonal().log().sum()
    out[complete] = -0.5 * away.square().sum(0) - constant
    several = cell.sum(1) > 1
    for part, points in ((several, POINTS), (~several & ~complete, 1)):
        size = max(1, BLOCK // (d * max(d, points) or 1))
        for rows in part.nonzero()[:, 0].split(size):
            out[rows] = follow(scores.at(rows), mean, covariance, points).log_mass()
    return out


def _independent(scores: Scores, cell: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """As `log_masses`, for independent coordinates."""
    points = -0.5 * (((scores.z - mean) / deviation).square() + LOG_2PI) - deviation.log()
    low, high = ((edge - mean) / deviation for edge in (scores.low, scores.high))
    value = torch.where(cell, log_normal_mass(low, high), points)
    return value.where(cell | ~torch.isnan(scores.z), 0.0).sum(1)


def _ordered_root(covariance: Tensor, order: Tensor, kind: Tensor) -> Tensor:
    """Cholesky's factors of the covariance (d, d) with coordinates ordered (n, d): (n, d, d).

    Rows with the same kinds of coordinates (n, d), which determine the order, share one.
    """
    if not order.shape[1]:  # `unique` takes no rows without coordinates
        return covariance.new_zeros(len(order), 0, 0)
    d = order.shape[1]
    if d <= MOST_DIGITS:
        key = (kind.to(torch.int64) * 3 ** torch.arange(d, device=kind.device)).sum(1)
        distinct, place = torch.unique(key, return_inverse=True)
        orders = order.new_empty(len(distinct), d).index_copy_(0, place, order)
    else:
        orders, place = torch.unique(order, dim=0, return_inverse=True)
    matrices = covariance[orders[:, :, None], orders[:, None, :]]
    root, failed = torch.linalg.cholesky_ex(matrices)
    if bool(failed.any()):  # correlations of 1 up to rounding
        least = 32 * len(covariance) * torch.finfo(covariance.dtype).eps
        variances = matrices.diagonal(dim1=1, dim2=2).clamp_min(1e-300)
        root = torch.linalg.cholesky(matrices + torch.diag_embed(least * variances))
    ordered: Tensor = root[place]
    return ordered


def _enter(low: Tensor, high: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The log-mass of a standard normal between low and high, and its quantiles u there, accurate
    in the tails.
    """
    flip = low > 0
    a, b = torch.where(flip, -high, low), torch.where(flip, -low, high)
    below, above = normal_mass_below(a), normal_mass_below(b)
    mass = above - below
    share = torch.where(flip, 1 - u, u)
    e = torch.special.ndtri(below + share * mass)
    log_mass, near = mass.log(), above > 1e-280
    if not bool(near.all()):  # both masses vanish: the nearest end
        e = torch.where(near, e, b)
        log_mass[~near] = log_normal_mass(low[~near], high[~near])
    e = e.maximum(a).minimum(b).clamp(-1e150, 1e150)
    return log_mass, torch.where(flip, -e, e)
