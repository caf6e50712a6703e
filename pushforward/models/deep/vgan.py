"""Clips from two streams: a still background and a moving foreground, joined by a mask (Vondrick,
Pirsiavash & Torralba 2016, https://arxiv.org/abs/1609.02612).

    clip = mask · foreground + (1 - mask) · background

Unconditional clips come from codes z ~ N(0, I); with first frames as conditions, an encoder gives
the code, and the clips' first frames are drawn to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.errors import InvalidKind, InvalidValue, require_positive
from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch, Optimizer, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator
from pushforward.core.registry import read, register
from pushforward.core.scenes import Scenes
from pushforward.core.space import Space
from pushforward.fitting.trainer import Trainer
from pushforward.models.parts.adversary import Adversary, Rows
from pushforward.models.parts.generator import CodeModel
from pushforward.nets.video import (
    ClipCritic,
    ClipGenerator,
    FrameEncoder,
    Streams,
    clip_steps,
    compose,
)
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["VGAN"]


AT_ONCE = 64
"""Scenes composed at a time: four clips for each are in memory."""


@register("vgan")
class VGAN(CodeModel):
    """Clips of a scene that stands still and something that moves in it.

    Reference: Vondrick, Pirsiavash & Torralba (2016, https://arxiv.org/abs/1609.02612), §2-3. For
    32 frames of 64x64 in colour: 16 245 383 and 11 057 858 parameters. Clips are square, with sides
    of 8, 16, 32, … pixels and 2, 4, 8, … frames. A first frame as a condition (`y='first_frame'`)
    takes the place of the noise, and so has one continuation.

    Args:
        latent: numbers in a code.
        width: channels of the maps at half the clip's size; 64 in the paper.
        mask_weight: of the mean of the mask, which keeps the foreground small.
        mask_start: the mask before training; .5 in the paper. From there the foreground soon makes
            the whole clip, and the background stands idle for long.
        frame_weight: of the absolute error of the first frame, if first frames are the conditions.
        game: 'non_saturating', 'hinge', 'least_squares', …
        penalties: on the critic: 'r1(gamma=1.0)', …; the paper has none.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.rand(8, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> model = pf.VGAN(latent=4, width=4).fit(x, epochs=1, batch=4, quiet=True)
        >>> model.sample(2, rng=0).shape
        torch.Size([2, 1, 4, 8, 8])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant"})
    optimizer: ClassVar[Optimizer] = adam(2e-4, beta1=0.5)
    """The optimiser of all networks."""
    generator: ClipGenerator
    scaling_kind = "signed"

    def __init__(
        self,
        latent: int = 100,
        width: int = 64,
        mask_weight: float = 0.1,
        mask_start: float = 0.1,
        frame_weight: float = 10.0,
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = (),
    ) -> None:
        super().__init__()
        require_positive(latent=latent, width=width)
        for name, weight in (("mask_weight", mask_weight), ("frame_weight", frame_weight)):
            if not 0 <= weight < float("inf"):
                raise InvalidValue(f"{name} must be finite and not below 0, got {weight}")
        if not 0 < mask_start < 1:
            raise InvalidValue(f"mask_start must lie between 0 and 1, got {mask_start}")
        if isinstance(penalties, (str, Penalty)):
            raise InvalidValue(
                f"penalties is a list, got {penalties!r}; write penalties=['{penalties}']"
            )
        self.latent, self.width = latent, width
        self.mask_weight, self.mask_start = mask_weight, mask_start
        self.frame_weight = frame_weight
        self.game: Game = read(Game, game)
        self.penalties = tuple(read(Penalty, p) for p in penalties)
        self.adversary = Adversary(self.game, self.penalties)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """The two streams and the critic for the size of the clips, and an encoder of frames."""
        if space.kind != "clips":
            raise InvalidKind(
                f"VGAN makes clips, but the data are {space}; pass clips (n, channels, time,"
                " height, width)"
            )
        event = self.event_shape()
        clip_steps(event)
        if condition_space is not None:
            frame = (event[0], *event[2:])
            if condition_space.kind != "images" or self.conditions.shape != frame:
                raise InvalidKind(
                    f"VGAN takes first frames as conditions, {'×'.join(map(str, frame))}, got"
                    f" {condition_space}; pass y='first_frame'"
                )
            self.encoder = FrameEncoder(frame, self.latent, self.width)
        self.generator = ClipGenerator(self.latent, event, self.width, self.mask_start)
        self.critic = ClipCritic(event, self.width)
        self.adversary.install(self.critic)

    def streams(self, z: Tensor, y: Tensor | None = None) -> Streams:
        """The streams of codes z (n, latent), or of first frames y (n, c, h, w) instead, in model
        coordinates.
        """
        return Streams(*self.generator(z if y is None else self.encoder(y)))

    def push(self, z: Tensor, y: Tensor | None = None, *, rng: Rng = None) -> Tensor:
        """Clips in model coordinates; first frames y take the place of the codes."""
        return compose(self.streams(z, y))

    @torch.no_grad()
    def scenes(self, n: int, y: Conditioning = None, *, rng: Rng = None) -> Scenes:
        """n clips with their masks, foregrounds and backgrounds; the clips are those that `sample`
        gives with the same `rng`.
        """
        stream = generator(rng, self.device)
        z = self.prior(n).rsample(rng=stream).to(self.device)
        u = self.to_condition(y, n)
        parts: list[tuple[Tensor, ...]] = []
        for start in range(0, n, AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            streams = self.streams(z[rows], None if u is None else u[rows])
            still = streams.background.expand_as(streams.foreground)
            layers = (compose(streams), streams.foreground, still)
            x, foreground, background = (self.to_user(layer) for layer in layers)
            parts.append((x, streams.mask, foreground, background))
        return Scenes(*(torch.cat(part) for part in zip(*parts)))

    def default_fitter(self) -> Trainer:
        """100 epochs of batches of 64, as in the paper's batches."""
        return Trainer(epochs=100, batch=64)

    def least_rows(self, space: Space) -> int:
        """Two, so that samples can differ."""
        return 2

    def phases(self) -> list[Phase]:
        """The critic first, then the generator, and the encoder with it."""
        makers = ("generator", "encoder") if self.conditions else ("generator",)
        return [
            Phase("critic", ("critic",), self.critic_loss, self.optimizer, shares=makers),
            Phase("generator", makers, self.generator_loss, self.optimizer),
        ]

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The adversary's critic terms."""
        made = compose(self._output(batch, step)).detach()
        fake, real = Rows(made), Rows(batch.x)
        return self.adversary.critic_terms(
            self.critic, self.adversary.compare(self.critic, real, fake, step), step
        )

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The adversary's generator terms, the mask, and the error of the first frame."""
        streams = self._output(batch, step)
        made = compose(streams)
        terms, _ = self.adversary.generator_terms(self.critic, Rows(made), step, real=Rows(batch.x))
        if self.mask_weight:
            terms["mask"] = self.mask_weight * streams.mask
        if batch.y is not None and self.frame_weight:
            terms["frame"] = self.frame_weight * (made[:, :, 0] - batch.y).abs()
        terms.logged["mask_mean"] = streams.mask.detach().mean()
        return terms

    def _output(self, batch: Batch, step: Step) -> Streams:
        """The streams of one step: both players see the same clips."""
        return step.share("made", lambda: self.streams(self._codes(batch, step.rng), batch.y))

    def _codes(self, batch: Batch, rng: Rng) -> Tensor:
        return self.prior(len(batch.x)).rsample(rng=rng).to(batch.x)

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """The critic's accuracy, and the motion of samples as a share of that of the data."""
        fake = self.generate(batch, generator(rng, batch.x.device))
        real_output, fake_output = self.critic(batch.x), self.critic(fake)
        motion = [float(x.diff(dim=2).square().mean()) for x in (fake, batch.x)]
        return {
            "accuracy": float(self.adversary.game.right(real_output, fake_output).mean()),
            "motion": motion[0] / max(motion[1], 1e-12),
        }

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """Clips that stand still."""
        if vitals["motion"] >= 0.05:
            return ()
        advice = "more steps, or a smaller mask_weight"
        return [Symptom("still", "samples hardly move", advice)]
