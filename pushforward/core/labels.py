"""Labels as codes, and codes as labels.

The categories of a label are texts c_0, …, c_{K-1};
a model knows their codes 0..K-1. What a caller passes is read by value:

* a text is the category of that name;
* a whole number is the category of that number where all categories are whole numbers: with labels
  3, 7 and 9, `y=7` is the label 7, whatever its code. With labels 0..K-1 number and code are the
  same;
* where categories have names ('cat', 'dog'), a whole number is a code 0..K-1.

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
    given = to_array(y)
    if given.ndim != 1:
        raise ShapeMismatch(f"{what}: expected labels of shape (n,), got {tuple(given.shape)}")
    refuse_missing(given, what, ShapeMismatch)
    found = (
        _codes_of_texts(given, categories, what)
        if given.dtype.kind in "OUST"
        else _codes_of_numbers(given, categories, what)
    )
    tensor = torch.from_numpy(np.ascontiguousarray(found))
    return tensor.to(y.device) if isinstance(y, Tensor) else tensor


def to_values(given: ArrayOrTensor, categories: Sequence[str]) -> ArrayOrTensor:
    """Codes as `to_codes` reads them: the numbers themselves where
    all categories are whole numbers, else unchanged.
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
    """The categories present, in order (numbers by size,
    texts by letters), and the codes (n,) of y.

    Raises:
        BadSource: For missing labels.
    """
    given = to_array(y)
    refuse_missing(given, what, BadSource)
    if given.dtype.kind in "OUST":
        texts = np.array([_text(v) for v in given.tolist()], dtype=object)
        numeric = given.dtype.kind == "O" and not any(
            isinstance(v, (str, bytes)) for v in given.tolist()
        )
        names: list[str] = sorted(set(texts.tolist()), key=_by_size if numeric else None)
        place = {c: i for i, c in enumerate(names)}
        return names, np.array([place[t] for t in texts], dtype=np.int64)
    present, found = np.unique(given, return_inverse=True)
    return [_text(v) for v in present.tolist()], found.astype(np.int64).reshape(-1)


def to_array(y: object) -> NDArray[Any]:
    """Labels as an array (n,): one label becomes an array of one, a column (n, 1) loses its second
    axis, masked ones become None.
    """
    if isinstance(y, Tensor):
        given: Any = y.detach().cpu().resolve_neg()
        given = (given.float() if given.dtype in (torch.bfloat16, torch.float16) else given).numpy()
    elif hasattr(y, "to_pylist"):  # Arrow's, whose to_numpy refuses texts
        given = _list_to_array(y.to_pylist())
    elif hasattr(y, "to_numpy"):
        given = y.to_numpy()
    elif isinstance(y, (list, tuple)):
        given = _list_to_array(y)
    else:
        given = y if isinstance(y, np.ndarray) else np.asarray(y)
    if isinstance(given, np.ma.MaskedArray):
        mask, given = (
            np.ma.getmaskarray(given),
            given.data.astype(object) if np.ma.is_masked(given) else given.data,
        )
        if mask.any():
            given[mask] = None
    given = _fractions_to_float(np.atleast_1d(np.asarray(given)))
    column: NDArray[Any] = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    return column


def _fractions_to_float(given: NDArray[Any]) -> NDArray[Any]:
    """Objects that are numbers, some of them fractions, as float64:
    these are quantities, not categories.
    """
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
    """A list as an array that keeps what its entries are:
    NumPy would turn ['a', None] and [True, 'b'] into texts.
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
            " it in or leave those rows out"
        )


def _is_missing(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return (isinstance(value, (str, bytes)) and not value.strip()) or bool(value != value)


def _text(value: object) -> str:
    """A label's name: whole numbers without a point, so that 3 and 3.0 are one label."""
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
    """Whether every category is a whole number, written as such."""
    try:
        return all(str(int(c)) == c for c in categories)
    except ValueError:
        return False


def _numbers(categories: Sequence[str]) -> NDArray[np.int64] | None:
    """The whole numbers that the categories are (K,); None where one does not fit 64 bits."""
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
        f"{what}: label {_text(value)[:60]!r} is none of those known here:"
        f" {_examples(categories)}{count}; leave such rows out"
    )


def _examples(categories: Sequence[str]) -> str:
    return ", ".join(categories[:10]) + (", …" if len(categories) > 10 else "")
