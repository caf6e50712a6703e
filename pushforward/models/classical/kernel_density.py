"""The density of bumps over stored rows, and corrections at bounds."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Observations
from pushforward.core.errors import InvalidValue
from pushforward.densities import KernelSums, Scale
from pushforward.densities.bounds import log_masses
from pushforward.models.classical.kde_boundaries import Boundary
from pushforward.models.classical.kernel_passes import KernelPasses

__all__ = ["KernelDensity"]

IMAGES = 1 << 22
"""Numbers per block of images: 32 megabytes of float64."""


class KernelDensity(KernelPasses):
    """A kernel density: its log-density, and sums over its bumps."""

    def log_prob(self, x: Observations) -> Tensor:
        """Log-density of each row (n,), nats, per unit of the user's coordinates.

        It is -inf out of reach of all bumps.
        """
        rows = self._flat(x)
        if self.boundary is None:
            return self.sums().evaluate(rows.cpu()).to(rows.device)
        bounds = self._bounds()
        if not bounds.bounded:
            return self.sums().log_density(rows)
        rows = bounds.place(rows)
        if bounds.cuts:
            value = self.sums().log_density(rows) + self._mass_correction(bounds)[1]
        else:
            value = self._over_images(rows, bounds)
        return bounds.only_inside(rows, value)

    def _over_images(self, rows: Tensor, bounds: Boundary) -> Tensor:
        """log Σ f(x') (n,) over all x' that fold or wrap to each row."""
        kernel, widths = self._kernel(), self._reach()
        count = len(bounds.images(rows[:1], kernel, widths))

        def log_density(some: Tensor) -> Tensor:
            points = bounds.images(some, kernel, widths)
            values = self.sums().log_density(points.reshape(-1, some.shape[1]))
            return values.reshape(points.shape[:2]).logsumexp(0)

        size = max(1, IMAGES // (count * rows.shape[1]))
        return torch.cat([log_density(some) for some in rows.split(size)])

    def sums(self) -> KernelSums:
        """The prepared sums over all bumps, without bounds, for plans and leave-one-out."""
        self.fitted_space()
        if self._prepared is None:
            weights, bounds = self.weights_, self._bounds()
            if bounds.cuts and bounds.bounded:
                weights = self._mass_correction(bounds)[0]
            self._prepared = KernelSums(
                self.points_,
                self._narrowed_bandwidth(),
                kernel=self.kernel,
                shape=self.shape,
                weights=weights,
                local=self.local_,
                tolerance=self.tolerance,
            )
        return self._prepared

    def _mass_correction(self, bounds: Boundary) -> tuple[Tensor, Tensor]:
        """The weights over the masses inside (n,), and the log of their sum ()."""
        if self.bandwidth_.ndim == 2:
            raise InvalidValue(
                "boundary 'renormalise' needs independent axes, got a bandwidth matrix; "
                f"use {setting('form', 'axes')} or 'reflect'"
            )
        widths = self._widths(range(self.points_.shape[1]))
        masses = log_masses(self.points_, widths, bounds.low, bounds.high, self._kernel())
        log_w = self.weights_.log() - masses
        return log_w.exp(), log_w.logsumexp(0)

    def _flat(self, x: Observations) -> Tensor:
        """Rows (n, d) in the user's units, float64.

        Raises:
            BadSource: If values are missing or infinite.
        """
        return self.conform(x).to(torch.float64).flatten(1)

    # ---------------------------------------------------------------------------------- the bumps

    def _narrowed_bandwidth(self) -> Tensor:
        """The bandwidth, reduced if bumps are flat within their bounds."""
        return self._bounds().narrowed(self.bandwidth_, self.local_, self._kernel())

    def _widths(self, axes: Iterable[int]) -> Tensor:
        """Bandwidth of each bump along each axis (n, axes)."""
        d, h = self.points_.shape[1], self._narrowed_bandwidth()
        along = h.expand(d) if h.ndim == 0 else h if h.ndim == 1 else h.diagonal().sqrt()
        return self.local_[:, None] * along[list(axes)]

    def _reach(self) -> Tensor:
        """Width of the widest bump along each axis (d,)."""
        return self._widths(range(self.fitted_space().size)).amax(0)

    def _log_bumps(self, b: list[int], values: Tensor, bounds: Boundary) -> Tensor:
        """Log-density (n,) of each bump at x_b = values, including folded mass."""
        kernel = self._kernel()
        if self.bandwidth_.ndim == 2:
            scale = Scale.of(self.bandwidth_[b][:, b], len(b))
            deltas = values - self.points_[:, b]
            squares = scale.whiten(deltas.cpu()).square().sum(1).to(deltas)
            return -0.5 * squares / self.local_**2 - len(b) * self.local_.log()
        total = torch.zeros_like(self.local_)
        widths = self._widths(b)
        for j, axis in enumerate(b):
            bounds.refuse_outside(axis, values[j])
            at = values[j : j + 1, None]
            if bounds.folds:
                at = bounds.select([axis]).images(at, kernel, widths[:, j].max()[None])[:, 0]
            # (n, images)
            r = (at[:, 0] - self.points_[:, axis, None]).abs() / widths[:, j, None]
            total = total + kernel.log_profile(r).logsumexp(1) - widths[:, j].log()
        if bounds.cuts:
            low, high = bounds.low[b], bounds.high[b]
            total = total - log_masses(self.points_[:, b], widths, low, high, kernel)
        return total
