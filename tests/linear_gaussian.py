"""A latent-variable model of which everything is known: x = W z + sigma ε with z ~ N(0, I)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.densities.normals import FullNormal, Normal


class LinearGaussian:
    """Exact density, exact posterior (made too wide by a factor exp(widen)),
    and what the estimators ask for.
    """

    def __init__(self, weights: Tensor, sigma: float, widen: float = 0.0) -> None:
        self.weights, self.sigma, self.widen = weights, sigma, widen
        self.device = weights.device
        identity = torch.eye(weights.shape[1], dtype=weights.dtype)
        self.covariance = torch.linalg.inv(identity + weights.T @ weights / sigma**2)

    @classmethod
    def random(
        cls, k: int, d: int, sigma: float, seed: int = 0, widen: float = 0.0
    ) -> LinearGaussian:
        """W_ij ~ N(0, 1/k)."""
        weights = (
            torch.randn(d, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            / k**0.5
        )
        return cls(weights, sigma, widen)

    def to_model(self, x: Tensor) -> Tensor:
        return x

    def log_jacobian(self, u: Tensor) -> float:
        return 0.0

    def prior(self, n: int = 1) -> Normal:
        return Normal.standard(n, self.weights.shape[1], like=self.weights)

    def likelihood(self, z: Tensor) -> Normal:
        return Normal(
            z @ self.weights.T, torch.full((1,), self.sigma, dtype=self.weights.dtype).log()
        )

    def posterior(self, u: Tensor) -> FullNormal:
        mean = u @ self.weights @ self.covariance / self.sigma**2
        scale = (
            torch.linalg.cholesky(self.covariance)
            * torch.tensor(self.widen, dtype=mean.dtype).exp()
        )
        return FullNormal(mean, scale.expand(len(u), -1, -1))

    def elbo(self, x: Tensor, y: Any = None, *, rng: Any = None) -> Tensor:
        """One draw."""
        q = self.posterior(x)
        z = q.rsample(rng=rng)
        return self.likelihood(z).log_prob(x) + self.prior().log_prob(z) - q.log_prob(z)

    def sample(self, n: int, *, y: Any = None, rng: Any = None) -> Tensor:
        stream = torch.Generator().manual_seed(rng or 0)
        return self.likelihood(self.prior(n).rsample(rng=stream)).rsample(rng=stream)

    def exact(self, x: Tensor, sigma: float | None = None) -> Tensor:
        """log N(x; 0, W Wᵀ + sigma² I)."""
        d = len(self.weights)
        covariance = self.weights @ self.weights.T + (
            self.sigma if sigma is None else sigma
        ) ** 2 * torch.eye(d, dtype=x.dtype)
        return torch.distributions.MultivariateNormal(
            torch.zeros(d, dtype=x.dtype), covariance
        ).log_prob(x)
