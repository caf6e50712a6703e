"""EBGAN: the critic is an auto-encoder, whose reconstruction error is the energy.

    D(x) = ‖x - g(f(x))‖                                   energy: low on data, high elsewhere
    critic:    D(x) + [m - D(G(z))]₊      samples are pushed away up to the margin m, each by itself
    generator: D(G(z)) + w PT(f(G(z)))       samples of low energy, with codes that are not parallel

At the equilibrium samples have the data's distribution and the
critic's mean loss is m, whatever D is below m.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidValue, require_positive
from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator
from pushforward.core.registry import read, register
from pushforward.core.space import Space
from pushforward.models.deep.gan import RECENT, RECORDED
from pushforward.models.deep.vital_signs import adversarial_vitals, gradient_norm, symptoms
from pushforward.models.parts.adversary import Adversary, Rows
from pushforward.models.parts.generator import CodeModel
from pushforward.nets.architectures import Architecture, Perceptron, SingleHead
from pushforward.nets.critics import AutoencodingCritic
from pushforward.nets.memory import Memory
from pushforward.nets.mlp import Activation
from pushforward.objectives.games import Margin
from pushforward.objectives.pull_away import pull_away as parallel

__all__ = ["EBGAN"]

UNRESTORED = 1.2
"""Mean energy of the data, in margins, above which the game is lost.

