"""The space one observation lives in: its shape, the kinds of its coordinates, their names and ranges.

A `Space` holds facts about the data, in the user's units. It is inferred once, printed, stored with the model, and
refuses data that do not lie in it by naming what differs. What a network sees is the business of `Scaling`.

Integer data keep their values: the level v stands for the cell [v - ½, v + ½), so that dequantising adds U(-½, ½) and
`export` rounds. Images are (channels, height, width), clips (channels, time, height, width); a None is a free size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core import labels
from pushforward.core.errors import BadSource, InvalidKind, ShapeMismatch
from pushforward.core.frames import DATE_UNITS, as_codes, as_frame, as_numbers, bad_cell, is_frame, is_plain, kind_of, restored
from pushforward.core.numbers import floating, numeric, tensor_over, warn_of_rounding
from pushforward.core.reader import rows_in
from pushforward.core.registry import accepting

__all__ = ["Column", "Space", "is_frame", "as_array", "column_numbers", "frame_numbers"]

Kind = Literal["points", "images", "clips"]
RANGE_BLOCK = 1 << 18
RANGE_BLOCKS = 32
Form = Literal["tensor", "array", "frame", "images", "clips"]


@dataclass(frozen=True)
class Column:
    """One coordinate of a point or one column of a table.

    Arguments:
        name: the column's name, '' where the data had none.
        kind: 'continuous', 'integer' or 'categorical' (then values are codes 0..K-1 into `categories`).
        low, high: the range seen, in the user's units.
        lower, upper: bounds that the quantity cannot cross, where known (a distance has lower=0).
        categories: the category names, for kind 'categorical'.
        unit: the unit, where known; 'days since 1970-01-01' (or seconds) for dates, which come back as dates.
        dtype: the pandas dtype that the column came with, and goes back to; '' where there was none.
    """

    name: str = ""
    kind: Literal["continuous", "integer", "categorical"] = "continuous"
    low: float = float("-inf")
    high: float = float("inf")
    lower: float | None = None
    upper: float | None = None
    categories: tuple[str, ...] = ()
    unit: str = ""
    dtype: str = ""


@dataclass(frozen=True)
class Space:
    """Facts about one observation.

    Arguments:
        kind: 'points' (vectors and table rows), 'images' or 'clips'.
        shape: shape of one observation; None marks a free size.
        columns: for points, one per coordinate.
        low, high: the range of values: of the levels for images, seen over all coordinates for points.
        integer: every value is a whole number (pixel levels, counts).
        form: what came in, and so what `export` gives back.
        frame_rate: clips' frames per second, where known.
        preparation: what was done to the images to fit them here, e.g. 'size 64, crop'.
    """

    kind: Kind
    shape: tuple[int | None, ...]
    columns: tuple[Column, ...] = ()
    low: float = float("-inf")
    high: float = float("inf")
    integer: bool = False
    form: Form = "tensor"
    frame_rate: float | None = None
    preparation: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    # ---------------------------------------------------------------------------------------------- making one

    @classmethod
    def infer(cls, x: Any, **facts: Any) -> Space:
        """The space of in-memory data x with leading length n: array, tensor or data frame.

        Two axes are points, four images (channels first: 1, 3 or 4), five clips; one axis is read as n numbers.
        Ranges are those seen. Raises InvalidKind or ShapeMismatch.
        """
        names: list[str] | None = None
        if is_frame(x):
            x = as_frame(x)
            names = [str(c) for c in x.columns]
        array = as_array(x)
        if array.ndim == 1:
            array = array[:, None]
        kind: Kind = {2: "points", 3: "points", 4: "images", 5: "clips"}.get(array.ndim, "points")  # type: ignore[assignment]
        if array.ndim == 3:
            raise ShapeMismatch(
                f"data of shape {tuple(array.shape)} are neither points (n, d) nor images (n, channels, height, width); "
                "for grey images add the channel axis: x[:, None]"
            )
        if array.ndim in (4, 5) and array.shape[1] not in (1, 3, 4):
            raise ShapeMismatch(
                f"images have 1, 3 or 4 channels on the axis after n, got shape {tuple(array.shape)}; "
                "channels-last images need x.transpose(0, 3, 1, 2)"
            )
        if array.ndim > 5 or array.ndim == 0:
            raise ShapeMismatch(f"data must have 1 to 5 axes (n first), got shape {tuple(array.shape)}")
        integer = _is_integer(array)
        form: Form = "frame" if names is not None else ("array" if isinstance(x, np.ndarray) else "tensor")
        if kind == "points":
            lows, highs = _ranges(array)
            kinds = _column_kinds(x, array)
            columns = tuple(Column(names[i] if names else "", kind, float(lows[i]), float(highs[i])) for i, kind in enumerate(kinds))
            low, high = (float(lows.min()), float(highs.max())) if array.shape[1] else (0.0, 0.0)
            space = cls(kind, tuple(array.shape[1:]), columns, low, high, integer, form)
        else:
            low, high = _levels(array, integer)
            space = cls(kind, tuple(array.shape[1:]), (), low, high, integer, form)
        return replace(space, **facts) if facts else space

    @classmethod
    def labels(cls, categories: Sequence[str], name: str = "label") -> Space:
        """The space of one categorical label, stored as codes 0..K-1 of shape ()."""
        column = Column(name, "categorical", 0, len(categories) - 1, categories=tuple(str(c) for c in categories))
        return cls("points", (), (column,), 0, len(categories) - 1, True)

    # ---------------------------------------------------------------------------------------------- asking it

    @property
    def size(self) -> int:
        """How many numbers make one observation; a free size is a ShapeMismatch."""
        total = 1
        for length in self.shape:
            if length is None:
                raise ShapeMismatch(f"{self} has a free size; give the images one size first (size=64, fit='crop')")
            total *= length
        return total

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each coordinate of a point; x0, x1, … where the data had none."""
        return tuple(c.name or f"x{i}" for i, c in enumerate(self.columns))

    @property
    def categorical(self) -> bool:
        """Whether any coordinate is a category."""
        return any(c.kind == "categorical" for c in self.columns)

    @property
    def is_label(self) -> bool:
        """Whether this is the space of a single label."""
        return self.shape == () and self.categorical

    def axis(self, name: str | int | np.integer[Any]) -> int:
        """The position of a coordinate named by its column, x-number or position.

        A name goes before a position: where a column is called '2019' (or '0'), both '2019' and 2019 mean that column.
        """
        names, text = self.names, str(name)
        if text in names:
            return names.index(text)
        if text.isdecimal() and int(text) < len(names):
            return int(text)
        some = f"{', '.join(names[:20])}{', …' if len(names) > 20 else ''}"
        raise ShapeMismatch(f"no axis {text[:100]!r} in {self}; its axes are {some}")

    def __str__(self) -> str:
        shape = "×".join("any" if s is None else str(s) for s in self.shape) or "1"
        if self.is_label:
            return f"label of {len(self.columns[0].categories)} categories"
        if self.kind == "points":
            named = [c.name for c in self.columns if c.name]
            shown = f" ({', '.join(named[:6])}{', …' if len(named) > 6 else ''})" if named else ""
            return f"points in {shape} dimension{'s' if shape != '1' else ''}{shown}"
        levels = f", levels {self.low:g}..{self.high:g}" if self.integer else f", values {self.low:g}..{self.high:g}"
        prepared = f", {self.preparation}" if self.preparation else ""
        return f"{self.kind} of {shape}{levels}{prepared}"

    # ---------------------------------------------------------------------------------------------- data in, data out

    def conform(self, x: Any, *, what: str = "the data", dtype: torch.dtype | None = None, missing: bool = True) -> Tensor:
        """Data of this space as a floating tensor (n, *shape) in the user's units.

        Data frames are matched by column name, categories become codes, one observation without its leading axis is
        accepted as n = 1 for images. Labels become codes (int64): see `labels.codes` for what a number means. Whole
        numbers that float32 does not hold come as float64. Raises ShapeMismatch naming what differs, and without `missing`
        BadSource naming the first row and column that hold NaN.
        """
        if self.is_label:
            return labels.codes(x, self.columns[0].categories, what)
        x = rows_in(x, self)
        if is_frame(x):
            x = self._from_frame(as_frame(x), what)
        array = self._channels_first(tensor_over(as_array(x)))
        if array.ndim == 1 and len(self.shape) == 1:
            array = array[None] if self.shape[0] == array.shape[0] and self.shape[0] != 1 else array[:, None]
        if array.ndim == len(self.shape) and array.ndim >= 3:
            array = array[None]
        self._check_shape(tuple(array.shape), what)
        self._check_levels(array, what)
        if not missing:
            self.refuse_missing(array, what)
        return floating(array) if dtype is None else array.to(dtype)

    def _channels_first(self, array: Tensor) -> Tensor:
        """Images in the layout in which the space's data came, with their channels where the space has them."""
        layout, own = self.extra.get("layout"), len(self.shape)
        if layout == "no channel axis" and array.ndim in (own - 1, own) and tuple(array.shape[1 - own :]) == self.shape[1:]:
            return array.unsqueeze(-own)
        if layout == "channels last" and array.ndim in (own, own + 1) and tuple(array.shape[-own:]) == (*self.shape[1:], self.shape[0]):
            return array.movedim(-1, -own)
        return array

    def refuse_infinite(self, array: Tensor, what: str = "the data", *, first: int = 0) -> None:
        """Raise BadSource naming row and column of the first infinity in rows (n, *shape), the first of which is row `first`."""
        if array.dtype.is_floating_point and bool((infinite := torch.isinf(array)).any()):
            raise BadSource(
                f"{what}: {self._first(infinite, first)} is infinite; expected finite numbers: leave such rows out, or replace the values"
            )

    def refuse_missing(self, array: Tensor, what: str = "the data", *, first: int = 0) -> None:
        """Raise BadSource naming row and column of the first NaN in rows (n, *shape), the first of which is row `first`."""
        if array.dtype.is_floating_point and bool((gone := torch.isnan(array)).any()):
            rows = int(gone.flatten(1).any(1).sum())
            more = f" ({rows} such rows in all)" if rows > 1 else ""
            takers = ", ".join(accepting("missing"))
            raise BadSource(
                f"{what}: {self._first(gone, first)} is missing (NaN){more}; leave such rows out, fill the values in, "
                f"or use a model that takes missing values{f' ({takers})' if takers else ''}"
            )

    def _first(self, marked: Tensor, start: int) -> str:
        """Row and column of the first marked value in rows (n, *shape), the first of which is row `start`."""
        row, *place = (int(i) for i in marked.nonzero()[0])
        where = f"column {self.names[place[0]]!r}" if self.columns and place else f"value {tuple(place)}"
        return f"row {start + row}, {where}"

    def _check_shape(self, shape: tuple[int, ...], what: str) -> None:
        fits = len(shape) == len(self.shape) + 1 and all(s is None or s == t for s, t in zip(self.shape, shape[1:]))
        if fits:
            return
        wanted = ", ".join("any" if s is None else str(s) for s in self.shape)
        if self.kind == "points" and len(shape) == 2 and len(self.shape) == 1:
            raise ShapeMismatch(
                f"{what}: expected {self.shape[0]} columns ({self}), got {shape[1]}; pass the columns the model was fitted on"
            )
        raise ShapeMismatch(f"{what}: expected shape (n, {wanted}) for {self}, got {shape}")

    def _check_levels(self, array: Tensor, what: str) -> None:
        if self.kind == "points" or not array.numel():
            return
        if self.integer and array.dtype.is_floating_point and self.high > 2:
            top = float(array.max())
            if 0 < top <= 1 and float(array.min()) >= 0 and bool((array != array.round()).any()):
                raise ShapeMismatch(
                    f"{what}: expected levels {self.low:g}..{self.high:g}, got values in 0..{top:g} that look already divided; "
                    f"pass the levels, or multiply by {self.high:g}"
                )
        if not self.integer and not array.dtype.is_floating_point and self.high <= 1 and float(array.max()) > 2:
            raise ShapeMismatch(
                f"{what}: expected values {self.low:g}..{self.high:g}, got levels up to {float(array.max()):g}; divide by 255 first"
            )

    def as_given(self, codes: Any) -> Any:
        """Label codes (those of a source's y) as `conform` takes them: the numbers themselves where the labels are numbers."""
        return labels.values(codes, self.columns[0].categories) if self.is_label and codes is not None else codes

    def _from_frame(self, frame: Any, what: str) -> NDArray[Any]:
        given = [str(c) for c in frame.columns]
        places: Sequence[int] = range(len(given))
        if any(c.name for c in self.columns):
            known = {n: i for i, n in reversed(list(enumerate(given)))}
            twice = [n for n in self.names if given.count(n) > 1] if len(known) < len(given) else []
            if twice:
                raise ShapeMismatch(f"{what}: several columns are called {twice[0]!r}; expected each name once: rename or drop the others")
            missing = [n for n in self.names if n not in known]
            if missing:
                raise ShapeMismatch(f"{what}: column {missing[0]!r} is missing; expected {_listed(self.names)}, got {_listed(given)}")
            places = [known[n] for n in self.names]
        elif len(given) != len(self.columns):
            raise ShapeMismatch(f"{what}: expected {len(self.columns)} columns, got {len(given)} ({_listed(given)})")
        return frame_numbers(frame, places, self.columns, what)

    def export(self, x: Tensor) -> Any:
        """A tensor (n, *shape) in the user's units as what came in: data frame, array, uint8 images, or tensor."""
        x = x.detach().to("cpu")
        if self.kind != "points":
            return self._export_levels(x)
        if self.form == "frame":
            return self._to_frame(x)
        if self.integer:
            x = x.round().to(torch.int64)
        return x.numpy() if self.form == "array" else x

    def _export_levels(self, x: Tensor) -> Any:
        x = x.clamp(self.low, self.high)
        if self.integer:
            x = x.round().to(torch.uint8 if self.low >= 0 and self.high <= 255 else torch.int64)
        return x if self.form == "tensor" else x.numpy()

    def _to_frame(self, x: Tensor) -> Any:
        import pandas

        values = x.numpy()
        return pandas.DataFrame({name: restored(values[:, i], c) for i, (name, c) in enumerate(zip(self.names, self.columns))})

    # ---------------------------------------------------------------------------------------------- storing it

    def to_json(self) -> dict[str, Any]:
        """Plain JSON content; `from_json` reads it back."""
        content = dict(vars(self))
        content.update(extra=dict(self.extra), columns=[dict(vars(c)) for c in self.columns])
        for column in content["columns"]:
            column["low"], column["high"] = _finite(column["low"]), _finite(column["high"])
        content["low"], content["high"] = _finite(self.low), _finite(self.high)
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Space:
        """The space that `to_json` wrote."""
        fields = dict(content)
        columns = tuple(
            Column(**{**c, "categories": tuple(c["categories"]), "low": _unbounded(c["low"], -1), "high": _unbounded(c["high"], 1)})
            for c in fields.pop("columns")
        )
        low, high = _unbounded(fields.pop("low"), -1), _unbounded(fields.pop("high"), 1)
        return cls(**{**fields, "shape": tuple(fields["shape"]), "columns": columns, "low": low, "high": high})


