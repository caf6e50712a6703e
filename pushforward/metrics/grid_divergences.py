r"""Divergences between the histograms of two sets of points on a grid.

With p and q the shares of the points in each cell, in nats,

    KL(p ‖ q) = Σ p ln(p / q),      JS(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m),   m = (p + q)/2 ≤ ln 2.

KL is infinite as soon as a cell holds points of the first set alone, so a small number of points is
added to every cell of both. GAN Lab shows both numbers in this way (Kahng et al. 2019,
https://arxiv.org/abs/1809.01587; 30 cells along each axis, 10⁻⁴ added to every share, in bits).

They are numbers to watch, not estimates of the divergence of two densities: they depend on the
cells, and two samples of the same distribution are some way apart. Compare them with what two
sets of real rows of the same size have (`metrics.divergence` estimates divergences proper).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, ShapeMismatch

__all__ = [
    "CELLS",
    "SMOOTHING",
    "count_cells",
    "grid_divergences",
    "js_divergence",
    "kl_divergence",
]

CELLS = 30
"""Cells along each axis."""
SMOOTHING = 0.1
"""Points added to every cell for KL: 10⁻⁴ of a thousand points."""


def count_cells(x: Tensor, low: Tensor, high: Tensor, cells: int = CELLS) -> Tensor:
    """The number of points (n, d) in each cell of a grid (cells, …), d axes, float64.

    Points beyond the grid's corners (d,) are counted in its outermost cells.

    Raises:
        ShapeMismatch: If the points have another number of coordinates than the corners.
        InvalidValue: For points that are not finite, or corners that enclose nothing.
    """
    if x.ndim != 2 or low.shape != high.shape or x.shape[1:] != low.shape:
        raise ShapeMismatch(
            f"expected points (n, {len(low)}) for corners of {len(low)} coordinates, got"
            f" {tuple(x.shape)}"
        )
    low, high = low.to(x.device, torch.float64), high.to(x.device, torch.float64)
    if not bool(x.isfinite().all()):
        raise InvalidValue("the points hold NaN or infinity; drop these rows")
    if not bool((low < high).all()):
        raise InvalidValue(f"the corners must enclose an area, got {low} and {high}")
    place = ((x.to(torch.float64) - low) / (high - low) * cells).floor().clamp(0, cells - 1).long()
    strides = torch.tensor([cells**k for k in reversed(range(x.shape[1]))], device=x.device)
    counts = torch.bincount(place @ strides, minlength=cells ** x.shape[1])
    return counts.to(torch.float64).reshape([cells] * x.shape[1])


def kl_divergence(p: Tensor, q: Tensor, smoothing: float = 0.0) -> float:
    """Σ p ln(p / q) of two histograms of one shape, nats; infinite where p > q = 0.

    Args:
        p, q: counts or shares, not negative; they are normalised.
        smoothing: added to every cell of both before that.
    """
    p, q = _normalised(p, q, smoothing)
    return float(torch.where(p > 0, p * (p / q).log(), 0.0).sum())


def js_divergence(p: Tensor, q: Tensor) -> float:
    """½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q)/2, nats: from 0 to ln 2."""
    p, q = _normalised(p, q, 0.0)
    value = (kl_divergence(p, (p + q) / 2) + kl_divergence(q, (p + q) / 2)) / 2
    return min(max(value, 0.0), math.log(2))


def grid_divergences(
    x: Tensor, y: Tensor, low: Tensor, high: Tensor, cells: int = CELLS
) -> tuple[float, float]:
    """KL(x ‖ y), smoothed, and JS of the histograms of two sets of points (n, d) and (m, d).

    Args:
        low, high: corners (d,) of the grid.
        cells: along each axis.
    """
    p, q = count_cells(x, low, high, cells), count_cells(y, low, high, cells)
    return kl_divergence(p, q, SMOOTHING), js_divergence(p, q)


def _normalised(p: Tensor, q: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    if p.shape != q.shape:
        raise ShapeMismatch(
            f"histograms must have one shape, got {tuple(p.shape)} and {tuple(q.shape)}"
        )
    p, q = (t.to(torch.float64) + smoothing for t in (p, q))
    if bool((p < 0).any() | (q < 0).any()) or not float(p.sum()) > 0 or not float(q.sum()) > 0:
        raise InvalidValue("histograms must hold something, and nothing negative")
    return p / p.sum(), q / q.sum()
