r"""Principal components as a probabilistic model.

With the maximum-likelihood covariance S = 1/N Σ (x - μ)(x - μ)ᵀ
= U diag(l_1 ≥ … ≥ l_d) Uᵀ and K components kept,

    z = U_Kᵀ (x - μ),     x = μ + U_K z,     σ² = 1/(d-K) Σ_{j>K} l_j,
    C = U_K (L_K - σ² I) U_Kᵀ + σ² I.

C is the maximum-likelihood covariance of probabilistic PCA,
x = W z' + μ + σ ε with W = U_K (L_K - σ² I)^½, so that

    log p(x) = -½ [ d ln 2π + Σ_{k≤K} ln l_k + (d-K) ln σ²
                    + Σ_k z_k² / l_k + |x - μ - U_K z|² / σ² ]

is exact. With its codes (for K < d, where the noise is positive) it is the latent-variable model of
`parts.linear_gaussian`. It is fitted in one pass (`principal`), and the number of components may be
chosen from the data (`dimensionality`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, require_positive
from pushforward.core.fitter import Fitter
from pushforward.core.random import Rng, generator, normal
from pushforward.core.registry import register
from pushforward.core.samplers import Sampler
from pushforward.core.scaling import ScalingKind
from pushforward.core.space import Space
from pushforward.fitting.em import EM
from pushforward.models.classical.completion import CompletesNormally
from pushforward.models.classical.covariance import LEAST, log_density_of
from pushforward.models.classical.derived import Derived
from pushforward.models.classical.gaussian import Gaussian
from pushforward.models.classical.principal import PrincipalPasses, fix_signs

__all__ = ["PCA"]

GRADED = 1e10
"""Ratio of the largest variance to the noise above which codes need care.

