r"""Bounded axes: folding what spills over an end, and the share of a bump that does not.

Folding r maps the line onto [l, u] by reflection at the ends, over and over. A density f pushed forward by it is

    f_r(x) = sum of f(x') over all x' with r(x') = x      =  sum_t f(x + 2 t (u - l)) + f(2 l - x + 2 t (u - l)),

which integrates to one whatever f was; with one end only, f_r(x) = f(x) + f(2 l - x). Axes fold independently.

Reference: Silverman (1986), section 2.10; Jones (1993), Simple boundary correction for kernel density estimation.
"""

import itertools
import math

import torch
from torch import Tensor

from pushforward.densities.kernels import Kernel

__all__ = ["fold", "images", "log_masses"]

REACH = {"gaussian": 9.0, "exponential": 40.0}  # bandwidths beyond which a bump is nothing
TURNS = 50  # at most: a bump this much wider than its axis is flat there


def fold(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(n, d) reflected at the ends (d,) until it lies inside; infinite ends are open."""
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


def images(x: Tensor, low: Tensor, high: Tensor, kernel: Kernel, widest: float) -> Tensor:
    """(k, m, d): all points that fold to x (m, d), as far as bumps no wider than `widest` inside the box can reach."""
    reach = REACH.get(kernel.name, 1.0) * widest
    options = [_line(x[:, a], lo, hi, reach) for a, (lo, hi) in enumerate(zip(low.tolist(), high.tolist(), strict=True))]
    return torch.stack([torch.stack(chosen, dim=1) for chosen in itertools.product(*options)])


def _line(x: Tensor, lo: float, hi: float, reach: float) -> list[Tensor]:
    """The images of one coordinate."""
    if math.isfinite(lo) and math.isfinite(hi):
        turns = min(TURNS, math.ceil((reach + hi - lo) / (2 * (hi - lo))))
        shifts = [2 * t * (hi - lo) for t in range(-turns, turns + 1)]
        return [x + s for s in shifts] + [2 * lo - x + s for s in shifts]
    if math.isfinite(lo) or math.isfinite(hi):
        return [x, 2 * (lo if math.isfinite(lo) else hi) - x]
    return [x]


def log_masses(x: Tensor, widths: Tensor, low: Tensor, high: Tensor, kernel: Kernel) -> Tensor:
    """(n,) log of the mass inside the ends (d,) of bumps at x (n, d), products over the axes of widths (n, d)."""
    inside = kernel.cdf((high - x) / widths) - kernel.cdf((low - x) / widths)
    return inside.clamp_min(1e-300).log().sum(1)
