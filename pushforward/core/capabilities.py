"""What a model can do, as protocols. A method exists if and only if its promise is kept; protocols carry methods only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from pushforward.core.random import Rng

__all__ = [
    "Samples",
    "HasDensity",
    "Distribution",
    "LatentModel",
    "HasBound",
    "Encodes",
    "Decodes",
    "Assigns",
    "Conditions",
    "Translates",
    "capabilities",
]


@runtime_checkable
class Samples(Protocol):
    """Draws new observations."""

    def sample(self, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """n new observations (n, *shape), user's units."""
        ...


@runtime_checkable
class HasDensity(Protocol):
    """Knows its exact log-density."""

    def log_prob(self, x: Any) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates."""
        ...


@runtime_checkable
class Distribution(Protocol):
    """A distribution over a batch of events."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density or log-mass of each event, summed over its coordinates: (n,), nats."""
        ...

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """A draw for each row, differentiable in the parameters where the law allows."""
        ...


@runtime_checkable
class LatentModel(Protocol):
    """p(x) = ∫ p(x|z) p(z) dz, with both factors as distributions in the model's coordinates."""

    def prior(self) -> Any:
        """p(z)."""
        ...

    def likelihood(self, z: Tensor) -> Any:
        """p(x|z) for codes z (n, latent)."""
        ...


@runtime_checkable
class HasBound(Protocol):
    """Bounds its log-density from below."""

    def elbo(self, x: Any, *, rng: Rng = None) -> Tensor:
        """A lower bound on the log-density of each row (n,), nats, user's units; one draw of the posterior."""
        ...

    def posterior(self, x: Tensor) -> Any:
        """q(z|x) for observations in the model's coordinates."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Maps observations to codes."""

    def encode(self, x: Any) -> Tensor:
        """Codes (n, latent) of observations in the user's units."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Maps codes to observations."""

    def decode(self, z: Tensor, y: Any = None, *, rng: Rng = None) -> Tensor:
        """Observations (n, *shape), user's units; stateless and differentiable in z."""
        ...


@runtime_checkable
class Assigns(Protocol):
    """Assigns observations to clusters."""

    def assign(self, x: Any) -> Tensor:
        """The cluster of each row (n,), int64."""
        ...

    def responsibilities(self, x: Any) -> Tensor:
        """The probability of each cluster for each row (n, clusters)."""
        ...


@runtime_checkable
class Conditions(Protocol):
    """Conditions on known coordinates in closed form."""

    def condition(self, known: Mapping[Any, float]) -> Any:
        """The model of the other coordinates, given {axis: value}."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Maps a condition to an observation."""

    def translate(self, y: Any, *, rng: Rng = None) -> Tensor:
        """One observation for each condition, user's units."""
        ...


def capabilities(model: Any) -> tuple[str, ...]:
    """The names of the protocols a model (or its class) keeps."""
    known = (Samples, HasDensity, LatentModel, HasBound, Encodes, Decodes, Assigns, Conditions, Translates)
    names = {p: [m for m in vars(p) if not m.startswith("_") and callable(vars(p)[m])] for p in known}
    return tuple(p.__name__ for p in known if all(callable(getattr(model, m, None)) for m in names[p]))
