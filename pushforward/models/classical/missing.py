r"""Normal distributions with some coordinates observed.

With coordinates o observed and m missing, for component k,

    x_o ~ N(μ_o, Σ_oo),
    x_m | x_o ~ N( μ_m + Σ_mo Σ_oo⁻¹ (x_o - μ_o),  Σ_mm - Σ_mo Σ_oo⁻¹ Σ_om ),

used for the E step of a mixture with missing values, its density, and conditioning on known values.

Reference:
    Ghahramani & Jordan (1994), Supervised learning from incomplete data via an EM approach.
    https://proceedings.neurips.cc/paper/1993/hash/f2201f5191c4e92cc5af043eebfd0946-Abstract.html
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Conditional", "Independent"]

LEAST_WEIGHT = 1e-300
"""Replaces a weight of 0, whose logarithm would be infinite."""

AT_ONCE = 1 << 15
"""Numbers of rows and components together below which they are solved for in one call."""


@dataclass
class Conditional:
    """The distributions of k components for one pattern of missing coordinates.

    Args:
        observed: positions of the observed coordinates (o,).
        missing: positions of the missing ones (m,).
        root: Cholesky's factors of Σ_oo (k, o, o).
        gain: Σ_mo Σ_oo⁻¹ (k, m, o).
        rest: covariances of the missing given the observed (k, d, d), 0 for the observed.
        log_determinant: log |Σ_oo|^½ (k,).
    """

    observed: Tensor
    missing: Tensor
    root: Tensor
    gain: Tensor
    rest: Tensor
    log_determinant: Tensor

    @property
    def variances(self) -> Tensor:
        """Variances (k, d) of the missing given the observed, 0 for the observed."""
        return self.rest.diagonal(dim1=1, dim2=2)

    @classmethod
    def of(cls, gap: Tensor, covariances: Tensor) -> Conditional:
        """Build from the missing coordinates (d,) and covariances (k, d, d)."""
        o, m = (~gap).nonzero()[:, 0], gap.nonzero()[:, 0]
        inner = covariances[:, o][:, :, o]
        root, failed = torch.linalg.cholesky_ex(inner)
        if bool(failed.any()):  # correlations of 1 up to rounding
            least = 32 * len(o) * torch.finfo(inner.dtype).eps
            variances = inner.diagonal(dim1=1, dim2=2)
            root = torch.linalg.cholesky(inner + torch.diag_embed(least * variances))
        across = covariances[:, m][:, :, o]
        gain = torch.cholesky_solve(across.mT, root).mT if len(o) and len(m) else across
        rest = torch.zeros_like(covariances)
        if len(m):
            left = covariances[:, m][:, :, m] - gain @ across.mT
            rest[:, m[:, None], m] = (left + left.mT) / 2
        return cls(o, m, root, gain, rest, root.diagonal(dim1=1, dim2=2).log().sum(1))

    def log_density(self, x: Tensor, means: Tensor) -> Tensor:
        """log N(x_o; μ_o, Σ_oo) of each component for rows x (n, d): (k, n), nats."""
        values = []
        constant = len(self.observed) * math.log(2 * math.pi)
        if len(self.missing):
            x, means = x[:, self.observed], means[:, self.observed]
        if len(self.observed) and len(x) * means.numel() <= AT_ONCE:
            centred = (x - means[:, None]).mT
            whitened = torch.linalg.solve_triangular(self.root, centred, upper=False)
            squares: Tensor = whitened.square_().sum(1).nan_to_num_(nan=math.inf, posinf=math.inf)
            squares.add_(constant).mul_(-0.5).sub_(self.log_determinant[:, None])
            return squares
        for root, mean, log_determinant in zip(self.root, means, self.log_determinant):
            centred = x.T[:0]
            if len(self.observed):
                centred = (x - mean).T
                centred = torch.linalg.solve_triangular(root, centred, upper=False)
            squares = centred.square().sum(0).nan_to_num(nan=math.inf, posinf=math.inf)
            values.append(-0.5 * (squares + constant) - log_determinant)
        return torch.stack(values)

    def joint(self, x: Tensor, weights: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (k, n), and each component's completed rows (n, k, d)."""
        logits = self.log_density(x, means) + weights.clamp_min(LEAST_WEIGHT).log()[:, None]
        completed = x[:, None, :].expand(-1, len(means), -1).clone()
        if len(self.missing):
            delta = x[:, None, self.observed] - means[:, self.observed]
            shift = torch.einsum("kls,nks->nkl", self.gain, delta)
            completed[:, :, self.missing] = means[:, self.missing] + shift
        return logits, completed


@dataclass
class Independent:
    """`Conditional` for coordinates that are independent within each component.

    It needs d numbers per component instead of d².

    Args:
        gap: which coordinates are missing (d,).
        spread: variances (k, d).
    """

    gap: Tensor
    spread: Tensor

    @property
    def variances(self) -> Tensor:
        """Variances (k, d) of the missing coordinates, independent of the observed; else 0."""
        return self.spread * self.gap

    def log_density(self, x: Tensor, means: Tensor) -> Tensor:
        """log N(x_o; μ_o, Σ_oo) of each component for rows x (n, d): (k, n), nats."""
        observed = (~self.gap).nonzero()[:, 0]
        spread = self.spread
        if len(observed) < len(self.gap):
            x, means, spread = x[:, observed], means[:, observed], spread[:, observed]
        constants = -0.5 * (len(observed) * math.log(2 * math.pi) + spread.log().sum(1))
        squares = [
            (x - mean).div_(deviation).square_().sum(1)
            for mean, deviation in zip(means, spread.sqrt())
        ]
        return constants[:, None] - 0.5 * torch.stack(squares)

    def joint(self, x: Tensor, weights: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (k, n), and each component's completed rows (n, k, d)."""
        logits = self.log_density(x, means) + weights.clamp_min(LEAST_WEIGHT).log()[:, None]
        return logits, torch.where(self.gap, means, x[:, None, :])
