"""Conversion of conditions (labels, points or images) to the tensors that networks receive.

Training, sampling, measuring and the command line all convert conditions here:

    what the user passes             encode         what networks see
    'cat', 3, ['cat', 'dog']         --------->     one-hot rows (n, categories)
    2.5, points (n, d), a frame      --------->     points scaled to [0, 1] (n, d)
    images (n, c, h, w), files       --------->     images scaled to [-1, 1] (n, c, h, w)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.core.data_types import ArrayOrTensor, Conditioning
from pushforward.core.errors import InvalidValue
from pushforward.core.numbers import to_python
from pushforward.core.reader import conditions_in
from pushforward.core.scaling import Scaling
from pushforward.core.space import Space
from pushforward.core.space.conform import refuse_far_levels

__all__ = ["Conditions"]


@dataclass(frozen=True)
class Conditions:
    """Converts conditions; without a space it belongs to an unconditional model and refuses any.

    Args:
        space: of the user's conditions; None if there are none.
        scaling: to model coordinates.
        dtype: floating type of the networks.
        owner: what is conditioned, in messages.
    """

    space: Space | None
    scaling: Scaling | None = None
    dtype: torch.dtype = torch.float32
    owner: str = "model"

    def __bool__(self) -> bool:
        return self.space is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one condition as networks see it; () without conditions.

        Raises:
            InvalidValue: If a size is free.
        """
        if self.scaling is None:
            return ()
        if None in self.scaling.shape:
            raise InvalidValue(
                f"the conditions ({self.space}) vary in size; resize the images first (size=64)"
            )
        return tuple(n or 0 for n in self.scaling.shape)

    @property
    def width(self) -> int:
        """Number of values in one condition as networks see it; 0 without conditions."""
        return math.prod(self.shape) if self else 0

    def __call__(self, y: Conditioning, n: int) -> Tensor | None:
        """Conditions for n rows as networks see them (n, *shape).

        y has length n, or 1 for all rows.

        None without conditions.

        Raises:
            InvalidValue: If y is missing, not expected or of another length.
        """
        rows = self.rows(y, n)
        if rows is None or self.scaling is None:
            return None
        codes = self.scaled(rows)
        return codes.expand(n, *codes.shape[1:]) if len(rows) == 1 else codes

    def rows(self, y: Conditioning, n: int) -> Tensor | None:
        """Conditions for n rows in the user's units, labels as codes.

        They have length n, or 1 for all rows.
        """
        if self.space is None or self.scaling is None:
            if y is not None:
                raise InvalidValue(f"this {self.owner} was fitted without conditions; leave y out")
            return None
        if y is None:
            raise InvalidValue(
                f"this {self.owner} was fitted with conditions ({self.space}); pass y"
            )
        number = to_python(conditions_in(y, self.space))
        if isinstance(number, (int, float)) and not self.space.is_label:
            number = torch.tensor([number])
        rows = self.space.conform(number, what="y").to(self.scaling.shift.device)
        refuse_far_levels(self.space, rows, "y")
        if rows.is_floating_point() and not bool(rows.isfinite().all()):
            raise InvalidValue(
                "y holds missing or infinite values; replace or leave out these rows"
            )
        if len(rows) not in (1, n):
            raise InvalidValue(f"y must have length {n}, or 1 for all, got {len(rows)}")
        return rows

    def scaled(self, rows: Tensor) -> Tensor:
        """Rows of a source (labels as codes) as networks see them."""
        assert self.scaling is not None
        coordinates: Tensor = self.scaling(rows).to(self.dtype)
        return coordinates

    def as_given(self, rows: ArrayOrTensor | None) -> ArrayOrTensor | None:
        """Rows of a source (labels as codes) in the form that methods accept.

        None without conditions.
        """
        return None if self.space is None else self.space.as_given(rows)
