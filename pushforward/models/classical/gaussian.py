r"""The normal distribution: density, samples, conditionals and marginals, all in closed form.

    log N(x; μ, Σ) = -½ [ d ln 2π + ln|Σ| + (x - μ)ᵀ Σ⁻¹ (x - μ) ]

With the axes split into known b and free a (Bishop 2006, Eq. 2.81-2.82),

    x_a | x_b  ~  N( μ_a + Σ_ab Σ_bb⁻¹ (x_b - μ_b),   Σ_aa - Σ_ab Σ_bb⁻¹ Σ_ba ),
    x_a        ~  N( μ_a, Σ_aa ).

Covariances are decomposed as in `covariance`, accurate whatever the units of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidValue
from pushforward.core.fitter import Fitter, Symptom
from pushforward.core.phase import Batch
from pushforward.core.random import Rng, generator, normal
from pushforward.core.registry import register
from pushforward.core.samplers import Sampler
from pushforward.core.scaling import ScalingKind
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.fitting.em import EM
from pushforward.models.classical.axes import (
    axes_to_keep,
    read_known_values,
    subspace,
    too_far_error,
)
from pushforward.models.classical.completion import CompletesNormally
from pushforward.models.classical.covariance import Correlation, is_few, root
from pushforward.models.classical.derived import Derived
from pushforward.models.classical.refusals import (
    refuse_conditions,
    refuse_large,
    refuse_unsquarable,
    variance_symptoms,
)
from pushforward.models.classical.scatter import Scatter

__all__ = ["Gaussian"]


@register("gaussian")
class Gaussian(CompletesNormally):
    """One normal distribution with a full covariance: N(μ, Σ).

    Created by `Gaussian().fit(x)` (maximum likelihood: Σ is the 1/N covariance), by `Gaussian.of`,
    or by `condition` and `marginal` of PCA.

    Attributes:
        mean_: μ (d,), in the data's units.
        covariance_: Σ (d, d), in their squares.

    Reference:
        Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.
        https://link.springer.com/book/9780387310732

    Example:
        >>> import torch
        >>> model = Gaussian.of(torch.zeros(2), torch.tensor([[1., .8], [.8, 1.]]))
        >>> model.condition({0: 1.}).mean_
        tensor([0.8000], dtype=torch.float64)
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "single", "few"})
    scaling_kind: ScalingKind = "identity"
    dtype: ClassVar[torch.dtype | None] = torch.float64

    mean_: Tensor
    covariance_: Tensor

    def __init__(self) -> None:
        super().__init__()
        self._decomposed: Derived[Correlation] = Derived()
        self.add_zeros("mean_")
        self.add_zeros("covariance_", shape=(0, 0))

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor, space: Space | None = None) -> Gaussian:
        """The distribution N(mean, covariance), (d,) and (d, d), on `space` or unnamed points."""
        d = len(mean)
        if covariance.shape != (d, d):
            raise InvalidValue(
                f"covariance must have shape ({d}, {d}), got {tuple(covariance.shape)}"
            )
        model = cls()
        model.assemble(space or Space.infer(mean[None]), None)
        model.scaling.to(mean.device)
        model.mean_, model.covariance_ = mean.to(torch.float64), covariance.to(torch.float64)
        return model

    def fitted_tensors(self) -> Mapping[str, str]:
        """Constraints on the stored tensors."""
        return {"mean_": "d", "covariance_": "d d covariance"}

    def default_fitter(self) -> Fitter:
        """One pass."""
        return EM()

    # ------------------------------------------------------------------------------------ fitting

    def prepare(self, source: Source, facts: Facts) -> None:
        """Refuse conditions and data beyond float64 or memory; choose the origin of the sums."""
        refuse_conditions(self, source)
        refuse_large(self, source)
        super().prepare(source, facts)
        refuse_unsquarable(source, facts)
        self._origin = facts.moments.mean

    def statistics(self, batch: Batch) -> Scatter:
        """Count, sum and products of one block of rows."""
        return Scatter.of(batch.x.flatten(1), batch.weights, self._origin.to(batch.x.device))

    def update(self, statistics: Scatter) -> bool:
        """Set mean and covariance; one pass suffices."""
        origin = self._origin.to(statistics.total.device)
        self.mean_, self.covariance_ = statistics.moments(origin)
        return True

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Directions in which the data do not vary."""
        return variance_symptoms(self._correlation().still, len(self.mean_))

    # ------------------------------------------------------------------------------------ queries

    def normal_components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Its weight 1, mean (1, d) and covariance (1, d, d), user's units."""
        return torch.ones_like(self.mean_[:1]), self.mean_[None], self.covariance_[None]

    def log_prob(self, x: Observations) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates."""
        rows, correlation = self.conform(x), self._correlation()
        if is_few(rows):
            return correlation.log_density_of_few(rows, self.mean_)
        return correlation.log_density(rows.to(torch.float64).flatten(1) - self.mean_)

    def highest_log_prob(self) -> float:
        """The log-density at the mean, its maximum, nats."""
        return float(self._correlation().log_density(torch.zeros_like(self.mean_)[None]))

    def sample(
        self,
        n: int,
        y: Conditioning = None,
        rng: Rng = None,
        using: Sampler | str | None = None,
    ) -> Tensor:
        """n samples (n, *shape), user's units, float64."""
        space = self.fitted_space()
        self.to_condition(y, n)
        noise = normal(n, len(self.mean_), rng=generator(rng), like=self.mean_)
        x = self.mean_ + noise @ root(self.covariance_).T
        return x.reshape(n, *map(int, space.shape))  # type: ignore[arg-type]

    def condition(self, known: Mapping[Any, Any]) -> Gaussian:
        """The distribution of the other axes, given {axis name or position: value}."""
        b, a, values = read_known_values(self, known)
        if not b:
            return self.marginal(a)
        given_axes = Correlation.of(self.covariance_[b][:, b], self.mean_[b])
        away = values - self.mean_[b]
        gain = given_axes.solve(self.covariance_[a][:, b])
        mean = self.mean_[a] + gain @ away
        density = given_axes.log_density(away[None])
        if not bool(mean.isfinite().all() and density.isfinite().all()):
            raise too_far_error(values)
        marginal = self.covariance_[a][:, a]
        covariance = marginal - gain @ self.covariance_[b][:, a]
        covariance = (covariance + covariance.T) / 2
        # Axes determined by the known ones keep the variance left by rounding.
        least = 4 * len(self.mean_) * torch.finfo(torch.float64).eps * marginal.diagonal()
        covariance.diagonal().copy_(torch.maximum(covariance.diagonal(), least))
        return Gaussian.of(mean, covariance, subspace(self.fitted_space(), a))

    def marginal(self, axes: object) -> Gaussian:
        """The distribution of some axes (a name or position, or several)."""
        space = self.fitted_space()
        keep = axes_to_keep(space, axes)
        covariance = self.covariance_[keep][:, keep]
        return Gaussian.of(self.mean_[keep], covariance, subspace(space, keep))

    def _normal_components(self) -> tuple[Tensor, Tensor]:
        """Mean (1, d) and covariance (1, d, d)."""
        return self.normal_components()[1:]

    def _correlation(self) -> Correlation:
        """The decomposed covariance, cached while the estimates are unchanged."""
        mean, covariance = self.mean_, self.covariance_
        return self._decomposed.of((mean, covariance), lambda: Correlation.of(covariance, mean))
