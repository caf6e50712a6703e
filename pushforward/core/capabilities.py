"""What a model can do, as protocols with methods only.

An instance withdraws a capability that depends on its arguments or on its fit by naming the methods
in `lacks`: neither `capabilities` nor `isinstance` then reports the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor

from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.phase import Batch
from pushforward.core.random import Rng
from pushforward.core.sampler import Sampler
from pushforward.core.scenes import Scenes
from pushforward.core.units import HasUnits

__all__ = [
    "Samples",
    "HasDensity",
    "Distribution",
    "HasMean",
    "HasPosterior",
    "HasPrior",
    "LatentModel",
    "HasBound",
    "HasQuality",
    "Encodes",
    "Decodes",
    "Assigns",
    "HasCentres",
    "HasComponents",
    "Conditions",
    "Completes",
    "Translates",
    "Composes",
    "Criticises",
    "capabilities",
]


class _InstanceProtocol(type(Protocol)):  # type: ignore[misc]
    """Metaclass of the protocols: an instance that `lacks` a method does not satisfy them."""

    def __instancecheck__(cls, instance: object) -> bool:
        return super().__instancecheck__(instance) and not missing_methods(instance) & set(
            _methods(cls)
        )


def missing_methods(model: object) -> frozenset[str]:
    """The methods that this instance does not support although its class defines them.

    None for a class.
    """
    return frozenset() if isinstance(model, type) else frozenset(getattr(model, "lacks", ()))


def _methods(protocol: type) -> list[str]:
    return [
        name
        for name, value in vars(protocol).items()
        if not name.startswith("_") and callable(value)
    ]


@runtime_checkable
class Samples(Protocol, metaclass=_InstanceProtocol):
    """Draws new observations."""

    def sample(
        self, n: int, y: Conditioning = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n new observations (n, *shape), user's units, given conditions y.

        `using` names a `Sampler`.
        """
        ...


@runtime_checkable
class HasDensity(Protocol, metaclass=_InstanceProtocol):
    """Knows its exact log-density."""

    def log_prob(self, x: Observations, y: Conditioning = None) -> Tensor:
        """Exact log-density of each row (n,), nats, per unit of the user's coordinates."""
        ...


@runtime_checkable
class Distribution(Protocol, metaclass=_InstanceProtocol):
    """A distribution over a batch of events."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density or log-mass of each event, summed over its coordinates: (n,), nats."""
        ...

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """One sample per row, differentiable in the parameters if the distribution allows it."""
        ...


@runtime_checkable
class HasMean(Distribution, Protocol):
    """A distribution whose mean is known."""

    @property
    def mean(self) -> Tensor:
        """The mean of each event."""
        ...


@runtime_checkable
class HasPrior(Protocol, metaclass=_InstanceProtocol):
    """Has codes, whose distribution is known."""

    def prior(self, n: int = 1) -> HasMean:
        """p(z), of n codes."""
        ...


@runtime_checkable
class LatentModel(Protocol, metaclass=_InstanceProtocol):
    """p(x) = ∫ p(x|z) p(z) dz, with both factors as distributions in the model's coordinates."""

    def prior(self, n: int = 1) -> HasMean:
        """p(z), of n codes."""
        ...

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> HasMean:
        """p(x|z) for codes z (n, latent)."""
        ...


@runtime_checkable
class HasPosterior(Protocol, metaclass=_InstanceProtocol):
    """Knows a distribution of the codes of an observation."""

    def posterior(self, x: Tensor, y: Tensor | None = None) -> HasMean:
        """q(z|x) for observations in the model's coordinates."""
        ...


