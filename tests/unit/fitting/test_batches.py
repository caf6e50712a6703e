"""The order of the data: a function of seed and epoch, every row once,
the same when taken up in the middle.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pushforward.core.array_source import Arrays
from pushforward.core.phase import Batch
from pushforward.core.source import Source
from pushforward.fitting import batches as module
from pushforward.fitting.batches import Batches


class _Counting:
    """A source that notes how many rows, and how far apart, it is asked for at once."""

    def __init__(self, source: Arrays) -> None:
        self.source, self.asked = source, []

    space = property(lambda self: self.source.space)
    condition_space = property(lambda self: self.source.condition_space)
    resident = property(lambda self: self.source.resident)

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: Tensor) -> Batch:
        self.asked.append(rows)
        return self.source.take(rows)


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """107 rows in a memory map, whose blocks are 4 rows and whose chunks are 3 batches of 10."""
    np.save(tmp_path / "x.npy", np.arange(107 * 2, dtype=np.float32).reshape(107, 2))
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 8)
    monkeypatch.setattr(module, "WINDOW_BLOCKS", 3)
    monkeypatch.setattr(module, "CHUNK_BYTES", 30 * 8)
    return Arrays(np.load(tmp_path / "x.npy", mmap_mode="r"), weights=np.arange(1, 108))


@pytest.fixture
def resident() -> Arrays:
    return Arrays(
        torch.arange(107 * 2, dtype=torch.float32).reshape(107, 2), weights=torch.arange(1, 108)
    )


@pytest.fixture(params=["resident", "mapped"])
def source(request: pytest.FixtureRequest) -> Source:
    return request.getfixturevalue(request.param)


def _rows(batch: Batch) -> list[int]:
    return (batch.x[:, 0] / 2).to(torch.int64).tolist()


def test_every_row_comes_once_an_epoch_but_for_the_few_left_over(source: Arrays) -> None:
    batches = Batches(source, 10, seed=0)
    assert batches.steps_per_epoch == 10
    for epoch in range(3):
        seen = [r for b in islice(batches.from_step(epoch * 10), 10) for r in _rows(b)]
        assert len(seen) == len(set(seen)) == 100
        assert seen == batches.order(epoch).tolist()


def test_the_rows_left_over_change_with_the_epoch(source: Arrays) -> None:
    batches = Batches(source, 10, seed=0)
    left = [frozenset(range(107)) - set(batches.order(epoch).tolist()) for epoch in range(4)]
    assert len(set(left)) == 4


def test_the_order_depends_on_seed_and_epoch_alone(source: Arrays) -> None:
    first, again, other = (
        Batches(source, 10, seed=0),
        Batches(source, 10, seed=0),
        Batches(source, 10, seed=1),
    )
    torch.manual_seed(123)
    assert torch.equal(first.order(5), again.order(5))
    assert not torch.equal(first.order(5), first.order(6))
    assert not torch.equal(first.order(5), other.order(5))


@pytest.mark.parametrize("step", [0, 1, 7, 9, 10, 23])
def test_taken_up_in_the_middle_the_batches_are_the_same(step: int, source: Arrays) -> None:
    batches = Batches(source, 10, seed=2)
    whole = [_rows(b) for b in islice(batches.from_step(0), 35)]
    assert [_rows(b) for b in islice(batches.from_step(step), 35 - step)] == whole[step:]
    assert [batches.rows(s).tolist() for s in range(35)] == whole


def test_processes_share_the_batches_of_one(source: Arrays) -> None:
    alone = Batches(source, 10, seed=2)
    parts = [Batches(source, 10, seed=2, rank=r, world=2) for r in (0, 1)]
    for one, *shares in zip(
        islice(alone.from_step(8), 5), *(islice(p.from_step(8), 5) for p in parts)
    ):
        assert sorted(_rows(one)) == sorted(r for s in shares for r in _rows(s))
        assert [len(s.x) for s in shares] == [5, 5]


def test_rows_keep_their_weights(source: Arrays) -> None:
    for batch in islice(Batches(source, 10, seed=0).from_step(0), 12):
        assert batch.weights is not None
        assert (batch.weights - 1).tolist() == _rows(batch)


def test_streamed_data_are_shuffled_within_windows_of_whole_blocks(mapped: Arrays) -> None:
    """12 rows in a window: of three whole blocks, in an order that is not theirs."""
    order = Batches(mapped, 1, seed=0).order(0).tolist()
    assert sorted(order) == list(range(107))
    shuffled = 0
    for at in range(0, 96, 12):
        window = order[at : at + 12]
        if 106 in window or any(r >= 104 for r in window):
            break  # the last, shorter block shifts the windows after it
        assert len({r // 4 for r in window}) == 3
        shuffled += window != sorted(window)
    assert shuffled >= 2
    assert [r // 4 for r in order[::4]] != sorted(r // 4 for r in order[::4])


def test_streamed_data_are_read_in_ascending_chunks_of_bounded_size(mapped: Arrays) -> None:
    source = _Counting(mapped)
    assert isinstance(source, Source)
    list(islice(Batches(source, 10, seed=0).from_step(0), 25))
    read = [rows for rows in source.asked if len(rows) > 1]
    assert len(read) >= 9
    assert all(len(rows) <= 30 and torch.equal(rows, rows.sort().values) for rows in read)


def test_resident_data_are_permuted_whole(resident: Arrays) -> None:
    order = Batches(resident, 1, seed=0).order(0)
    assert len({int(r) // 4 for r in order[:12]}) > 5


def test_rows_are_drawn_by_their_weights(source: Arrays) -> None:
    weights = torch.zeros(len(source))
    weights[3], weights[10], weights[50] = 1.0, 2.0, 5.0
    batches = Batches(source, 10, seed=0, weights=weights)
    assert batches.steps_per_epoch == 10
    drawn = torch.cat([batches.order(epoch) for epoch in range(200)])
    shares = torch.bincount(drawn, minlength=len(source)) / len(drawn)
    assert shares[[3, 10, 50]].tolist() == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.01)
    assert float(shares.sum()) == pytest.approx(1)
    again = Batches(source, 10, seed=0, weights=weights)
    assert [_rows(b) for b in islice(again.from_step(7), 5)] == [
        batches.rows(step).tolist() for step in range(7, 12)
    ]
