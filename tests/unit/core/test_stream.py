"""Sources that are read in order: rows, spaces, labels, weights, and how much is in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.core.source import peek

X = np.random.default_rng(0).normal(size=(1000, 3))


def in_blocks(*columns: Any, size: int = 64) -> Callable[[], Iterator[Any]]:
    """A function for a stream of the columns."""

    def blocks() -> Iterator[Any]:
        for start in range(0, len(columns[0]), size):
            parts = tuple(column[start : start + size] for column in columns)
            yield parts if len(parts) > 1 else parts[0]

    return blocks


def test_a_stream_has_the_rows_of_the_array() -> None:
    stream, array = pf.Stream(in_blocks(X)), pf.read(X)
    assert not stream.resident
    assert stream.known_length is None
    assert len(stream) == stream.known_length == 1000
    assert stream.space.shape == (3,)
    for rows in ([0], [999], [5, 4, 3], [10, 10, 700, 2], list(range(130, 200)), []):
        taken = stream.take(torch.tensor(rows, dtype=torch.int64))
        assert torch.equal(
            taken.x, array.take(torch.tensor(rows, dtype=torch.int64)).x.to(taken.x)
        ), rows
    assert torch.equal(peek(stream, 9).x, torch.from_numpy(X[:9]))


def test_rows_that_ascend_are_read_on_and_not_from_the_beginning() -> None:
    began = []

    def counted() -> Iterator[Any]:
        began.append(1)
        yield from in_blocks(X)()

    stream = pf.Stream(counted, length=1000)
    before = len(began)
    for start in range(0, 1000, 50):
        stream.take(torch.arange(start, start + 50))
    assert len(began) == before + 1
    stream.take(torch.tensor([3]))
    assert len(began) == before + 2


def test_labels_and_weights_come_along() -> None:
    y = np.array(["b", "a", "c"])[np.arange(1000) % 3]
    w = np.arange(1000) % 4 + 0.5
    batch = pf.Stream(in_blocks(X, y, w)).take(torch.tensor([0, 1, 999]))
    array = pf.Arrays(X, y, w).take(torch.tensor([0, 1, 999]))
    assert batch.y is not None
    assert batch.weights is not None
    assert torch.equal(batch.y, array.y)  # type: ignore[arg-type]
    assert torch.equal(batch.weights, array.weights)  # type: ignore[arg-type]
    numbers = pf.Stream(in_blocks(X, np.arange(1000) % 3 + 7))
    assert numbers.take(torch.tensor([0, 1, 2, 3])).y.tolist() == [0, 1, 2, 0]  # type: ignore[union-attr]
    assert numbers.unlabelled().take(torch.tensor([4])).y is None


def test_single_observations_are_read_as_a_stream() -> None:
    def rows() -> Iterator[Any]:
        yield from zip(X, np.arange(1000) % 2)

    stream = pf.read(rows, stream=True)
    assert len(stream) == 1000
    assert stream.name == "rows"  # type: ignore[attr-defined]
    assert torch.equal(stream.take(torch.tensor([600])).x[0], torch.from_numpy(X[600]))
    assert stream.take(torch.tensor([601])).y.tolist() == [1]  # type: ignore[union-attr]
    assert pf.Gaussian().fit(stream).space is not None  # its labels were not asked for
    assert pf.read(rows, stream=True, label=False).condition_space is None


@pytest.mark.parametrize("how", ["pass", "look", "count"])
def test_one_block_at_a_time_is_in_memory(how: str) -> None:
    alive, most = [0], [0]

    def blocks() -> Iterator[Any]:
        for _ in range(200):
            block = np.random.default_rng(1).normal(size=(500, 4))
            alive[0] += 1
            weakref.finalize(block, lambda: alive.__setitem__(0, alive[0] - 1))
            most[0] = max(most[0], alive[0])
            yield block

    stream = pf.Stream(blocks)
    if how == "count":
        len(stream)
    elif how == "look":
        stream.take(torch.tensor([0, 99_999]))
    else:
        pf.Gaussian().fit(stream)
    assert most[0] <= 4


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (
            lambda: pf.Stream(X),
            pf.InvalidKind,
            "a stream takes a function that returns a new iterator for every pass",
        ),  # type: ignore[arg-type]
        (lambda: pf.Stream(lambda: iter(())), pf.BadSource, "the stream yielded no rows"),
        (lambda: pf.Stream(in_blocks(X), length=0), pf.InvalidValue, "length"),
        (lambda: pf.Stream(in_blocks(X), shuffle=0), pf.InvalidValue, "shuffle"),
        (
            lambda: pf.Stream(in_blocks(X), length=3, endless=True),
            pf.InvalidValue,
            "an endless stream has no length",
        ),
        (
            lambda: len(pf.Stream(in_blocks(X), endless=True)),
            pf.BadSource,
            "give a budget in steps, samples or minutes",
        ),
        (
            lambda: pf.Stream(in_blocks(X), length=2000).take(torch.tensor([1500])),
            pf.BadSource,
            "the stream ended before row 1500",
        ),
        (lambda: pf.read(X, stream=True), pf.InvalidKind, "stream=True takes a function"),
        (
            lambda: pf.read(in_blocks(X), stream=True, weights=X[:, 0]),
            pf.InvalidValue,
            "weights is not for streams",
        ),
        (
            lambda: pf.Stream(lambda: iter([X, X[:, :2]])).take(torch.tensor([1500])),
            pf.ShapeMismatch,
            "expected 3 columns",
        ),
    ],
)
def test_what_is_no_stream_is_refused(make: Callable[[], Any], kind: type, message: str) -> None:
    with pytest.raises(kind) as error:
        make()
    assert message in str(error.value)
