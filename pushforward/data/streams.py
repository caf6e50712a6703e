"""Data that come one observation at a time: torch Datasets, iterables, and what is too large for memory.

An iterable is consumed once. While it fits the memory budget it is kept; beyond, it is spooled to a temporary file that
is memory-mapped. On POSIX the file is unlinked as soon as it is mapped, so that not even a killed process leaves it.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from torch import Tensor

from pushforward.core.errors import BadSource, InvalidKind, ShapeMismatch
from pushforward.core.labels import categories_of
from pushforward.core.phase import Batch
from pushforward.core.source import Arrays, Source, spread
from pushforward.core.space import Space
from pushforward.data.arrays import X_KEYS, Y_KEYS, from_array
from pushforward.data.options import Options

__all__ = ["Spool", "temporary_file", "from_iterable", "from_dataset", "MapDataset"]


@contextmanager
def temporary_file() -> Iterator[Path]:
    """A path for a temporary file; what is mapped from it inside the block outlives the name."""
    try:
        handle, text = tempfile.mkstemp(prefix="pushforward-", suffix=".npy")
    except OSError as error:
        raise _no_room(tempfile.gettempdir(), error) from error
    os.close(handle)
    path = Path(text)
    try:
        yield path
    finally:
        try:
            path.unlink(missing_ok=True)
        except PermissionError:  # Windows keeps mapped files; they go with the process
            weakref.finalize(Spool, path.unlink, missing_ok=True)


def _no_room(path: str | Path, error: OSError) -> BadSource:
    return BadSource(f"cannot write the temporary file {path} ({error.strerror}); free some space or set TMPDIR to another disk")


class Spool:
    """Blocks of rows gathered in memory, and beyond `memory` bytes in a temporary memory map."""

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.kept: list[np.ndarray[Any, Any]] = []
        self.bytes = self.rows = 0
        self.shape: tuple[int, ...] = ()
        self.dtype = np.dtype("float64")
        self.file: Any = None
        self._scope: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.file is not None:
            self.file.close()
        if self._scope is not None:
            self._scope.__exit__(kind, error, trace)

    def add(self, block: np.ndarray[Any, Any]) -> None:
        """Append rows (b, *shape)."""
        self.shape, self.dtype = block.shape[1:], block.dtype
        self.rows += len(block)
        self.bytes += block.nbytes
        self.kept.append(block)
        if self.file is None and self.bytes > self.memory:
            self._scope = temporary_file()
            self.path = self._scope.__enter__()
            self.file = open(self.path, "wb")  # noqa: SIM115
        if self.file is not None:
            try:
                for part in self.kept:
                    self.file.write(np.ascontiguousarray(part).data)
            except OSError as error:
                raise _no_room(self.path, error) from error
            self.kept = []

    def finish(self) -> np.ndarray[Any, Any]:
        """All rows, as an array or as a memory map."""
        if self.file is None:
            return np.concatenate(self.kept) if self.kept else np.zeros((0, *self.shape), self.dtype)
        self.file.flush()
        return np.memmap(self.path, dtype=self.dtype, mode="r", shape=(self.rows, *self.shape))


def from_iterable(items: Iterable[Any], options: Options) -> Arrays:
    """A source over an iterable of observations, or of (observation, label) pairs."""
    name = options.name or "iterable"
    labels: list[Any] = []
    first: np.ndarray[Any, Any] | None = None
    waiting: list[np.ndarray[Any, Any]] = []
    with Spool(options.memory) as spool:
        for index, item in enumerate(items):
            x, y = _parts(item, index)
            first = x if first is None else first
            _check_alike(x, first, index)
            waiting.append(x)
            if y is not None:
                labels.append(y)
            if len(waiting) * x.nbytes >= 2**22:
                spool.add(np.stack(waiting))
                waiting = []
        if waiting:
            spool.add(np.stack(waiting))
        if spool.rows == 0:
            raise BadSource(f"{name}: the iterable gave no observations; a generator can be read only once, so make a new one")
        x = spool.finish()
    if labels and len(labels) != len(x):
        raise ShapeMismatch(f"{name}: {len(labels)} of {len(x)} observations came with a label; expected all or none")
    return from_array(x, replace(options, name=name), labels=np.array(labels) if labels else None)


def from_dataset(dataset: Any, options: Options) -> Source:
    """A torch Dataset: kept in memory when it fits, else read item by item."""
    options = replace(options, name=options.name or type(dataset).__name__)
    if hasattr(dataset, "tensors"):
        tensors = dataset.tensors
        labels = tensors[1] if len(tensors) > 1 else None
        return from_array(tensors[0], options, form="tensor", labels=labels)
    if not hasattr(dataset, "__len__"):
        return from_iterable(dataset, options)
    if len(dataset) == 0:
        raise BadSource(f"{options.name}: the dataset is empty; expected at least one observation")
    x, _ = _parts(dataset[0], 0)
    if x.nbytes * len(dataset) <= options.memory:
        return from_iterable((dataset[i] for i in range(len(dataset))), options)
    return MapDataset(dataset, options)


class MapDataset:
    """A map-style dataset too large for memory: items are made when they are taken. Ranges are those of 256 spread items."""

    resident = False

    def __init__(self, dataset: Any, options: Options) -> None:
        self.dataset, self.name = dataset, options.name
        n = len(dataset)
        sample = spread(n, 256).tolist()
        items = from_iterable((dataset[i] for i in sample), replace(options, y=None, weights=None, memory=2**40))
        self.space, self.condition_space = items.space, items.condition_space
        if self.condition_space is not None and self.condition_space.is_label:
            self.condition_space = self._all_labels()

    def _all_labels(self) -> Space | None:
        targets = getattr(self.dataset, "targets", None)
        if targets is None:
            raise BadSource(
                f"{self.name}: expected a dataset larger than memory to list its labels in .targets; add it, or pass label=False"
            )
        return Space.labels(categories_of(targets)[0])

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, rows: Tensor) -> Batch:
        """The given rows, made now."""
        items = from_iterable(
            (self.dataset[int(i)] for i in rows), Options(memory=2**40, lenient=True, like_condition=self.condition_space)
        )
        batch = items.all()
        return batch if self.condition_space is not None else Batch(batch.x)


def _parts(item: Any, index: int) -> tuple[np.ndarray[Any, Any], Any]:
    """An item's observation and its label, if it has one."""
    y = None
    if isinstance(item, dict):
        keys = [k for k in X_KEYS if k in item]
        if not keys:
            raise InvalidKind(f"observation {index} is a mapping with {', '.join(map(str, item))}; expected one of {', '.join(X_KEYS[:4])}")
        y = next((item[k] for k in Y_KEYS if k in item), None)
        item = item[keys[0]]
    elif isinstance(item, (tuple, list)) and len(item) == 2 and (np.ndim(item[0]) > 0 or hasattr(item[0], "getbands")):
        item, y = item
    elif isinstance(item, (tuple, list)) and len(item) == 1 and np.ndim(item[0]) > 0:
        item = item[0]
    return _observation(item, index), _label(y)


def _observation(item: Any, index: int) -> np.ndarray[Any, Any]:
    if hasattr(item, "getbands"):
        from pushforward.data.pictures import natural_channels, picture_array

        return picture_array(item, natural_channels(item, f"observation {index}"))
    array = item.detach().cpu().numpy() if isinstance(item, Tensor) else np.asarray(item)
    if array.dtype.kind not in "biuf":
        raise InvalidKind(f"observation {index} is {type(item).__name__} ({array.dtype}); expected numbers, a tensor or a picture")
    return np.atleast_1d(array)


def _label(y: Any) -> Any:
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    return y.item() if isinstance(y, np.ndarray) and y.ndim == 0 else y


def _check_alike(x: np.ndarray[Any, Any], first: np.ndarray[Any, Any], index: int) -> None:
    if x.shape != first.shape:
        raise ShapeMismatch(
            f"observation {index} has shape {x.shape}, but the first has {first.shape}; every observation needs the same shape"
        )
    if x.dtype != first.dtype and (x.dtype.kind in "iu") != (first.dtype.kind in "iu"):
        cure = "give all as bytes or all as fractions"
        raise ShapeMismatch(f"observation {index} is {x.dtype}, but the first is {first.dtype}; {cure}")
