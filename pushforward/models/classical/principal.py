"""Principal components from one pass of mergeable sums.

Everything is computed in float64, with fewer rows than coordinates from the singular values of the
rows. Variances are floored at the resolution of float64 (`covariance.resolution`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource, InvalidValue
from pushforward.core.fitter import Symptom
from pushforward.core.moments import Moments, sum_products
from pushforward.core.phase import Batch
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.models.classical.covariance import LEAST, Correlation, resolution
from pushforward.models.classical.dimensionality import held_out_likelihood, log_evidence
from pushforward.models.classical.refusals import (
    refuse_conditions,
    refuse_large,
    refuse_unsquarable,
    variance_symptoms,
)
from pushforward.models.classical.scatter import Scatter, WeightedRows
from pushforward.models.classical.spectra import Spectrum
from pushforward.models.parts.linear_gaussian import LinearGaussian

__all__ = ["Halves", "PrincipalPasses", "fix_signs"]

BLOCK_NUMBERS, VIEWED_NUMBERS = 1 << 25, 1 << 28
"""Numbers per block that is copied (a quarter of a gigabyte), and per block that is only viewed."""
SINGLE = 1e-12, 1e12
"""Range of standard deviations whose squares float32 holds."""
SMALL = 1 << 18
"""Below this many numbers per block, threads cost more than they save."""
FINE, RESOLVED = 1e-6, 1e4
"""Variances below this share of the largest may need the scale of correlations.

So do those below this many times the resolution, if the density depends on them.
"""
SHARP, FAINT = 1e-4, 1e-8
"""Shares of the largest variance down to which products of rows are precise enough.

They hold for the last axis kept (to 1e-11) and for the mean of those dropped (to 1e-7).
"""
NEAR, NEAR_COLUMN = 16, 1e4
"""Largest squared means, in units of the variance, that need no origin.

