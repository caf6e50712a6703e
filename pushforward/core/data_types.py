"""What users pass as data, and the tables of other libraries, as types.

NumPy's arrays, torch's tensors, tables of pandas, Polars and Arrow, paths, sources and Datasets all
count as data; what none of them holds is said where it is read. Of pandas only what is used here
is described, so that it need not be imported.
"""

from __future__ import annotations

import datetime
import io
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Sized
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

from numpy.typing import ArrayLike, NDArray
from torch import Tensor

__all__ = [
    "ArrayOrTensor",
    "BinaryFile",
    "CategorySeries",
    "ColumnValues",
    "Conditioning",
    "DateSeries",
    "ExtensionArray",
    "Frame",
    "LazyTable",
    "Observations",
    "PathText",
    "MapStyle",
    "Series",
    "TextSeries",
]

ArrayOrTensor: TypeAlias = NDArray[Any] | Tensor
"""Numbers in memory, of either library."""

BinaryFile: TypeAlias = io.BufferedIOBase
"""An open file of bytes: on a disk, in memory, or inside an archive."""

PathText: TypeAlias = str | os.PathLike[str]
"""A file or folder."""


@runtime_checkable
class LazyTable(Protocol):
    """A table that is computed when it is asked for (Polars' LazyFrame)."""

    def collect(self) -> object:
        """The table itself."""
        ...


@runtime_checkable
class Indexed(Protocol):
    """Rows by number, without a length that is known (a torch Dataset, a source)."""

    def __getitem__(self, row: Any, /) -> Any: ...


@runtime_checkable
class MapStyle(Protocol):
    """A dataset of known length whose items are asked for by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: Any, /) -> Any: ...


@runtime_checkable
class ArrayInterface(Protocol):
    """What NumPy reads without an `__array__` method (an image of Pillow)."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


Observations: TypeAlias = (
    ArrayLike
    | Tensor
    | os.PathLike[str]
    | Iterable[object]
    | Sized
    | Indexed
    | LazyTable
    | ArrayInterface
)
"""Data as a user passes them.

They are an array, tensor, table, list, Dataset, source or stream, or the path or name of one.
"""

Conditioning: TypeAlias = Observations | datetime.date | datetime.timedelta | None
"""Conditions as a user passes them: data, or one label, number or date for all rows."""


@runtime_checkable
class ExtensionArray(Protocol):
    """The values of a pandas column that NumPy has no type for."""

    @property
    def dtype(self) -> Any: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, key: object, /) -> Any: ...

    def isna(self) -> Any: ...


ColumnValues: TypeAlias = NDArray[Any] | ExtensionArray
"""What a column of a frame is made of."""


@runtime_checkable
class Series(Protocol):
    """A column of a pandas frame."""

    @property
    def name(self) -> Hashable: ...

    @property
    def dtype(self) -> Any: ...

    @property
    def index(self) -> Any: ...

    @property
    def array(self) -> Any: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, key: object, /) -> Any: ...

    @property
    def iloc(self) -> Any: ...

    def __eq__(self, other: object, /) -> Any: ...

    def isna(self) -> Any: ...

    def unique(self) -> Any: ...

    def dropna(self) -> Self: ...

    def map(self, function: Callable[[Any], Any], /) -> Any: ...

    def reset_index(self, *, drop: bool) -> Self: ...

    def reindex(self, index: object, /) -> Self: ...

    def astype(self, dtype: object, /) -> Self: ...

    def to_numpy(self, dtype: object = None, *, na_value: object = None) -> NDArray[Any]: ...


@runtime_checkable
class TextSeries(Series, Protocol):
    """A column of texts."""

    def isin(self, values: object, /) -> Any: ...

    def where(self, condition: object, other: object, /) -> Any: ...

    @property
    def str(self) -> Any: ...


@runtime_checkable
class CategorySeries(Series, Protocol):
    """A column of categories."""

    @property
    def cat(self) -> Any: ...


@runtime_checkable
class DateSeries(Series, Protocol):
    """A column of dates, times or durations."""

    @property
    def dt(self) -> Any: ...


@runtime_checkable
class Frame(Protocol):
    """A pandas frame."""

    columns: Any

    @property
    def dtypes(self) -> Any: ...

    @property
    def iloc(self) -> Any: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    def __len__(self) -> int: ...

    def __setitem__(self, name: object, values: object, /) -> None: ...

    def to_numpy(self, dtype: object = None) -> NDArray[Any]: ...

    def isin(self, values: object, /) -> Self: ...

    def mask(self, where: object, /) -> Self: ...

    def to_parquet(self, path: object, /, *, index: bool) -> None: ...
