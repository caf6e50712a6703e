r"""Kernel densities by the summation method predicted to be cheapest
within the tolerance and the memory.

    log f(x) = log sum_i w_i |B_i|^-1 K(B_i^-1 (x - x_i)),
        B_i = s_i L,  H = L L^T,  sum_i w_i = 1.

| method  | serves                      | seconds, roughly             | relative error of f       |
|---------|-----------------------------|------------------------------|---------------------------|
| direct  | everything; on accelerators | n m                          | rounding                  |
| tree    | low dimension, small h best | n + m (points in reach)      | `tolerance`               |
| fourier | Gaussian, 1 to 3 dimensions | n + m + (box / h)^d          | `tolerance`, see below    |

A Fourier sum has an absolute error e. Where f < e / tolerance (in the tails), and wherever points
set aside from the grid might matter, f is summed term by term in the log domain instead; the
relative error is therefore at most `tolerance` everywhere, and log f is as accurate at -600 as at
the mode. Coordinates are first centred on a data point, and bandwidth matrices whitened (see
`scales`): offsets of 1e8 cost no more digits than float64 had already lost.
"""

import math
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.densities.cores import (
    Core,
    Group,
    fourier_bytes,
    fourier_seconds,
    least_fourier_seconds,
    split_cores,
)
from pushforward.densities.costs import direct_cost, points_in_reach, tree_cost
from pushforward.densities.device_sums import DeviceSums
from pushforward.densities.direct_sums import Bumps, FewSums, log_sums
from pushforward.densities.kernels import Kernel, Shape, find_kernel
from pushforward.densities.scales import Scale
from pushforward.densities.sum_arguments import (
    METHODS,
    Method,
    check_options,
    check_positive,
    check_rows,
)
from pushforward.densities.ties import MANY, find_ties, merge_ties
from pushforward.densities.tree_sums import TreeSums

__all__ = ["METHODS", "Method", "KernelSums", "Plan", "log_density"]

