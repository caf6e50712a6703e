"""Variational auto-encoders: p(x) = ∫ p(x|z) p(z) dz, trained through a bound.

With codes z ~ p(z), a decoder for p(x|z) and an encoder for q(z|x),

    log p(x) ≥ E_q log p(x|z) - KL(q(z|x) ‖ p(z)),

maximised over both by reparametrisation, z = μ(x) + s(x)·ε. The gap is KL(q(z|x) ‖ p(z|x)). p(x|z),
q, p(z) and the bound are values: a VAE is a likelihood, a posterior, a prior, an objective and two
networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import setting
from pushforward.core.capabilities import HasMean
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.first_parameter import first_parameter
from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch, Phase
from pushforward.core.random import Rng, generator
from pushforward.core.registry import read, register
from pushforward.core.scan import Facts
from pushforward.core.source import Source, peek
from pushforward.core.space import Space
from pushforward.densities.latents import (
    CodePosterior,
    CodePrior,
    Posterior,
    Prior,
    PriorInputs,
)
from pushforward.densities.likelihoods import Likelihood
from pushforward.densities.normals import rate
from pushforward.fitting.trainer import Trainer
from pushforward.models.parts.recogniser import RecognisedModel
from pushforward.nets.architectures import Architecture, mlp
from pushforward.nets.free_parameters import FreeParameters
from pushforward.nets.mlp import Activation, ShapedHeads, check_activation
from pushforward.objectives.bounds import Elbo, ImportanceWeighted, Objective

__all__ = ["VAE"]

DEAD = 0.01
"""A unit whose posterior mean varies less than this over the data is inactive.

Reference: Burda et al. (2016), §5.2, https://arxiv.org/abs/1509.00519.
"""


AVERAGED = 4096
"""Rows whose mean initialises a fit."""


class Encoder(nn.Module):
    """x, y -> the posterior's heads, of x minus a centre (*event).

    The centre is the data's mean or 0: training is faster about the mean.
    """

    centre: Tensor

    def __init__(self, network: nn.Module, event: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("centre", torch.zeros(*event))

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """(n, *event), (n, …) -> tensors."""
        return self.network(x - self.centre, y)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """z, y -> the likelihood's heads (n, *shape), …, and trainable tensors of all codes."""

    def __init__(self, network: nn.Module, shared: Sequence[Tensor]) -> None:
        super().__init__()
        self.network, self.shared = network, FreeParameters(*shared)

    @torch.no_grad()
    def begin_at(self, head: Tensor) -> None:
        """Initialise the first head's output at zero input to `head` (*shape).

        This needs a separate bias for every unit.
        """
        if isinstance(self.network, ShapedHeads):
            self.network.heads.bias[: head.numel()].copy_(head.flatten())

    def forward(self, z: Tensor, y: Tensor | None = None) -> tuple[Tensor, ...]:
        """(n, latent), (n, …) -> tensors."""
        return (*self.network(z, y), *self.shared())


