"""How a fitted model is sampled from, as values: `model.sample(64, using='mean')`,
`pushforward sample RUN --using mean`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, special

from pushforward.core.capabilities import Decodes
from pushforward.core.errors import InvalidKind, require_positive
from pushforward.core.random import Rng, generator, uniform
from pushforward.core.registry import Value

__all__ = ["Sampler", "Ancestral", "Mean", "Truncated"]


class Sampler(Value, family="sampler"):
    """A way to draw observations from a model."""

    own = False
    """Whether this is how the model samples by itself."""

    @abstractmethod
    def __call__(self, model: Any, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """n observations (n, *shape), user's units, under conditions y.

        Raises:
            InvalidKind: For a model that cannot be sampled so.
        """


@dataclass(frozen=True)
class Ancestral(Sampler, name="ancestral"):
    """Draws from the distribution itself: z ~ p(z), then x ~ p(x|z),
    noise of the likelihood included.
    """

    own = True

    def __call__(self, model: Any, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """As the model samples by itself."""
        samples: Tensor = model.sample(n, y=y, rng=rng, using=self)
        return samples


@dataclass(frozen=True)
class Mean(Sampler, name="mean"):
    """The decoder's mean: z ~ p(z), then x = E[x|z], without the likelihood's noise.
    Sharper than the distribution is.
    """

    def __call__(self, model: Any, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """What `decode` makes of codes from the prior."""
        _require_codes(model, self)
        decoded: Tensor = model.decode(model.prior(n).rsample(rng=generator(rng, model.device)), y)
        return decoded


@dataclass(frozen=True)
class Truncated(Sampler, name="truncated"):
    """Codes near the prior's mean:
    every number of z beyond `threshold` standard deviations is drawn anew.

    Less variety for better samples (Brock, Donahue & Simonyan 2019, §3.1,
    https://arxiv.org/abs/1809.11096). For priors that are standard normal.

    Args:
        threshold: in standard deviations; the smaller, the more alike samples are.
    """

    threshold: float = 2.0

    def __post_init__(self) -> None:
        require_positive(threshold=self.threshold)

    def __call__(self, model: Any, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """Decoded codes, by the inverse of the normal distribution function, in one draw."""
        _require_codes(model, self)
        prior = model.prior(n)
        if (
            type(prior).__name__ != "Normal"
            or bool((prior.mean != 0).any())
            or bool((prior.scale != 1).any())
        ):
            raise InvalidKind(
                f"using={str(self)!r} is for codes that are standard normal; {type(model).__name__}"
                " has others: use 'ancestral'"
            )
        stream = generator(rng, model.device)
        edge = special.ndtr(torch.tensor(-self.threshold, dtype=torch.float64))
        u = uniform(*prior.mean.shape, rng=stream, like=prior.mean).to(torch.float64)
        z = (
            special.ndtri(edge + (1 - 2 * edge) * u)
            .clamp(-self.threshold, self.threshold)
            .to(prior.mean)
        )
        decoded: Tensor = model.decode(z, y, rng=stream)
        return decoded


def _require_codes(model: Any, sampler: Sampler) -> None:
    if not (isinstance(model, Decodes) and callable(getattr(model, "prior", None))):
        raise InvalidKind(
            f"using={str(sampler)!r} decodes codes, which {type(model).__name__} does not have; use"
            " 'ancestral'"
        )
