r"""Kernel densities by the summation method predicted to be cheapest
within the tolerance and the memory.

    log f(x) = log sum_i w_i |B_i|^-1 K(B_i^-1 (x - x_i)),
        B_i = s_i L,  H = L L^T,  sum_i w_i = 1.

| method  | serves                      | seconds, roughly             | relative error of f       |
|---------|-----------------------------|------------------------------|---------------------------|
| direct  | everything                  | n m                          | rounding                  |
| tree    | low dimension, small h best | m (points in reach + leaves) | 1e-11 (compact: rounding) |
| fourier | Gaussian, 1 to 3 dimensions | n + m + (box / h)^d          | `tolerance`, see below    |

A Fourier sum has an absolute error e. Where f < e / tolerance (in the tails), and wherever points
set aside from the grid might matter, f is summed term by term in the log domain instead; the
relative error is therefore at most `tolerance` everywhere, and log f is as accurate at -600 as at
the mode. Coordinates are first centred on a data point, and bandwidth matrices whitened (see
`scales`): offsets of 1e8 cost no more digits than float64 had already lost.
"""

import math
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.cores import Core, Group, fourier_bytes, fourier_seconds, split_cores
from pushforward.densities.direct_sums import Bumps, log_sums
from pushforward.densities.kernels import SHAPES, Kernel, Shape, find_kernel
from pushforward.densities.scales import Scale
from pushforward.densities.tree_sums import TILE, TreeSums

__all__ = ["METHODS", "Method", "KernelSums", "Plan", "log_density"]

Method: TypeAlias = Literal["auto", "direct", "tree", "fourier"]
METHODS: tuple[Method, ...] = get_args(Method)
"""How sums are computed; 'auto' takes what is predicted to be fastest."""


class Plan(NamedTuple):
    """The prediction of `KernelSums.plan`: method, time in seconds, peak memory in bytes."""

    method: Method
    seconds: float
    bytes: float