Rounding along the first axis may exceed the residual.
"""


@register("pca")
class PCA(CompletesNormally, PrincipalPasses):
    """Principal component analysis: x ≈ μ + U_K z, with the exact density of probabilistic PCA.

    log p(x) = log N(x; μ, U_K (L_K - σ² I) U_Kᵀ + σ² I), and codes z = U_Kᵀ (x - μ). With fewer
    components than coordinates it is a latent-variable model with a known posterior: an oracle for
    bounds and estimates of log p(x). Signs are fixed: the largest coefficient of each component is
    positive. Images and clips are flattened, and results have their shape.

    Args:
        components: number; None for all; a fraction of the variance in (0, 1); 'minka' for the
            largest evidence; 'heldout' for the highest likelihood of one half of the rows given the
            other, both ways.
        precision: of matrix products on a CPU: 'float64', or 'float32'
            (still summed in float64), which takes about .7 of the time; errors are then about 1e-8
            of the largest variance, and smaller variances are raised to 1e-7 of it. Data with a
            largest standard deviation outside 1e-12 to 1e12, whose squares may overflow, use
            float64.

    Attributes:
        mean_: (d,), in the data's units.
        components_: (K, d), orthonormal rows.
        explained_variance_: (K,), of the 1/N covariance, in squared units of the data.
        explained_variance_ratio_: (K,), as shares of the total variance.
        noise_variance_: (), in squared units.
        spectrum_: every eigenvalue, falling.
        floor_: (), the least variance that counts.
        count_: (), the rows' total weight.

    References:
        Tipping & Bishop (1999), Probabilistic principal component analysis, Eq. 7-8.
        https://doi.org/10.1111/1467-9868.00196 Minka (2000), Automatic choice of dimensionality for
        PCA, Eq. 76-82.
        https://proceedings.neurips.cc/paper/2000/hash/7503cfacd12053d309b6bed5c89de212-Abstract.html

    Example:
        >>> import torch
        >>> scale = torch.tensor([3., 2., 1., .1, .1])
        >>> x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) * scale
        >>> model = PCA(3).fit(x)
        >>> model.encode(x).shape, model.decode(model.encode(x)).shape
        (torch.Size([200, 3]), torch.Size([200, 5]))
        >>> bool((model.decode(model.encode(x)) - x).abs().max() < .5)
        True
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "single", "few"})
    scaling_kind: ScalingKind = "identity"

    def __init__(
        self,
        components: int | float | str | None = None,
        precision: Literal["float32", "float64"] = "float64",
    ) -> None:
        super().__init__()
        self.components = _check_components(components)
        self._known: Derived[_Query] = Derived()
        self.precision = precision

    @classmethod
    def of(cls, mean: object, weights: object, sigma: float, space: Space | None = None) -> PCA:
        """The distribution of x = mean + weights z' + sigma ε, z' ~ N(0, I), user's units.

        The codes of the model are z' rotated and scaled to the principal axes of `weights`.

        Args:
            mean: (d,).
            weights: (d, K), K ≤ d.
            sigma: positive.
            space: unnamed points if None.
        """
        mean, weights = _to_float64(mean), _to_float64(weights)
        require_positive(sigma=sigma)
        fits = mean.ndim == 1 and weights.ndim == 2 and len(weights) == len(mean)
        if not fits or not 0 < weights.shape[1] <= len(mean):
            raise ShapeMismatch(
                "expected mean (d,) and weights (d, K) with K from 1 to d, "
                f"got shapes {tuple(mean.shape)} and {tuple(weights.shape)}"
            )
        if not bool(torch.isfinite(mean).all() and torch.isfinite(weights).all()):
            raise InvalidValue("mean and weights must be finite")
        squared = float(sigma) * float(sigma)
        if not LEAST <= squared < math.inf or not bool(weights.square().sum().isfinite()):
            raise InvalidValue(
                f"sigma={sigma:g} and the weights must have squares that float64 can hold; "
                "choose another unit"
            )
        model = cls(weights.shape[1])
        model.assemble(space or Space.infer(mean[None]), None)
        model._set_factors(mean, weights, float(sigma) ** 2)
        return model

    def _set_factors(self, mean: Tensor, weights: Tensor, noise: float) -> None:
        """Set the estimates of a model with these weights (d, K) and noise variance."""
        axes, singular, _ = torch.linalg.svd(weights, full_matrices=False)
        k = len(singular)
        spectrum = torch.full_like(mean, noise)
        spectrum[:k] += singular.square()
        self.mean_, self.spectrum_ = mean.clone(), spectrum
        self.components_ = fix_signs(axes.T)
        self.explained_variance_ = spectrum[:k].clone()
        self.explained_variance_ratio_ = self.explained_variance_ / spectrum.sum()
        self.noise_variance_, self.floor_ = mean.new_tensor(noise), mean.new_tensor(LEAST)
        self.count_ = mean.new_zeros(())

    @property
    def lacks(self) -> frozenset[str]:
        """Methods of a latent-variable model, unless a dropped component leaves noise."""
        noise = self.components is not None
        if self.fitted:
            noise = bool(self.noise_variance_ > 0)
        return frozenset() if noise else frozenset({"prior", "likelihood", "posterior"})

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on the stored tensors."""
        return {
            "mean_": "d",
            "components_": "K d",
            "explained_variance_": "K weights",
            "explained_variance_ratio_": "K weights",
            "spectrum_": "all weights",
            "noise_variance_": "weights",
            "count_": "weights",
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Load `tensors`; old models without `floor_` get its former value."""
        stored = dict(tensors)
        if "floor_" not in stored and {"spectrum_", "mean_"} <= set(stored):
            floor = self._floor(stored["spectrum_"], stored["mean_"])
            stored["floor_"] = stored["mean_"].new_tensor(floor)
        super().restore(stored)

    def default_fitter(self) -> Fitter:
        """One pass over the rows."""
        return EM()

    # ------------------------------------------------------------------------------------ queries

    def encode(self, x: Observations) -> Tensor:
        """Codes z = U_Kᵀ (x - μ) (n, K), in the data's units."""
        return (self._flat(x) - self.mean_) @ self.components_.T

    def decode(self, z: Tensor, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """x = μ + U_K z (n, *shape), user's units; differentiable in z."""
        space = self.fitted_space()
        z = torch.as_tensor(z).to(self.components_)
        self.to_condition(y, z.shape[0])
        k = len(self.components_)
        if z.ndim != 2 or z.shape[1] != k:
            raise InvalidValue(
                f"codes must have shape (n, {k}), got {tuple(z.shape)}; pass the result of encode"
            )
        x = self.mean_ + z @ self.components_
        return x.reshape(z.shape[0], *map(int, space.shape))  # type: ignore[arg-type]

    def whiten(self, x: Observations) -> Tensor:
        """Codes divided by their standard deviations (n, K).

        Their covariance is I over the training data.
        """
        return self.encode(x) / self._variances().sqrt()

    def log_prob(self, x: Observations) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates."""
        centred = self._flat(x) - self.mean_
        z, query = centred @ self.components_.T, self._query()
        scaled = (z / query.deviations).square_().sum(1)
        if len(self.components_) < len(self.mean_):
            across = self._across(centred, z, query.graded).div_(query.noise)
            scaled = scaled.add_(across.square_().sum(1))
        return log_density_of(scaled, query.constant)

    def highest_log_prob(self) -> float:
        """The log-density at the mean, its maximum, nats."""
        return -0.5 * self._query().constant

    def _query(self) -> _Query:
        """What the density needs of the spectrum, kept while it is the same."""
        tensors = (self.explained_variance_, self.noise_variance_, self.floor_, self.spectrum_)
        return self._known.of(tensors, self._new_query)

    def _new_query(self) -> _Query:
        return _Query(
            self._variances().sqrt(),
            self.noise_variance_.sqrt(),
            len(self.mean_) * math.log(2 * math.pi) + float(self._log_determinant()),
            bool(self.spectrum_[0] > GRADED * self.noise_variance_),
        )

    def _across(self, centred: Tensor, z: Tensor, graded: bool) -> Tensor:
        """The residual of centred rows (n, d) after projection.

        Projected twice if rounding along the first axis may exceed it (`graded`).
        """
        rest = centred - z @ self.components_
        if graded:
            rest = rest - rest @ self.components_.T @ self.components_
        return rest

    def sample(
        self,
        n: int,
        y: Conditioning = None,
        rng: Rng = None,
        using: Sampler | str | None = None,
    ) -> Tensor:
        """n samples (n, *shape), user's units."""
        space = self.fitted_space()
        self.to_condition(y, n)
        noise = normal(n, len(self.mean_), rng=generator(rng), like=self.mean_)
        along = noise @ self.components_.T
        spread = self.explained_variance_.sqrt() - self.noise_variance_.sqrt()
        x = self.mean_ + self.noise_variance_.sqrt() * noise
        x = x + (along * spread) @ self.components_
        return x.reshape(n, *map(int, space.shape))  # type: ignore[arg-type]

    def condition(self, known: Mapping[Any, Any]) -> Gaussian:
        """The distribution of the other axes, given {axis name or position: value}."""
        return self.gaussian().condition(known)

    def marginal(self, axes: object) -> Gaussian:
        """The distribution of some axes (a name or position, or several)."""
        return self.gaussian().marginal(axes)

    def keep(self, components: int) -> PCA | Gaussian:
        """The model with only the first `components`, as if fitted with that number.

        With 0 it is N(μ, σ² I).
        """
        self.fitted_space()
        d, most = len(self.mean_), len(self.components_)
        if not 0 <= components <= most:
            raise InvalidValue(
                f"components to keep must lie between 0 and the {most} that were fitted, "
                f"got {components}"
            )
        noise = self.spectrum_[components:].sum() / max(d - components, 1)
        noise = torch.maximum(noise, self.floor_)
        if not components:
            identity = torch.eye(d, dtype=noise.dtype, device=noise.device)
            return Gaussian.of(self.mean_, noise * identity, self.fitted_space())
        model = PCA(components, self.precision)
        model.assemble(self.fitted_space(), None)
        for name in ("mean_", "spectrum_", "count_", "floor_"):
            setattr(model, name, getattr(self, name).clone())
        for name in ("components_", "explained_variance_", "explained_variance_ratio_"):
            setattr(model, name, getattr(self, name)[:components].clone())
        model.noise_variance_ = noise if components < d else torch.zeros_like(noise)
        return model

    def _normal_components(self) -> tuple[Tensor, Tensor]:
        """Mean (1, d) and covariance (1, d, d)."""
        return self.mean_[None], self.gaussian().covariance_[None]

    def gaussian(self) -> Gaussian:
        """The same distribution with its covariance written out (d, d)."""
        space = self.fitted_space()
        extra = self._variances() - self.noise_variance_
        covariance = (self.components_.T * extra) @ self.components_
        covariance.diagonal().add_(self.noise_variance_)
        return Gaussian.of(self.mean_, covariance, space)

    def _flat(self, x: Observations) -> Tensor:
        """Rows (n, d) in the user's units, float64."""
        return self.conform(x).to(torch.float64).flatten(1)


@dataclass(frozen=True)
class _Query:
    """Values derived from the spectrum, for the density.

    Args:
        deviations: along the axes (K,).
        noise: deviation across them, ().
        constant: d ln 2π + log |C|.
        graded: whether residuals need a second projection.
    """

    deviations: Tensor
    noise: Tensor
    constant: float
    graded: bool


def _to_float64(numbers: object) -> Tensor:
    """A new tensor without gradients."""
    return torch.as_tensor(numbers, dtype=torch.float64).detach()


def _check_components(components: object) -> int | float | str | None:
    """A number of components, a share of the variance, or the name of a criterion."""
    expected = "components must be a number, a fraction, 'minka', 'heldout' or None"
    if components is None or components in ("minka", "heldout"):
        return components
    if isinstance(components, str):
        raise InvalidValue(f"{expected}, got {components!r}")
    if isinstance(components, bool) or not isinstance(components, (int, float)):
        raise InvalidKind(f"{expected}, got {type(components).__name__}")
    if isinstance(components, float) and not 0 < components < 1:
        raise InvalidValue(
            f"components as a fraction of the variance must lie in (0, 1), got {components}; "
            "a count is a whole number"
        )
    if components < 1 and isinstance(components, int):
        raise InvalidValue(f"components must be at least 1, got {components}; pass None for all")
    return components
