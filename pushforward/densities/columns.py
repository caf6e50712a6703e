"""Distributions of table rows whose categories are one-hot blocks:
independent blocks of columns side by side.

log p(x) = Σ over numeric columns log N(x_j; m_j, s_j²) + Σ over
categorical ones log softmax(l)_category
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.random import Rng, generator, uniform
from pushforward.densities.normals import Normal

__all__ = ["Columns", "OneHot"]


@dataclass(frozen=True)
class OneHot:
    """One category among K, as a one-hot vector.

    Args:
        logits: log-probabilities up to a constant, (n, K).
    """

    logits: Tensor

    @property
    def mean(self) -> Tensor:
        """Probabilities (n, K)."""
        return self.logits.softmax(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ x log p of one-hot x (n, K); -inf for a row of zeros,
        which is a category that is none of the K.
        """
        return torch.where(x.sum(-1) < 0.5, -math.inf, (x * self.logits.log_softmax(-1)).sum(-1))

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """One-hot rows, by the largest logit + Gumbel noise; no gradient passes."""
        u = uniform(*self.logits.shape, rng=rng, like=self.logits).clamp_min(
            torch.finfo(self.logits.dtype).tiny
        )
        winner = (self.logits - (-u.log()).log()).argmax(-1)
        return torch.nn.functional.one_hot(winner, self.logits.shape[-1]).to(self.logits)


@dataclass(frozen=True)
class Columns:
    """Independent blocks side by side.

    Args:
        blocks: distributions of (n, width) each, in the order of the columns.
    """

    blocks: tuple[Normal | OneHot, ...]

    @property
    def mean(self) -> Tensor:
        """Means of numbers, probabilities of categories: (n, Σ width)."""
        return self._join(lambda block: block.mean)

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ over blocks of their log-probabilities; x (n, Σ width)."""
        parts = x.split([block.mean.shape[-1] for block in self.blocks], -1)
        each = [block.log_prob(part) for block, part in zip(self.blocks, parts)]
        return torch.stack(torch.broadcast_tensors(*each)).sum(0)

    def rsample(self, *, rng: Rng = None) -> Tensor:
        """Draws of numbers, one-hot draws of categories."""
        stream = generator(rng, self.blocks[0].mean.device)
        return self._join(lambda block: block.rsample(rng=stream))

    def _join(self, what: Callable[[Normal | OneHot], Tensor]) -> Tensor:
        return torch.cat([what(block) for block in self.blocks], -1)
