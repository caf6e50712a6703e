"""What a decoder's numbers mean: likelihoods p(x|z) as values, each stating its range and its measure.

A likelihood names the heads a decoder must have and turns their outputs into a distribution. Densities are per unit of
the model's coordinates; the model adds the log-Jacobian to its user's units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from pushforward.core.errors import require_positive
from pushforward.core.registry import Value
from pushforward.densities.distributions import Bernoulli, Normal

__all__ = ["Likelihood", "GaussianLikelihood", "BernoulliLikelihood"]


class Likelihood(Value, family="likelihood"):
    """p(x|z) from a decoder's location (n, *event) and one learnt number, its log-scale."""

    measure: ClassVar[str] = "density per unit"
    scaling: ClassVar[str] = "standardised"

    @property
    def learns_scale(self) -> bool:
        """Whether the decoder owns a learnt log-scale."""
        return False

    def distribution(self, location: Tensor, log_scale: Tensor) -> Any:
        """p(x|z)."""
        raise TypeError(f"{type(self).__name__} must define distribution(location, log_scale)")


@dataclass(frozen=True)
class GaussianLikelihood(Likelihood, name="gaussian"):
    """N(f(z), sigma² I); sigma in standardised units, learnt where None."""

    sigma: float | None = None

    def __post_init__(self) -> None:
        require_positive(sigma=self.sigma)

    @property
    def learns_scale(self) -> bool:
        """True unless sigma is given."""
        return self.sigma is None

    def distribution(self, location: Tensor, log_scale: Tensor) -> Normal:
        """N(location, exp(log_scale)²)."""
        return Normal(location, log_scale if self.sigma is None else location.new_full((1,), math.log(self.sigma)))


@dataclass(frozen=True)
class BernoulliLikelihood(Likelihood, name="bernoulli"):
    """Independent coins with the decoder's logits; data in [0, 1], the range's ends being 0 and 1."""

    measure: ClassVar[str] = "binary mass"
    scaling: ClassVar[str] = "unit"

    def distribution(self, location: Tensor, log_scale: Tensor) -> Bernoulli:
        """Bernoulli(sigmoid(location))."""
        return Bernoulli(location)
