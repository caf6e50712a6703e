"""Arrays, tensors, .npy and .npz."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import pushforward as pf
from pushforward.core.errors import (
    BadSource,
    InvalidKind,
    InvalidValue,
    PushforwardError,
    ShapeMismatch,
)
from pushforward.data import read


def test_an_array_keeps_its_values_and_its_form():
    x = np.arange(12.0).reshape(4, 3)
    source = read(x, y=np.array([0, 1, 1, 0]))
    assert len(source) == 4
    assert source.space.form == "array"
    assert torch.equal(source.take(torch.tensor([2, 0])).x, torch.from_numpy(x[[2, 0]]))
    assert source.take(torch.tensor([2])).y.tolist() == [1]


def test_a_tensor_comes_back_as_a_tensor():
    source = read(torch.ones(3, 2))
    assert isinstance(source.space.export(source.all().x), torch.Tensor)


def test_a_list_of_numbers_is_one_column():
    assert read([1.0, 2.0, 3.0]).space.shape == (1,)


def test_byte_images_without_a_channel_axis_are_grey():
    source = read(np.zeros((5, 6, 7), np.uint8))
    assert source.space.shape == (1, 6, 7)
    assert source.space.extra["layout"] == "no channel axis"


def test_byte_images_with_channels_last_are_turned():
    x = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    source = read(x)
    assert source.space.shape == (3, 6, 7)
    assert np.array_equal(source.all().x.numpy(), x.transpose(0, 3, 1, 2))


def test_bytes_are_kept_as_bytes_and_given_as_floats():
    source = read(np.full((2, 1, 3, 3), 255, np.uint8))
    assert source.x.dtype == torch.uint8
    assert source.all().x.dtype == torch.float32
    assert source.space.high == 255


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (np.zeros((0, 2)), BadSource, "no rows"),
        ([], BadSource, "no rows"),
        (
            np.array([[1.0, np.inf], [0.0, 1.0]]),
            BadSource,
            "column 'x1' holds infinity (first in row 0)",
        ),
        (np.array([["a", "b"]]), InvalidKind, "must be numbers"),
        (np.zeros((2, 3, 4)), ShapeMismatch, "add the channel axis"),
        ([[1.0, 2.0], [3.0]], ShapeMismatch, "different lengths"),
        (np.zeros((2, 2), complex), InvalidKind, "must be real numbers"),
        ({"a": 1}, InvalidKind, "cannot read data from dict"),
        (3.5, InvalidKind, "cannot read data from float"),
    ],
)
def test_bad_arrays_say_what_is_wrong(x, error, words):
    with pytest.raises(error) as caught:
        read(x)
    assert words in str(caught.value)


def test_conditions_of_another_length_are_refused():
    with pytest.raises(ShapeMismatch, match="expected 3, got 2"):
        read(np.zeros((3, 1)), y=[0, 1])


def test_npy_is_mapped_when_larger_than_the_budget(tmp_path):
    x = np.random.default_rng(0).normal(size=(100, 4))
    np.save(tmp_path / "x.npy", x)
    small, large = read(tmp_path / "x.npy"), read(tmp_path / "x.npy", memory=1000)
    assert small.resident
    assert not large.resident
    rows = torch.tensor([5, 99, 0])
    assert torch.equal(small.take(rows).x, large.take(rows).x)
    assert small.name == "x.npy"


def test_npz_finds_usual_names_and_labels(tmp_path):
    np.savez(
        tmp_path / "d.npz",
        images=np.zeros((4, 8, 8), np.uint8),
        labels=np.array([0, 1, 2, 1]),
        other=np.zeros(2),
    )
    source = read(tmp_path / "d.npz")
    assert source.space.shape == (1, 8, 8)
    assert source.y.tolist() == [0, 1, 2, 1]
    assert read(tmp_path / "d.npz", label=False).condition_space is None


def test_npz_takes_the_array_after_the_colon(tmp_path):
    np.savez(tmp_path / "d.npz", one=np.zeros((3, 2)), two=np.ones((3, 5)))
    assert read(f"{tmp_path}/d.npz:two").space.shape == (5,)
    with pytest.raises(
        BadSource,
        match=(
            r"which array\? it holds one 3×2 float64, two 3×5 float64; name one after a colon, e.g."
            r" d.npz:one"
        ),
    ):
        read(tmp_path / "d.npz")
    with pytest.raises(BadSource, match="did you mean 'two'"):
        read(f"{tmp_path}/d.npz:tow")


def test_npz_larger_than_memory_is_unpacked_to_a_map(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    x = np.random.default_rng(0).normal(size=(200, 4))
    np.savez_compressed(tmp_path / "d.npz", x=x)
    source = read(tmp_path / "d.npz", memory=1000)
    assert not source.resident
    assert np.array_equal(source.take(torch.arange(200)).x.numpy(), x)
    assert not list(scratch.iterdir())


def test_pickles_are_never_opened(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([{"a": 1}], dtype=object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(BadSource, match="pickle"):
            read(tmp_path / name)


def test_damaged_files_are_named(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((100, 2)))
    np.savez(tmp_path / "x.npz", x=np.zeros((100, 2)))
    for name in ("x.npy", "x.npz"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(BadSource, match=f"{name}: cannot be read"):
            read(path)


def test_arrays_of_images_are_brought_to_a_size():
    source = read(np.zeros((2, 3, 8, 6), np.uint8), size=4, fit="stretch", channels=1)
    assert source.space.shape == (1, 4, 4)
    assert source.space.preparation == "size 4, stretch, 1 channel"
    with pytest.raises(InvalidValue, match="convert to bytes"):
        read(np.zeros((2, 3, 8, 6)), size=4)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"size": 0}, "size must be"),
        ({"size": "4x"}, "size must be"),
        ({"size": 8, "fit": "crp"}, "did you mean 'crop'"),
        ({"fit": "crop"}, "pass the size too"),
        ({"channels": 2}, "channels must be 1 (grey)"),
        ({"memory": 0}, "memory must be"),
        ({"memory": "lots"}, "memory must be"),
    ],
)
def test_bad_options_say_what_was_expected(asked, words):
    with pytest.raises(InvalidValue) as caught:
        read(np.zeros((2, 3, 8, 6), np.uint8), **asked)
    assert words in str(caught.value)


def test_a_space_can_be_asked_for():
    x = np.random.default_rng(0).normal(size=(5, 2))
    known = read(x)
    assert read(x[:3] * 9, like=known).space is known.space
    with pytest.raises(ShapeMismatch, match="expected 2 columns"):
        read(np.zeros((3, 4)), like=known)


# --------------------------------------------------------------------- several arrays as one source


@pytest.fixture
def shards(tmp_path: Path) -> tuple[Path, NDArray[Any]]:
    """A folder with three arrays, and their rows in the order of the names."""
    x = np.random.default_rng(0).normal(size=(9, 3))
    for name, rows in (("b", x[5:]), ("a", x[:2]), ("a1", x[2:5])):
        np.save(tmp_path / f"{name}.npy", np.asfortranarray(rows))
    return tmp_path, x


@pytest.mark.parametrize("memory", [10**6, 100])
def test_a_glob_of_arrays_is_one_source_in_the_order_of_names(shards: Any, memory: int) -> None:
    place, x = shards
    source = read(str(place / "*.npy"), y=np.arange(9) % 2, memory=memory)
    assert source.resident is (memory > x.nbytes)
    batch = source.take(torch.arange(9))
    assert np.array_equal(batch.x, x.astype(batch.x.numpy().dtype))
    assert np.array_equal(batch.y, np.arange(9) % 2)


def test_arrays_of_a_glob_are_split_and_read_again(shards: Any, tmp_path: Path) -> None:
    place, _ = shards
    pf.Experiment(pf.PCA(1), str(place / "a*.npy"), held_out=2).run(tmp_path / "run")
    parts = pf.experiments.open_run(tmp_path / "run").parts()
    assert (len(parts.train), len(parts.held_out)) == (3, 2)


@pytest.mark.parametrize("other", [np.zeros((2, 4)), np.zeros((2, 3), np.float32), np.float64(1)])
def test_arrays_of_a_glob_are_alike(shards: Any, other: Any) -> None:
    place, _ = shards
    np.save(place / "c.npy", other)
    with pytest.raises(PushforwardError, match=r"c\.npy"):
        read(str(place / "*.npy"))


def test_a_source_says_what_it_holds(tmp_path: Path) -> None:
    assert repr(read("ring:50")) == "Arrays('ring', 50 rows of points in 2 dimensions)"
    (tmp_path / "t.csv").write_text("x,k\n1,2\n3,4\n5,6\n")
    source = read(tmp_path / "t.csv", label="k")
    held = "rows of 1 column (x), with conditions: label of 3 categories)"
    assert repr(source) == f"Arrays('t.csv', 3 {held}"
    train, _ = pf.split(source, held_out=1)
    assert repr(train) == f"Subset('t.csv train', 2 {held}"
    stream = read(lambda: iter(np.zeros((4, 3))), stream=True)
    assert "points in 3 dimensions" in repr(stream)
    assert len(repr(stream)) < 80
