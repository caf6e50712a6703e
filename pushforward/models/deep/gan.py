"""Generative adversarial networks: a generator g pushes noise z ~ N(0, I) forward, a critic c
distinguishes it from the data.

As in the original Algorithm 1, the critic is updated first, then the generator. The losses are a
`Game`, constraints on the critic are `Penalty` values, the networks are built by `Adversaries`,
further tricks are `Hack`s: all are values, so any two-player game is a `GAN(game=…, penalties=…,
network=…, hacks=…)`.

Other models are composed of the same two parts: `CodeModel` (codes and how they are decoded) and
`Adversary` (a critic and its game); see `ebgan.py` and `infogan.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, get_args

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidValue, one_of, require_positive
from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch, Optimizer, Phase, Step, Terms, adam, play_together
from pushforward.core.random import Rng, generator
from pushforward.core.registry import read, register
from pushforward.core.space import Space
from pushforward.core.suited import Suited
from pushforward.fitting.augment import Augment
from pushforward.models.deep.few_images import NETWORK, suited_to_images
from pushforward.models.deep.hack import ConditioningMode
from pushforward.models.deep.hacks import Hack, read_hacks
from pushforward.models.deep.vital_signs import adversarial_vitals, gradient_norm, symptoms
from pushforward.models.parts.adversary import Adversary, Rows
from pushforward.models.parts.generator import CodeModel
from pushforward.nets.adversaries import Adversaries, Dense
from pushforward.nets.critics import Critic, Embedded
from pushforward.nets.memory import Memory
from pushforward.nets.mlp import Activation
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["GAN", "CONDITIONING"]

CONDITIONING: tuple[ConditioningMode, ...] = get_args(ConditioningMode)
EMBEDDED = 8
"""Size of the embedding of a condition; labels are few, so a short embedding separates them."""
RECENT = 256
"""Training rows remembered for the vital sign of an overfitting critic."""
RECORDED = 8
"""Training rows are remembered every eighth step: often enough to be recent, at negligible cost."""


@register("gan")
class GAN(CodeModel):
    """Two players: a generator of samples and a critic that distinguishes them from the data.

    Reference: Goodfellow et al. (2014, https://arxiv.org/abs/1406.2661), Algorithm 1; the default
    game is their §3 (-log D), with R1 (Mescheder et al. 2018, https://arxiv.org/abs/1801.04406)
    because the unpenalised game does not converge.

    Args:
        latent: dimension of the noise.
        hidden: sizes of the hidden layers of both networks.
        game: 'non_saturating', 'minimax', 'least_squares', 'hinge',
            'wasserstein', 'relativistic', 'fgan(divergence="kl")'.
        penalties: on the critic: 'r1(gamma=1.0)', 'r2',
            'gradient_penalty', 'clip(limit=0.01)' (its weights), 'spectral'.
        activation: of the hidden layers.
        critic_steps: the generator is updated once per `critic_steps` critic updates.
        network: replaces hidden and activation: 'dcgan', 'dcgan(width=32)' or 'r3gan' for images,
            'veegan' for points in the plane, 'mlp(hidden=(128, 128))'.
        packing: samples the critic sees at once (Lin et al. 2018, PacGAN,
            https://arxiv.org/abs/1712.04086); a batch is split into batch / packing packs.
        conditioning: how y enters: 'concatenation', 'embedding' (trained), 'projection' (Miyato &
            Koyama 2018, https://arxiv.org/abs/1802.05637), 'auxiliary' (a critic that also
            classifies labels, Odena et al. 2017, https://arxiv.org/abs/1610.09585).
        single_step: both players use gradients at the same parameters (Nowozin et al. 2016,
            Algorithm 1, https://arxiv.org/abs/1606.00709).
        hacks: switches, off by default: 'soft_labels', 'input_noise(sigma=0.1)', …;
            `pushforward hacks` lists them.
        critic_augment: differentiable random changes of all images shown to the critic, real and
            generated: 'flip', 'crop(padding=2)', 'affine'; samples are not changed (Zhao et al.
            2020, DiffAugment, https://arxiv.org/abs/2006.10738).

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
        >>> model = pf.GAN(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> model.sample(5, rng=0).shape
        torch.Size([5, 2])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "categorical"})
    optimizer: ClassVar[Optimizer] = adam(2e-4, beta1=0.5)
    """The optimiser of both players."""

    def __init__(
        self,
        latent: int = 16,
        hidden: Sequence[int] = (128, 128),
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = ("r1(gamma=0.1)",),
        activation: Activation = "leaky_relu",
        critic_steps: int = 1,
        network: Adversaries | str | None = None,
        packing: int = 1,
        conditioning: ConditioningMode = "concatenation",
        single_step: bool = False,
        hacks: Sequence[Hack | str] = (),
        critic_augment: Sequence[Augment | str] = (),
    ) -> None:
        super().__init__()
        require_positive(latent=latent, critic_steps=critic_steps, packing=packing)
        lists = {
            "penalties": (penalties, Penalty),
            "hacks": (hacks, Hack),
            "critic_augment": (critic_augment, Augment),
        }
        for name, (values, family) in lists.items():
            if isinstance(values, (str, family)):
                raise InvalidValue(f"{name} is a list, got {values!r}; write {name}=['{values}']")
        one_of("conditioning", conditioning, CONDITIONING)
        self.latent, self.hidden, self.activation = latent, tuple(hidden), activation
        self.game: Game = read(Game, game)
        self.penalties: tuple[Penalty, ...] = tuple(read(Penalty, p) for p in penalties)
        self.network: Adversaries | None = None if network is None else read(Adversaries, network)
        self._perceptrons = Dense(self.hidden, self.activation)
        self.packing, self.single_step = packing, single_step
        self.hacks: tuple[Hack, ...] = read_hacks(hacks)
        self.critic_augment: tuple[Augment, ...] = tuple(read(Augment, a) for a in critic_augment)
        for augment in self.critic_augment:
            if augment.held_out:
                raise InvalidValue(
                    f"{augment.name!r} is for data in their own units, not for samples; use"
                    f" {setting('augment', [augment.name])} of the fit"
                )
        self.scaling_kind = self.builder.scaling
        self.critic_steps, self.conditioning = critic_steps, conditioning
        for hack in self.hacks:
            self.scaling_kind = hack.scaling(self.scaling_kind)
            self.critic_steps, self.conditioning = (
                hack.critic_steps(self.critic_steps),
                hack.conditioning(self.conditioning),
            )
        if packing > 1 and self.conditioning in ("projection", "auxiliary"):
            raise InvalidValue(
                f"a pack has no single condition for {setting('conditioning', self.conditioning)};"
                " use"
                f" {setting('packing', 1)} or 'concatenation'"
            )
        if single_step and self.critic_steps > 1:
            raise InvalidValue(
                "single_step updates both players at every step, got"
                f" {setting('critic_steps', self.critic_steps)}; use 1"
            )
        self.adversary = self._adversary()

    def _adversary(self) -> Adversary:
        """The critic's side, after applying the hacks."""
        game = self.game
        for hack in self.hacks:
            game = hack.game(game)
        display = [hack.show for hack in self.hacks] + [self._augment] * bool(self.critic_augment)
        return Adversary(
            game, self.penalties, self.packing, display, self.conditioning == "auxiliary"
        )

    def _augment(self, x: Tensor, step: Step) -> Tensor:
        """Images changed by `critic_augment`, for the critic."""
        for augment in self.critic_augment:
            x = augment.apply(x, self.fitted_space(), generator(step.rng, x.device))
        return x

    # ------------------------------------------------------------------------------------- networks

    @property
    def builder(self) -> Adversaries:
        """The builder of both networks: `network`, or perceptrons of `hidden`."""
        return self.network or self._perceptrons

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """Create a generator and a critic, with hacks and penalties applied, and the memories."""
        self._check(space, condition_space)
        event, extra = self.event_shape(), self.conditions.width
        self.generator = self.make_generator(event, extra)
        self.critic = self.make_critic((self.packing * event[0], *event[1:]), self.packing * extra)
        for hack in self.hacks:
            hack.generator(self.generator)
            hack.critic(self.critic)
        self.adversary.install(self.critic)
        condition = self.conditions.shape if self.conditions else None
        self.recent = Memory(RECENT, event, condition)
        self.share = 0.0
        for capacity, share in filter(None, (hack.old() for hack in self.hacks)):
            self.old, self.share = Memory(capacity, event, condition), share

    def _check(self, space: Space, condition_space: Space | None) -> None:
        """Raise InvalidValue if networks, conditioning or hacks do not fit the data."""
        self.builder.check(self.event_shape())
        for hack in self.hacks:
            hack.check(space, condition_space)
        if self.critic_augment and (space.kind == "points" or len(self.event_shape()) != 3):
            names = [str(a) for a in self.critic_augment]
            raise InvalidValue(
                f"{setting('critic_augment', names)} changes images, but the data are {space};"
                " leave it out"
            )
        if condition_space is None:
            return
        if self.conditioning == "auxiliary" and not condition_space.is_label:
            raise InvalidValue(
                f"{setting('conditioning', 'auxiliary')} classifies labels, got conditions that are"
                f" {condition_space}; use 'projection'"
            )
        if self.builder.scaling == "signed" and condition_space.kind != "points":
            name = self.builder.name
            raise InvalidValue(
                f"{name} networks take labels and points as conditions, got {condition_space}; use"
                f" {setting('network', 'mlp')}"
            )

    def make_generator(self, event: Sequence[int], extra: int) -> nn.Module:
        """z (n, code_width), y (n, …) of `extra` numbers -> (n, *event)."""
        if extra and self.conditioning == "embedding":
            return Embedded(
                self.builder.generator(self.code_width + EMBEDDED, event), extra, EMBEDDED
            )
        return self.builder.generator(self.code_width + extra, event)

    def make_critic(self, event: Sequence[int], extra: int) -> nn.Module:
        """Packs (n, *event), conditions of `extra` numbers -> (n, 1).

        With heads, a tuple of it and their outputs.
        """
        embedded = {"concatenation": extra, "embedding": min(extra, EMBEDDED)}.get(
            self.conditioning, 0
        )
        trunk, width = self.builder.trunk(event, embedded)
        for hack in self.hacks:
            more, width = hack.trunk(width)
            trunk += more
        return Critic(
            trunk,
            self.builder.head(width),
            entry=self.builder.entry,
            embedding=(
                nn.Linear(extra, embedded, bias=False)
                if extra and self.conditioning == "embedding"
                else None
            ),
            projection=(
                nn.Linear(extra, width, bias=False)
                if extra and self.conditioning == "projection"
                else None
            ),
            heads=self.heads(width),
            blind=self.conditioning == "auxiliary",
        )

    def heads(self, width: int) -> list[nn.Module]:
        """Further heads on the critic's features (n, width): of labels with 'auxiliary'."""
        classifies = self.conditioning == "auxiliary" and self.conditions
        return [nn.Linear(width, self.conditions.width)] if classifies else []

    def transform_codes(self, z: Tensor) -> Tensor:
        """Codes changed by the hacks."""
        for hack in self.hacks:
            z = hack.codes(z)
        return z

    def squash(self, u: Tensor) -> Tensor:
        """Outputs changed by the hacks, unless the network's last layer is bounded."""
        for hack in () if self.builder.bounded else self.hacks:
            u = hack.squash(u)
        return u

    def criticise(self, x: Observations, y: Conditioning = None) -> Tensor:
        """The critic's output (n,) for observations x (n, *shape) in the user's units: higher for
        what it takes for data; a logit in most games. With packing, each row fills its pack.
        """
        u = self.to_model(x)
        return self.blockwise(self._criticise, u, self.to_condition(y, len(u)))

    def _criticise(self, u: Tensor, y: Tensor | None = None) -> Tensor:
        packs = [
            None if part is None else part.repeat_interleave(self.packing, 0) for part in (u, y)
        ]
        assert packs[0] is not None
        return self.adversary.look_at_all(self.critic, packs[0], packs[1])

    # ------------------------------------------------------------------------------------- learning

    def suited(self, space: Space, rows: int, told: Space | None = None) -> Sequence[Suited]:
        """Convolutions, and more steps, for few images; of the plain GAN alone."""
        plain = type(self) is GAN
        return suited_to_images(space, rows, told, network=NETWORK) if plain else ()

    def phases(self) -> list[Phase]:
        """The critic first, then the generator; with single_step both at the same parameters."""
        moves_critic = self.optimizer
        for hack in self.hacks:
            moves_critic = hack.critic_optimizer(moves_critic)
        critic = Phase(
            "critic",
            ("critic",),
            self.critic_loss,
            moves_critic,
            after=self._constrain if self.adversary.constrains else None,
        )
        player = Phase(
            "generator",
            ("generator",),
            self.generator_loss,
            self.optimizer,
            every=self.critic_steps,
        )
        return play_together(critic, player) if self.single_step else [critic, player]

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The adversary's critic terms, on one generated sample per row."""
        fake = self.fake_rows(batch, step)
        return self.adversary.critic_terms(
            self.critic, self.adversary.compare(self.critic, _real(batch), fake, step), step
        )

    def _constrain(self, batch: Batch, step: Step) -> None:
        self.adversary.constrain(self.critic)

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The adversary's generator terms."""
        z = self.prior(len(batch.x)).rsample(rng=step.rng).to(batch.x)
        fake = Rows(self.push(z, batch.y), batch.y, z)
        return self.adversary.generator_terms(self.critic, fake, step, real=_real(batch))[0]

    @torch.no_grad()
    def fake_rows(self, batch: Batch, step: Step) -> Rows:
        """A sample for every row, some of them old if stored.

        Rows of data are remembered for the vital signs.
        """
        z = self.prior(len(batch.x)).rsample(rng=step.rng).to(batch.x)
        x = self.push(z, batch.y)
        if step.samples // len(batch.x) % RECORDED == 0:
            self.recent(batch.x, batch.y)
        if not self.share:
            return Rows(x, batch.y, z)
        self.old(x, batch.y)
        count = round(self.share * len(x))
        before, conditions = self.old.sample(count, rng=step.rng)
        y = (
            None
            if batch.y is None or conditions is None
            else torch.cat([batch.y[count:], conditions.to(batch.y)])
        )
        return Rows(torch.cat([x[count:], before.to(x)]), y)

    # ---------------------------------------------------------------------------------- how it goes

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """The quantities of `vital_signs`.

        They are accuracy, overfitting, slope, distances and, during a fit, gradient norms.

        The critic judges images changed by `critic_augment`.
        """
        stream = generator(rng, batch.x.device)
        fake = self.generate(batch, stream)
        display = Step(fraction=1.0, rng=stream)
        return adversarial_vitals(
            self.adversary,
            self.critic,
            batch,
            fake,
            self.recent.held(),
            lambda x: self._augment(x, display),
        ) | {
            f"gradient_{name}": norm
            for name, norm in self._gradient_norms().items()
            if norm is not None
        }

    def _gradient_norms(self) -> dict[str, float | None]:
        """Norms of the latest gradients; not the generator's if from an earlier step."""
        networks = (
            {"critic": self.critic, "generator": self.generator}
            if self.critic_steps == 1
            else {"critic": self.critic}
        )
        return {name: gradient_norm(network.parameters()) for name, network in networks.items()}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """A critic that has won or overfits, saturation, collapsed samples."""
        return symptoms(vitals)


def _real(batch: Batch) -> Rows:
    return Rows(batch.x, batch.y)
