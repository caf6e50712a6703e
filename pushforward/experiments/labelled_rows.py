"""Labelled rows for the views of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pushforward.core.errors import InvalidValue, PushforwardError
from pushforward.core.model import Model
from pushforward.core.source import Source
from pushforward.core.space import Space
from pushforward.experiments.opened import labels_of, rows_of

__all__ = ["LabelledRows", "if_available", "pick"]


@dataclass(frozen=True)
class LabelledRows:
    """Rows with their labels.

    Args:
        x: observations (n, *shape), user's units.
        y: conditions or labels (n, ...), labels as codes; None if there are none.
        condition_space: the space of y.
    """

    x: Tensor
    y: Tensor | None = None
    condition_space: Space | None = None

    @classmethod
    def of(cls, source: Source, most: int) -> LabelledRows:
        """The first rows of a source, at most `most`."""
        batch = rows_of(source, most)
        return cls(batch.x, batch.y, source.condition_space)

    def conditions(self, model: Model, rows: Sequence[int] | None = None) -> Any:
        """The conditions of some or all rows in the form that methods accept.

        None for unconditional models.
        """
        if model.condition_space is None:
            return None
        y = labels_of(model, self)
        return y if rows is None else pick(y, rows)


def pick(x: Tensor, rows: Sequence[int]) -> Tensor:
    """Some rows.

    Raises:
        InvalidValue: For a row that does not exist.
    """
    for row in rows:
        if not 0 <= row < len(x):
            raise InvalidValue(f"there is no row {row}: there are {len(x)}, counted from 0")
    return x[list(rows)]


def if_available(
    find: Callable[[], LabelledRows], *, required: bool
) -> tuple[LabelledRows | None, tuple[str, ...]]:
    """The rows, or None with a note explaining why; the error is raised if they are required."""
    try:
        return find(), ()
    except PushforwardError as error:
        if required:
            raise
        return None, (f"drawn without rows: {error}",)
