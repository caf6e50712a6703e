"""Latent-variable models p(x) = ∫ p(x|z) p(z) dz with a recogniser q(z|x).

Bounds on the likelihood and their gradients, codes, decoded codes and samples follow from the three
distributions; a subclass defines p(z), p(x|z) and q(z|x), and their networks.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from pushforward.core.capabilities import HasMean
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.learner import Learner
from pushforward.core.phase import Batch, Step, Terms
from pushforward.core.random import Rng, generator
from pushforward.core.samplers import Sampler
from pushforward.densities.latents import CodePosterior, CodePrior
from pushforward.densities.normals import Normal, kl_per_dimension, rate
from pushforward.densities.repeats import detach, repeat
from pushforward.objectives.bounds import Elbo, ImportanceWeighted, Objective, importance_bound

__all__ = ["RecognisedModel"]

FAR = 10.0
"""Rows farther than this from the centre, in model coordinates, may have NaN bounds."""


class RecognisedModel(Learner):
    """A learner with `prior`, `likelihood` and `posterior`, all in model coordinates."""

    objective: Objective

    @abstractmethod
    def prior(self, n: int = 1) -> CodePrior:
        """p(z), n rows."""

    @abstractmethod
    def likelihood(self, z: Tensor, y: Tensor | None = None) -> HasMean:
        """p(x|z) for codes z (n, latent) and conditions, both in model coordinates."""

    @abstractmethod
    def posterior(self, x: Tensor, y: Tensor | None = None) -> CodePosterior:
        """q(z|x) for x and conditions in model coordinates."""

    @abstractmethod
    def log_jacobian(self, u: Tensor) -> float:
        """What turns a likelihood in model coordinates into the user's units; 0 for masses."""

    # ------------------------------------------------------------------------------------- learning

    def negative_elbo(self, batch: Batch, step: Step) -> Terms:
        """Kingma & Welling (2014, https://arxiv.org/abs/1312.6114), Eq.
        10, with one posterior sample.
        """
        assert isinstance(self.objective, Elbo)
        q, prior = self.posterior(batch.x, batch.y), self.prior(len(batch.x))
        z = q.rsample(rng=step.rng)
        distortion = -self.likelihood(z, batch.y).log_prob(batch.x)
        if self.objective.free_bits:
            # models refuse other posteriors with free bits
            assert isinstance(q, Normal)
            assert isinstance(prior, Normal)
            spent = kl_per_dimension(q, prior)
        else:
            spent = rate(q, prior, z)
        return self.objective.terms(distortion, spent, step.fraction)

    def importance_weighted(self, batch: Batch, step: Step) -> Terms:
        """Burda, Grosse & Salakhutdinov (2016, https://arxiv.org/abs/1509.00519), Eq. 8."""
        assert isinstance(self.objective, ImportanceWeighted)
        log_weight, z = self.log_weights(
            batch, self.objective.k, step.rng, freeze=self.objective.doubly
        )
        return (
            self.objective.doubly_reparametrised(log_weight, z)
            if self.objective.doubly
            else self.objective.terms(log_weight)
        )

    def log_weights(
        self, batch: Batch, k: int, rng: Rng, *, freeze: bool = False
    ) -> tuple[Tensor, Tensor]:
        """log p(x, z_i) - log q(z_i|x) of k posterior samples per row (k, n).

        Also returns the samples (k n, latent).

        With `freeze` the density of q has fixed parameters,
        so that gradients flow through the samples alone.
        """
        q = repeat(self.posterior(batch.x, batch.y), k)
        z = q.rsample(rng=rng)
        x, y = repeat(batch.x, k), None if batch.y is None else repeat(batch.y, k)
        log_joint = self.likelihood(z, y).log_prob(x) + self.prior(len(z)).log_prob(z)
        return (log_joint - (detach(q) if freeze else q).log_prob(z)).reshape(k, -1), z

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """The training bound (n,), nats, model coordinates, at beta = 1 and without free bits."""
        stream = generator(rng, batch.x.device)
        if isinstance(self.objective, ImportanceWeighted):
            return importance_bound(self.log_weights(batch, self.objective.k, stream)[0])
        return self.bound(batch, stream)

    def bound(self, batch: Batch, rng: Rng = None) -> Tensor:
        """The ELBO (n,), nats, model coordinates, with one posterior sample."""
        q = self.posterior(batch.x, batch.y)
        z = q.rsample(rng=generator(rng, batch.x.device))
        fit: Tensor = self.likelihood(z, batch.y).log_prob(batch.x)
        return fit - rate(q, self.prior(len(z)), z)

    # ------------------------------------------------------------------------------- what users ask

    def elbo(self, x: Observations, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """A lower bound on log p(x) (n,) by one posterior sample.

        In nats per observation in the user's units.
        """
        u = self.to_model(x)
        stream = generator(rng, u.device)
        bounds = self.blockwise(
            lambda u, y: self.bound(Batch(u, y), stream), u, self.to_condition(y, len(u))
        )
        if bool(bounds.isnan().any()):
            bounds = torch.where(bounds.isnan() & self._is_far(u), -math.inf, bounds)
        return bounds + self.log_jacobian(u)

    def centred(self, u: Tensor) -> Tensor:
        """Observations in model coordinates, centred on the data."""
        return u

    def _is_far(self, u: Tensor) -> Tensor:
        """Rows (n,) so far out that rate and distortion may both be infinite.

        Their difference would be NaN.

        Empty if the network yields NaN near the data or holds NaN itself,
        which must not pass for unlikely rows.
        """
        if not all(
            bool(t.isfinite().all())
            for t in (*self.parameters(), *self.buffers())
            if t.is_floating_point()
        ):
            return torch.zeros(len(u), dtype=torch.bool, device=u.device)
        return self.centred(u).flatten(1).abs().amax(1) > FAR

    def encode(self, x: Observations, y: Conditioning = None) -> Tensor:
        """Posterior means (n, latent)."""
        u = self.to_model(x)
        return self.blockwise(
            lambda u, y: self.posterior(u, y).mean, u, self.to_condition(y, u.shape[0])
        )

    def decode(self, z: Tensor, y: Conditioning = None, *, rng: Rng = None) -> Tensor:
        """The likelihood's mean (n, *shape), user's units; with `rng`, a sample from it instead."""
        stream = None if rng is None else generator(rng, z.device)

        def observed(z: Tensor, y: Tensor | None) -> Tensor:
            p = self.likelihood(z, y)
            return self.to_user(p.mean if stream is None else p.rsample(rng=stream))

        return self.blockwise(observed, z, self.to_condition(y, z.shape[0]))

    @torch.no_grad()
    def sample(
        self, n: int, y: Conditioning = None, rng: Rng = None, using: Sampler | str | None = None
    ) -> Tensor:
        """n observations (n, *shape), user's units: for images the mean of p(x|z), otherwise
        samples; `using` overrides this.
        """
        stream = generator(rng, self.device)
        return self.decode(self.prior(n).rsample(rng=stream), y, rng=stream)

    @property
    def default_sampler(self) -> str:
        """'mean' for images, to omit pixel noise; else 'ancestral'."""
        return "ancestral" if self.fitted_space().kind == "points" else "mean"
