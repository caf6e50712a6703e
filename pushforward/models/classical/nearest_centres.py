r"""Nearest centres of many rows by one matrix product, with exact decisions.

Squared distances are one product, [x, 1, |x|²] · [-2c, |c|², 1]ᵀ; the nearest centre is read off as
the smallest integer among the distances' bit patterns with the centre's number in the lowest bits,
one vector instruction a distance. If two distances agree in the remaining bits, the row is decided
in float64: the result equals that of plain distances, only faster.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pushforward.models.classical.lloyd_tiles import WIDE, Tables, owners_in_tiles

__all__ = ["Plan", "augment"]

FAR = 1e8
"""Rows this many times farther out than any centre are assigned by direction.

Their length dominates |x - c|².
"""
DISTANCES = 1 << 20
"""Distances decided in float64 per block: eight megabytes."""
FEW = 1 << 12
"""Distances up to this number are all decided in float64, which takes fewer calls."""
LOADING = 1 << 26
"""Distances worth loading the compiled loops for, where a process has not."""
TILE, LEAST_TILE, DEVICE_TILE = 1 << 18, 64, 1 << 26
"""Distances computed at once, which a core's cache holds; the fewest rows; and on accelerators."""
NARROW = 32
"""Up to this many centres, distances are laid out by centre: rows of so few numbers are slow."""
EXACT = "donot_use_mm_for_euclid_dist"


def augment(x: Tensor) -> Tensor:
    """Rows (n, d) as [x, 1, |x|²] (n, d+2)."""
    return torch.cat([x, x.new_ones(len(x), 1), x.square().sum(1, keepdim=True)], 1)