def as_array(x: Any) -> Any:
    """x as a numeric numpy array (memory maps stay mapped) or the tensor it is; InvalidKind for anything else.

    Masked entries are missing: they become NaN.
    """
    if is_frame(x):
        frame = as_frame(x)
        text = [str(c) for c, dtype in zip(frame.columns, frame.dtypes) if dtype.kind not in "biufc"]
        if text:
            raise InvalidKind(f"column {text[0]!r} holds text; declare it categorical or drop it")
        x = frame.to_numpy()
    return numeric(x)


def column_numbers(series: Any, column: Column, what: str, *, start: int = 0) -> NDArray[Any]:
    """A pandas column as this column's numbers (float64); ShapeMismatch names the column, and the cell, that does not fit.

    `start` is the number of the first row.
    """
    if column.kind == "categorical":
        return as_codes(series, column, what)
    kind = kind_of(series)
    try:
        if kind == "date" and column.unit not in DATE_UNITS:
            raise TypeError("dates")
        return as_numbers(series, column.unit if kind in ("date", "text") else "")
    except (TypeError, ValueError) as error:
        cell = bad_cell(series, start, share=2) if kind == "text" else None
        where = "" if cell is None else f" ({cell[1]!r} in row {cell[0]}, the first being row 0)"
        held = "dates" if kind == "date" else "text"
        raise ShapeMismatch(f"{what}: column {series.name!r} holds {held}{where} where numbers are expected; fix those rows") from error


