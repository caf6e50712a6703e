r"""Linear-Gaussian latent variables: prior, likelihood and posterior in closed form.

With the axes U_K of the K largest variances l_k, and codes z in the units of x,

    p(z)   = N(0, L_K - σ² I),
    p(x|z) = N(μ + U_K z, σ² I),
    p(z|x) = N(S U_Kᵀ(x - μ), σ² S),      S = I - σ² L_K⁻¹.

That is x = W z' + μ + σ ε with W = U_K (L_K - σ² I)^½ and z = (L_K - σ² I)^½ z', whose posterior
N(M⁻¹ Wᵀ(x - μ), σ² M⁻¹), M = WᵀW + σ² I, is diagonal in these axes.

Reference:
    Tipping & Bishop (1999), Probabilistic principal component analysis, Eq. 7-8.
    https://doi.org/10.1111/1467-9868.00196
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidValue
from pushforward.core.model import Model
from pushforward.core.random import Rng
from pushforward.densities.normals import Normal

__all__ = ["LinearGaussian"]


class LinearGaussian(Model):
    """A model with axes, variances along them, and isotropic noise across."""

    mean_: Tensor
    """μ (d,)."""
    components_: Tensor
    """U_Kᵀ, orthonormal rows (K, d)."""
    explained_variance_: Tensor
    """l_k (K,), falling."""
    noise_variance_: Tensor
    """σ² (); 0 if K = d."""
    floor_: Tensor
    """The variance floor ()."""

    @abstractmethod
    def decode(self, z: Tensor, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """x = μ + U_K z (n, *shape), user's units."""

    def prior(self, n: int = 1) -> Normal:
        """p(z) = N(0, L_K - σ² I), n rows (n, K), in the units of `encode`."""
        self._require_noise()
        log_scale = self._signal().log() / 2
        return Normal(log_scale.new_zeros(n, len(log_scale)), log_scale.expand(n, -1))

    def likelihood(self, z: Tensor) -> Normal:
        """p(x|z) = N(μ + U_K z, σ² I) (n, *shape) of codes z (n, K); its mean is `decode(z)`."""
        noise = self._require_noise()
        return Normal(self.decode(z), (noise.log() / 2).reshape(1))

    def posterior(self, x: Tensor) -> Normal:
        """p(z|x) (n, K), exact, of observations (n, *shape) in the model's coordinates."""
        noise, signal = self._require_noise(), self._signal()
        share = signal / (signal + noise)
        mean = (x.flatten(1) - self.mean_) @ self.components_.T * share
        return Normal(mean, ((noise * share).log() / 2).expand_as(mean))

    def log_jacobian(self, u: Tensor) -> float:
        """0: the model's coordinates are the user's."""
        return 0.0

    def _require_noise(self) -> Tensor:
        """σ².

        Raises:
            InvalidValue: If every component is kept, which leaves no noise.
        """
        self.fitted_space()
        if not bool(self.noise_variance_ > 0):
            kept = len(self.components_)
            raise InvalidValue(
                f"all {kept} components are kept, which leaves no noise and p(x|z) no density; fit"
                f" with fewer, such as {setting('components', max(1, kept // 2))}"
            )
        return self.noise_variance_

    def _variances(self) -> Tensor:
        """Variances along the axes (K,), floored."""
        return torch.maximum(self.explained_variance_, self.floor_)

    def _signal(self) -> Tensor:
        """Prior variances l_k - σ² (K,), floored at the resolution of l_k."""
        variances = self._variances()
        least = torch.finfo(variances.dtype).eps * variances
        return torch.maximum(variances - self.noise_variance_, least)

    def _log_determinant(self) -> Tensor:
        """log |U_K (L_K - σ² I) U_Kᵀ + σ² I|, ()."""
        along = self._variances().log().sum()
        rest = len(self.mean_) - len(self.components_)
        return along + rest * self.noise_variance_.log() if rest else along