@runtime_checkable
class HasBound(Protocol, metaclass=_InstanceProtocol):
    """Bounds its log-density from below."""

    def elbo(self, x: Observations, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """A lower bound on the log-density of each row (n,), nats, user's units.

        One posterior sample.
        """
        ...

    def posterior(self, x: Tensor, y: Tensor | None = None) -> HasMean:
        """q(z|x) for observations in the model's coordinates."""
        ...


@runtime_checkable
class HasQuality(Protocol, metaclass=_InstanceProtocol):
    """Scores held-out rows, for early stopping and for keeping the best weights."""

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """The quality on a batch in model coordinates: (n,) or a scalar, higher is better."""
        ...


@runtime_checkable
class Encodes(Protocol, metaclass=_InstanceProtocol):
    """Maps observations to codes."""

    def encode(self, x: Observations, y: Conditioning = None) -> Tensor:
        """Codes (n, latent) of observations in the user's units."""
        ...


@runtime_checkable
class Decodes(Protocol, metaclass=_InstanceProtocol):
    """Maps codes to observations."""

    def decode(self, z: Tensor, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """Observations (n, *shape), user's units; stateless and differentiable in z."""
        ...


@runtime_checkable
class Assigns(Protocol, metaclass=_InstanceProtocol):
    """Assigns observations to clusters."""

    def assign(self, x: Observations, y: Conditioning = None) -> Tensor:
        """The cluster of each row (n,), int64."""
        ...

    def responsibilities(self, x: Observations, y: Conditioning = None) -> Tensor:
        """The probability of each cluster for each row (n, clusters)."""
        ...


@runtime_checkable
class HasCentres(Protocol, metaclass=_InstanceProtocol):
    """Has a centre for each cluster."""

    def centres(self) -> Tensor:
        """The centres as observations (clusters, *shape), user's units."""
        ...


@runtime_checkable
class HasComponents(Protocol, metaclass=_InstanceProtocol):
    """Is a mixture of normal distributions, or a single one."""

    def normal_components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (k,), means (k, d) and covariances (k, d, d), user's units."""
        ...


@runtime_checkable
class Conditions(Protocol, metaclass=_InstanceProtocol):
    """Conditions on known coordinates in closed form."""

    def condition(self, known: Mapping[Any, Any]) -> HasUnits:
        """The model of the other coordinates, given {axis: value}."""
        ...


@runtime_checkable
class Completes(Protocol, metaclass=_InstanceProtocol):
    """Fills in missing values."""

    def complete(
        self,
        x: Observations,
        *,
        rng: Rng = None,
        using: Literal["draw", "mean", "mode"] = "draw",
    ) -> Tensor:
        """Rows (n, *shape), user's units, with their missing values (NaN) filled in from their
        distribution given the row's other values.

        `using` says with what: a draw; means of numbers and the most probable categories; or, for
        numbers too, the most probable of what the model can name.
        """
        ...


@runtime_checkable
class Translates(Protocol, metaclass=_InstanceProtocol):
    """Maps a condition to an observation."""

    def translate(self, y: Conditioning, *, rng: Rng = None) -> Tensor | list[Tensor]:
        """One observation for each condition, user's units; a list if their shapes differ."""
        ...


@runtime_checkable
class Composes(Protocol, metaclass=_InstanceProtocol):
    """Samples clips of two layers."""

    def scenes(self, n: int, y: Conditioning = None, *, rng: Rng = None) -> Scenes:
        """n clips with their masks, foregrounds and backgrounds."""
        ...


@runtime_checkable
class Criticises(Protocol, metaclass=_InstanceProtocol):
    """Has a critic that distinguishes data from samples."""

    def criticise(self, x: Observations, y: Conditioning = None) -> Tensor:
        """The critic's output for each row (n,), higher for what it takes for data."""
        ...


def capabilities(model: object) -> tuple[str, ...]:
    """The names of the protocols a model satisfies.

    For a class, those its instances may satisfy.
    """
    protocols = (
        Samples,
        HasDensity,
        LatentModel,
        HasBound,
        Encodes,
        Decodes,
        Assigns,
        Conditions,
        Completes,
        Translates,
        Composes,
        Criticises,
    )
    lacks = missing_methods(model)
    return tuple(
        p.__name__
        for p in protocols
        if all(m not in lacks and callable(getattr(model, m, None)) for m in _methods(p))
    )