class KernelSums:
    """A kernel density over fixed points, prepared once and evaluated many times.

    Args:
        points: (n, d) data, any floating dtype, n >= 1.
        bandwidth: a number, (d,) one per axis, a (d, d) matrix H in squared units, or a `Scale`.
        kernel: one of `kernels.KERNELS`, or a Kernel.
        weights: (n,) non-negative, with any positive sum; None for equal weights.
        local: (n,) factors s_i > 0 on the bandwidth, one per point;
            None for ones. Bump i is normalised by s_i^-d.
        shape: 'radial' or 'product'; the same for the Gaussian.
        method: 'auto' chooses by predicted cost, for each number of queries.
        tolerance: allowed relative error of f, for Fourier sums.
        memory: bytes that transforms may use.

    Example:
        >>> sums = KernelSums(torch.zeros(1, 1), 1.0)
        >>> round(float(sums.log_density(torch.zeros(1, 1))), 4)
        -0.9189
    """

    def __init__(
        self,
        points: Tensor,
        bandwidth: float | Tensor | Scale,
        *,
        kernel: str | Kernel = "gaussian",
        weights: Tensor | None = None,
        local: Tensor | None = None,
        shape: Shape = "radial",
        method: Method = "auto",
        tolerance: float = 1e-6,
        memory: float = 5e8,
    ) -> None:
        x = _matrix(points, "points")
        self.count, self.dimension = x.shape
        self.kernel, self.shape = find_kernel(kernel), shape
        self.scale = Scale.of(bandwidth, self.dimension)
        _check_options(method, shape, tolerance, self.kernel, self.scale, self.dimension)
        self.method, self.tolerance, self.memory = method, tolerance, memory
        # a data coordinate on each axis, so that lattices stay lattices
        self.centre = x.median(0).values
        w = _positive(weights, self.count, "weights", zero=True)
        s = _positive(local, self.count, "local", zero=False)
        self.kept = torch.nonzero(w > 0)[:, 0]
        width = float(self.scale.root[0]) if self.scale.kind == "number" else 1.0
        log_weights = (w[self.kept] / w.max()).log()
        self.bumps = Bumps(
            self._reduced(x)[self.kept],
            s[self.kept] * width,
            log_weights - log_weights.logsumexp(0),
            self.kernel,
            "radial" if self.kernel.name == "gaussian" else shape,
        )
        self._tree: TreeSums | None = None
        self._cores: tuple[list[Core], list[Group]] | None = None

    def log_density(self, queries: Tensor) -> Tensor:
        """(m,) log f at (m, d) queries, nats per unit volume, in their dtype and on their device.

        -inf where f = 0.
        """
        x = _matrix(queries, "queries", columns=self.dimension)
        out = self._log_sums(self._reduced(x)) - self._log_volume
        return out.to(queries.dtype if queries.dtype.is_floating_point else torch.float64).to(
            queries.device
        )

    def leave_one_out(self) -> Tensor:
        """(n,) log f at each point, estimated from the others, float64.

        -inf if none reaches it, NaN if n = 1.
        """
        u, peaks = self.bumps.points, self.bumps.amplitudes
        rest = torch.log1p(-self.bumps.log_weights.exp())
        out = torch.full((self.count,), math.nan, dtype=torch.float64)
        if len(u) == 1:
            return out
        indices = torch.arange(len(u))
        method = self.plan(len(u)).method
        if method == "direct":
            value = log_sums(self.bumps, u, exclude=indices)
        elif method == "tree":
            value = self.tree.log_sums(u, exclude=indices)
        else:
            value = self._fourier_without(u, peaks)
        out[self.kept] = value - rest - self._log_volume
        return out

    def plan(self, m: int) -> Plan:
        """The method for m queries, with predicted seconds (on 2 cores) and bytes."""
        options = {name: self._predicted(name, m) for name in self._able(m)}
        if self.method != "auto":
            options = {self.method: self._predicted(self.method, m)}
        return min(options.values(), key=lambda plan: plan.seconds)

    @property
    def tree(self) -> TreeSums:
        """The points in leaves, built on first use."""
        if self._tree is None:
            self._tree = TreeSums(self.bumps)
        return self._tree

    @property
    def eps(self) -> float:
        """Accuracy requested of the transforms:
        far below the tolerance, so that few queries need term-by-term sums.
        """
        varied = float(self.bumps.scales.max()) > float(self.bumps.scales.min())
        return (
            min(1e-9, max(self.tolerance * 1e-3, 1e-14))
            if varied
            else max(self.tolerance * 1e-6, 1e-14)
        )

    @property
    def _log_volume(self) -> float:
        return 0.0 if self.scale.kind == "number" else self.scale.log_determinant

    def _reduced(self, x: Tensor) -> Tensor:
        centred = x - self.centre
        return centred if self.scale.kind == "number" else self.scale.whiten(centred)

    def _log_sums(self, u: Tensor) -> Tensor:
        method = self.plan(len(u)).method
        if method == "direct":
            return log_sums(self.bumps, u)
        return self.tree.log_sums(u) if method == "tree" else self._fourier(u)

    def _term_by_term(self, u: Tensor, exclude: Tensor | None = None) -> Tensor:
        if self._tree is None and len(u) < 64:
            return log_sums(self.bumps, u, exclude=exclude)
        return self.tree.log_sums(u, exclude=exclude)

    # ---- Fourier sums, and queries they cannot answer

    def _fourier(self, u: Tensor) -> Tensor:
        cores, groups = self._cut(len(u))
        out = torch.full((len(u),), -math.inf, dtype=torch.float64)
        open_ = torch.ones(len(u), dtype=torch.bool)
        for core in cores:
            rows = torch.nonzero(open_ & core.grid.holds(u, margin=True))[:, 0]
            if len(rows):
                others = [g for g in [*cores, *groups] if g is not core]
                value, good = self._in_core(core, others, u[rows])
                out[rows[good]] = value[good]
                open_[rows[good]] = False
        pending = torch.nonzero(open_)[:, 0]
        out[pending] = self._term_by_term(u[pending])
        return out

    def _in_core(self, core: Core, others: list[Group], u: Tensor) -> tuple[Tensor, Tensor]:
        """log f at queries in a core's box, and whether it is within tolerance."""
        density = core.density(u)
        good = density * self.tolerance > core.error
        value = density.clamp_min(1e-300).log()
        floor = value + math.log(self.tolerance / (4 * max(1, len(others))))
        for group in others:
            near = torch.nonzero(good & (group.bound(u) > floor))[:, 0]
            if len(near):
                value[near] = torch.logaddexp(value[near], group.log_sums(u[near]))
        return value, good

    def _fourier_without(self, u: Tensor, peaks: Tensor) -> Tensor:
        """Leave-one-out sums at the points:
        subtract each bump's own peak where that does not cancel.
        """
        value = self._fourier(u)
        rest = -torch.expm1((peaks - value).clamp_max(0))
        # f is within tolerance, so f - own is within tolerance / rest
        lost = torch.nonzero(rest < 0.3)[:, 0]
        out = value + rest.clamp_min(1e-300).log()
        out[lost] = self._term_by_term(u[lost], exclude=lost)
        return out

    def _cut(self, m: int) -> tuple[list[Core], list[Group]]:
        if self._cores is None:
            self._cores = split_cores(self.bumps, m, self.eps, self.memory)
        return self._cores

    # ---- predictions

    def _able(self, m: int) -> list[Method]:
        """Methods worth considering; small problems always use direct summation."""
        if len(self.bumps.points) * m < 300_000:
            return ["direct"]
        fourier = self.kernel.name == "gaussian" and self.dimension <= 3
        return ["direct", "tree", "fourier"] if fourier else ["direct", "tree"]

    def _predicted(self, method: Method, m: int) -> Plan:
        n, d = len(self.bumps.points), self.dimension
        if method == "direct":
            return Plan(method, n * m * self._pair_seconds(), 3e7 + 16.0 * (n + m) * (d + 2))
        if method == "tree":
            return Plan(method, *self._tree_cost(m))
        cores, _ = self._cut(m)
        held = sum(len(core.bumps.points) for core in cores)
        seconds, memory = 0.0, 0.0
        for core in cores:
            share = int(m * len(core.bumps.points) / n)
            transformed = 0 if core.built else len(core.bumps.points)
            args = (core.grid.size, transformed, share, core.grid.widest, d, self.eps)
            seconds += fourier_seconds(*args)
            memory = max(memory, fourier_bytes(*args))
        if held < n:
            tree_seconds, tree_bytes = self._tree_cost(max(1, int(m * (1 - held / n))))
            seconds, memory = seconds + tree_seconds, max(memory, tree_bytes)
        return Plan(method, seconds, memory)

    def _pair_seconds(self) -> float:
        if self.kernel.name == "gaussian":
            return 1.8e-9 + 2e-11 * self.dimension
        return 2.5e-9 + (4e-9 if self.bumps.separable else 0.5e-9) * min(self.dimension, 6)

    def _tree_cost(self, m: int) -> tuple[float, float]:
        """Seconds and bytes of tree sums at m queries distributed
        like the points, from a small sample of pairs.
        """
        n, d = len(self.bumps.points), self.dimension
        reach = 1.0 if self.kernel.compact else 7.6 if self.kernel.name == "gaussian" else 30.0
        some, sample = self._spaced(min(n, 1024)), self._spaced(min(n, 64))
        distance = torch.cdist(self.bumps.points[sample], self.bumps.points[some])
        distance[distance == 0] = math.inf
        crowding = (TILE * len(some) / n) ** (1 / d) + (256 * len(some) / max(m, 256)) ** (1 / d)
        nearest = distance.amin(1, keepdim=True).clamp_max(1e300)
        within = distance < reach * self.bumps.scales[some] + nearest * crowding
        pairs = m * (n * float(within.double().mean()) + 4 * TILE)
        built = 0.0 if self._tree is not None else 4e-7 * n
        return built + 1.5 * pairs * self._pair_seconds() + 1e-3 * m / 256, 5e7 + 8.0 * n * (
            3 * d + 6
        )

    def _spaced(self, count: int) -> Tensor:
        return torch.linspace(0, len(self.bumps.points) - 1, count, dtype=torch.float64).long()


