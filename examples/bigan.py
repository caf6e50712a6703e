"""Three networks and two critics, which learn to encode and to generate at once.

One critic tells pairs (x, E(x)) from (G(z), z) (Donahue et al. 2017, BiGAN,
https://arxiv.org/abs/1605.09782), a second one sees x alone (Donahue & Simonyan 2019, BigBiGAN,
https://arxiv.org/abs/1907.02544).
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

import pushforward as pf
from pushforward.core.random import normal
from pushforward.nets.mlp import mlp


@pf.register("bigan")
class BiGAN(pf.Learner):
    """An encoder and a generator against a critic of pairs and a critic of observations."""

    def __init__(self, latent: int = 2, hidden: int = 64) -> None:
        super().__init__()
        self.latent, self.hidden = latent, hidden

    def build(self, space: pf.Space, condition_space: pf.Space | None = None) -> None:
        d, h, k = self.event_size(), self.hidden, self.latent
        self.encoder = mlp([d, h, h, k], "leaky_relu")
        self.generator = mlp([k, h, h, d], "leaky_relu")
        self.pairs = mlp([d + k, h, h, 1], "leaky_relu")
        self.critic = mlp([d, h, h, 1], "leaky_relu")

    def phases(self) -> list[pf.Phase]:
        rate = pf.adam(2e-4, beta1=0.5)
        return [
            pf.Phase("critics", ("pairs", "critic"), self.critics_loss, rate),
            pf.Phase("players", ("encoder", "generator"), self.players_loss, rate),
        ]

    def verdicts(self, batch: pf.Batch, step: pf.Step) -> tuple[Tensor, Tensor]:
        """What both critics say of real and of generated rows, (n, 2) each."""
        x, z = batch.x.flatten(1), normal(len(batch.x), self.latent, rng=step.rng, like=batch.x)
        made = self.generator(z)
        real = torch.cat([self.pairs(torch.cat([x, self.encoder(x)], 1)), self.critic(x)], 1)
        return real, torch.cat([self.pairs(torch.cat([made, z], 1)), self.critic(made)], 1)

    def critics_loss(self, batch: pf.Batch, step: pf.Step) -> pf.Terms:
        real, fake = self.verdicts(batch, step)
        return pf.Terms(critics=softplus(-real) + softplus(fake))

    def players_loss(self, batch: pf.Batch, step: pf.Step) -> pf.Terms:
        real, fake = self.verdicts(batch, step)
        return pf.Terms(players=softplus(real) + softplus(-fake))

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.encoder(self.to_model(x).flatten(1))

    @torch.no_grad()
    def sample(self, n: int, *, y: Tensor | None = None, rng: int | None = None) -> Tensor:
        z = normal(n, self.latent, rng=rng, dtype=self.floating())
        return self.to_user(self.generator(z).reshape(n, *self.event_shape()))
