r"""Integrals of kernel densities in closed form.

A box: bumps that are products over the axes have the mass Π_a [F((u_a - x_a) / s h_a) -
F((l_a - x_a) / s h_a)] in it. On a bounded axis, this includes everything that folds or wraps into
it. Normal bumps with a full bandwidth matrix have that of the multivariate normal distribution
function, which SciPy integrates numerically (exactly in the plane, to about 1e-5 in more
dimensions).

A product of two densities with normal bumps: ∫ N(x; x_i, s² H) N(x; y_j, t² G) dx =
N(x_i; y_j, s² H + t² G). With H = L Lᵀ and L⁻¹ G L⁻ᵀ = Q Λ Qᵀ, both are diagonal in the coordinates
Qᵀ L⁻¹ x, whatever the factors s and t.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch
from pushforward.densities.bandwidths import effective_count
from pushforward.densities.kernels import Kernel
from pushforward.densities.scales import Scale
from pushforward.models.classical.kernel_density import KernelDensity

__all__ = ["Integrals"]

PAIRS = 1 << 22
"""Pairs of bumps times dimensions per block: 32 megabytes of float64."""
Parts = tuple[Tensor, Tensor, Tensor, Tensor]
"""Points (n, d), weights (n,), factors (n,) and a covariance (d, d)."""
Interval = tuple[float, float]


class Integrals(KernelDensity):
    """Exact integrals of a kernel density, and its effective number of points, by SciPy's names."""

    @property
    def neff(self) -> float:
        """The effective number of points, (Σ w)² / Σ w²: n for equal weights."""
        self.fitted_space()
        return effective_count(len(self.weights_), self.weights_)

    def integrate_box(self, low: object, high: object) -> float:
        """The probability of the box from `low` to `high`.

        For Gaussian and product kernels, and any in one dimension.
        On a periodic axis an interval may cross the ends.

        Args:
            low, high: numbers, or one per axis; infinite for open ends.
        """
        d = self.fitted_space().size
        a, b = _corner("low", low, d, self.points_), _corner("high", high, d, self.points_)
        if bool((a > b).any()):
            raise InvalidValue(
                f"low must not be above high on any axis, got {a.tolist()} and {b.tolist()}"
            )
        if self.kernel != "gaussian" and self.shape != "product" and d > 1:
            raise InvalidValue(
                "the mass of a box is closed for the Gaussian and for"
                f" {setting('shape', 'product')}; "
                f"this is a radial {self.kernel} kernel"
            )
        kernel, bounds = self._kernel(), self._bounds()
        lines = bounds.intervals(a, b, kernel, self._reach())
        if self.bandwidth_.ndim == 2 and d > 1:
            return _normal_mass(self, lines)
        total, widths = self.weights_.clone(), self._widths(range(d))
        for i, intervals in enumerate(lines):
            total *= _mass(kernel, self.points_[:, i], widths[:, i], intervals)
            if bounds.cuts:
                inside = [(float(bounds.low[i]), float(bounds.high[i]))]
                total /= _mass(kernel, self.points_[:, i], widths[:, i], inside)
        return float(total.sum().clamp(0, 1))

    def integrate_gaussian(self, mean: object, covariance: object) -> float:
        """∫ f(x) N(x; mean, covariance) dx, in closed form.

        Args:
            mean: (d,).
            covariance: (d, d), or a number in one dimension.
        """
        d = self.fitted_space().size
        centre = _corner("mean", mean, d, self.points_)
        matrix = torch.as_tensor(covariance, dtype=torch.float64).to(self.points_.device)
        shape = tuple(matrix.shape)
        matrix = matrix.reshape(1, 1) if matrix.numel() == 1 else matrix
        if matrix.shape != (d, d):
            raise ShapeMismatch(f"covariance must have shape ({d}, {d}), got {shape}")
        one = torch.ones(1, dtype=torch.float64, device=self.points_.device)
        return _overlap(_normal_parts(self), (centre[None], one, one, matrix))

    def integrate_kde(self, other: object) -> float:
        """∫ f(x) g(x) dx with another kernel density in the same space; with itself, ∫ f²."""
        if not isinstance(other, Integrals):
            raise InvalidKind(f"integrate_kde takes a KDE, got {type(other).__name__}")
        one, two = _normal_parts(self), _normal_parts(other)
        axes, others = one[0].shape[1], two[0].shape[1]
        if axes != others:
            raise ShapeMismatch(f"both densities must have as many axes, got {axes} and {others}")
        return _overlap(one, two)


