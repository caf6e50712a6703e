"""Rows in memory or in a memory map as a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.core.data_types import Conditioning, Observations
from pushforward.core.errors import ShapeMismatch
from pushforward.core.frames import as_frame, is_frame
from pushforward.core.numbers import to_floating
from pushforward.core.phase import Batch
from pushforward.core.provenance import Provenance
from pushforward.core.rows import as_rows, check_conditions, check_weights, is_mapped
from pushforward.core.source import Described, take_rows
from pushforward.core.space import Space, as_array

__all__ = ["Arrays"]


class Arrays(Described):
    """Rows held in memory or in a memory map.

    Args:
        x: tensor or array (n, *shape), user's units.
        y: conditions, leading length n; with a label space as condition_space,
            label codes (or texts).
        weights: non-negative, (n,).

    `notes` lists the decisions made while reading (separators, missing-value markers, rows left
    out); `files` names the file of each row, where rows are files; `groups` (n,) numbers the wholes
    that rows are parts of, which a split does not divide; `carried` holds columns of a table that
    are kept out of models (identifiers, constants, free text), by name, (n,) each.
    """

    def __init__(
        self,
        x: Observations,
        y: Conditioning = None,
        weights: Observations | None = None,
        *,
        space: Space | None = None,
        condition_space: Space | None = None,
        name: str = "",
    ) -> None:
        frame = as_frame(x) if is_frame(x) else None
        self._space = space or Space.infer(x if frame is None else frame)
        self.name = name
        self.unrequested_labels = False
        self.notes: tuple[str, ...] = ()
        self.files: Sequence[Any] | None = None
        self.groups: Tensor | None = None
        self.carried: dict[str, Any] = {}
        self.provenance = Provenance()
        array = as_array(x) if frame is None else self._space._from_frame(frame, "the data")
        self._resident = not is_mapped(array)
        self.x = as_rows(array, not self._resident)
        if self.x.ndim == 1:
            self.x = self.x[:, None]
        self.y: Tensor | None = None
        self._condition_space: Space | None = None
        if y is not None:
            self.y, self._condition_space = check_conditions(y, condition_space)
        self.weights = None if weights is None else check_weights(weights)
        for what, part in (("y", self.y), ("weights", self.weights)):
            if part is not None and len(part) != len(self.x):
                raise ShapeMismatch(
                    f"{what} must have one entry per observation: expected {len(self.x)}, got"
                    f" {len(part)}"
                )

    @property
    def space(self) -> Space:
        """The space of one observation."""
        return self._space

    @property
    def condition_space(self) -> Space | None:
        """The space of one condition, if there are conditions."""
        return self._condition_space

    @property
    def resident(self) -> bool:
        """False for memory maps, which are read in blocks."""
        return self._resident

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> Batch:
        """The given rows in the user's units, as floats.

        They are float32 for bytes and float64 for large integers.
        """
        x = to_floating(
            self.x.index_select(0, rows.to(self.x.device))
            if self._resident
            else take_rows(self.x, rows)
        )
        return Batch(
            x,
            None if self.y is None else self.y[rows],
            None if self.weights is None else self.weights[rows],
        )

    def all(self) -> Batch:
        """Every row; only for resident sources, or ones known to fit in memory."""
        return self.take(torch.arange(len(self)))

    def to(self, device: torch.device | str) -> Arrays:
        """Copy the rows to a device; memory maps stay where they are."""
        if not self._resident or self.x.device == torch.device(device):
            return self
        moved = object.__new__(Arrays)
        moved.__dict__.update(self.__dict__)
        moved.x = self.x.to(device)
        moved.y = None if self.y is None else self.y.to(device)
        moved.weights = None if self.weights is None else self.weights.to(device)
        return moved
