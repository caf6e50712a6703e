"""Auto-encoders: min Σ ‖x - g(f(x))‖², with a code f(x) smaller than x.

With linear f and g the optimum spans the subspace of the principal components (Baldi & Hornik 1989,
https://doi.org/10.1016/0893-6080(89)90014-2); hidden layers make it nonlinear. The model has codes
and reconstructions, but neither samples nor a density. Two ways to prevent copying with a large
code:

    denoising: min Σ ‖x - g(f(x̃))‖², x̃ a corrupted x
    sparse:    min Σ ‖x - g(f(x))‖² + Ω(f(x)), Ω small when few units are active
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.learner import Learner
from pushforward.core.phase import Batch, Phase, Step, Terms
from pushforward.core.random import Rng, normal, uniform
from pushforward.core.registry import Value, read, register
from pushforward.core.space import Space
from pushforward.fitting.trainer import Trainer
from pushforward.nets.architectures import Architecture, SingleHead
from pushforward.nets.mlp import MLP, Activation, check_activation, make_activation

__all__ = ["Autoencoder", "Noise", "GaussianNoise", "Masking", "Sparsity", "L1", "KL"]


# -------------------------------------------------------------------------------------------- noise


class Noise(Value, family="noise"):
    """A corruption of the data before encoding, in the model's coordinates."""

    @abstractmethod
    def __call__(self, x: Tensor, *, rng: Rng = None) -> Tensor:
        """A corrupted copy of x (n, *event)."""


@dataclass(frozen=True)
class GaussianNoise(Noise, name="gaussian"):
    """x + N(0, sigma² I); sigma in the data's standard deviations."""

    sigma: float = 0.3

    def __post_init__(self) -> None:
        require_positive(sigma=self.sigma)

    def __call__(self, x: Tensor, *, rng: Rng = None) -> Tensor:
        """(n, *event)."""
        return x + self.sigma * normal(*x.shape, rng=rng, like=x)


@dataclass(frozen=True)
class Masking(Noise, name="masking"):
    """Replaces values by the data's mean (0 in model coordinates) with probability `share`.

    Vincent et al. (2010, §3.3, https://jmlr.org/papers/v11/vincent10a.html) mask the same number in
    every row; here it varies around the same mean.
    """

    share: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidValue(
                f"share must lie between 0 and 1, got {self.share}; it is the share of masked"
                " values"
            )

    def __call__(self, x: Tensor, *, rng: Rng = None) -> Tensor:
        """(n, *event)."""
        return x * (uniform(*x.shape, rng=rng, like=x) >= self.share)


# ----------------------------------------------------------------------------------------- sparsity


