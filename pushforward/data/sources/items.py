"""Data that arrive one observation at a time: torch Datasets,
iterables, and data too large for memory.

An iterable is consumed once and kept in memory within the budget, else spooled to disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, TensorDataset

from pushforward.core.argument_names import setting
from pushforward.core.array_source import Arrays
from pushforward.core.data_types import Indexed, MapStyle
from pushforward.core.errors import BadSource, InvalidKind, ShapeMismatch
from pushforward.core.numbers import to_numeric
from pushforward.core.phase import Batch
from pushforward.core.source import Described, Source, space_rows
from pushforward.data.formats.registry import register_reader
from pushforward.data.options import Options
from pushforward.data.sources.arrays import X_KEYS, Y_KEYS, as_images, from_array, labels_of
from pushforward.data.sources.spool import Spool

__all__ = ["from_iterable", "from_dataset", "is_map_style", "check_alike", "parts_of", "MapDataset"]


Items: TypeAlias = MapStyle | Indexed | Iterable[Any]
"""Observations one by one: a torch Dataset of either kind, or an iterable."""


def _has_items(source: object) -> bool:
    """Whether a source yields observations one by one."""
    if isinstance(source, (dict, bytes, np.generic)):
        return isinstance(source, Iterable) and not isinstance(source, (dict, bytes))
    return hasattr(source, "__getitem__") or isinstance(source, Iterable)


@register_reader(name="items", claims=_has_items)
def _from_items(source: Items, options: Options) -> Source:
    """torch Datasets, and iterables of observations or of (observation, label) pairs."""
    listed = isinstance(source, (list, tuple)) or not hasattr(source, "__getitem__")
    if listed:
        return from_iterable(cast(Iterable[Any], source), options)
    return from_dataset(source, options)


def from_iterable(items: Iterable[Any], options: Options) -> Arrays:
    """A source over an iterable of observations, or of (observation, label) pairs."""
    name = options.name or "iterable"
    labels: list[Any] = []
    layout = ""
    first: NDArray[Any] | None = None
    waiting: list[NDArray[Any]] = []
    with Spool(options.memory) as spool:
        for index, item in enumerate(items):
            x, y, came = parts_of(item, index, options)
            first, layout = (x, came) if first is None else (first, layout)
            check_alike(x, first, index)
            waiting.append(x)
            if y is not None:
                labels.append(y)
            if len(waiting) * x.nbytes >= 2**22:
                spool.add(np.stack(waiting))
                waiting = []
        if waiting:
            spool.add(np.stack(waiting))
        if spool.rows == 0:
            raise BadSource(
                f"{name}: the iterable gave no observations; a generator can be read only once, so"
                " make a new one"
            )
        x = spool.finish()
    if labels and len(labels) != len(x):
        raise ShapeMismatch(
            f"{name}: {len(labels)} of {len(x)} observations came with a label; expected all or"
            " none"
        )
    return from_array(
        x, replace(options, name=name), labels=np.array(labels) if labels else None, layout=layout
    )


def from_dataset(dataset: Items, options: Options) -> Source:
    """A torch Dataset: kept in memory if it fits, else read item by item."""
    options = replace(options, name=options.name or type(dataset).__name__)
    if (
        hasattr(dataset, "tensors")
        and getattr(type(dataset), "__getitem__", None) is TensorDataset.__getitem__
    ):
        tensors = dataset.tensors
        if len(tensors) > 2:
            remedy = "pass weights=... for weights, or a TensorDataset of two"
            raise InvalidKind(
                f"{options.name}: holds {len(tensors)} tensors; expected the observations, and"
                f" their labels if any: {remedy}"
            )
        labels = tensors[1] if len(tensors) > 1 else None
        return from_array(tensors[0], options, form="tensor", labels=labels)
    if not is_map_style(dataset):
        return from_iterable(cast(Iterable[Any], dataset), options)
    if len(dataset) == 0:
        raise BadSource(f"{options.name}: the dataset is empty; expected at least one observation")
    x, _, _ = parts_of(dataset[0], 0, options)
    if x.nbytes * len(dataset) <= options.memory:
        return from_iterable((dataset[i] for i in range(len(dataset))), options)
    return MapDataset(dataset, options)


def is_map_style(dataset: object) -> TypeGuard[MapStyle]:
    """Whether a dataset has a length and items by number."""
    return (
        hasattr(dataset, "__len__")
        and hasattr(dataset, "__getitem__")
        and not isinstance(dataset, IterableDataset)
    )


class MapDataset(Described):
    """A map-style dataset too large for memory:
    items are computed when taken, ranges from 256 of them.
    """

    resident = False
    notes: tuple[str, ...] = ()

    def __init__(self, dataset: MapStyle, options: Options) -> None:
        self.dataset, self.name = dataset, options.name
        self._item = replace(options, y=None, weights=None, memory=2**40, lenient=True)
        n = len(dataset)
        rows = space_rows(n, 256)
        items = from_iterable(
            (dataset[i] for i in rows.tolist()), replace(self._item, lenient=options.lenient)
        )
        self.space = items.space
        y, condition_space = options.y, options.like_condition
        if y is None and items.y is not None:
            y = self._targets(rows, items)
        y, condition_space = labels_of(y, options, n)
        sample = Arrays(
            np.zeros((n, 1), np.uint8), y, options.weights, condition_space=condition_space
        )
        self.y, self.weights, self.condition_space = (
            sample.y,
            sample.weights,
            sample.condition_space,
        )

    def _targets(self, rows: Tensor, items: Arrays) -> NDArray[Any]:
        """The labels of all items, which must agree with the items inspected."""
        targets = getattr(self.dataset, "targets", None)
        if targets is None:
            raise BadSource(
                f"{self.name}: expected a dataset larger than memory to list its labels in"
                f" .targets; add it, or pass {setting('label', False)}"
            )
        targets = np.asarray(targets)
        if len(targets) != len(self.dataset):
            raise ShapeMismatch(
                f"{self.name}: lists {len(targets)} labels in .targets for {len(self.dataset)}"
                " items; expected as many"
            )
        labels = [parts_of(self.dataset[i], i, self._item)[1] for i in rows[:16].tolist()]
        if [str(g) for g in labels] != [str(t) for t in targets[rows[:16].numpy()]]:
            raise BadSource(
                f"{self.name}: .targets differs from the labels of its items; pass the labels as"
                f" y=..., or {setting('label', False)}"
            )
        return targets

    def __len__(self) -> int:
        return len(self.dataset)

    def take(self, rows: Tensor) -> Batch:
        """The given rows, computed now."""
        items = from_iterable(
            (self.dataset[int(i)] for i in rows), replace(self._item, label=False)
        )
        y = None if self.y is None else self.y[rows]
        return Batch(items.all().x, y, None if self.weights is None else self.weights[rows])


def parts_of(item: object, index: int, options: Options) -> tuple[NDArray[Any], Any, str]:
    """An item's observation, its label if it has one,
    and its original layout if that was changed.
    """
    y = None
    if isinstance(item, dict):
        keys = [k for k in X_KEYS if k in item]
        if not keys:
            raise InvalidKind(
                f"observation {index} is a mapping with {', '.join(map(str, item))}; expected one"
                f" of {', '.join(X_KEYS[:4])}"
            )
        y = next((item[k] for k in Y_KEYS if k in item), None)
        item = item[keys[0]]
    elif (
        isinstance(item, (tuple, list))
        and len(item) == 2
        and (np.ndim(item[0]) > 0 or hasattr(item[0], "getbands"))
    ):
        item, y = item
    elif isinstance(item, (tuple, list)) and len(item) == 1 and np.ndim(item[0]) > 0:
        item = item[0]
    x, layout = _observation(item, index, options)
    return x, _label(y), layout


def _observation(item: object, index: int, options: Options) -> tuple[NDArray[Any], str]:
    """The item as an array.

    Images are resized here, since items may differ in size and channels.
    """
    if hasattr(item, "getbands"):
        from pushforward.data.formats.images import item_array  # Pillow is loaded for images only

        return item_array(cast(Any, item), f"observation {index}", options), ""
    if isinstance(item, (Tensor, np.ma.MaskedArray)):
        item = to_numeric(item)
    array = item.cpu().numpy() if isinstance(item, Tensor) else np.asarray(item)
    if array.dtype.kind not in "biuf":
        raise InvalidKind(
            f"observation {index} is {type(item).__name__} ({array.dtype}); expected numbers, a"
            " tensor or an image"
        )
    if (
        (options.size is not None or options.channels is not None)
        and array.dtype == np.uint8
        and array.ndim in (2, 3)
    ):
        x, layout = as_images(array[None])
        if x.shape[1] in (1, 3, 4):
            from pushforward.data.formats.images import prepare_item

            return prepare_item(x[0], options), layout
    return np.atleast_1d(array), ""


def _label(y: object) -> object:
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    return y.item() if isinstance(y, np.ndarray) and y.ndim == 0 else y


def check_alike(x: NDArray[Any], first: NDArray[Any], index: int) -> None:
    """Raise ShapeMismatch if an observation differs in shape or kind from the first."""
    if x.shape != first.shape:
        remedy = (
            "; bring images to one with size=64 and channels=3, say"
            if x.ndim == 3 or (x.ndim == 2 and x.dtype == np.uint8)
            else ""
        )
        raise ShapeMismatch(
            f"observation {index} has shape {x.shape}, but the first has {first.shape}; every"
            f" observation needs the same shape{remedy}"
        )
    if x.dtype != first.dtype and (x.dtype.kind in "iu") != (first.dtype.kind in "iu"):
        remedy = "give all as bytes or all as fractions"
        raise ShapeMismatch(
            f"observation {index} is {x.dtype}, but the first is {first.dtype}; {remedy}"
        )
