r"""Gaussian kernel sums in one to three dimensions by non-uniform FFT, with a stated error.

On a box of periods T (volume V), with frequencies omega_k = 2 pi
k / T and a Gaussian of covariance s_i^2 H on point i,

    F_k = sum_i w_i exp(-s_i^2 q_k / 2) exp(-i omega_k . x_i),          q_k = omega_k^T H omega_k,
    f(x) = 1 / (V sum_i w_i) sum_k F_k exp(i omega_k . x).

Sums over data (type 1) and over frequencies (type 2) are non-uniform FFTs. F is linear in the data:
states over the same grid merge by addition, wherever they were computed. The marginal over some
axes is F at frequency zero of the others. No normaliser appears: the transform of a normalised
Gaussian is one at the origin, which implies h_i^-d.

**Per-point bandwidths.** exp(-s^2 q / 2) is interpolated in log s at J nodes s_j,

    exp(-s_i^2 q / 2) ~ sum_j l_j(log s_i) exp(-s_j^2 q / 2), F_k ~ sum_j exp(-s_j^2 q_k / 2) sum_i
    w_i l_j(log s_i) exp(-i omega_k . x_i):

J transforms in one batch, summed on one grid. The points are first divided into bins of s, which is
free (each point is in one bin), needs fewer nodes, and lets wide bumps use fewer frequencies.

**Error.** For points in the box and queries in its margin, |error of f| is at most

    images         neighbouring periods, at least `cut` bandwidths away,
    truncation     frequencies left out, 2 d erfc(Omega / sqrt 2) times the peak of one bump,
    interpolation  the integral over frequencies of the largest interpolation error, measured on a
                   grid of (q, t),
    transform      `ROUNDING` eps sup f, eps the requested accuracy of finufft, relative.

The first two are theorems, the third is evaluated, the fourth is calibrated by
tests/reference/test_kde_sums.py.

Reference:
    Barnett, Magland & af Klinteberg (2019), A parallel non-uniform fast Fourier transform library
    based on an "exponential of semicircle" kernel. https://doi.org/10.1137/18M120885X
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.frequency_grid import FrequencyGrid, select_axes
from pushforward.densities.log_interpolation import (
    interpolation_error,
    lagrange_polynomials,
    plan_bins,
)

__all__ = ["FourierState"]

ROUNDING = 10.0
"""Transform error over eps sup f; up to 2.5 was observed."""


@dataclass
class FourierState:
    """A Gaussian kernel density without its data: coefficients on a grid, additive in the points.

    It gives density and marginals with a stated absolute error, but neither samples nor far tails.

    Args:
        grid: the frequencies of the coefficients.
        coefficients: F (*modes), complex.
        mass: the total weight.
        count: the number of points.
        interpolation: error of interpolation, summed, not yet divided by the mass.
        inherited: absolute error of f inherited from `condition`.

    Example:
        >>> from pushforward.densities.scales import Scale
        >>> grid = FrequencyGrid(torch.tensor([0.0]), torch.tensor([1.0]), Scale.of(0.1, 1))
        >>> x = torch.rand(100, 1, generator=torch.Generator().manual_seed(0))
        >>> state = FourierState(grid).add(x)
        >>> density = state.density(torch.linspace(-0.5, 1.5, 201)[:, None])
        >>> bool(abs(density.sum() * 0.01 - 1) < 1e-5)
        True
    """

    grid: FrequencyGrid
    coefficients: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.complex128))
    mass: float = 0.0
    count: int = 0
    interpolation: float = 0.0
    inherited: float = 0.0

    def __post_init__(self) -> None:
        if self.coefficients.size == 0:
            self.coefficients = np.zeros(self.grid.modes, dtype=np.complex128)

    def add(
        self, points: Tensor, weights: Tensor | None = None, local: Tensor | None = None
    ) -> FourierState:
        """Add points (n, d) in place, with weights (n,) and bandwidth factors (n,).

        Raises:
            InvalidValue: For points outside the box.
        """
        x = points.detach().to("cpu", torch.float64)
        outside = int((~self.grid.holds(x, margin=False)).sum())
        if outside:
            raise InvalidValue(
                f"expected all points in the box of the grid, got {outside} outside; make the box"
                " larger"
            )
        n = len(x)
        w = np.ones(n) if weights is None else weights.detach().to("cpu", torch.float64).numpy()
        if local is None:
            self._add_bin(x, w[None], np.ones(1), 1.0)
        else:
            s = local.detach().to("cpu", torch.float64)
            self._add_local(x, w, s.numpy())
        self.mass, self.count = self.mass + float(w.sum()), self.count + n
        return self

    def merge(self, other: FourierState) -> FourierState:
        """The state of both data sets together.

        Raises:
            InvalidValue: If the grids differ.
        """
        if not self.grid.agrees(other.grid):
            raise InvalidValue(
                "states must share one frequency grid to merge; build them from the same"
                " FrequencyGrid"
            )
        return FourierState(
            self.grid,
            self.coefficients + other.coefficients,
            self.mass + other.mass,
            self.count + other.count,
            self.interpolation + other.interpolation,
        )

    def density(self, queries: Tensor) -> Tensor:
        """f (m,) at queries (m, d), per unit volume, within `absolute_error`.

        It is 0 outside the margin of the box.
        """
        self._require_points()
        x = queries.detach().to("cpu", torch.float64)
        inside = self.grid.holds(x, margin=True)
        out = torch.zeros(len(x), dtype=torch.float64)
        values = _evaluate_series(self.grid.angles(x[inside]), self.coefficients, self.grid.eps)
        out[inside] = torch.from_numpy(values / (float(self.grid.period.prod()) * self.mass))
        return out

    def marginal(self, axes: list[int]) -> FourierState:
        """The state of the marginal over `axes`, exact but for the same errors."""
        grid = self.grid
        zero = tuple(
            slice(None) if a in axes else self.coefficients.shape[a] // 2
            for a in range(grid.dimension)
        )
        order = np.argsort(np.argsort(axes))
        part = np.transpose(self.coefficients[zero], order)
        part_grid = select_axes(grid, axes, part.shape)
        lost = self.interpolation * part_grid.peak / grid.peak
        return FourierState(part_grid, part, self.mass, self.count, lost, self.inherited)

    def condition(self, axes: list[int], values: list[float]) -> FourierState:
        """The state of the other axes given x[axes] = values: the series summed along those axes.

        Its error is that of the joint density over the marginal density of the values.

        Raises:
            InvalidValue: If that density is within its error.
        """
        at = torch.tensor([values], dtype=torch.float64)
        marginal = self.marginal(axes)
        below, error = float(marginal.density(at)), marginal.absolute_error
        if not below > 4 * error:
            raise InvalidValue(
                f"density at {values} is {below:.3g}, within its error {error:.3g}; condition"
                " closer to the data"
            )
        grid, part = self.grid, self.coefficients
        turned = [column[0] for column in marginal.grid.angles(at)]
        for axis, angle in sorted(zip(axes, turned), reverse=True):
            k = np.arange(part.shape[axis]) - part.shape[axis] // 2
            part = np.tensordot(part, np.exp(1j * k * angle), axes=(axis, 0)) / float(
                grid.period[axis]
            )
        free = [a for a in range(grid.dimension) if a not in axes]
        part_grid = select_axes(grid, free, part.shape)
        mass = float(part[tuple(m // 2 for m in part.shape)].real)
        return FourierState(
            part_grid, part, mass, self.count, 0.0, self.absolute_error / (below - error)
        )

    @property
    def largest(self) -> float:
        """sup f, from the coefficients.

        On a grid of about .4 bandwidths: up to 6 % too low per dimension.
        """
        from scipy import fft

        self._require_points()
        sizes = [fft.next_fast_len(m) for m in self.coefficients.shape]
        values = fft.ifftn(self.coefficients, sizes, workers=-1)
        volume = float(self.grid.period.prod())
        largest: float = 1.1 * float(np.abs(values).max()) * math.prod(sizes) / (volume * self.mass)
        return largest

    @property
    def inner_error(self) -> float:
        """Bound on |error of f| at queries in the box and its margin, per unit volume."""
        transform = ROUNDING * max(self.grid.eps, 3e-16 * max(self.grid.modes)) * self.largest
        return self.grid.fixed_error + transform + self.interpolation / self.mass

    @property
    def absolute_error(self) -> float:
        """Bound on |error of f| at any query, per unit volume."""
        return max(self.inner_error + self.grid.outside_error, self.inherited)

    def _require_points(self) -> None:
        if not self.mass > 0:
            raise InvalidValue(
                "the state holds no points yet; add() some before evaluating a density"
            )

    def _add_bin(
        self, x: Tensor, strengths: np.ndarray, nodes: np.ndarray, narrowest: float
    ) -> None:
        """Transform (J, n) strengths and add them, each smoothed by its node's Gaussian.

        Real strengths a, b share one complex transform: with G the transform of a + ib times
        (E_a - i E_b) / 2, the smoothed sum E_a A + E_b B is G(k) + conj G(-k).
        """
        modes = tuple(
            min(a, b) for a, b in zip(self.grid.modes_for(narrowest), self.grid.modes, strict=True)
        )
        packed = strengths[0::2].astype(np.complex128)
        packed[: len(strengths) // 2].imag = strengths[1::2]
        damping = -0.5 * self.grid.quadratic(modes)
        half = np.zeros(modes, dtype=np.complex128)
        for j, part in enumerate(
            _transform_points(self.grid.angles(x), packed, modes, self.grid.eps)
        ):
            half += part * np.exp(nodes[2 * j] ** 2 * damping)
            if 2 * j + 1 < len(nodes):
                half -= 1j * part * np.exp(nodes[2 * j + 1] ** 2 * damping)
        inner = tuple(
            slice((a - b) // 2, (a + b) // 2) for a, b in zip(self.grid.modes, modes, strict=True)
        )
        self.coefficients[inner] += 0.5 * (half + np.conj(np.flip(half)))

    def _add_local(self, x: Tensor, weights: np.ndarray, factors: np.ndarray) -> None:
        grid = self.grid
        if factors.min() < grid.narrowest * (1 - 1e-9) or factors.max() > grid.widest * (1 + 1e-9):
            raise InvalidValue(
                f"bandwidth factors must lie in [{grid.narrowest:.6g}, {grid.widest:.6g}] of the"
                f" grid, got [{factors.min():.6g}, {factors.max():.6g}]; widen the grid"
            )
        t = np.log(factors)
        low, width = float(t.min()), float(t.max() - t.min())
        target = grid.eps / max(
            1.0, float((grid.high - grid.low).clamp_min(1e-300).prod()) * grid.peak
        )
        bins, nodes = plan_bins(
            width, len(x), grid.size, grid.dimension, grid.eps, max(target, 1e-13)
        )
        bin_of = np.minimum((t - low) * (bins / max(width, 1e-300)), bins - 1).astype(np.int64)
        for b in range(bins):
            members = np.flatnonzero(bin_of == b)
            if len(members):
                left, right = low + b * width / bins, low + (b + 1) * width / bins
                basis, at = lagrange_polynomials(t[members], left, right, nodes)
                rows = torch.from_numpy(members)
                self._add_bin(x[rows], basis * weights[members], at, math.exp(left))
                error = interpolation_error(right - left, nodes, grid.dimension)
                here = grid.peak * (grid.narrowest / math.exp(left)) ** grid.dimension
                self.interpolation += float(weights[members].sum()) * error * here


def _upsampling(eps: float) -> float:
    """finufft's internal oversampling.

    1.25 is three times faster on large grids, but reaches only about 1e-9.
    """
    return 1.25 if eps >= 1e-9 else 2.0


def _transform_points(
    angles: list[np.ndarray], strengths: np.ndarray, modes: tuple[int, ...], eps: float
) -> np.ndarray:
    """(J, n) complex strengths to (J, *modes): sum_i c_i exp(-i k . x_i)."""
    import finufft

    if strengths.shape[1] == 0:
        return np.zeros((len(strengths), *modes), dtype=np.complex128)
    transform = (finufft.nufft1d1, finufft.nufft2d1, finufft.nufft3d1)[len(angles) - 1]
    out = transform(*angles, strengths, modes, eps=eps, isign=-1, upsampfac=_upsampling(eps))
    spectra: np.ndarray = out.reshape(len(strengths), *modes)
    return spectra


def _evaluate_series(angles: list[np.ndarray], coefficients: np.ndarray, eps: float) -> np.ndarray:
    """(*modes) to the real part of sum_k F_k exp(i k . x) at n points."""
    import finufft

    if len(angles[0]) == 0:
        return np.zeros(0)
    transform = (finufft.nufft1d2, finufft.nufft2d2, finufft.nufft3d2)[len(angles) - 1]
    modes = np.ascontiguousarray(coefficients)
    out = transform(*angles, modes, eps=eps, isign=1, upsampfac=_upsampling(eps))
    sums: np.ndarray = out.real
    return sums
