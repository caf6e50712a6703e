"""Mergeable moments: (n, mean, M2) with M2 = Σ w (x - mean)(x - mean)ᵀ or its diagonal.

Two sets merge exactly (Chan, Golub & LeVeque 1983, Eq. 2.1), so a pass over blocks, over files or over machines gives
the two-pass answer, and an offset of 1e8 does not cancel as it would in Σx² - (Σx)²/n.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Moments"]


@dataclass(frozen=True)
class Moments:
    """Weighted count (), mean (d,) and centred sums M2: (d,) of squares, or (d, d) of products."""

    count: Tensor
    mean: Tensor
    m2: Tensor

    @classmethod
    def of(cls, x: Tensor, weights: Tensor | None = None, *, full: bool = False) -> Moments:
        """Moments of rows x (n, d), in float64."""
        x = x.to(torch.float64)
        w = torch.ones(len(x), dtype=x.dtype, device=x.device) if weights is None else weights.to(x)
        count = w.sum()
        mean = (w @ x) / count.clamp_min(torch.finfo(x.dtype).tiny)
        centred = x - mean
        weighted = centred if weights is None else centred * w[:, None]
        return cls(count, mean, weighted.T @ centred if full else (weighted * centred).sum(0))

    @classmethod
    def over(cls, blocks: Iterable[tuple[Tensor, Tensor | None]], *, full: bool = False) -> Moments:
        """Moments of all rows of (x, weights) blocks, one pass, memory of one block."""
        total: Moments | None = None
        for x, weights in blocks:
            part = cls.of(x, weights, full=full)
            total = part if total is None else total.merge(part)
        if total is None:
            raise ValueError("moments need at least one block of rows, got none")
        return total

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets of rows together; associative up to rounding."""
        count = self.count + other.count
        safe = count.clamp_min(torch.finfo(count.dtype).tiny)
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / safe)
        shift = torch.outer(delta, delta) if self.m2.ndim == 2 else delta.square()
        return Moments(count, mean, self.m2 + other.m2 + shift * (self.count * other.count / safe))

    @property
    def covariance(self) -> Tensor:
        """M2 / n: the maximum-likelihood covariance (d, d), or variances (d,)."""
        return self.m2 / self.count