@register("vae")
class VAE(RecognisedModel):
    """A latent-variable model with a trained decoder and a recogniser
    network that bounds its likelihood.

    Reference: Kingma & Welling (2014, https://arxiv.org/abs/1312.6114), Eq. 10, with the analytic
    KL of their Appendix B; Rezende et al. (2014, https://arxiv.org/abs/1401.4082).

    Args:
        latent: dimension of a code.
        hidden: sizes of the encoder's hidden layers; the decoder mirrors them.
        likelihood: p(x|z). 'gaussian' (sigma fitted), 'gaussian(sigma=0.1)',
            'gaussian(per_dimension=True)', 'gaussian(predicted=True)', 'bernoulli',
            'continuous_bernoulli', 'discretised_logistic' (integer levels), 'columns'
            (tables with categories).
        activation: 'relu', 'tanh', 'softplus', …
        network: replaces hidden and activation: 'conv' for images, 'conv(width=64)', 'plane' or
            'burda' (two published networks), 'mlp(hidden=(400,))'.
        posterior: q(z|x), 'diagonal' or 'full'.
        prior: p(z), 'normal', 'mixture(components=10)' or 'vamp(components=50)'.
        objective: 'elbo', 'elbo(beta=4.0)', 'elbo(free_bits=0.1)', 'elbo(warm_up=0.2)',
            'iwae(k=50)' or 'iwae(k=50, doubly=True)'.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 3, generator=torch.Generator().manual_seed(0))
        >>> model = pf.VAE(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> model.sample(5, rng=0).shape, model.elbo(x, rng=0).shape
        (torch.Size([5, 3]), torch.Size([256]))
    """

    accepts: frozenset[str] = frozenset()  # type: ignore[misc]
    accepts_with: ClassVar[Mapping[str, tuple[str, str]]] = {
        "categorical": ("likelihood", "columns")
    }
    encoder: Encoder
    decoder: Decoder

    def __init__(
        self,
        latent: int = 20,
        hidden: Sequence[int] = (400,),
        likelihood: Likelihood | str = "gaussian",
        activation: Activation = "relu",
        network: Architecture | str | None = None,
        posterior: Posterior | str = "diagonal",
        prior: Prior | str = "normal",
        objective: Objective | str = "elbo",
    ) -> None:
        super().__init__()
        require_positive(latent=latent, **{f"hidden[{i}]": size for i, size in enumerate(hidden)})
        self.latent, self.hidden, self.activation = (
            latent,
            tuple(hidden),
            check_activation(activation),
        )
        self.network = None if network is None else read(Architecture, network)
        self.likelihood_kind: Likelihood = read(Likelihood, likelihood)
        self.posterior_kind: Posterior = read(Posterior, posterior)
        self.prior_kind: Prior = read(Prior, prior)
        self.objective: Objective = read(Objective, objective)
        self.scaling_kind = self.likelihood_kind.scaling
        if self.likelihood_kind.categories:
            self.accepts = frozenset({"categorical"})
        if (
            isinstance(self.objective, Elbo)
            and self.objective.free_bits
            and (posterior, prior) != ("diagonal", "normal")
        ):
            raise InvalidValue(
                f"free_bits need {setting('posterior', 'diagonal')} and"
                f" {setting('prior', 'normal')}, got {posterior!r} and"
                f" {prior!r}"
            )

    def hyperparameters(self) -> dict[str, Any]:
        """The arguments of `__init__`; some are also names of methods."""
        settings = {
            "likelihood": self.likelihood_kind,
            "posterior": self.posterior_kind,
            "prior": self.prior_kind,
        }
        return {name: settings.get(name, getattr(self, name)) for name in super().hyperparameters()}

    def refuse(self, source: Source, facts: Facts) -> None:
        """Also refuse data that the likelihood cannot describe."""
        self.likelihood_kind.refuse(source.space)
        super().refuse(source, facts)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """Create an encoder with the posterior's heads and a decoder with the likelihood's.

        The prior's trainable tensors are created as well.
        """
        network = self.network or mlp(self.hidden, self.activation)
        event, extra = self.event_shape(), self.conditions.width
        self.encoder = Encoder(
            network.encoder(event, self.posterior_kind.sizes(self.latent), extra), event
        )
        heads = self.likelihood_kind.heads(self.scaling)
        self.decoder = Decoder(
            network.decoder(self.latent, heads, extra), self.likelihood_kind.free(self.scaling)
        )
        prior_parameters = self.prior_kind.initial_parameters(self.latent, event)
        if prior_parameters and condition_space is not None and self.prior_kind.name == "vamp":
            raise InvalidValue(
                "a vamp prior's inputs have no conditions; fit without y, or use"
                f" {setting('prior', 'mixture')}"
            )
        if prior_parameters:
            self.codes = FreeParameters(*prior_parameters)

    def prepare(self, source: Source, facts: Facts) -> None:
        """Start at the data's mean unless the scaling has set it to 0.

        The encoder subtracts it, and the decoder starts there.
        """
        super().prepare(source, facts)
        if self.scaling_kind == "standardised":
            return
        mean = self.to_model(peek(source, AVERAGED).x).mean(0).nan_to_num(0.0, 0.0, 0.0)
        self.encoder.centre.copy_(mean)
        head = self.likelihood_kind.head_at(mean, self.scaling)
        if head is not None:
            self.decoder.begin_at(head)

    def default_fitter(self) -> Trainer:
        """100 epochs of Adam."""
        return Trainer(epochs=100)

    def least_rows(self, space: Space) -> int:
        """At least as many rows as a code has dimensions."""
        return self.latent

    def has_unit_density(self) -> bool:
        """As the likelihood: a density per unit, or a mass."""
        return self.likelihood_kind.measure.startswith("density")

    # ------------------------------------------------------------------------------------- learning

    def phases(self) -> list[Phase]:
        """One phase, for both networks."""
        loss = (
            self.importance_weighted
            if isinstance(self.objective, ImportanceWeighted)
            else self.negative_elbo
        )
        networks = (
            ("encoder", "decoder", "codes") if hasattr(self, "codes") else ("encoder", "decoder")
        )
        return [Phase("vae", networks, loss)]

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Active units, the rate in nats, and the likelihood's sigma if it has one."""
        q = self.posterior(batch.x, batch.y)
        spent = rate(
            q, self.prior(len(batch.x)), q.rsample(rng=generator(rng, batch.x.device))
        ).mean()
        results = {
            "active": float((q.mean.var(0, correction=0) > DEAD).sum()),
            "rate": float(spent),
        }
        sigma = self.likelihood_kind.fitted_sigma(
            self.decoder(q.mean[:1], None if batch.y is None else batch.y[:1])
        )
        return results if sigma is None else {**results, "sigma": float(sigma)}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Dead posterior dimensions."""
        active = int(vitals["active"])
        if active == 0:
            remedy = (
                "lower the likelihood's sigma, the learning rate, or warm the rate term up:"
                f" {setting('objective', 'elbo(warm_up=0.2)')}"
            )
            return [
                Symptom(
                    "posterior collapse",
                    "no latent dimension depends on the data",
                    remedy,
                )
            ]
        if active <= self.latent // 4:
            text = f"{self.latent - active} of {self.latent} latent dimensions are dead"
            return [
                Symptom(
                    "dead dimensions",
                    text,
                    f"harmless if the bound is good; otherwise latent={max(active, 1)} is"
                    " equivalent",
                )
            ]
        return []

    # ------------------------------------------------------------------------------------ the model

    def prior(self, n: int = 1) -> CodePrior:
        """p(z), n rows."""
        like = first_parameter(self.decoder)
        tensors = self.codes() if hasattr(self, "codes") else ()
        return self.prior_kind.distribution(
            PriorInputs(n, self.latent, tensors, self.posterior, like)
        )

    def likelihood(self, z: Tensor, y: Tensor | None = None) -> HasMean:
        """p(x|z) in model coordinates, for codes z (n, latent) and converted conditions."""
        return self.likelihood_kind.distribution(self.decoder(z, y), self.scaling)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> CodePosterior:
        """q(z|x) for x in model coordinates."""
        return self.posterior_kind.distribution(self.encoder(x, y))

    def centred(self, u: Tensor) -> Tensor:
        """Observations as the encoder sees them."""
        return u - self.encoder.centre

    def log_jacobian(self, u: Tensor) -> float:
        """The term that converts a log-likelihood from model coordinates to the user's units.

        0 for masses.
        """
        return self.likelihood_kind.log_jacobian(self.scaling, u)
