r"""Lloyd's passes, restricted to rows that may change their centre.

    a_i = argmin_k |x_i - c_k|,      c_k = Σ_{a_i=k} w_i x_i / Σ_{a_i=k} w_i.

Each row has an upper bound u on the distance to its centre and a lower bound l on that to any
other; when the centres move by δ_k,

    u ← u + δ_a,      l ← l - max_{k≠a} δ_k,

and u < max(l, ½ min_{k≠a} |c_a - c_k|) proves that a is still the nearest. The sums of each block
are cached and corrected for the rows that moved. The inertia follows from the sums,

    Σ_i w_i |x_i - c_{a_i}|² = Σ w|x|² - 2 Σ_k c_k·S_k + Σ_k n_k |c_k|²,

and if that cancels, from the differences, in one more pass.

Rows are centred on their median and divided by a power of two near their spread, so that neither
units nor outliers cost digits. If rounding to float32 would still move the farthest row by more
than a thousandth of the clusters' radius, the fit continues in float64.

References:
    Lloyd (1982), Least squares quantization in PCM. https://doi.org/10.1109/TIT.1982.1056489
    Hamerly (2010), Making k-means even faster. https://doi.org/10.1137/1.9781611972801.12 Sculley
    (2010), Web-scale k-means clustering, Algorithm 1, for mini-batches.
    https://doi.org/10.1145/1772690.1772862
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.core.fitter import Symptom
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.fitting.facts import sample_rows
from pushforward.models.classical import starts
from pushforward.models.classical.cluster_sums import EMPTY, ClusterSums, Step, refill
from pushforward.models.classical.lloyd_memory import Memory
from pushforward.models.classical.lloyd_tiles import LONGEST_REST, SHORTEST_REST, Tiles, centred
from pushforward.models.classical.nearest_centres import Plan
from pushforward.models.classical.refusals import (
    refuse_conditions,
    refuse_many,
    refuse_unsquarable,
)

__all__ = ["LloydPasses"]

MOST_ROUNDING = 1e-3
"""Share of the clusters' radius: if float32 moves the farthest row by more, rows are in float64."""
FLOAT32_EPS = torch.finfo(torch.float32).eps
CANCELLED = 1e-6
"""Share of Σw|x|² below which the inertia is not computed from the sums."""
MEDIAN_ROWS = 1024
"""Rows whose median becomes the origin: enough to be robust."""
LEAST_ROWS, MOST_ROWS, BLOCK_NUMBERS = 1 << 15, 1 << 18, 1 << 20
"""Rows of a block: as many as hold this many numbers, between two limits."""
LEAST_WORK, ROWS_EACH = 512, 16
"""Bounds cost about as much as this many products a row, and, as they need the distances between
centres, as much as comparing this many rows per cluster.
"""
SPARED = 3
"""Bounds pay off if they exclude two thirds of the rows, leaving one in this many."""


