"""DataLoaders as sources: the rows of their sampler, batches and collate_fn, read once.

Rows are read in this process, without the loader's workers. If a sampler merely shuffles, rows are
in the dataset's order; a fixed choice of rows (a subset, a custom batch sampler) is honoured; one
that changes every epoch is refused, because a source's rows are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)
from torch.utils.data.distributed import DistributedSampler

from pushforward.core.data_types import MapStyle
from pushforward.core.errors import BadSource, InvalidKind, ShapeMismatch
from pushforward.core.source import Source
from pushforward.data.files import announce
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.sources.arrays import X_KEYS, Y_KEYS
from pushforward.data.sources.items import from_dataset, from_iterable, is_map_style

__all__ = ["is_loader", "from_loader", "Rows"]

_ENDLESS = 100
"""Times the number of items after which a sampler counts as endless: none that repeats items to
balance classes gives so many.
"""
_INSTEAD = "pass loader.dataset itself, or torch.utils.data.Subset(loader.dataset, rows)"


Collate: TypeAlias = Callable[[list[Any]], Any]
"""What makes a batch of items."""


@runtime_checkable
class Loader(Protocol):
    """What is used of a torch DataLoader."""

    @property
    def dataset(self) -> Any:
        """The items."""
        ...

    @property
    def batch_size(self) -> int | None:
        """How many items a batch has."""
        ...


def is_loader(source: object) -> bool:
    """Whether the object looks like a torch DataLoader."""
    return hasattr(source, "dataset") and hasattr(source, "batch_size")


class Rows:
    """Chosen rows of a map-style dataset, as a dataset, with the chosen labels.

    Args:
        dataset: with `__getitem__` and a length.
        rows: row numbers, in order.
    """

    def __init__(self, dataset: MapStyle, rows: Sequence[int]) -> None:
        self.dataset, self.rows = dataset, list(rows)
        targets = getattr(dataset, "targets", None)
        if targets is not None:
            self.targets = [targets[i] for i in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> object:
        return self.dataset[self.rows[place]]


@dataclass(frozen=True)
class _Plan:
    """The batches of row numbers of one epoch of a loader, and notes on them."""

    batches: list[list[int]]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> list[int]:
        return [row for batch in self.batches for row in batch]


@register_reader(name="loader", claims=is_loader)
def from_loader(loader: Loader, options: Options) -> Source:
    """torch DataLoaders: the rows of their samplers and batches.

    Raises:
        BadSource: For samplers that draw different rows each epoch,
            and for batches that cannot be split into rows.
    """
    dataset = loader.dataset
    options = replace(options, name=options.name or type(dataset).__name__)
    collate = getattr(loader, "collate_fn", None)
    plain = (
        collate is None
        or collate is default_collate
        or (getattr(loader, "batch_size", None) is None and not _batched(loader))
    )
    if not is_map_style(dataset):
        return from_iterable(_streamed(loader, None if plain else collate), options)
    plan = _plan(loader, len(dataset))
    if not plan.batches:
        raise BadSource(
            f"{options.name}: the loader gives no batches; check its sampler, its batch size and"
            " drop_last"
        )
    if plain or collate is None:
        rows = plan.rows
        source = from_dataset(_chosen(dataset, rows), options)
    else:
        source = from_iterable(_collated(dataset, plan.batches, collate), options)
    notes = (*plan.notes, *_fewer(plan, source, collate, plain))
    source.notes = (*getattr(source, "notes", ()), *notes)  # type: ignore[attr-defined]
    if not options.lenient:
        announce(options.name, notes)
    return source


def _chosen(dataset: MapStyle, rows: list[int]) -> MapStyle:
    """The dataset with only these rows."""
    if rows == list(range(len(dataset))):
        return dataset
    return (
        TensorDataset(*(t[rows] for t in dataset.tensors))
        if type(dataset) is TensorDataset
        else Rows(dataset, rows)
    )


def _fewer(plan: _Plan, source: Source, collate: Collate | None, plain: bool) -> list[str]:
    rows = len(plan.rows)
    if plain or len(source) == rows:
        return []
    return [
        f"{getattr(collate, '__name__', 'collate_fn')} made {len(source)} observations of {rows}"
        " items"
    ]


# --------------------------------------------------------------------------------------- which rows


def _batched(loader: Loader) -> bool:
    return getattr(loader, "batch_sampler", None) is not None


def _plan(loader: Loader, n: int) -> _Plan:
    """The batches of one epoch over a dataset of n items."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    if batch_sampler is not None and type(batch_sampler) is not BatchSampler:
        return _noted(
            [[int(i) for i in batch] for batch in _once(batch_sampler, n)], n, "its batch sampler"
        )
    sampler = getattr(batch_sampler, "sampler", getattr(loader, "sampler", None))
    size = getattr(batch_sampler, "batch_size", None) or 1
    rows, shuffled = _rows(sampler, n)
    whole = len(rows) // size * size
    if not getattr(batch_sampler, "drop_last", False) or whole == len(rows):
        return _noted(_batches(rows, size), n, "its sampler")
    if shuffled:
        note = "drop_last drops different rows in every shuffled epoch, so all rows are read"
        return _noted(_batches(rows, size), n, "its sampler", note)
    return _noted(_batches(rows[:whole], size), n, "its sampler and drop_last")


