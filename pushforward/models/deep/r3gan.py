"""R3GAN: the relativistic game with R1 and R2 between residual networks without normalisation.

    critic:    E softplus(c(g) - c(x)) + γ/2 E‖∇c(x)‖² + γ/2 E‖∇c(g)‖²
    generator: E softplus(c(x) - c(g))

Every sample is judged against a row, so that dropping a mode has a cost, and both penalties
together make the game converge locally. A good baseline to start with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pushforward.core.phase import Optimizer, adam
from pushforward.core.registry import register
from pushforward.fitting.augment import Augment
from pushforward.fitting.trainer import Trainer
from pushforward.models.deep.gan import GAN
from pushforward.models.deep.hack import ConditioningMode
from pushforward.models.deep.hacks import Hack
from pushforward.nets.adversaries import Residual
from pushforward.objectives.games import Relativistic
from pushforward.objectives.penalties import r1, r2

__all__ = ["R3GAN"]


@register("r3gan")
class R3GAN(GAN):
    """Images from a regularised relativistic game between residual networks.

    Reference: Huang, Gokaslan, Kuleshov & Tompkin (2024, https://arxiv.org/abs/2501.05441), Eq. 2
    and Config E. Differences: the size of the networks follows from `width`, and gamma and the
    rates are constant instead of decreasing (`schedule='cosine'` decreases the rates).

    Args:
        latent: dimension of the noise.
        width: channels at the image's own size, a multiple of 8.
        blocks: residual blocks at every size.
        gamma: weight of R1 and of R2: from .05 for small, diverse images to 2 or more for faces.
        packing: samples the critic sees at once; a batch is split into packs.
        conditioning: how y enters: 'concatenation', 'embedding', 'projection', 'auxiliary'.
        hacks: switches, off by default; `pushforward hacks` lists them.
        critic_augment: random changes of all images shown to the critic, real and generated:
            'flip', 'crop(padding=2)', 'affine'.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> model = pf.R3GAN(latent=4, width=8, blocks=1).fit(x, by=pf.Trainer(epochs=1, batch=16))
        >>> model.sample(5, rng=0).shape
        torch.Size([5, 1, 8, 8])
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant"})  # images have no categories
    optimizer: ClassVar[Optimizer] = adam(2e-4, beta1=0.0, beta2=0.99)

    def __init__(
        self,
        latent: int = 64,
        width: int = 64,
        blocks: int = 2,
        gamma: float = 1.0,
        packing: int = 1,
        conditioning: ConditioningMode = "concatenation",
        hacks: Sequence[Hack | str] = (),
        critic_augment: Sequence[Augment | str] = (),
    ) -> None:
        super().__init__(
            latent=latent,
            game=Relativistic(),
            penalties=(r1(gamma), r2(gamma)),
            network=Residual(width, blocks),
            packing=packing,
            conditioning=conditioning,
            hacks=hacks,
            critic_augment=critic_augment,
        )
        self.width, self.blocks, self.gamma = width, blocks, gamma

    def default_fitter(self) -> Trainer:
        """100 epochs, sampling from an average of the weights."""
        return Trainer(epochs=100, batch=64, ema=0.999)
