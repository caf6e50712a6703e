"""Rows that a learner remembers, in buffers, so that a resumed fit remembers the same rows.

The buffers are part of a checkpoint but not of the stored model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.core.random import Rng, uniform

__all__ = ["Memory"]


class Memory(nn.Module):
    """The latest `capacity` rows stored, with their conditions.

    Args:
        capacity: number of rows.
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
        """Store rows, replacing the oldest, without synchronising with the device."""
        count = min(len(x), self.capacity)
        at = (self.count + torch.arange(count, device=self.rows.device)) % self.capacity
        self.rows.index_copy_(0, at, x[:count].to(self.rows))
        if self.conditions is not None and y is not None:
            self.conditions.index_copy_(0, at, y[:count].to(self.conditions))
        self.count += count

    def sample(self, n: int, *, rng: Rng = None) -> tuple[Tensor, Tensor | None]:
        """n random rows with replacement, and their conditions; the memory must not be empty."""
        held = self.count.clamp(max=self.capacity)
        at = torch.minimum((uniform(n, rng=rng, like=self.rows) * held).to(torch.int64), held - 1)
        return self.rows[at], None if self.conditions is None else self.conditions[at]

    def held(self) -> tuple[Tensor, Tensor | None]:
        """All stored rows, in no particular order."""
        n = min(int(self.count), self.capacity)
        return self.rows[:n], None if self.conditions is None else self.conditions[:n]
