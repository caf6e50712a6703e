"""What a way of sampling is; the ways are in `core.samplers`."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from pushforward.core.data_types import Conditioning
from pushforward.core.random import Rng
from pushforward.core.registry import Value
from pushforward.core.units import TakesConditions

__all__ = ["Sampler"]


class Sampler(Value, family="sampler"):
    """A way to draw observations from a model."""

    own = False
    """Whether this is how the model samples by itself."""

    @abstractmethod
    def __call__(
        self, model: TakesConditions, n: int, *, y: Conditioning = None, rng: Rng = None
    ) -> Tensor:
        """n observations (n, *shape), user's units, under conditions y.

        Raises:
            InvalidKind: For a model that cannot be sampled so.
        """
