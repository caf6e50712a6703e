r"""k-means: the centres that lie nearest to the rows they own.

    inertia = Σ_i w_i min_k |x_i - c_k|²,      Lloyd (1982):  a_i = argmin_k |x_i - c_k|,   c_k = Σ_{a_i=k} w_i x_i / Σ_{a_i=k} w_i.

Rows that cannot have changed owner are not looked at (Hamerly 2010). Each row keeps an upper bound u on the distance to
its own centre and a lower bound l on that to any other; when the centres move by δ_k,

    u ← u + δ_a,      l ← l - max_{k≠a} δ_k,      and   u < max(l, ½ min_{k≠a} |c_a - c_k|)   proves that a is still nearest.

The sums of each block are kept and corrected by the rows that moved. The squared distances of the others are one matrix
product, [x, 1, |x|²] · [-2c, |c|², 1]ᵀ; the nearest centre is read off as the smallest integer among the distances' bit
patterns with the centre's number in the lowest bits, one vector instruction a distance. Where two distances agree to the
bits that leaves, the row is decided in float64: the result is that of plain Lloyd, only sooner. The inertia follows from the sums,

    Σ_i w_i |x_i - c_{a_i}|² = Σ w|x|² - 2 Σ_k c_k·S_k + Σ_k n_k |c_k|².
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.model import Fitter, Model
from pushforward.core.phase import Batch
from pushforward.core.registry import register
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.fitting.em import EM, sample_rows
from pushforward.models.classical.gaussian import refuse_conditions
from pushforward.models.classical.starts import START_ROWS, at_random, plus_plus

__all__ = ["KMeans", "whole_number"]


@dataclass
class Ownership:
    """What the rows give their centres: Σw (k,), Σwx (k, d), Σw|x|² (), and how many rows changed owner ()."""

    count: Tensor
    sums: Tensor
    squares: Tensor
    moved: Tensor

    def merge(self, other: Ownership) -> Ownership:
        """Of both sets of rows."""
        return Ownership(self.count + other.count, self.sums + other.sums, self.squares + other.squares, self.moved + other.moved)


EMPTY = 1e-14
"""Share of all weight at or below which a centre owns nothing: of rows that left it, rounding remains."""
SHORTEST_REST, LONGEST_REST = 3, 24


class Memory:
    """Kept beside a resident block: its rows with [1, |x|²] appended, their owners and bounds, and the block's sums.

    While bounds spare less than two thirds of the rows they cost more than they save: then `plain` passes follow without them,
    more each time (`rest`), before they are tried again.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = _augmented(x)
        self.owner: Tensor | None = None
        self.upper = self.lower = x.new_zeros(0)
        self.sums: Ownership | None = None
        self.version = -1
        self.plain, self.bounded, self.rest = 0, True, SHORTEST_REST


