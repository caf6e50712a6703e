"""Labels as codes, and codes as labels.

The categories of a label are texts c_0, …, c_{K-1}; a model uses their codes 0..K-1. Labels passed
by the caller are matched by value:

* a text means the category of that name;
* a whole number means the category of that number if all categories are whole numbers: with labels
  3, 7 and 9, `y=7` is the label 7, whatever its code. With labels 0..K-1 number and code are the
  same;
* if categories have names ('cat', 'dog'), a whole number is a code 0..K-1.

None, NaN, NaT and '' are missing labels, never categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.core.data_types import ArrayOrTensor
from pushforward.core.errors import BadSource, ShapeMismatch

__all__ = ["to_codes", "to_values", "find_categories", "to_array", "refuse_missing"]


def to_codes(y: object, categories: Sequence[str], what: str = "y") -> Tensor:
    """Codes (n,), int64, of labels given by name or number; one label is n = 1.

    Raises:
        ShapeMismatch: Names a label that is not known.
    """
    labels = to_array(y)
    if labels.ndim != 1:
        raise ShapeMismatch(f"{what}: expected labels of shape (n,), got {tuple(labels.shape)}")
    refuse_missing(labels, what, ShapeMismatch)
    result = (
        _codes_of_texts(labels, categories, what)
        if labels.dtype.kind in "OUST"
        else _codes_of_numbers(labels, categories, what)
    )
    tensor = torch.from_numpy(np.ascontiguousarray(result))
    return tensor.to(y.device) if isinstance(y, Tensor) else tensor


def to_values(given: ArrayOrTensor, categories: Sequence[str]) -> ArrayOrTensor:
    """Codes as `to_codes` accepts them.

    They are numbers if all categories are whole numbers, else unchanged.
    """
    if not _are_numbers(categories):
        return given
    numbers = _numbers(categories)
    if numbers is None:
        texts: NDArray[Any] = np.array(categories, dtype=object)[np.asarray(given)]
        return texts
    if np.array_equal(numbers, np.arange(len(numbers))):
        return given
    tensor = given if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))
    return torch.from_numpy(numbers).to(tensor.device)[tensor.to(torch.int64)]


def find_categories(y: object, what: str = "y") -> tuple[list[str], NDArray[np.int64]]:
    """The categories in y in order (numbers by size, texts alphabetically), and its codes (n,).

    Raises:
        BadSource: For missing labels.
    """
    labels = to_array(y)
    refuse_missing(labels, what, BadSource)
    if labels.dtype.kind in "OUST":
        texts = np.array([_text(v) for v in labels.tolist()], dtype=object)
        numeric = labels.dtype.kind == "O" and not any(
            isinstance(v, (str, bytes)) for v in labels.tolist()
        )
        names: list[str] = sorted(set(texts.tolist()), key=_by_size if numeric else None)
        place = {c: i for i, c in enumerate(names)}
        return names, np.array([place[t] for t in texts], dtype=np.int64)
    present, indices = np.unique(labels, return_inverse=True)
    return [_text(v) for v in present.tolist()], indices.astype(np.int64).reshape(-1)


def to_array(y: object) -> NDArray[Any]:
    """Labels as an array (n,).

    A single label has n = 1, a column (n, 1) is flattened, masked entries are None.
    """
    if isinstance(y, Tensor):
        array: Any = y.detach().cpu().resolve_neg()
        array = (array.float() if array.dtype in (torch.bfloat16, torch.float16) else array).numpy()
    elif hasattr(y, "to_pylist"):  # Arrow arrays, whose to_numpy refuses text
        array = _list_to_array(y.to_pylist())
    elif hasattr(y, "to_numpy"):
        array = y.to_numpy()
    elif isinstance(y, (list, tuple)):
        array = _list_to_array(y)
    else:
        array = y if isinstance(y, np.ndarray) else np.asarray(y)
    if isinstance(array, np.ma.MaskedArray):
        mask, array = (
            np.ma.getmaskarray(array),
            array.data.astype(object) if np.ma.is_masked(array) else array.data,
        )
        if mask.any():
            array[mask] = None
    array = _fractions_to_float(np.atleast_1d(np.asarray(array)))
    column: NDArray[Any] = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    return column


def _fractions_to_float(given: NDArray[Any]) -> NDArray[Any]:
    """Objects that are numbers, some fractional, as float64: quantities, not categories."""
    if given.dtype.kind != "O" or not any(
        isinstance(v, float) and v % 1 for v in given.ravel().tolist()
    ):
        return given
    numbers = all(
        isinstance(v, (int, float, np.number)) and not isinstance(v, bool) and v == v
        for v in given.ravel().tolist()
    )
    return given.astype(np.float64) if numbers else given


def _list_to_array(y: Sequence[Any]) -> NDArray[Any]:
    """A list as an array that keeps the types of its entries.

    NumPy would turn ['a', None] into text.
    """
    if any(isinstance(v, (str, bytes)) or v is None for v in y):
        array = np.empty(len(y), dtype=object)
        array[:] = y
        return array
    return np.asarray(y)


def refuse_missing(given: NDArray[Any], what: str, error: type[Exception]) -> None:
    """Raise where labels are missing: None, NaN, NaT or ''."""
    if given.dtype.kind in "iub":
        return
    if given.dtype.kind == "f":
        gone = int(np.isnan(given).sum())
    else:
        gone = sum(_is_missing(v) for v in given.tolist())
    if gone:
        raise error(
            f"{what}: the label is missing (None, NaN or '') in {gone} of {len(given)} rows; fill"
            " in the labels or drop those rows"
        )


def _is_missing(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return (isinstance(value, (str, bytes)) and not value.strip()) or bool(value != value)


def _text(value: object) -> str:
    """A label's name; whole numbers have no decimal point, so that 3 and 3.0 are one label."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return (
        str(int(value))
        if isinstance(value, (float, np.floating)) and float(value).is_integer()
        else str(value)
    )


