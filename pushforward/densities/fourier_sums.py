r"""Gaussian kernel sums in one to three dimensions by non-uniform FFT: a state that adds up, with a stated error.

On a box of periods T (volume V), with frequencies omega_k = 2 pi k / T and a Gaussian of covariance s_i^2 H on point i,

    F_k = sum_i w_i exp(-s_i^2 q_k / 2) exp(-i omega_k . x_i),          q_k = omega_k^T H omega_k,
    f(x) = 1 / (V sum_i w_i) sum_k F_k exp(i omega_k . x).

Sums over data (type 1) and over frequencies (type 2) are non-uniform FFTs. F is linear in the data: states over the same
grid merge by addition, whatever machine or hour they come from. The marginal over some axes is F at frequency zero of
the others. No normaliser appears: the transform of a normalised Gaussian is one at the origin, and h_i^-d is implied.

**Per-point bandwidths.** exp(-s^2 q / 2) is smooth in t = log s, so it is interpolated at J Chebyshev nodes s_j,

    exp(-s_i^2 q / 2) ~ sum_j l_j(log s_i) exp(-s_j^2 q / 2),
    F_k ~ sum_j exp(-s_j^2 q_k / 2) sum_i w_i l_j(log s_i) exp(-i omega_k . x_i):

J transforms in one batch, summed on one grid. In an interval of t of width delta the error falls as rho^-J, rho = y +
sqrt(y^2 + 1), y = pi / (2 delta); so the points are first parted into bins of s, which costs nothing (each point is in
one), needs fewer nodes, and lets wide bumps use fewer frequencies.

**Error.** For points in the box and queries in its margin, |error of f| is at most

    images         neighbouring periods, at least `GUARD`-like distances away,
    truncation     frequencies left out, 2 d erfc(Omega / sqrt 2) times the peak of one bump,
    interpolation  the integral over frequencies of the largest interpolation error, measured on a grid of (q, t),
    transform      `ROUNDING` eps sup f, eps the accuracy asked of finufft (its documented relative error).

The first two are theorems, the third is evaluated, the fourth is calibrated by tests/reference/test_kde_sums.py.

Reference: Barnett, Magland & af Klinteberg (2019, https://arxiv.org/abs/1808.06736), A parallel non-uniform fast
Fourier transform library (finufft).
"""

import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.scales import Scale

__all__ = ["FourierState", "FrequencyGrid"]

ROUNDING = 10.0  # transform error over eps sup f: seen up to 2.5


