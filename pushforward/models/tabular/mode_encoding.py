r"""Mode-specific normalisation: rows of a table as the networks of CTGAN and TVAE see them.

    a number       [α | mode 1 … mode k | missing]     α = (x - μ_m)/(4 σ_m), m its likeliest mode
    a category     [category 1 … category K | missing]

each with the entry 'missing' only if the column had missing values when the encoding was fitted; a
value that is missing otherwise is a block of zeros. In [-1, 1] α means within four deviations of
the mode; further out it is larger here, so that the way back is exact, and networks clip it.

Reference: Xu et al. (2019, https://arxiv.org/abs/1907.00503), §4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pushforward.core.numbers import to_floating
from pushforward.core.random import Rng, generator, uniform
from pushforward.core.scaling import Scaling
from pushforward.core.source import Source, peek
from pushforward.core.space import Space
from pushforward.models.tabular.modes import DEVIATIONS, Modes, find_modes

__all__ = ["Block", "ModeEncoding"]

SAMPLED_ROWS = 20_000
"""Rows that modes are found from: the weight of a mode of 1 % is then known to 7 % of itself."""
KIND = "modes"


@dataclass(frozen=True)
class Block:
    """The entries of one column in an encoded row.

    Args:
        start: of the block; for a number, α stands there.
        numeric: whether the column is a number.
        count: modes, or categories, without 'missing'.
        missing: whether the last entry is 'missing'.
        first: the place of the first mode among the modes of all columns.
    """

    start: int
    numeric: bool
    count: int
    missing: bool
    first: int = 0

    @property
    def choices(self) -> slice:
        """The one-hot entries, with 'missing'."""
        start = self.start + self.numeric
        return slice(start, start + self.count + self.missing)

    @property
    def named(self) -> slice:
        """The one-hot entries without 'missing'."""
        return slice(self.choices.start, self.choices.start + self.count)

    @property
    def modes(self) -> slice:
        """A number's modes among those of all columns."""
        return slice(self.first, self.first + self.count)


