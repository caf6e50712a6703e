"""Where observations come from, as fitters see it.

A `Source` knows its space and its length, gives any rows by number, and says whether it is resident
(cheap random access) or should be read in blocks. Arrays, tensors and data frames become an
`Arrays` source here; files, folders and names are read by `pushforward.data`, which returns sources
too.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from pushforward.core.errors import BadSource, ShapeMismatch
from pushforward.core.frames import as_frame, is_frame
from pushforward.core.numbers import floating
from pushforward.core.phase import Batch
from pushforward.core.provenance import Provenance, provenance_of
from pushforward.core.reader import read_for_fit
from pushforward.core.rows import checked_conditions, checked_weights, is_mapped, rows_of
from pushforward.core.space import Space, as_array

__all__ = [
    "Source",
    "Sequential",
    "Arrays",
    "View",
    "Subset",
    "as_source",
    "has_unasked_labels",
    "unlabelled",
    "blocks",
    "look",
    "spread",
    "fingerprint",
    "pick",
    "respaced",
]


@runtime_checkable
class Source(Protocol):
    """Observations by row number."""

    @property
    def space(self) -> Space:
        """The space of one observation."""
        ...

    @property
    def condition_space(self) -> Space | None:
        """The space of one condition, if there are conditions."""
        ...

    @property
    def resident(self) -> bool:
        """Whether all rows are in memory, so that any order costs the same."""
        ...

    def __len__(self) -> int:
        """How many observations."""
        ...

    def take(self, rows: Tensor) -> Batch:
        """The given rows (int64), in that order, in the user's units."""
        ...


class Arrays:
    """Rows held in memory or in a memory map.

    Arguments:
        x: tensor or array (n, *shape), user's units.
        y: conditions, leading length n; with a label space as condition_space,
            its codes (or texts).
        weights: non-negative, (n,).

    `notes` says what was decided while reading: separators, what counts as missing, what was left
    out; `files` has the file that each row came from, where rows are files.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        weights: Any = None,
        *,
        space: Space | None = None,
        condition_space: Space | None = None,
        name: str = "",
    ) -> None:
        x = as_frame(x) if is_frame(x) else x
        self._space = space or Space.infer(x)
        self.name = name
        self.unasked_labels = False
        self.notes: tuple[str, ...] = ()
        self.files: Sequence[Any] | None = None
        self.provenance = Provenance()
        array = self._space._from_frame(x, "the data") if is_frame(x) else as_array(x)
        self._resident = not is_mapped(array)
        self.x = rows_of(array, not self._resident)
        if self.x.ndim == 1:
            self.x = self.x[:, None]
        self.y: Tensor | None = None
        self._condition_space: Space | None = None
        if y is not None:
            self.y, self._condition_space = checked_conditions(y, condition_space)
        self.weights = None if weights is None else checked_weights(weights)
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
        """The given rows in the user's units, as floating numbers that hold them:
        bytes as float32, large integers as float64.
        """
        x = floating(
            self.x.index_select(0, rows.to(self.x.device)) if self._resident else pick(self.x, rows)
        )
        return Batch(
            x,
            None if self.y is None else self.y[rows],
            None if self.weights is None else self.weights[rows],
        )

    def all(self) -> Batch:
        """Every row (a resident source only, or one known to fit)."""
        return self.take(torch.arange(len(self)))

    def to(self, device: torch.device | str) -> Arrays:
        """The same rows on a device; memory maps stay where they are."""
        if not self._resident or self.x.device == torch.device(device):
            return self
        moved = object.__new__(Arrays)
        moved.__dict__.update(self.__dict__)
        moved.x = self.x.to(device)
        moved.y = None if self.y is None else self.y.to(device)
        moved.weights = None if self.weights is None else self.weights.to(device)
        return moved


class View:
    """Rows of another source, shown otherwise: whatever a view does not change is the source's.

    Arguments:
        source: where the rows are.
        name: how the view is called in records.
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
        """As the whole."""
        return self.source.resident

    @property
    def files(self) -> Sequence[Any] | None:
        """The files that its rows came from, where the source knows them."""
        return getattr(self.source, "files", None)

    @property
    def provenance(self) -> Provenance:
        """As the whole."""
        return provenance_of(self.source)

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: Tensor) -> Batch:
        """The given rows."""
        return self.source.take(rows)

    def all(self) -> Batch:
        """Every row."""
        return self.take(torch.arange(len(self)))


class Subset(View):
    """Some rows of another source (a split), in the given order.

    Arguments:
        source: where the rows are.
        rows: int64 row numbers.
        name: how the subset is called in records, e.g. 'digits test'.
        provenance: how these rows are found again; None where only the caller knows.
    """

    def __init__(
        self, source: Source, rows: Tensor, name: str = "", provenance: Provenance | None = None
    ) -> None:
        super().__init__(source, name)
        self.rows = rows
        self._provenance = provenance or Provenance()

    @property
    def provenance(self) -> Provenance:
        """Of these rows; in memory, unless it was given."""
        return self._provenance

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def files(self) -> Sequence[Any] | None:
        """The files that its rows came from, where the whole knows them."""
        files = super().files
        return None if files is None else [files[row] for row in self.rows.tolist()]

    def take(self, rows: Tensor) -> Batch:
        """The given rows of the subset."""
        return self.source.take(self.rows.to(rows.device)[rows])


