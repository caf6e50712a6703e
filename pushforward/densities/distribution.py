"""The base class of our distributions: a `torch.distributions` distribution whose batch is rows.

A distribution of n rows has `batch_shape` (n,) and the rest of its parameters' axes as
`event_shape`; `log_prob` sums over the event. So `torch.distributions.kl_divergence`, `Independent`
and other tools for torch's distributions work with ours. Three things differ:

* `rsample` and `sample` take a stream of random numbers, `rng`;
  by default they take a new seed from torch's global stream.
* Arguments are not validated on construction, which happens at every training step.
* All of them have `rsample`; `has_rsample` tells whether gradients pass through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Size, SymInt, Tensor
from torch.distributions import constraints

from pushforward.core.errors import ShapeMismatch
from pushforward.core.random import Rng

__all__ = ["RowDistribution", "rows_of"]


class RowDistribution(torch.distributions.Distribution):
    """A distribution of rows.

    Subclasses are dataclasses of their parameters, and call `declare` once these are set.
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def declare(self, shape: Sequence[int | SymInt], event_dims: int) -> None:
        """Set the shapes of batch and event; the event is the last `event_dims` axes of `shape`."""
        batch_dims = len(shape) - event_dims
        sizes = cast(Sequence[int], shape)  # symbols while a model is traced
        super().__init__(Size(sizes[:batch_dims]), Size(sizes[batch_dims:]), validate_args=False)

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """A sample (*sample_shape, *batch_shape, *event_shape)."""
        return super().rsample(Size(sample_shape))

    def sample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """A sample without gradients (*sample_shape, *batch_shape, *event_shape)."""
        with torch.no_grad():
            return self.rsample(sample_shape, rng=rng)


def rows_of(batch_shape: Sequence[int]) -> int:
    """Number of rows in a batch of this shape.

    Raises:
        ShapeMismatch: Unless it has one axis.
    """
    if len(batch_shape) != 1:
        raise ShapeMismatch(
            f"a batch of identical rows has one axis, got {tuple(batch_shape)}; expand to (n,)"
        )
    return batch_shape[0]
