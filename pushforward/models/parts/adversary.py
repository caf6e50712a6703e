"""A critic and its game as a part of a model: what the critic is shown, packing, and the losses.

A model owns one or several adversaries, and a critic network for each; the network is passed to
every call, so that an adversary supports lists of levels, critics of pairs, and critics of patches.
A critic step:

    comparison = adversary.compare(self.critic, Rows(batch.x, batch.y), Rows(fake, batch.y), step)
    terms = adversary.critic_terms(self.critic, comparison, step)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue
from pushforward.core.phase import Step, Terms
from pushforward.nets.critics import row_by_row
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["Adversary", "Comparison", "Rows", "Verdict"]

Display = Callable[[Tensor, Step], Tensor]
"""A transform of samples, real and generated, before a critic: (n, *event) -> (n, *event)."""


@dataclass(frozen=True)
class Rows:
    """Samples x (n, *event), conditions y (n, …) and, if generated, codes z (n, latent)."""

    x: Tensor
    y: Tensor | None = None
    z: Tensor | None = None


@dataclass(frozen=True)
class Verdict:
    """A critic's outputs on samples.

    Args:
        output: c, one number per pack (n,), or a map of them (n, …).
        heads: the outputs of its further heads.
        y: the conditions of the packs, in model coordinates.
        z: the codes of generated samples; None for real ones, and if some of the samples are old.
    """

    output: Tensor
    heads: tuple[Tensor, ...] = ()
    y: Tensor | None = None
    z: Tensor | None = None

    def split(self, at: int, z: Tensor | None) -> tuple[Verdict, Verdict]:
        """The verdicts on the first `at` packs and on the others, whose codes are z."""
        y = (None, None) if self.y is None else (self.y[:at], self.y[at:])
        first = Verdict(self.output[:at], tuple(head[:at] for head in self.heads), y[0])
        return first, Verdict(self.output[at:], tuple(head[at:] for head in self.heads), y[1], z)


@dataclass(frozen=True)
class Comparison:
    """The verdicts on real and generated samples, and both as the critic sees them.

    The critic sees packs (n, …).
    """

    real: Verdict
    fake: Verdict
    real_packs: Tensor
    fake_packs: Tensor


@dataclass(frozen=True)
class Adversary:
    """One critic's side of adversarial training.

    Args:
        game: the players' losses.
        penalties: constraints on the critic.
        packing: samples the critic sees at once (Lin et al. 2018, PacGAN,
            https://arxiv.org/abs/1712.04086).
        display: differentiable transforms of everything shown to the critic, real and generated.
        classifies: the critic's first head classifies the condition, a label (Odena et al. 2017,
            Eq. 3, https://arxiv.org/abs/1610.09585).
    """

    game: Game
    penalties: Sequence[Penalty] = ()
    packing: int = 1
    display: Sequence[Display] = ()
    classifies: bool = False

    # --------------------------------------------------------------------------------------- seeing

    def show(self, x: Tensor, step: Step) -> Tensor:
        """Samples (n, *event) as shown to the critic."""
        for transform in self.display:
            x = transform(x, step)
        return x

    def pack(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Concatenate neighbouring rows: (n, c, …) -> (n / packing, packing c, …).

        Raises:
            InvalidValue: If the rows do not divide into packs.
        """
        m = self.packing
        if m == 1:
            return x, y
        if len(x) % m:
            raise InvalidValue(
                f"{len(x)} rows cannot be split into packs of {m}; choose a batch that is a"
                f" multiple of {setting('packing', m)}"
            )
        packs = x.reshape(len(x) // m, m * x.shape[1], *x.shape[2:])
        return packs, None if y is None else y.reshape(len(packs), m * y.shape[1], *y.shape[2:])

    def judge(
        self, critic: nn.Module, x: Tensor, y: Tensor | None = None, z: Tensor | None = None
    ) -> Verdict:
        """The critic's verdict on packs, without transforms."""
        answer = critic(x, y)
        output, *heads = answer if isinstance(answer, (tuple, list)) else (answer,)
        return Verdict(output.squeeze(1) if output.ndim > 1 else output, tuple(heads), y, z)

    def look(self, critic: nn.Module, rows: Rows, step: Step) -> Verdict:
        """The critic's verdict on samples, transformed and packed."""
        return self.judge(critic, *self.pack(self.show(rows.x, step), rows.y), rows.z)

    def look_at_all(self, critic: nn.Module, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The critic's outputs on all rows that fill packs.

        A single row is duplicated for batch norm.
        """
        count = len(x) - len(x) % self.packing
        if not count:
            return x.new_zeros(0)
        packs, conditions = self.pack(x[:count], None if y is None else y[:count])
        if len(packs) > 1:
            return self.judge(critic, packs, conditions).output
        twice = None if conditions is None else torch.cat([conditions, conditions])
        return self.judge(critic, torch.cat([packs, packs]), twice).output[:1]

    def compare(self, critic: nn.Module, real: Rows, fake: Rows, step: Step) -> Comparison:
        """The verdicts on real and generated samples.

        They take one call if the critic judges rows independently, else two.
        """
        real_packs, real_y = self.pack(self.show(real.x, step), real.y)
        fake_packs, fake_y = self.pack(self.show(fake.x, step), fake.y)
        if not row_by_row(critic):
            verdicts = (
                self.judge(critic, real_packs, real_y),
                self.judge(critic, fake_packs, fake_y, fake.z),
            )
        else:
            y = None if real_y is None or fake_y is None else torch.cat([real_y, fake_y])
            both = self.judge(critic, torch.cat([real_packs, fake_packs]), y)
            verdicts = both.split(len(real_packs), fake.z)
        return Comparison(*verdicts, real_packs, fake_packs)

    # ----------------------------------------------------------------------------------- minimising

    def critic_terms(self, critic: nn.Module, comparison: Comparison, step: Step) -> Terms:
        """The critic's loss terms: game, penalties and, if it classifies, that of the labels."""
        real, fake = comparison.real, comparison.fake
        terms = {"critic": self.game.critic(real.output, fake.output, rng=step.rng)}
        for penalty in self.penalties:
            if penalty.term:
                terms[penalty.name] = penalty(
                    lambda x: self.judge(critic, x, real.y).output,
                    comparison.real_packs,
                    comparison.fake_packs,
                    rng=step.rng,
                )
        if self.classifies and real.y is not None and fake.y is not None:
            terms["labels"] = surprise(real.heads[0], real.y) + surprise(fake.heads[0], fake.y)
        accuracy = self.game.right(real.output, fake.output).mean()
        return self._per_sample(terms, accuracy=accuracy)

    def generator_terms(
        self, critic: nn.Module, fake: Rows, step: Step, real: Rows | None = None
    ) -> tuple[Terms, Verdict]:
        """The generator's loss terms, and the verdict on its samples.

        `real` is used if the game is `paired`.
        """
        verdict = self.look(critic, fake, step)
        # not used unless the game is paired
        reference = verdict.output.detach()
        if self.game.paired:
            if real is None:
                raise InvalidValue(
                    f"the generator's loss in the game {str(self.game)!r} compares with real"
                    " samples; pass them"
                )
            with torch.no_grad():
                reference = self.look(critic, real, step).output
        terms = {"generator": self.game.generator(verdict.output, reference)}
        if self.classifies and verdict.y is not None:
            terms["labels"] = surprise(verdict.heads[0], verdict.y)
        return self._per_sample(terms), verdict

    def install(self, critic: nn.Module) -> None:
        """Prepare a new critic for the penalties, in place."""
        for penalty in self.penalties:
            penalty.install(critic)

    def constrain(self, critic: nn.Module) -> None:
        """Apply the penalties' constraints to the critic's parameters after a step, in place."""
        for penalty in self.penalties:
            penalty.constrain(critic)

    @property
    def constrains(self) -> bool:
        """Whether `constrain` does anything."""
        return not all(penalty.term for penalty in self.penalties)

    def _per_sample(self, terms: Mapping[str, Tensor], **logged: Tensor) -> Terms:
        """Repeat terms with one number per pack for every sample.

        Weights and means are then over samples.
        """
        result = Terms(logged=logged)
        for name, term in terms.items():
            result[name] = (
                term.repeat_interleave(self.packing, 0) if term.ndim and self.packing > 1 else term
            )
        return result


def surprise(logits: Tensor, y: Tensor) -> Tensor:
    """-log of a classifier's probability of the one-hot label y (n, labels): (n,), nats."""
    return -(y * logits.log_softmax(1)).sum(1)