def _by_size(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _are_numbers(categories: Sequence[str]) -> bool:
    """Whether every category is a whole number, written as one."""
    try:
        return all(str(int(c)) == c for c in categories)
    except ValueError:
        return False


def _numbers(categories: Sequence[str]) -> NDArray[np.int64] | None:
    """The categories as whole numbers (K,); None if one exceeds 64 bits."""
    try:
        return np.array([int(c) for c in categories], dtype=np.int64)
    except OverflowError:
        return None


def _codes_of_texts(given: NDArray[Any], categories: Sequence[str], what: str) -> NDArray[np.int64]:
    place = {c: i for i, c in enumerate(categories)}
    found = [place.get(_text(v), -1) for v in given.tolist()]
    numeric = _are_numbers(categories)
    for i, value in enumerate(given.tolist()):
        if found[i] < 0 and isinstance(value, int) and not numeric and 0 <= value < len(categories):
            found[i] = int(value)
    if -1 in found:
        raise _unknown_label(given[found.index(-1)], categories, what)
    return np.array(found, dtype=np.int64)


def _codes_of_numbers(
    given: NDArray[Any], categories: Sequence[str], what: str
) -> NDArray[np.int64]:
    if given.dtype.kind == "b" and set(categories) <= {"True", "False"}:
        return _codes_of_texts(given.astype(object), categories, what)
    if given.dtype.kind not in "iubf":
        raise ShapeMismatch(
            f"{what}: expected labels by name or number ({_examples(categories)}), got"
            f" {given.dtype}"
        )
    numbers = _numbers(categories) if _are_numbers(categories) else np.arange(len(categories))
    if numbers is None:
        return _codes_of_texts(given.astype(object), categories, what)
    order = np.argsort(numbers, kind="stable")
    place = np.searchsorted(numbers[order], given).clip(0, max(len(numbers) - 1, 0))
    known = numbers[order][place] == given if len(numbers) else np.zeros(len(given), bool)
    if not known.all():
        raise _unknown_label(given[~known][0], categories, what)
    codes: NDArray[np.int64] = order[place].astype(np.int64)
    return codes


def _unknown_label(value: object, categories: Sequence[str], what: str) -> ShapeMismatch:
    count = (
        f" (by name or as codes 0..{len(categories) - 1})" if not _are_numbers(categories) else ""
    )
    return ShapeMismatch(
        f"{what}: label {_text(value)[:60]!r} is unknown; the model has"
        f" {_examples(categories)}{count}; drop those rows"
    )


def _examples(categories: Sequence[str]) -> str:
    return ", ".join(categories[:10]) + (", …" if len(categories) > 10 else "")
