"""Sums over one tile at one query, many such rows at a time, in the log domain of each row."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.densities.tiles import Tiles

__all__ = ["TileRows", "exp_", "log_sum_exp", "scatter_log_sums"]

LOG2E = math.log2(math.e)
NUMBERS = 1 << 16  # numbers per block: half a MiB, which stays in cache
LEAST = -1000.0  # base-2 exponents below are raised to it: subnormal numbers are slow
NOTHING = 1e300  # stands for an infinite distance


class TileRows:
    """Sums of the terms of a tile at a query.

    Args:
        tiles: the bumps.
    """

    def __init__(self, tiles: Tiles) -> None:
        self.tiles, bumps = tiles, tiles.bumps
        self.kernel, self.separable = bumps.kernel, bumps.separable
        self.scale = float(bumps.scales[0])
        self.in_logs = not self.kernel.compact or not (
            float(bumps.amplitudes.max() - bumps.amplitudes.min()) < 600
        )
        self.size = tiles.order.shape[1]
        self.step = max(1, NUMBERS // self.size)
        shape = (self.step, self.size)
        self._square, self._part = (torch.empty(shape, dtype=torch.float64) for _ in range(2))

    def log_sums(self, columns: list[Tensor], tile: Tensor, place: Tensor | None = None) -> Tensor:
        """(c,) log of the summed terms of tiles (c,) at queries with `columns`, d times (c,).

        `place` (c,) is the place in the tile to leave out, -1 for none.
        """
        out = torch.empty(len(tile), dtype=torch.float64)
        block = self._values if not self.in_logs else self._exponents
        for start in range(0, len(tile), self.step):
            part = slice(start, min(len(tile), start + self.step))
            skip = None if place is None else place[part]
            out[part] = block([c[part, None] for c in columns], tile[part], skip)
        return out

    def _exponents(self, at: list[Tensor], tile: Tensor, skip: Tensor | None) -> Tensor:
        """Rows summed in the log domain: exp2 of the excess over the nearest bump."""
        energy, factor = self._energies(at, tile)
        if self.tiles.heights is not None:
            energy.mul_(factor * LOG2E).addcmul_(
                self._row(self.tiles.heights, tile), torch.tensor(-LOG2E, dtype=torch.float64)
            )
            factor, top = 1 / LOG2E, 0.0
        else:
            top = self.tiles.top
        _leave_out(energy, skip, math.inf)
        least = energy.amin(1, keepdim=True).clamp_max_(NOTHING)
        factor *= LOG2E
        torch.sub(least * factor, energy, alpha=factor, out=energy)
        sums = energy.clamp_min_(LEAST).exp2_().sum(1).log_()
        value = sums.sub_(least[:, 0], alpha=factor / LOG2E).add_(top)
        return value.masked_fill_(least[:, 0] >= NOTHING, -math.inf)

    def _energies(self, at: list[Tensor], tile: Tensor) -> tuple[Tensor, float]:
        """(rows, size) energies, and their factor: exp(- factor energy) is the profile."""
        local = self.tiles.precisions
        gaussian = self.kernel.name == "gaussian"
        if self.kernel.compact or (self.separable and local is not None):
            return self._log_profiles(at, tile).neg_(), 1.0
        if self.separable:
            distance = self._difference(0, at, tile, self._square).abs_()
            for axis in range(1, len(at)):
                distance.add_(self._difference(axis, at, tile, self._part).abs_())
            return distance, 1 / self.scale
        square = self._squares(at, tile)
        if local is not None:
            square.mul_(self._row(local, tile))
        if gaussian:
            return square, 0.5 if local is not None else 0.5 / self.scale / self.scale
        return square.sqrt_(), 1.0 if local is not None else 1 / self.scale

    def _values(self, at: list[Tensor], tile: Tensor, skip: Tensor | None) -> Tensor:
        """Rows of a compact kernel, summed as values."""
        value, factor = self._profiles(at, tile)
        _leave_out(value, skip, 0.0)
        top: Tensor | float = self.tiles.top
        if self.tiles.heights is not None:
            heights = self._row(self.tiles.heights, tile)
            value.mul_(heights.sub_(self.tiles.top).exp_())
        return value.sum(1).mul_(factor).log_().add_(top)

    def _profiles(self, at: list[Tensor], tile: Tensor) -> tuple[Tensor, float]:
        """(rows, size) k of each scaled difference, up to a factor."""
        if not self.separable and self.tiles.precisions is None:
            if self.kernel.name == "epanechnikov":
                square = self._squares(at, tile)
                edge = _square_below(self.scale)
                return torch.sub(edge, square, out=square).clamp_min_(0), 1 / edge
            if self.kernel.name == "tophat":
                square = self._squares(at, tile)
                return square.lt_(_square_below(self.scale)), 1.0
        if self.separable:
            parts = [self.kernel.profile(r) for r in self._distances(at, tile)]
            return torch.stack(parts).prod(0), 1.0
        return self.kernel.profile(self._distances(at, tile)[0]), 1.0

    def _log_profiles(self, at: list[Tensor], tile: Tensor) -> Tensor:
        parts = [self.kernel.log_profile(r) for r in self._distances(at, tile)]
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]

    def _distances(self, at: list[Tensor], tile: Tensor) -> list[Tensor]:
        """Scaled distances (rows, size), one for each axis if the kernel is a product."""
        scales: Tensor | float = self.scale
        if self.tiles.precisions is not None:
            scales = self.tiles.bumps.scales[self.tiles.order[tile]]
        if not self.separable:
            return [self._squares(at, tile).sqrt_().div_(scales)]
        return [
            self._difference(a, at, tile, self._part).abs().div_(scales) for a in range(len(at))
        ]

    def _squares(self, at: list[Tensor], tile: Tensor) -> Tensor:
        """(rows, size) squared distances."""
        part = self._difference(0, at, tile, self._part)
        square = torch.mul(part, part, out=self._square[: len(tile)])
        for axis in range(1, len(at)):
            part = self._difference(axis, at, tile, self._part)
            square.addcmul_(part, part)
        return square

    def _difference(self, axis: int, at: list[Tensor], tile: Tensor, out: Tensor) -> Tensor:
        """(rows, size) coordinates of the bumps minus the query's."""
        part = torch.index_select(self.tiles.axes[axis], 0, tile, out=out[: len(tile)])
        return part.sub_(at[axis])

    def _row(self, table: Tensor, tile: Tensor) -> Tensor:
        return torch.index_select(table, 0, tile, out=self._part[: len(tile)])


