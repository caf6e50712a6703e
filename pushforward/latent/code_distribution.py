"""The distribution of codes per dimension, which sets the unit of length in latent space.

Grids, traversals and projections measure in standard deviations of the codes. These come from the
prior p(z) if the model has one; generators without a prior method use N(0, I); PCA's codes have the
variances l_k. Without a prior (auto-encoders), or on request, they come from the codes of
observations, the aggregate

    q(z) = 1/N Σ_i δ(z - f(x_i)),     f the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from pushforward.core.capabilities import Decodes, Encodes, HasPrior, Samples
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch
from pushforward.core.random import Rng, integers, normal

__all__ = ["CodeDistribution", "infer_code_distribution"]

DRAWS = 4096
"""Samples that represent a prior without a closed form, and the most codes kept of observations."""


@dataclass(frozen=True)
class CodeDistribution:
    """Centre, scale and quantiles of each latent dimension.

    Args:
        centre: means (latent,).
        scale: standard deviations (latent,).
        rows: codes (m, latent) that define the quantiles; None for normal quantiles.
    """

    centre: Tensor
    scale: Tensor
    rows: Tensor | None = None

    @classmethod
    def of_codes(cls, codes: Tensor) -> CodeDistribution:
        """The distribution of given codes (n, latent), n at least 2."""
        if codes.ndim != 2 or len(codes) < 2:
            raise ShapeMismatch(
                "a distribution of codes needs at least 2 codes (n, latent), got shape"
                f" {tuple(codes.shape)}"
            )
        some = codes[:: -(-len(codes) // DRAWS)]
        return cls(codes.mean(0), codes.std(0, correction=0), some)

    @property
    def latent(self) -> int:
        """Number of latent dimensions."""
        return len(self.centre)

    def quantiles(self, p: Tensor) -> Tensor:
        """Codes (len(p), latent) below which each dimension has mass p, 0 < p < 1."""
        if not bool(((p > 0) & (p < 1)).all()):
            raise InvalidValue(
                "quantiles need probabilities strictly between 0 and 1; drop the others"
            )
        if self.rows is None:
            standard: Tensor = torch.special.ndtri(p.to(self.centre))
            return self.centre + self.scale * standard[:, None]
        return torch.quantile(self.rows, p.to(self.rows), dim=0)

    def deviations(self, t: Tensor) -> Tensor:
        """Codes (len(t), latent) at t standard deviations from the centre."""
        return self.centre + t.to(self.centre)[:, None] * self.scale

    def draw(self, n: int, *, rng: Rng = None) -> Tensor:
        """Sample n codes (n, latent)."""
        if self.rows is None:
            return self.centre + self.scale * normal(n, self.latent, rng=rng, like=self.centre)
        return self.rows[integers(len(self.rows), (n,), rng=rng).to(self.rows.device)]

    def length(self, z: Tensor) -> Tensor:
        """Squared standardised length of each code (n,), Σ ((z - centre)/scale)².

        Constant dimensions are left out.

        ‖z‖² for a standard normal prior.
        """
        free = self.scale > 0
        return ((z - self.centre)[:, free] / self.scale[free]).square().sum(1)


@torch.no_grad()
def infer_code_distribution(
    model: object, x: Observations | None = None, y: Conditioning = None
) -> CodeDistribution:
    """The distribution of a model's codes.

    It is the prior's, or that of the codes of observations x (n, *shape).

    Raises:
        InvalidKind: If the model has no prior and no observations are given.
    """
    if x is not None:
        return CodeDistribution.of_codes(_encode(model, x, y))
    variance = getattr(model, "explained_variance_", None)
    if variance is not None:  # variances of the scores; its prior omits the noise
        return CodeDistribution(torch.zeros_like(variance), variance.clamp_min(0).sqrt())
    if callable(getattr(model, "prior", None)):
        return _from_prior(cast(HasPrior, model))
    size = getattr(model, "latent", None)
    if isinstance(size, int) and isinstance(model, Samples) and isinstance(model, Decodes):
        zero = torch.zeros(size, dtype=model.floating(), device=model.device)  # type: ignore[attr-defined]
        return CodeDistribution(zero, torch.ones_like(zero))
    raise InvalidKind(
        f"{type(model).__name__} has no prior over codes; pass observations:"
        " infer_code_distribution(model, x)"
    )


def _from_prior(model: HasPrior) -> CodeDistribution:
    distribution = model.prior(1)
    mean, scale = getattr(distribution, "mean", None), getattr(distribution, "scale", None)
    if isinstance(mean, Tensor) and isinstance(scale, Tensor) and len(mean) == 1:
        return CodeDistribution(mean[0].detach(), scale.detach().expand_as(mean)[0])
    return CodeDistribution.of_codes(model.prior(DRAWS).rsample(rng=0).detach())


def _encode(model: object, x: Observations, y: Conditioning) -> Tensor:
    if not isinstance(model, Encodes):
        raise InvalidKind(
            f"{type(model).__name__} cannot encode observations; leave x out to use its prior"
        )
    return model.encode(x, y).detach()
