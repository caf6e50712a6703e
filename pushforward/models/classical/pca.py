r"""Principal components as a probabilistic model.

With the maximum-likelihood covariance S = 1/N Σ (x - μ)(x - μ)ᵀ = U diag(l_1 ≥ … ≥ l_d) Uᵀ and K components kept,

    z = U_Kᵀ (x - μ),     x = μ + U_K z,     σ² = 1/(d-K) Σ_{j>K} l_j,     C = U_K (L_K - σ² I) U_Kᵀ + σ² I.

C is the maximum-likelihood covariance of probabilistic PCA, x = W z' + μ + σ ε with W = U_K (L_K - σ² I)^½, so that

    log p(x) = -½ [ d ln 2π + Σ_{k≤K} ln l_k + (d-K) ln σ² + Σ_k z_k² / l_k + |x - μ - U_K z|² / σ² ]

is exact. The same law with its codes left in, in the units of z (K < d, or the noise would be 0):

    p(z) = N(0, L_K - σ² I),   p(x|z) = N(μ + U_K z, σ² I),   p(z|x) = N(S z(x), σ² S),   S = I - σ² L_K⁻¹,

which is W z' with z = (L_K - σ² I)^½ z': N(M⁻¹ Wᵀ(x - μ), σ² M⁻¹) with M = WᵀW + σ² I, diagonal in these axes.

The number of components may be asked of the data: Minka's evidence is Laplace's approximation of p(X | K),

    ln p(X|K) ≈ ln p(U) - N/2 Σ_{k≤K} ln l_k - N(d-K)/2 ln σ² + (m+K)/2 ln 2π - ½ ln|A_Z| - K/2 ln N,
    m = dK - K(K+1)/2,   ln|A_Z| = Σ_{i≤K} Σ_{j>i} ln[(1/l̂_j - 1/l̂_i)(l_i - l_j) N],   l̂_j = l_j (j ≤ K) or σ² (j > K),

and the held-out likelihood needs no more than the covariances of two halves of the rows.

Everything is learnt from one pass of mergeable sums, in float64; with fewer rows than coordinates from the singular
values of the rows themselves. Variances are floored at the resolution of float64 (see `gaussian.resolution`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import (
    BadSource,
    InvalidKind,
    InvalidValue,
    ShapeMismatch,
    require_positive,
)
from pushforward.core.fitter import Fitter, Symptom
from pushforward.core.model import Model
from pushforward.core.moments import sums
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator, normal
from pushforward.core.registry import register
from pushforward.core.samplers import Sampler
from pushforward.core.scan import Facts
from pushforward.core.source import Arrays, Source
from pushforward.core.space import Space
from pushforward.densities.normals import Normal
from pushforward.fitting.em import EM
from pushforward.models.classical.covariance import LEAST, Correlation, eigen, resolution
from pushforward.models.classical.gaussian import Gaussian
from pushforward.models.classical.refusals import (
    no_variance,
    refuse_conditions,
    refuse_large,
    refuse_unsquarable,
)
from pushforward.models.classical.scatter import Scatter

__all__ = ["PCA", "evidence", "held_out"]

BLOCK_NUMBERS, VIEWED_NUMBERS = 1 << 25, 1 << 28
SINGLE = 1e-12, 1e12
SMALL = 1 << 18
FINE, RESOLVED = 1e-6, 1e4
"""Variances below this share of the largest, or this many times the resolution, are found in the scale of correlations, where the
density depends on them."""
GRADED = 1e10


@dataclass
class Rows:
    """The rows themselves, which are the smaller statistic when there are fewer of them than coordinates."""

    x: Tensor
    weights: Tensor

    def merge(self, other: Rows) -> Rows:
        """Both sets of rows."""
        return Rows(torch.cat([self.x, other.x]), torch.cat([self.weights, other.weights]))


@dataclass
class Halves:
    """Sums over the rows at even and at odd positions."""

    even: Scatter
    odd: Scatter

    def merge(self, other: Halves) -> Halves:
        """Sums over both."""
        return Halves(self.even.merge(other.even), self.odd.merge(other.odd))


@register("pca")
class PCA(Model):
    """Principal component analysis: x ≈ μ + U_K z, with the exact density of probabilistic PCA.

    log p(x) = log N(x; μ, U_K (L_K - σ² I) U_Kᵀ + σ² I), and codes z = U_Kᵀ (x - μ). With fewer components than coordinates
    it is a latent-variable model whose posterior is known: an oracle for whatever bounds or estimates log p(x).

    **Reference** Tipping & Bishop (1999), Probabilistic principal component analysis, Eq. 7-8; Minka (2000), Automatic
    choice of dimensionality for PCA, Eq. 76-82. Signs are fixed: the largest coefficient of each component is positive.

    **Arguments**
        components: how many; None for all; a fraction of the variance in (0, 1); 'minka' for the most evident number;
            'heldout' for the number with the highest likelihood of one half of the rows under the other half, both ways.
        precision: of the products of rows on a processor: 'float64', or 'float32', summed in float64 all the same, for about
            .7 of the time; errors are then about 1e-8 of the largest variance, and variances below 1e-7 of it are taken to be that.
            Data whose largest standard deviation is beyond 1e-12 to 1e12, whose squares it may not hold, are summed in float64.

    Learnt: `mean_` (d,), `components_` (K, d), `explained_variance_` (K,) and `noise_variance_` of the 1/N covariance, in
    squared units of the data; `explained_variance_ratio_` (K,); `spectrum_`, every eigenvalue; `floor_`, the least variance that
    counts; `count_`, the rows' total weight. Images and clips are taken flattened and come back in their shape.

    **Example**
        >>> import torch
        >>> x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([3., 2., 1., .1, .1])
        >>> model = PCA(3).fit(x)
        >>> model.encode(x).shape, model.decode(model.encode(x)).shape
        (torch.Size([200, 3]), torch.Size([200, 5]))
        >>> bool((model.decode(model.encode(x)) - x).abs().max() < .5)
        True
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "single", "few"})
    scaling_kind: str = "identity"
    dtype: ClassVar[torch.dtype | None] = torch.float64
    sampled_facts: ClassVar[bool] = True
    block_rows: int = 8192

    mean_: Tensor
    components_: Tensor
    explained_variance_: Tensor
    explained_variance_ratio_: Tensor
    noise_variance_: Tensor
    spectrum_: Tensor
    count_: Tensor

    def __init__(
        self, components: int | float | str | None = None, precision: str = "float64"
    ) -> None:
        super().__init__()
        self.components = _checked(components)
        if precision not in ("float32", "float64"):
            raise InvalidValue(f"precision must be 'float32' or 'float64', got {precision!r}")
        self.precision = precision
        for name in ("mean_", "explained_variance_", "explained_variance_ratio_", "spectrum_"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self.register_buffer("components_", torch.zeros(0, 0, dtype=torch.float64))
        self.register_buffer("noise_variance_", torch.zeros((), dtype=torch.float64))
        self.register_buffer("count_", torch.zeros((), dtype=torch.float64))
        self.register_buffer("floor_", torch.zeros((), dtype=torch.float64))
        self._still = 0

    @classmethod
    def of(cls, mean: Any, weights: Any, sigma: float, space: Space | None = None) -> PCA:
        """The law of x = mean + weights z' + sigma ε, z' ~ N(0, I): mean (d,), weights (d, K), K ≤ d, sigma > 0, on `space`.

        Units are the user's. The codes of the model are z' turned and stretched: along the principal axes of `weights`.
        """
        mean, weights = (torch.as_tensor(t, dtype=torch.float64).detach() for t in (mean, weights))
        require_positive(sigma=sigma)
        if (
            mean.ndim != 1
            or weights.ndim != 2
            or not 0 < weights.shape[1] <= len(weights) == len(mean)
        ):
            raise ShapeMismatch(
                f"expected mean (d,) and weights (d, K) with K from 1 to d, got shapes {tuple(mean.shape)} and {tuple(weights.shape)}"
            )
        if not bool(torch.isfinite(mean).all() and torch.isfinite(weights).all()):
            raise InvalidValue("mean and weights must be finite")
        if not LEAST <= float(sigma) * float(sigma) < math.inf or not bool(
            weights.square().sum().isfinite()
        ):
            raise InvalidValue(
                f"sigma={sigma:g} and the weights must have squares that float64 can hold; choose another unit"
            )
        model = cls(weights.shape[1])
        model.assemble(space or Space.infer(mean[None]), None)
        model._take(mean, weights, float(sigma) ** 2)
        return model

    def _take(self, mean: Tensor, weights: Tensor, noise: float) -> None:
        axes, singular, _ = torch.linalg.svd(weights, full_matrices=False)
        spectrum = torch.full_like(mean, noise)
        spectrum[: len(singular)] += singular.square()
        self.mean_, self.spectrum_, self.components_ = mean.clone(), spectrum, _signed(axes.T)
        self.explained_variance_ = spectrum[: len(singular)].clone()
        self.explained_variance_ratio_ = self.explained_variance_ / spectrum.sum()
        self.noise_variance_, self.floor_ = mean.new_tensor(noise), mean.new_tensor(LEAST)
        self.count_ = mean.new_zeros(())

    @property
    def lacks(self) -> frozenset[str]:
        """A latent-variable model needs noise, which is left only where some component is not kept."""
        noise = bool(self.noise_variance_ > 0) if self.fitted else self.components is not None
        return frozenset() if noise else frozenset({"prior", "likelihood", "posterior"})

    def learnt(self) -> Mapping[str, str]:
        """What the stored numbers must be like."""
        return {
            "mean_": "d", "components_": "K d", "explained_variance_": "K weights", "explained_variance_ratio_": "K weights",
            "spectrum_": "all weights", "noise_variance_": "weights", "count_": "weights",
        }  # fmt: skip

    def default_fitter(self) -> Fitter:
        """One pass over the rows."""
        return EM()

    # ---------------------------------------------------------------------------------------------------- learning

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions; choose what is summed, and about which origin."""
        refuse_conditions(self, source)
        d = source.space.size
        if isinstance(self.components, int) and self.components > d:
            raise InvalidValue(
                f"components must be at most the number of coordinates, {d}, got {self.components}"
            )
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
        mean, variance = facts.moments.mean, facts.moments.covariance
        # Within each column, too: a small one may lie far from 0 though the largest, which rules the sum, does not.
        near = bool(
            (mean.square().sum() <= 16 * variance.sum()).all()
            and (mean.square() <= 1e4 * variance).logical_or_(mean == 0).all()
        )
        self._single = (
            self.precision == "float32" and SINGLE[0] < float(variance.max()) ** 0.5 < SINGLE[1]
        )
        self._origin = None if near and not self._single else mean
        self.block_rows = max(1024, min(1 << 15, BLOCK_NUMBERS // d))
        viewed = (
            isinstance(source, Arrays)
            and isinstance(source.x, Tensor)
            and source.x.dtype.is_floating_point
        )
        if (
            viewed and d >= 8 and self.components != "heldout"
        ):  # large views take no memory, and the threads wait less often
            self.block_rows = max(self.block_rows, VIEWED_NUMBERS // d)
        most = self.components if isinstance(self.components, int) else 0
        self._few = len(source) < d and most <= len(source) and self.components != "heldout"
        if not self._few:
            refuse_large(self, source)
        if self.components == "heldout" and len(source) < 4:
            raise BadSource(
                f"components='heldout' needs at least 4 rows, got {len(source)}; pass a number of components"
            )

    def coordinates(self, x: Tensor) -> Tensor:
        """The rows as they are: they are widened where they are summed, a few at a time."""
        return x

    def statistics(self, batch: Batch) -> Scatter | Rows | Halves:
        """Count, sum and products of one block (or, where there are few, the rows)."""
        x = batch.x.flatten(1)
        origin = None if self._origin is None else self._origin.to(x.device)
        if self._few:
            own = x.to(torch.float64) if origin is None else x - origin
            return Rows(own, own.new_ones(len(own)) if batch.weights is None else batch.weights)
        if self.components == "heldout":
            w = batch.weights
            first, second = (
                self._sums(x[i::2], None if w is None else w[i::2], origin) for i in (0, 1)
            )
            return Halves(first, second)
        return self._sums(x, batch.weights, origin)

    def _sums(self, x: Tensor, weights: Tensor | None, origin: Tensor | None) -> Scatter:
        """Sums of one block (n, d); by all threads where there is enough to share."""
        if x.is_cuda or x.numel() < SMALL or x.shape[1] < 8:
            return Scatter.of(x, weights, origin)
        count = (
            torch.tensor(float(len(x)), dtype=torch.float64)
            if weights is None
            else weights.sum().to(torch.float64)
        )
        return Scatter(count, *sums(x, weights, origin, single=self._single))

    def complete(self, statistics: Scatter | Rows | Halves) -> bool:
        """Whether neither a missing nor an infinite value came by, nor one too large to square."""
        if isinstance(statistics, Halves):
            return self.complete(statistics.even) and self.complete(statistics.odd)
        if isinstance(statistics, Rows):
            return bool(torch.isfinite(statistics.x).all())
        return bool(
            torch.isfinite(statistics.total).all()
            and torch.isfinite(statistics.products.diagonal()).all()
        )

    def update(self, statistics: Scatter | Rows | Halves) -> bool:
        """Eigenvalues and vectors, the choice of K, signs and noise; done."""
        chosen = None
        if isinstance(statistics, Halves):
            chosen = self._choose_held_out(statistics)
            statistics = statistics.even.merge(statistics.odd)
        mean, spectrum, axes, self.count_ = (
            self._from_rows(statistics)
            if isinstance(statistics, Rows)
            else self._from_sums(statistics)
        )
        d = len(mean)
        floor = self._floor(spectrum, mean)
        k = chosen or self._how_many(spectrum, d, float(self.count_))
        rest = spectrum[k:].sum() / max(d - k, 1)
        still = 0
        if float(rest if k < d else spectrum[-1]) < max(
            FINE * float(spectrum[0]), RESOLVED * floor
        ):
            if isinstance(statistics, Rows) or self._single:
                still = int(float(rest) < floor) * (d - k) + int((spectrum[:k] < floor).sum())
            else:
                floor = 0.0
                spectrum, axes, still = self._finely(statistics)
                rest = spectrum[k:].sum() / max(d - k, 1)
                still = still if k == d or still >= d - k else 0
        total = spectrum.sum()
        self.floor_, self._still = mean.new_tensor(max(floor, LEAST)), still
        self.mean_, self.spectrum_ = mean, spectrum
        self.components_ = _signed(axes[:k])
        self.explained_variance_ = spectrum[:k].clone()
        self.explained_variance_ratio_ = spectrum[:k] / total.clamp_min(LEAST)
        self.noise_variance_ = torch.maximum(rest, self.floor_) if k < d else torch.zeros_like(rest)
        return True

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Directions in which the data do not vary, where the density depends on them."""
        return no_variance(self._still, len(self.mean_))

    def objective(self, statistics: Any) -> Tensor:
        """Mean log-likelihood of the rows it was learnt from, nats."""
        k, d = len(self.explained_variance_), len(self.mean_)
        scaled = (self.explained_variance_ / self._variances()).sum()
        if k < d:
            scaled = scaled + self.spectrum_[k:].sum() / self.noise_variance_
        return -0.5 * (d * math.log(2 * math.pi) + self._log_determinant() + scaled)

    def _from_sums(self, sums: Scatter) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, covariance = sums.moments(
            None if self._origin is None else self._origin.to(sums.total.device)
        )
        values, axes = eigen(covariance)
        return mean, values.flip(0).clamp_min(0), axes.T.flip(0), sums.count

    def _finely(self, sums: Scatter) -> tuple[Tensor, Tensor, int]:
        """Eigenvalues, falling, and eigenvectors in rows, where columns' scales differ too much for plain ones; how many are floored."""
        mean, covariance = sums.moments(
            None if self._origin is None else self._origin.to(sums.total.device)
        )
        correlation = Correlation.of(covariance, mean, common=True)
        return *correlation.principal(), correlation.still

    def _from_rows(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count = rows.weights.sum()
        shift = rows.weights @ rows.x / count
        centred = (rows.x - shift) * rows.weights.sqrt()[:, None]
        _, singular, axes = torch.linalg.svd(centred, full_matrices=False)
        mean = shift if self._origin is None else self._origin.to(shift.device) + shift
        return mean, singular.square() / count, axes, count

    def _how_many(self, spectrum: Tensor, d: int, count: float) -> int:
        """K for this spectrum."""
        if isinstance(self.components, float):
            share = spectrum.cumsum(0) / spectrum.sum().clamp_min(LEAST)
            return min(int((share < self.components - 1e-12).sum()) + 1, len(spectrum))
        if self.components == "minka":
            scores = evidence(spectrum, d, count)
            return int(scores.argmax()) + 1 if len(scores) else 1
        return (
            min(len(spectrum), max(1, int(count)), d)
            if self.components is None
            else int(self.components)
        )

    def _choose_held_out(self, halves: Halves) -> int:
        origin = None if self._origin is None else self._origin.to(halves.even.total.device)
        one, two = halves.even.moments(origin), halves.odd.moments(origin)
        return (
            int(
                (
                    held_out(*one, *two) * halves.odd.count
                    + held_out(*two, *one) * halves.even.count
                ).argmax()
            )
            + 1
        )

    # ------------------------------------------------------------------------------------------------- being used

    def encode(self, x: Any) -> Tensor:
        """Codes z = U_Kᵀ (x - μ) (n, K), in the data's units."""
        return (self._flat(x) - self.mean_) @ self.components_.T

    def decode(self, z: Any, y: Any = None, *, rng: Rng = None) -> Tensor:
        """x = μ + U_K z (n, *shape), user's units; differentiable in z."""
        space = self.fitted_space()
        z = torch.as_tensor(z).to(self.components_)
        self.to_condition(y, len(z))
        if z.ndim != 2 or z.shape[1] != len(self.components_):
            raise InvalidValue(
                f"codes must have shape (n, {len(self.components_)}), got {tuple(z.shape)}; they are what encode gives"
            )
        return (self.mean_ + z @ self.components_).reshape(len(z), *map(int, space.shape))  # type: ignore[arg-type]

    def whiten(self, x: Any) -> Tensor:
        """Codes divided by their standard deviations (n, K): mean 0, covariance I over the data it was fitted on."""
        return self.encode(x) / self._variances().sqrt()

    def log_prob(self, x: Any) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates."""
        centred = self._flat(x) - self.mean_
        z = centred @ self.components_.T
        scaled = (z / self._variances().sqrt()).square().sum(1)
        if len(self.components_) < len(self.mean_):
            scaled = scaled + (self._across(centred, z) / self.noise_variance_.sqrt()).square().sum(
                1
            )
        value = -0.5 * (len(self.mean_) * math.log(2 * math.pi) + self._log_determinant() + scaled)
        return value.nan_to_num(nan=-math.inf, neginf=-math.inf)

    def _across(self, centred: Tensor, z: Tensor) -> Tensor:
        """What the components leave of centred rows (n, d); where rounding along the first could outweigh it, taken out twice."""
        rest = centred - z @ self.components_
        if bool(self.spectrum_[0] > GRADED * self.noise_variance_):
            rest = rest - rest @ self.components_.T @ self.components_
        return rest

    def sample(
        self, n: int, y: Any = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n draws (n, *shape), user's units."""
        space = self.fitted_space()
        self.to_condition(y, n)
        noise = normal(n, len(self.mean_), rng=generator(rng), like=self.mean_)
        along = noise @ self.components_.T
        spread = self.explained_variance_.sqrt() - self.noise_variance_.sqrt()
        x = self.mean_ + self.noise_variance_.sqrt() * noise + (along * spread) @ self.components_
        return x.reshape(n, *map(int, space.shape))  # type: ignore[arg-type]

    def prior(self, n: int = 1) -> Normal:
        """p(z) = N(0, L_K - σ² I), n rows (n, K): the law of codes before an observation, in the units of `encode`."""
        self._require_noise()
        log_scale = self._signal().log() / 2
        return Normal(log_scale.new_zeros(n, len(log_scale)), log_scale.expand(n, -1))

    def likelihood(self, z: Tensor) -> Normal:
        """p(x|z) = N(μ + U_K z, σ² I) (n, *shape), for codes z (n, K); its mean is what `decode` gives."""
        noise = self._require_noise()
        return Normal(self.decode(z), (noise.log() / 2).reshape(1))

    def posterior(self, x: Tensor) -> Normal:
        """p(z|x) = N(S U_Kᵀ(x - μ), σ² S) (n, K), S = I - σ² L_K⁻¹: exact. Observations (n, *shape) in the model's coordinates."""
        noise, signal = self._require_noise(), self._signal()
        share = signal / (signal + noise)
        mean = (x.flatten(1) - self.mean_) @ self.components_.T * share
        return Normal(mean, ((noise * share).log() / 2).expand_as(mean))

    def log_jacobian(self, u: Tensor) -> float:
        """0: the model's coordinates are the user's."""
        return 0.0

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave; models saved before there was a `floor_` get what it was then."""
        known = dict(tensors)
        if "floor_" not in known and {"spectrum_", "mean_"} <= set(known):
            known["floor_"] = known["mean_"].new_tensor(
                self._floor(known["spectrum_"], known["mean_"])
            )
        super().restore(known)

    def _require_noise(self) -> Tensor:
        """σ²; InvalidValue where every component is kept, which leaves none."""
        self.fitted_space()
        if not bool(self.noise_variance_ > 0):
            raise InvalidValue(
                f"all {len(self.components_)} components are kept, which leaves no noise and p(x|z) no density; keep fewer components"
            )
        return self.noise_variance_

    def _signal(self) -> Tensor:
        """Prior variances l_k - σ² (K,); where rounding would leave none, the least that matters beside l_k."""
        whole = self._variances()
        return torch.maximum(whole - self.noise_variance_, torch.finfo(whole.dtype).eps * whole)

    def condition(self, known: Mapping[Any, Any]) -> Gaussian:
        """The law of the other axes, given {axis name or position: value}; closed form."""
        return self.gaussian().condition(known)

    def marginal(self, axes: Any) -> Gaussian:
        """The law of some axes; closed form."""
        return self.gaussian().marginal(axes)

    def keep(self, components: int) -> PCA | Gaussian:
        """The model with only the first `components` of its components, as if it had been fitted with so many; with none, N(μ, σ² I)."""
        self.fitted_space()
        d, most = len(self.mean_), len(self.components_)
        if not 0 <= components <= most:
            raise InvalidValue(
                f"components to keep must lie between 0 and the {most} that were fitted, got {components}"
            )
        noise = torch.maximum(
            self.spectrum_[components:].sum() / max(d - components, 1), self.floor_
        )
        if not components:
            return Gaussian.of(
                self.mean_,
                noise * torch.eye(d, dtype=noise.dtype, device=noise.device),
                self.fitted_space(),
            )
        model = PCA(components, self.precision)
        model.assemble(self.fitted_space(), None)
        for name in ("mean_", "spectrum_", "count_", "floor_"):
            setattr(model, name, getattr(self, name).clone())
        for name in ("components_", "explained_variance_", "explained_variance_ratio_"):
            setattr(model, name, getattr(self, name)[:components].clone())
        model.noise_variance_ = noise if components < d else torch.zeros_like(noise)
        return model

    def gaussian(self) -> Gaussian:
        """The same law with its covariance written out (d, d)."""
        space = self.fitted_space()
        extra = self._variances() - self.noise_variance_
        covariance = (self.components_.T * extra) @ self.components_
        covariance.diagonal().add_(self.noise_variance_)
        return Gaussian.of(self.mean_, covariance, space)

    def _variances(self) -> Tensor:
        return torch.maximum(self.explained_variance_, self.floor_)

    def _floor(self, spectrum: Tensor, mean: Tensor) -> float:
        """The least variance that the sums can tell from zero."""
        least = (
            torch.finfo(torch.float32).eps * float(spectrum.max())
            if self.precision == "float32"
            else 0.0
        )
        return max(resolution(spectrum, mean), least)

    def _log_determinant(self) -> Tensor:
        kept = self._variances().log().sum()
        rest = len(self.mean_) - len(self.components_)
        return kept + rest * self.noise_variance_.log() if rest else kept

    def _flat(self, x: Any) -> Tensor:
        rows = self.conform(x).to(torch.float64)
        return rows.flatten(1)


def evidence(spectrum: Tensor, d: int, count: float) -> Tensor:
    """Minka's log-evidence for K = 1 … (d - 1, or the rank if lower), nats.

    Arguments:
        spectrum: the eigenvalues of the 1/N covariance, falling; fewer than d where the others are zero.
        d: the number of coordinates.
        count: N.
    """
    values = torch.zeros(d, dtype=torch.float64, device=spectrum.device)
    top = (
        float(spectrum[0]) or 1.0
    )  # in whose units nothing leaves float64; the evidence then differs by a constant
    values[: len(spectrum)] = spectrum / top
    floor = 4 * d * torch.finfo(torch.float64).eps
    rank = min(int((values > floor).sum()), d - 1)
    scores = []
    index = torch.arange(d, device=values.device)
    surfaces = torch.lgamma((d - index.double()) / 2) - (d - index.double()) / 2 * math.log(math.pi)
    for k in range(1, rank + 1):
        noise = values[k:].mean().clamp_min(floor)
        fitted = torch.where(index < k, values.clamp_min(floor), noise)
        gaps = (values[:k, None] - values[None, :]) * (1 / fitted[None, :] - 1 / fitted[:k, None])
        later = index[None, :] > index[:k, None]
        curvature = (gaps[later].clamp_min(1e-300).log() + math.log(count)).sum()
        free = d * k - k * (k + 1) / 2
        score = (
            surfaces[:k].sum()
            - k * math.log(2)
            - count / 2 * (values[:k].log().sum() + (d - k) * noise.log())
        )
        scores.append(
            score + (free + k) / 2 * math.log(2 * math.pi) - curvature / 2 - k / 2 * math.log(count)
        )
    return torch.stack(scores) - count / 2 * d * math.log(top) if scores else values.new_zeros(0)


def held_out(
    mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor
) -> Tensor:
    """Mean log-likelihood of other rows under the models of K = 1 … d-1 components learnt here, nats: from moments alone."""
    d = len(mean)
    values, axes = torch.linalg.eigh(covariance)
    values, axes = values.flip(0).clamp_min(0), axes.flip(1)
    floor = resolution(values, mean)
    delta = other_mean - mean
    spread = (axes * (other_covariance @ axes)).sum(0) + (delta @ axes).square()
    rest = torch.arange(d, 0, -1, dtype=values.dtype, device=values.device) - 1
    noise = ((values.sum() - values.cumsum(0)) / rest.clamp_min(1)).clamp_min(floor)
    kept = values.clamp_min(floor)
    scaled = (spread / kept).cumsum(0) + (spread.sum() - spread.cumsum(0)) / noise
    return (
        -0.5
        * (d * math.log(2 * math.pi) + kept.log().cumsum(0) + rest * noise.log() + scaled)[
            : max(d - 1, 1)
        ]
    )


def _signed(axes: Tensor) -> Tensor:
    """Each row with its largest |coefficient| positive; of nearly equal ones (1e-6) the first counts."""
    size = axes.abs()
    first = (size >= size.amax(1, keepdim=True) * (1 - 1e-6)).to(torch.int8).argmax(1)
    return (axes * axes.gather(1, first[:, None]).sign()).contiguous()


def _checked(components: Any) -> int | float | str | None:
    if components is None or components in ("minka", "heldout"):
        return components
    if isinstance(components, bool) or not isinstance(components, (int, float)):
        if isinstance(components, str):
            raise InvalidValue(
                f"components must be a number, a fraction, 'minka', 'heldout' or None, got {components!r}"
            )
        raise InvalidKind(
            f"components must be a number, a fraction, 'minka', 'heldout' or None, got {type(components).__name__}"
        )
    if isinstance(components, float) and not 0 < components < 1:
        raise InvalidValue(
            f"components as a fraction of the variance must lie in (0, 1), got {components}; a count is a whole number"
        )
    if components < 1 and isinstance(components, int):
        raise InvalidValue(f"components must be at least 1, got {components}; pass None for all")
    return components
