"""Views of a source: some of its rows, without conditions, or in another space."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.phase import Batch
from pushforward.core.provenance import Provenance, find_provenance
from pushforward.core.source import Described, Sequential, Source
from pushforward.core.space import Space

__all__ = ["View", "Subset", "has_unrequested_labels", "without_labels", "with_space"]


class View(Described):
    """Rows of another source; a view delegates whatever it does not change.

    Args:
        source: of the rows.
        name: the view's name in records.
    """

    def __init__(self, source: Source, name: str = "") -> None:
        self.source = source
        self.name = name or getattr(source, "name", "")

    @property
    def space(self) -> Space:
        """The space of one observation."""
        return self.source.space

    @property
    def condition_space(self) -> Space | None:
        """The space of one condition, if there are conditions."""
        return self.source.condition_space

    @property
    def resident(self) -> bool:
        """That of the underlying source."""
        return self.source.resident

    @property
    def files(self) -> Sequence[Any] | None:
        """The files its rows came from, if the source knows them."""
        return getattr(self.source, "files", None)

    @property
    def groups(self) -> Tensor | None:
        """The numbers of the wholes that its rows are parts of, if they are."""
        return getattr(self.source, "groups", None)

    @property
    def carried(self) -> dict[str, Any]:
        """Columns of the table that are kept out of models, by name, (n,) each."""
        return dict(getattr(self.source, "carried", {}))

    @property
    def provenance(self) -> Provenance:
        """That of the underlying source."""
        return find_provenance(self.source)

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: Tensor) -> Batch:
        """The given rows."""
        return self.source.take(rows)

    def all(self) -> Batch:
        """Every row."""
        return self.take(torch.arange(len(self)))


class Subset(View):
    """Some rows of another source (such as a split), in the given order.

    Args:
        source: where the rows are.
        rows: int64 row numbers.
        name: the subset's name in records, e.g. 'digits test'.
        provenance: origin of these rows; None if unknown.
    """

    def __init__(
        self, source: Source, rows: Tensor, name: str = "", provenance: Provenance | None = None
    ) -> None:
        super().__init__(source, name)
        self.rows = rows
        self._provenance = provenance or Provenance()

    @property
    def provenance(self) -> Provenance:
        """Of these rows; memory, unless given."""
        return self._provenance

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def files(self) -> Sequence[Any] | None:
        """The files its rows came from, if the underlying source knows them."""
        files = super().files
        return None if files is None else [files[row] for row in self.rows.tolist()]

    @property
    def groups(self) -> Tensor | None:
        """The numbers of the wholes that its rows are parts of, if they are."""
        groups = super().groups
        return None if groups is None else groups[self.rows.to(groups.device)]

    @property
    def carried(self) -> dict[str, Any]:
        """Columns of the table that are kept out of models, by name, (n,) each."""
        rows = self.rows.cpu().numpy()
        return {name: values[rows] for name, values in super().carried.items()}

    def take(self, rows: Tensor) -> Batch:
        """The given rows of the subset."""
        return self.source.take(self.rows.to(rows.device)[rows])


class UnlabelledSource(View):
    """The rows of a source without their conditions."""

    @property
    def condition_space(self) -> Space | None:
        """None: there are no conditions."""
        return None

    def take(self, rows: Tensor) -> Batch:
        """The given rows."""
        batch = self.source.take(rows)
        return Batch(batch.x, None, batch.weights)


def has_unrequested_labels(source: Source) -> bool:
    """Whether the source's conditions are labels that came with the data and were not requested."""
    inner = getattr(source, "source", None)  # of a subset, or of noisy rows
    return bool(getattr(source, "unrequested_labels", False)) or (
        inner is not None and has_unrequested_labels(inner)
    )


class SourceInSpace(View):
    """Rows of another source in a more specific space."""

    def __init__(self, source: Source, space: Space) -> None:
        super().__init__(source)
        self._space = space

    @property
    def space(self) -> Space:
        """The space given."""
        return self._space


def with_space(source: Source, space: Space) -> Source:
    """The same rows in another space; `Arrays` stay `Arrays`."""
    if not isinstance(source, Arrays):
        return SourceInSpace(source, space)
    same = copy.copy(source)
    same._space = space
    return same


def without_labels(source: Source) -> Source:
    """The same rows without conditions."""
    if source.condition_space is None:
        return source
    if isinstance(source, Subset):
        return Subset(without_labels(source.source), source.rows, source.name, source.provenance)
    if isinstance(source, Sequential):
        bare: Any = source.unlabelled()
        bare.provenance = find_provenance(source)
        return bare  # type: ignore[no-any-return]
    if isinstance(source, Arrays):
        copy = object.__new__(Arrays)
        copy.__dict__.update(source.__dict__)
        copy.y, copy._condition_space = None, None
        return copy
    return UnlabelledSource(source)