def scatter_log_sums(values: Tensor, index: Tensor, count: int) -> Tensor:
    """(count,) log of the sum of exp of the values (c,) with each index; -inf without any."""
    top = torch.full((count,), -math.inf, dtype=torch.float64)
    top.scatter_reduce_(0, index, values, "amax")
    finite = top.clamp_min(-1.7e308)
    sums = torch.zeros(count, dtype=torch.float64)
    sums.index_add_(0, index, exp_(values - finite[index]))
    return sums.log_().add_(finite).masked_fill_(top == -math.inf, -math.inf)


def log_sum_exp(values: Tensor) -> Tensor:
    """(r,) log of the sum of exp along rows (r, c)."""
    top = values.amax(1, keepdim=True).clamp_min_(-1.7e308)
    return exp_(values - top).sum(1).log_().add_(top[:, 0])


def exp_(values: Tensor) -> Tensor:
    """exp in place; below e^-693 it is that, because subnormal numbers are slow."""
    return values.mul_(LOG2E).clamp_min_(LEAST).exp2_()


def _leave_out(block: Tensor, skip: Tensor | None, neutral: float) -> None:
    """Set column `skip` of each row of a block to `neutral`, where it is not -1."""
    if skip is not None:
        rows = torch.nonzero(skip >= 0)[:, 0]
        block[rows, skip[rows]] = neutral


def _square_below(edge: float) -> float:
    """The least float64 whose square root is not below `edge`."""
    square = edge * edge
    while math.sqrt(square) >= edge:
        square = math.nextafter(square, 0.0)
    while math.sqrt(square) < edge:
        square = math.nextafter(square, math.inf)
    return square