class Sparsity(Value, family="sparsity"):
    """A penalty on codes with many active units."""

    def refuse(self, squash: Activation) -> None:
        """Raise InvalidValue if codes with the activation `squash` are outside its range."""

    @abstractmethod
    def __call__(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """The cost of codes z (n, latent): (n,), or a scalar for a cost of the whole batch."""


@dataclass(frozen=True)
class L1(Sparsity, name="l1"):
    """weight · Σ_j |z_j|. Large decoder weights can compensate for small codes:
    use weight decay (adamw).
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        require_positive(weight=self.weight)

    def __call__(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """(n,)."""
        return self.weight * z.abs().sum(1)


@dataclass(frozen=True)
class KL(Sparsity, name="kl"):
    """weight · Σ_j [t ln(t/a_j) + (1 - t) ln((1 - t)/(1 - a_j))].

    Here a_j is the batch's mean activation of unit j, and t the target.

    Reference: Ng (2011), Sparse autoencoder, CS294A notes, §3,
    https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf. The batch represents the data, so
    it should be large.
    """

    target: float = 0.05
    weight: float = 1.0

    def __post_init__(self) -> None:
        require_positive(weight=self.weight)
        if not 0 < self.target < 1:
            raise InvalidValue(
                f"target must lie between 0 and 1, got {self.target}; it is a unit's mean"
                " activation"
            )

    def refuse(self, squash: Activation) -> None:
        """Refuse activations other than those between 0 and 1."""
        if squash != "sigmoid":
            raise InvalidValue(
                f"{setting('sparsity', 'kl')} needs activations between 0 and 1, got"
                f" {setting('squash', squash)}; pass"
                f" {setting('squash', 'sigmoid')}, or 'l1'"
            )

    def __call__(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """A scalar."""
        share = torch.ones_like(z[:, 0]) if weights is None else weights.to(z)
        tiny = torch.finfo(z.dtype).eps
        active = ((share @ z) / share.sum()).clamp(tiny, 1 - tiny)
        t = torch.full_like(active, self.target)
        return (
            self.weight * (t * (t / active).log() + (1 - t) * ((1 - t) / (1 - active)).log()).sum()
        )


# -------------------------------------------------------------------------------------------- model


@register("autoencoder")
class Autoencoder(Learner):
    """An encoder and a decoder that reconstruct the data from a short code.

    Reference: Hinton & Salakhutdinov (2006, https://doi.org/10.1126/science.1127647), trained here
    end to end, without pre-training; denoising: Vincent et al. (2010,
    https://jmlr.org/papers/v11/vincent10a.html), with the squared error of all values, corrupted or
    not; sparse: Ng (2011, https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf).

    Args:
        latent: dimension of a code.
        hidden: sizes of the encoder's hidden layers; the decoder mirrors them.
        activation: 'relu', 'tanh', …
        network: replaces hidden and activation:
            'conv', 'conv(width=16)', 'hinton' (1000, 500, 250, logistic), …
        noise: corruption of the encoder's input during training: 'gaussian(0.3)', 'masking(0.3)'.
        sparsity: penalty on codes: 'l1(0.1)',
            or 'kl(target=0.05, weight=3.0)' with squash='sigmoid'.
        squash: activation of the codes: 'identity', 'sigmoid', 'relu', …

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 3, generator=torch.Generator().manual_seed(0))
        >>> model = pf.Autoencoder(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> model.encode(x).shape, model.decode(model.encode(x)).shape
        (torch.Size([256, 2]), torch.Size([256, 3]))
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "categorical"})

    def __init__(
        self,
        latent: int = 10,
        hidden: Sequence[int] = (256, 128),
        activation: Activation = "relu",
        network: Architecture | str | None = None,
        noise: Noise | str | None = None,
        sparsity: Sparsity | str | None = None,
        squash: Activation = "identity",
    ) -> None:
        super().__init__()
        require_positive(latent=latent, **{f"hidden[{i}]": size for i, size in enumerate(hidden)})
        self.latent, self.hidden, self.activation = (
            latent,
            tuple(hidden),
            check_activation(activation),
        )
        self.network: Architecture | None = None if network is None else read(Architecture, network)
        self.noise: Noise | None = None if noise is None else read(Noise, noise)
        self.sparsity: Sparsity | None = None if sparsity is None else read(Sparsity, sparsity)
        self.squash = check_activation(squash)
        if self.sparsity is not None:
            self.sparsity.refuse(squash)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """An encoder and a mirrored decoder for the space."""
        event, extra = self.event_shape(), self.conditions.width
        if self.network is None:
            self.encoder: nn.Module = MLP(
                self.event_size() + extra, (self.latent,), self.hidden, self.activation, wide=True
            )
            self.decoder: nn.Module = MLP(
                self.latent + extra, event, self.hidden[::-1], self.activation
            )
        else:
            self.encoder = SingleHead(self.network.encoder(event, (self.latent,), extra))
            self.decoder = SingleHead(self.network.decoder(self.latent, (event,), extra))
        if self.squash != "identity":
            self.encoder = Activated(self.encoder, self.squash)

    def default_fitter(self) -> Trainer:
        """100 epochs of Adam."""
        return Trainer(epochs=100)

    def least_rows(self, space: Space) -> int:
        """At least as many rows as a code has dimensions."""
        return self.latent

    def phases(self) -> list[Phase]:
        """One phase, for both networks."""
        networks = ("encoder", "decoder")
        return [Phase("autoencoder", networks, self.squared_error)]

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        """‖x - g(f(x̃))‖² (n,) in model coordinates, and the penalty on codes."""
        inputs = batch.x if self.noise is None else self.noise(batch.x, rng=step.rng)
        codes = self.encoder(inputs, batch.y)
        error = (self.decoder(codes, batch.y) - batch.x).square().flatten(1).sum(1)
        return (
            Terms(error=error)
            if self.sparsity is None
            else Terms(error=error, sparsity=self.sparsity(codes, batch.weights))
        )

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """Minus the squared reconstruction error (n,) of uncorrupted data."""
        restored = self.decoder(self.encoder(batch.x, batch.y), batch.y)
        quality: Tensor = -(restored - batch.x).square().flatten(1).sum(1)
        return quality

    def encode(self, x: Observations, y: Conditioning = None) -> Tensor:
        """Codes (n, latent)."""
        u = self.to_model(x)
        return self.blockwise(self.encoder, u, self.to_condition(y, u.shape[0]))

    def decode(self, z: Tensor, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """Observations (n, *shape) in the user's units, differentiable in z."""
        return self.blockwise(
            lambda z, y: self.to_user(self.decoder(z, y)), z, self.to_condition(y, z.shape[0])
        )


class Activated(nn.Module):
    """A network followed by an activation."""

    def __init__(self, network: nn.Module, activation: Activation) -> None:
        super().__init__()
        self.network, self.activation = network, make_activation(activation)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(n, latent)."""
        codes: Tensor = self.activation(self.network(x, y))
        return codes
