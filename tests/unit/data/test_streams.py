"""Datasets, iterables and what is larger than memory."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from pushforward.core.errors import BadSource, InvalidKind, ShapeMismatch
from pushforward.data import read


class Squares(Dataset):
    targets = tuple(i % 3 for i in range(50))

    def __len__(self):
        return 50

    def __getitem__(self, i):
        return torch.full((1, 4, 4), i * i, dtype=torch.float32), self.targets[i]


class Stream(IterableDataset):
    def __iter__(self):
        return (torch.tensor([float(i), 1.0]) for i in range(20))


def test_a_dataset_is_kept_when_it_fits_and_read_item_by_item_when_not():
    kept, streamed = read(Squares()), read(Squares(), memory=100)
    assert kept.resident
    assert not streamed.resident
    rows = torch.tensor([7, 0, 49])
    for part, other in zip(kept.take(rows)[:2], streamed.take(rows)[:2]):
        assert torch.equal(part, other)
    assert kept.condition_space == streamed.condition_space


def test_other_torch_sources():
    assert read(Stream()).all().x[:, 0].tolist() == list(range(20))
    pairs = TensorDataset(torch.arange(6.0).reshape(3, 2), torch.tensor([0, 1, 1]))
    assert read(pairs).y.tolist() == [0, 1, 1]
    assert len(read(DataLoader(Squares(), batch_size=8))) == 50


def test_iterables_of_points_pairs_mappings_and_images():
    assert read((float(i), 2.0) for i in range(5)).space.shape == (2,)
    assert read(i for i in range(5)).space.shape == (1,)
    assert read((np.zeros(3), i % 2) for i in range(5)).y.tolist() == [0, 1, 0, 1, 0]
    assert read(
        {"image": np.zeros((1, 2, 2)), "label": "ab"[i % 2]} for i in range(4)
    ).y.tolist() == [0, 1, 0, 1]
    assert read([Image.new("RGB", (5, 4))] * 3).space.shape == (3, 4, 5)


def test_an_iterable_larger_than_memory_is_spooled_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    x = np.random.default_rng(0).normal(size=(500, 20_000 // 8))
    source = read((row for row in x), memory=2**20)
    assert not source.resident
    assert np.array_equal(source.take(torch.arange(500)).x.numpy(), x)
    assert not list(tmp_path.iterdir())


def test_a_fault_while_spooling_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def items():
        for _ in range(100):
            yield np.zeros(2**17)
        yield np.zeros(3)

    with pytest.raises(ShapeMismatch, match="observation 100"):
        read(items(), memory=2**20)
    assert not list(tmp_path.iterdir())


def test_no_room_to_spool_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(BadSource, match=r"cannot write the temporary file .*set TMPDIR"):
        read((np.zeros(2**17) for _ in range(100)), memory=2**20)


@pytest.mark.parametrize(
    ("items", "error", "words"),
    [
        ([], BadSource, "no rows"),
        (iter([]), BadSource, "no observations"),
        (iter(["a"]), InvalidKind, "observation 0 is str"),
        (
            iter([np.zeros(2), np.zeros(3)]),
            ShapeMismatch,
            r"observation 1 has shape \(3,\), but the first has \(2,\)",
        ),
        (
            iter([np.zeros(2, np.uint8), np.zeros(2)]),
            ShapeMismatch,
            "observation 1 is float64, but the first is uint8",
        ),
        (
            iter([(np.zeros(2), 1), np.zeros(2)]),
            ShapeMismatch,
            "1 of 2 observations came with a label",
        ),
    ],
)
def test_bad_items_are_named(items, error, words):
    with pytest.raises(error, match=words):
        read(items)
