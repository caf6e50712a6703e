"""Generative adversarial networks: a generator g pushes noise z ~ N(0, I) forward, a critic c tells it from the data.

Original Algorithm 1: the critic moves first, then the generator. Which losses they minimise is a `Game`, what keeps the
critic's slope in check is a `Penalty`; both are values, so any two-player game is a `GAN(game=…, penalties=…)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.model import Learner, Symptom
from pushforward.core.phase import Batch, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator, normal
from pushforward.core.registry import read, register
from pushforward.core.space import Space
from pushforward.densities.normals import Normal
from pushforward.fitting.trainer import Trainer
from pushforward.nets.mlp import MLP, check_activation
from pushforward.objectives.distances import energy_distance
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["GAN"]

WON = 0.98
UNIFORM = 0.05


@register("gan")
class GAN(Learner):
    """Two players: a generator of samples and a critic that tells them from the data.

    Reference: Goodfellow et al. (2014), Algorithm 1; the default game is their §3 (-log D), with R1 (Mescheder et al.
    2018) because the unpenalised game does not converge.

    Arguments:
        latent: numbers in a noise vector.
        hidden: sizes of the hidden layers of both networks.
        game: 'non_saturating', 'minimax', 'least_squares', 'hinge', 'wasserstein', 'relativistic'.
        penalties: on the critic's slope: 'r1(gamma=1.0)', 'r2', 'gradient_penalty'.
        activation: of the hidden layers.
        critic_steps: the generator moves at every critic_steps-th move of the critic.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
        >>> model = pf.GAN(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> model.sample(5, rng=0).shape
        torch.Size([5, 2])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "categorical"})

    def __init__(
        self,
        latent: int = 16,
        hidden: Sequence[int] = (128, 128),
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = ("r1(gamma=0.1)",),
        activation: str = "leaky_relu",
        critic_steps: int = 1,
    ) -> None:
        super().__init__()
        require_positive(latent=latent, critic_steps=critic_steps, **{f"hidden[{i}]": size for i, size in enumerate(hidden)})
        if isinstance(penalties, (str, Penalty)):
            raise InvalidValue(f"penalties is a list, got {penalties!r}; write penalties=['{penalties}']")
        self.latent, self.hidden, self.activation = latent, tuple(hidden), check_activation(activation)
        self.game: Game = read(Game, game)
        self.penalties: tuple[Penalty, ...] = tuple(read(Penalty, p) for p in penalties)
        self.critic_steps = critic_steps

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """A generator and a critic for the space."""
        extra = self.condition_width
        self.generator = MLP(self.latent + extra, self.event_shape(), self.hidden, self.activation)
        self.critic = MLP(self.width() + extra, (1,), self.hidden, self.activation)

    def default_fitter(self) -> Trainer:
        """100 epochs, sampling from an average of the weights."""
        return Trainer(epochs=100, ema=0.999)

    def least_rows(self, space: Space) -> int:
        """Two, to tell apart."""
        return 2

    # ---------------------------------------------------------------------------------------------- learning

    def phases(self) -> list[Phase]:
        """The critic first, then the generator."""
        rate = adam(2e-4, beta1=0.5)
        return [
            Phase("critic", ("critic",), self.critic_loss, rate),
            Phase("generator", ("generator",), self.generator_loss, rate, every=self.critic_steps),
        ]

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The game's critic loss and the penalties, on one generated sample a row."""
        with torch.no_grad():
            fake = self._generate(batch, step.rng)
        real_output, fake_output = self._judge(batch.x, batch.y), self._judge(fake, batch.y)
        penalties = {p.name: p(lambda x: self._judge(x, batch.y), batch.x, fake, rng=step.rng) for p in self.penalties}
        accuracy = 0.5 * ((real_output > 0).float() + (fake_output < 0).float()).mean()
        return Terms(critic=self.game.critic(real_output, fake_output), **penalties, logged={"accuracy": accuracy})

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The game's generator loss."""
        fake_output = self._judge(self._generate(batch, step.rng), batch.y)
        with torch.no_grad():
            real_output = self._judge(batch.x, batch.y)
        return Terms(generator=self.game.generator(fake_output, real_output))

    def _generate(self, batch: Batch, rng: Rng) -> Tensor:
        return self.generator(normal(len(batch.x), self.latent, rng=rng, like=batch.x), batch.y)

    def _judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self.critic(x, y).squeeze(1)

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """Minus the energy distance between as many samples and the held-out rows (a scalar)."""
        return -energy_distance(self._generate(batch, rng), batch.x)

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """The critic's accuracy and the samples' spread as a share of the data's (mean distance within each)."""
        fake = self._generate(batch, rng)
        accuracy = 0.5 * ((self._judge(batch.x, batch.y) > 0).float() + (self._judge(fake, batch.y) < 0).float()).mean()
        spread = torch.pdist(fake.flatten(1)).mean() / torch.pdist(batch.x.flatten(1)).mean().clamp_min(1e-12)
        return {"accuracy": float(accuracy), "diversity": float(spread)}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """A critic that has won, samples that are all alike."""
        found = []
        if vitals["accuracy"] > WON:
            cure = "penalties=['r1(gamma=10)'], a lower rate for the critic, or noise on its inputs"
            found.append(Symptom("the critic has won", f"it tells {vitals['accuracy']:.0%} of samples from data", cure))
        if vitals["diversity"] < UNIFORM:
            cure = "penalties=['r1(gamma=10)'], a lower rate for the generator, or game='relativistic'"
            found.append(Symptom("collapse", f"samples are {vitals['diversity']:.0%} as far apart as the data", cure))
        return found

    # ---------------------------------------------------------------------------------------------- the model

    def prior(self, n: int = 1) -> Normal:
        """p(z) = N(0, I), n rows."""
        return Normal.standard(n, self.latent, like=next(self.generator.parameters()))

    def decode(self, z: Tensor, y: Any = None, *, rng: Rng = None) -> Tensor:
        """Observations (n, *shape) for noise vectors z (n, latent), user's units, differentiable in z."""
        return self.to_user(self.generator(z, self.to_condition(y, len(z))))

    @torch.no_grad()
    def sample(self, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """n new observations (n, *shape), user's units."""
        return self.decode(normal(n, self.latent, rng=generator(rng, self.device), dtype=self.floating(), device=self.device), y)
