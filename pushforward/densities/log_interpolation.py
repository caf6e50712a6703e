r"""Interpolation of Gaussians in the logarithm of their width.

exp(-s^2 q / 2) is smooth in t = log s, so it is interpolated at J Chebyshev nodes. In an interval
of t of width delta the error falls as rho^-J, rho = y + sqrt(y^2 + 1), y = pi / (2 delta).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

__all__ = ["interpolation_error", "lagrange_polynomials", "plan_bins"]


def _chebyshev_nodes(left: float, right: float, nodes: int) -> np.ndarray:
    """Chebyshev nodes (J,) in [left, right]."""
    return (left + right) / 2 + (right - left) / 2 * np.cos(
        (2 * np.arange(nodes) + 1) * math.pi / (2 * nodes)
    )


def lagrange_polynomials(
    t: np.ndarray, left: float, right: float, nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lagrange polynomials (J, n) of Chebyshev nodes in [left, right] at t (n,),
    and the nodes (J,) as e^t.
    """
    at = _chebyshev_nodes(left, right, nodes)
    if right <= left:
        return np.ones((1, len(t))), np.exp(at[:1])
    # l_j(u) = 2/J sum_m' T_m(u_j) T_m(u), by the discrete orthogonality of Chebyshev polynomials:
    # stable, because it needs no division
    u = np.clip((2 * t - left - right) / (right - left), -1, 1)
    degree = np.arange(nodes)
    at_nodes = np.cos(np.outer((2 * degree + 1) * math.pi / (2 * nodes), degree)) * (2.0 / nodes)
    at_nodes[:, 0] /= 2
    return at_nodes @ np.polynomial.chebyshev.chebvander(u, nodes - 1).T, np.exp(at)


def plan_bins(
    width: float,
    n: int,
    size: int,
    dimension: int,
    eps: float,
    target: float,
) -> tuple[int, int]:
    """The cheapest numbers of bins and nodes that keep the interpolation error small.

    Args:
        width: of the interval of log-factors.
        n: number of points.
        size: number of coefficients.
        dimension: number of axes.
        eps: requested accuracy of the transforms.
        target: allowed error, as a share of the peak.
    """
    if width < 1e-12:
        return 1, 1
    best = (math.inf, 1, 40)
    spreading = n * (1 - math.log10(eps)) ** dimension * 1e-9  # seconds a transform, roughly
    for bins in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32):
        fine = (j for j in range(2, 41) if interpolation_error(width / bins, j, dimension) < target)
        nodes = next(fine, 41)
        shares = sum(math.exp(-dimension * width * b / bins) for b in range(bins))
        grids = size * (4e-8 if eps >= 1e-9 else 1.2e-7) * shares
        cost = math.ceil(nodes / 2) * (spreading + grids)
        best = min(best, (cost if nodes < 41 else cost * 1e6, bins, nodes))
    return best[1], best[2]


@lru_cache(maxsize=4096)
def interpolation_error(width: float, nodes: int, dimension: int) -> float:
    """Largest error of f relative to the narrowest bump's peak,
    for log-factors in an interval of this width.

    The integral over frequencies of max_t |exp(-e^(2t) q / 2) - interpolant|, for t in [0, width].
    """
    if width < 1e-12:
        return 0.0
    root = np.linspace(0, 10, 201)
    t = np.linspace(0, width, 8 * nodes + 1)
    basis, at = lagrange_polynomials(t, 0.0, width, nodes)
    exact = np.exp(-0.5 * np.exp(2 * t)[:, None] * root**2)
    wrong = np.abs(exact - basis.T @ np.exp(-0.5 * at[:, None] ** 2 * root**2)).max(0)
    sphere = 2 * math.pi ** (dimension / 2) / math.gamma(dimension / 2)
    integral = sphere * np.trapezoid(wrong * root ** (dimension - 1), root)
    error: float = 1.05 * float(integral) / (2 * math.pi) ** (dimension / 2)
    return error
