"""Labels: what goes in comes back, numbers are read by value, missing ones are never categories."""

import math

import numpy as np
import pandas
import pyarrow
import pytest
import torch

import pushforward as pf
from pushforward.core import labels
from pushforward.core.array_source import Arrays
from pushforward.core.errors import BadSource
from pushforward.core.labels import find_categories, to_codes, to_values
from pushforward.core.space import Space


@pytest.mark.parametrize(
    ("y", "categories", "expected"),
    [
        ([0, 1, 2, 1], ("0", "1", "2"), [0, 1, 2, 1]),
        ([3, 7, 9, 7], ("3", "7", "9"), [0, 1, 2, 1]),
        (np.array([3_000_000, 5]), ("5", "3000000"), [1, 0]),
        (np.array([10**8, 0], dtype=np.uint32), ("0", "100000000"), [1, 0]),
        (np.array([2**63 + 5, 7], dtype=np.uint64), ("7", str(2**63 + 5)), [1, 0]),
        (torch.tensor([-1, 1, -1]), ("-1", "1"), [0, 1, 0]),
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (np.array(["10", "9"]), ("10", "9"), [0, 1]),
        ([True, False], ("False", "True"), [1, 0]),
        (torch.tensor([True, False]), ("False", "True"), [1, 0]),
        (np.array([10, 9, 10], dtype=object), ("9", "10"), [1, 0, 1]),
        (pandas.Series([3.0, 7.0], dtype=object), ("3", "7"), [0, 1]),
        (pandas.Series([30, 7], dtype="Int64"), ("7", "30"), [1, 0]),
        (pandas.Series(["u", "v"], dtype="category"), ("u", "v"), [0, 1]),
        (torch.tensor(7), ("7",), [0]),
        (np.ma.masked_array([4, 5], mask=[False, False]), ("4", "5"), [0, 1]),
    ],
)
def test_categories_are_the_values_present(y, categories, expected):
    source = Arrays(np.zeros((len(expected), 2)), y)
    assert source.condition_space.columns[0].categories == categories
    assert source.y.tolist() == expected
    assert source.condition_space.conform(y).tolist() == expected
    given = source.condition_space.as_given(source.y)
    assert source.condition_space.conform(given).tolist() == expected


@pytest.mark.parametrize(
    "gone", [None, float("nan"), "", "  ", pandas.NaT, pandas.NA, np.datetime64("NaT", "ns")]
)
def test_missing_labels_are_counted_and_refused(gone):
    y = np.empty(4, dtype=object)
    y[:] = ["a", gone, "b", gone]
    with pytest.raises(pf.BadSource, match=r"missing .* in 2 of 4 rows"):
        Arrays(np.zeros((4, 2)), y)
    with pytest.raises(pf.ShapeMismatch, match=r"missing .* in 2 of 4 rows"):
        Space.labels(["a", "b"]).conform(y)


@pytest.mark.parametrize(
    "y",
    [
        [1, None, 2],
        np.ma.masked_array([1, 2, 3], mask=[0, 1, 0]),
        pandas.Series([1, None, 2], dtype="Int64"),
    ],
)
def test_missing_numbers_among_labels_are_refused(y):
    with pytest.raises(pf.BadSource, match=r"missing .* in 1 of 3 rows"):
        Arrays(np.zeros((3, 2)), y)


def test_conditions_that_are_numbers_must_be_there():
    with pytest.raises(pf.BadSource, match="y holds missing values"):
        Arrays(np.zeros((2, 2)), np.array([0.5, np.nan]))


@pytest.mark.parametrize(
    ("categories", "given", "expected"),
    [
        (("0", "1", "2"), 1, [1]),
        (("3", "7", "9"), 7, [1]),
        (("3", "7", "9"), "7", [1]),
        (("3", "7", "9"), torch.tensor(9), [2]),
        (("3", "7", "9"), np.int64(3), [0]),
        (("1", "2", "3"), [1, 2, 3], [0, 1, 2]),
        (("10", "9"), [9, 10], [1, 0]),
        (("cat", "dog"), 1, [1]),
        (("cat", "dog"), "dog", [1]),
        (("cat", "dog"), ("dog", "cat"), [1, 0]),
        (("False", "True"), True, [1]),
        (("False", "True"), 0, [0]),
        (("1.5", "2.5"), 1.5, None),
        (("1.5", "2.5"), "2.5", [1]),
    ],
)
def test_a_query_names_a_category_by_value(categories, given, expected):
    if expected is None:
        with pytest.raises(pf.ShapeMismatch):
            to_codes(given, categories)
    else:
        assert to_codes(given, categories).tolist() == expected


