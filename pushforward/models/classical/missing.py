r"""Normal laws of which only some coordinates are seen.

With coordinates o observed and m missing, for component k,

    x_o ~ N(μ_o, Σ_oo),      x_m | x_o ~ N( μ_m + Σ_mo Σ_oo⁻¹ (x_o - μ_o),  Σ_mm - Σ_mo Σ_oo⁻¹ Σ_om ),

which serves three ends: the E step of a mixture with missing values, its density there, and conditioning on what is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Conditional", "Independent"]


@dataclass
class Conditional:
    """For one pattern of missing coordinates: what each component says of the observed, and of the missing given them."""

    seen: Tensor
    lost: Tensor
    root: Tensor
    gain: Tensor
    rest: Tensor
    determinant: Tensor

    @property
    def variances(self) -> Tensor:
        """Variances (k, d) of the missing given the observed, 0 for the observed."""
        return self.rest.diagonal(dim1=1, dim2=2)

    @classmethod
    def of(cls, gap: Tensor, covariances: Tensor) -> Conditional:
        """From covariances (k, d, d)."""
        seen, lost = (~gap).nonzero()[:, 0], gap.nonzero()[:, 0]
        observed = covariances[:, seen][:, :, seen]
        root, failed = torch.linalg.cholesky_ex(observed)
        if bool(failed.any()):  # correlations that are 1 up to rounding
            least = 32 * len(seen) * torch.finfo(observed.dtype).eps
            root = torch.linalg.cholesky(
                observed + torch.diag_embed(least * observed.diagonal(dim1=1, dim2=2))
            )
        across = covariances[:, lost][:, :, seen]
        gain = torch.cholesky_solve(across.mT, root).mT if len(seen) and len(lost) else across
        rest = torch.zeros_like(covariances)
        if len(lost):
            left = covariances[:, lost][:, :, lost] - gain @ across.mT
            rest[:, lost[:, None], lost] = (left + left.mT) / 2
        return cls(seen, lost, root, gain, rest, root.diagonal(dim1=1, dim2=2).log().sum(1))

    def log_density(self, x: Tensor, means: Tensor) -> Tensor:
        """log N(x_o; μ_o, Σ_oo) of each component for rows x (n, d): (k, n)."""
        values = []
        for root, mean, determinant in zip(self.root, means[:, self.seen], self.determinant):
            y = (
                torch.linalg.solve_triangular(root, (x[:, self.seen] - mean).T, upper=False)
                if len(self.seen)
                else x.T[:0]
            )
            squares = y.square().sum(0).nan_to_num(nan=math.inf, posinf=math.inf)
            values.append(-0.5 * (squares + len(self.seen) * math.log(2 * math.pi)) - determinant)
        return torch.stack(values)

    def joint(self, x: Tensor, weights: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (k, n), and each component's completed rows (n, k, d)."""
        logits = self.log_density(x, means) + weights.clamp_min(1e-300).log()[:, None]
        filled = x[:, None, :].expand(-1, len(means), -1).clone()
        if len(self.lost):
            delta = x[:, None, self.seen] - means[:, self.seen]
            filled[:, :, self.lost] = means[:, self.lost] + torch.einsum(
                "kls,nks->nkl", self.gain, delta
            )
        return logits, filled


@dataclass
class Independent:
    """`Conditional` for coordinates that are independent within each component: in d numbers a component instead of d².

    Arguments:
        gap: (d,) which coordinates are missing.
        spread: variances (k, d).
    """

    gap: Tensor
    spread: Tensor

    @property
    def variances(self) -> Tensor:
        """Variances (k, d) of the missing, which the observed say nothing of; 0 for the observed."""
        return self.spread * self.gap

    def log_density(self, x: Tensor, means: Tensor) -> Tensor:
        """log N(x_o; μ_o, Σ_oo) of each component for rows x (n, d): (k, n)."""
        seen = (~self.gap).nonzero()[:, 0]
        whole = len(seen) == len(self.gap)
        x, means, spread = (
            (x, means, self.spread) if whole else (x[:, seen], means[:, seen], self.spread[:, seen])
        )
        constants = -0.5 * (len(seen) * math.log(2 * math.pi) + spread.log().sum(1))
        squares = [
            (x - mean).div_(deviation).square_().sum(1)
            for mean, deviation in zip(means, spread.sqrt())
        ]
        return constants[:, None] - 0.5 * torch.stack(squares)

    def joint(self, x: Tensor, weights: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (k, n), and each component's completed rows (n, k, d)."""
        logits = self.log_density(x, means) + weights.clamp_min(1e-300).log()[:, None]
        return logits, torch.where(self.gap, means, x[:, None, :])
