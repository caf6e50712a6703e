r"""Conditional vectors of CTGAN, and training by sampling.

A condition is one category of one categorical column: a vector m over the categories of all
columns that is one at its place. In training a column is drawn uniformly, and its category by

    P(k) ∝ log(1 + N_k),     N_k rows with the category,

so that rare categories are seen; then a row that has the category, uniformly. Two steps give the
same: rows are drawn with the weights

    w_i ∝ Σ_columns P(k_i) / N_{k_i},   k_i the row's category in the column,

and the column of a drawn row by its share of that sum. So a fit's order of rows remains a function
of its seed alone, whatever the rows' storage.

Reference: Xu et al. (2019, https://arxiv.org/abs/1907.00503), §4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pushforward.core.random import Rng, generator, uniform
from pushforward.core.source import Sequential, Source, iterate_blocks, peek
from pushforward.models.tabular.mode_encoding import Block

__all__ = ["CategoryConditions"]

COUNTED_ROWS = 1 << 15
"""Rows of a stream that are counted: a share of 1 % is then known to 5 % of itself."""


class CategoryConditions(nn.Module):
    """The categories that a generator can be asked for, with their frequencies.

    Args:
        blocks: the categorical columns of an encoding, in order.
    """

    counts: Tensor

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        self.register_buffer("counts", torch.zeros(self.width, dtype=torch.float64))

    @property
    def width(self) -> int:
        """Numbers in a conditional vector: categories of all columns, 'missing' among them."""
        return sum(_size(block) for block in self.blocks)

    @property
    def places(self) -> list[slice]:
        """The place of each column in a conditional vector."""
        ends = [0]
        for block in self.blocks:
            ends.append(ends[-1] + _size(block))
        return [slice(a, b) for a, b in pairwise(ends)]

    def __len__(self) -> int:
        return len(self.blocks)

    def count(self, source: Source, columns: Sequence[int]) -> None:
        """Count the categories of a source's rows; `columns` are the places of the columns."""
        parts = (
            [peek(source, COUNTED_ROWS)]
            if isinstance(source, Sequential)
            else iterate_blocks(source)
        )
        counts = torch.zeros_like(self.counts)
        for batch in parts:
            for block, place, j in zip(self.blocks, self.places, columns):
                codes = _codes(batch.x[:, j], block)
                counts[place] += torch.bincount(codes, minlength=_size(block)).to(counts)
        self.counts = counts

    def shares(self, *, logarithmic: bool = False, gaps: bool = True) -> Tensor:
        """P(k) within each column (width,): as frequent as in the data, or by log(1 + N)."""
        weights = self.counts.log1p() if logarithmic else self.counts.clone()
        for block, place in zip(self.blocks, self.places):
            if block.missing and not gaps and bool(weights[place][:-1].any()):
                weights[place.stop - 1] = 0.0
            weights[place] /= weights[place].sum().clamp_min(1e-300)
        return weights

    def lifts(self) -> Tensor:
        """P(k)/N_k in training (width,): how often each row of a category is drawn for it."""
        return self.shares(logarithmic=True) / self.counts.clamp_min(1.0)

    def row_weights(self, source: Source, columns: Sequence[int]) -> Tensor:
        """The weights (n,) by which training draws the rows of a source."""
        lifts, parts = self.lifts().cpu(), []
        for batch in iterate_blocks(source):
            x = batch.x.cpu()
            each = [
                lifts[place][_codes(x[:, j], block)]
                for block, place, j in zip(self.blocks, self.places, columns)
            ]
            parts.append(torch.stack(each).sum(0))
        return torch.cat(parts)

    def of_rows(self, u: Tensor, rng: Rng) -> Tensor:
        """A condition (n, width) of each encoded training row: the one that it was drawn for."""
        vectors = torch.cat([u[:, block.choices] for block in self.blocks], 1)
        lifts = self.lifts().to(u)
        share = torch.stack([vectors[:, place] @ lifts[place] for place in self.places], 1)
        return vectors * self._only(_pick(share, rng))

    def draw(self, n: int, rng: Rng, *, logarithmic: bool = False, gaps: bool = True) -> Tensor:
        """n conditions (n, width): a column uniformly, a category by its share."""
        stream, device = generator(rng, self.counts.device), self.counts.device
        column = (uniform(n, rng=stream, device=device) * len(self)).to(torch.int64)
        only = self._only(column.clamp_max(len(self) - 1))
        chosen = _pick(only * self.shares(logarithmic=logarithmic, gaps=gaps), stream)
        return nn.functional.one_hot(chosen, self.width).to(torch.get_default_dtype())

    def one(self, column: int, category: int, n: int) -> Tensor:
        """n conditions (n, width) for a category of the column-th categorical column."""
        vectors = torch.zeros(n, self.width, device=self.counts.device)
        vectors[:, self.places[column].start + category] = 1.0
        return vectors

    def surprise(self, outputs: Tensor, conditions: Tensor) -> Tensor:
        """Cross-entropy (n,) of each condition under a generator's raw outputs (n, encoded)."""
        total = outputs.new_zeros(len(outputs))
        for block, place in zip(self.blocks, self.places):
            logs = outputs[:, block.choices].log_softmax(1)
            total = total - (conditions[:, place] * logs).sum(1)
        return total

    def obeyed(self, u: Tensor, conditions: Tensor) -> Tensor:
        """Whether each encoded row (n, encoded) has the category it was asked for, (n,)."""
        asked = torch.zeros(len(u), dtype=torch.bool, device=u.device)
        for block, place in zip(self.blocks, self.places):
            got = conditions[:, place].gather(1, u[:, block.choices].argmax(1, keepdim=True))
            asked |= got[:, 0] > 0
        return asked

    def _only(self, column: Tensor) -> Tensor:
        """Ones (n, width) at the categories of each row's column (n,)."""
        sizes = torch.tensor([_size(block) for block in self.blocks], device=column.device)
        owner = torch.arange(len(sizes), device=column.device).repeat_interleave(sizes)
        return (owner == column[:, None]).to(torch.get_default_dtype())


def _size(block: Block) -> int:
    return block.count + block.missing


def _codes(x: Tensor, block: Block) -> Tensor:
    """Categories (n,) of a column's values (n,), int64, 'missing' the last."""
    return torch.where(x.isnan(), _size(block) - 1, x).clamp(0, _size(block) - 1).to(torch.int64)


def _pick(shares: Tensor, rng: Rng) -> Tensor:
    """A place (n,) in each row of weights (n, k), in proportion to them."""
    ends = shares.to(torch.float64).cumsum(1)
    at = uniform(len(shares), 1, rng=rng, like=ends) * ends[:, -1:]
    return torch.searchsorted(ends, at, right=True)[:, 0].clamp_max(shares.shape[1] - 1)
