"""Distributions of codes: posteriors q(z|x) from a recogniser's outputs, and priors p(z).

    q(z|x) = N(μ(x), diag s²(x))  or  N(μ(x), L(x) L(x)ᵀ),
        L lower triangular with a positive diagonal,
    p(z) = N(0, I),  Σ_k π_k N(m_k, diag s_k²)  or  1/K Σ_k q(z|u_k),
        u_k trained inputs (VampPrior).

A richer posterior narrows the gap between the bound and log p(x); a richer prior narrows the
mismatch between p(z) and the codes of the data.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from pushforward.core.errors import require_positive
from pushforward.core.registry import Value
from pushforward.densities.normals import FullNormal, Normal, NormalMixture

__all__ = [
    "CodePosterior",
    "CodePrior",
    "Posterior",
    "DiagonalPosterior",
    "FullPosterior",
    "Prior",
    "PriorInputs",
    "NormalPrior",
    "MixturePrior",
    "VampPrior",
]


CodePosterior: TypeAlias = Normal | FullNormal
"""q(z|x)."""
CodePrior: TypeAlias = Normal | FullNormal | NormalMixture
"""p(z)."""


class Posterior(Value, family="posterior"):
    """q(z|x) from an encoder's heads."""

    @abstractmethod
    def sizes(self, latent: int) -> tuple[int, ...]:
        """Sizes of the encoder's heads for codes of `latent` numbers."""

    @abstractmethod
    def distribution(self, outputs: Sequence[Tensor]) -> CodePosterior:
        """q(z|x) from the heads (n, size), …"""


@dataclass(frozen=True)
class DiagonalPosterior(Posterior, name="diagonal"):
    """N(μ, diag s²) from μ and log s (Kingma & Welling 2014, Eq. 9,
    https://arxiv.org/abs/1312.6114).
    """

    def sizes(self, latent: int) -> tuple[int, ...]:
        """μ and log s."""
        return (latent, latent)

    def distribution(self, outputs: Sequence[Tensor]) -> Normal:
        """Diagonal normal."""
        mean, log_scale = outputs
        return Normal(mean, log_scale)


@dataclass(frozen=True)
class FullPosterior(Posterior, name="full"):
    """N(μ, L Lᵀ) from μ, the log of L's diagonal and its lower triangle (Kingma & Welling 2019,
    §2.5.1, https://arxiv.org/abs/1906.02691).
    """

    def sizes(self, latent: int) -> tuple[int, ...]:
        """μ, log diag L, and latent (latent - 1)/2 numbers."""
        below = latent * (latent - 1) // 2
        return (latent, latent, below) if below else (latent, latent)

    def distribution(self, outputs: Sequence[Tensor]) -> FullNormal:
        """Normal with a triangular scale."""
        mean, log_diagonal = outputs[:2]
        scale = torch.diag_embed(log_diagonal.exp())
        if len(outputs) > 2:
            rows, columns = torch.tril_indices(mean.shape[1], mean.shape[1], -1, device=mean.device)
            below = torch.zeros_like(scale)
            below[:, rows, columns] = outputs[2].to(scale)
            scale = scale + below
        return FullNormal(mean, scale)


@dataclass(frozen=True)
class PriorInputs:
    """What a prior is made from.

    Args:
        n: rows.
        latent: dimension of a code.
        tensors: the trainable tensors, with their present values.
        posterior: q(z|x) for inputs in model coordinates.
        like: a tensor of the type and on the device of the codes.
    """

    n: int
    latent: int
    tensors: Sequence[Tensor]
    posterior: Callable[[Tensor], CodePosterior]
    like: Tensor


class Prior(Value, family="prior"):
    """p(z), with trainable tensors if it has any."""

    def initial_parameters(self, latent: int, event: Sequence[int]) -> tuple[Tensor, ...]:
        """Initial values of the trainable tensors,
        for codes of `latent` numbers and observations of shape `event`.
        """
        return ()

    @abstractmethod
    def distribution(self, inputs: PriorInputs) -> CodePrior:
        """p(z)."""


@dataclass(frozen=True)
class NormalPrior(Prior, name="normal"):
    """N(0, I)."""

    def distribution(self, inputs: PriorInputs) -> Normal:
        """Standard normal rows."""
        return Normal.standard(inputs.n, inputs.latent, like=inputs.like)


@dataclass(frozen=True)
class MixturePrior(Prior, name="mixture"):
    """Σ_k π_k N(m_k, diag s_k²), all trainable."""

    components: int = 10

    def __post_init__(self) -> None:
        require_positive(components=self.components)

    def initial_parameters(self, latent: int, event: Sequence[int]) -> tuple[Tensor, ...]:
        """Log weights (k,), means (k, latent) and log scales (k, latent)."""
        return (
            torch.zeros(self.components),
            torch.randn(self.components, latent),
            torch.zeros(self.components, latent),
        )

    def distribution(self, inputs: PriorInputs) -> NormalMixture:
        """Mixture of diagonal normals."""
        logits, means, log_scales = inputs.tensors
        return NormalMixture(logits, Normal(means, log_scales), inputs.n)


@dataclass(frozen=True)
class VampPrior(Prior, name="vamp"):
    """1/K Σ_k q(z|u_k): the aggregate posterior of K trainable inputs (Tomczak & Welling 2018, Eq.
    9, https://arxiv.org/abs/1705.07120).
    """

    components: int = 50

    def __post_init__(self) -> None:
        require_positive(components=self.components)

    def initial_parameters(self, latent: int, event: Sequence[int]) -> tuple[Tensor, ...]:
        """Inputs (k, *event) in model coordinates."""
        return (0.5 * torch.randn(self.components, *event),)

    def distribution(self, inputs: PriorInputs) -> NormalMixture:
        """Mixture of posteriors with equal weights."""
        weights = inputs.like.new_zeros(self.components)
        return NormalMixture(weights, inputs.posterior(inputs.tensors[0]), inputs.n)