They hold for all columns and for each; the sums lose at most four or thirteen bits.
"""


@dataclass
class Halves:
    """Sums over the rows at even and at odd positions."""

    even: Scatter
    odd: Scatter

    def merge(self, other: Halves) -> Halves:
        """Sums over both sets of rows."""
        return Halves(self.even.merge(other.even), self.odd.merge(other.odd))


PrincipalSums = Scatter | WeightedRows | Halves
FirstAxes = Callable[[int], Tensor]
"""Eigenvectors (k, d) of the k largest eigenvalues."""
Decomposition = tuple[Tensor, Tensor, FirstAxes, Tensor]


class PrincipalPasses(LinearGaussian):
    """Principal components fitted in one pass."""

    dtype: ClassVar[torch.dtype | None] = torch.float64
    sampled_facts: ClassVar[bool] = True
    block_rows: int = 8192

    components: int | float | str | None
    precision: Literal["float32", "float64"]

    explained_variance_ratio_: Tensor
    spectrum_: Tensor
    count_: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_zeros("mean_", "explained_variance_", "explained_variance_ratio_", "spectrum_")
        self.add_zeros("components_", shape=(0, 0))
        self.add_zeros("noise_variance_", "count_", "floor_", shape=())
        self._still = 0

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions; choose the sums and their origin."""
        refuse_conditions(self, source)
        n, d = len(source), source.space.size
        if isinstance(self.components, int) and self.components > d:
            raise InvalidValue(
                f"components must be at most the number of coordinates, {d}, got {self.components}"
            )
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
        deviation = float(facts.moments.covariance.max()) ** 0.5
        self._single = self.precision == "float32" and SINGLE[0] < deviation < SINGLE[1]
        near = not self._single and _is_near_zero(facts.moments)
        self._origin = None if near else facts.moments.mean
        self.block_rows = self._rows_at_a_time(source)
        most = self.components if isinstance(self.components, int) else 0
        self._few = n < d and most <= n and self.components != "heldout"
        if not self._few:
            refuse_large(self, source)
        if self.components == "heldout" and n < 4:
            raise BadSource(
                f"{setting('components', 'heldout')} needs at least 4 rows, got {n}; pass a number"
                " of components"
            )

    def _rows_at_a_time(self, source: Source) -> int:
        """Rows per block: large views take no memory, and threads wait less often."""
        d = source.space.size
        rows = max(1024, min(1 << 15, BLOCK_NUMBERS // d))
        in_memory = isinstance(source, Arrays) and isinstance(source.x, Tensor)
        viewed = in_memory and source.x.dtype.is_floating_point  # type: ignore[attr-defined]
        if viewed and d >= 8 and self.components != "heldout":
            rows = max(rows, VIEWED_NUMBERS // d)
        return rows

    def coordinates(self, x: Tensor) -> Tensor:
        """The rows unchanged; they are widened when summed, a few at a time."""
        return x

    def statistics(self, batch: Batch) -> PrincipalSums:
        """Count, sum and products of one block, or the rows themselves if there are few."""
        x, w = batch.x.flatten(1), batch.weights
        origin = self._origin_on(x.device)
        if self._few:
            rows = x.to(torch.float64) if origin is None else x - origin
            return WeightedRows(rows, rows.new_ones(len(rows)) if w is None else w)
        if self.components == "heldout":
            even, odd = (
                self._sums(x[i::2], None if w is None else w[i::2], origin) for i in (0, 1)
            )
            return Halves(even, odd)
        return self._sums(x, w, origin)

    def _sums(self, x: Tensor, weights: Tensor | None, origin: Tensor | None) -> Scatter:
        """Sums of one block (n, d), by all threads if it is large enough."""
        if x.device.type != "cpu" or x.numel() < SMALL or x.shape[1] < 8:
            return Scatter.of(x, weights, origin)
        if weights is None:
            count = torch.tensor(float(len(x)), dtype=torch.float64)
        else:
            count = weights.sum().to(torch.float64)
        return Scatter(count, *sum_products(x, weights, origin, single=self._single))

    def saw_only_finite(self, statistics: PrincipalSums) -> bool:
        """Whether no value was missing, infinite or too large to square."""
        if isinstance(statistics, Halves):
            return self.saw_only_finite(statistics.even) and self.saw_only_finite(statistics.odd)
        if isinstance(statistics, WeightedRows):
            return bool(torch.isfinite(statistics.x).all())
        squares = statistics.products.diagonal()
        return bool(torch.isfinite(statistics.total).all() and torch.isfinite(squares).all())

    def update(self, statistics: PrincipalSums) -> bool:
        """Compute eigenvalues and vectors, choose K, fix signs and noise; one pass suffices."""
        held_out_choice = None
        if isinstance(statistics, Halves):
            held_out_choice = self._choose_held_out(statistics)
            statistics = statistics.even.merge(statistics.odd)
        from_rows = isinstance(statistics, WeightedRows)
        if isinstance(statistics, WeightedRows):
            mean, spectrum, first_axes, self.count_ = self._from_rows(statistics)
        else:
            mean, spectrum, first_axes, self.count_ = self._from_sums(statistics)
        d = len(mean)
        floor = self._floor(spectrum, mean)
        k = held_out_choice or self._how_many(spectrum, d, float(self.count_))
        rest = spectrum[k:].sum() / max(d - k, 1)
        still = 0
        least = float(rest if k < d else spectrum[-1])
        if least < max(FINE * float(spectrum[0]), RESOLVED * floor):
            if from_rows or self._single:
                still = int(float(rest) < floor) * (d - k) + int((spectrum[:k] < floor).sum())
                axes = first_axes(k)
            else:
                floor = 0.0
                spectrum, axes, still = self._finely(statistics)  # type: ignore[arg-type]
                axes = axes[:k]
                rest = spectrum[k:].sum() / max(d - k, 1)
                still = still if k == d or still >= d - k else 0
        else:
            axes = first_axes(k)
        self._set(mean, spectrum, axes, max(floor, LEAST), rest)
        self._still = still
        return True

    def _set(
        self, mean: Tensor, spectrum: Tensor, axes: Tensor, floor: float, noise: Tensor
    ) -> None:
        """Set the estimates: axes (K, d), and noise, which is 0 if K = d."""
        k, total = len(axes), spectrum.sum()
        self.floor_ = mean.new_tensor(floor)
        self.mean_, self.spectrum_ = mean, spectrum
        self.components_ = fix_signs(axes)
        self.explained_variance_ = spectrum[:k].clone()
        self.explained_variance_ratio_ = spectrum[:k] / total.clamp_min(LEAST)
        all_kept = k == len(mean)
        noise = torch.zeros_like(noise) if all_kept else torch.maximum(noise, self.floor_)
        self.noise_variance_ = noise

    def objective(self, statistics: PrincipalSums) -> Tensor:
        """Mean log-likelihood () of the rows it was fitted to, nats."""
        k, d = len(self.explained_variance_), len(self.mean_)
        scaled = (self.explained_variance_ / self._variances()).sum()
        if k < d:
            scaled = scaled + self.spectrum_[k:].sum() / self.noise_variance_
        return -0.5 * (d * math.log(2 * math.pi) + self._log_determinant() + scaled)

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Directions in which the data do not vary, if the density depends on them."""
        return variance_symptoms(self._still, len(self.mean_))

    def _origin_on(self, device: torch.device) -> Tensor | None:
        """The origin of the sums (d,), if there is one."""
        return None if self._origin is None else self._origin.to(device)

    def _from_sums(self, sums: Scatter) -> Decomposition:
        """Mean, falling eigenvalues, the first eigenvectors in rows, and Σ w."""
        mean, covariance = sums.moments(self._origin_on(sums.total.device))
        spectrum = Spectrum(covariance, self._expected())
        return mean, spectrum.values, spectrum.axes, sums.count

    def _expected(self) -> int | None:
        """The number of axes, if it is known before the eigenvalues are."""
        return self.components if isinstance(self.components, int) else None

    def _finely(self, sums: Scatter) -> tuple[Tensor, Tensor, int]:
        """Falling eigenvalues, eigenvectors in rows, and the number floored.

        For columns whose scales differ too much for a direct decomposition.
        """
        mean, covariance = sums.moments(self._origin_on(sums.total.device))
        correlation = Correlation.of(covariance, mean, common=True)
        return *correlation.principal(), correlation.still

    def _from_rows(self, rows: WeightedRows) -> Decomposition:
        """The same as `_from_sums`, from singular values of the rows."""
        count = rows.weights.sum()
        shift = rows.weights @ rows.x / count
        centred = rows.x - shift
        if not bool((rows.weights == 1).all()):
            centred *= rows.weights.sqrt()[:, None]
        origin = self._origin_on(shift.device)
        mean = shift if origin is None else origin + shift
        few = self._from_products(centred) if isinstance(self.components, int) else None
        if few is None:
            _, singular, axes = torch.linalg.svd(centred, full_matrices=False)
            few = singular.square(), lambda k: axes[:k]
        return mean, few[0] / count, few[1], count

    def _from_products(self, centred: Tensor) -> tuple[Tensor, FirstAxes] | None:
        """Squared singular values of rows (n, d) and the first axes, from their products (n, n).

        A quarter of the work, but errors are those of the largest value: None where they matter,
        that is if the last axis kept, or what is dropped, is small beside it.
        """
        k = int(self.components)  # type: ignore[arg-type]
        if centred.device.type == "cpu" and centred.numel() >= SMALL:
            products = sum_products(centred.T)[1]
        else:
            products = centred @ centred.T
        spectrum = Spectrum(products, k)
        values = spectrum.values
        dropped = values[k:].mean() if k < len(values) else values[-1]
        if not bool((values[k - 1] > SHARP * values[0]) & (dropped > FAINT * values[0])):
            return None
        return values, lambda k: spectrum.axes(k) @ centred / values[:k, None].sqrt()

    def _how_many(self, spectrum: Tensor, d: int, count: float) -> int:
        """K for this spectrum."""
        if isinstance(self.components, float):
            share = spectrum.cumsum(0) / spectrum.sum().clamp_min(LEAST)
            return min(int((share < self.components - 1e-12).sum()) + 1, len(spectrum))
        if self.components == "minka":
            scores = log_evidence(spectrum, d, count)
            return int(scores.argmax()) + 1 if len(scores) else 1
        if self.components is None:
            return min(len(spectrum), max(1, int(count)), d)
        return int(self.components)

    def _choose_held_out(self, halves: Halves) -> int:
        """K with the highest likelihood of each half given the other."""
        origin = self._origin_on(halves.even.total.device)
        one, two = halves.even.moments(origin), halves.odd.moments(origin)
        odd = held_out_likelihood(*one, *two) * halves.odd.count
        even = held_out_likelihood(*two, *one) * halves.even.count
        return int((odd + even).argmax()) + 1

    def _floor(self, spectrum: Tensor, mean: Tensor) -> float:
        """The least variance that the sums distinguish from zero."""
        single = torch.finfo(torch.float32).eps * float(spectrum.max())
        return max(resolution(spectrum, mean), single if self.precision == "float32" else 0.0)


def _is_near_zero(moments: Moments) -> bool:
    """Whether the mean is so close to 0 that sums about 0 lose little precision.

    Also within each column: a small one may be far from 0 although the largest,
    which dominates the sum, is not.
    """
    squares, variance = moments.mean.square(), moments.covariance
    overall = squares.sum() <= NEAR * variance.sum()
    each = (squares <= NEAR_COLUMN * variance).logical_or_(moments.mean == 0)
    return bool(overall.all() and each.all())


def fix_signs(axes: Tensor) -> Tensor:
    """Rows (K, d) with signs such that the largest |coefficient| of each is positive.

    Among nearly equal ones (to 1e-6) the first counts.
    """
    size = axes.abs()
    largest = size.amax(1, keepdim=True) * (1 - 1e-6)
    first = (size >= largest).to(torch.int8).argmax(1)
    return (axes * axes.gather(1, first[:, None]).sign()).contiguous()
