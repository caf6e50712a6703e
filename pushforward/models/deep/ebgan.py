"""EBGAN: the critic is an auto-encoder, and what it cannot restore has a high energy.

    D(x) = ‖x - g(f(x))‖                                   energy: low on data, high elsewhere
    critic:    D(x) + [m - D(G(z))]₊                       samples are pushed away up to the margin m, each by itself
    generator: D(G(z)) + w PT(f(G(z)))                     samples of low energy, with codes that are not parallel

At the equilibrium samples have the data's law and the critic's loss is m in the mean, whatever D is below m there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.model import Symptom
from pushforward.core.phase import Batch, Optimizer, adam
from pushforward.core.random import Rng
from pushforward.core.registry import read, register
from pushforward.core.space import Space
from pushforward.models.deep.gan import GAN, Judged
from pushforward.nets.architectures import Architecture, Perceptron, Sole
from pushforward.nets.critics import AutoencodingCritic
from pushforward.objectives.games import Margin
from pushforward.objectives.pull_away import pull_away as parallel

__all__ = ["EBGAN"]

UNRESTORED = 1.2
"""Mean energy of the data, in margins, from which on the game is lost; an auto-encoder that has learnt nothing begins at about 1."""


@register("ebgan")
class EBGAN(GAN):
    """A generator against an energy: the error of an auto-encoder that restores data and nothing else.

    Reference: Zhao, Mathieu & LeCun (2017), Eqs. 1 and 2 and §2.4; what differs: the networks, the margin's default, and Adam at half
    their rate with beta1 = .5, since at theirs samples run away from small data.

    Arguments:
        latent: numbers in a noise vector.
        code: numbers in the auto-encoder's code.
        hidden: sizes of the auto-encoder's hidden layers, encoder first; its decoder and the generator mirror them.
        margin: m, in the units of `energy`; None for √d, d the numbers in one observation: the energy of restoring nothing but
            the mean. It must be above the energy the data can be brought to.
        pull_away: w, weight of the pull-away term; 0 for none.
        activation: of the hidden layers.
        network: in place of hidden and activation, for all three: 'conv' or 'conv(width=16)' for pictures, 'mlp(hidden=(128,))'.
        critic_steps: the generator moves at every critic_steps-th move of the critic.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
        >>> model = pf.EBGAN(latent=2, code=4, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> model.sample(5, rng=0).shape, model.energy(x).shape
        (torch.Size([5, 2]), torch.Size([256]))
    """

    optimizer: ClassVar[Optimizer] = adam(5e-4, beta1=0.5)

    def __init__(
        self,
        latent: int = 16,
        code: int = 16,
        hidden: Sequence[int] = (128, 128),
        margin: float | None = None,
        pull_away: float = 0.1,
        activation: str = "leaky_relu",
        network: Architecture | str | None = None,
        critic_steps: int = 1,
    ) -> None:
        require_positive(code=code, margin=margin)
        if not pull_away >= 0:
            raise InvalidValue(f"pull_away must not be below 0, got {pull_away}; it is a weight, 0 for none")
        super().__init__(latent, hidden, Margin(margin or 1.0), (), activation, critic_steps)
        self.code, self.margin, self.pull_away = code, margin, pull_away
        self.network = None if network is None else read(Architecture, network)  # type: ignore[assignment]
        self.maps: Architecture = Perceptron(self.hidden, activation) if network is None else read(Architecture, network)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """A generator and an auto-encoder for the space; a margin where none was given."""
        self.played = Margin(math.sqrt(self.event_size()) if self.margin is None else self.margin)
        super().build(space, condition_space)

    def make_generator(self, event: Sequence[int], extra: int) -> nn.Module:
        """z (n, latent), y (n, …) of `extra` numbers -> (n, *event): a decoder like the critic's."""
        return Sole(self.maps.decoder(self.latent, (event,), extra))

    def make_critic(self, event: Sequence[int], extra: int) -> nn.Module:
        """(n, *event), conditions of `extra` numbers -> minus the energy (n, 1), and the code (n, code)."""
        encoder, decoder = self.maps.encoder(event, (self.code,), extra), self.maps.decoder(self.code, (event,), extra)
        return AutoencodingCritic(Sole(encoder), Sole(decoder))

    def generator_terms(self, fake: Judged) -> dict[str, Tensor]:
        """The pull-away term of the samples' codes, a scalar."""
        return {"pull_away": self.pull_away * parallel(fake.heads[0])} if self.pull_away else {}

    @torch.no_grad()
    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Those of a GAN, and mean energies in units of the margin: of held-out rows (energy_data), of samples (energy_samples)."""
        found = super().vitals(batch, rng=rng)
        game, fake = self.played, self._generate(batch, rng)
        assert isinstance(game, Margin)
        found["energy_data"] = float(-self._judge(batch.x, batch.y).mean() / game.margin)
        found["energy_samples"] = float(-self._judge(fake, batch.y).mean() / game.margin)
        return found

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Samples that are all alike, a critic that overfits, data that cannot be restored to below the margin."""
        cures = {
            "collapse": f"pull_away={2 * self.pull_away or 0.1:g}, another margin, or a lower rate for the generator "
            "(optimizers={'generator': 'adam(rate=2e-4)'})",
            "the critic overfits": "more data, augment=['flip', 'crop(padding=2)'], or a smaller code",
        }
        found = [replace(s, advice=cures[s.name]) for s in super().symptoms(vitals) if s.name in cures]
        if vitals["energy_data"] > UNRESTORED:
            seen = f"the data's energy is {vitals['energy_data']:.1f} times the margin"
            found.append(Symptom("the margin is too small", seen, "a larger margin, or a larger code or network"))
        return found

    def energy(self, x: Any, y: Any = None) -> Tensor:
        """‖x - g(f(x))‖ of observations x (n, *shape) in the user's units: (n,), from 0 (restored exactly) upwards.

        In the model's coordinates: each number counts in standard deviations of its column, a category as a one-hot vector, so that an
        observation of which the mean alone is restored has about √d. Samples were pushed up to the margin.
        """
        u = self.to_model(x)
        return self.blockwise(lambda u, y: -self._judge(u, y), u, self.to_condition(y, len(u)))