def log_density(
    points: Tensor,
    queries: Tensor,
    bandwidth: float | Tensor | Scale,
    *,
    kernel: str | Kernel = "gaussian",
    weights: Tensor | None = None,
    local: Tensor | None = None,
    shape: Shape = "radial",
    method: Method = "auto",
    tolerance: float = 1e-6,
    memory: float = 5e8,
) -> Tensor:
    """(m,) log-density in nats per unit volume at (m, d) `queries`.

    Arguments and errors as for `KernelSums`.
    """
    sums = KernelSums(
        points,
        bandwidth,
        kernel=kernel,
        weights=weights,
        local=local,
        shape=shape,
        method=method,
        tolerance=tolerance,
        memory=memory,
    )
    return sums.log_density(queries)


def _matrix(x: Tensor, name: str, columns: int | None = None) -> Tensor:
    """x as (n, d) float64 on the CPU, checked."""
    if x.ndim != 2 or x.shape[1] == 0 or (columns is not None and x.shape[1] != columns):
        expected = "(n, d)" if columns is None else f"(m, {columns})"
        raise InvalidValue(
            f"{name} must have shape {expected}, got {tuple(x.shape)}; reshape them to rows of"
            " observations"
        )
    if columns is None and len(x) == 0:
        raise InvalidValue(f"{name} must hold at least one row, got none; pass data")
    x = x.detach().to("cpu", torch.float64)
    if not bool(x.isfinite().all()):
        raise InvalidValue(f"{name} must be finite, got NaN or infinity; drop or impute these rows")
    return x


