"""Auto-encoders: min Σ ‖x - g(f(x))‖², with a code f(x) smaller than x.

With linear f and g the optimum spans the subspace of the principal components (Baldi & Hornik 1989); hidden layers bend
it. The model has codes and reconstructions, and neither samples nor a density.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from pushforward.core.errors import require_positive
from pushforward.core.model import Learner
from pushforward.core.phase import Batch, Phase, Step, Terms, adam
from pushforward.core.random import Rng
from pushforward.core.registry import register
from pushforward.core.space import Space
from pushforward.fitting.trainer import Trainer
from pushforward.nets.mlp import MLP, check_activation

__all__ = ["Autoencoder"]


@register("autoencoder")
class Autoencoder(Learner):
    """An encoder and a decoder that restore the data from a short code.

    Reference: Hinton & Salakhutdinov (2006), trained here end to end, without pre-training.

    Arguments:
        latent: numbers in a code.
        hidden: sizes of the encoder's hidden layers; the decoder mirrors them.
        activation: 'relu', 'tanh', …

    Example:
        >>> import torch, pushforward as pf
        >>> x = torch.randn(256, 3, generator=torch.Generator().manual_seed(0))
        >>> model = pf.Autoencoder(latent=2, hidden=(16,)).fit(x, by=pf.Trainer(epochs=2, batch=64))
        >>> model.encode(x).shape, model.decode(model.encode(x)).shape
        (torch.Size([256, 2]), torch.Size([256, 3]))
    """

    accepts: ClassVar[frozenset[str]] = frozenset({"constant", "categorical"})

    def __init__(self, latent: int = 10, hidden: Sequence[int] = (256, 128), activation: str = "relu") -> None:
        super().__init__()
        require_positive(latent=latent, **{f"hidden[{i}]": size for i, size in enumerate(hidden)})
        self.latent, self.hidden, self.activation = latent, tuple(hidden), check_activation(activation)

    def build(self, space: Space, condition_space: Space | None = None) -> None:
        """An encoder and a mirrored decoder for the space."""
        width = self.width()
        extra = self.condition_width
        self.encoder = MLP(width + extra, (self.latent,), self.hidden, self.activation)
        self.decoder = MLP(self.latent + extra, self.event_shape(), self.hidden[::-1], self.activation)

    def default_fitter(self) -> Trainer:
        """100 epochs of Adam."""
        return Trainer(epochs=100)

    def least_rows(self, space: Space) -> int:
        """As many rows as numbers in a code."""
        return self.latent

    def phases(self) -> list[Phase]:
        """One player."""
        return [Phase("autoencoder", ("encoder", "decoder"), self.squared_error, adam(1e-3))]

    def squared_error(self, batch: Batch, step: Step) -> Terms:
        """‖x - g(f(x))‖², summed over the event, in model coordinates."""
        restored = self.decoder(self.encoder(batch.x, batch.y), batch.y)
        return Terms(error=(restored - batch.x).square().flatten(1).sum(1))

    def quality(self, batch: Batch, *, rng: Rng = None) -> Tensor:
        """Minus the squared error (n,)."""
        return -self.squared_error(batch, Step(rng=None))["error"]

    def encode(self, x: Any, y: Any = None) -> Tensor:
        """Codes (n, latent)."""
        u = self.to_model(x)
        return self.encoder(u, self.to_condition(y, len(u)))

    def decode(self, z: Tensor, y: Any = None, *, rng: Rng = None) -> Tensor:
        """Observations (n, *shape) in the user's units, differentiable in z."""
        return self.to_user(self.decoder(z, self.to_condition(y, len(z))))
