"""Super-resolution by a residual network (Ledig et al. 2017, https://arxiv.org/abs/1609.04802).

minimise E (x - g(y))², or E |x - g(y)|
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from pushforward.core.errors import InvalidValue, suggest
from pushforward.core.phase import Batch, Optimizer, Phase, Step, Terms, adam
from pushforward.core.registry import register
from pushforward.models.parts.enlarger import Enlarger, Normalisation

__all__ = ["Loss", "SRResNet"]

Loss = Literal["squared", "absolute"]


@register("srresnet")
class SRResNet(Enlarger):
    """Images enlarged 2, 3, 4 or 8 times by a residual network, as faithfully as it can.

    Reference: Ledig et al. (2017, https://arxiv.org/abs/1609.04802), §2.1.1. The paper's network is
    width=64, blocks=16, norm='batch': 1 549 462 parameters at factor 4 in colour. The default is
    small enough for a CPU, without normalisation and with a skip by bicubic interpolation (Lim et
    al. 2017, https://arxiv.org/abs/1707.02921).

    Args:
        width: channels of the maps; 64 in the paper.
        blocks: residual blocks; 16 in the paper.
        norm: 'none', or 'batch' for the paper's network.
        loss: 'squared' error, as in the paper, or 'absolute'.

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> model = pf.SRResNet(width=4, blocks=1)
        >>> _ = model.fit(x, y="low_resolution(4)", epochs=1, batch=8, quiet=True)
        >>> model.translate(torch.rand(3, 5, 7)).shape
        torch.Size([3, 20, 28])
    """

    optimizer: ClassVar[Optimizer] = adam(1e-3)
    """Ten times the paper's rate, which is for a network with batch norm and a million steps."""

    def __init__(
        self,
        width: int = 32,
        blocks: int = 6,
        norm: Normalisation = "none",
        loss: Loss = "absolute",
    ) -> None:
        super().__init__(width, blocks, norm)
        if loss not in get_args(Loss):
            raise InvalidValue(
                f"loss must be 'squared' or 'absolute', got {loss!r};"
                f" {suggest(str(loss), get_args(Loss))}"
            )
        self.loss = loss

    def phases(self) -> list[Phase]:
        """The generator alone."""
        return [Phase("generator", ("generator",), self.generator_loss, self.optimizer)]

    def generator_loss(self, batch: Batch, step: Step) -> Terms:
        """The error of every value."""
        assert batch.y is not None
        error = self.generator(batch.y) - batch.x
        return Terms(**{self.loss: error.square() if self.loss == "squared" else error.abs()})
