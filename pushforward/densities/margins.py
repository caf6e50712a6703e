r"""Margins: an invertible map of each column to normal scores, z = Φ⁻¹(F(x)).

F is piecewise linear between knots (`margin_knots`) with exponential tails, so the density f, the
inverse and the log-Jacobian are exact:

    log |dz/dx| = log f(x) - log φ(z).

Rounded values, integers and categories are cells: a value stands for [v - h/2, v + h/2), in which f
is constant. An interval that is one cell with a share of the rows of at least `WIDE` is a *wide*
cell: models integrate their density of z over it, because the middle would not do. `inverse`
returns the values that cells stand for, within known bounds.

Reference:
    Sklar (1959), Fonctions de répartition à n dimensions et leurs marges.
    https://hal.science/hal-04094463
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from pushforward.core.columns import Column
from pushforward.core.errors import InvalidValue, suggest
from pushforward.densities.margin_knots import Knots, fit_knots
from pushforward.densities.steps import Lattice

__all__ = [
    "FARTHEST", "KINDS", "MarginKind", "Margins", "Scores", "log_normal_mass", "normal_mass_below",
    "truncated_moments",
]  # fmt: skip

MarginKind = Literal["kernel", "empirical", "none"]
KINDS: tuple[MarginKind, ...] = ("kernel", "empirical", "none")
WIDE = 0.01
"""Mass from which a cell is wide; in narrower ones the density of z hardly varies."""
FARTHEST = 37.5
"""Largest normal score in size: Φ(-37.5) is the smallest that float64 holds."""
LOG_2PI = math.log(2 * math.pi)


@dataclass
class Scores:
    """Rows as normal scores (n, d).

    Args:
        z: NaN where a value is missing or a wide cell.
        low, high: the scores at the edges of wide cells; NaN elsewhere.
        log_jacobian: log |dz/dx|, or minus the log of the width of a wide cell; 0 where missing.
    """

    z: Tensor
    low: Tensor
    high: Tensor
    log_jacobian: Tensor

    def at(self, rows: Tensor) -> Scores:
        """Some of the rows."""
        return Scores(self.z[rows], self.low[rows], self.high[rows], self.log_jacobian[rows])

    def moments(self) -> tuple[Tensor, Tensor]:
        """Means and variances (n, d) of a standard normal in each cell; NaN where missing."""
        cell = ~torch.isnan(self.low)
        mean, variance = truncated_moments(self.low, self.high)
        return torch.where(cell, mean, self.z), torch.where(cell, variance, 0.0)

    def offset(self) -> Tensor:
        """What the mean log-density of z in a row's cells lacks to bound its log-density (n,).

        The entropy of a standard normal in each cell less the log of its width, and log |dz/dx|.
        """
        cell = ~torch.isnan(self.low)
        mean, variance = self.moments()
        entropy = log_normal_mass(self.low, self.high) + 0.5 * (LOG_2PI + variance + mean.square())
        return (self.log_jacobian + torch.where(cell, entropy, 0.0)).sum(1)


class Margins(nn.Module):
    """The margins of d columns.

    Args:
        kind: 'kernel', 'empirical', or 'none' for z = (x - mean) / deviation.
    """

    edges: Tensor
    mass: Tensor
    below: Tensor
    above: Tensor
    tails: Tensor
    values: Tensor
    single: Tensor
    lattice: Tensor
    bounds: Tensor
    sizes: Tensor

    def __init__(self, kind: MarginKind = "kernel") -> None:
        super().__init__()
        if kind not in KINDS:
            raise InvalidValue(f"unknown margins {kind!r}; {suggest(str(kind), KINDS)}")
        self.kind = kind
        for name in ("edges", "mass", "below", "above", "tails", "values", "lattice", "bounds"):
            self.register_buffer(name, torch.zeros(0, 0, dtype=torch.float64))
        self.register_buffer("single", torch.zeros(0, 0, dtype=torch.bool))
        self.register_buffer("sizes", torch.zeros(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.sizes)

    def fit(self, x: Tensor, weights: Tensor | None, columns: Sequence[Column]) -> None:
        """Estimate from rows x (n, d), NaN where missing, with weights (n,).

        Every column must hold a value with a positive weight.
        """
        rows = x.to("cpu", torch.float64).numpy()
        w = np.ones(len(rows)) if weights is None else weights.to("cpu", torch.float64).numpy()
        parts = []
        for j, column in enumerate(columns):
            usable = np.isfinite(rows[:, j]) & (w > 0)
            weight = w[usable] * (usable.sum() / w[usable].sum())
            kind = "empirical" if self.kind == "none" else self.kind
            parts.append(fit_knots(rows[usable, j], weight, column, kind))
            if self.kind == "none" and column.kind != "categorical":
                parts[-1] = _affine(parts[-1], rows[usable, j], weight)
        self.set_knots(parts)

    def set_knots(self, parts: Sequence[Knots]) -> None:
        """Store knots, one for each column."""
        most = max((len(p.mass) for p in parts), default=0)

        def padded(rows: list[np.ndarray], width: int, last: float | None = None) -> Tensor:
            out = np.zeros((len(rows), width))
            for to, row in zip(out, rows):
                to[: len(row)] = row
                to[len(row) :] = row[-1] if last is None else last
            return torch.from_numpy(out)

        below = [np.append(p.tails[0], p.tails[0] + p.mass.cumsum()) for p in parts]
        above = [
            np.append(p.tails[1], p.tails[1] + p.mass[::-1].cumsum())[::-1].copy() for p in parts
        ]
        self.edges = padded([p.edges for p in parts], most + 1)
        self.mass = padded([p.mass for p in parts], most, 0.0)
        self.below, self.above = padded(below, most + 1), padded(above, most + 1)
        self.values = padded([np.nan_to_num(p.values) for p in parts], most, 0.0)
        self.single = padded([np.isfinite(p.values) for p in parts], most, 0.0) > 0
        numbers = [[*p.tails, *p.scales] for p in parts]
        self.tails = torch.tensor(numbers, dtype=torch.float64).reshape(-1, 4)
        steps = [[p.lattice.step, p.lattice.origin] for p in parts]
        self.lattice = torch.tensor(steps, dtype=torch.float64).reshape(-1, 2)
        halves = [p.lattice.step / 2 for p in parts]
        ends = [[p.lower, p.upper, p.lower - h, p.upper + h] for p, h in zip(parts, halves)]
        self.bounds = torch.tensor(ends, dtype=torch.float64).reshape(-1, 4)
        self.sizes = torch.tensor([len(p.mass) for p in parts], dtype=torch.int64)

    def keep(self, columns: Sequence[int]) -> Margins:
        """The margins of some columns."""
        kept = Margins(self.kind)
        for name, buffer in self.named_buffers():
            setattr(kept, name, buffer[list(columns)])
        return kept

    # ------------------------------------------------------------------------------------ scores

    def scores(self, x: Tensor) -> Scores:
        """Normal scores of rows x (n, d), NaN where missing."""
        columns = [self._column_scores(j, x[:, j]) for j in range(len(self))]
        if not columns:
            return Scores(*(x.new_zeros(len(x), 0) for _ in range(4)))
        return Scores(*(torch.stack(part, 1) for part in zip(*columns)))

    def log_density(self, x: Tensor) -> Tensor:
        """log f of each value (n, d), 0 where missing: the density of the margins alone."""
        scores = self.scores(x)
        cells = (scores.high.nan_to_num(0.0), scores.low.nan_to_num(0.0))
        masses = log_normal_mass(cells[1], cells[0])
        points = -0.5 * (scores.z.square() + LOG_2PI)
        value = torch.where(torch.isnan(scores.low), points, masses) + scores.log_jacobian
        return torch.where(torch.isnan(x), 0.0, value)

    def cell_scores(self, j: int) -> Tensor:
        """The scores at the knots of column j (m + 1,)."""
        m = int(self.sizes[j])
        return _score(self.below[j, : m + 1], self.above[j, : m + 1])

    def _column_scores(self, j: int, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z, low, high and log-Jacobian of one column (n,)."""
        nan = torch.full_like(x, math.nan)
        gap = torch.isnan(x)
        if self.kind == "none":
            z = (x - self.edges[j, 0]) / self.mass[j, 0]
            return z, nan, nan.clone(), torch.where(gap, 0.0, -self.mass[j, 0].log())
        place, z, log_density = self._place(j, x)
        z = torch.where(gap, math.nan, z)
        jacobian = torch.where(gap, 0.0, log_density + 0.5 * (z.square() + LOG_2PI))
        inside = (place >= 0) & (place < int(self.sizes[j])) & ~gap
        at = place.clamp(0, int(self.sizes[j]) - 1)
        wide = inside & self.single[j, at] & (self.mass[j, at] >= WIDE)
        edges = self.cell_scores(j)
        width = self.edges[j, at + 1] - self.edges[j, at]
        return (
            torch.where(wide, math.nan, z),
            torch.where(wide, edges[at], math.nan),
            torch.where(wide, edges[at + 1], math.nan),
            torch.where(wide, -width.log(), jacobian),
        )

    def _place(self, j: int, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Interval, z and log f of values (n,); -1 and m are the tails."""
        m = int(self.sizes[j])
        edges, mass = self.edges[j, : m + 1], self.mass[j, :m]
        place = torch.searchsorted(edges, x.contiguous(), right=True) - 1
        at = place.clamp(0, m - 1)
        width = edges[at + 1] - edges[at]
        share = ((x - edges[at]) / width).clamp(0, 1)
        below = self.below[j, at] + share * mass[at]
        above = self.above[j, at + 1] + (1 - share) * mass[at]
        density = mass[at].log() - width.log()
        for side, out in ((0, place < 0), (1, place >= m)):
            end = edges[0] if side == 0 else edges[-1]
            log_mass, log_tail = self._tail(j, side, (end - x if side == 0 else x - end))
            density = torch.where(out, log_tail, density)
            far = log_mass.exp()
            below = torch.where(out, far if side == 0 else 1 - far, below)
            above = torch.where(out, 1 - far if side == 0 else far, above)
        return place, _score(below, above), density

    def _tail(self, j: int, side: int, t: Tensor) -> tuple[Tensor, Tensor]:
        """log mass beyond a distance t ≥ 0 from the end (n,), and the log-density there."""
        mass, scale = self.tails[j, side], self.tails[j, 2 + side]
        m = int(self.sizes[j])
        end = self.edges[j, 0] if side == 0 else self.edges[j, m]
        length = (self.bounds[j, 2 + side] - end).abs() / scale
        rest = torch.exp(-length)
        t = (t / scale).clamp_min(0)
        beyond = t >= length
        log_mass = mass.log() + ((torch.exp(-t) - rest) / (1 - rest)).clamp_min(0).log()
        log_density = mass.log() - scale.log() - t - torch.log1p(-rest)
        never = torch.full_like(t, -math.inf)
        return torch.where(beyond, never, log_mass), torch.where(beyond, never, log_density)

    # ----------------------------------------------------------------------------------- inverse

    def inverse(self, z: Tensor, *, snap: bool = True) -> Tensor:
        """Values of scores z (n, d) in the user's units, within known bounds.

        With `snap`, those that cells stand for; otherwise the exact inverse of `scores`.
        """
        columns = [self._column_inverse(j, z[:, j], snap) for j in range(len(self))]
        return torch.stack(columns, 1) if columns else z

    def _column_inverse(self, j: int, z: Tensor, snap: bool) -> Tensor:
        m = int(self.sizes[j])
        if self.kind == "none":
            x = self.edges[j, 0] + self.mass[j, 0] * z
            return self._snapped(j, x) if snap else x
        edges, mass = self.edges[j, : m + 1], self.mass[j, :m]
        below, above = normal_mass_below(z), normal_mass_below(-z)
        left = torch.searchsorted(self.below[j, : m + 1].contiguous(), below, right=True) - 1
        right = torch.searchsorted((-self.above[j, : m + 1]).contiguous(), -above, right=True) - 1
        place = torch.where(z < 0, left, right)
        at = place.clamp(0, m - 1)
        up = (below - self.below[j, at]) / mass[at]
        down = (above - self.above[j, at + 1]) / mass[at]
        width = edges[at + 1] - edges[at]
        x = torch.where(
            z < 0,
            edges[at] + up.clamp(0, 1) * width,
            edges[at + 1] - down.clamp(0, 1) * width,
        )
        for side, out, q in ((0, place < 0, below), (1, place >= m, above)):
            end = edges[0] if side == 0 else edges[-1]
            t = self._tail_inverse(j, side, q)
            x = torch.where(out, end - t if side == 0 else end + t, x)
        if not snap:
            return x
        own = (place >= 0) & (place < m) & self.single[j, at]
        return torch.where(own, self.values[j, at], self._snapped(j, x)).clamp(
            *self.bounds[j, :2].tolist()
        )

    def _tail_inverse(self, j: int, side: int, q: Tensor) -> Tensor:
        """The distance from the end beyond which there is mass q (n,)."""
        mass, scale = self.tails[j, side], self.tails[j, 2 + side]
        end = self.edges[j, 0] if side == 0 else self.edges[j, int(self.sizes[j])]
        rest = torch.exp(-(self.bounds[j, 2 + side] - end).abs() / scale)
        share = (q / mass.clamp_min(1e-300)).clamp(0, 1)
        return -scale * (share * (1 - rest) + rest).clamp_min(1e-300).log()

    def _snapped(self, j: int, x: Tensor) -> Tensor:
        """Values on the column's lattice, within its bounds."""
        step, origin = self.lattice[j].tolist()
        if step:
            x = torch.from_numpy(Lattice(step, origin).snap(x.cpu().numpy())).to(x)
        return x.clamp(*self.bounds[j, :2].tolist())


def _affine(knots: Knots, x: np.ndarray, weights: np.ndarray) -> Knots:
    """Knots that hold mean and deviation instead, for margins of kind 'none'."""
    middle = float(x[0])
    span = float(x.max() - x.min()) or 1.0
    u = (x - middle) / span
    mean = float(weights @ u / weights.sum())
    deviation = math.sqrt(float(weights @ (u - mean) ** 2 / weights.sum()))
    scale = span * deviation if deviation > 0 else (1e-3 * abs(middle) or 1.0)
    knots.edges = np.array([middle + span * mean, middle + span * mean])
    knots.mass = np.array([scale])
    knots.values = np.array([math.nan])
    return knots


def _score(below: Tensor, above: Tensor) -> Tensor:
    """Φ⁻¹ of a probability, from it and its complement, whichever is less."""
    nearer: Tensor = torch.special.ndtri(torch.minimum(below, above))
    return torch.where(below < above, nearer, -nearer).clamp(-FARTHEST, FARTHEST)


def normal_mass_below(z: Tensor) -> Tensor:
    """Φ(z), accurate in the lower tail, where `torch.special.ndtr` is 0 from -8.3 on."""
    mass: Tensor = torch.special.erfc(z * -math.sqrt(0.5)) / 2
    return mass


def log_normal_mass(low: Tensor, high: Tensor) -> Tensor:
    """log (Φ(high) - Φ(low)), accurate in the tails."""
    flip = low > 0
    a, b = torch.where(flip, -high, low), torch.where(flip, -low, high)
    log_b: Tensor = torch.special.log_ndtr(b)
    return log_b + torch.log1p(-torch.exp(torch.special.log_ndtr(a) - log_b).clamp_max(1))


def truncated_moments(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of a standard normal between low and high.

    Narrow intervals, where the formula cancels, use their middle and (high - low)² / 12.
    """
    low, high = low.clamp(-FARTHEST, FARTHEST), high.clamp(-FARTHEST, FARTHEST)
    mass = log_normal_mass(low, high).exp()
    density_low, density_high = (torch.exp(-0.5 * (z.square() + LOG_2PI)) for z in (low, high))
    mean = (density_low - density_high) / mass
    variance = 1 + (low * density_low - high * density_high) / mass - mean.square()
    narrow = (high - low < 1e-3) | (mass < 1e-290)
    middle = (low + high) / 2
    mean = torch.where(narrow, middle, mean)
    return mean, torch.where(narrow, (high - low).square() / 12, variance).clamp(0, 1)