def frame_numbers(
    frame: Any,
    places: Sequence[int],
    columns: Sequence[Column],
    what: str,
    *,
    start: int = 0,
    series: Callable[[Any, int], Any] | None = None,
) -> NDArray[Any]:
    """The columns of a pandas frame at these places as numbers (n, d), float64; plain numbers as one block, others one by one.

    `series(frame, place)` gives a column, where it is to be read in another way than it stands there.
    """
    dtypes = frame.dtypes.tolist()
    for kind in ("int64", "uint64"):
        block = [place for place in places if dtypes[place] == kind]
        if block:
            warn_of_rounding(frame.iloc[:, block].to_numpy())
    for place in places:
        if str(dtypes[place]) in ("Int64", "UInt64", "int64[pyarrow]", "uint64[pyarrow]"):
            warn_of_rounding(frame.iloc[:, place].dropna().to_numpy(dtype=str(dtypes[place]).lower().removesuffix("[pyarrow]")))
    plain = [i for i, (place, column) in enumerate(zip(places, columns)) if is_plain(dtypes[place]) and column.kind != "categorical"]
    if len(plain) == len(dtypes) and list(places) == list(range(len(dtypes))):
        return np.array(frame.to_numpy(dtype=np.float64))
    table = np.empty((len(frame), len(columns)))
    if plain:
        table[:, plain] = frame.iloc[:, [places[i] for i in plain]].to_numpy(dtype=np.float64)
    for i in sorted(set(range(len(columns))) - set(plain)):
        column = frame.iloc[:, places[i]] if series is None else series(frame, places[i])
        table[:, i] = column_numbers(column, columns[i], what, start=start)
    return table


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "")


