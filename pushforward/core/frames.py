"""Data frames of any library, and the kinds of their columns.

Pandas, Polars and Arrow tables (anything with named columns and `to_pandas`) become pandas frames
in `as_frame`, and nowhere else. Pandas is imported only once there is a frame.
"""

from __future__ import annotations

from typing import TypeGuard, cast

import numpy as np
from torch import Tensor

from pushforward.core.data_types import Frame, LazyTable, Series
from pushforward.core.errors import (
    InvalidKind,
    MissingExtra,
)

__all__ = ["is_frame", "as_frame", "is_plain", "kind_of"]


def is_frame(x: object) -> bool:
    """Whether x is a table with named columns (pandas, Polars, Arrow). None of them is imported."""
    if isinstance(x, (np.ndarray, Tensor)):
        return False
    if _is_lazy(x) or (hasattr(x, "iloc") and hasattr(x, "columns")):
        return True
    return hasattr(x, "to_pandas") and (hasattr(x, "column_names") or hasattr(x, "columns"))


def _is_lazy(x: object) -> TypeGuard[LazyTable]:
    return hasattr(x, "collect_schema") and hasattr(x, "collect")


def as_frame(x: object) -> Frame:
    """Convert x to a pandas frame with the same columns, names and values.

    Raises:
        MissingExtra: If a conversion needs a package that is absent.
    """
    try:
        if _is_lazy(x):
            x = x.collect()
        return cast(Frame, x.to_pandas() if hasattr(x, "to_pandas") else x)
    except ImportError as error:
        raise MissingExtra(
            error.name or "pyarrow", "tables", f"reading a {type(x).__name__}"
        ) from error


def is_plain(dtype: object) -> bool:
    """Whether a column's dtype is one of NumPy's real number types or bool."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def kind_of(series: Series) -> str:
    """'integer', 'continuous', 'categorical', 'text' or 'date'.

    Raises:
        InvalidKind: For complex numbers.
    """
    from pandas.api import types

    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        return "integer"
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return "continuous"
    if str(dtype) == "category":
        return "categorical"
    if types.is_complex_dtype(dtype):
        raise InvalidKind(
            f"column {series.name!r} holds complex numbers; pass real and imaginary parts as two"
            " columns"
        )
    if types.is_bool_dtype(dtype) or types.is_integer_dtype(dtype):
        return "continuous" if bool(series.isna().any()) else "integer"
    if types.is_numeric_dtype(dtype):
        return "continuous"
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype):
        return "date"
    return _kind_of_objects(series)


def _kind_of_objects(series: Series) -> str:
    from pandas.api import types

    inferred = types.infer_dtype(series, skipna=True)
    if inferred == "complex" or (
        inferred.startswith("mixed")
        and any(isinstance(v, (complex, np.complexfloating)) for v in series)
    ):
        raise InvalidKind(
            f"column {series.name!r} holds complex numbers; pass real and imaginary parts as two"
            " columns"
        )
    if inferred in ("empty", "boolean", "integer", "floating", "mixed-integer-float", "decimal"):
        return "continuous"
    return (
        "date"
        if inferred in ("datetime", "datetime64", "date", "timedelta", "timedelta64")
        else "text"
    )
