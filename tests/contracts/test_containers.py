"""Rows and labels in the containers that people hold them in:
each is read as the plain array would be, or refused in one line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import pushforward as pf
from pushforward.core.fit_source import as_source

X = np.arange(12.0).reshape(6, 2) ** 1.5


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.array([1, 2] * 5, dtype=object), np.array([1, 2] * 5)),
        (np.array([1, None, 2.5], dtype=object), np.array([1, np.nan, 2.5])),
        (
            [np.ma.array([1.0, 2], mask=[0, 1]), np.ma.array([1.0, 2])],
            np.array([[1, np.nan], [1, 2]]),
        ),
        (pa.array([1.0, 2, 4]), np.array([1.0, 2, 4])),
        (pa.array([1.0, None, 4]), np.array([1.0, np.nan, 4])),
        (pa.chunked_array([[1.0, 2], [4.0]]), np.array([1.0, 2, 4])),
        (pd.Series([1.0, 2, 4], name="a"), np.array([1.0, 2, 4])),
        (torch.imag(torch.tensor([1 + 2j, 3 - 1j]).conj()), np.array([-2.0, 1])),
    ],
)
def test_rows_are_those_of_the_plain_array(given: Any, plain: Any) -> None:
    found = as_source(given)
    rows = found.take(torch.arange(len(found))).x.double().numpy()
    np.testing.assert_array_equal(rows, plain.reshape(len(plain), -1))
    seen = found.space.conform(given, what="x").double().numpy()
    np.testing.assert_array_equal(seen, rows)


LETTERS = list("abcabc")
HELD = [
    iter(LETTERS),
    (c for c in LETTERS),
    pa.array(LETTERS),
    pa.chunked_array([LETTERS[:3]] * 2),
    pd.DataFrame({"l": LETTERS}),
]


@pytest.mark.parametrize("y", HELD, ids=lambda y: type(y).__name__)
def test_labels_are_those_of_the_plain_list(y: Any) -> None:
    again = y if hasattr(y, "shape") or hasattr(y, "to_pylist") else list("abcabc")
    found = as_source(X, y)
    assert found.condition_space is not None
    assert found.condition_space.columns[0].categories == ("a", "b", "c")
    assert found.condition_space.conform(again).tolist() == [0, 1, 2, 0, 1, 2]


def test_fractions_as_objects_are_quantities() -> None:
    y = np.array([0.5, 1.5, 2.5] * 2, dtype=object)
    space = as_source(X, y).condition_space
    assert space is not None
    assert not space.is_label
    assert space.conform(y).flatten().tolist() == y.tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: pf.Gaussian().fit(X).sample(10**30),
        lambda: pf.Trainer(seed=None),  # type: ignore[arg-type]
        lambda: (
            pf.Gaussian()
            .fit(pd.DataFrame(X, columns=["a", "b"]))
            .log_prob(pd.DataFrame(np.ones((2, 3)), columns=["a", "b", "a"]))
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(wrong: Callable[[], Any]) -> None:
    with pytest.raises(pf.PushforwardError, match=r"at most|whole number|several columns"):
        wrong()
