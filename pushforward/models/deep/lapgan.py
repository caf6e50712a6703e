r"""A pyramid of adversarial networks: each adds the detail of its size to a coarser image (Denton,
Chintala, Szlam & Fergus 2015, https://arxiv.org/abs/1506.05751).

    I_K = G_K(z_K, y)                                the coarsest images, by any GAN's networks
    I_k = u(I_{k+1}) + G_k(z_k, u(I_{k+1}), y)       for k = K-1, …, 0

Each level is trained by itself: G_k on coarse images u(I_{k+1}) of the data against a critic of
I_k. Only in sampling are the levels chained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from pushforward.core.argument_names import setting
from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import InvalidKind, InvalidValue, ShapeMismatch, require_positive
from pushforward.core.fitter import Symptom
from pushforward.core.modes import evaluated
from pushforward.core.phase import Batch, Optimizer, Phase, Step, Terms, adam, sgd
from pushforward.core.random import Rng, generator, normal, uniform
from pushforward.core.registry import read, register
from pushforward.core.space import Space
from pushforward.densities.codes import StructuredCodes
from pushforward.fitting.trainer import Trainer
from pushforward.models.deep.vital_signs import UNIFORM, WON, distances, slope
from pushforward.models.parts.adversary import Adversary, Rows
from pushforward.models.parts.generator import CodeModel
from pushforward.nets.adversaries import Adversaries
from pushforward.nets.critics import Critic
from pushforward.nets.details import DetailGenerator, detail_critic
from pushforward.nets.pyramids import expand, level_sizes, shrink
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["LAPGAN"]


class Level(nn.Module):
    """The two networks of one level.

    Args:
        generator: z, coarse images, y -> residuals; of the coarsest level z, y -> images.
        critic: images, y -> (n, 1).
    """

    def __init__(self, generator: nn.Module, critic: nn.Module) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic


@register("lapgan")
class LAPGAN(CodeModel):
    """A pyramid of GANs: coarse images, and the detail that each finer level adds.

    Reference: Denton et al. (2015, https://arxiv.org/abs/1506.05751), §2.3 and §4. At 32x32 in
    colour the networks of a level have 218 179 and 116 545 parameters. Labels enter every network.
    Differences: images are enlarged by linear interpolation; momentum and rate stay constant.

    A code is the coarsest level's noise, N(0, I), then a noise map U(-1, 1) for each finer level,
    the coarsest first.

    Args:
        depth: levels that add detail; each doubles the sides. 32x32 images with depth 1 begin as
            16x16, with depth 2 as 8x8.
        latent: numbers in the coarsest level's noise.
        width: channels of the hidden maps of the levels that add detail; 64 in the paper.
        base: networks of the coarsest level, those of any GAN: 'dcgan(width=32)', 'r3gan',
            'mlp(hidden=(600, 600))', …
        game: of every level: 'non_saturating', 'hinge', 'least_squares', …
        penalties: on the critics of the levels that add detail: 'r1(gamma=1.0)', …; the paper has
            none.
        base_penalties: on the critic of the coarsest level.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> model = pf.LAPGAN(latent=4, width=4, base="dcgan(width=4)")
        >>> model = model.fit(x, epochs=1, batch=4, quiet=True)
        >>> model.sample(2, rng=0).shape
        torch.Size([2, 3, 16, 16])
        >>> [tuple(images.shape[1:]) for images in model.stages(model.prior(2).sample())]
        [(3, 8, 8), (3, 16, 16)]
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant"})
    optimizer: ClassVar[Optimizer] = sgd(0.02, momentum=0.5)
    """The optimiser of the levels that add detail."""
    base_optimizer: ClassVar[Optimizer] = adam(2e-4, beta1=0.5)
    """The optimiser of the coarsest level, a GAN's."""

    def __init__(
        self,
        depth: int = 1,
        latent: int = 100,
        width: int = 64,
        base: Adversaries | str = "dcgan",
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = (),
        base_penalties: Sequence[Penalty | str] = (),
    ) -> None:
        super().__init__()
        require_positive(depth=depth, latent=latent, width=width)
        lists = {"penalties": penalties, "base_penalties": base_penalties}
        for name, values in lists.items():
            if isinstance(values, (str, Penalty)):
                raise InvalidValue(f"{name} is a list, got {values!r}; write {name}=['{values}']")
        self.depth, self.latent, self.width = depth, latent, width
        self.base: Adversaries = read(Adversaries, base)
        self.game: Game = read(Game, game)
        self.penalties = tuple(read(Penalty, p) for p in penalties)
        self.base_penalties = tuple(read(Penalty, p) for p in base_penalties)
        detail = Adversary(self.game, self.penalties)
        self.adversaries = [detail] * depth + [Adversary(self.game, self.base_penalties)]
        self.scaling_kind = self.base.scaling

    # ------------------------------------------------------------------------------------- networks

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """The networks of every level, the finest first."""
        if space.kind != "images":
            raise InvalidKind(f"LAPGAN makes images, but the data are {space}; pass images")
        if condition_space is not None and condition_space.kind != "points":
            raise InvalidKind(
                f"LAPGAN takes labels and points as conditions, got {condition_space}; use Pix2Pix"
                " for images made from images"
            )
        channels, extra = self.event_shape()[0], self.conditions.width
        *finer, coarsest = [(channels, *size) for size in self._sizes()]
        self._check_base(coarsest)
        levels = [
            Level(
                DetailGenerator(event, extra, self.width), detail_critic(event, extra, self.width)
            )
            for event in finer
        ]
        trunk, width = self.base.trunk(coarsest, extra)
        critic = Critic(trunk, self.base.head(width), entry=self.base.entry)
        levels.append(Level(self.base.generator(self.latent + extra, coarsest), critic))
        self.levels = nn.ModuleList(levels)
        for level, adversary in zip(levels, self.adversaries):
            adversary.install(level.critic)

    def _check_base(self, event: tuple[int, ...]) -> None:
        try:
            self.base.check(event)
        except InvalidValue as error:
            raise InvalidValue(
                f"the coarsest images have {event[1]}x{event[2]} pixels with depth={self.depth},"
                f" which {self.base.name} networks do not make; use"
                f" {'a smaller depth, or ' if self.depth > 1 else ''}{setting('base', 'mlp')}"
            ) from error

    def _sizes(self) -> list[tuple[int, int]]:
        """(height, width) of the images of every level, the finest first."""
        _, height, width = self.event_shape()
        return level_sizes((height, width), self.depth)

    def level(self, k: int) -> Level:
        """The networks of level k; those of level 0 make the finest images."""
        level = self.levels[k]
        assert isinstance(level, Level)
        return level

    # ------------------------------------------------------------------------------------- sampling

    @property
    def code_width(self) -> int:
        """Numbers in a code: the coarsest level's noise and the noise maps."""
        return self.latent + self._map_width

    @property
    def _map_width(self) -> int:
        return sum(height * width for height, width in self._sizes()[:-1])

    def prior(self, n: int = 1) -> StructuredCodes:
        """p(z) of n codes: N(0, I) beside U(-1, 1)."""
        like = next(self.levels.parameters())
        return StructuredCodes(n, self.latent, (), self._map_width, like)

    def push(self, z: Tensor, y: Tensor | None = None, *, rng: Rng = None) -> Tensor:
        """Codes, conditions -> the finest images, in model coordinates."""
        return self._chain(z, y)[-1]

    def _chain(self, z: Tensor, y: Tensor | None) -> list[Tensor]:
        """The images of every level, coarse to fine, each made from the one before."""
        *finer, _ = self._sizes()
        widths = [height * width for height, width in finer]
        noise, *maps = z.split([self.latent, *widths[::-1]], 1)
        images = [self.level(self.depth).generator(noise, y)]
        for k, noise in zip(reversed(range(self.depth)), maps):
            coarse = expand(images[-1], finer[k])
            images.append(self._add_detail(k, coarse, noise.reshape(-1, 1, *finer[k]), y))
        return images

    def _add_detail(self, k: int, coarse: Tensor, z: Tensor, y: Tensor | None) -> Tensor:
        """I_k from u(I_{k+1}) and noise z (n, 1, h, w)."""
        detail: Tensor = self.level(k).generator(z, coarse, y)
        return coarse + detail

    @evaluated
    def stages(self, z: Tensor, y: Conditioning = None) -> list[Tensor]:
        """The images of every level for codes z (n, code_width), coarse to fine, user's units.

        The first are (n, c, h', w') from the coarsest level, the last those of `decode`.
        """
        return [self.to_user(x) for x in self._chain(z, self.to_condition(y, len(z)))]

    @evaluated
    def residuals(
        self, coarse: Observations, y: Conditioning = None, *, level: int = 0, rng: Rng = None
    ) -> Tensor:
        """The detail (n, c, h, w) that a level adds to coarse images (n, c, h', w').

        Both are in the user's units: `expand(coarse, (h, w)) + residuals` are images. Level 0 makes
        the finest ones.

        Raises:
            ShapeMismatch: For images of another size than the level's.
        """
        if not 0 <= level < self.depth:
            raise InvalidValue(f"level must lie in 0..{self.depth - 1}, got {level}")
        sizes, given = self._sizes(), torch.as_tensor(coarse).to(self.device)
        expected = (self.event_shape()[0], *sizes[level + 1])
        if given.shape[1:] != expected:
            raise ShapeMismatch(
                f"level {level} takes coarse images {'×'.join(map(str, expected))}, got"
                f" {'×'.join(map(str, given.shape[1:]))}; reduce the images first"
            )
        enlarged = expand(self.scaling(given.to(self.user_dtype())), sizes[level])
        u = enlarged.to(self.floating())
        stream = generator(rng, self.device)
        with torch.no_grad():
            made = self._refine(level, u, self.to_condition(y, len(u)), stream)
            return self.to_user(made) - self.to_user(u)

    # ------------------------------------------------------------------------------------- training

    def default_fitter(self) -> Trainer:
        """25 epochs of batches of 128, half of the critic's 256 images real."""
        return Trainer(epochs=25)

    def phases(self) -> list[Phase]:
        """The critic and the generator of every level, the coarsest first."""
        return [
            phase for k in reversed(range(self.depth + 1)) for phase in self._phases_of_level(k)
        ]

    def _phases_of_level(self, k: int) -> list[Phase]:
        moved = self.base_optimizer if k == self.depth else self.optimizer
        after = partial(self._constrain, k) if self.adversaries[k].constrains else None
        critic, maker = (f"levels.{k}.critic",), (f"levels.{k}.generator",)
        judge, make = partial(self.critic_loss, k), partial(self.generator_loss, k)
        return [
            Phase(f"critic{k}", critic, judge, moved, shares=maker, after=after),
            Phase(f"generator{k}", maker, make, moved),
        ]

    def critic_loss(self, k: int, batch: Batch, step: Step) -> Terms:
        """The adversary's critic terms on the images of level k."""
        real, coarse = self._real(k, batch.x)
        fake = self._output(k, coarse, batch.y, step).detach()
        critic, adversary = self.level(k).critic, self.adversaries[k]
        comparison = adversary.compare(critic, Rows(real, batch.y), Rows(fake, batch.y), step)
        return adversary.critic_terms(critic, comparison, step)

    def generator_loss(self, k: int, batch: Batch, step: Step) -> Terms:
        """The adversary's generator terms on the images of level k."""
        real, coarse = self._real(k, batch.x)
        fake = Rows(self._output(k, coarse, batch.y, step), batch.y)
        critic, adversary = self.level(k).critic, self.adversaries[k]
        return adversary.generator_terms(critic, fake, step, real=Rows(real, batch.y))[0]

    def _output(self, k: int, coarse: Tensor, y: Tensor | None, step: Step) -> Tensor:
        """The images of one step: both players of a level see the same."""
        return step.share(f"made{k}", lambda: self._refine(k, coarse, y, step.rng))

    def _real(self, k: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """The data's images of level k, and the same without their detail, u(d(I_k))."""
        for _ in range(k):
            x = shrink(x)
        return x, x if k == self.depth else expand(shrink(x), (x.shape[-2], x.shape[-1]))

    def _refine(self, k: int, coarse: Tensor, y: Tensor | None, rng: Rng) -> Tensor:
        """Images of level k, made from coarse ones; the coarsest from noise alone."""
        n = len(coarse)
        if k == self.depth:
            z = normal(n, self.latent, rng=rng, like=coarse)
            made: Tensor = self.level(k).generator(z, y)
            return made
        z = 2 * uniform(n, 1, *coarse.shape[-2:], rng=rng, like=coarse) - 1
        return self._add_detail(k, coarse, z, y)

    def _constrain(self, k: int, batch: Batch, step: Step) -> None:
        self.adversaries[k].constrain(self.level(k).critic)

    # ---------------------------------------------------------------------------------- how it goes

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """Distances of chained samples, and the critics' accuracy and slope on real coarse images.

        The accuracy of the level whose critic is the most accurate comes first; `accuracy0`, … are
        those of all.
        """
        stream = generator(rng, batch.x.device)
        vitals = distances(self.generate(batch, stream), batch.x)
        accuracies, slopes = {}, []
        for k in range(self.depth + 1):
            level = self.level(k)
            real, coarse = self._real(k, batch.x)
            fake = self._refine(k, coarse, batch.y, stream)
            on_real, on_fake = (
                self.adversaries[k].look_at_all(level.critic, x, batch.y) for x in (real, fake)
            )
            accuracies[f"accuracy{k}"] = float(self.game.right(on_real, on_fake).mean())
            slopes.append(slope(self.game, on_fake, on_real))
        return {
            "accuracy": max(accuracies.values()),
            **accuracies,
            **vitals,
            "slope": min(slopes),
        }

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """A critic that has won, collapsed samples."""
        results = []
        accuracies = {k: vitals[f"accuracy{k}"] for k in range(self.depth + 1)}
        worst = max(accuracies, key=lambda k: accuracies[k])
        name = "base_penalties" if worst == self.depth else "penalties"
        penalty = setting(name, ["r1(gamma=1.0)"])
        if accuracies[worst] > WON:
            slower = setting("optimizers", {f"critic{worst}": "adam(rate=5e-5, beta1=0.5)"})
            remedy = f"{penalty}, or a lower rate for that critic ({slower})"
            observed = f"that of level {worst} recognises {accuracies[worst]:.0%} of samples"
            results.append(Symptom("the critic dominates", observed, remedy))
        if vitals["diversity"] < UNIFORM:
            observed = f"samples are {vitals['diversity']:.0%} as spread out as the data"
            remedy = f"{penalty}, {setting('game', 'relativistic')}, or more steps"
            results.append(Symptom("collapse", observed, remedy))
        return results