def _positive(values: Tensor | None, n: int, name: str, *, zero: bool) -> Tensor:
    if values is None:
        return torch.ones(n, dtype=torch.float64)
    v = torch.as_tensor(values).detach().to("cpu", torch.float64)
    kind = "not negative with a positive sum" if zero else "positive"
    if v.shape != (n,):
        raise InvalidValue(
            f"{name} must have shape ({n},), got {tuple(v.shape)}; pass one number per point"
        )
    if (
        not bool(v.isfinite().all())
        or bool((v < 0 if zero else v <= 0).any())
        or not bool((v > 0).any())
    ):
        raise InvalidValue(
            f"{name} must be finite and {kind}, got values from {v.min():g} to {v.max():g}; check"
            " them"
        )
    return v


def _check_options(
    method: Method, shape: Shape, tolerance: float, kernel: Kernel, scale: Scale, d: int
) -> None:
    if method not in METHODS:
        raise InvalidValue(
            f"method must be one of {', '.join(map(repr, METHODS))}, got {method!r}; 'auto' chooses"
        )
    if shape not in SHAPES:
        raise InvalidValue(f"shape must be 'radial' or 'product', got {shape!r}; pass one of these")
    if not 0 < tolerance < 1:
        raise InvalidValue(
            f"tolerance must lie between 0 and 1, got {tolerance}; the default is 1e-6"
        )
    if method == "fourier" and (kernel.name != "gaussian" or d > 3):
        raise InvalidValue(
            f"method 'fourier' serves the Gaussian kernel in 1 to 3 dimensions, got {kernel.name!r}"
            f" in {d}; use 'auto'"
        )
    if shape == "product" and scale.kind == "matrix" and kernel.name != "gaussian":
        raise InvalidValue(
            "a product kernel takes one bandwidth per axis, got a matrix; pass its diagonal or use"
            " 'radial'"
        )
