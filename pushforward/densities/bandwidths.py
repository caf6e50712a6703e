r"""Choice of kernel bandwidths: rules of thumb, likelihood,
and bandwidths that vary between points.

With n_e = (sum w)^2 / sum w^2 the effective number of points,
s the standard deviation, C the covariance,

    scott       h = s n_e^(-1/(d+4))
    silverman   h = s (4 / (d + 2))^(1/(d+4)) n_e^(-1/(d+4));
                in one dimension .9 min(s, IQR / 1.349) n_e^(-1/5)
    likelihood  h = argmax sum_i w_i log f_{-i}(x_i),  f_{-i} without point i, or without its fold
    abramson    h_i = h (f~(x_i) / g)^(-1/2),  f~ a pilot estimate, g its geometric mean on the data
    nearest     h_i = h (distance of x_i to its k-th nearest neighbour), in bandwidths h

The rules are for Gaussian kernels; for another, h is divided by the kernel's standard deviation, so
that the bumps have the same spread (within 2 % of the canonical bandwidths of Marron & Nolan 1988,
https://doi.org/10.1016/0167-7152(88)90050-8). The form of the result is 'number' (s the root mean
square over the axes), 'axes', or 'matrix' (in squared units: h^2 with C in place of s^2).

Reference: Scott (1992), Multivariate Density Estimation, eq. 6.42,
https://doi.org/10.1002/9780470316849; Silverman (1986), Density Estimation for Statistics and Data
Analysis, eq. 3.31 and 4.15, https://doi.org/10.1201/9781315140919; Duin (1976,
https://doi.org/10.1109/TC.1976.1674577) for the leave-one-out likelihood; Abramson (1982,
https://doi.org/10.1214/aos/1176345986), On bandwidth variation in kernel estimates; Loftsgaarden &
Quesenberry (1965, https://doi.org/10.1214/aoms/1177700079).
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.choose import KernelSums
from pushforward.densities.kernels import Kernel, Shape, find_kernel
from pushforward.densities.scales import Scale

__all__ = [
    "FORMS",
    "Form",
    "Choice",
    "abramson",
    "covariance",
    "effective_count",
    "likelihood_bandwidth",
    "nearest",
    "scott",
    "silverman",
]

Form: TypeAlias = Literal["number", "axes", "matrix"]
FORMS: tuple[Form, ...] = get_args(Form)
"""One bandwidth for all axes, one for each, or a matrix."""


class Choice(NamedTuple):
    """The result of a bandwidth search.

    Args:
        factor: the best multiple of the given bandwidth.
        log_likelihood: held-out nats per point there.
        tried: (k, 2) factors and their log-likelihoods, by factor.
        at_edge: True if the best lies at an end of the range: duplicated or rounded data make the
            likelihood grow without limit as h falls.
    """

    factor: float
    log_likelihood: float
    tried: Tensor
    at_edge: bool


def effective_count(n: int, weights: Tensor | None = None) -> float:
    """(sum w)^2 / sum w^2: n for equal weights."""
    if weights is None:
        return float(n)
    w = weights.double() / weights.double().max()
    return float(w.sum() ** 2 / w.square().sum())


def covariance(x: Tensor, weights: Tensor | None = None) -> Tensor:
    """(d, d) unbiased covariance of (n, d) x, float64.

    With weights, divided by 1 - sum w^2 as in SciPy.
    """
    centred, w, rest = _centred(x, weights)
    return (
        (centred * w[:, None]).T @ centred / rest
        if rest > 0
        else torch.zeros(x.shape[1], x.shape[1]).double()
    )


def _variances(x: Tensor, weights: Tensor | None) -> Tensor:
    """(d,) the diagonal of `covariance`, with no more memory than x."""
    centred, w, rest = _centred(x, weights)
    return w @ centred.square() / rest if rest > 0 else torch.zeros(x.shape[1]).double()


def _centred(x: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, float]:
    """(n, d) rows about their mean, (n,) weights that sum to one, and 1 - sum w^2."""
    x = x.detach().to("cpu", torch.float64)
    w = (
        torch.ones(len(x), dtype=torch.float64)
        if weights is None
        else weights.detach().to("cpu", torch.float64)
    )
    w = w / w.sum()
    centred = x - x[0]
    return centred - w @ centred, w, 1 - float(w.square().sum())


def _spread(x: Tensor, weights: Tensor | None, form: Form) -> Tensor:
    """The spread a form needs: (d, d) for a matrix, else (d,)."""
    return covariance(x, weights) if form == "matrix" else _variances(x, weights)


def scott(
    x: Tensor,
    *,
    weights: Tensor | None = None,
    form: Form = "axes",
    kernel: str | Kernel = "gaussian",
    shape: Shape = "radial",
) -> Tensor:
    """Scott's bandwidth of (n, d) x: (), (d,) or (d, d) by form, float64.

    Raises:
        ValueError: If it would be zero.
    """
    d = x.shape[1]
    factor = effective_count(len(x), weights) ** (-1 / (d + 4))
    return _scale_covariance(
        _spread(x, weights, form), factor / math.sqrt(find_kernel(kernel).variance(d, shape)), form
    )


def silverman(
    x: Tensor,
    *,
    weights: Tensor | None = None,
    form: Form = "axes",
    kernel: str | Kernel = "gaussian",
    shape: Shape = "radial",
) -> Tensor:
    """Silverman's bandwidth of (n, d) x: (), (d,) or (d, d) by form, float64.

    Robust in one dimension.
    """
    d = x.shape[1]
    variance = find_kernel(kernel).variance(d, shape)
    factor = effective_count(len(x), weights) ** (-1 / (d + 4)) / math.sqrt(variance)
    if d > 1:
        return _scale_covariance(
            _spread(x, weights, form), factor * (4 / (d + 2)) ** (1 / (d + 4)), form
        )
    cov = _variances(x, weights)
    quartile = _interquartile_range(x[:, 0].detach().to("cpu", torch.float64), weights) / 1.349
    robust = min(float(cov) ** 0.5, quartile) if quartile > 0 else float(cov) ** 0.5
    return _scale_covariance(
        torch.full((1, 1) if form == "matrix" else (1,), robust**2, dtype=torch.float64),
        0.9 * factor,
        form,
    )


def abramson(pilot: Tensor, weights: Tensor | None = None, *, power: float = 0.5) -> Tensor:
    """(n,) factors (f~(x_i) / g)^-power from (n,) *log* pilot densities, g their geometric mean."""
    log_f = pilot.detach().to("cpu", torch.float64)
    if not bool(log_f.isfinite().all()):
        raise InvalidValue(
            "pilot log-densities must be finite; use a wider pilot bandwidth or an unbounded kernel"
        )
    w = torch.ones_like(log_f) if weights is None else weights.detach().to("cpu", torch.float64)
    return (-power * (log_f - (w @ log_f) / w.sum())).exp()


def nearest(x: Tensor, k: int, bandwidth: float | Tensor | Scale = 1.0) -> Tensor:
    """(n,) distances to the k-th nearest other point, in units of the bandwidth, float64.

    If more than k points coincide, the smallest positive distance is used instead of zero.
    """
    n, d = x.shape
    if not 1 <= k < n:
        raise InvalidValue(
            f"k must lie between 1 and n - 1 = {n - 1}, got {k}; pass fewer neighbours"
        )
    u = Scale.of(bandwidth, d).whiten(
        x.detach().to("cpu", torch.float64) - x[0].detach().to("cpu", torch.float64)
    )
    far = _nearest_by_tree(u, k) if d <= 10 else _nearest_by_blocks(u, k)
    positive = far[far > 0]
    if len(positive) == 0:
        raise InvalidValue(
            "nearest-neighbour bandwidths need at least two distinct points; pass bandwidth as a"
            " number"
        )
    return far.clamp_min(float(positive.min()))


def likelihood_bandwidth(
    x: Tensor,
    bandwidth: float | Tensor | Scale,
    *,
    folds: int | None = None,
    weights: Tensor | None = None,
    local: Tensor | None = None,
    kernel: str | Kernel = "gaussian",
    shape: Shape = "radial",
    between: tuple[float, float] = (0.05, 4.0),
    precision: float = 0.01,
    tolerance: float = 1e-6,
    rng: torch.Generator | None = None,
) -> Choice:
    """The multiple of `bandwidth` with the largest held-out likelihood of (n, d) x.

    Args:
        folds: None leaves one point out at a time; k cuts the data, shuffled by `rng`
            (seed 0 by default), into k parts.
        between: range of factors searched;
            a grid in log h brackets the best, then golden section narrows it.
        precision: relative precision of the factor.
        tolerance: relative error of the densities.
    """
    scale = Scale.of(bandwidth, x.shape[1])
    if folds is not None and not 2 <= folds <= len(x):
        raise InvalidValue(
            f"folds must lie between 2 and n = {len(x)}, got {folds}; None leaves one out"
        )
    if len(x) < 2:
        raise InvalidValue(
            "choosing a bandwidth needs at least 2 points, got 1; pass bandwidth as a number"
        )
    w = torch.ones(len(x)) if weights is None else weights
    w = (w.detach().double() / w.detach().double().sum()).cpu()
    part = None if folds is None else _assign_folds(len(x), folds, rng)

    def held_out(log_factor: float) -> float:
        wide = scale.times(math.exp(log_factor))

        def build(rows: Tensor | slice) -> KernelSums:
            some = None if local is None else local[rows]
            return KernelSums(
                x[rows],
                wide,
                kernel=kernel,
                weights=w[rows],
                local=some,
                shape=shape,
                tolerance=tolerance,
            )

        if part is None:
            log_f = build(slice(None)).leave_one_out()
        else:
            log_f = torch.empty(len(x), dtype=torch.float64)
            for k in range(int(part.max()) + 1):
                log_f[part == k] = build(part != k).log_density(x[part == k]).double()
        return float((w[w > 0] @ log_f[w > 0]).nan_to_num(nan=-math.inf))

    return _search(held_out, math.log(between[0]), math.log(between[1]), precision)


def _search(value: Callable[[float], float], low: float, high: float, precision: float) -> Choice:
    """Maximise a function of log h: a grid, then golden section around its best point."""
    values: dict[float, float] = {}

    def at(t: float) -> float:
        values[t] = values[t] if t in values else value(t)
        return values[t]

    grid = [low + (high - low) * i / 8 for i in range(9)]
    best = max(range(9), key=lambda i: (at(grid[i]), i))
    if at(grid[best]) == -math.inf:
        raise InvalidValue(
            "no bandwidth in range reaches all points; widen `between` or use an unbounded kernel"
        )
    left, right = grid[max(0, best - 1)], grid[min(8, best + 1)]
    ratio = (math.sqrt(5) - 1) / 2
    a, b = right - ratio * (right - left), left + ratio * (right - left)
    while right - left > 2 * precision:
        if at(a) > at(b):
            right, b = b, a
            a = right - ratio * (right - left)
        else:
            left, a = a, b
            b = left + ratio * (right - left)
    best_t = max(values, key=lambda t: values[t])
    tried = torch.tensor([[math.exp(t), values[t]] for t in sorted(values)], dtype=torch.float64)
    edge = min(best_t - low, high - best_t) <= 2 * precision
    return Choice(math.exp(best_t), values[best_t], tried, edge)


def _assign_folds(n: int, folds: int, rng: torch.Generator | None) -> Tensor:
    """(n,) the fold of each row, in folds of nearly equal size."""
    order = torch.randperm(n, generator=rng or torch.Generator().manual_seed(0))
    part = torch.empty(n, dtype=torch.int64)
    part[order] = torch.arange(n) % folds
    return part


def _scale_covariance(cov: Tensor, factor: float, form: Form) -> Tensor:
    if form not in FORMS:
        raise InvalidValue(
            f"form must be one of {', '.join(map(repr, FORMS))}, got {form!r}; pass one of these"
        )
    if form == "matrix":
        deviations = cov.diagonal().sqrt()
        # The condition is that of the correlations, because columns may have different units.
        if not bool((deviations > 0).all()) or not bool(
            torch.linalg.eigvalsh(cov / deviations / deviations[:, None])[0] > 1e-12
        ):
            raise InvalidValue(
                "no rule gives a bandwidth for a singular covariance; use form 'axes' or pass a"
                " matrix"
            )
        return cov * factor**2
    variance = cov if form == "axes" else cov.mean()
    if not bool((variance > 0).all()):
        flat = [i for i, v in enumerate(variance.reshape(-1).tolist()) if not v > 0]
        raise InvalidValue(
            f"no rule gives a bandwidth for constant data (columns {flat}); pass bandwidth as a"
            " number"
        )
    return variance.sqrt() * factor


def _interquartile_range(x: Tensor, weights: Tensor | None) -> float:
    """Distance between the quartiles, interpolated between the midpoints of the weights."""
    ordered, order = x.sort()
    w = torch.ones_like(x) if weights is None else weights.detach().to("cpu", torch.float64)[order]
    middle = w.cumsum(0) - w / 2
    at = (middle - middle[0]) / (middle[-1] - middle[0]).clamp_min(1e-300)
    return float(_interpolate(at, ordered, 0.75) - _interpolate(at, ordered, 0.25))


def _interpolate(at: Tensor, values: Tensor, share: float) -> Tensor:
    right = int(torch.searchsorted(at, share).clamp(1, max(1, len(at) - 1)))
    if len(at) == 1:
        return values[0]
    step = ((share - at[right - 1]) / (at[right] - at[right - 1])).clamp(0, 1)
    return values[right - 1] + step * (values[right] - values[right - 1])


def _nearest_by_tree(u: Tensor, k: int) -> Tensor:
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(u.numpy()).query(u.numpy(), k=[k + 1], workers=-1)
    return torch.from_numpy(distance[:, 0])


def _nearest_by_blocks(u: Tensor, k: int) -> Tensor:
    """Distances by all pairs, where a tree prunes nothing.

    By differences, accurate for near pairs.
    """
    exact = "donot_use_mm_for_euclid_dist"
    rows = max(1, 2**22 // len(u))
    return torch.cat(
        [torch.cdist(b, u, compute_mode=exact).kthvalue(k + 1, dim=1).values for b in u.split(rows)]
    )