def _normal_parts(model: Integrals) -> Parts:
    """The parts of a density whose bumps are normal and unbounded.

    Raises:
        InvalidValue: For any other.
    """
    d = model.fitted_space().size
    if model.kernel != "gaussian" or model._bounds().bounded:
        what = f"boundary {model.boundary!r}"
        if model.kernel != "gaussian":
            what = f"a {model.kernel} kernel"
        raise InvalidValue(
            "integrals of products are closed for Gaussian kernels without bounds; "
            f"this density has {what}"
        )
    scale = Scale.of(model.bandwidth_, d)
    return model.points_, model.weights_, model.local_, scale.covariance.to(model.points_)


def _overlap(one: Parts, two: Parts) -> float:
    """Σ_ij w_i v_j N(x_i; y_j, s_i² H + t_j² G)."""
    (x, w, s, first), (y, v, t, second) = one, two
    root, failed = torch.linalg.cholesky_ex(first)
    finite = not int(failed) and bool(torch.isfinite(second).all())
    if not finite or not bool(torch.linalg.eigvalsh(second).min() >= 0):
        raise InvalidValue("covariance must be symmetric and positive, with finite entries")
    half = torch.linalg.solve_triangular(root, second, upper=False)
    inner = torch.linalg.solve_triangular(root, half.T, upper=False)
    spread, axes = torch.linalg.eigh((inner + inner.T) / 2)
    centre = y[0]
    x, y = (
        torch.linalg.solve_triangular(root, (z - centre).T, upper=False).T @ axes for z in (x, y)
    )
    spread = spread.clamp_min(0)
    total = 0.0
    rows = max(1, PAIRS // y.numel())
    for part, weight, factor in zip(x.split(rows), w.split(rows), s.split(rows), strict=True):
        variance = factor[:, None, None] ** 2 + t[:, None] ** 2 * spread
        square = ((part[:, None] - y).square() / variance + variance.log()).sum(-1)
        total += float(weight @ (-0.5 * square).exp() @ v)
    d = x.shape[1]
    log_volume = float(root.diagonal().log().sum())
    return total * math.exp(-d / 2 * math.log(2 * math.pi) - log_volume)


def _mass(kernel: Kernel, centres: Tensor, widths: Tensor, intervals: list[Interval]) -> Tensor:
    """Mass (n,) of each bump of one axis in disjoint intervals."""
    total = torch.zeros_like(centres)
    for left, right in intervals:
        a, b = (left - centres) / widths, (right - centres) / widths
        upper = a + b > 0  # use the mirror image in the upper tail, to avoid cancellation
        low, high = torch.where(upper, -b, a), torch.where(upper, -a, b)
        total += kernel.cdf(high) - kernel.cdf(low)
    return total


def _normal_mass(model: Integrals, lines: list[list[Interval]]) -> float:
    """The mass of normal bumps with a full matrix in the boxes spanned by the axes' intervals."""
    import numpy as np
    from scipy.stats import multivariate_normal

    points, local = model.points_.cpu().numpy(), model.local_.cpu().numpy()[:, None]
    mean, covariance = np.zeros(points.shape[1]), model.bandwidth_.cpu().numpy()
    bump = multivariate_normal(mean, covariance)
    total = np.zeros(len(points))
    for box in itertools.product(*lines):
        left, right = (np.array(side) for side in zip(*box, strict=True))
        total += bump.cdf((right - points) / local, lower_limit=(left - points) / local)
    return float(np.clip(model.weights_.cpu().numpy() @ total, 0, 1))


def _corner(name: str, value: object, d: int, like: Tensor) -> Tensor:
    """A point (d,) from a number, or one per axis; not NaN."""
    point = torch.as_tensor(value, dtype=torch.float64).to(like.device).reshape(-1)
    if point.numel() not in (1, d):
        shape = tuple(torch.as_tensor(value).shape)
        raise ShapeMismatch(f"{name} must be a number or have shape ({d},), got {shape}")
    if bool(point.isnan().any()):
        raise InvalidValue(f"{name} must not be NaN")
    return point.expand(d)
