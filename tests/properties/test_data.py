"""Anything written comes back the same: tables, arrays and images."""

import tempfile
from pathlib import Path

import numpy as np
import pandas
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pushforward.data import read, split, write

calm = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6
)


@st.composite
def frames(draw):
    n = draw(st.integers(1, 8))
    names = draw(st.lists(words, min_size=3, max_size=3, unique=True))
    texts = words.filter(
        lambda w: w.lower() not in ("nan", "na", "null", "none", "n/a", "<na>", "#n/a", "-nan")
    )
    return pandas.DataFrame(
        {
            names[0]: draw(st.lists(numbers, min_size=n, max_size=n)),
            names[1]: draw(st.lists(st.integers(-(2**52), 2**52), min_size=n, max_size=n)),
            names[2]: draw(st.lists(texts.map(lambda w: "_" + w), min_size=n, max_size=n)),
        }
    )


@calm
@given(frames())
@example(pandas.DataFrame({"#": [0.0], "00": [0], "0": ["_0"]}))
def test_tables_come_back_through_csv(frame):
    source = read(frame, categorical=[frame.columns[2]])
    exported = source.space.export(source.all().x)
    with tempfile.TemporaryDirectory() as folder:
        path = write(source.all().x, source.space, Path(folder) / "d.csv")
        again = read(path, like=source)
    assert torch.equal(again.all().x, source.all().x)
    assert again.space == source.space
    for name in frame.columns:
        assert exported[name].astype(frame[name].dtype).tolist() == frame[name].tolist()


@calm
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int64]),
        st.tuples(st.integers(1, 5), st.integers(1, 4)),
        elements=st.integers(-1000, 1000),
    )
)
def test_points_come_back_through_npz(x):
    source = read(x)
    with tempfile.TemporaryDirectory() as folder:
        path = write(source.all().x, source.space, Path(folder) / "d.npz")
        assert np.array_equal(np.load(path)["x"], x)
        assert torch.equal(read(path).all().x, source.all().x)


@calm
@given(
    arrays.arrays(
        np.uint8,
        st.tuples(
            st.integers(1, 3), st.sampled_from([1, 3, 4]), st.integers(1, 6), st.integers(1, 6)
        ),
    )
)
def test_images_come_back_through_png(x):
    source = read(x)
    with tempfile.TemporaryDirectory() as folder:
        path = write(source.all().x, source.space, f"{folder}/out/")
        again = read(path)
        shown = x * 255 if x.max() == 1 else x  # a PNG shows the ones of binary images as white
        assert np.array_equal(again.x.numpy(), shown)
        assert np.array_equal(again.space.export(again.all().x), shown)


@calm
@given(st.integers(2, 300), st.floats(0.001, 0.999), st.integers(0, 2**62))
def test_a_split_is_always_a_partition(n, held_out, seed):
    train, test = split(read(np.zeros((n, 1))), held_out=held_out, seed=seed)
    assert len(train) >= 1
    assert len(test) >= 1
    assert sorted([*train.rows.tolist(), *test.rows.tolist()]) == list(range(n))
