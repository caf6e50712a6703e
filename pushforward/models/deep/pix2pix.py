"""Image-to-image translation by a conditional GAN (Isola et al. 2017,
https://arxiv.org/abs/1611.07004): a U-Net against a critic of patches, and an absolute error.

    critic     L(c(x, y), c(g(y), y))            the game's
    generator  L(c(g(y), y)) + weight E|x - g(y)|

x and y are levels, or coordinates made of them: see `models.parts.colour_coordinates`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast, get_args

from torch import Tensor

from pushforward.core.errors import InvalidValue, one_of, require_positive
from pushforward.core.fitter import Symptom
from pushforward.core.phase import Batch, Optimizer, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator
from pushforward.core.registry import Value, read, register
from pushforward.core.space import Space
from pushforward.fitting.augment import Flip, Jitter
from pushforward.fitting.trainer import Trainer
from pushforward.models.parts.adversary import Adversary, Rows
from pushforward.models.parts.colour_coordinates import Colours, Levels, colour_coordinates
from pushforward.models.parts.translator import Translator
from pushforward.nets.unet import Norm, PatchCritic, UNet, patch_layers, unet_depth
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["Pix2Pix"]

WATCHED = 64
"""Rows that vital signs are taken from: each is as many errors as pixels."""


@register("pix2pix")
class Pix2Pix(Translator):
    """Images made from other images: photographs from label maps or edges, colours from greys.

    Reference: Isola et al. (2017, https://arxiv.org/abs/1611.07004), §3 and Appendix A. At 256x256
    in colour: 54 413 955 and 2 768 705 parameters. Dropout stays on in use, as the paper has it;
    it is the only noise.

    Args:
        width: channels of the first maps of both networks; 64 in the paper.
        weight: of the absolute error (of the cross-entropy with colours='classes'); 0 for the GAN
            alone.
        game: 'non_saturating', 'least_squares', 'hinge', …; 'none' for the absolute error alone.
        penalties: on the critic: 'r1(gamma=1.0)', 'gradient_penalty', …; the paper has none.
        critic_layers: convolutions of stride 2 in the critic, which judges patches of 16, 34, 70,
            142 and 286 pixels with 1 to 5, and single pixels with 0; 3 for images of at least
            32x32 if not given.
        conditional: whether the critic sees the condition, too.
        dropout: share of the three innermost maps of the decoder dropped, in training and in use.
        norm: 'instance', statistics of each image by itself, the same as the paper's batches of
            one, or 'batch'.
        colours: 'rgb'; 'lab' for greys to be coloured: the networks then see CIE lightness as the
            condition and a and b as the image (L / 50 - 1 and a, b / 110, as in the paper), and
            results keep the lightness of the condition, which is lightness or grey (`--label
            lightness`); or 'classes' for label maps to be made, read with a `labels` condition: the
            generator then makes a probability for each of their colours.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> model = pf.Pix2Pix(width=4).fit(x, x[:, :1], epochs=1, batch=4, quiet=True)
        >>> model.translate(torch.rand(2, 1, 16, 16), rng=0).shape
        torch.Size([2, 3, 16, 16])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant"})
    optimizer: ClassVar[Optimizer] = adam(2e-4, beta1=0.5)
    """The optimiser of both networks."""
    scaling_kind = "signed"

    def __init__(
        self,
        width: int = 64,
        weight: float = 100.0,
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = (),
        critic_layers: int | None = None,
        conditional: bool = True,
        dropout: float = 0.5,
        norm: Norm = "instance",
        colours: Colours = "rgb",
    ) -> None:
        super().__init__()
        require_positive(width=width)
        if not 0 <= weight < float("inf"):
            raise InvalidValue(f"weight must be finite and not below 0, got {weight}")
        if not 0 <= dropout < 1:
            raise InvalidValue(f"dropout is a share from 0 to below 1, got {dropout}")
        if critic_layers is not None and not 0 <= critic_layers <= 5:
            raise InvalidValue(f"critic_layers must lie in 0..5, got {critic_layers}")
        if isinstance(penalties, (str, Penalty)):
            raise InvalidValue(
                f"penalties is a list, got {penalties!r}; write penalties=['{penalties}']"
            )
        self.width, self.weight, self.dropout, self.norm = width, weight, dropout, norm
        self.adversarial = game != "none"
        self.game: Game | str = read(Game, game) if self.adversarial else "none"
        self.penalties = tuple(read(Penalty, p) for p in penalties)
        self.critic_layers, self.conditional = critic_layers, conditional
        self.colours: Colours = one_of("colours", colours, get_args(Colours))
        if not self.adversarial and not weight:
            raise InvalidValue("game='none' with weight=0 leaves nothing to learn; set one of them")
        if isinstance(self.game, Game):
            self.adversary = Adversary(self.game, self.penalties)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """The U-Net for the size of the images, and the critic."""
        self.require_images(space, condition_space)
        channels, height, wide = self.event_shape()
        inputs, *sides = self.conditions.shape
        if sides != [height, wide]:
            raise InvalidValue(
                f"Pix2Pix takes conditions of the size of the images, {height}x{wide}, got"
                f" {sides[0]}x{sides[1]}; bring both to one size (size={height})"
            )
        channels = self.coordinates.channels(inputs, channels)
        depth = unet_depth((height, wide))
        self.generator = UNet(inputs, channels, depth, self.width, self.dropout, self.norm)
        if not self.adversarial:
            return
        layers = self.critic_layers
        fitting = patch_layers(height, wide, 3 if layers is None else max(layers, 1))
        if layers is not None and 0 < fitting < layers:
            raise InvalidValue(
                f"critic_layers={layers} needs images of at least {4 << layers} pixels a side, got"
                f" {height}x{wide}; use critic_layers={fitting}"
            )
        seen = channels + inputs * self.conditional
        self.critic = PatchCritic(
            seen, fitting if layers is None else layers, self.width, self.norm
        )
        self.adversary.install(self.critic)

    @property
    def coordinates(self) -> Levels:
        """What the networks see of images and conditions."""
        return colour_coordinates(self.colours, self.scaling, self.conditions.scaling)

    def default_fitter(self) -> Trainer:
        """200 epochs of single images, as in the paper."""
        return Trainer(epochs=200, batch=1)

    def augmentations(self, space: Space) -> Sequence[Value]:
        """The paper's: enlarged by 286/256 and cut at random, and mirrored; conditions alike."""
        return (Jitter(), Flip())

    def phases(self) -> list[Phase]:
        """The critic first, then the generator."""
        generator_phase = Phase("generator", ("generator",), self.generator_loss, self.optimizer)
        if not self.adversarial:
            return [generator_phase]
        shares = generator_phase.networks
        critic_phase = Phase("critic", ("critic",), self.critic_loss, self.optimizer, shares=shares)
        return [critic_phase, generator_phase]

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The adversary's critic terms, with the condition as part of every row."""
        x, condition = self._seen(batch)
        made = self.coordinates.made(self._output(condition, step)).detach()
        y = condition if self.conditional else None
        real, fake = Rows(x, y), Rows(made, y)
        return self.adversary.critic_terms(
            self.critic, self.adversary.compare(self.critic, real, fake, step), step
        )

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The adversary's generator terms, and the error."""
        x, condition = self._seen(batch)
        coordinates, out = self.coordinates, self._output(condition, step)
        terms = Terms()
        if self.adversarial:
            y = condition if self.conditional else None
            rows, real = Rows(coordinates.made(out), y), Rows(x, y)
            terms, _ = self.adversary.generator_terms(self.critic, rows, step, real=real)
        error = coordinates.error(out, x)
        if self.weight:
            terms[coordinates.error_name] = self.weight * error
        terms.logged["error"] = error.detach().mean()
        return terms

    def _output(self, condition: Tensor, step: Step) -> Tensor:
        """The generator's output of one step: both players see the same."""
        return step.share("made", lambda: cast(Tensor, self.generator(condition)))

    def _seen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images and conditions as the networks see them."""
        assert batch.y is not None
        return self.coordinates.real(batch.x), self.coordinates.condition(batch.y)

    def make(self, y: Tensor, *, rng: Rng = None) -> Tensor:
        """Images for conditions, both in model coordinates; `rng` for dropout in use."""
        condition = self.coordinates.condition(y)
        return self.coordinates.image(super().make(condition, rng=rng), condition)

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """The error on held-out pairs and how much images vary with the noise, as shares of the
        range of levels, and the accuracy of the critic.
        """
        assert batch.y is not None
        y = batch.y[:WATCHED]
        batch = Batch(batch.x[:WATCHED], y)
        stream = generator(rng, batch.x.device)
        made, again = (self.make(y, rng=stream) for _ in range(2))
        vitals = {
            "error": float(self.distance(made, batch.x).mean()),
            "variation": float(self.distance(made, again).mean()),
        }
        if self.adversarial:
            x, condition = self._seen(batch)
            fake_x, _ = self._seen(Batch(made, batch.y))
            shown = condition if self.conditional else None
            real, fake = self.critic(x, shown), self.critic(fake_x, shown)
            vitals["accuracy"] = float(self.adversary.game.right(real, fake).mean())
        return vitals

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """None: an accurate critic of patches is usual, as the absolute error goes on guiding."""
        return ()