def _is_integer(array: Any) -> bool:
    return not array.dtype.is_floating_point if isinstance(array, Tensor) else array.dtype.kind in "biu"


def _column_kinds(x: Any, array: Any) -> list[Literal["continuous", "integer"]]:
    whole = [dtype.kind in "biu" for dtype in x.dtypes] if is_frame(x) else [_is_integer(array)] * array.shape[1]
    return ["integer" if each else "continuous" for each in whole]


def _ranges(array: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Smallest and largest value of each column, ignoring NaN, block by block.

    Of large data only evenly spread blocks are read: ranges are what was seen, and reading all could take longer than the fit.
    """
    d = array.shape[1]
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    rows = max(1, RANGE_BLOCK // max(1, d))
    starts = range(0, len(array), rows)
    if len(starts) > RANGE_BLOCKS:
        starts = range(0, len(array), len(array) // RANGE_BLOCKS)
    for start in starts:
        block = array[start : start + rows]
        block = np.asarray(floating(block).cpu() if isinstance(block, Tensor) else block)
        if block.size:
            smallest, largest = block.min(0).astype(np.float64), block.max(0).astype(np.float64)
            if np.isnan(smallest).any():  # the slower way, which passes NaN over
                smallest, largest = np.fmin.reduce(block, 0), np.fmax.reduce(block, 0)
            low, high = np.fmin(low, smallest), np.fmax(high, largest)
    return low, high


def _levels(array: Any, integer: bool) -> tuple[float, float]:
    """The range of an image's values: 0..255 for bytes (0..1 if they are all 0 or 1), 0..1 or -1..1 for fractions, else what is seen."""
    lows, highs = _ranges(array.reshape(len(array), -1))
    low, high = float(lows.min()), float(highs.max())
    if array.dtype in (torch.uint8, np.dtype("uint8")):
        return 0.0, 1.0 if high == 1 else 255.0
    if integer:
        return min(low, 0.0), high
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (-1.0, 1.0) if low >= -1 and high <= 1 else (low, high)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _unbounded(value: float | None, sign: int) -> float:
    return sign * float("inf") if value is None else value