@register("kmeans")
class KMeans(Model):
    """k centres, each the mean of the rows nearest to it: min Σ_i min_k |x_i - c_k|².

    **Reference** Lloyd (1982), Least squares quantization in PCM; Hamerly (2010), Making k-means even faster; Arthur &
    Vassilvitskii (2007), k-means++; Sculley (2010), Web-scale k-means clustering, Algorithm 1, for mini-batches.

    **Arguments**
        clusters: k.
        start: 'kmeans++', 'random' (rows), or the centres themselves (k, d) in the user's units.
        starts: how many starts to follow to the end; the lowest inertia is kept.
        tolerance: stop when the centres' summed squared movement is below this times the mean variance of the columns
            (0: only when no row changes its centre).
        batch: rows a step for mini-batches, each centre moving by the inverse of what it has seen; None for all rows.
        precision: 'float32' or 'float64' for distances; sums and close decisions are in float64 either way.

    Learnt: `centres_` (k, d), `inertia_` (of the last pass's assignment), `count_` (k,) weight owned. A centre that owns
    no row stays where it is. Distances are in the user's units: scale the columns first if they are of different kinds.

    **Example**
        >>> import torch
        >>> x = torch.cat([torch.randn(50, 2, generator=torch.Generator().manual_seed(i)) + 10 * i for i in range(3)])
        >>> KMeans(3).fit(x).count_
        tensor([50., 50., 50.], dtype=torch.float64)
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "single", "few"})
    scaling_kind: str = "identity"
    block_rows: ClassVar[int] = 32_768
    sampled_facts: ClassVar[bool] = True

    centres_: Tensor
    origin_: Tensor
    inertia_: Tensor
    count_: Tensor

    def __init__(
        self,
        clusters: int = 8,
        start: Any = "kmeans++",
        starts: int = 1,
        tolerance: float = 1e-4,
        batch: int | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.clusters, self.starts = whole_number("clusters", clusters), whole_number("starts", starts)
        if isinstance(start, str) and start not in ("kmeans++", "random"):
            raise InvalidValue(f"start must be 'kmeans++', 'random' or centres (clusters, d), got {start!r}")
        if not isinstance(start, str):
            given = torch.as_tensor(start, dtype=torch.float64)
            if given.ndim != 2 or len(given) != clusters:
                raise InvalidValue(f"start as centres must have shape ({clusters}, d), got {tuple(given.shape)}")
            start = tuple(tuple(row) for row in given.tolist())
        if not tolerance >= 0:
            raise InvalidValue(f"tolerance must not be negative, got {tolerance}; pass 0 to go on until no row moves")
        if precision not in ("float32", "float64"):
            raise InvalidValue(f"precision must be 'float32' or 'float64', got {precision!r}")
        self.start = start
        self.tolerance = float(tolerance)
        self.batch = None if batch is None else whole_number("batch", batch)
        self.precision = precision
        self.dtype = getattr(torch, precision)  # type: ignore[misc]
        self.register_buffer("centres_", torch.zeros(0, 0, dtype=torch.float64))
        for name in ("origin_", "count_"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self.register_buffer("inertia_", torch.zeros((), dtype=torch.float64))
        self._version = 0

    def default_fitter(self) -> Fitter:
        """Passes until no row moves or `tolerance` is met, at most 300; 200 steps of mini-batches."""
        return EM(steps=300 if self.batch is None else 200, tolerance=0)

    # ---------------------------------------------------------------------------------------------------- learning

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions; take the mean as origin, so that offsets cost no digits."""
        refuse_conditions(self, source)
        super().prepare(source, facts)
        self.origin_ = facts.moments.mean.clone()
        if not isinstance(self.start, str) and len(self.start[0]) != source.space.size:
            raise InvalidValue(f"start as centres must have {source.space.size} columns, as the data have, got {len(self.start[0])}")

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Centres for the first pass, from a seeded sample of the rows."""
        if isinstance(self.start, str):
            batch = sample_rows(source, max(START_ROWS, 64 * self.clusters), rng)
            x = (batch.x.flatten(1).to(self.device) - self.origin_).to(torch.float64)
            own = (plus_plus if self.start == "kmeans++" else at_random)(x, self.clusters, rng, batch.weights)
        else:
            own = torch.tensor(self.start, dtype=torch.float64, device=self.device) - self.origin_
        self.centres_ = own + self.origin_
        self._seen = own.new_zeros(self.clusters)
        self._plan = Plan.of(own, None, self.floating())
        self._version += 2

    def coordinates(self, x: Tensor) -> Tensor:
        """Rows about the origin, flattened (n, d)."""
        return (x.flatten(1) - self.origin_).to(self.floating())

    def remember(self, batch: Batch) -> Memory:
        """Owners, bounds and sums, kept beside a resident block."""
        return Memory(batch.x)

    def statistics(self, batch: Batch, memory: Memory | None = None) -> Ownership:
        """What the rows of one block give to their nearest centres."""
        memory = memory or Memory(batch.x)
        if memory.version != self._version - 1:
            memory.owner = None
        memory.version = self._version
        return self._first(batch, memory) if memory.owner is None else self._again(batch, memory)

    def _first(self, batch: Batch, memory: Memory) -> Ownership:
        """All rows against all centres."""
        owner, near, next_ = self._plan.nearest(memory.x)
        memory.owner, memory.upper, memory.lower = owner, near, next_
        x = memory.x[:, :-2].to(torch.float64)
        w = torch.ones(len(x), dtype=torch.float64, device=x.device) if batch.weights is None else batch.weights.to(torch.float64)
        wx = x if batch.weights is None else x * w[:, None]
        k = self._plan.centres.shape[0]
        count = torch.zeros(k, dtype=x.dtype, device=x.device).index_add_(0, owner, w)
        sums = torch.zeros(k, x.shape[1], dtype=x.dtype, device=x.device).index_add_(0, owner, wx)
        squares = w @ x.square().sum(1)
        memory.sums = Ownership(count, sums, squares, torch.tensor(float(len(x)), dtype=x.dtype, device=x.device))
        return memory.sums

    def _again(self, batch: Batch, memory: Memory) -> Ownership:
        """Only the rows whose bounds allow another owner."""
        plan, owner = self._plan, memory.owner
        assert owner is not None
        assert memory.sums is not None
        sums = memory.sums
        if memory.plain:
            memory.plain -= 1
            memory.bounded = False
            found = plan.owners(memory.x)
            moved = (found != owner).nonzero()[:, 0]
            old, new = owner[moved], found[moved]
        elif not memory.bounded:
            found, memory.upper, memory.lower = plan.nearest(memory.x)
            memory.bounded = True
            moved = (found != owner).nonzero()[:, 0]
            old, new = owner[moved], found[moved]
        else:
            memory.upper += plan.drift.index_select(0, owner)
            memory.lower -= plan.others.index_select(0, owner)
            rows = (memory.upper > torch.maximum(memory.lower, plan.half.index_select(0, owner))).nonzero()[:, 0]
            if not len(rows):
                memory.sums = Ownership(sums.count, sums.sums, sums.squares, torch.zeros_like(sums.moved))
                return memory.sums
            if 3 * len(rows) > len(owner):
                memory.plain, memory.rest = memory.rest, min(2 * memory.rest, LONGEST_REST)
                return self._again(batch, memory)
            memory.rest = SHORTEST_REST
            found, near, next_ = plan.nearest(memory.x.index_select(0, rows))
            memory.upper.index_copy_(0, rows, near)
            memory.lower.index_copy_(0, rows, next_)
            before = owner.index_select(0, rows)
            changed = (found != before).nonzero()[:, 0]
            moved, old, new = rows[changed], before[changed], found[changed]
        owner.index_copy_(0, moved, new)
        x = memory.x.index_select(0, moved)[:, :-2].to(torch.float64)
        w = torch.ones(len(x), dtype=x.dtype, device=x.device) if batch.weights is None else batch.weights[moved].to(x.dtype)
        x = x if batch.weights is None else x * w[:, None]
        count = sums.count.index_add(0, new, w).index_add_(0, old, -w)
        total = sums.sums.index_add(0, new, x).index_add_(0, old, -x)
        memory.sums = Ownership(count, total, sums.squares, torch.tensor(float(len(moved)), dtype=x.dtype, device=x.device))
        return memory.sums

    def complete(self, statistics: Ownership) -> bool:
        """Whether neither a missing nor an infinite value came by."""
        return bool(torch.isfinite(statistics.squares))

    def update(self, statistics: Ownership) -> bool:
        """Centres at the means of what they own; done when none moved, or hardly."""
        own, count = self._plan.centres, statistics.count
        self._seen = count if self.batch is None else self._seen + count
        # All that a centre owns, or with mini-batches a step 1 / (all it has seen) towards what it owns of this one.
        step = (statistics.sums - count[:, None] * own) / self._seen.clamp_min(1e-300)[:, None]
        # A centre that has lost all its rows stays: what adding and taking away have left of their sums is rounding.
        new = torch.where((count > EMPTY * count.sum())[:, None], own + step, own)
        spread = statistics.squares - 2 * (new * statistics.sums).sum() + (count * new.square().sum(1)).sum()
        self.inertia_, self.count_ = spread.clamp_min(0), self._seen
        self._mean_inertia = float(self.inertia_ / count.sum())
        variance = (statistics.squares - statistics.sums.sum(0).square().sum() / count.sum()) / (count.sum() * own.shape[1])
        moved = float((new - own).square().sum())
        self._plan = Plan.of(new, own, self.floating(), self._plan.room)
        self._version += 1
        self.centres_ = new + self.origin_
        return self.batch is None and (float(statistics.moved) == 0 or moved <= self.tolerance * float(variance))

    def objective(self, statistics: Ownership) -> float:
        """Minus the logarithm of the mean squared distance: its gain is the relative gain, whatever the units."""
        return -math.log(max(self._mean_inertia, 1e-300))

    def report(self, value: float) -> Mapping[str, float]:
        """The mean squared distance to the nearest centre."""
        return {"squared_distance": math.exp(-value)}

    # ------------------------------------------------------------------------------------------------- being used

    def assign(self, x: Any) -> Tensor:
        """The nearest centre of each row (n,), int64."""
        rows = self._rows(x)
        plan = Plan.of(self.centres_ - self.origin_, None, self.floating())
        return torch.cat([plan.nearest(_augmented(self.coordinates(b)))[0] for b in rows.split(self.block_rows)])

    def responsibilities(self, x: Any) -> Tensor:
        """1 for the nearest centre, 0 for the others (n, clusters), float64."""
        return torch.nn.functional.one_hot(self.assign(x), self.clusters).to(torch.float64)

    def distances(self, x: Any) -> Tensor:
        """Distance of each row to each centre (n, clusters), user's units, float64."""
        rows = self._rows(x).reshape(-1, self.centres_.shape[1]) - self.origin_
        return torch.cdist(rows.to(torch.float64), self.centres_ - self.origin_, compute_mode="donot_use_mm_for_euclid_dist")

    def centres(self) -> Tensor:
        """The centres as observations (clusters, *shape), user's units."""
        return self.centres_.reshape(self.clusters, *map(int, self.fitted_space().shape))  # type: ignore[arg-type]

    def _rows(self, x: Any) -> Tensor:
        return self.conform(x)