def _noted(batches: list[list[int]], n: int, by: str, *notes: str) -> _Plan:
    """The plan, with a note on how many of the n items it leaves out."""
    missing = n - len({row for batch in batches for row in batch})
    note = (f"{missing} of {n} items are left out by {by}",) if missing else ()
    return _Plan(batches, (*note, *notes))


def _batches(rows: list[int], size: int) -> list[list[int]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _rows(sampler: Iterable[Any] | None, n: int) -> tuple[list[int], bool]:
    """The rows a sampler yields, and whether it merely shuffles them.

    Raises:
        BadSource: If they differ from epoch to epoch.
    """
    kind = type(sampler)
    if sampler is None or kind is SequentialSampler:
        return list(range(n)), False
    if isinstance(sampler, SubsetRandomSampler) and kind is SubsetRandomSampler:
        return [int(i) for i in sampler.indices], True
    if isinstance(sampler, WeightedRandomSampler):
        remedy = "pass the weights instead: read(loader.dataset, weights=loader.sampler.weights)"
        raise BadSource(
            f"the loader's WeightedRandomSampler draws different rows each epoch; {remedy}"
        )
    if isinstance(sampler, RandomSampler) and kind is RandomSampler:
        if sampler.replacement or sampler.num_samples != n:
            raise BadSource(
                f"the loader's RandomSampler draws different rows each epoch; {_INSTEAD}"
            )
        return list(range(n)), True
    if isinstance(sampler, DistributedSampler):
        raise BadSource(
            "the loader's DistributedSampler gives each process its own rows; fitting divides them"
            " itself: pass loader.dataset"
        )
    return [int(i) for i in _once(sampler, n)], False


def _once(sampler: Iterable[Any], n: int) -> list[Any]:
    """One pass over a sampler.

    Raises:
        BadSource: If the sampler does not end.
    """
    most = _ENDLESS * max(n, 1000)
    entries = list(islice(iter(sampler), most + 1))
    if len(entries) > most:
        raise BadSource(
            f"the loader's {type(sampler).__name__} gave more than {most} entries for {n} items and"
            f" may be endless; {_INSTEAD}"
        )
    return entries


# ------------------------------------------------------------------------------ batches taken apart


def _streamed(loader: Loader, collate: Collate | None) -> Iterator[Any]:
    """The items of an iterable dataset, without those of a dropped last batch."""
    size = getattr(loader, "batch_size", None)
    items = iter(loader.dataset)
    if size is None:
        yield from items
        return
    while batch := list(islice(items, size)):
        if len(batch) < size and getattr(loader, "drop_last", False):
            return
        yield from batch if collate is None else _apart(collate(batch), batch)


def _collated(dataset: MapStyle, batches: Iterable[list[int]], collate: Collate) -> Iterator[Any]:
    for rows in batches:
        items = [dataset[i] for i in rows]
        yield from _apart(collate(items), items)


def _apart(batch: Any, items: list[Any]) -> Iterator[Any]:
    """The observations of a batch, as (x, y) pairs if there are labels."""
    if isinstance(batch, list) and (
        not batch or (len(batch) == len(items) and all(b is i for b, i in zip(batch, items)))
    ):
        yield from batch
        return
    x, y = _columns(batch)
    if x is None:
        yield from batch
        return
    if y is None:
        yield from x
        return
    if len(x) != len(y):
        raise ShapeMismatch(
            f"a batch of the loader holds {len(x)} observations and {len(y)} labels; expected as"
            " many"
        )
    yield from ({"x": a, "y": b} for a, b in zip(x, y))


def _columns(batch: object) -> tuple[Any, Any]:
    """A batch's observations and labels; (None, None) for a list of observations."""
    if isinstance(batch, Mapping):
        key = next((k for k in X_KEYS if k in batch), None)
        if key is None:
            raise InvalidKind(
                f"a batch of the loader has keys {', '.join(map(str, batch))[:80]}; expected one of"
                f" {', '.join(X_KEYS[:4])}"
            )
        return batch[key], next((batch[k] for k in Y_KEYS if k in batch), None)
    if isinstance(batch, (Tensor, np.ndarray)):
        return batch, None
    if (
        isinstance(batch, Sequence)
        and not isinstance(batch, str)
        and batch
        and all(isinstance(b, (Tensor, np.ndarray)) for b in batch)
    ):
        if len(batch) == 1:
            return batch[0], None
        if len(batch) == 2 and np.ndim(batch[0]) > 0 and np.ndim(batch[1]) > 0:
            return batch[0], batch[1]
    elif (
        isinstance(batch, Sequence)
        and len(batch) == 2
        and isinstance(batch[0], (Tensor, np.ndarray))
        and isinstance(batch[1], (list, tuple))
    ):
        return batch[0], batch[1]
    if isinstance(batch, list):
        return None, None
    raise InvalidKind(
        f"a batch of the loader is {type(batch).__name__} of"
        f" {len(batch) if hasattr(batch, '__len__') else 'no'} parts; expected observations,"
        " (observations, labels), or a mapping with x and y"
    )