class LloydPasses(Model):
    """k centres fitted by passes over the rows, or by mini-batches."""

    block_rows: int = LEAST_ROWS
    sampled_facts: ClassVar[bool] = True

    clusters: int
    start: str | tuple[tuple[float, ...], ...]
    tolerance: float
    batch: int | None

    centres_: Tensor
    origin_: Tensor
    scale_: Tensor
    inertia_: Tensor
    count_: Tensor

    outgrown: bool
    unsettled: bool
    _wide: bool
    _placed: bool
    _far_rows: int
    _by_differences: bool
    _uses_bounds: bool

    def __init__(self) -> None:
        super().__init__()
        self.add_zeros("centres_", shape=(0, 0))
        self.add_zeros("origin_", "count_")
        self.add_buffers(scale_=torch.ones((), dtype=torch.float64))
        self.add_zeros("inertia_", shape=())
        self._version = 0
        self._reset()

    def _reset(self) -> None:
        """Reset the progress of a fit."""
        vars(self).update(
            _wide=False, _placed=False, outgrown=False, unsettled=False,
            _far_rows=0, _by_differences=False, _uses_bounds=True,
        )  # fmt: skip

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions; set origin and unit.

        The origin is the mean until rows are available, the unit the spread.
        """
        refuse_conditions(self, source)
        refuse_many(type(self).__name__, "clusters", self.clusters, len(source))
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
        self.origin_ = facts.moments.mean.clone()
        spread = float(facts.moments.covariance.mean().sqrt())
        # A power of two, so that division is exact.
        unit = 2.0 ** round(math.log2(spread)) if 0 < spread < math.inf else 1.0
        self.scale_ = torch.tensor(unit, dtype=torch.float64)
        self._reset()
        rows, width = len(source), source.space.size + 2
        self.block_rows = min(MOST_ROWS, max(LEAST_ROWS, BLOCK_NUMBERS // width))
        self._uses_bounds = (
            self.clusters * width >= LEAST_WORK and rows >= ROWS_EACH * self.clusters
        )
        if not isinstance(self.start, str) and len(self.start[0]) != source.space.size:
            raise InvalidValue(
                f"start as centres must have {source.space.size} columns, as the data have, "
                f"got {len(self.start[0])}"
            )

    @property
    def looped(self) -> bool:
        """Whether loops do the work of the passes: on a CPU."""
        return self.device.type == "cpu"

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Initial centres, from a seeded sample of rows, whose median becomes the origin."""
        if isinstance(self.start, str):
            batch = sample_rows(source, max(starts.START_ROWS, 64 * self.clusters), rng)
            self._place(batch.x)
            x = self._scaled(batch.x.to(self.device))
            plus = self.start == "kmeans++"
            choose = starts.choose_plus_plus if plus else starts.choose_at_random
            centres = choose(x, self.clusters, rng, batch.weights)
        else:
            self._place(sample_rows(source, MEDIAN_ROWS, rng).x)
            centres = self._scaled(starts.as_centres(self.start).to(self.device))
        self.centres_ = centres * self.scale_ + self.origin_
        self._seen = centres.new_zeros(self.clusters)
        self._plan = Plan.of(centres, None, self.floating(), lean=True)
        self._version += 2

    def _place(self, rows: Tensor) -> None:
        """Set the origin to the median of some rows, once; outliers do not affect it."""
        if not self._placed:
            some = rows[:: max(1, len(rows) // MEDIAN_ROWS)].flatten(1)
            self.origin_ = starts.lower_medians(some.to(torch.float64)).to(self.device)
            self._placed = True

    def _scaled(self, x: Tensor) -> Tensor:
        """Rows about the origin in units of the spread, flattened (n, d), float64."""
        return (x.flatten(1) - self.origin_).div_(self.scale_)

    def floating(self) -> torch.dtype:
        """The type of the rows: float64 if float32 was requested but is insufficient."""
        return torch.float64 if self._wide else super().floating()

    def coordinates(self, x: Tensor) -> Tensor:
        """Rows about the origin in units of the spread, flattened (n, d)."""
        if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
            return centred(x.flatten(1), self.origin_, float(self.scale_), self.floating())
        return self._scaled(x).to(self.floating())

    @property
    def looking(self) -> bool:
        """Whether the last pass updated nothing, because the next must find what it lacked."""
        return self.outgrown or self._far_rows > 0

    # ------------------------------------------------------------------------- one block of rows

    def remember(self, batch: Batch) -> Memory | Tiles:
        """Centres of the rows, bounds and sums, cached with a resident block."""
        return Tiles() if batch.x.device.type == "cpu" else Memory(batch.x)

    def statistics(self, batch: Batch, memory: Memory | Tiles | None = None) -> ClusterSums:
        """The contributions of the rows of one block to their nearest centres."""
        memory = memory or self.remember(batch)
        sums = memory.sums if memory.version == self._version else None
        if sums is None and memory.version != self._version - 1:
            memory.owner = None
        memory.version = self._version
        if sums is None:
            if isinstance(memory, Tiles):
                sums = memory.advance(batch, self._plan.tables)
            else:
                by_bounds = memory.owner is not None and memory.sums is not None
                sums = self._corrected(batch, memory) if by_bounds else self._first(batch, memory)
            memory.sums = sums
        if self._far_rows or self._by_differences:
            owner = memory.owners(len(batch.x))
            return self._with_differences(batch, owner, sums)
        return sums

    def _with_differences(self, batch: Batch, owners: Tensor, sums: ClusterSums) -> ClusterSums:
        """The sums with the requested farthest rows, and the inertia by differences."""
        x = batch.x.flatten(1).to(torch.float64)
        w = x.new_ones(len(x)) if batch.weights is None else batch.weights.to(torch.float64)
        squares = (x - self._plan.centres[owners]).square_().sum(1)
        far = torch.where(w > 0, squares, -1.0)
        top = far.topk(min(self._far_rows, len(x)))
        where = top.indices
        owner = owners[where].to(x)
        rows = torch.cat([top.values[:, None], w[where, None], owner[:, None], x[where]], 1)
        missing = self._far_rows - len(rows)
        padding = torch.full((missing, rows.shape[1]), -1.0, dtype=x.dtype, device=x.device)
        return replace(sums, far=torch.cat([rows, padding]), inertia=w @ squares)

    def _first(self, batch: Batch, memory: Memory) -> ClusterSums:
        """Compare all rows with all centres."""
        if self._uses_bounds:
            owner, memory.upper, memory.lower = self._plan.nearest(memory.x)
        else:
            owner = self._plan.decided(memory.x)
        memory.owner = owner
        x = memory.x[:, :-2].to(torch.float64)
        w = x.new_ones(len(x)) if batch.weights is None else batch.weights.to(x.dtype)
        wx = x if batch.weights is None else x * w[:, None]
        k = self._plan.centres.shape[0]
        count = x.new_zeros(k).index_add_(0, owner, w)
        sums = x.new_zeros(k, x.shape[1]).index_add_(0, owner, wx)
        squares = w @ x.square().sum(1)
        reach = memory.x[:, -1].max().to(x.dtype) if len(x) else squares
        return ClusterSums(count, sums, squares, x.new_tensor(float(len(x))), reach)

    def _corrected(self, batch: Batch, memory: Memory) -> ClusterSums:
        """The sums of the last pass, corrected for the rows that changed their centre."""
        owner, sums = memory.owner, memory.sums
        assert owner is not None
        assert sums is not None
        changes = self._changes(memory, owner)
        if changes is None:
            return replace(sums, moved=torch.zeros_like(sums.moved))
        moved, old, new = changes
        owner.index_copy_(0, moved, new)
        x = memory.x.index_select(0, moved)[:, :-2].to(torch.float64)
        if batch.weights is None:
            w = x.new_ones(len(x))
        else:
            w = batch.weights[moved].to(x.dtype)
            x = x * w[:, None]
        count = sums.count.index_add(0, new, w).index_add_(0, old, -w)
        total = sums.sums.index_add(0, new, x).index_add_(0, old, -x)
        return replace(sums, count=count, sums=total, moved=x.new_tensor(float(len(moved))))

    def _changes(self, memory: Memory, owner: Tensor) -> tuple[Tensor, Tensor, Tensor] | None:
        """Rows that changed their centre, with old and new ones; None if bounds exclude changes.

        While bounds are suspended, all rows are compared and no bounds are computed.
        """
        plan = self._plan
        if not self._uses_bounds:
            nearest = plan.decided(memory.x)
        elif memory.plain:
            memory.plain -= 1
            memory.bounded = False
            nearest = plan.owners(memory.x)
        elif not memory.bounded:
            nearest, memory.upper, memory.lower = plan.nearest(memory.x)
            memory.bounded = True
        else:
            memory.upper += plan.drift.index_select(0, owner)
            memory.lower -= plan.others.index_select(0, owner)
            proven = torch.maximum(memory.lower, plan.half.index_select(0, owner))
            rows = (memory.upper > proven).nonzero()[:, 0]
            if not len(rows):
                return None
            if SPARED * len(rows) > len(owner):
                memory.plain, memory.rest = memory.rest, min(2 * memory.rest, LONGEST_REST)
                return self._changes(memory, owner)
            memory.rest = SHORTEST_REST
            nearest, near, next_ = plan.nearest(memory.x.index_select(0, rows))
            memory.upper.index_copy_(0, rows, near)
            memory.lower.index_copy_(0, rows, next_)
            before = owner.index_select(0, rows)
            changed = (nearest != before).nonzero()[:, 0]
            return rows[changed], before[changed], nearest[changed]
        moved = (nearest != owner).nonzero()[:, 0]
        return moved, owner[moved], nearest[moved]

    # ------------------------------------------------------------------------------- after a pass

    def saw_only_finite(self, statistics: ClusterSums) -> bool:
        """Whether no value was missing or infinite; `update` handles overflow of float32."""
        if bool(torch.isfinite(statistics.squares)):
            return True
        return self.floating() == torch.float32 and not bool(statistics.squares.isnan())

    def update(self, statistics: ClusterSums) -> bool:
        """Move the centres to the means of their rows; finished if they (almost) did not move."""
        centres = before = self._plan.centres
        if self.outgrown:
            self.outgrown = False
        seen = statistics.count if self.batch is None else self._seen + statistics.count
        step = Step.of(centres, statistics, seen)
        if self._too_narrow(statistics, step):
            self._wide = self.outgrown = True
            self._plan = Plan.of(centres, None, self.floating(), lean=True)
            self._version += 2
            return False
        refilled = self.batch is None and step.empty > 0
        if refilled:
            if statistics.far is None:
                self._far_rows = step.empty
                return False
            empty = statistics.count <= EMPTY * statistics.count.sum()
            statistics, centres = refill(statistics, centres, empty)
            seen = statistics.count
            step = Step.of(centres, statistics, seen)
            step.moved = float((step.centres - before).square().sum())
        self._keep(step, float(statistics.squares), seen)
        still = float(statistics.moved) == 0 and not refilled
        plan = Plan.of(step.centres, before, self.floating(), self._plan.room, lean=True)
        # Not by setattr, which for a module takes longer than a pass over few rows.
        vars(self).update(
            _plan=plan,
            _version=self._version + 1,
            _seen=seen,
            _far_rows=0,
            unsettled=self.batch is None and (not still or self._by_differences),
        )
        return self.batch is None and (still or step.moved <= self.tolerance * step.variance)

    def settle(self, statistics: ClusterSums) -> None:
        """Set inertia and weights of the final centres after one more pass."""
        count, centres = statistics.count, self._plan.centres
        step = Step.of(centres, statistics, count)
        step.centres, step.spread = centres, step.spread_before
        self._keep(step, float(statistics.squares), count)
        if statistics.inertia is not None:
            self.inertia_ = statistics.inertia * self.scale_.square()
            self._mean_inertia = float(statistics.inertia / statistics.count.sum())
        self.unsettled = self._by_differences = False

    def _keep(self, step: Step, squares: float, owned: Tensor) -> None:
        """Set centres, their weights and the inertia in the user's units.

        Also decide whether the inertia cancels so much that it must be computed by differences.
        """
        spread = max(step.spread, 0.0) if step.spread == step.spread else math.nan
        vars(self).update(
            _by_differences=step.spread < CANCELLED * squares,
            _mean_inertia=spread / step.total,
        )
        self._buffers.update(
            inertia_=self.scale_.square().mul_(spread),
            count_=owned,
            centres_=torch.addcmul(self.origin_, step.centres, self.scale_),
        )

    def _too_narrow(self, sums: ClusterSums, step: Step) -> bool:
        """Whether rounding to float32 moves the farthest row too far.

        The limit is relative to the clusters' radius.
        """
        if self.floating() != torch.float32 or sums.reach is None:
            return False
        rounding = FLOAT32_EPS**2 * float(sums.reach) * step.centres.shape[1]
        return not rounding < MOST_ROUNDING**2 * step.spread_before / step.total

    def objective(self, statistics: ClusterSums) -> float:
        """Minus the logarithm of the mean squared distance, so that gains are relative."""
        return -math.log(max(self._mean_inertia, 1e-300)) - 2 * math.log(float(self.scale_))

    def report(self, value: float) -> Mapping[str, float]:
        """The mean squared distance to the nearest centre, in the user's units squared."""
        return {"squared_distance": math.exp(-value)}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Empty centres, which remain only if there are too few distinct rows."""
        owning = int((self.count_ > EMPTY * self.count_.sum()).sum())
        if self.batch is not None or owning >= self.clusters:
            return ()
        text = (
            f"only {owning} of {self.clusters} centres own rows: "
            "there are fewer distinct rows than clusters"
        )
        advice = f"clusters={owning}, or more distinct rows"
        return (Symptom("too few distinct rows", text, advice),)
