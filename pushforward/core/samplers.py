"""Samplers of a fitted model, for `sample(64, using='mean')` and `--using mean`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, special

from pushforward.core.capabilities import Decodes, HasPrior, Samples
from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidKind, require_positive
from pushforward.core.random import Rng, generator, uniform
from pushforward.core.sampler import Sampler
from pushforward.core.units import TakesConditions

__all__ = ["Sampler", "Ancestral", "Mean", "Truncated"]


@dataclass(frozen=True)
class Ancestral(Sampler, name="ancestral"):
    """Samples from the distribution itself.

    z ~ p(z), then x ~ p(x|z), with the likelihood's noise.
    """

    own = True

    def __call__(
        self, model: TakesConditions, n: int, *, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        """Sample with the model's own method."""
        return cast(Samples, model).sample(n, y=y, rng=rng, using=self)


@dataclass(frozen=True)
class Mean(Sampler, name="mean"):
    """The decoder's mean.

    z ~ p(z), then x = E[x|z] without noise, sharper than the distribution. Images made from images
    have no dropout then.
    """

    def __call__(
        self, model: TakesConditions, n: int, *, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        """Decode codes sampled from the prior."""
        if isinstance(model, _WithoutNoise):
            return model.sample_mean(n, y)
        coded = _with_codes(model, self)
        return coded.decode(coded.prior(n).rsample(rng=generator(rng, model.device)), y)


@dataclass(frozen=True)
class Truncated(Sampler, name="truncated"):
    """Codes near the prior's mean.

    Every entry of z beyond `threshold` standard deviations is resampled.

    Trades variety for quality (Brock, Donahue & Simonyan 2019, §3.1,
    https://arxiv.org/abs/1809.11096). For priors that are standard normal.

    Args:
        threshold: in standard deviations; smaller values give more similar samples.
    """

    threshold: float = 2.0

    def __post_init__(self) -> None:
        require_positive(threshold=self.threshold)

    def __call__(
        self, model: TakesConditions, n: int, *, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        """Decode truncated normal codes, sampled by the inverse distribution function."""
        coded = _with_codes(model, self)
        prior = coded.prior(n)
        scale = getattr(prior, "scale", torch.zeros(()))
        if (
            type(prior).__name__ not in ("Normal", "StandardNormal")
            or bool((prior.mean != 0).any())
            or bool((scale != 1).any())
        ):
            raise InvalidKind(
                f"using={str(self)!r} needs standard normal codes, which {type(model).__name__}"
                " does not have; use 'ancestral'"
            )
        stream = generator(rng, model.device)
        edge = special.ndtr(torch.tensor(-self.threshold, dtype=torch.float64))
        u = uniform(*prior.mean.shape, rng=stream, like=prior.mean).to(torch.float64)
        z = (
            special.ndtri(edge + (1 - 2 * edge) * u)
            .clamp(-self.threshold, self.threshold)
            .to(prior.mean)
        )
        return coded.decode(z, y, rng=stream)


@runtime_checkable
class _WithoutNoise(Protocol):
    """Has no codes, but noise that can be left out."""

    def sample_mean(self, n: int, y: Conditioning = None) -> Tensor: ...


@runtime_checkable
class _Coded(Decodes, HasPrior, Protocol):
    """Has codes, and makes observations of them."""


def _with_codes(model: TakesConditions, sampler: Sampler) -> _Coded:
    """The model.

    Raises:
        InvalidKind: For one without codes.
    """
    if isinstance(model, Decodes) and isinstance(model, HasPrior):
        return cast(_Coded, model)
    raise InvalidKind(
        f"using={str(sampler)!r} decodes codes, which {type(model).__name__} does not have; use"
        " 'ancestral'"
    )
