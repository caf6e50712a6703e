r"""k-means: the centres that lie nearest to the rows they own.

    inertia = Σ_i w_i min_k |x_i - c_k|²,      Lloyd (1982):  a_i = argmin_k |x_i - c_k|,   c_k = Σ_{a_i=k} w_i x_i / Σ_{a_i=k} w_i.

Rows that cannot have changed owner are not looked at (Hamerly 2010). Each row keeps an upper bound u on the distance to
its own centre and a lower bound l on that to any other; when the centres move by δ_k,

    u ← u + δ_a,      l ← l - max_{k≠a} δ_k,      and   u < max(l, ½ min_{k≠a} |c_a - c_k|)   proves that a is still nearest.

The sums of each block are kept and corrected by the rows that moved. The squared distances of the others are one matrix
product, [x, 1, |x|²] · [-2c, |c|², 1]ᵀ; the nearest centre is read off as the smallest integer among the distances' bit
patterns with the centre's number in the lowest bits, one vector instruction a distance. Where two distances agree to the
bits that leaves, the row is decided in float64: the result is that of plain Lloyd, only sooner. The inertia follows from the sums,

    Σ_i w_i |x_i - c_{a_i}|² = Σ w|x|² - 2 Σ_k c_k·S_k + Σ_k n_k |c_k|²,

and where that cancels, from the differences themselves, in one more pass.

Rows are centred on their median and divided by a power of two near their spread, so that no unit and no outlier costs
digits. Where rounding them to float32 would still move the farthest by more than a thousandth of the clusters' own radius,
the fit goes on in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import InvalidKind, InvalidValue
from pushforward.core.fitter import Fitter, Symptom
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.registry import register
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.fitting.em import EM
from pushforward.fitting.facts import sample_rows
from pushforward.models.classical.gaussian import refuse_conditions, refuse_unsquarable
from pushforward.models.classical.starts import START_ROWS, at_random, centres_given, plus_plus, refuse_many

__all__ = ["KMeans", "whole_number"]


@dataclass
class Ownership:
    """What the rows give their centres: Σw (k,), Σwx (k, d), Σw|x|² (), and how many rows changed owner ().

    Also the largest |x|² (); and, in passes that ask for them, the rows farthest from their centres, each as [distance²,
    weight, owner, x] (m, d+3), falling, and Σw|x - c|² () by differences.
    """

    count: Tensor
    sums: Tensor
    squares: Tensor
    moved: Tensor
    reach: Tensor | None = None
    far: Tensor | None = None
    inertia: Tensor | None = None

    def merge(self, other: Ownership) -> Ownership:
        """Of both sets of rows."""
        reach = None if self.reach is None or other.reach is None else torch.maximum(self.reach, other.reach)
        far = None if self.far is None or other.far is None else _farthest(torch.cat([self.far, other.far]), len(self.far))
        inertia = None if self.inertia is None or other.inertia is None else self.inertia + other.inertia
        sums, squares = self.sums + other.sums, self.squares + other.squares
        return Ownership(self.count + other.count, sums, squares, self.moved + other.moved, reach, far, inertia)


EMPTY = 1e-14
"""Share of all weight at or below which a centre owns nothing: of rows that left it, rounding remains."""
SHORTEST_REST, LONGEST_REST = 3, 24
MOST_ROUNDING = 1e-3
"""Of the clusters' radius: where float32 would move the farthest row by more, rows are kept in float64."""
CANCELLED = 1e-6
"""Share of Σw|x|² below which the inertia is no longer read off the sums."""
MEDIAN_ROWS = 1024
FAR = 1e8
"""Rows this many times farther out than any centre are given to centres by their direction: |x - c|² would tell too little."""


