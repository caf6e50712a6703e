"""Super-resolution by a GAN with a perceptual loss (Ledig et al. 2017,
https://arxiv.org/abs/1609.04802).

    critic     L(c(x), c(g(y)))                                   the game's
    generator  weight L(c(g(y))) + perceptual |φ(x) - φ(g(y))|² + pixel |x - g(y)|

φ are the maps of a fixed network that was trained to recognise things.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor

from pushforward.core.argument_names import setting
from pushforward.core.errors import InvalidValue, MissingExtra, require_positive
from pushforward.core.fitter import Symptom
from pushforward.core.fixed import Fixed
from pushforward.core.phase import Batch, Optimizer, Phase, Step, Terms, adam
from pushforward.core.random import Rng, generator
from pushforward.core.registry import read, register
from pushforward.core.scan import Facts
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.models.parts.adversary import Adversary, Rows
from pushforward.models.parts.enlarger import Enlarger, Normalisation
from pushforward.nets.feature_networks import FeatureNetwork
from pushforward.nets.super_resolution import EnlargingCritic
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["SRGAN"]

STRIDE = 8
"""Pixels between the places of the maps of EfficientNet's layer 4, and of VGG's third pooling."""


@register("srgan")
class SRGAN(Enlarger):
    """Images enlarged 2, 3, 4 or 8 times so that they look real: sharper than an SRResNet's, and
    farther from the truth.

    Reference: Ledig et al. (2017, https://arxiv.org/abs/1609.04802), §2. As there, start from a
    fitted SRResNet of the same width, blocks and norm (`start=`); the fit takes its weights.

    Args:
        width, blocks, norm: of the generator, as in SRResNet; the paper's are 64, 16 and 'batch'.
        game: 'non_saturating', 'least_squares', 'hinge', …
        penalties: on the critic: 'r1(gamma=1.0)', 'gradient_penalty', …; the paper has none.
        weight: of the generator's loss in the game; .001 in the paper.
        features: the network whose maps are compared: 'efficientnet(layer=4)' from the extra
            [metrics], "classifier(weights='FILE')", or the paper's "vgg19(layer='5_4')" where its
            weights are on this machine; 'none' for no perceptual loss.
        perceptual: weight of the squared error of the maps, as a share of the mean square of the
            real ones.
        pixel: weight of the absolute error of pixels; 0 in the paper.
        critic_width: channels of the critic's first maps; 64 in the paper.
        critic_hidden: units of the critic's dense layer; 1024 in the paper.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> settings = {"y": "low_resolution(4)", "epochs": 1, "batch": 8, "quiet": True}
        >>> first = pf.SRResNet(width=4, blocks=1).fit(x, **settings)
        >>> model = pf.SRGAN(width=4, blocks=1, features="none", critic_width=4, critic_hidden=8)
        >>> model.fit(x, start=first, **settings).translate(torch.rand(3, 5, 7)).shape
        torch.Size([3, 20, 28])
    """

    optimizer: ClassVar[Optimizer] = adam(1e-4)
    """The optimiser of both networks."""

    def __init__(
        self,
        width: int = 32,
        blocks: int = 6,
        norm: Normalisation = "none",
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = (),
        weight: float = 1e-3,
        features: FeatureNetwork | str = "efficientnet",
        perceptual: float = 1.0,
        pixel: float = 0.01,
        critic_width: int = 32,
        critic_hidden: int = 256,
    ) -> None:
        super().__init__(width, blocks, norm)
        require_positive(critic_width=critic_width, critic_hidden=critic_hidden)
        for name, value in (("weight", weight), ("perceptual", perceptual), ("pixel", pixel)):
            if not 0 <= value < math.inf:
                raise InvalidValue(f"{name} must be finite and not below 0, got {value}")
        if isinstance(penalties, (str, Penalty)):
            raise InvalidValue(
                f"penalties is a list, got {penalties!r}; write penalties=['{penalties}']"
            )
        self.game, self.penalties = read(Game, game), tuple(read(Penalty, p) for p in penalties)
        self.features: FeatureNetwork | str = (
            "none" if features == "none" else read(FeatureNetwork, features)
        )
        self.weight, self.perceptual, self.pixel = weight, perceptual, pixel
        self.critic_width, self.critic_hidden = critic_width, critic_hidden
        self.adversary = Adversary(self.game, self.penalties)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """The generator and the critic of whole images of the size trained on."""
        super().build(space, condition_space)
        self.critic = EnlargingCritic(self.event_shape(), self.critic_width, self.critic_hidden)
        self.adversary.install(self.critic)

    def prepare(self, source: Source, facts: Facts) -> None:
        """Build the networks, and find the feature network, which only a fit needs."""
        super().prepare(source, facts)
        if isinstance(self.features, FeatureNetwork) and self.perceptual:
            try:
                self.maps = Fixed(self.features.build(), stored=False)
            except MissingExtra as error:
                raise MissingExtra(
                    error.package,
                    error.extra,
                    f"the perceptual loss of {type(self).__name__}",
                    setting("features", "none"),
                ) from error

    def phases(self) -> list[Phase]:
        """The critic first, then the generator."""
        return [
            Phase("critic", ("critic",), self.critic_loss, self.optimizer, shares=("generator",)),
            Phase("generator", ("generator",), self.generator_loss, self.optimizer),
        ]

    def critic_loss(self, batch: Batch, step: Step) -> Terms:
        """The adversary's critic terms."""
        assert batch.y is not None
        made = self._output(batch.y, step).detach()
        real, fake = Rows(batch.x), Rows(made)
        comparison = self.adversary.compare(self.critic, real, fake, step)
        return self.adversary.critic_terms(self.critic, comparison, step)

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The adversary's generator terms, and the errors of maps and of pixels."""
        assert batch.y is not None
        made = self._output(batch.y, step)
        rows, real = Rows(made), Rows(batch.x)
        terms, _ = self.adversary.generator_terms(self.critic, rows, step, real=real)
        terms = Terms(logged=terms.logged, **{k: self.weight * v for k, v in terms.items()})
        if "maps" in self._modules:
            terms["perceptual"] = self.perceptual * self._distance(batch.x, made, step.rng)
        error = (made - batch.x).abs()
        if self.pixel:
            terms["pixel"] = self.pixel * error
        terms.logged["error"] = error.detach().mean()
        return terms

    def _output(self, y: Tensor, step: Step) -> Tensor:
        """The enlarged images of one step: both players see the same."""
        return step.share("made", lambda: cast(Tensor, self.generator(y)))

    def _distance(self, x: Tensor, made: Tensor, rng: Rng) -> Tensor:
        """The squared error of the maps, value by value, by the mean square of the real ones.

        The images are cut at random places, the same in both: maps of strided networks see a grid.
        """
        x, made = _cut((x, made), generator(rng, x.device))
        with torch.no_grad():
            real = self._maps_of(x)
        return (self._maps_of(made) - real).square() / real.square().mean()

    def _maps_of(self, u: Tensor) -> Tensor:
        """The maps of images in model coordinates, [-1, 1]."""
        maps = self.maps((u + 1) / 2)
        assert isinstance(maps, Tensor)
        return maps

    def vitals(self, batch: Batch, *, rng: Rng = None) -> dict[str, float]:
        """The peak signal-to-noise ratio on held-out images, dB, and the critic's accuracy."""
        assert batch.y is not None
        real, fake = self.critic(batch.x), self.critic(self.make(batch.y))
        accuracy = self.adversary.game.right(real, fake).mean()
        return {**super().vitals(batch, rng=rng), "accuracy": float(accuracy)}

    def symptoms(self, vitals: Mapping[str, float]) -> Sequence[Symptom]:
        """None: an accurate critic is usual, as the other errors go on guiding."""
        return ()


def _cut(images: tuple[Tensor, ...], rng: torch.Generator) -> tuple[Tensor, ...]:
    """Images (n, c, h, w) less up to `STRIDE` - 1 rows and columns, at most a quarter of a side."""
    height, width = images[0].shape[-2:]
    most = [min(STRIDE - 1, side // 4) for side in (height, width)]
    top, left = (int(torch.randint(n + 1, (), generator=rng, device=rng.device)) for n in most)
    bottom, right = height - most[0] + top, width - most[1] + left
    return tuple(x[..., top:bottom, left:right] for x in images)
