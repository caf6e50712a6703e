"""What counts as numbers: arrays of objects, and integers that float64 would round."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.core.errors import DataWarning, InvalidKind
from pushforward.core.numbers import to_float64, to_floating, to_numeric, warn_of_rounding


def objects(*values: Any) -> np.ndarray[Any, Any]:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


@pytest.mark.filterwarnings("ignore:integers beyond")
@pytest.mark.parametrize(
    ("given", "expected", "dtype"),
    [
        (objects(1, 2, 3), [1, 2, 3], np.int64),
        (objects(1, 2.5, 3), [1, 2.5, 3], np.float64),
        (objects(1.0, None, 3), [1, np.nan, 3], np.float64),
        (objects(None, None), [np.nan, np.nan], np.float64),
        (objects(True, False), [1, 0], np.bool_),
        (objects(np.float32(0.5), np.int8(2)), [0.5, 2], np.float32),
        (objects(2**63, -1), [2.0**63, -1], np.float64),
        (objects(10**30, 1), [1e30, 1], np.float64),
        (objects(2**62 + 1, 0), [2**62 + 1, 0], np.int64),
        (objects(1, 2, None, 4).reshape(2, 2), [[1, 2], [np.nan, 4]], np.float64),
        ([[1, None], [2.5, 3]], [[1, np.nan], [2.5, 3]], np.float64),
    ],
    ids=str,
)
def test_objects_are_the_numbers_they_are(given: Any, expected: Any, dtype: Any) -> None:
    found = to_numeric(given)
    np.testing.assert_array_equal(found, np.array(expected))
    assert found.dtype == dtype


@pytest.mark.parametrize(
    "given",
    [objects("a", 1), objects([1], 2), objects(1, {}), objects(1j, 1), objects(b"1", 1)],
    ids=str,
)
def test_objects_that_are_no_numbers_are_refused(given: Any) -> None:
    with pytest.raises(InvalidKind, match=r"must be (real )?numbers"):
        to_numeric(given)


ROUNDED = [
    [2**53 + 1, 0],
    [-(2**53) - 1, 0],
    [2**62 + 1, 2**62 + 2],
    [2**63 - 1, 0],
]
EXACT = [[2**53, -(2**53)], [2**53 + 2, 0], [2**62, 2**62 + 1024], [-(2**63), 0], [0, 1], []]


@pytest.mark.parametrize("kind", ["array", "tensor", "column"])
@pytest.mark.parametrize("values", [*ROUNDED, *EXACT], ids=str)
def test_integers_warn_exactly_where_float64_rounds_them(values: list[int], kind: str) -> None:
    array = np.array(values, dtype=np.int64).reshape((-1, 1) if kind == "column" else (-1,))
    given = torch.from_numpy(array) if kind == "tensor" else array
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_rounding(given)
    assert [w.category for w in caught] == ([DataWarning] if values in ROUNDED else [])
    assert all("subtract an offset first" in str(w.message) for w in caught)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(2**64 - 1, True), (2**63, False), (2**63 + 1, True), (2**64 - 2048, False)],
)
def test_unsigned_integers_too(value: int, rounded: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_rounding(np.array([value, 0], dtype=np.uint64))
    assert bool(caught) is rounded


def test_other_types_are_never_warned_of_and_floating_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_rounding(np.array([1e300, 1.0]))
        warn_of_rounding(np.array([2**31 - 1], dtype=np.int32))
        to_floating(torch.tensor([2**53, 1]))
    with pytest.warns(DataWarning, match="beyond 2\\^53"):
        to_floating(torch.tensor([2**53 + 1]))


def test_floats_given_are_a_copy() -> None:
    given = torch.ones(2, dtype=torch.float64)
    found = to_float64(given, "start", "numbers")
    found[0] = 5
    assert given.tolist() == [1, 1]
    with pytest.raises(InvalidKind, match="start must be three numbers, got None; pass numbers"):
        to_float64(None, "start", "three numbers")
