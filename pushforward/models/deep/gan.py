"""Generative adversarial networks: a generator g pushes noise z ~ N(0, I) forward, a critic c tells it from the data.

Original Algorithm 1: the critic moves first, then the generator. Which losses they minimise is a `Game`, what keeps the
critic in check is a `Penalty`, how the players are made are `Adversaries`, what else is tried are `Hack`s: all are values, so
any two-player game is a `GAN(game=…, penalties=…, network=…, hacks=…)`.

A model with players of its own overrides one of these and leaves the rest: `draw` (noise), `push` (code -> sample), `heads` (what
else is read off the critic's features), `make_critic`, `critic_terms` and `generator_terms` (what each player minimises besides
the game), `optimizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.errors import InvalidValue, require_positive, suggestion
from pushforward.core.global_random import seeded
from pushforward.core.model import Learner, Symptom
from pushforward.core.phase import Batch, Optimizer, Phase, Step, Terms, adam, together
from pushforward.core.random import Rng, generator, integers, normal
from pushforward.core.registry import read, register
from pushforward.core.space import Space
from pushforward.densities.normals import Normal
from pushforward.fitting.augment import Augment
from pushforward.fitting.trainer import Trainer
from pushforward.models.deep.hacks import Hack, chosen
from pushforward.models.deep.vital_signs import distances, gradient_norm, overfitting, slope, symptoms
from pushforward.nets.adversaries import Adversaries, Dense
from pushforward.nets.critics import Critic, Embedded, row_by_row
from pushforward.nets.memory import Memory
from pushforward.objectives.distances import energy_distance
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["GAN", "Judged", "CONDITIONING"]

CONDITIONING = ("concatenation", "embedding", "projection", "auxiliary")
EMBEDDED = 8
RECENT = 256
RECORDED = 8


@dataclass(frozen=True)
class Judged:
    """What the critic said of samples.

    Arguments:
        output: c (n,), of n packs.
        heads: what its further heads said.
        y: the conditions, in model coordinates.
        z: the codes of generated samples; None of real ones, and where some samples are old.
        again: judges the same real rows once more, as hacks and `critic_augment` happen to show them then; None of generated ones.
    """

    output: Tensor
    heads: tuple[Tensor, ...] = ()
    y: Tensor | None = None
    z: Tensor | None = None
    again: Callable[[], Judged] | None = None


@register("gan")
class GAN(Learner):
    """Two players: a generator of samples and a critic that tells them from the data.

    Reference: Goodfellow et al. (2014), Algorithm 1; the default game is their §3 (-log D), with R1 (Mescheder et al.
    2018) because the unpenalised game does not converge.

    Arguments:
        latent: numbers in a noise vector.
        hidden: sizes of the hidden layers of both networks.
        game: 'non_saturating', 'minimax', 'least_squares', 'hinge', 'wasserstein', 'relativistic', 'fgan(divergence="kl")'.
        penalties: on the critic: 'r1(gamma=1.0)', 'r2', 'gradient_penalty', 'clip(limit=0.01)' (its weights), 'spectral'.
        activation: of the hidden layers.
        critic_steps: the generator moves at every critic_steps-th move of the critic.
        network: in place of hidden and activation: 'dcgan', 'dcgan(width=32)' or 'r3gan' for pictures, 'veegan' for points in
            the plane, 'mlp(hidden=(128, 128))'.
        packing: samples the critic sees at once (Lin et al. 2018, PacGAN); a batch is split into packs, so the critic judges
            batch / packing of them.
        conditioning: how y enters: 'concatenation', 'embedding' (learnt), 'projection' (Miyato & Koyama 2018), 'auxiliary'
            (a critic that also classifies labels, Odena et al. 2017).
        single_step: both players move by gradients taken at the same parameters (Nowozin et al. 2016, Algorithm 1).
        hacks: switches, off by default: 'soft_labels', 'input_noise(sigma=0.1)', …; `pushforward hacks` lists them.
        critic_augment: random changes of all pictures that the critic is shown, real and generated, which the generator learns through:
            'flip', 'crop(padding=2)', 'affine'; samples are not changed (Zhao et al. 2020, DiffAugment).

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0))
        >>> model = pf.GAN(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> model.sample(5, rng=0).shape
        torch.Size([5, 2])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "categorical"})
    optimizer: ClassVar[Optimizer] = adam(2e-4, beta1=0.5)
    """What moves either player."""
    row_by_row = False
    """Whether the critic is known to judge every row by itself."""

    def __init__(
        self,
        latent: int = 16,
        hidden: Sequence[int] = (128, 128),
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = ("r1(gamma=0.1)",),
        activation: str = "leaky_relu",
        critic_steps: int = 1,
        network: Adversaries | str | None = None,
        packing: int = 1,
        conditioning: str = "concatenation",
        single_step: bool = False,
        hacks: Sequence[Hack | str] = (),
        critic_augment: Sequence[Augment | str] = (),
    ) -> None:
        super().__init__()
        require_positive(latent=latent, critic_steps=critic_steps, packing=packing)
        for name, given, family in (("penalties", penalties, Penalty), ("hacks", hacks, Hack), ("critic_augment", critic_augment, Augment)):
            if isinstance(given, (str, family)):
                raise InvalidValue(f"{name} is a list, got {given!r}; write {name}=['{given}']")
        if conditioning not in CONDITIONING:
            raise InvalidValue(f"unknown conditioning {conditioning!r}; {suggestion(conditioning, CONDITIONING)}")
        self.latent, self.hidden, self.activation = latent, tuple(hidden), activation
        self.game: Game = read(Game, game)
        self.penalties: tuple[Penalty, ...] = tuple(read(Penalty, p) for p in penalties)
        self.network = None if network is None else read(Adversaries, network)
        self.critic_steps, self.packing, self.conditioning, self.single_step = critic_steps, packing, conditioning, single_step
        self.hacks: tuple[Hack, ...] = chosen(hacks)
        self.critic_augment: tuple[Augment, ...] = tuple(read(Augment, a) for a in critic_augment)
        for augment in self.critic_augment:
            if augment.held_out:
                raise InvalidValue(
                    f"{augment.name!r} is for data in their own units, not for samples; use augment=['{augment.name}'] of the fit"
                )
        self._take_on_hacks()

    def _take_on_hacks(self) -> None:
        """What is played, how and how often, once the hacks have had their say."""
        own = Dense(self.hidden, self.activation)
        self.pair: Adversaries = own if self.network is None else self.network
        self.played, self.mode, self.every = self.game, self.conditioning, self.critic_steps
        self.scaling_kind = self.pair.scaling
        for hack in self.hacks:
            self.scaling_kind, self.played = hack.scaling(self.scaling_kind), hack.game(self.played)
            self.mode, self.every = hack.conditioning(self.mode), hack.critic_steps(self.every)
        if self.packing > 1 and self.mode in ("projection", "auxiliary"):
            raise InvalidValue(f"a pack has no one condition for conditioning={self.mode!r}; use packing=1 or 'concatenation'")
        if self.single_step and self.every > 1:
            raise InvalidValue(f"single_step moves both players at every step, got critic_steps={self.every}; use 1")

    # ---------------------------------------------------------------------------------------------- the players

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """A generator and a critic for the space, as the hacks and penalties want them, and what has to be remembered."""
        self._check(space, condition_space)
        event, extra = self.event_shape(), self.conditions.width
        self._columns = _columns(space)
        self.generator = self.make_generator(event, extra)
        self.critic = self.make_critic((self.packing * event[0], *event[1:]), self.packing * extra)
        for hack in self.hacks:
            hack.generator(self.generator)
            hack.critic(self.critic)
        for penalty in self.penalties:
            penalty.install(self.critic)
        condition = self.conditions.shape if self.conditions else None
        self.recent = Memory(RECENT, event, condition)  # type: ignore[arg-type]
        self.share = 0.0
        for capacity, share in filter(None, (hack.old() for hack in self.hacks)):
            self.old, self.share = Memory(capacity, event, condition), share  # type: ignore[arg-type]

    def _check(self, space: Space, condition_space: Space | None) -> None:
        """Raise InvalidValue where networks, conditioning or hacks do not fit the data."""
        self.pair.check(self.event_shape())
        for hack in self.hacks:
            hack.check(space, condition_space)
        if self.critic_augment and (space.kind == "points" or len(self.event_shape()) != 3):
            raise InvalidValue(
                f"critic_augment={[str(a) for a in self.critic_augment]} changes pictures, but the data are {space}; leave it out"
            )
        if condition_space is None:
            return
        if self.mode == "auxiliary" and not condition_space.is_label:
            raise InvalidValue(f"conditioning='auxiliary' classifies labels, got conditions that are {condition_space}; use 'projection'")
        if self.pair.scaling == "signed" and condition_space.kind != "points":
            raise InvalidValue(f"{self.pair.name} networks take labels and points as conditions, got {condition_space}; use network='mlp'")

    def make_generator(self, event: Sequence[int], extra: int) -> nn.Module:
        """z (n, code_width), y (n, …) of `extra` numbers -> (n, *event)."""
        if extra and self.mode == "embedding":
            return Embedded(self.pair.generator(self.code_width + EMBEDDED, event), extra, EMBEDDED)
        return self.pair.generator(self.code_width + extra, event)

    def make_critic(self, event: Sequence[int], extra: int) -> nn.Module:
        """Packs (n, *event), conditions of `extra` numbers -> (n, 1), or a tuple of it and what the heads say."""
        shown = {"concatenation": extra, "embedding": min(extra, EMBEDDED)}.get(self.mode, 0)
        trunk, width = self.pair.trunk(event, shown)
        for hack in self.hacks:
            more, width = hack.trunk(width)
            trunk += more
        return Critic(
            trunk,
            self.pair.head(width),
            entry=self.pair.entry,
            embedding=nn.Linear(extra, shown, bias=False) if extra and self.mode == "embedding" else None,
            projection=nn.Linear(extra, width, bias=False) if extra and self.mode == "projection" else None,
            heads=self.heads(width),
            blind=self.mode == "auxiliary",
        )

    def heads(self, width: int) -> list[nn.Module]:
        """What else is read off the critic's features (n, width): the label, with an auxiliary classifier."""
        return [nn.Linear(width, self.conditions.width)] if self.mode == "auxiliary" and self.conditions.width else []

    @property
    def code_width(self) -> int:
        """Numbers in what `draw` gives and `decode` takes: the noise, and nothing else."""
        return self.latent

    def default_fitter(self) -> Trainer:
        """100 epochs, sampling from an average of the weights."""
        return Trainer(epochs=100, ema=0.999)

    def least_rows(self, space: Space) -> int:
        """Two, to tell apart."""
        return 2

    # ---------------------------------------------------------------------------------------------- learning

    def phases(self) -> list[Phase]:
        """The critic first, then the generator; with single_step both at the same parameters."""
        self.row_by_row = row_by_row(getattr(self, "critic", None))
        moves_critic = self.optimizer
        for hack in self.hacks:
            moves_critic = hack.critic_optimizer(moves_critic)
        after = None if all(p.term for p in self.penalties) else self._constrain
        critic = Phase("critic", ("critic",), self.critic_loss, moves_critic, after=after)
        player = Phase("generator", ("generator",), self.generator_loss, self.optimizer, every=self.every)
        return together(critic, player) if self.single_step else [critic, player]

    def _constrain(self) -> None:
        for penalty in self.penalties:
            penalty.constrain(self.critic)

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The game's critic loss and the penalties, on one generated sample a row."""
        with torch.no_grad():
            x, y, z = self._generated(batch, step.rng)
        if step.samples // len(batch.x) % RECORDED == 0:
            self.recent(batch.x, batch.y)
        (rows, conditions), (made, asked) = self._packs(self._shown(batch.x, step), batch.y), self._packs(self._shown(x, step), y)
        real, fake = self._both_judged(rows, conditions, made, asked, z)
        real = replace(real, again=lambda: self._judged(*self._packs(self._shown(batch.x, step), batch.y)))
        terms = {"critic": self._critic_game(real.output, fake.output, step.rng)}
        for p in self.penalties:
            if p.term:
                terms[p.name] = p(lambda x: self._judge(x, conditions), rows, made, rng=step.rng)
        accuracy = self.played.right(real.output, fake.output).mean()
        return self._terms({**terms, **self.critic_terms(real, fake)}, accuracy=accuracy)

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The game's generator loss."""
        z = self.draw(len(batch.x), rng=step.rng, like=batch.x)
        fake = self._judged(*self._packs(self._shown(self.push(z, batch.y), step), batch.y), z)
        real = fake.output.detach()  # a stand-in, where the game does not look at it
        if self.played.paired:
            with torch.no_grad():
                real = self._judge(*self._packs(self._shown(batch.x, step), batch.y))
        return self._terms({"generator": self.played.generator(fake.output, real), **self.generator_terms(fake)})

    def critic_terms(self, real: Judged, fake: Judged) -> dict[str, Tensor]:
        """What the critic minimises besides the game, each (n,): how badly it knows labels (Odena et al. 2017, Eq. 3)."""
        if self.mode != "auxiliary" or real.y is None or fake.y is None:
            return {}
        return {"labels": _surprise(real.heads[0], real.y) + _surprise(fake.heads[0], fake.y)}

    def generator_terms(self, fake: Judged) -> dict[str, Tensor]:
        """What the generator minimises besides the game, each (n,)."""
        return {"labels": _surprise(fake.heads[0], fake.y)} if self.mode == "auxiliary" and fake.y is not None else {}

    def _critic_game(self, real: Tensor, fake: Tensor, rng: Rng) -> Tensor:
        losses = (hack.critic_loss(self.played, real, fake, rng) for hack in self.hacks)
        own = next((loss for loss in losses if loss is not None), None)
        return self.played.critic(real, fake) if own is None else own

    def _generated(self, batch: Batch, rng: Rng) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """A sample for every row, some of them old if old ones are kept, with their conditions and, if all are new, codes."""
        z = self.draw(len(batch.x), rng=rng, like=batch.x)
        x = self.push(z, batch.y)
        if not self.share:
            return x, batch.y, z
        self.old(x, batch.y)
        count = round(self.share * len(x))
        before, asked = self.old.drawn(count, rng=rng)
        y = None if batch.y is None or asked is None else torch.cat([batch.y[count:], asked.to(batch.y)])
        return torch.cat([x[count:], before.to(x)]), y, None

    def _generate(self, batch: Batch, rng: Rng) -> Tensor:
        stream = generator(rng, batch.x.device)
        return self.push(self.draw(len(batch.x), rng=stream, like=batch.x), batch.y, rng=stream)

    def _shown(self, x: Tensor, step: Step) -> Tensor:
        for hack in self.hacks:
            x = hack.shown(x, step)
        return self._changed(x, step.rng)

    def _changed(self, x: Tensor, rng: Rng) -> Tensor:
        """What `critic_augment` makes of pictures."""
        for augment in self.critic_augment:
            x = augment.apply(x, self.fitted_space(), generator(rng, x.device))
        return x

    def _packs(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Neighbouring rows side by side: (n, c, …) -> (n / packing, packing c, …)."""
        m = self.packing
        if m == 1:
            return x, y
        if len(x) % m:
            raise InvalidValue(f"{len(x)} rows cannot be split into packs of {m}; choose a batch that is a multiple of packing={m}")
        packs = x.reshape(len(x) // m, m * x.shape[1], *x.shape[2:])
        return packs, None if y is None else y.reshape(len(packs), m * y.shape[1], *y.shape[2:])

    def _judged(self, x: Tensor, y: Tensor | None, z: Tensor | None = None) -> Judged:
        given = self.critic(x, y)
        output, *heads = given if isinstance(given, (tuple, list)) else (given,)
        return Judged(output.squeeze(1), tuple(heads), y, z)

    def _both_judged(
        self, real: Tensor, real_y: Tensor | None, fake: Tensor, fake_y: Tensor | None, z: Tensor | None
    ) -> tuple[Judged, Judged]:
        """Real and generated samples, in one call where a row's output does not depend on the others of its batch, else in two."""
        if not self.row_by_row:
            return self._judged(real, real_y), self._judged(fake, fake_y, z)
        both = self._judged(torch.cat([real, fake]), None if real_y is None or fake_y is None else torch.cat([real_y, fake_y]))
        n = len(real)
        heads = [(head[:n], head[n:]) for head in both.heads]
        return (
            Judged(both.output[:n], tuple(one for one, _ in heads), real_y),
            Judged(both.output[n:], tuple(two for _, two in heads), fake_y, z),
        )

    def _judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        return self._judged(x, y).output

    def _terms(self, terms: Mapping[str, Tensor], **logged: Tensor) -> Terms:
        """A term of one number a pack counts for every sample of the pack, so that weights and means are over samples."""
        if self.packing > 1:
            terms = {name: term.repeat_interleave(self.packing) if term.ndim else term for name, term in terms.items()}
        return Terms(**terms, logged=logged)

    # ---------------------------------------------------------------------------------------------- how it goes

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """Minus the energy distance between as many samples and the held-out rows (a scalar)."""
        return -energy_distance(self._generate(batch, rng), batch.x)

    @torch.no_grad()
    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """What `vital_signs` explains: accuracy, overfitting, slope, distances and, while it is fitted, norms of gradients.

        The critic judges pictures as `critic_augment` shows them to it.
        """
        stream = generator(rng, batch.x.device)
        fake = self._generate(batch, stream)
        kept, asked = self.recent.held()
        shown = ((batch.x, batch.y), (fake, batch.y), (kept.to(batch.x), None if asked is None else asked.to(batch.x)))
        judged = [self._all_judged(self._changed(x, stream) if len(x) else x, y) for x, y in shown]
        real_output, fake_output, seen = judged
        found = {"accuracy": float(self.played.right(real_output, fake_output).mean()), **distances(fake, batch.x)}
        found["overfitting"] = overfitting(seen, real_output, fake_output)
        found["slope"] = slope(self.played, fake_output, real_output)
        for name in ("critic", "generator") if self.every == 1 else ("critic",):  # others' gradients are of an earlier step
            norm = gradient_norm(getattr(self, name).parameters())
            found.update({} if norm is None else {f"gradient_{name}": norm})
        return found

    def _all_judged(self, x: Tensor, y: Tensor | None) -> Tensor:
        """The critic's outputs on as many rows as fill packs."""
        kept = len(x) - len(x) % self.packing
        if not kept:
            return x.new_zeros(0)
        rows, conditions = self._packs(x[:kept], None if y is None else y[:kept])
        if len(rows) > 1:
            return self._judge(rows, conditions)
        again = [None if part is None else torch.cat([part, part]) for part in (rows, conditions)]  # batch norm takes two
        return self._judge(*again)[:1]  # type: ignore[arg-type]

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """A critic that has won or overfits, saturation, samples that are all alike."""
        return symptoms(vitals)

    # ---------------------------------------------------------------------------------------------- the model

    def prior(self, n: int = 1) -> Normal:
        """p(z) = N(0, I), n rows."""
        return Normal.standard(n, self.latent, like=next(self.generator.parameters()))

    def draw(self, n: int, *, rng: Rng = None, like: Tensor) -> Tensor:
        """n noise vectors (n, latent)."""
        return normal(n, self.latent, rng=rng, like=like)

    def push(self, z: Tensor, y: Tensor | None = None, *, rng: Rng = None) -> Tensor:
        """Noise vectors, conditions -> samples, all in model coordinates; `rng` for what is drawn beside the code, if anything."""
        for hack in self.hacks:
            z = hack.codes(z)
        with _units_dropped(self.generator, rng if any(hack.draws() for hack in self.hacks) else None):
            u = self.generator(z, y)
        if not any(categories for _, categories in self._columns):
            return self._squashed(u)
        parts = zip(u.split([width for width, _ in self._columns], 1), self._columns)
        return torch.cat([part.softmax(1) if categories else self._squashed(part) for part, (_, categories) in parts], 1)

    def _squashed(self, u: Tensor) -> Tensor:
        for hack in () if self.pair.bounded else self.hacks:
            u = hack.squash(u)
        return u

    def decode(self, z: Tensor, y: Any = None, *, rng: Rng = None) -> Tensor:
        """Observations (n, *shape) for noise vectors z (n, latent), user's units, differentiable in z.

        With `rng`, what is random beside the code is drawn too (the hack 'dropout'); without, it is left out.
        """
        stream = None if rng is None else generator(rng, z.device)
        return self.blockwise(lambda z, y: self.to_user(self.push(z, y, rng=stream)), z, self.to_condition(y, len(z)))

    @torch.no_grad()
    def sample(self, n: int, *, y: Any = None, rng: Rng = None) -> Tensor:
        """n new observations (n, *shape), user's units."""
        stream = generator(rng, self.device)
        like = torch.empty(0, dtype=self.floating(), device=self.device)
        return self.decode(self.draw(n, rng=stream, like=like), y, rng=stream)


def _columns(space: Space) -> tuple[tuple[int, bool], ...]:
    """Widths of the columns in model coordinates, and which are categories; empty where none is."""
    if not space.categorical:
        return ()
    return tuple((len(c.categories), True) if c.kind == "categorical" else (1, False) for c in space.columns)


def _surprise(logits: Tensor, y: Tensor) -> Tensor:
    """-log of what a classifier gives the label y (n, labels), (n,)."""
    return -(y * logits.log_softmax(1)).sum(1)


@contextmanager
def _units_dropped(network: nn.Module, rng: Rng) -> Iterator[None]:
    """Within, of a network that is not learning: dropout is on, its draws from `rng`; nothing where `rng` is None."""
    if rng is None or network.training:
        yield
        return
    dropped = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    seed = int(integers(2**62, (), rng=rng))
    device = next(network.parameters()).device
    with seeded(seed, device):
        for layer in dropped:
            layer.train()
        try:
            yield
        finally:
            for layer in dropped:
                layer.eval()
