"""Normal mixtures fitted by passes of expectation maximisation.

Rows are standardised first, to avoid cancellation, and the log-Jacobian is added back. The E step
is in `expectation`, the M step in `maximisation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.fitter import Symptom
from pushforward.core.model import Model
from pushforward.core.phase import Batch
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.fitting.facts import sample_rows
from pushforward.models.classical.covariance_kinds import (
    EPS,
    CovarianceKind,
    full_covariances,
    initial_spread,
)
from pushforward.models.classical.derived import Derived
from pushforward.models.classical.expectation import NormalComponents
from pushforward.models.classical.looped_expectation import prefers_loops
from pushforward.models.classical.looped_starts import (
    Clusters,
    assign_in_loops,
    move_in_loops,
    spread_in_loops,
    standardise_in_loops,
)
from pushforward.models.classical.maximisation import at_floor, maximise, maximise_in_loops
from pushforward.models.classical.mixture_sums import Expected, sum_centred
from pushforward.models.classical.refusals import refuse_conditions, refuse_large, refuse_many
from pushforward.models.classical.starts import (
    START_ROWS,
    as_centres,
    choose_at_random,
    choose_plus_plus,
    move_centres,
    squared_distances,
)

__all__ = ["MixturePasses"]

WIDE = 1e9
"""Squared means, in units of the variance, above which float32 rows are too coarse."""
START_ROWS_EACH = 64
"""Least rows per component in a start's sample."""
FLOOR_ROWS = 2048
"""Rows in the sample where the means are given: only the least variances come from it."""
WHOLE_ROWS_EACH = 32
"""Complete rows per component above which a start ignores incomplete ones."""
BLOCK_ROWS, MOST_BLOCK_ROWS, BLOCK_NUMBERS = 1 << 14, 1 << 18, 1 << 20
"""Rows of a block: the first number, or for loops as many as hold this many numbers, up to the
second.
"""
LONE = 1.5
"""A component with fewer rows than this has hardly more than one."""


