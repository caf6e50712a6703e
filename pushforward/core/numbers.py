"""Conversion of foreign numbers and arrays: the one place that decides what counts as numeric.

`to_python` turns NumPy's and torch's scalars into Python's, so that they can be settings and be
written to JSON. `to_numeric` accepts arrays and tensors of every dtype and layout, or raises with a
one-line reason. `to_floating` converts integers to a float type that holds them: float32 for small
ones (8 and 16 bits), float64 for all others, so that nothing is rounded before a model has centred
and scaled it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.data_types import ArrayOrTensor
from pushforward.core.errors import DataWarning, InvalidKind, InvalidValue, quote
from pushforward.core.scalars import PlainSettings, normalise_settings, to_python

__all__ = [
    "PlainSettings",
    "to_python",
    "normalise_settings",
    "require_whole",
    "is_sparse",
    "to_numeric",
    "to_float64",
    "view_as_tensor",
    "warn_of_rounding",
    "to_floating",
]

SMALL = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16)
"""Types whose values float32 holds exactly."""
PLAIN = (np.dtype(np.float64), np.dtype(np.float32))
"""Types of arrays that need no conversion."""
LOW = (torch.float16, torch.bfloat16)
_ROUNDED = (
    "integers beyond 2^53 are rounded to the nearest value float64 can hold; subtract an offset"
    " first, such as x.min()"
)


def require_whole(value: object, name: str, *, least: int = 0) -> int:
    """A whole number of at least `least`.

    Raises:
        InvalidKind: For anything that is not a number, including True.
        InvalidValue: For other numbers.
    """
    number = to_python(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise InvalidKind(
            f"{name} must be a whole number, got {str(repr(number))[:60]}; pass"
            f" {name}={max(least, 1)}, say"
        )
    if isinstance(number, float) or number < least:
        raise InvalidValue(
            f"{name} must be a whole number of at least {least}, got {str(number)[:60]}; pass"
            f" {name}={max(least, 1)}, say"
        )
    return number


def is_sparse(x: object) -> bool:
    """Whether x is a SciPy sparse matrix or array, without importing SciPy."""
    return hasattr(x, "toarray") and hasattr(x, "nnz")


def to_numeric(x: object, what: str = "data") -> ArrayOrTensor:
    """x as a NumPy array or a (detached, dense) tensor of real numbers that torch can hold.

    Memory maps stay mapped, and arrays of the machine's own byte order are not copied. `longdouble`
    becomes float64, and masked entries NaN.

    Raises:
        InvalidKind: For anything else.
    """
    if isinstance(x, Tensor):
        if x.layout != torch.strided:
            raise InvalidKind(f"{what} must be dense, got a sparse tensor; pass x.to_dense()")
        if x.device.type == "meta":
            raise InvalidKind(
                f"{what} must hold numbers, got a tensor on the device 'meta', which has none; make"
                " it on 'cpu'"
            )
        if x.is_complex():
            raise InvalidKind(
                f"{what} must be real numbers, got {x.dtype}; pass real and imaginary parts as"
                " columns"
            )
        if x.is_quantized:
            raise InvalidKind(f"{what} must be plain numbers, got {x.dtype}; pass x.dequantize()")
        return x.detach().resolve_neg()
    if type(x) is np.ndarray and x.dtype in PLAIN:
        return x
    if is_sparse(x):
        raise InvalidKind(
            f"{what} must be dense, got a sparse {type(x).__name__}; pass x.toarray()"
        )
    if isinstance(x, (list, tuple)) and any(isinstance(v, np.ma.MaskedArray) for v in x):
        x = np.ma.array(x)  # keeps the masks of the rows
    array = x if isinstance(x, np.ndarray) else np.asarray(x)
    if isinstance(x, (list, tuple)) and array.dtype.kind == "f":
        _warn_of_integers_in(x, array)
    if isinstance(array, np.ma.MaskedArray):
        array = _unmask(array)
    if array.dtype.kind == "O":
        array = _convert_objects(array)
    if array.dtype.kind == "c":
        raise InvalidKind(
            f"{what} must be real numbers, got {array.dtype}; pass real and imaginary parts as"
            " columns"
        )
    if array.dtype.kind not in "biuf":
        raise InvalidKind(
            f"{what} must be numbers, got an array of {array.dtype}; bring text columns in a data"
            " frame or CSV, declared categorical"
        )
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def to_float64(given: object, name: str, wanted: str) -> Tensor:
    """A numeric setting (number, list, array, tensor or data frame) as a new float64 tensor.

    Raises:
        InvalidKind: For the rest.
    """
    try:
        if given is None:
            raise TypeError("None is not a number")
        with warnings.catch_warnings():
            # rounding 10**30 in a setting needs no warning
            warnings.simplefilter("ignore", DataWarning)
            return view_as_tensor(
                to_numeric(given.to_numpy() if hasattr(given, "to_numpy") else given, name)
            ).to(torch.float64, copy=True)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InvalidKind(f"{name} must be {wanted}, got {quote(given)}; pass numbers") from error


def _convert_objects(array: NDArray[Any]) -> NDArray[Any]:
    """An object array as numbers if every entry is one (None as NaN), else unchanged."""
    flat = array.ravel().tolist()
    kinds = (bool, int, float, np.bool_, np.integer, np.floating)
    if not flat or not all(v is None or isinstance(v, kinds) for v in flat):
        return array
    numbers = np.asarray([np.nan if v is None else v for v in flat])
    _warn_of_integers_in(flat, numbers)
    return (numbers.astype(np.float64) if numbers.dtype == object else numbers).reshape(array.shape)


def warn_of_rounding(integers: ArrayOrTensor) -> None:
    """Warn if integers beyond 2^53 differ by less than float64 resolves."""
    if len(integers) == 0 or integers.dtype not in (
        np.dtype("int64"),
        np.dtype("uint64"),
        torch.int64,
        torch.uint64,
    ):
        return
    values = integers.numpy() if isinstance(integers, Tensor) else integers
    if not values.size or max(abs(int(values.min())), abs(int(values.max()))) <= 2**53:
        return
    wide = values.astype(np.float64)
    inside = (wide >= -(2.0**63)) & (wide < 2.0 ** (64 if values.dtype.kind == "u" else 63))
    if not inside.all() or bool((wide[inside].astype(values.dtype) != values[inside]).any()):
        warnings.warn(_ROUNDED, DataWarning, stacklevel=2)


def _warn_of_integers_in(values: Sequence[object], array: NDArray[Any]) -> None:
    """`warn_of_rounding` for Python integers that NumPy turned into float64 or objects."""
    if (
        not array.size
        or array.dtype.kind not in "fO"
        or (array.dtype.kind == "f" and not bool((np.abs(array) >= 2**53).any()))
    ):
        return
    given = np.empty(array.shape, object)
    given[...] = values
    if any(
        isinstance(v, (int, np.integer)) and int(v) != int(float(v)) for v in given.ravel().tolist()
    ):
        warnings.warn(_ROUNDED, DataWarning, stacklevel=3)


def _unmask(array: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    """The data of a masked array with NaN for masked entries (integers become float64)."""
    if not np.ma.is_masked(array) or array.dtype.kind not in "biuf":
        return np.asarray(array.data)
    floats = array.astype(array.dtype if array.dtype.kind == "f" else np.float64)
    return np.asarray(np.ma.filled(floats, np.nan))


def view_as_tensor(array: ArrayOrTensor) -> Tensor:
    """A tensor sharing an array's memory if possible.

    Negative strides and unsigned 64-bit integers are copied.

    Unsigned integers beyond int64 become the nearest float64. The array is never written to.
    """
    if isinstance(array, Tensor):
        return array
    if array.dtype == np.uint64 and not isinstance(array, np.memmap):
        beyond = bool(array.size) and array.max() >= 2**63
        if beyond:
            warn_of_rounding(array)
        array = array.astype(np.float64 if beyond else np.int64)
    if any(stride < 0 for stride in array.strides) or not array.flags.aligned:
        # not ascontiguousarray, which keeps the stride of an axis of length 1
        array = array.copy()
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def to_floating(x: Tensor) -> Tensor:
    """x as floats that hold its values.

    Half precision and small integers become float32, other integers float64.
    """
    if x.dtype in LOW or x.dtype in SMALL:
        return x.to(torch.promote_types(torch.get_default_dtype(), torch.float32))
    if x.dtype in (torch.float32, torch.float64):
        return x
    if x.device.type == "cpu" and x.numel():
        warn_of_rounding(x)
    return x.to(torch.float64)
