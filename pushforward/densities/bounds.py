r"""Bounded axes: folding mass beyond an end, wrapping it round a circle,
and the mass inside the ends.

Folding r maps the line onto [l, u] by repeated reflection at the ends.
A density f pushed forward by it is

    f_r(x) = sum of f(x') over all x' with r(x') = x
        =  sum_t f(x + 2 t (u - l)) + f(2 l - x + 2 t (u - l)),

which integrates to one for every f; with one end only, f_r(x) = f(x) + f(2 l - x). Wrapping maps it
onto the circle of period P = u - l, f_w(x) = sum_t f(x + t P). Axes fold and wrap independently,
and the mass of a box is the mass of everything that folds or wraps into it.

Images are computed as far as P / 2 plus the reach of a bump; the rest is negligible beside the
nearest image. A Gaussian wider than two turns is flat on the circle to e^(-2 pi^2 2^2) < 1e-34, so
wider ones need no more images.

Reference: Silverman (1986), section 2.10, https://doi.org/10.1201/9781315140919; Jones (1993),
Simple boundary correction for kernel density estimation, https://doi.org/10.1007/BF00147776; Mardia
& Jupp (2000), Directional Statistics, section 3.5.7 (wrapped distributions),
https://doi.org/10.1002/9780470316979.
"""

import itertools
import math

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue
from pushforward.densities.kernels import Kernel

__all__ = [
    "FLAT",
    "unroll",
    "fold",
    "find_images",
    "log_masses",
    "find_sources",
    "count_turns",
    "wrap",
]

REACH = {"gaussian": 9.0, "exponential": 40.0}  # bandwidths beyond which a bump is negligible
FLAT = 2.0  # turns: a Gaussian as wide as this is flat on its circle
MOST = 1 << 20  # images of one row
TOO_WIDE = (
    "the bandwidth is so much wider than the bounds that a row has over a million images; use a"
    " smaller bandwidth"
)


def count_turns(kernel: Kernel, widest: float, period: float) -> int:
    """How many turns each way the images of a point extend:
    half a period and the reach of a bump.
    """
    count = 0.5 + REACH.get(kernel.name, 1.0) * widest / period
    if not count < MOST:
        raise InvalidValue(TOO_WIDE)
    return math.ceil(count)


def wrap(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(n, d) wrapped to [low, high) on the axes with two ends (d,); other axes are unchanged."""
    circle = low.isfinite() & high.isfinite()
    lo, period = torch.where(circle, low, 0.0), torch.where(circle, high - low, 1.0)
    inside = (x >= low) & (x < high)  # keeps every bit
    turned = lo + torch.remainder(x - lo, period)
    return torch.where(~circle | inside, x, torch.where(turned < high, turned, lo))


def unroll(x: Tensor, weights: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(n, d) with each circle cut opposite the mean direction of its rows,
    so that spreads can be measured.
    """
    circle = low.isfinite() & high.isfinite()
    lo, period = torch.where(circle, low, 0.0), torch.where(circle, high - low, 1.0)
    angle = (x - lo) * (2 * math.pi / period)
    centre = lo + torch.atan2(weights @ angle.sin(), weights @ angle.cos()) * (
        period / (2 * math.pi)
    )
    straight = centre + torch.remainder(x - centre + period / 2, period) - period / 2
    return torch.where(circle, straight, x)


def fold(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(n, d) reflected at the ends (d,) until inside; infinite ends are open."""
    columns = []
    for column, lo, hi in zip(x.T, low.tolist(), high.tolist(), strict=True):
        if math.isfinite(lo) and math.isfinite(hi):
            phase = torch.remainder(column - lo, 2 * (hi - lo))
            columns.append(lo + torch.minimum(phase, 2 * (hi - lo) - phase))
        elif math.isfinite(lo):
            columns.append(lo + (column - lo).abs())
        else:
            columns.append(hi - (hi - column).abs() if math.isfinite(hi) else column)
    return torch.stack(columns, dim=1)


def find_images(
    x: Tensor, low: Tensor, high: Tensor, kernel: Kernel, widths: Tensor, *, circle: bool = False
) -> Tensor:
    """(k, m, d): all points that fold (or, with `circle`,
    wrap) to x (m, d), within reach of bumps inside.

    `widths` (d,) are those of the widest bump along each axis.
    """
    ends = list(zip(low.tolist(), high.tolist(), widths.tolist(), strict=True))
    if math.prod(_count_images(lo, hi, kernel, width, circle) for lo, hi, width in ends) > MOST:
        raise InvalidValue(TOO_WIDE)
    options = [
        _images_on_line(x[:, a], lo, hi, kernel, width, circle)
        for a, (lo, hi, width) in enumerate(ends)
    ]
    return torch.stack([torch.stack(chosen, dim=1) for chosen in itertools.product(*options)])


def _count_images(lo: float, hi: float, kernel: Kernel, width: float, circle: bool) -> int:
    """Number of images of one coordinate."""
    if math.isfinite(lo) and math.isfinite(hi):
        period = (hi - lo) * (1 if circle else 2)
        return (2 * count_turns(kernel, width, period) + 1) * (1 if circle else 2)
    return 2 if not circle and (math.isfinite(lo) or math.isfinite(hi)) else 1


def _images_on_line(
    x: Tensor, lo: float, hi: float, kernel: Kernel, width: float, circle: bool
) -> list[Tensor]:
    """The images of one coordinate."""
    if math.isfinite(lo) and math.isfinite(hi):
        period = hi - lo if circle else 2 * (hi - lo)
        count = count_turns(kernel, width, period)
        shifts = [t * period for t in range(-count, count + 1)]
        return [x + s for s in shifts] + ([] if circle else [2 * lo - x + s for s in shifts])
    if not circle and (math.isfinite(lo) or math.isfinite(hi)):
        return [x, 2 * (lo if math.isfinite(lo) else hi) - x]
    return [x]


def find_sources(
    a: float, b: float, lo: float, hi: float, kernel: Kernel, width: float, *, circle: bool = False
) -> list[tuple[float, float]]:
    """The disjoint intervals of the line that fold (or, with `circle`,
    wrap) into [a, b], within reach.
    """
    two = math.isfinite(lo) and math.isfinite(hi)
    if circle:
        if not two:
            return [(a, b)]
        if b - a >= hi - lo:
            return [(-math.inf, math.inf)]
        start = lo + (a - lo) % (hi - lo)
        count = count_turns(kernel, width, hi - lo) + 1
        return [
            (start + t * (hi - lo), start + (b - a) + t * (hi - lo))
            for t in range(-count, count + 1)
        ]
    a, b = max(a, lo), min(b, hi)
    if a >= b:
        return []
    if two:
        count = count_turns(kernel, width, 2 * (hi - lo)) + 1
        shifts = [2 * t * (hi - lo) for t in range(-count, count + 1)]
        return [(a + s, b + s) for s in shifts] + [(2 * lo - b + s, 2 * lo - a + s) for s in shifts]
    end = lo if math.isfinite(lo) else hi
    return [(a, b), (2 * end - b, 2 * end - a)] if math.isfinite(end) else [(a, b)]


def log_masses(x: Tensor, widths: Tensor, low: Tensor, high: Tensor, kernel: Kernel) -> Tensor:
    """(n,) log of the mass inside the ends (d,) of bumps at x
    (n, d) with widths (n, d), products over axes.
    """
    inside = kernel.cdf((high - x) / widths) - kernel.cdf((low - x) / widths)
    return inside.clamp_min(1e-300).log().sum(1)