FEW = 20_000  # pairs up to which a call costs more than its arithmetic


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
        tolerance: allowed relative error of f, by every method.
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
        x = check_rows(points, "points")
        self.count, self.dimension = x.shape
        self.kernel, self.shape = find_kernel(kernel), shape
        self.scale = Scale.of(bandwidth, self.dimension)
        check_options(method, shape, tolerance, self.kernel, self.scale, self.dimension)
        self.method, self.tolerance, self.memory = method, tolerance, memory
        # a data coordinate on each axis, so that lattices stay lattices
        self.centre = x[:: max(1, len(x) // 1024)].median(0).values
        w = check_positive(weights, self.count, "weights", zero=True)
        s = check_positive(local, self.count, "local", zero=False)
        self.kept: Tensor | slice = slice(None)
        u, log_weights = self._reduced(x), w.new_tensor(-math.log(self.count)).expand(self.count)
        if weights is not None:
            self.kept = torch.nonzero(w > 0)[:, 0]
            log_weights = (w[self.kept] / w.max()).log()
            log_weights -= log_weights.logsumexp(0)
        width = float(self.scale.root[0]) if self.scale.kind == "number" else 1.0
        radial = self.kernel.name == "gaussian" or shape == "radial"
        scales = (s[:1] * width).expand(self.count) if local is None else s * width
        self.single = Bumps(
            u[self.kept],
            scales[self.kept],
            log_weights,
            self.kernel,
            "radial" if radial else shape,
        )
        self.bumps, self.group = merge_ties(self.single)
        self._device_sums = DeviceSums(self.bumps)
        # a square beyond float64's range has an error message of its own
        low, high = self.bumps.box
        squares = max(high.max(), -low.min()) / self.bumps.narrowest < 1e150
        self._few_serve = self.kernel.name == "gaussian" and method != "tree" and bool(squares)
        self._few: FewSums | None = None
        self._tree: TreeSums | None = None
        self._cores: tuple[list[Core], list[Group]] | None = None

    def log_density(self, queries: Tensor) -> Tensor:
        """(m,) log f at (m, d) queries, nats per unit volume, in their dtype and on their device.

        -inf where f = 0.
        """
        x, device = check_rows(queries, "queries", columns=self.dimension), queries.device
        if self._suits(device, len(x)):
            out = self._device_sums.log_sums(self._reduced(x), device) - self._log_volume
        else:
            out = self.evaluate(x)
        return out.to(queries.dtype if queries.dtype.is_floating_point else torch.float64).to(
            queries.device
        )

    def evaluate(self, x: Tensor) -> Tensor:
        """(m,) log f at (m, d) finite float64 rows on the CPU, which are not checked."""
        ties = find_ties(x) if len(x) > MANY else None
        if ties is None:
            return self._log_sums(self._reduced(x)) - self._log_volume
        return (self._log_sums(self._reduced(x[ties[0]])) - self._log_volume)[ties[1]]

    def leave_one_out(self) -> Tensor:
        """(n,) log f at each point, estimated from the others, float64.

        -inf if none reaches it, NaN if n = 1.
        """
        out = torch.full((self.count,), math.nan, dtype=torch.float64)
        if len(self.single.points) == 1:
            return out
        method = self.plan(len(self.bumps.points)).method
        value = self._fourier_without() if method == "fourier" else self._without(method)
        rest = torch.log1p(-self.single.log_weights.exp())
        out[self.kept] = value - rest - self._log_volume
        return out

    def _without(self, method: Method, groups: Tensor | None = None) -> Tensor:
        """Sums at the points without each: of the other groups, and of others in its own.

        Of the points in `groups` (k,) alone, if given.
        """
        count = len(self.bumps.points)
        index = torch.arange(count) if groups is None else groups
        u = self.bumps.points[index]
        if method == "direct":
            others = log_sums(self.bumps, u, exclude=index)
        else:
            others = self.tree.log_sums(u, exclude=index)
        if self.bumps is self.single:
            return others
        place = torch.full((count,), -1)
        place[index] = torch.arange(len(index))
        group = self.group[place[self.group] >= 0]
        own = self.single.log_weights[place[self.group] >= 0]
        ratio = (own - self.bumps.log_weights[group]).exp()
        alone = torch.bincount(self.group, minlength=count)[group] == 1
        twins = torch.log1p(-ratio.clamp_max(1)).masked_fill_(alone, -math.inf)
        return torch.logaddexp(others[place[group]], twins + self.bumps.amplitudes[group])

    def plan(self, m: int) -> Plan:
        """The method for m queries, with predicted seconds (on 2 cores) and bytes."""
        names = self._able(m) if self.method == "auto" else [self.method]
        return min((self._predicted(name, m) for name in names), key=lambda plan: plan.seconds)

    @property
    def tree(self) -> TreeSums:
        """The points in leaves, built on first use."""
        if self._tree is None:
            self._tree = TreeSums(self.bumps, self.tolerance)
        return self._tree

    @property
    def eps(self) -> float:
        """Accuracy requested of the transforms, so far below the tolerance that few queries fail.

        Grids in space are dear, so that more of the queries may fail there.
        """
        varied = self.bumps.widest > self.bumps.narrowest
        if varied or self.dimension == 3:
            return min(1e-9, max(self.tolerance * 1e-3, 1e-14))
        return max(self.tolerance * 1e-6, 1e-14)

    @cached_property
    def _reached(self) -> float:
        return points_in_reach(self.bumps, self.tolerance)

    @cached_property
    def _log_volume(self) -> float:
        return 0.0 if self.scale.kind == "number" else self.scale.log_determinant

    def _reduced(self, x: Tensor) -> Tensor:
        centred = x - self.centre
        return centred if self.scale.kind == "number" else self.scale.whiten(centred)

    def _suits(self, device: torch.device, m: int) -> bool:
        """Whether m queries are answered sooner by direct sums on the queries' own device."""
        if device.type in ("cpu", "mps") or self.method not in ("auto", "direct"):
            return False  # mps has no float64
        return self.method == "direct" or self._device_sums.seconds(m) < self.plan(m).seconds

    def _log_sums(self, u: Tensor) -> Tensor:
        if len(u) * len(self.bumps.points) <= FEW and self._few_serve:
            if self._few is None:
                self._few = FewSums(self.bumps)
            return torch.from_numpy(self._few.log_sums(u.numpy()))
        method = self.plan(len(u)).method
        if method == "direct":
            return log_sums(self.bumps, u)
        return self.tree.log_sums(u) if method == "tree" else self._fourier(u)

    def _term_by_term(self, u: Tensor) -> Tensor:
        if self._tree is None and len(u) < 64:
            return log_sums(self.bumps, u)
        return self.tree.log_sums(u)

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
        good = density * self.tolerance / 2 > core.error
        value = density.clamp_min(1e-300).log()
        floor = value + math.log(self.tolerance / (4 * max(1, len(others))))
        for group in others:
            near = torch.nonzero(good & (group.bound(u) > floor))[:, 0]
            if len(near):
                value[near] = torch.logaddexp(value[near], group.log_sums(u[near]))
        return value, good

    def _fourier_without(self) -> Tensor:
        """Leave-one-out sums at the points.

        Each bump's own peak is subtracted where that does not cancel.
        """
        value = self._fourier(self.bumps.points)
        if self.bumps is not self.single:
            value = value[self.group]
        rest = -torch.expm1((self.single.amplitudes - value).clamp_max(0))
        # f is within tolerance, so f - own is within tolerance / rest
        lost = rest < 0.3
        out = value + rest.clamp_min(1e-300).log()
        if bool(lost.any()):
            groups = torch.nonzero(lost)[:, 0]
            if self.bumps is not self.single:
                groups = self.group[lost].unique()
                lost = torch.isin(self.group, groups)
            out[lost] = self._without("tree", groups)
        return out

    def _cut(self, m: int) -> tuple[list[Core], list[Group]]:
        if self._cores is None:
            self._cores = split_cores(
                self.bumps, m, self.eps, self.memory, tolerance=self.tolerance / 4
            )
        return self._cores

    # ---- predictions

    def _able(self, m: int) -> list[Method]:
        """Methods worth considering; small problems always use direct summation."""
        if len(self.bumps.points) * m < 300_000:
            return ["direct"]
        options: list[Method] = ["direct", "tree"]
        if self.kernel.name == "gaussian" and self.dimension <= 3 and self._cores is None:
            least = least_fourier_seconds(self.bumps, m, self.eps)
            fast = min(self._predicted(name, m).seconds for name in options)
            return ["direct", "tree", "fourier"] if least < fast else options
        return [*options, "fourier"] if self._cores is not None else options

    def _predicted(self, method: Method, m: int) -> Plan:
        n, d = len(self.bumps.points), self.dimension
        if method == "direct":
            return Plan(method, *direct_cost(self.bumps, m))
        if method == "tree":
            return Plan(method, *tree_cost(self.bumps, m, self._reached, self._tree is not None))
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
            rest = max(1, int(m * (1 - held / n)))
            tree_seconds, tree_bytes = tree_cost(self.bumps, rest, self._reached, False)
            seconds, memory = seconds + tree_seconds, max(memory, tree_bytes)
        return Plan(method, seconds, memory)


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