@pytest.mark.parametrize(
    ("categories", "given"),
    [(("3", "7"), 1), (("cat", "dog"), 2), (("cat", "dog"), -1), (("cat",), "cow"), (("0",), 0.5)],
)
def test_an_unknown_label_is_named(categories, given):
    with pytest.raises(
        pf.ShapeMismatch,
        match=f"label '{given}' is unknown; the model has {', '.join(categories)}",
    ):
        to_codes(given, categories)


def test_codes_of_a_source_become_labels_again():
    assert to_values(torch.tensor([0, 2]), ("3", "7", "9")).tolist() == [3, 9]
    assert to_values(torch.tensor([0, 2]), ("0", "1", "2")).tolist() == [0, 2]
    assert to_values(torch.tensor([0, 1]), ("cat", "dog")).tolist() == [0, 1]


def test_ids_of_any_size_cost_nothing():
    present, found = find_categories(np.array([10**12, 3, 10**12]))
    assert present == ["3", str(10**12)]
    assert found.tolist() == [1, 0, 1]


@pytest.mark.parametrize("labels", [["a", "b"], [3, 7], [False, True], ["7", "10"]])
def test_labels_come_back_in_every_verb(labels):
    rng = np.random.default_rng(0)
    y = [labels[i] for i in rng.integers(0, 2, 64)]
    x = np.stack([[-4.0 if v == labels[0] else 4.0] * 2 for v in y]) + rng.normal(size=(64, 2))
    model = pf.VAE(latent=2, hidden=(16,)).fit(x, y, by=pf.Trainer(epochs=3, batch=32, seed=0))
    names = [str(v) for v in labels]
    for y_again in (labels, names, np.array(labels, dtype=object)):
        one = model.sample(2, y=y_again, rng=0)
        assert torch.equal(one, model.sample(2, y=names, rng=0))
        assert torch.equal(model.elbo(x[:2], y_again, rng=0), model.elbo(x[:2], names, rng=0))
        assert torch.equal(model.encode(x[:2], y_again), model.encode(x[:2], names))
    assert torch.equal(
        model.sample(3, y=labels[1], rng=0), model.sample(3, y=[names[1]] * 3, rng=0)
    )
    assert not torch.equal(model.sample(3, y=labels[1], rng=0), model.sample(3, y=labels[0], rng=0))


@pytest.mark.parametrize(
    ("y", "expected", "kind"),
    [
        ("a", ["a"], "U"),
        (3, [3], "i"),
        (torch.tensor(3), [3], "i"),
        (np.array([[1], [2]]), [1, 2], "i"),
        (pandas.DataFrame({"y": ["a", "b"]}), ["a", "b"], "OT"),
        (torch.tensor([1.0, 2.0], dtype=torch.bfloat16), [1, 2], "f"),
        (torch.tensor([1.0, 2.0], dtype=torch.float16), [1, 2], "f"),
        (["a", None], ["a", None], "O"),
        ([True, "b"], [True, "b"], "O"),
        (pyarrow.array(["a", None]), ["a", None], "O"),
        (pyarrow.chunked_array([[1, 2], [3]]), [1, 2, 3], "i"),
        (np.ma.masked_array([1, 2], mask=[0, 1]), [1, None], "O"),
        (np.ma.masked_array([1, 2], mask=[0, 0]), [1, 2], "i"),
        # Objects that are numbers: quantities where one is a fraction,
        # categories where all are whole or one is missing.
        (np.array([0.5, 1, np.int8(2)], dtype=object), [0.5, 1, 2], "f"),
        (np.array([1.0, 2, 3], dtype=object), [1, 2, 3], "O"),
        (np.array([0.5, None], dtype=object), [0.5, None], "O"),
        (np.array([0.5, True], dtype=object), [0.5, True], "O"),
        (np.array([0.5, "a"], dtype=object), [0.5, "a"], "O"),
    ],
    ids=str,
)
def test_labels_in_any_container_are_entries_of_one_axis(y, expected, kind):
    found = labels.to_array(y)
    assert found.tolist() == expected
    assert found.dtype.kind in kind


def test_a_fraction_beside_a_missing_label_is_missing():
    found = labels.to_array(np.array([0.5, math.nan], dtype=object))
    assert found.dtype.kind == "O"
    with pytest.raises(BadSource, match="the label is missing"):
        labels.find_categories(np.array([0.5, math.nan], dtype=object))
