"""What a decoder's numbers mean: likelihoods p(x|z) as values, each stating its range and its measure.

A likelihood names the heads a decoder must have and turns their outputs into a distribution. Densities are per unit of
the model's coordinates; the model adds the log-Jacobian to its user's units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.registry import Value
from pushforward.densities.distributions import Bernoulli, Normal

__all__ = ["Likelihood", "GaussianLikelihood", "BernoulliLikelihood"]


class Likelihood(Value, family="likelihood"):
    """p(x|z) from a decoder's location (n, *event) and its learnt log-scale, which broadcasts to it."""

    measure: ClassVar[str] = "density per unit"
    scaling: ClassVar[str] = "standardised"

    def scale_shape(self, event: Sequence[int]) -> tuple[int, ...] | None:
        """Shape of the decoder's learnt log-scale for events of a shape; None where nothing is learnt."""
        return None

    def distribution(self, location: Tensor, log_scale: Tensor) -> Any:
        """p(x|z)."""
        raise TypeError(f"{type(self).__name__} must define distribution(location, log_scale)")


@dataclass(frozen=True)
class GaussianLikelihood(Likelihood, name="gaussian"):
    """N(f(z), sigma² I); sigma in standardised units, learnt where None: one number, or one per dimension."""

    sigma: float | None = None
    per_dimension: bool = False

    def __post_init__(self) -> None:
        require_positive(sigma=self.sigma)
        if self.sigma is not None and self.per_dimension:
            raise InvalidValue("a given sigma is one number for all dimensions; leave sigma or per_dimension out")

    def scale_shape(self, event: Sequence[int]) -> tuple[int, ...] | None:
        """One number, one per dimension, or none."""
        if self.sigma is not None:
            return None
        return tuple(event) if self.per_dimension else (1,)

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
