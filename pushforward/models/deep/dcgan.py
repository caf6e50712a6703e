"""Deep convolutional GAN.

The original game with strided convolutions and batch norm, on images in [-1, 1].

    g: z -> 512 (4x4) -> 256 -> 128 -> 64 -> image, tanh c:
    image -> 64 -> 128 -> 256 -> 512 (4x4) -> 1

at 64x64; other sizes use as many steps as reduce the longer side to 4 or less (`nets.dcgan`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pushforward.core.registry import register
from pushforward.core.space import Space
from pushforward.core.suited import Suited
from pushforward.fitting.augment import Augment
from pushforward.fitting.trainer import Trainer
from pushforward.models.deep.few_images import WIDTH, suited_to_images
from pushforward.models.deep.gan import GAN
from pushforward.models.deep.hack import ConditioningMode
from pushforward.models.deep.hacks import Hack
from pushforward.nets.adversaries import DeepConvolutional
from pushforward.objectives.games import Game
from pushforward.objectives.penalties import Penalty

__all__ = ["DCGAN"]


@register("dcgan")
class DCGAN(GAN):
    """Images from strided convolutions with batch norm.

    Reference: Radford, Metz & Chintala (2016, https://arxiv.org/abs/1511.06434), §3 and §4.
    Differences: codes are normal, theirs uniform, and sizes other than 64x64 have more or fewer
    steps. At 64x64 in colour: 3 576 704 and 2 765 568 parameters.

    Args:
        latent: dimension of the noise.
        width: channels of the map at half the image's size.
        game: 'non_saturating', 'hinge', 'wasserstein', 'relativistic', …
        penalties: on the critic: 'r1(gamma=1.0)', 'gradient_penalty',
            'spectral', …; the paper has none.
        critic_steps: the generator is updated once per `critic_steps` critic updates.
        packing: samples the critic sees at once; a batch is split into packs.
        conditioning: how y enters: 'concatenation', 'embedding', 'projection', 'auxiliary'.
        hacks: further switches besides the built-in ones (1, 2, 4, 5 in the critic);
            `pushforward hacks` lists them.
        critic_augment: random changes of all images shown to the critic, real and generated:
            'flip', 'crop(padding=2)', 'affine'.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> model = pf.DCGAN(latent=4, width=4).fit(x, by=pf.Trainer(epochs=1, batch=16))
        >>> model.sample(5, rng=0).shape
        torch.Size([5, 1, 8, 8])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant"})  # images have no categories

    def __init__(
        self,
        latent: int = 100,
        width: int = 64,
        game: Game | str = "non_saturating",
        penalties: Sequence[Penalty | str] = (),
        critic_steps: int = 1,
        packing: int = 1,
        conditioning: ConditioningMode = "concatenation",
        hacks: Sequence[Hack | str] = (),
        critic_augment: Sequence[Augment | str] = (),
    ) -> None:
        super().__init__(
            latent=latent,
            game=game,
            penalties=penalties,
            critic_steps=critic_steps,
            network=DeepConvolutional(width),
            packing=packing,
            conditioning=conditioning,
            hacks=hacks,
            critic_augment=critic_augment,
        )
        self.width = width

    def suited(self, space: Space, rows: int, told: Space | None = None) -> Sequence[Suited]:
        """Smaller networks and more steps for few images."""
        return suited_to_images(space, rows, told, width=WIDTH)

    def default_fitter(self) -> Trainer:
        """25 epochs of batches of 128, without averaged weights, as in the paper."""
        return Trainer(epochs=25)