An untrained auto-encoder starts at about 1.
"""


@register("ebgan")
class EBGAN(CodeModel):
    """A generator trained against an energy:
    the error of an auto-encoder that reconstructs only data.

    Reference: Zhao, Mathieu & LeCun (2017, https://arxiv.org/abs/1609.03126), Eqs. 1 and 2 and
    §2.4. Differences: the networks, the margin's default, and Adam at half their rate with beta1 =
    .5, since at theirs samples diverge from small data sets.

    Args:
        latent: dimension of the noise.
        code: dimension of the auto-encoder's code.
        hidden: sizes of the auto-encoder's hidden layers, encoder first;
            its decoder and the generator mirror them.
        margin: m, in the units of `energy`; None for √d, with d numbers per observation: the energy
            of reconstructing only the mean. It must exceed the energy that the data can reach.
        pull_away: w, weight of the pull-away term; 0 for none.
        activation: of the hidden layers.
        network: replaces hidden and activation, for all three:
            'conv' or 'conv(width=16)' for images, 'mlp(hidden=(128,))'.
        critic_steps: the generator is updated once per `critic_steps` critic updates.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
        >>> model = pf.EBGAN(latent=2, code=4, hidden=(16,)).fit(x, epochs=2, batch=64)
        >>> model.sample(5, rng=0).shape, model.energy(x).shape
        (torch.Size([5, 2]), torch.Size([256]))
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "categorical"})

    def __init__(
        self,
        latent: int = 16,
        code: int = 16,
        hidden: Sequence[int] = (128, 128),
        margin: float | None = None,
        pull_away: float = 0.1,
        activation: Activation = "leaky_relu",
        network: Architecture | str | None = None,
        critic_steps: int = 1,
    ) -> None:
        super().__init__()
        require_positive(latent=latent, code=code, margin=margin, critic_steps=critic_steps)
        if not pull_away >= 0:
            raise InvalidValue(
                f"pull_away must not be negative, got {pull_away}; it is a weight, 0 for none"
            )
        self.latent, self.hidden, self.activation, self.critic_steps = (
            latent,
            tuple(hidden),
            activation,
            critic_steps,
        )
        self.code, self.margin, self.pull_away = code, margin, pull_away
        self.network: Architecture | None = None if network is None else read(Architecture, network)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """A generator and an auto-encoder for the space, and the default margin."""
        event, extra = self.event_shape(), self.conditions.width
        network = self.network or Perceptron(self.hidden, self.activation)
        self.adversary = Adversary(
            Margin(math.sqrt(self.event_size()) if self.margin is None else self.margin)
        )
        self.generator = SingleHead(network.decoder(self.latent, (event,), extra))
        encoder, decoder = (
            network.encoder(event, (self.code,), extra),
            network.decoder(self.code, (event,), extra),
        )
        self.critic = AutoencodingCritic(SingleHead(encoder), SingleHead(decoder))
        self.recent = Memory(RECENT, event, self.conditions.shape if self.conditions else None)

    # ------------------------------------------------------------------------------------- learning

    def phases(self) -> list[Phase]:
        """The critic first, then the generator."""
        rate = adam(5e-4, beta1=0.5)
        return [
            Phase("critic", ("critic",), self.critic_loss, rate),
            Phase("generator", ("generator",), self.generator_loss, rate, every=self.critic_steps),
        ]

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """Zhao, Mathieu & LeCun (2017), Eq. 1, on one generated sample per row."""
        with torch.no_grad():
            fake = Rows(
                self.push(self.prior(len(batch.x)).rsample(rng=step.rng).to(batch.x), batch.y),
                batch.y,
            )
        if step.samples // len(batch.x) % RECORDED == 0:
            self.recent(batch.x, batch.y)
        comparison = self.adversary.compare(self.critic, Rows(batch.x, batch.y), fake, step)
        return self.adversary.critic_terms(self.critic, comparison, step)

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """Eq. 2 and the pull-away term of the samples' codes."""
        fake = Rows(
            self.push(self.prior(len(batch.x)).rsample(rng=step.rng).to(batch.x), batch.y), batch.y
        )
        terms, verdict = self.adversary.generator_terms(self.critic, fake, step)
        if self.pull_away:
            terms["pull_away"] = self.pull_away * parallel(verdict.heads[0])
        return terms

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """The vitals of a GAN, and mean energies in margins.

        They are those of held-out rows (energy_data) and samples (energy_samples).
        """
        stream = generator(rng, batch.x.device)
        fake, training = self.generate(batch, stream), self.recent.held()
        vitals = adversarial_vitals(self.adversary, self.critic, batch, fake, training, lambda x: x)
        networks = (
            {"critic": self.critic, "generator": self.generator}
            if self.critic_steps == 1
            else {"critic": self.critic}
        )
        for name, network in networks.items():
            norm = gradient_norm(network.parameters())
            vitals.update({} if norm is None else {f"gradient_{name}": norm})
        margin, more = self.adversary.game.margin, self.generate(batch, rng)  # type: ignore[attr-defined]
        vitals["energy_data"] = float(-self._output(batch.x, batch.y).mean() / margin)
        vitals["energy_samples"] = float(-self._output(more, batch.y).mean() / margin)
        return vitals

    def _output(self, u: Tensor, y: Tensor | None) -> Tensor:
        """Minus the energy of rows u in model coordinates, (n,)."""
        return self.adversary.judge(self.critic, u, y).output

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Symptoms: collapse, an overfitting critic, energies of the data above the margin."""
        slower = setting("optimizers", {"generator": "adam(rate=2e-4)"})
        cures = {
            "collapse": (
                f"{setting('pull_away', 2 * self.pull_away or 0.1)}, another margin, or a lower"
                f" rate for the generator ({slower})"
            ),
            "the critic overfits": (
                f"more data, {setting('augment', ['flip', 'crop(padding=2)'])}, or a smaller code"
            ),
        }
        results = [replace(s, advice=cures[s.name]) for s in symptoms(vitals) if s.name in cures]
        if vitals["energy_data"] > UNRESTORED:
            text = f"the data's energy is {vitals['energy_data']:.1f} times the margin"
            results.append(
                Symptom(
                    "the margin is too small", text, "a larger margin, or a larger code or network"
                )
            )
        return results

    def energy(self, x: Observations, y: Conditioning = None) -> Tensor:
        """‖x - g(f(x))‖ (n,) of observations x (n, *shape) in the user's units.

        It is 0 for a perfect reconstruction.

        In the model's coordinates: numbers in standard deviations of their column, categories as
        one-hot vectors, so that reconstructing only the mean gives about √d. Samples were pushed up
        to the margin.
        """
        return -self.criticise(x, y)

    def criticise(self, x: Observations, y: Conditioning = None) -> Tensor:
        """Minus the energy."""
        u = self.to_model(x)
        return self.blockwise(self._output, u, self.to_condition(y, len(u)))