class ModeEncoding(Scaling):
    """A map from rows of a table to α, modes and categories, and back.

    Its `kind` is the number of modes of each column, 0 of categories, with a plus for columns with
    missing values: 'modes:4,10+,0'. From it and the space follow all sizes.

    Args:
        space: of the rows.
        counts: modes of each column; 0 for categories.
        missing: whether each column has an entry for missing values.
        modes: of all numeric columns, one after the other; standard normal if None.
    """

    weights: Tensor

    def __init__(
        self,
        space: Space,
        counts: Sequence[int],
        missing: Sequence[bool],
        modes: Modes | None = None,
    ) -> None:
        total = sum(counts)
        if modes is None:
            modes = Modes(torch.zeros(total), torch.ones(total), torch.ones(total))
        parts = [f"{k}{'+' if gap else ''}" for k, gap in zip(counts, missing)]
        super().__init__(space, f"{KIND}:{','.join(parts)}", modes.means, modes.widths)
        self.register_buffer("weights", modes.weights.to(torch.float64))
        self.blocks = _blocks(space, counts, missing)

    @classmethod
    def fit(cls, source: Source, most: int, missing: Tensor) -> Self:
        """The encoding of a table.

        Args:
            source: of the rows; at most 20 000 are looked at.
            most: modes of a column.
            missing: whether columns have missing values, (d,).
        """
        space, x = source.space, peek(source, SAMPLED_ROWS).x.to("cpu", torch.float64)
        found = [
            None if column.kind == "categorical" else find_modes(x[:, j][x[:, j].isfinite()], most)
            for j, column in enumerate(space.columns)
        ]
        numbers = [modes for modes in found if modes is not None]
        joined = (
            torch.cat([getattr(m, name) for m in numbers] or [torch.zeros(0, dtype=torch.float64)])
            for name in ("means", "widths", "weights")
        )
        counts = [0 if modes is None else len(modes.means) for modes in found]
        return cls(space, counts, missing.tolist(), Modes(*joined))

    @classmethod
    def of_kind(cls, space: Space, kind: str) -> Self:
        """An encoding with the sizes of `kind`; its numbers are loaded afterwards.

        Raises:
            ValueError: If `kind` does not describe an encoding of this space.
        """
        name, _, text = kind.partition(":")
        parts = text.split(",")
        counts = [int(part.removesuffix("+")) for part in parts]
        fits = len(parts) == len(space.columns) and all(
            (k == 0) == (c.kind == "categorical") and k >= 0 for k, c in zip(counts, space.columns)
        )
        if name != KIND or not fits:
            raise ValueError(f"scaling {kind!r} is not an encoding of {space}")
        return cls(space, counts, [part.endswith("+") for part in parts])

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Numbers in an encoded row."""
        return (self.blocks[-1].choices.stop,)

    @property
    def numbers(self) -> list[Block]:
        """The blocks of numbers, in the order of the columns."""
        return [block for block in self.blocks if block.numeric]

    @property
    def categories(self) -> list[Block]:
        """The blocks of categories, in the order of the columns."""
        return [block for block in self.blocks if not block.numeric]

    def forward(self, x: Tensor) -> Tensor:
        """Rows (n, d), NaN where missing, to encoded rows (n, width) of x's float type."""
        rows = x.to(torch.float64)
        u = rows.new_zeros(len(rows), self.blocks[-1].choices.stop)
        for j, block in enumerate(self.blocks):
            column = rows[:, j]
            if block.numeric:
                choice = self._likeliest(column, block)
                u[:, block.start] = self._alpha(column, choice, block).nan_to_num(0.0)
            else:
                choice = column.nan_to_num(-1.0).clamp(-1, block.count)
                valid = (choice == choice.round()) & (choice >= 0) & (choice < block.count)
                choice = torch.where(valid, choice, -1.0).to(torch.int64)
            gap = column.isnan()
            if block.missing:
                choice = torch.where(gap, block.count, choice)
            known = ~gap | block.missing if block.numeric else choice >= 0
            picked = one_hot(choice.clamp_min(0), block.count + block.missing)
            u[:, block.choices] = (picked * known[:, None]).to(u)
        return u.to(to_floating(x[:0]).dtype)

    def inverse(self, u: Tensor) -> Tensor:
        """Encoded rows (n, width) to rows (n, d), NaN where missing.

        The mode or category is that of the largest entry. Rows have u's float type (at least
        float32), or float64 if `wide`.
        """
        kind = torch.float64 if self.wide else to_floating(u[:0]).dtype
        columns = []
        for block in self.blocks:
            choices = u[:, block.choices]
            choice = choices.argmax(1)
            value = choice.to(torch.float64)
            if block.numeric:
                mode = choice.clamp_max(block.count - 1)
                alpha = u[:, block.start].to(torch.float64)
                value = self.value(alpha, mode, block)
            gap = (choice == block.count) | (choices.abs().sum(1) == 0)
            columns.append(torch.where(gap, torch.nan, value))
        return torch.stack(columns, 1).to(kind)

    def value(self, alpha: Tensor, mode: Tensor, block: Block) -> Tensor:
        """x (n,) = μ_m + 4 σ_m α for α (n,) and modes m (n,) of a number."""
        return self.shift[block.modes][mode] + self.scale[block.modes][mode] * alpha

    def settle(self, x: Tensor) -> Tensor:
        """Rows (n, d) within declared bounds, and whole where the column's values are."""
        columns = []
        for j, column in enumerate(self.space.columns):
            value = x[:, j].round() if column.kind == "integer" else x[:, j]
            bounded = column.lower is not None or column.upper is not None
            columns.append(value.clamp(column.lower, column.upper) if bounded else value)
        return torch.stack(columns, 1)

    def log_responsibilities(self, x: Tensor, block: Block) -> Tensor:
        """log π_m N(x; μ_m, σ_m²) of values (n,) up to a constant, (n, count)."""
        width = self.scale[block.modes] / DEVIATIONS
        scores = (x[:, None] - self.shift[block.modes]) / width
        return self.weights[block.modes].log() - width.log() - 0.5 * scores.square()

    def redraw(self, u: Tensor, rng: Rng) -> Tensor:
        """Encoded rows with each number's mode drawn anew, in proportion to its probability.

        Published as part of the encoding (§4.2): where modes overlap, either may tell of a value.
        """
        stream, fresh = generator(rng, u.device), u.clone()
        for block in self.numbers:
            old = u[:, block.named]
            x = self.value(u[:, block.start].to(torch.float64), old.argmax(1), block)
            logits = self.log_responsibilities(x, block)
            noise = uniform(*logits.shape, rng=stream, like=logits).clamp_min(1e-300)
            mode = (logits - (-noise.log()).log()).argmax(1)
            known = old.sum(1) > 0
            fresh[:, block.start] = torch.where(known, self._alpha(x, mode, block), 0.0).to(u)
            fresh[:, block.named] = one_hot(mode, block.count).to(u) * known[:, None]
        return fresh

    def clip(self, u: Tensor) -> Tensor:
        """Encoded rows with α in [-1, 1]."""
        places = [block.start for block in self.numbers]
        clipped = u.clone()
        clipped[:, places] = u[:, places].clamp(-1.0, 1.0)
        return clipped

    def _likeliest(self, x: Tensor, block: Block) -> Tensor:
        """The most probable mode (n,) of each value; any for missing ones."""
        return self.log_responsibilities(x, block).nan_to_num(0.0).argmax(1)

    def _alpha(self, x: Tensor, mode: Tensor, block: Block) -> Tensor:
        return (x - self.shift[block.modes][mode]) / self.scale[block.modes][mode]


def _blocks(space: Space, counts: Sequence[int], missing: Sequence[bool]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    start = first = 0
    for column, count, gap in zip(space.columns, counts, missing):
        numeric = column.kind != "categorical"
        block = Block(start, numeric, count if numeric else len(column.categories), gap, first)
        blocks.append(block)
        start, first = block.choices.stop, first + count
    return tuple(blocks)