class Memory:
    """Kept beside a resident block: its rows with [1, |x|²] appended, their owners and bounds, and the block's sums.

    While bounds spare less than two thirds of the rows they cost more than they save: then `plain` passes follow without them,
    more each time (`rest`), before they are tried again.
    """

    derived: ClassVar = ("x",)
    """What follows from the rows, and need not be stored with a checkpoint."""

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
        precision: 'float32' or 'float64' for distances; sums and close decisions are in float64 either way, and so is everything
            where float32 would not do.

    Learnt: `centres_` (k, d); `inertia_` and `count_` (k,), the weight each owns, when every row goes to the nearest of
    these centres (with mini-batches: of the last batch, and of all seen). A centre that owns no row moves to the row farthest
    from its own centre, unless every row lies on one. Distances are in the user's units: scale the columns first if they are of
    different kinds.

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
        start = centres_given(start, "centres", self.clusters, ("kmeans++", "random"))
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
        self.register_buffer("scale_", torch.ones((), dtype=torch.float64))
        self.register_buffer("inertia_", torch.zeros((), dtype=torch.float64))
        self._version = 0
        self._wide = self._placed = self.outgrown = self.unsettled = False
        self._wanted, self._direct = 0, False

    def default_fitter(self) -> Fitter:
        """Passes until no row moves or `tolerance` is met, at most 300; 200 steps of mini-batches."""
        return EM(steps=300 if self.batch is None else 200, tolerance=0)

    # ---------------------------------------------------------------------------------------------------- learning

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions; take the mean as origin until there are rows, and the spread as the unit."""
        refuse_conditions(self, source)
        refuse_many(type(self).__name__, "clusters", self.clusters, len(source))
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
        self.origin_ = facts.moments.mean.clone()
        # A power of two, so that dividing by it rounds nothing.
        spread = float(facts.moments.covariance.mean().sqrt())
        self.scale_ = torch.tensor(2.0 ** round(math.log2(spread)) if 0 < spread < math.inf else 1.0, dtype=torch.float64)
        self._wide = self._placed = self.outgrown = self.unsettled = False
        self._wanted, self._direct = 0, False
        if not isinstance(self.start, str) and len(self.start[0]) != source.space.size:
            raise InvalidValue(f"start as centres must have {source.space.size} columns, as the data have, got {len(self.start[0])}")

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Centres for the first pass, from a seeded sample of the rows, whose median becomes the origin."""
        if isinstance(self.start, str):
            batch = sample_rows(source, max(START_ROWS, 64 * self.clusters), rng)
            self._place(batch.x)
            x = self._scaled(batch.x.to(self.device))
            own = (plus_plus if self.start == "kmeans++" else at_random)(x, self.clusters, rng, batch.weights)
        else:
            self._place(sample_rows(source, MEDIAN_ROWS, rng).x)
            own = self._scaled(torch.tensor(self.start, dtype=torch.float64, device=self.device))
        self.centres_ = own * self.scale_ + self.origin_
        self._seen = own.new_zeros(self.clusters)
        self._plan = Plan.of(own, None, self.floating())
        self._version += 2

    def _place(self, rows: Tensor) -> None:
        """Put the origin at the median of some rows, once: a far outlier leaves it where the others are."""
        if not self._placed:
            some = rows[:: max(1, len(rows) // MEDIAN_ROWS)].flatten(1)
            self.origin_ = some.to(torch.float64).median(0).values.to(self.device)
            self._placed = True

    def _scaled(self, x: Tensor) -> Tensor:
        """Rows about the origin in units of the spread, flattened (n, d), float64."""
        return (x.flatten(1) - self.origin_).div_(self.scale_)

    def floating(self) -> torch.dtype:
        """float64 where float32 was asked for and would not do."""
        return torch.float64 if self._wide else super().floating()

    def coordinates(self, x: Tensor) -> Tensor:
        """Rows about the origin in units of the spread, flattened (n, d)."""
        return self._scaled(x).to(self.floating())

    @property
    def looking(self) -> bool:
        """Whether the last pass only looked, and moved nothing: the next one finds what it lacked."""
        return self.outgrown or self._wanted > 0

    def remember(self, batch: Batch) -> Memory:
        """Owners, bounds and sums, kept beside a resident block."""
        return Memory(batch.x)

    def statistics(self, batch: Batch, memory: Memory | None = None) -> Ownership:
        """What the rows of one block give to their nearest centres."""
        memory = memory or Memory(batch.x)
        known = memory.version == self._version and memory.sums is not None
        if not known and memory.version != self._version - 1:
            memory.owner = None
        memory.version = self._version
        if not known:
            memory.sums = self._first(batch, memory) if memory.owner is None else self._again(batch, memory)
        assert memory.sums is not None
        return self._with_differences(batch, memory, memory.sums) if self._wanted or self._direct else memory.sums

    def _with_differences(self, batch: Batch, memory: Memory, sums: Ownership) -> Ownership:
        """The sums with the rows farthest from their centres, as many as are wanted, and the inertia, both by differences."""
        assert memory.owner is not None
        x = memory.x[:, :-2].to(torch.float64)
        w = x.new_ones(len(x)) if batch.weights is None else batch.weights.to(torch.float64)
        squares = (x - self._plan.centres[memory.owner]).square_().sum(1)
        far = torch.where(w > 0, squares, -1.0)
        top = far.topk(min(self._wanted, len(x)))
        own, where = memory.owner[top.indices].to(x), top.indices
        named = torch.cat([top.values[:, None], w[where, None], own[:, None], x[where]], 1)
        padding = torch.full((self._wanted - len(named), named.shape[1]), -1.0, dtype=x.dtype, device=x.device)
        return replace(sums, far=torch.cat([named, padding]), inertia=w @ squares)

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
        reach = memory.x[:, -1].max().to(x.dtype) if len(x) else squares
        return Ownership(count, sums, squares, torch.tensor(float(len(x)), dtype=x.dtype, device=x.device), reach)

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
                return replace(sums, moved=torch.zeros_like(sums.moved))
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
        changes = torch.tensor(float(len(moved)), dtype=x.dtype, device=x.device)
        return replace(sums, count=count, sums=total, moved=changes)

    def complete(self, statistics: Ownership) -> bool:
        """Whether neither a missing nor an infinite value came by; what overflows float32 alone is seen to by `update`."""
        return bool(torch.isfinite(statistics.squares)) or (self.floating() == torch.float32 and not bool(statistics.squares.isnan()))

    def update(self, statistics: Ownership) -> bool:
        """Centres at the means of what they own; done when none moved, or hardly."""
        own, self.outgrown = self._plan.centres, False
        if self._too_narrow(statistics):
            self._wide = self.outgrown = True
            self._plan = Plan.of(own, None, self.floating())
            self._version += 2
            return False
        empty = statistics.count <= EMPTY * statistics.count.sum()
        if self.batch is None and bool(empty.any()):
            if statistics.far is None:
                self._wanted = int(empty.sum())
                return False
            statistics, own = _refilled(statistics, own, empty)
        self._wanted, count = 0, statistics.count
        self._seen = count if self.batch is None else self._seen + count
        # All that a centre owns, or with mini-batches a step 1 / (all it has seen) towards what it owns of this one.
        step = (statistics.sums - count[:, None] * own) / self._seen.clamp_min(1e-300)[:, None]
        # A centre that owns nothing stays: what adding and taking away have left of its sums is rounding.
        new = torch.where((count > EMPTY * count.sum())[:, None], own + step, own)
        self._keep(statistics, new, self._seen)
        variance = (statistics.squares - statistics.sums.sum(0).square().sum() / count.sum()) / (count.sum() * own.shape[1])
        moved = float((new - self._plan.centres).square().sum())
        self._plan = Plan.of(new, self._plan.centres, self.floating(), self._plan.room)
        self._version += 1
        still = float(statistics.moved) == 0 and not bool(empty.any())
        self.unsettled = self.batch is None and (not still or self._direct)
        return self.batch is None and (still or moved <= self.tolerance * float(variance))

    def settle(self, statistics: Ownership) -> None:
        """Inertia and weights of the centres as they are, from one more pass that moves nothing."""
        self._keep(statistics, self._plan.centres, statistics.count)
        if statistics.inertia is not None:
            self.inertia_ = statistics.inertia * self.scale_.square()
            self._mean_inertia = float(statistics.inertia / statistics.count.sum())
        self.unsettled = self._direct = False

    def _keep(self, sums: Ownership, centres: Tensor, owned: Tensor) -> None:
        """Centres, with what they own and the inertia, in the user's units; and whether that must be taken by differences."""
        spread = sums.squares - 2 * (centres * sums.sums).sum() + (sums.count * centres.square().sum(1)).sum()
        self._direct = float(spread) < CANCELLED * float(sums.squares)
        self.inertia_, self.count_ = spread.clamp_min(0) * self.scale_.square(), owned
        self._mean_inertia = float(spread.clamp_min(0) / sums.count.sum())
        self.centres_ = centres * self.scale_ + self.origin_

    def _too_narrow(self, sums: Ownership) -> bool:
        """Whether rounding to float32 moves the farthest row by too much of the clusters' radius."""
        if self.floating() != torch.float32 or sums.reach is None:
            return False
        centres = self._plan.centres
        spread = sums.squares - 2 * (centres * sums.sums).sum() + (sums.count * centres.square().sum(1)).sum()
        rounding = torch.finfo(torch.float32).eps ** 2 * sums.reach * centres.shape[1]
        return not bool(rounding < MOST_ROUNDING**2 * spread / sums.count.sum())

    def objective(self, statistics: Ownership) -> float:
        """Minus the logarithm of the mean squared distance: its gain is the relative gain, whatever the units."""
        return -math.log(max(self._mean_inertia, 1e-300)) - 2 * math.log(float(self.scale_))

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Centres that own nothing, which are left only where rows are too few or too alike."""
        owning = int((self.count_ > EMPTY * self.count_.sum()).sum())
        if self.batch is not None or owning >= self.clusters:
            return ()
        seen = f"only {owning} of {self.clusters} centres own rows: fewer rows differ than there are clusters"
        return (Symptom("too few distinct rows", seen, f"clusters={owning}, or more rows that differ"),)

    def report(self, value: float) -> Mapping[str, float]:
        """The mean squared distance to the nearest centre."""
        return {"squared_distance": math.exp(-value)}

    # ------------------------------------------------------------------------------------------------- being used

    def assign(self, x: Any) -> Tensor:
        """The nearest centre of each row (n,), int64."""
        rows = self._rows(x)
        plan = Plan.of((self.centres_ - self.origin_) / self.scale_, None, self.floating())
        return torch.cat([plan.owners_of(self._scaled(b), self.floating()) for b in rows.split(self.block_rows)])

    def responsibilities(self, x: Any) -> Tensor:
        """1 for the nearest centre, 0 for the others (n, clusters), float64."""
        return torch.nn.functional.one_hot(self.assign(x), self.clusters).to(torch.float64)

    def distances(self, x: Any) -> Tensor:
        """Distance of each row to each centre (n, clusters), user's units, float64."""
        rows, centres = self._scaled(self._rows(x)), self._scaled(self.centres_)
        return torch.cdist(rows, centres, compute_mode="donot_use_mm_for_euclid_dist") * self.scale_

    def learnt(self) -> Mapping[str, str]:
        """What the stored numbers must be like."""
        centres = {"centres_": "clusters d", "origin_": "d", "count_": "clusters weights"}
        return {**centres, "scale_": "positive", "inertia_": "weights"}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave; models saved before there was a unit have none."""
        super().restore({"scale_": torch.ones((), dtype=torch.float64), **tensors})

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

    def owners_of(self, rows: Tensor, dtype: torch.dtype) -> Tensor:
        """Nearest centre of rows (n, d) in float64, looked for in `dtype` and decided in float64."""
        owner = self.nearest(_augmented(rows.to(dtype)), rows)[0]
        far = (rows.abs().amax(1) > FAR * self.centres.abs().max()).nonzero()[:, 0] if rows.numel() else owner[:0]
        if len(far):  # |x - c|² less |x|² in units of |x|: what is left of it when |x|² itself overflows
            size = rows[far].abs().amax(1, keepdim=True)
            owner[far] = (self.centres.square().sum(1) / size - 2 * (rows[far] / size) @ self.centres.T).argmin(1)
        return owner

    def nearest(self, x: Tensor, exact: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """For augmented rows (n, d+2): nearest centre (n,), an upper bound on its distance, a lower bound on the next's.

        Close decisions are by differences of `exact` (n, d), the rows before they were rounded, where it is given.
        """
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
        # Not by <=, which a NaN (of an overflow) would pass by.
        close = (next_ - near > next_ * coarse + 2 * error).logical_not_().nonzero()[:, 0]
        near = (near * (1 + coarse) + error).clamp_min_(0).sqrt_()
        next_ = (next_ * (1 - coarse) - error).clamp_min_(0).sqrt_()
        if len(close):
            self._decide(x if exact is None else exact, close, owner, near, next_)
        return owner, near, next_

    def _decide(self, x: Tensor, close: Tensor, owner: Tensor, near: Tensor, next_: Tensor) -> None:
        """Close rows again, by differences in float64."""
        for part in close.split(max(1, (1 << 20) // len(self.centres))):
            rows = x[part, : self.centres.shape[1]].to(torch.float64)
            exact = torch.cdist(rows, self.centres, compute_mode="donot_use_mm_for_euclid_dist")
            values, which = torch.topk(exact, 2, largest=False)
            eps = torch.finfo(near.dtype).eps
            # Of equal distances the first centre counts, as argmin would have it.
            owner[part] = torch.where(values[:, 0] == values[:, 1], exact.argmin(1), which[:, 0])
            near[part], next_[part] = (values[:, 0] * (1 + 4 * eps)).to(near.dtype), (values[:, 1] * (1 - 4 * eps)).to(near.dtype)


def _farthest(rows: Tensor, count: int) -> Tensor:
    """The first `count` of rows [distance², …] (m, d+3) by falling distance; of equal ones the earlier."""
    return rows[rows[:, 0].argsort(descending=True, stable=True)[:count]]


def _refilled(sums: Ownership, centres: Tensor, empty: Tensor) -> tuple[Ownership, Tensor]:
    """Sums and centres where each centre that owns nothing has taken over one of the rows farthest from their own centres.

    As scikit-learn does it: the row is taken from its owner's sums, so the inertia falls by all of its distance.
    """
    assert sums.far is not None
    count, total, centres = sums.count.clone(), sums.sums.clone(), centres.clone()
    for k, row in zip(empty.nonzero()[:, 0].tolist(), sums.far):
        distance, weight, owner, x = float(row[0]), row[1], int(row[2]), row[3:]
        if distance > 0:
            count[owner], total[owner] = count[owner] - weight, total[owner] - weight * x
            count[k], total[k], centres[k] = weight, weight * x, x
    return replace(sums, count=count, sums=total), centres


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