class Unlabelled(View):
    """The rows of a source without their conditions."""

    @property
    def condition_space(self) -> Space | None:
        """None: there are no conditions."""
        return None

    def take(self, rows: Tensor) -> Batch:
        """The given rows."""
        batch = self.source.take(rows)
        return Batch(batch.x, None, batch.weights)


def as_source(x: Any, y: Any = None, weights: Any = None) -> Source:
    """x as a source: one already, or whatever `pushforward.read` takes (then with y and weights).

    Labels that come with the data are used only on request: y=True for those, y='name' for a column
    or an array. That holds for a source, too, unless its labels were asked for when it was read.
    Raises BadSource for data that no model can be fitted to: no rows, text, infinities.
    """
    if isinstance(x, Source) and not isinstance(x, (Tensor, np.ndarray)):
        if not (y is None or isinstance(y, bool)) or weights is not None:
            raise BadSource(
                "a source brings its own conditions and weights; pass y and weights when making it"
            )
        if y and x.condition_space is None:
            raise BadSource(
                "labels that come with the data were asked for, and these bring none; pass the"
                " labels themselves as y"
            )
        return unlabelled(x) if y is False or (y is None and has_unasked_labels(x)) else x
    source: Source = read_for_fit(x, y, weights)
    return source


def has_unasked_labels(source: Source) -> bool:
    """Whether the source's conditions are labels that came with the data,
    which nobody asked for.
    """
    inner = getattr(source, "source", None)  # of a subset, or of noisy rows
    return bool(getattr(source, "unasked_labels", False)) or (
        inner is not None and has_unasked_labels(inner)
    )


class Respaced(View):
    """Rows of another source, in a space that says more of them."""

    def __init__(self, source: Source, space: Space) -> None:
        super().__init__(source)
        self._space = space

    @property
    def space(self) -> Space:
        """The space given."""
        return self._space


def respaced(source: Source, space: Space) -> Source:
    """The same rows in another space; arrays stay arrays."""
    if not isinstance(source, Arrays):
        return Respaced(source, space)
    same = copy.copy(source)
    same._space = space
    return same


def unlabelled(source: Source) -> Source:
    """The same rows without conditions."""
    if source.condition_space is None:
        return source
    if isinstance(source, Subset):
        return Subset(unlabelled(source.source), source.rows, source.name, source.provenance)
    if isinstance(source, Sequential):
        bare: Any = source.unlabelled()
        bare.provenance = provenance_of(source)
        return bare  # type: ignore[no-any-return]
    if isinstance(source, Arrays):
        copy = object.__new__(Arrays)
        copy.__dict__.update(source.__dict__)
        copy.y, copy._condition_space = None, None
        return copy
    return Unlabelled(source)


def blocks(source: Source, size: int = 8192) -> Iterator[Batch]:
    """All rows in order, `size` at a time."""
    for start in range(0, len(source), size):
        yield source.take(torch.arange(start, min(start + size, len(source))))


def pick(x: Tensor, rows: Tensor) -> Tensor:
    """Rows of a tensor on the processor, by one thread:
    what reads ahead must not compete with what computes.
    """
    return torch.from_numpy(x.numpy().take(rows.numpy(), axis=0))


def spread(n: int, most: int) -> Tensor:
    """At most `most` of n row numbers, evenly spread, int64."""
    return (
        torch.arange(n)
        if n <= most
        else torch.linspace(0, n - 1, most, dtype=torch.float64).round().to(torch.int64)
    )


@runtime_checkable
class Sequential(Protocol):
    """A source that is read in order, and whose first rows can be
    had at any time (`core.stream.Stream`).
    """

    def head(self, count: int) -> Batch:
        """The first rows, at most `count`."""
        ...

    def unlabelled(self) -> Source:
        """The same rows without conditions."""
        ...


def look(source: Source, most: int) -> Batch:
    """At most `most` rows: evenly spread, or the first ones of a source that is read in order."""
    return (
        source.head(most)
        if isinstance(source, Sequential)
        else source.take(spread(len(source), most))
    )


def fingerprint(source: Source) -> str:
    """A short hash of the space, the length and up to 256 evenly spread rows:
    tells data sets apart, cheaply.

    Conditions and weights are part of a row.
    Of a source that is read in order, the first rows and the size of its buffer.
    """
    batch = look(source, 256)
    length = (
        f"stream{getattr(source, 'shuffle', None)}"
        if isinstance(source, Sequential)
        else len(source)
    )
    # as in runs of format 1
    kind = "pictures" if source.space.kind == "images" else source.space.kind
    digest = hashlib.blake2b(f"{kind}{source.space.shape}{length}".encode(), digest_size=8)
    digest.update(batch.x.detach().cpu().to(torch.float64).contiguous().numpy().tobytes())
    if batch.y is not None:
        digest.update(batch.y.detach().cpu().to(torch.float64).contiguous().numpy().tobytes())
    if batch.weights is not None:
        digest.update(
            b"weights"
            + batch.weights.detach().cpu().to(torch.float64).contiguous().numpy().tobytes()
        )
    return digest.hexdigest()
