"""Conversion of incoming data to a space's tensors, with errors that name any difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core import labels
from pushforward.core.column_numbers import as_codes, as_numbers, find_bad_cell
from pushforward.core.columns import Column
from pushforward.core.data_types import Frame, Series
from pushforward.core.dates import DATE_UNITS, parse_dates
from pushforward.core.errors import BadSource, ShapeMismatch
from pushforward.core.frames import as_frame, is_frame, is_plain, kind_of
from pushforward.core.numbers import PLAIN, to_floating, view_as_tensor, warn_of_rounding
from pushforward.core.reader import rows_in
from pushforward.core.registry import models_accepting
from pushforward.core.space.facts import SpaceFacts
from pushforward.core.space.infer import as_array

__all__ = [
    "column_numbers",
    "conform",
    "frame_numbers",
    "from_frame",
    "has_only_finite",
    "refuse_far_levels",
    "refuse_infinite",
    "refuse_missing",
]

UNORDERED = (torch.uint16, torch.uint32, torch.uint64)
"""Types whose least value PyTorch does not find."""
FLOATS = (torch.float64, torch.float32)
USUAL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
"""Ranges of levels that are agreed on; others are those of the data, and new data may go beyond."""


def conform(
    space: SpaceFacts,
    x: object,
    *,
    what: str = "the data",
    dtype: torch.dtype | None = None,
    missing: bool = True,
    total: int | None = None,
) -> Tensor:
    """See `Space.conform`."""
    plain = _plain_rows(space, x)
    if plain is not None:
        if not missing:
            refuse_missing(space, plain, what)
        return plain if dtype is None else plain.to(dtype)
    if space.is_label:
        return labels.to_codes(x, space.columns[0].categories, what)
    x = rows_in(x, space)
    if is_frame(x):  # row by row, as arrays are: products of another order round differently
        x = np.ascontiguousarray(from_frame(space, as_frame(x), what))
    array = _channels_first(space, view_as_tensor(as_array(x)))
    if array.ndim == 1 and len(space.shape) == 1:
        array = (
            array[None]
            if space.shape[0] == array.shape[0] and space.shape[0] != 1
            else array[:, None]
        )
    if array.ndim == len(space.shape) and array.ndim >= 3:
        array = array[None]
    shape = tuple(array.shape)
    _check_shape(space, shape if total is None else (total, *shape[1:]), what)
    _check_levels(space, array, what)
    if not missing:
        refuse_missing(space, array, what)
    return to_floating(array) if dtype is None else array.to(dtype)


def _plain_rows(space: SpaceFacts, x: Any) -> Tensor | None:
    """Rows (n, d) of floats in memory that are as the space has them; None for all else.

    Their check takes less time than the density of one row, and that of all that x may be, more.
    """
    if type(x) is np.ndarray:
        fits = x.dtype in PLAIN and x.flags.carray
    elif type(x) is Tensor:
        in_memory = x.layout is torch.strided and x.device.type == "cpu" and not x.is_neg()
        fits = x.dtype in FLOATS and in_memory and not x.requires_grad
    else:
        return None
    if not fits or x.ndim != 2 or space.kind != "points" or space.shape != x.shape[1:]:
        return None
    return x if type(x) is Tensor else torch.from_numpy(x)


def _channels_first(space: SpaceFacts, array: Tensor) -> Tensor:
    """Images from the layout of the original data, with the channel axis moved or added."""
    layout, axes = space.extra.get("layout"), len(space.shape)
    if (
        layout == "no channel axis"
        and array.ndim in (axes - 1, axes)
        and tuple(array.shape[1 - axes :]) == space.shape[1:]
    ):
        return array.unsqueeze(-axes)
    if (
        layout == "channels last"
        and array.ndim in (axes, axes + 1)
        and tuple(array.shape[-axes:]) == (*space.shape[1:], space.shape[0])
    ):
        return array.movedim(-1, -axes)
    return array


def refuse_infinite(
    space: SpaceFacts, array: Tensor, what: str = "the data", *, first: int = 0
) -> None:
    """Raise BadSource naming row and column of the first infinity in rows (n, *shape).

    Rows are numbered from `first`.
    """
    if has_only_finite(array):
        return
    if array.dtype.is_floating_point and bool((infinite := torch.isinf(array)).any()):
        raise BadSource(
            f"{what}: {_locate_first(space, infinite, first)} is infinite; expected finite numbers:"
            " drop those rows, or replace the values"
        )


def refuse_missing(
    space: SpaceFacts, array: Tensor, what: str = "the data", *, first: int = 0
) -> None:
    """Raise BadSource naming row and column of the first NaN in rows (n, *shape).

    Rows are numbered from `first`.
    """
    if has_only_finite(array):
        return
    if array.dtype.is_floating_point and bool((missing := torch.isnan(array)).any()):
        rows = int(missing.flatten(1).any(1).sum())
        more = f" ({rows} such rows in all)" if rows > 1 else ""
        takers = ", ".join(models_accepting("missing"))
        raise BadSource(
            f"{what}: {_locate_first(space, missing, first)} is missing (NaN){more}; drop those"
            " rows, fill the values in, or use a model that takes missing"
            f" values{f' ({takers})' if takers else ''}"
        )


def has_only_finite(array: Tensor) -> bool:
    """Whether a sum over all values shows that they are finite.

    False if one is not, and also if the sum overflows: then each must be looked at.
    """
    return not array.dtype.is_floating_point or math.isfinite(array.sum().item())


def _locate_first(space: SpaceFacts, marked: Tensor, start: int) -> str:
    """Row and column of the first marked value in rows (n, *shape), numbered from `start`."""
    row, *place = (int(i) for i in marked.nonzero()[0])
    where = (
        f"column {space.names[place[0]]!r}" if space.columns and place else f"value {tuple(place)}"
    )
    return f"row {start + row}, {where}"


def _check_shape(space: SpaceFacts, shape: tuple[int, ...], what: str) -> None:
    fits = len(shape) == len(space.shape) + 1 and all(
        s is None or s == t for s, t in zip(space.shape, shape[1:])
    )
    if fits:
        return
    expected = ", ".join("any" if s is None else str(s) for s in space.shape)
    if space.kind == "points" and len(shape) == 2 and len(space.shape) == 1:
        raise ShapeMismatch(
            f"{what}: expected {space.shape[0]} columns ({space}), got {shape[1]}; pass the columns"
            " the model was fitted on"
        )
    raise ShapeMismatch(f"{what}: expected shape (n, {expected}) for {space}, got {shape}")


def _check_levels(space: SpaceFacts, array: Tensor, what: str) -> None:
    low, high, fractions = space.low, space.high, array.dtype.is_floating_point
    if space.kind == "points" or not array.numel():
        return
    expected = f"{what}: expected levels {low:g}..{high:g},"
    if space.integer and array.dtype == torch.bool and high > 2:
        raise ShapeMismatch(
            f"{expected} got True and False; pass the levels, or multiply by {high:g}"
        )
    if space.integer and fractions and high > 2:
        least, most = _ends(array)
        if least >= -1 and 0 < most <= 1 and bool((array != array.round()).any()):
            scale = f"multiply by {high:g}" if least >= 0 else "scale them to that range"
            raise ShapeMismatch(
                f"{expected} got values in {min(least, 0):g}..{most:g} that look already divided;"
                f" pass the levels, or {scale}"
            )
    if not space.integer and not fractions and high <= 1 and (most := _ends(array)[1]) > 2:
        raise ShapeMismatch(f"{expected} got levels up to {most:g}; divide by 255 first")


def _ends(array: Tensor) -> tuple[float, float]:
    """The least and the highest value."""
    least, most = torch.aminmax(array.double() if array.dtype in UNORDERED else array)
    return float(least), float(most)


def refuse_far_levels(space: SpaceFacts, array: Tensor, what: str) -> None:
    """Raise ShapeMismatch for levels beyond a usual range by more than its length: such images have
    other units. Infinities are left to others.
    """
    low, high = space.low, space.high
    if space.kind == "points" or not array.numel() or (low, high) not in USUAL_RANGES:
        return
    least, most = _ends(array)
    if -math.inf < least < 2 * low - high or 2 * high - low < most < math.inf:
        advice = "divide by 255 first" if high == 1 and 2 < most <= 255 else "scale them alike"
        raise ShapeMismatch(
            f"{what}: expected levels {low:g}..{high:g}, got levels {least:g}..{most:g}; {advice}"
        )


def from_frame(space: SpaceFacts, frame: Frame, what: str) -> NDArray[Any]:
    """The rows of a pandas frame as numbers (n, d).

    Columns are found by name, or by position if the space has no names.
    """
    names = [str(c) for c in frame.columns]
    places: Sequence[int] = range(len(names))
    if any(c.name for c in space.columns):
        positions = {n: i for i, n in reversed(list(enumerate(names)))}
        twice = (
            [n for n in space.names if names.count(n) > 1] if len(positions) < len(names) else []
        )
        if twice:
            raise ShapeMismatch(
                f"{what}: several columns are called {twice[0]!r}; expected each name once: rename"
                " or drop the others"
            )
        missing = [n for n in space.names if n not in positions]
        if missing:
            raise ShapeMismatch(
                f"{what}: column {missing[0]!r} is missing; expected {_list_names(space.names)},"
                f" got {_list_names(names)}"
            )
        places = [positions[n] for n in space.names]
    elif len(names) != len(space.columns):
        raise ShapeMismatch(
            f"{what}: expected {len(space.columns)} columns, got {len(names)}"
            f" ({_list_names(names)})"
        )
    return frame_numbers(frame, places, space.columns, what)


def column_numbers(series: Series, column: Column, what: str, *, start: int = 0) -> NDArray[Any]:
    """A pandas column as numbers (float64) of this column of the space.

    `start` is the number of the first row.

    Raises:
        ShapeMismatch: Names the column, and the cell, that does not fit.
    """
    if column.kind == "categorical":
        return as_codes(series, column, what)
    kind = kind_of(series)
    if column.format and kind == "text":
        parsed = parse_dates(series, column.format)
        if bool((bad := parsed.isna() & ~series.isna()).any()):
            cell = series[bad].iloc[0]
            raise ShapeMismatch(
                f"{what}: column {series.name!r} holds {str(cell)[:40]!r} where dates such as"
                f" {column.format} are expected; fix those rows"
            )
        series, kind = parsed, "date"
    try:
        if kind == "date" and column.unit not in DATE_UNITS:
            raise TypeError("dates")
        return as_numbers(series, column.unit if kind in ("date", "text") else "")
    except (TypeError, ValueError) as error:
        cell = find_bad_cell(series, start, share=2) if kind == "text" else None
        where = "" if cell is None else f" ({cell[1]!r} in row {cell[0]}, the first being row 0)"
        held = "dates" if kind == "date" else "text"
        raise ShapeMismatch(
            f"{what}: column {series.name!r} holds {held}{where} where numbers are expected; fix"
            " those rows"
        ) from error


def frame_numbers(
    frame: Frame,
    places: Sequence[int],
    columns: Sequence[Column],
    what: str,
    *,
    start: int = 0,
    series: Callable[[Any, int], Any] | None = None,
) -> NDArray[Any]:
    """The columns of a pandas frame at these positions as float64 (n, d).

    Plain numbers are converted as one block.

    `series(frame, place)` returns a column, for tables whose columns need conversion.
    """
    dtypes = frame.dtypes.tolist()
    for kind in ("int64", "uint64"):
        block = [place for place in places if dtypes[place] == kind]
        if block:
            warn_of_rounding(frame.iloc[:, block].to_numpy())
    for place in places:
        if str(dtypes[place]) in ("Int64", "UInt64", "int64[pyarrow]", "uint64[pyarrow]"):
            warn_of_rounding(
                frame.iloc[:, place]
                .dropna()
                .to_numpy(dtype=str(dtypes[place]).lower().removesuffix("[pyarrow]"))
            )
    plain = [
        i
        for i, (place, column) in enumerate(zip(places, columns))
        if is_plain(dtypes[place]) and column.kind != "categorical"
    ]
    if len(plain) == len(dtypes) and list(places) == list(range(len(dtypes))):
        return np.array(frame.to_numpy(dtype=np.float64))
    table = np.empty((len(frame), len(columns)))
    if plain:
        table[:, plain] = frame.iloc[:, [places[i] for i in plain]].to_numpy(dtype=np.float64)
    for i in sorted(set(range(len(columns))) - set(plain)):
        column = frame.iloc[:, places[i]] if series is None else series(frame, places[i])
        table[:, i] = column_numbers(column, columns[i], what, start=start)
    return table


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