class MixturePasses(Model):
    """Weights, means and covariances fitted by expectation maximisation."""

    block_rows: int = BLOCK_ROWS

    components: int
    covariance: CovarianceKind
    start: str | tuple[tuple[float, ...], ...]
    starts: int
    floor: float
    precision: Literal["float32", "float64"]
    least_variance: float | None
    """The least variance in the user's units squared, instead of a share of the data's."""

    weights_: Tensor
    location_: Tensor
    spread_: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_zeros("weights_", "location_", "spread_")
        self._components: NormalComponents | None = None
        self._gaps = self._wide = self.outgrown = False
        self._least = torch.zeros(0, dtype=torch.float64)
        self.least_variance = None
        self._rows, self._looped = 0, False
        self._known_scales: Derived[tuple[Tensor, Tensor, Tensor]] = Derived()

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions and columns without any value; standardise."""
        refuse_conditions(self, source)
        n, d = len(source), source.space.size
        refuse_many(type(self).__name__, "components", self.components, n)
        empty = facts.missing == facts.count
        if bool(empty.any()):
            raise BadSource(
                f"coordinate {int(empty.nonzero()[0])} holds no value at all; drop that column"
            )
        if self.covariance in ("full", "tied"):
            refuse_large(self, source, self.components if self.covariance == "full" else 1)
        super().prepare(source, facts)
        self._gaps, self._rows = bool(facts.missing.any()), n
        self._looped = prefers_loops(self.covariance, n, self.components, d)
        numbers = BLOCK_NUMBERS // d if self._looped else 0
        self.block_rows = min(MOST_BLOCK_ROWS, max(BLOCK_ROWS, numbers))
        self._wide = self.outgrown = False
        self._least = torch.zeros(0, dtype=torch.float64)
        if self.covariance == "spherical":
            variance = facts.moments.covariance
            varies = bool(variance.sum() > 0)
            common = variance.mean().sqrt() if varies else torch.ones(())
            self.scaling.scale = torch.ones_like(self.scaling.scale) * common
        if not isinstance(self.start, str) and len(self.start[0]) != d:
            raise InvalidValue(
                f"start as means must have {d} columns, as the data have, got {len(self.start[0])}"
            )

    def begin(self, source: Source, rng: torch.Generator) -> None:
        """Initial parameters, from a seeded sample of the rows.

        From complete rows if there are enough, else with missing values at the mean.
        """
        self._components = None
        x, w = self._start_rows(source, rng)
        if isinstance(self.start, str):
            choose = choose_at_random if self.start == "random" else choose_plus_plus
            centres = choose(x, self.components, rng, w)
        else:
            shift, scale = self._units()
            centres = (as_centres(self.start).to(self.device) - shift) / scale
        looped = self._in_loops
        if self.start == "kmeans":
            move = move_in_loops if looped else move_centres
            centres = move(x, w, centres)
        if looped:
            clusters = assign_in_loops(x, w, centres)
        else:
            clusters = _assign(x, w, centres)
        if not len(self._least):  # from the first start, for all starts
            self._least = self._floors(x, w, clusters)
        if self.start in ("kmeans", "kmeans++"):
            r = torch.nn.functional.one_hot(clusters.owner, self.components).to(x).T * w
            sums = sum_centred(x, r, self.covariance, centres)
            none = self.spread_[:0]
            self._set_parameters(
                *maximise(sums, self.covariance, self._least, centres, none, centres)
            )
        else:
            variance = _variance(x, w) if isinstance(self.start, str) else torch.ones_like(x[0])
            self.location_ = centres
            self.weights_ = torch.full_like(centres[:, 0], 1 / self.components)
            self.spread_ = initial_spread(variance, self.covariance, self.components, self._least)

    def _start_rows(self, source: Source, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sampled rows (n, d) without gaps, in model coordinates, and their weights (n,)."""
        most = START_ROWS if isinstance(self.start, str) else FLOOR_ROWS
        batch = sample_rows(source, max(most, START_ROWS_EACH * self.components), rng)
        x = self._standardised(batch.x.to(self.device), torch.float64)
        w = x.new_ones(len(x)) if batch.weights is None else batch.weights.to(x)
        if not self._gaps:
            return x, w
        complete = ~torch.isnan(x).any(1)
        if int((complete & (w > 0)).sum()) >= WHOLE_ROWS_EACH * self.components:
            x, w = x[complete], w[complete]
        return x.nan_to_num(0.0), w

    def _floors(self, x: Tensor, w: Tensor, clusters: Clusters) -> Tensor:
        """The least variance of each coordinate (d,), in model coordinates.

        From a start's rows (n, d), their weights and their clusters (n,).
        """
        if self._in_loops:
            squares, size = spread_in_loops(x, w, clusters)
        else:
            squares = w @ (x - clusters.means()[clusters.owner]).square_()
            size = x.abs().amax(0)
        rounding = (4 * EPS * (1 + size)).square()
        if self.least_variance is not None:
            return torch.maximum(self.least_variance / self._units()[1].square(), rounding)
        within = squares / w.sum()
        return torch.maximum(self.floor * torch.where(within > rounding, within, 1.0), rounding)

    @property
    def looped(self) -> bool:
        """Whether loops do the work of the passes: on complete rows on a CPU."""
        return self._in_loops and not self._gaps

    @property
    def _in_loops(self) -> bool:
        """Whether the start and the rows' coordinates are computed in loops."""
        return self._looped and self.device.type == "cpu"

    def floating(self) -> torch.dtype:
        """The type of the rows: float64 if float32 was requested but is insufficient."""
        return torch.float64 if self._wide else super().floating()

    @property
    def looking(self) -> bool:
        """Whether the rows must be mapped again before the next pass counts."""
        return self.outgrown

    def coordinates(self, x: Tensor) -> Tensor:
        """Standardised rows, flattened (n, d)."""
        return self._standardised(x, self.floating())

    def _standardised(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Standardised rows, flattened (n, d), computed in float64 and rounded to `dtype`.

        For loops, one coordinate is stored after the other.
        """
        looped = standardise_in_loops(x, *self._units(), dtype) if self._in_loops else None
        if looped is not None:
            return looped
        standardised: Tensor = self.scaling(x.to(torch.float64)).flatten(1).to(dtype)
        return standardised

    def statistics(self, batch: Batch) -> Expected:
        """E step of one block of rows."""
        return self._current().expect(batch.x, batch.weights, gaps=self._gaps)

    def update(self, statistics: Expected) -> bool:
        """M step; the fitter judges convergence."""
        components, self.outgrown = self._current(), False
        too_coarse = components.ratio > WIDE and self.floating() == torch.float32
        if too_coarse and not self._wide:
            self._wide = self.outgrown = True
            self._components = None
            return False
        before = (self.location_, self.spread_, components.origins)
        step = maximise_in_loops if components.looped else maximise
        new = step(statistics, self.covariance, self._least, *before)
        self._set_parameters(*new)
        return False

    def _current(self) -> NormalComponents:
        """The components with the present parameters, prepared for a pass."""
        if self._components is None:
            self._components = NormalComponents(
                self.covariance,
                self.weights_,
                self.location_,
                self.spread_,
                self._jacobian(),
                self.floating(),
                self._rows,
            )
        return self._components

    def _set_parameters(self, weights: Tensor, location: Tensor, spread: Tensor) -> None:
        """Weights (k,), means (k, d) and spread in model coordinates."""
        # A module's own assignment takes ten times as long.
        self._buffers.update(weights_=weights, location_=location, spread_=spread)
        self._components = None

    def objective(self, statistics: Expected) -> float:
        """Mean log-likelihood of the rows before the last M step, nats, user's units."""
        return float(statistics.log_likelihood / statistics.weight)

    def _held(self, rows: Tensor) -> Tensor:
        """Which non-empty components (k,) are at the least variance allowed."""
        held = at_floor(self.spread_, self.covariance, self._least.to(self.spread_))
        return held.expand(len(rows)) & (rows > 0)

    @property
    def collapsed(self) -> bool:
        """Whether a component with more than one row is at the least variance allowed."""
        rows = self.weights_ * self._rows
        return bool((self._held(rows) & (rows > LONE)).any())

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Components at the least variance allowed, and components with one row or none."""
        symptoms, rows = [], self.weights_ * self._rows
        count, held = len(rows), self._held(rows)
        if bool(held.any()):
            smallest = float(rows[held].min())
            text = (
                f"{int(held.sum())} of {count} components are held at the least variance allowed; "
                f"the smallest has {smallest:.3g} of {self._rows} rows"
            )
            advice = (
                "look there for outliers, repeated rows and constant columns; fewer components, "
                "or a smaller floor"
            )
            symptoms.append(Symptom("variance floor", text, advice))
        alone = (rows > 0) & (rows < LONE) & ~held
        if bool(alone.any()) and self._rows > 2 * count:
            text = f"{int(alone.sum())} of {count} components have one row each"
            advice = "look for outliers and drop those rows, or more components"
            symptoms.append(Symptom("lone rows", text, advice))
        if bool((rows == 0).any()):
            text = f"{int((rows == 0).sum())} of {count} components are empty"
            symptoms.append(Symptom("empty components", text, "fewer components, or another start"))
        return tuple(symptoms)

    def normal_components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (k,), means (k, d) and covariances (k, d, d), user's units."""
        shift, scale = self._units()
        full = full_covariances(self.covariance, self.location_, self.spread_)
        return self.weights_, self.location_ * scale + shift, full * torch.outer(scale, scale)

    def _units(self) -> tuple[Tensor, Tensor]:
        """Shift and scale of each flattened coordinate (d,)."""
        shift, scale, _ = self._scales()
        return shift, scale

    def _jacobian(self) -> Tensor:
        """log |du/dx| of each coordinate (d,)."""
        return self._scales()[2]

    def _scales(self) -> tuple[Tensor, Tensor, Tensor]:
        """Shift, scale and log |du/dx| of each flattened coordinate (d,)."""
        scaling = self.scaling
        return self._known_scales.of((scaling.shift, scaling.scale), self._new_scales)

    def _new_scales(self) -> tuple[Tensor, Tensor, Tensor]:
        shape = [int(s or 0) for s in self.fitted_space().shape]
        ones = torch.ones(shape, dtype=torch.float64, device=self.device)
        scale = (ones * self.scaling.scale).flatten()
        return (ones * self.scaling.shift).flatten(), scale, -scale.log()


def _assign(x: Tensor, w: Tensor, centres: Tensor) -> Clusters:
    """The clusters of rows x (n, d) about centres (k, d)."""
    owner = squared_distances(x, centres).argmin(1)
    count = w.new_zeros(len(centres)).index_add_(0, owner, w)
    return Clusters(owner, count, torch.zeros_like(centres).index_add_(0, owner, x * w[:, None]))


def _variance(x: Tensor, w: Tensor) -> Tensor:
    """Weighted variances (d,) of rows x (n, d)."""
    return w @ (x - w @ x / w.sum()).square() / w.sum()
