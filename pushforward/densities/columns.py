"""Distributions of table rows with one-hot categories: independent blocks of columns.

log p(x) = Σ over numeric columns log N(x_j; m_j, s_j²) + Σ over
categorical ones log softmax(l)_category
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import kl_divergence, register_kl

from pushforward.core.errors import ShapeMismatch
from pushforward.core.random import Rng, generator, uniform
from pushforward.densities.distribution import RowDistribution
from pushforward.densities.normals import Normal

__all__ = ["Columns", "OneHot"]


@dataclass(eq=False)
class OneHot(RowDistribution):
    """One category among K, as a one-hot vector.

    Args:
        logits: log-probabilities up to a constant, (n, K).
    """

    logits: Tensor

    def __post_init__(self) -> None:
        self.declare(self.logits.shape, 1)

    @property
    def mean(self) -> Tensor:
        """Probabilities (n, K)."""
        return self.logits.softmax(-1)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> OneHot:
        """The same distribution for more rows."""
        return OneHot(self.logits.expand(*batch_shape, -1))

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ x log p of one-hot x (n, K); -inf for a row of zeros, an unknown category."""
        return torch.where(x.sum(-1) < 0.5, -math.inf, (x * self.logits.log_softmax(-1)).sum(-1))

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """One-hot samples by the largest logit + Gumbel noise; without gradients."""
        u = uniform(*sample_shape, *self.logits.shape, rng=rng, like=self.logits).clamp_min(
            torch.finfo(self.logits.dtype).tiny
        )
        winner = (self.logits - (-u.log()).log()).argmax(-1)
        return torch.nn.functional.one_hot(winner, self.logits.shape[-1]).to(self.logits)


def _kl_one_hot(q: OneHot, p: OneHot) -> Tensor:
    """Σ_k q_k (log q_k - log p_k)."""
    logs = q.logits.log_softmax(-1)
    return (logs.exp() * (logs - p.logits.log_softmax(-1))).sum(-1)


@dataclass(eq=False)
class Columns(RowDistribution):
    """Independent blocks of columns.

    Args:
        blocks: distributions of (n, width) each, in the order of the columns.
    """

    blocks: tuple[Normal | OneHot, ...]

    def __post_init__(self) -> None:
        shapes = [(b.loc if isinstance(b, Normal) else b.logits).shape for b in self.blocks]
        batch = torch.broadcast_shapes(*(shape[:-1] for shape in shapes))
        self.declare((*batch, sum(shape[-1] for shape in shapes)), 1)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether gradients pass through every block's samples."""
        return all(block.has_rsample for block in self.blocks)

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Columns:
        """The same distribution for more rows."""
        return Columns(tuple(block.expand(batch_shape) for block in self.blocks))

    @property
    def mean(self) -> Tensor:
        """Means of numbers, probabilities of categories: (n, Σ width)."""
        return self._join(lambda block: block.mean)

    def log_prob(self, x: Tensor) -> Tensor:
        """Σ over blocks of their log-probabilities; x (n, Σ width)."""
        parts = x.split([block.mean.shape[-1] for block in self.blocks], -1)
        each = [block.log_prob(part) for block, part in zip(self.blocks, parts)]
        return torch.stack(torch.broadcast_tensors(*each)).sum(0)

    def rsample(self, sample_shape: Sequence[int] = (), *, rng: Rng = None) -> Tensor:
        """Draws of numbers, one-hot draws of categories."""
        stream = generator(rng, self.blocks[0].mean.device)
        return self._join(lambda block: block.rsample(sample_shape, rng=stream))

    def _join(self, what: Callable[[Normal | OneHot], Tensor]) -> Tensor:
        return torch.cat([what(block) for block in self.blocks], -1)


def _kl_columns(q: Columns, p: Columns) -> Tensor:
    """Σ over blocks.

    Raises:
        ShapeMismatch: Unless both have the same blocks.
    """
    shapes = [[(type(block), block.event_shape) for block in each.blocks] for each in (q, p)]
    if shapes[0] != shapes[1]:
        raise ShapeMismatch("a divergence needs the same blocks of columns on both sides")
    return torch.stack([kl_divergence(a, b) for a, b in zip(q.blocks, p.blocks)]).sum(0)


register_kl(OneHot, OneHot)(_kl_one_hot)
register_kl(Columns, Columns)(_kl_columns)
