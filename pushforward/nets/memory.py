"""Rows that a learner remembers, in buffers, so that a fit that is resumed remembers the same ones.

The buffers are part of a checkpoint and no part of the stored model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.core.random import Rng, uniform

__all__ = ["Memory"]


class Memory(nn.Module):
    """The latest `capacity` rows put in, with their conditions.

    Args:
        capacity: rows.
        event: shape of one row.
        condition: shape of one condition; None where there are none.
    """

    rows: Tensor
    conditions: Tensor | None
    count: Tensor

    def __init__(
        self, capacity: int, event: Sequence[int], condition: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.capacity = capacity
        self.register_buffer("rows", torch.zeros(capacity, *event), persistent=False)
        self.register_buffer(
            "conditions",
            None if condition is None else torch.zeros(capacity, *condition),
            persistent=False,
        )
        self.register_buffer("count", torch.zeros((), dtype=torch.int64), persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor | None = None) -> None:
        """Put rows in, over the oldest; nothing waits for the device."""
        kept = min(len(x), self.capacity)
        at = (self.count + torch.arange(kept, device=self.rows.device)) % self.capacity
        self.rows.index_copy_(0, at, x[:kept].to(self.rows))
        if self.conditions is not None and y is not None:
            self.conditions.index_copy_(0, at, y[:kept].to(self.conditions))
        self.count += kept

    def sample(self, n: int, *, rng: Rng = None) -> tuple[Tensor, Tensor | None]:
        """n of the rows, at random and with repetition, and their conditions;
        something must have been put in.
        """
        held = self.count.clamp(max=self.capacity)
        at = torch.minimum((uniform(n, rng=rng, like=self.rows) * held).to(torch.int64), held - 1)
        return self.rows[at], None if self.conditions is None else self.conditions[at]

    def held(self) -> tuple[Tensor, Tensor | None]:
        """All rows, in no order."""
        n = min(int(self.count), self.capacity)
        return self.rows[:n], None if self.conditions is None else self.conditions[:n]
