"""Variational auto-encoders: p(x) = ∫ p(x|z) p(z) dz, learnt through a bound.

With z ~ N(0, I), a decoder that gives p(x|z) and an encoder that gives q(z|x) = N(mu(x), diag s²(x)),

    log p(x) ≥ E_q log p(x|z) - KL(q(z|x) ‖ p(z)),

maximised over both by z = mu + s·ε (the reparametrisation). The gap is KL(q(z|x) ‖ p(z|x)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.errors import require_positive
from pushforward.core.model import Learner, Symptom
from pushforward.core.phase import Batch, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator
from pushforward.core.registry import read, register
from pushforward.core.space import Space
from pushforward.densities.distributions import Normal, kl_divergence, kl_per_dimension
from pushforward.densities.likelihoods import Likelihood
from pushforward.fitting.augment import Augment, dequantise
from pushforward.fitting.trainer import Trainer
from pushforward.nets.mlp import MLP, Heads, check_activation

__all__ = ["VAE"]

DEAD = 0.01


class Decoder(nn.Module):
    """z, y -> the likelihood's location (n, *shape) and its log-scale, which is learnt and so lives in the network."""

    def __init__(self, inputs: int, shape: Sequence[int], hidden: Sequence[int], activation: str, scale: Sequence[int] | None) -> None:
        super().__init__()
        self.location = MLP(inputs, shape, hidden, activation)
        if scale is not None:
            self.log_scale = nn.Parameter(torch.zeros(1, *scale) if len(scale) > 1 else torch.zeros(*scale))
        else:
            self.register_buffer("log_scale", torch.zeros(1))

    def forward(self, z: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(n, latent), (n, …) -> (n, *shape), and what broadcasts to it."""
        return self.location(z, y), self.log_scale * 1.0


@register("vae")
class VAE(Learner):
    """A latent-variable model with a learnt decoder and a recogniser network that bounds its likelihood.

    Reference: Kingma & Welling (2014), Eq. 10, with the analytic KL of their Appendix B; Rezende et al. (2014).

    Arguments:
        latent: numbers in a code.
        hidden: sizes of the encoder's hidden layers; the decoder mirrors them.
        likelihood: 'gaussian' (sigma learnt), 'gaussian(per_dimension=True)', 'gaussian(sigma=0.1)' or 'bernoulli'.
        activation: 'relu', 'tanh', 'softplus', …

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 3, generator=torch.Generator().manual_seed(0))
        >>> model = pf.VAE(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> model.sample(5, rng=0).shape, model.elbo(x, rng=0).shape
        (torch.Size([5, 3]), torch.Size([256]))
    """

    accepts: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, latent: int = 20, hidden: Sequence[int] = (400,), likelihood: Likelihood | str = "gaussian", activation: str = "relu"
    ) -> None:
        super().__init__()
        require_positive(latent=latent, **{f"hidden[{i}]": size for i, size in enumerate(hidden)})
        self.latent, self.hidden, self.activation = latent, tuple(hidden), check_activation(activation)
        self.likelihood_kind: Likelihood = read(Likelihood, likelihood)
        self.scaling_kind = self.likelihood_kind.scaling

    def hyperparameters(self) -> dict[str, Any]:
        """The arguments of `__init__`; `likelihood` is also the name of a method."""
        return {"latent": self.latent, "hidden": self.hidden, "likelihood": self.likelihood_kind, "activation": self.activation}

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """An encoder with two heads (mean, log s) and a mirrored decoder."""
        extra = self.condition_width
        self.encoder = Heads(self.width() + extra, (self.latent, self.latent), self.hidden, self.activation)
        scale = self.likelihood_kind.scale_shape(self.event_shape())
        self.decoder = Decoder(self.latent + extra, self.event_shape(), self.hidden[::-1], self.activation, scale)

    def default_fitter(self) -> Trainer:
        """100 epochs of Adam."""
        return Trainer(epochs=100)

    def least_rows(self, space: Space) -> int:
        """As many rows as numbers in a code."""
        return self.latent

    def augmentations(self, space: Space) -> Sequence[Augment]:
        """A density on integer levels is meaningless: they are dequantised."""
        whole = space.integer or any(c.kind == "integer" for c in space.columns)
        return (dequantise(),) if whole and self.likelihood_kind.measure == "density per unit" else ()

    # ---------------------------------------------------------------------------------------------- learning

    def phases(self) -> list[Phase]:
        """One player."""
        return [Phase("vae", ("encoder", "decoder"), self.negative_elbo, adam(1e-3))]

    def negative_elbo(self, batch: Batch, step: Step) -> Terms:
        """Kingma & Welling (2014), Eq. 10, one draw."""
        q = self.posterior(batch.x, batch.y)
        z = q.rsample(rng=step.rng)
        return Terms(
            distortion=-self.likelihood(z, batch.y).log_prob(batch.x),
            rate=kl_divergence(q, self.prior(len(z))),
        )

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """The bound (n,), nats, model coordinates."""
        terms = self.negative_elbo(batch, Step(rng=generator(rng, batch.x.device)))
        return -(terms["distortion"] + terms["rate"])

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Units whose code depends on x (mean KL above .01 nat), and the learnt sigma."""
        q = self.posterior(batch.x, batch.y)
        per_unit = kl_per_dimension(q, self.prior(len(batch.x))).mean(0)
        _, log_scale = self.decoder(q.mean[:1], None if batch.y is None else batch.y[:1])
        return {"active": float((per_unit > DEAD).sum()), "rate": float(per_unit.sum()), "sigma": float(log_scale.exp().mean())}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Dead posterior dimensions."""
        active = int(vitals["active"])
        if active == 0:
            cure = "lower the likelihood's sigma, the learning rate, or warm the rate term up"
            return [Symptom("posterior collapse", "no latent dimension carries anything about the data", cure)]
        if active <= self.latent // 4:
            seen = f"{self.latent - active} of {self.latent} latent dimensions are dead"
            return [Symptom("dead dimensions", seen, f"harmless if the bound is good; otherwise latent={max(active, 1)} says the same")]
        return []

    # ---------------------------------------------------------------------------------------------- the model

    def prior(self, n: int = 1) -> Normal:
        """p(z) = N(0, I), n rows."""
        return Normal.standard(n, self.latent, like=next(self.decoder.parameters()))

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> Any:
        """p(x|z) in model coordinates, for codes z (n, latent) and conditions in model coordinates."""
        location, log_scale = self.decoder(z, y)
        return self.likelihood_kind.distribution(location, log_scale)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> Normal:
        """q(z|x) for x in model coordinates."""
        return Normal(*self.encoder(x, y))

    def elbo(self, x: Any, y: Any = None, *, rng: Rng = None) -> Tensor:
        """A lower bound on log p(x) (n,), nats per observation in the user's units; one draw of the posterior."""
        u = self.to_model(x)
        condition = self.to_condition(y, len(u))
        bound = self.quality(Batch(u, condition), rng=rng)
        return bound + self.log_jacobian(u)

    def log_jacobian(self, u: Tensor) -> float:
        """What turns a likelihood in model coordinates into the user's units; 0 for masses."""
        return self.scaling.log_jacobian(u) if self.likelihood_kind.measure == "density per unit" else 0.0

    def encode(self, x: Any, y: Any = None) -> Tensor:
        """Posterior means (n, latent)."""
        u = self.to_model(x)
        return self.posterior(u, self.to_condition(y, len(u))).mean

    def decode(self, z: Tensor, y: Any = None, *, rng: Rng = None) -> Tensor:
        """The likelihood's mean (n, *shape), user's units; with `rng`, a draw from it instead."""
        law = self.likelihood(z, self.to_condition(y, len(z)))
        return self.to_user(law.mean if rng is None else law.rsample(rng=rng))

    @torch.no_grad()
    def sample(self, n: int, *, y: Any = None, rng: Rng = None, noise: bool = True) -> Tensor:
        """n draws from the model (n, *shape), user's units; `noise=False` gives the mean of p(x|z) instead of a draw."""
        stream = generator(rng, self.device)
        z = self.prior(n).rsample(rng=stream)
        return self.decode(z, y, rng=stream if noise else None)
