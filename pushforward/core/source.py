"""Sources of observations, as fitters see them.

A `Source` has a space and a length, returns rows by number, and states whether it is resident
(cheap random access) or should be read in blocks. Arrays, tensors and data frames become an
`Arrays` source (`core.array_source`); files, folders and names are read by `pushforward.data`,
which returns sources too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sized
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from pushforward.core.phase import Batch
from pushforward.core.space import Space

__all__ = [
    "Described",
    "Source",
    "Sequential",
    "iterate_blocks",
    "peek",
    "space_rows",
    "fingerprint",
    "take_rows",
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
        """Number of observations."""
        ...

    def take(self, rows: Tensor) -> Batch:
        """The given rows (int64), in that order, in the user's units."""
        ...


class Described:
    """A source that says in its repr what it holds."""

    def __repr__(self) -> str:
        source: Any = self
        name = getattr(source, "name", "")
        count = f"{len(source):,} rows of " if isinstance(source, Sized) else ""
        space, under = source.space, source.condition_space
        given = "" if under is None else f", with conditions: {under}"
        label = f"{name!r}, " if name else ""
        return f"{type(self).__name__}({label}{count}{space}{given})"


def iterate_blocks(source: Source, size: int = 8192) -> Iterator[Batch]:
    """All rows in order, `size` at a time."""
    for start in range(0, len(source), size):
        yield source.take(torch.arange(start, min(start + size, len(source))))


def take_rows(x: Tensor, rows: Tensor) -> Tensor:
    """Rows of a tensor on the CPU, by one thread.

    Reading ahead thus does not compete with computation.
    """
    return torch.from_numpy(x.numpy().take(rows.numpy(), axis=0))


def space_rows(n: int, most: int) -> Tensor:
    """At most `most` of n row numbers, evenly spaced, int64."""
    return (
        torch.arange(n)
        if n <= most
        else torch.linspace(0, n - 1, most, dtype=torch.float64).round().to(torch.int64)
    )


@runtime_checkable
class Sequential(Protocol):
    """A source read in order whose first rows are available at any time (`core.stream.Stream`)."""

    def head(self, count: int) -> Batch:
        """The first rows, at most `count`."""
        ...

    def unlabelled(self) -> Source:
        """The same rows without conditions."""
        ...


def peek(source: Source, most: int) -> Batch:
    """At most `most` rows: evenly spaced, or the first ones of a sequential source."""
    return (
        source.head(most)
        if isinstance(source, Sequential)
        else source.take(space_rows(len(source), most))
    )


def fingerprint(source: Source) -> str:
    """A short hash of the space, the length and up to 256 evenly spaced rows.

    It tells data sets apart.

    Conditions and weights are part of a row. For a sequential source:
    the first rows and the buffer size.
    """
    batch = peek(source, 256)
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
