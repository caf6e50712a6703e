"""Splits by seed."""

import inspect

import numpy as np
import pytest
import torch

from pushforward.core.errors import BadSource, InvalidKind, InvalidValue
from pushforward.data import Split, read, split
from pushforward.data.splits import plan


def test_a_split_is_a_partition_that_repeats():
    source = read("ring:103")
    train, test = split(source)
    assert (len(train), len(test)) == (82, 21)
    assert sorted([*train.rows.tolist(), *test.rows.tolist()]) == list(range(103))
    assert torch.equal(split(source)[1].rows, test.rows)
    assert not torch.equal(split(source, seed=1)[1].rows, test.rows)
    assert (train.name, test.name) == ("ring train", "ring test")
    assert torch.equal(test.all().x, source.x[test.rows])


def test_counts_and_records():
    train, test = split(read("ring:100"), held_out=7)
    assert (len(train), len(test)) == (93, 7)
    assert Split(0, 7, 100).as_dict() == {"seed": 0, "held_out": 7, "n": 100}
    assert torch.equal(Split(**Split(0, 7, 100).as_dict()).rows()[1], test.rows)
    with pytest.raises(BadSource, match="of 100 rows, but the data have 50"):
        Split(0, 7, 100).of(read("ring:50"))


def test_rows_on_disk_stay_in_order_and_are_the_same_rows(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(200.0).reshape(100, 2))
    kept, mapped = read(tmp_path / "x.npy"), read(tmp_path / "x.npy", memory=8)
    for here, there in zip(split(kept), split(mapped)):
        assert torch.equal(here.rows.sort().values, there.rows)
        assert not torch.equal(here.rows, there.rows)


@pytest.mark.parametrize(
    ("held_out", "error", "words"),
    [
        (0, InvalidValue, "between 0 and 1"),
        (1.0, InvalidValue, "between 0 and 1"),
        (-0.1, InvalidValue, "between 0 and 1"),
        (10, InvalidValue, "no training rows"),
    ],
)
def test_empty_parts_are_refused(held_out, error, words):
    with pytest.raises(error, match=words):
        split(read("ring:10"), held_out=held_out)


def test_a_share_that_is_no_number_is_refused():
    with pytest.raises(InvalidKind, match="fraction"):
        inspect.unwrap(plan)(10, held_out="x")


def test_one_row_cannot_be_split_and_two_can():
    with pytest.raises(BadSource, match="only 1 row"):
        split(read("ring:1"))
    assert [len(s) for s in split(read("ring:2"), held_out=0.01)] == [1, 1]
    assert [len(s) for s in split(read("ring:2"), held_out=0.99)] == [1, 1]