@dataclass
class Plan:
    """The centres of one pass and values derived from them, shared by all blocks.

    Distances are computed in tiles that fit a cache, and what only bounds need on first use.

    Args:
        centres: (k, d) in float64, about the origin.
        before: the centres of the last pass, if they are known.
        table: [-2c, |c|², 1] (d+2, k), in the type of the rows.
        norm: the largest |c|².
        room: working memory for distances, reused by every tile.
    """

    centres: Tensor
    before: Tensor | None
    table: Tensor
    norm: float
    room: Tensor

    @cached_property
    def tables(self) -> Tables:
        """The centres as compiled loops on the CPU read them."""
        return Tables.of(self.centres, self.table.dtype, self.before)

    @classmethod
    def of(
        cls,
        centres: Tensor,
        before: Tensor | None,
        dtype: torch.dtype,
        room: Tensor | None = None,
        lean: bool = False,
    ) -> Plan:
        """Build for centres (k, d) that moved from `before`, and rows of type `dtype`.

        If `lean`, it has `tables` only, where the centres are on the CPU.
        """
        if centres.device.type == "cpu" and lean:
            none = centres.new_empty(0, dtype=dtype)
            return cls(centres, before, none, 0.0, none)
        squares = centres.square().sum(1)
        table = torch.cat([-2 * centres.T, squares[None], torch.ones_like(squares)[None]])
        table = table.to(dtype)
        if room is None or room.dtype != dtype:
            room = table.new_empty(0)
        return cls(centres, before, table, float(squares.max()), room)

    @cached_property
    def _widened(self) -> Tensor:
        """How far each centre has moved since the last pass (k,), in float64, rounded up."""
        if self.before is None:
            moved = torch.zeros_like(self.centres[:, 0])
        else:
            moved = (self.centres - self.before).square().sum(1).sqrt()
        # Bounds are in the rows' type: widen every step by more than its rounding error.
        eps = torch.finfo(self.table.dtype).eps
        return moved * (1 + 8 * eps) + 2 * eps * math.sqrt(self.norm)

    @cached_property
    def drift(self) -> Tensor:
        """How far each centre has moved since the last pass (k,), rounded up."""
        return self._widened.to(self.table.dtype)

    @cached_property
    def others(self) -> Tensor:
        """How far any other centre has moved at most (k,), rounded up."""
        moved = self._widened
        top = torch.topk(moved, min(2, len(moved))).values
        return torch.where(moved == top[0], top[-1], top[0]).to(self.table.dtype)

    @cached_property
    def half(self) -> Tensor:
        """Half the distance to the next centre (k,), rounded down."""
        eps = torch.finfo(self.table.dtype).eps
        apart = torch.cdist(self.centres, self.centres, compute_mode=EXACT)
        nearest = apart.fill_diagonal_(torch.inf).amin(1)
        return (nearest / 2 * (1 - 8 * eps)).to(self.table.dtype)

    def owners(self, x: Tensor) -> Tensor:
        """Nearest centre (n,) of augmented rows (n, d+2), as precise as the remaining bits."""
        if len(self.centres) == 1 or not len(x):
            return torch.zeros(len(x), dtype=torch.int64, device=x.device)
        first, _, mask = self._smallest(x, two=False)
        return first.bitwise_and_(mask).to(torch.int64)

    def decided(self, x: Tensor) -> Tensor:
        """Nearest centre (n,) of augmented rows (n, d+2); close ones by differences in float64."""
        if len(self.centres) == 1 or not len(x):
            return torch.zeros(len(x), dtype=torch.int64, device=x.device)
        first, second, mask = self._smallest(x, two=True)
        owner = first.bitwise_and(mask).to(torch.int64)
        near, next_ = (v.bitwise_and_(~mask).view(x.dtype) for v in (first, second))
        close = self._close(x, near, next_, mask)
        for part in close.split(max(1, DISTANCES // len(self.centres))):
            rows = x[part, : self.centres.shape[1]].to(torch.float64)
            owner[part] = torch.cdist(rows, self.centres, compute_mode=EXACT).argmin(1)
        return owner

    def _smallest(self, x: Tensor, *, two: bool) -> tuple[Tensor, Tensor, int]:
        """The least squared distance of each row, and with `two` the next.

        They are integers (n,) that end in the centre's number; also returns its bits.
        """
        k, n = len(self.centres), len(x)
        integer = torch.int32 if x.dtype == torch.float32 else torch.int64
        mask = (1 << (k - 1).bit_length()) - 1
        numbers = torch.arange(k, dtype=integer, device=x.device)
        across = k <= NARROW
        table = self.table.T.contiguous() if across else self.table
        axis, numbers = (0, numbers[:, None]) if across else (1, numbers)
        first = torch.empty(n, dtype=integer, device=x.device)
        second = torch.empty_like(first) if two else first
        size = min(n, max(LEAST_TILE, (TILE if x.device.type == "cpu" else DEVICE_TILE) // k))
        if self.room.numel() < size * k or self.room.device != x.device:
            self.room = x.new_empty(size * k)
        for start in range(0, n, size):
            stop = min(start + size, n)
            room = self.room[: k * (stop - start)]
            if across:
                squared = torch.mm(table, x[start:stop].T, out=room.view(k, stop - start))
            else:
                squared = torch.mm(x[start:stop], table, out=room.view(stop - start, k))
            bits = squared.view(integer).bitwise_and_(~mask).bitwise_or_(numbers)
            torch.amin(bits, axis, out=first[start:stop])
            if two:
                owner = first[start:stop].bitwise_and(mask).to(torch.int64)
                bits.scatter_(axis, owner.unsqueeze(axis), torch.iinfo(integer).max)
                torch.amin(bits, axis, out=second[start:stop])
        return first, second, mask

    def _close(self, x: Tensor, near: Tensor, next_: Tensor, mask: int) -> Tensor:
        """Rows whose two least squared distances agree up to rounding."""
        coarse, error = self._errors(x, mask)
        # Not <=, which is false for NaN (from an overflow).
        apart = next_ - near > next_ * coarse + 2 * error
        return apart.logical_not_().nonzero()[:, 0]

    def _errors(self, x: Tensor, mask: int) -> tuple[float, Tensor]:
        """The relative error of squared distances from the lost bits, and the absolute (n,)."""
        eps = torch.finfo(x.dtype).eps
        return 2 * eps * (mask + 1), (x[:, -1] + self.norm) * (4 * eps * math.sqrt(x.shape[1]))

    def owners_of(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """Nearest centre of rows (n, d) in float64, searched in `dtype`, decided in float64."""
        if not rows.numel():
            return rows.new_zeros(len(rows), dtype=torch.int64)
        if len(rows) * len(self.centres) <= FEW:
            owner = torch.cdist(rows, self.centres, compute_mode=EXACT).argmin(1)
        elif self._by_loops(rows):
            owner = owners_in_tiles(rows, self.centres)
        else:
            owner = self.nearest(augment(rows.to(dtype)), rows)[0]
        far = (rows.abs().amax(1) > FAR * self.centres.abs().max()).nonzero()[:, 0]
        if len(far):
            # |x - c|² - |x|² in units of |x|, which does not overflow even if |x|² does.
            size = rows[far].abs().amax(1, keepdim=True)
            lengths = self.centres.square().sum(1) / size
            owner[far] = (lengths - 2 * (rows[far] / size) @ self.centres.T).argmin(1)
        return owner

    def _by_loops(self, rows: Tensor) -> bool:
        """Whether compiled loops in float64 are faster than one product: in few columns."""
        if rows.device.type != "cpu" or rows.shape[1] >= WIDE:
            return False
        loaded = "pushforward.models.classical.nearest_loops" in sys.modules
        return loaded or len(rows) * len(self.centres) >= LOADING

    def nearest(self, x: Tensor, exact: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Nearest centres of augmented rows, with bounds on distances.

        Args:
            x: augmented rows (n, d+2).
            exact: the rows (n, d) before rounding, for close decisions.

        Returns:
            The nearest centre (n,), an upper bound on its distance
            (n,) and a lower bound on that to the next (n,).
        """
        k, n = len(self.centres), len(x)
        if not n:
            none = torch.zeros(0, dtype=torch.int64, device=x.device)
            return none, x.new_zeros(0), x.new_zeros(0)
        if k == 1:
            squared = (x @ self.table)[:, 0]
            only = torch.zeros(n, dtype=torch.int64, device=x.device)
            return only, squared.clamp_min(0).sqrt(), torch.full_like(squared, torch.inf)
        first, second, mask = self._smallest(x, two=True)
        owner = first.bitwise_and(mask).to(torch.int64)
        near, next_ = (v.bitwise_and_(~mask).view(x.dtype) for v in (first, second))
        close = self._close(x, near, next_, mask)
        coarse, error = self._errors(x, mask)
        near = (near * (1 + coarse) + error).clamp_min_(0).sqrt_()
        next_ = (next_ * (1 - coarse) - error).clamp_min_(0).sqrt_()
        if len(close):
            self._decide(x if exact is None else exact, close, owner, near, next_)
        return owner, near, next_

    def _decide(self, x: Tensor, close: Tensor, owner: Tensor, near: Tensor, next_: Tensor) -> None:
        """Decide close rows by differences in float64."""
        eps = torch.finfo(near.dtype).eps
        for part in close.split(max(1, DISTANCES // len(self.centres))):
            rows = x[part, : self.centres.shape[1]].to(torch.float64)
            exact = torch.cdist(rows, self.centres, compute_mode=EXACT)
            values, order = torch.topk(exact, 2, largest=False)
            # Ties go to the first centre, as with argmin.
            tie = values[:, 0] == values[:, 1]
            owner[part] = torch.where(tie, exact.argmin(1), order[:, 0])
            near[part] = (values[:, 0] * (1 + 4 * eps)).to(near.dtype)
            next_[part] = (values[:, 1] * (1 - 4 * eps)).to(near.dtype)