@dataclass(frozen=True)
class FrequencyGrid:
    """Where the coefficients live: a box, a bandwidth, and the frequencies these need.

    Arguments
        low, high: (d,) the box that holds all points, d <= 3, in the user's units.
        scale: the bandwidth (see `Scale`), the same for all states that shall merge.
        narrowest, widest: range of the per-point factors s_i; both 1 for one bandwidth.
        eps: accuracy of the transforms, relative to the largest density.
        reach: how many bandwidths outside the box a density may be asked for; None: until it falls below eps.
    """

    low: Tensor
    high: Tensor
    scale: Scale
    narrowest: float = 1.0
    widest: float = 1.0
    eps: float = 1e-12
    reach: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.dimension <= 3:
            raise InvalidValue(f"Fourier sums need 1 to 3 dimensions, got {self.dimension}; use direct sums above")
        if not bool((self.low <= self.high).all() and (self.high - self.low).isfinite().all()):
            raise InvalidValue("box must have low <= high, both finite; pass the range that will hold all points")

    @property
    def dimension(self) -> int:
        return len(self.low)

    @cached_property
    def peak(self) -> float:
        """Height of the narrowest bump: no density can be larger."""
        log_peak = -self.dimension * (0.5 * math.log(2 * math.pi) + math.log(self.narrowest))
        return math.exp(log_peak - self.scale.log_determinant)

    @cached_property
    def cut(self) -> float:
        """Omega: frequencies are kept up to this many inverse bandwidths; also the distance to the nearest image.

        A density's largest value is at least its mean over the box, so errors are held to eps times that.
        """
        spread = (self.high - self.low) + 2 * self.widest * self.scale.covariance.diagonal().sqrt()
        crowding = math.log(max(1.0, float(spread.prod()) * self.peak))
        return math.sqrt(2 * (crowding - math.log(self.eps)))

    @cached_property
    def margin(self) -> Tensor:
        """(d,) how far outside the box the density may be asked for."""
        reach = self.cut if self.reach is None else self.reach
        return reach * self.widest * self.scale.covariance.diagonal().sqrt()

    @cached_property
    def period(self) -> Tensor:
        deviation = self.widest * self.scale.covariance.diagonal().sqrt()
        return self.high - self.low + self.margin + self.cut * deviation

    @cached_property
    def modes(self) -> tuple[int, ...]:
        """Number of frequencies along each axis, odd."""
        return self.modes_for(self.narrowest)

    def modes_for(self, narrowest: float) -> tuple[int, ...]:
        """Frequencies needed by bumps no narrower than this."""
        precision = torch.linalg.inv(self.scale.covariance).diagonal().sqrt() / narrowest
        highest = (self.cut * precision * self.period / (2 * math.pi)).ceil()
        return tuple(2 * int(k) + 1 for k in highest)

    @property
    def size(self) -> int:
        return math.prod(self.modes)

    @cached_property
    def fixed_error(self) -> float:
        """Images and truncation: absolute error of f that does not depend on the data."""
        d = self.dimension
        truncation = 2 * d * math.erfc(self.cut / math.sqrt(2)) * self.peak
        deviation = self.widest * self.scale.covariance.diagonal().sqrt()
        between = float((self.period / deviation).min())
        rings = (((2 * j + 1) ** d - (2 * j - 1) ** d, self.cut + (j - 1) * between) for j in range(1, 4))
        images = sum(count * math.exp(-0.5 * gap * gap) for count, gap in rings) * self.peak
        return truncation + images

    @property
    def outside_error(self) -> float:
        """The largest density outside the box and its margin, which is reported as zero."""
        reach = self.cut if self.reach is None else self.reach
        return self.peak * math.exp(-0.5 * reach * reach)

    def agrees(self, other: "FrequencyGrid") -> bool:
        """Whether coefficients on both grids mean the same."""
        boxes = torch.equal(self.low, other.low) and torch.equal(self.high, other.high)
        numbers = (self.narrowest, self.widest, self.eps, self.reach) == (
            other.narrowest, other.widest, other.eps, other.reach,
        )  # fmt: skip
        return boxes and numbers and torch.equal(self.scale.factor, other.scale.factor) and self.modes == other.modes

    def holds(self, x: Tensor, *, margin: bool) -> Tensor:
        """(n,) whether each row of x (n, d) lies in the box, or in the box with its margin."""
        border = self.margin if margin else torch.zeros_like(self.margin)
        return ((x >= self.low - border) & (x <= self.high + border)).all(1)

    def angles(self, x: Tensor) -> list[np.ndarray]:
        """Coordinates in [-pi, pi], one array per axis."""
        turned = (x - (self.low + self.high) / 2) * (2 * math.pi / self.period)
        return [np.ascontiguousarray(column) for column in turned.numpy().T]

    def quadratic(self, modes: tuple[int, ...]) -> np.ndarray:
        """q_k = omega^T H omega on a centred grid of `modes`."""
        axes = [np.arange(-(m // 2), m // 2 + 1) * (2 * math.pi / float(t)) for m, t in zip(modes, self.period, strict=True)]
        covariance, d = self.scale.covariance.numpy(), self.dimension
        total: np.ndarray = np.zeros(modes)
        for a in range(d):
            for b in range(a, d):
                if covariance[a, b] != 0:
                    factor = covariance[a, b] * (1 if a == b else 2)
                    total += factor * _along(axes[a], a, d) * _along(axes[b], b, d)
        return total


@dataclass
class FourierState:
    """A Gaussian kernel density without its data: coefficients on a grid, additive in the points.

    It knows density and marginals with a stated absolute error; not samples, and not the far tails.

    Example
        >>> grid = FrequencyGrid(torch.tensor([0.0]), torch.tensor([1.0]), Scale.of(0.1, 1))
        >>> state = FourierState(grid).add(torch.rand(100, 1, generator=torch.Generator().manual_seed(0)))
        >>> bool(abs(state.density(torch.linspace(-0.5, 1.5, 201)[:, None]).sum() * 0.01 - 1) < 1e-5)
        True
    """

    grid: FrequencyGrid
    coefficients: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.complex128))
    mass: float = 0.0
    count: int = 0
    interpolation: float = 0.0  # summed, not yet divided by the mass
    inherited: float = 0.0  # absolute error of f brought along by `condition`

    def __post_init__(self) -> None:
        if self.coefficients.size == 0:
            self.coefficients = np.zeros(self.grid.modes, dtype=np.complex128)

    def add(self, points: Tensor, weights: Tensor | None = None, local: Tensor | None = None) -> "FourierState":
        """Add (n, d) points in place, with (n,) weights and (n,) bandwidth factors; ValueError for points off the box."""
        x = points.detach().to("cpu", torch.float64)
        outside = int((~self.grid.holds(x, margin=False)).sum())
        if outside:
            raise InvalidValue(f"expected all points in the box of the grid, got {outside} outside; make the box larger")
        n = len(x)
        w = np.ones(n) if weights is None else weights.detach().to("cpu", torch.float64).numpy()
        if local is None:
            self._add_bin(x, w[None], np.ones(1), 1.0)
        else:
            s = local.detach().to("cpu", torch.float64)
            self._add_local(x, w, s.numpy())
        self.mass, self.count = self.mass + float(w.sum()), self.count + n
        return self

    def merge(self, other: "FourierState") -> "FourierState":
        """The state of both data sets together; ValueError unless the grids agree."""
        if not self.grid.agrees(other.grid):
            raise InvalidValue("states must share one frequency grid to merge; build them from the same FrequencyGrid")
        return FourierState(
            self.grid,
            self.coefficients + other.coefficients,
            self.mass + other.mass,
            self.count + other.count,
            self.interpolation + other.interpolation,
        )

    def density(self, queries: Tensor) -> Tensor:
        """(m, d) to f, (m,) per unit volume, within `absolute_error`; 0 outside the margin of the box."""
        self._filled()
        x = queries.detach().to("cpu", torch.float64)
        inside = self.grid.holds(x, margin=True)
        out = torch.zeros(len(x), dtype=torch.float64)
        values = _type2(self.grid.angles(x[inside]), self.coefficients, self.grid.eps)
        out[inside] = torch.from_numpy(values / (float(self.grid.period.prod()) * self.mass))
        return out

    def marginal(self, axes: list[int]) -> "FourierState":
        """The state of the marginal over `axes`, exact but for the same errors."""
        grid = self.grid
        zero = tuple(slice(None) if a in axes else self.coefficients.shape[a] // 2 for a in range(grid.dimension))
        order = np.argsort(np.argsort(axes))
        part = np.transpose(self.coefficients[zero], order)
        kept = _kept(grid, axes, part.shape)
        lost = self.interpolation * kept.peak / grid.peak
        return FourierState(kept, part, self.mass, self.count, lost, self.inherited)

    def condition(self, axes: list[int], values: list[float]) -> "FourierState":
        """The state of the other axes given x[axes] = values: the series summed along those axes.

        Its error is that of the joint density over the marginal density of the values; InvalidValue where that is no
        larger than its own error.
        """
        at = torch.tensor([values], dtype=torch.float64)
        known = self.marginal(axes)
        below, error = float(known.density(at)), known.absolute_error
        if not below > 4 * error:
            raise InvalidValue(f"density at {values} is {below:.3g}, within its error {error:.3g}; condition nearer to the data")
        grid, part = self.grid, self.coefficients
        turned = [column[0] for column in known.grid.angles(at)]
        for axis, angle in sorted(zip(axes, turned), reverse=True):
            k = np.arange(part.shape[axis]) - part.shape[axis] // 2
            part = np.tensordot(part, np.exp(1j * k * angle), axes=(axis, 0)) / float(grid.period[axis])
        free = [a for a in range(grid.dimension) if a not in axes]
        kept = _kept(grid, free, part.shape)
        mass = float(part[tuple(m // 2 for m in part.shape)].real)
        return FourierState(kept, part, mass, self.count, 0.0, self.absolute_error / (below - error))

    @property
    def largest(self) -> float:
        """sup f, from the coefficients (on a grid of about .4 bandwidths: within 6 % a dimension from below)."""
        from scipy import fft

        self._filled()
        sizes = [fft.next_fast_len(m) for m in self.coefficients.shape]
        values = fft.ifftn(self.coefficients, sizes, workers=-1)
        return 1.1 * float(np.abs(values).max()) * math.prod(sizes) / (float(self.grid.period.prod()) * self.mass)

    @property
    def inner_error(self) -> float:
        """Bound on |error of f| at queries in the box and its margin, per unit volume."""
        transform = ROUNDING * max(self.grid.eps, 3e-16 * max(self.grid.modes)) * self.largest
        return self.grid.fixed_error + transform + self.interpolation / self.mass

    @property
    def absolute_error(self) -> float:
        """Bound on |error of f| at any query, per unit volume."""
        return max(self.inner_error + self.grid.outside_error, self.inherited)

    def _filled(self) -> None:
        if not self.mass > 0:
            raise InvalidValue("the state holds no points yet; add() some before asking for a density")

    def _add_bin(self, x: Tensor, strengths: np.ndarray, nodes: np.ndarray, narrowest: float) -> None:
        """Transform (J, n) strengths and add them, each smoothed by its node's Gaussian.

        Real strengths a, b share one complex transform: with G the transform of a + ib times (E_a - i E_b) / 2, the
        smoothed sum E_a A + E_b B is G(k) + conj G(-k).
        """
        modes = tuple(min(a, b) for a, b in zip(self.grid.modes_for(narrowest), self.grid.modes, strict=True))
        packed = strengths[0::2].astype(np.complex128)
        packed[: len(strengths) // 2].imag = strengths[1::2]
        damping = -0.5 * self.grid.quadratic(modes)
        half = np.zeros(modes, dtype=np.complex128)
        for j, part in enumerate(_type1(self.grid.angles(x), packed, modes, self.grid.eps)):
            half += part * np.exp(nodes[2 * j] ** 2 * damping)
            if 2 * j + 1 < len(nodes):
                half -= 1j * part * np.exp(nodes[2 * j + 1] ** 2 * damping)
        inner = tuple(slice((a - b) // 2, (a + b) // 2) for a, b in zip(self.grid.modes, modes, strict=True))
        self.coefficients[inner] += 0.5 * (half + np.conj(np.flip(half)))

    def _add_local(self, x: Tensor, weights: np.ndarray, factors: np.ndarray) -> None:
        grid = self.grid
        if factors.min() < grid.narrowest * (1 - 1e-9) or factors.max() > grid.widest * (1 + 1e-9):
            raise InvalidValue(
                f"bandwidth factors must lie in [{grid.narrowest:.6g}, {grid.widest:.6g}] of the grid, got "
                f"[{factors.min():.6g}, {factors.max():.6g}]; widen the grid"
            )
        t = np.log(factors)
        low, width = float(t.min()), float(t.max() - t.min())
        target = grid.eps / max(1.0, float((grid.high - grid.low).clamp_min(1e-300).prod()) * grid.peak)
        bins, nodes = _plan(width, len(x), grid.size, grid.dimension, grid.eps, max(target, 1e-13))
        which = np.minimum((t - low) * (bins / max(width, 1e-300)), bins - 1).astype(np.int64)
        for b in range(bins):
            chosen = np.flatnonzero(which == b)
            if len(chosen):
                left, right = low + b * width / bins, low + (b + 1) * width / bins
                basis, at = _lagrange(t[chosen], left, right, nodes)
                rows = torch.from_numpy(chosen)
                self._add_bin(x[rows], basis * weights[chosen], at, math.exp(left))
                error = _interpolation_error(right - left, nodes, grid.dimension)
                here = grid.peak * (grid.narrowest / math.exp(left)) ** grid.dimension
                self.interpolation += float(weights[chosen].sum()) * error * here


def _kept(grid: FrequencyGrid, axes: list[int], modes: tuple[int, ...]) -> FrequencyGrid:
    """The grid over some axes, with the periods and frequencies it had, so that nothing is interpolated."""
    scale = grid.scale.select(axes)
    kept = FrequencyGrid(grid.low[axes], grid.high[axes], scale, grid.narrowest, grid.widest, grid.eps, grid.reach)
    kept.__dict__.update(period=grid.period[axes], cut=grid.cut, modes=modes)
    return kept


def _along(values: np.ndarray, axis: int, dimension: int) -> np.ndarray:
    return values.reshape([-1 if a == axis else 1 for a in range(dimension)])


def _upsampling(eps: float) -> float:
    """finufft's internal oversampling: 1.25 is three times faster on large grids, but reaches only about 1e-9."""
    return 1.25 if eps >= 1e-9 else 2.0


def _type1(angles: list[np.ndarray], strengths: np.ndarray, modes: tuple[int, ...], eps: float) -> np.ndarray:
    """(J, n) complex strengths to (J, *modes): sum_i c_i exp(-i k . x_i)."""
    import finufft

    if strengths.shape[1] == 0:
        return np.zeros((len(strengths), *modes), dtype=np.complex128)
    transform = (finufft.nufft1d1, finufft.nufft2d1, finufft.nufft3d1)[len(angles) - 1]
    out = transform(*angles, strengths, modes, eps=eps, isign=-1, upsampfac=_upsampling(eps))
    return out.reshape(len(strengths), *modes)


def _type2(angles: list[np.ndarray], coefficients: np.ndarray, eps: float) -> np.ndarray:
    """(*modes) to the real part of sum_k F_k exp(i k . x) at n points."""
    import finufft

    if len(angles[0]) == 0:
        return np.zeros(0)
    transform = (finufft.nufft1d2, finufft.nufft2d2, finufft.nufft3d2)[len(angles) - 1]
    return transform(*angles, np.ascontiguousarray(coefficients), eps=eps, isign=1, upsampfac=_upsampling(eps)).real


def _chebyshev(left: float, right: float, nodes: int) -> np.ndarray:
    return (left + right) / 2 + (right - left) / 2 * np.cos((2 * np.arange(nodes) + 1) * math.pi / (2 * nodes))


def _lagrange(t: np.ndarray, left: float, right: float, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """(J, n) Lagrange polynomials of the Chebyshev nodes in [left, right] at t, and the (J,) nodes as factors e^t."""
    at = _chebyshev(left, right, nodes)
    if right <= left:
        return np.ones((1, len(t))), np.exp(at[:1])
    # l_j(u) = 2/J sum_m' T_m(u_j) T_m(u), the discrete orthogonality of Chebyshev polynomials: no division, stable
    u = np.clip((2 * t - left - right) / (right - left), -1, 1)
    degree = np.arange(nodes)
    at_nodes = np.cos(np.outer((2 * degree + 1) * math.pi / (2 * nodes), degree)) * (2.0 / nodes)
    at_nodes[:, 0] /= 2
    return at_nodes @ np.polynomial.chebyshev.chebvander(u, nodes - 1).T, np.exp(at)


def _plan(width: float, n: int, size: int, dimension: int, eps: float, target: float) -> tuple[int, int]:
    """(bins, nodes): the cheapest that keep the interpolation error below `target` of the peak."""
    if width < 1e-12:
        return 1, 1
    best = (math.inf, 1, 40)
    spreading = n * (1 - math.log10(eps)) ** dimension * 1e-9  # seconds a transform, roughly
    for bins in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32):
        nodes = next((j for j in range(2, 41) if _interpolation_error(width / bins, j, dimension) < target), 41)
        grids = size * (4e-8 if eps >= 1e-9 else 1.2e-7) * sum(math.exp(-dimension * width * b / bins) for b in range(bins))
        cost = math.ceil(nodes / 2) * (spreading + grids)
        best = min(best, (cost if nodes < 41 else cost * 1e6, bins, nodes))
    return best[1], best[2]


@lru_cache(maxsize=4096)
def _interpolation_error(width: float, nodes: int, dimension: int) -> float:
    """Largest error of f over the peak of the narrowest bump, for log-factors in an interval of this width.

    The integral over frequencies of max_t |exp(-e^(2t) q / 2) - interpolant|, for t in [0, width].
    """
    if width < 1e-12:
        return 0.0
    root = np.linspace(0, 10, 201)
    t = np.linspace(0, width, 8 * nodes + 1)
    basis, at = _lagrange(t, 0.0, width, nodes)
    exact = np.exp(-0.5 * np.exp(2 * t)[:, None] * root**2)
    wrong = np.abs(exact - basis.T @ np.exp(-0.5 * at[:, None] ** 2 * root**2)).max(0)
    sphere = 2 * math.pi ** (dimension / 2) / math.gamma(dimension / 2)
    integral = sphere * np.trapezoid(wrong * root ** (dimension - 1), root)
    return 1.05 * float(integral) / (2 * math.pi) ** (dimension / 2)