@dataclass
class Plan:
    """The centres of one pass and what follows from them, once for all blocks."""

    centres: Tensor
    table: Tensor
    drift: Tensor
    others: Tensor
    half: Tensor
    norm: float
    room: Tensor

    @classmethod
    def of(cls, centres: Tensor, before: Tensor | None, dtype: torch.dtype, room: Tensor | None = None) -> Plan:
        """For centres (k, d) in float64 about the origin, having moved from `before`; `room` is working memory to use again."""
        k = len(centres)
        squares = centres.square().sum(1)
        table = torch.cat([-2 * centres.T, squares[None], centres.new_ones(1, k)]).to(dtype)
        moved = torch.zeros_like(squares) if before is None else (centres - before).square().sum(1).sqrt()
        # Bounds are kept in `dtype`: widen every step by more than its rounding.
        eps = torch.finfo(dtype).eps
        moved = moved * (1 + 8 * eps) + 2 * eps * squares.max().sqrt()
        top = torch.topk(moved, min(2, k)).values
        others = torch.where(moved == top[0], top[-1], top[0])
        apart = torch.cdist(centres, centres, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
        half = apart.amin(1) / 2 * (1 - 8 * eps)
        room = table[:0] if room is None else room
        return cls(centres, table, moved.to(dtype), others.to(dtype), half.to(dtype), float(squares.max()), room)

    def owners(self, x: Tensor) -> Tensor:
        """For augmented rows (n, d+2): nearest centre (n,), to the bits that the centres' numbers leave."""
        k, n = len(self.centres), len(x)
        if k == 1 or not n:
            return torch.zeros(n, dtype=torch.int64, device=x.device)
        bits, mask = self._bits(x)
        return bits.amin(1).bitwise_and_(mask).to(torch.int64)

    def _bits(self, x: Tensor) -> tuple[Tensor, int]:
        """Squared distances (n, k) as integers with the centre's number in the lowest bits, and the mask of those bits."""
        k, n = len(self.centres), len(x)
        if len(self.room) < n:
            self.room = x.new_empty(n, k)
        squared = torch.mm(x, self.table, out=self.room[:n])
        integer, mask = (torch.int32 if x.dtype == torch.float32 else torch.int64), (1 << (k - 1).bit_length()) - 1
        numbers = torch.arange(k, dtype=integer, device=x.device)
        return squared.view(integer).bitwise_and_(~mask).bitwise_or_(numbers), mask

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For augmented rows (n, d+2): nearest centre (n,), an upper bound on its distance, a lower bound on the next's."""
        k, n = len(self.centres), len(x)
        if not n:
            return torch.zeros(0, dtype=torch.int64, device=x.device), x.new_zeros(0), x.new_zeros(0)
        if k == 1:
            squared = (x @ self.table)[:, 0]
            return torch.zeros(n, dtype=torch.int64, device=x.device), squared.clamp_min(0).sqrt(), torch.full_like(squared, torch.inf)
        bits, mask = self._bits(x)
        integer = bits.dtype
        first = bits.amin(1)
        owner = first.bitwise_and(mask).to(torch.int64)
        bits.scatter_(1, owner[:, None], torch.iinfo(integer).max)
        near, next_ = first.bitwise_and_(~mask).view(x.dtype), bits.amin(1).bitwise_and_(~mask).view(x.dtype)
        eps = torch.finfo(x.dtype).eps
        coarse = 2 * eps * (mask + 1)
        error = (x[:, -1] + self.norm) * (4 * eps * math.sqrt(x.shape[1]))
        close = (next_ - near <= next_ * coarse + 2 * error).nonzero()[:, 0]
        near = (near * (1 + coarse) + error).clamp_min_(0).sqrt_()
        next_ = (next_ * (1 - coarse) - error).clamp_min_(0).sqrt_()
        if len(close):
            self._decide(x, close, owner, near, next_)
        return owner, near, next_

    def _decide(self, x: Tensor, rows: Tensor, owner: Tensor, near: Tensor, next_: Tensor) -> None:
        """Close rows again, by differences in float64."""
        for part in rows.split(max(1, (1 << 20) // len(self.centres))):
            exact = torch.cdist(x[part, :-2].to(torch.float64), self.centres, compute_mode="donot_use_mm_for_euclid_dist")
            values, which = torch.topk(exact, 2, largest=False)
            eps = torch.finfo(x.dtype).eps
            # Of equal distances the first centre counts, as argmin would have it.
            owner[part] = torch.where(values[:, 0] == values[:, 1], exact.argmin(1), which[:, 0])
            near[part], next_[part] = (values[:, 0] * (1 + 4 * eps)).to(x.dtype), (values[:, 1] * (1 - 4 * eps)).to(x.dtype)


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """`value` if it is a whole number of at least `least`; InvalidKind or InvalidValue otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidKind(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise InvalidValue(f"{name} must be at least {least}, got {value}")
    return value


def _augmented(x: Tensor) -> Tensor:
    """Rows (n, d) as [x, 1, |x|²] (n, d+2)."""
    return torch.cat([x, x.new_ones(len(x), 1), x.square().sum(1, keepdim=True)], 1)
