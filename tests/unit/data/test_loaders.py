"""DataLoaders and Datasets: every row they stand for is read, and no other;
what is left out is counted and named.
"""

from itertools import count

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)
from torch.utils.data.distributed import DistributedSampler

import pushforward as pf
from pushforward.core.errors import BadSource, DataWarning, InvalidKind, ShapeMismatch
from pushforward.data import read


class Items(Dataset):
    """Item i is (i, -i) with label i % 3."""

    def __init__(self, n=10):
        self.n = n
        self.targets = [i % 3 for i in range(n)]

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return torch.tensor([float(i), -float(i)]), self.targets[i]


class Stream(IterableDataset):
    def __init__(self, n=10):
        self.n = n

    def __iter__(self):
        return (torch.tensor([float(i), 1.0]) for i in range(self.n))


class SizedStream(Stream):
    def __len__(self):
        return self.n


def tensors(n=10):
    x = torch.stack(
        [torch.arange(n, dtype=torch.float64), -torch.arange(n, dtype=torch.float64)], 1
    )
    return TensorDataset(x, torch.arange(n) % 3)


def values(source):
    return source.take(torch.arange(len(source))).x[:, 0].tolist()


def quietly(loader, **kwargs):
    """The source, and what it notes."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        source = read(loader, **kwargs)
    return source, " ".join(source.notes)


# ----------------------------------------------------------------------------------------- samplers


class Backwards:
    """A sampler of one's own: the even rows, backwards."""

    def __iter__(self):
        return iter(range(8, -1, -2))


class Pairs:
    """A batch sampler of one's own."""

    def __iter__(self):
        return iter([[0, 9], [4]])


PICKED = [7, 2, 5]
LOADERS = {
    "sequential": (lambda d: DataLoader(d, batch_size=4), list(range(10)), ""),
    "shuffled": (lambda d: DataLoader(d, batch_size=4, shuffle=True), list(range(10)), ""),
    "no batches": (lambda d: DataLoader(d, batch_size=None), list(range(10)), ""),
    "subset": (
        lambda d: DataLoader(d, batch_size=4, sampler=SubsetRandomSampler(PICKED)),
        PICKED,
        "7 of 10 items are left out",
    ),
    "own sampler": (
        lambda d: DataLoader(d, batch_size=4, sampler=Backwards()),
        [8, 6, 4, 2, 0],
        "5 of 10 items are left out",
    ),
    "own batches": (
        lambda d: DataLoader(d, batch_sampler=Pairs()),
        [0, 9, 4],
        "7 of 10 items are left out by its batch sampler",
    ),
    "list as sampler": (
        lambda d: DataLoader(d, sampler=[1, 1, 3]),
        [1, 1, 3],
        "8 of 10 items are left out",
    ),
    "drop_last": (
        lambda d: DataLoader(d, batch_size=4, drop_last=True),
        list(range(8)),
        "2 of 10 items are left out by .* drop_last",
    ),
    "drop_last, even": (lambda d: DataLoader(d, batch_size=5, drop_last=True), list(range(10)), ""),
    "drop_last, shuffled": (
        lambda d: DataLoader(d, batch_size=4, shuffle=True, drop_last=True),
        list(range(10)),
        "different rows in every shuffled epoch",
    ),
    "batch sampler that drops": (
        lambda d: DataLoader(
            d, batch_sampler=BatchSampler(SequentialSampler(d), 3, drop_last=True)
        ),
        list(range(9)),
        "1 of 10 items",
    ),
    "subset in a batch sampler": (
        lambda d: DataLoader(
            d, batch_sampler=BatchSampler(SubsetRandomSampler(PICKED), 2, drop_last=False)
        ),
        PICKED,
        "7 of 10",
    ),
}


@pytest.mark.parametrize("memory", [2**30, 1], ids=["in memory", "streamed"])
@pytest.mark.parametrize("make", [Items, tensors])
@pytest.mark.parametrize("name", LOADERS)
def test_a_loaders_rows_are_those_it_gives(name, make, memory):
    loader, expected, words = LOADERS[name]
    before = torch.get_rng_state()
    source, notes = quietly(loader(make()), memory=memory)
    assert torch.equal(torch.get_rng_state(), before)
    assert values(source) == expected
    codes = [
        source.condition_space.columns[0].categories[int(c)]
        for c in source.take(torch.arange(len(source))).y
    ]
    assert codes == [str(i % 3) for i in expected]
    if words:
        with pytest.warns(DataWarning, match=words):
            read(loader(make()))
    assert bool(notes) == bool(words)


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (
            lambda d: WeightedRandomSampler(torch.ones(10), 10),
            r"read\(loader.dataset, weights=loader.sampler.weights\)",
        ),
        (
            lambda d: RandomSampler(d, replacement=True),
            "RandomSampler draws different rows each epoch",
        ),
        (
            lambda d: RandomSampler(d, num_samples=4),
            "RandomSampler draws different rows each epoch",
        ),
        (lambda d: DistributedSampler(d, num_replicas=2, rank=0), "pass loader.dataset"),
        (lambda d: count(), "may be endless"),
    ],
)
@pytest.mark.parametrize("collate", [None, list])
def test_samplers_that_differ_every_epoch_are_refused(sampler, words, collate):
    items = Items()
    with pytest.raises(BadSource, match=words):
        read(DataLoader(items, batch_size=2, sampler=sampler(items), collate_fn=collate))


@pytest.mark.parametrize("memory", [2**30, 1], ids=["in memory", "streamed"])
def test_validation_rows_do_not_leak_into_training(memory):
    rows = torch.randperm(10, generator=torch.Generator().manual_seed(0)).tolist()
    train, notes = quietly(
        DataLoader(Items(), sampler=SubsetRandomSampler(rows[:7])), memory=memory
    )
    valid, _ = quietly(DataLoader(Items(), sampler=SubsetRandomSampler(rows[7:])), memory=memory)
    assert set(values(train)) & set(values(valid)) == set()
    assert len(train) + len(valid) == 10
    assert "3 of 10 items are left out by its sampler" in notes


# --------------------------------------------------------------------------------------- collate_fn


def doubled(batch):
    x, y = default_collate(batch)
    return 2 * x, y


X, Y = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0, 1, 2, 0, 1, 2]


def stacked(batch):
    return torch.stack([x for x, _ in batch])


COLLATED = {
    "transformed": (doubled, [2 * v for v in X], Y),
    "list": (list, X, Y),
    "identity": (lambda b: b, X, Y),
    "mapping": (lambda b: {"x": stacked(b), "y": [y for _, y in b]}, X, Y),
    "names": (lambda b: (stacked(b), ["abc"[y] for _, y in b]), X, Y),
    "without labels": (stacked, X, None),
    "arrays": (lambda b: (stacked(b).numpy(), np.array([y for _, y in b])), X, Y),
}


@pytest.mark.parametrize("size", [1, 2, 4, 6])
@pytest.mark.parametrize("name", COLLATED)
def test_a_collate_fn_of_ones_own_is_called(name, size):
    collate, x, y = COLLATED[name]
    source = read(DataLoader(Items(6), batch_size=size, collate_fn=collate))
    assert values(source) == x
    assert (source.y is None) if y is None else (source.y.tolist() == y)


def test_items_that_a_collate_fn_leaves_out_are_counted():
    def sound(batch):
        return default_collate([b for b in batch if b[1] != 1])

    with pytest.warns(DataWarning, match="sound made 4 observations of 6 items"):
        source = read(DataLoader(Items(6), batch_size=3, collate_fn=sound))
    assert values(source) == [0, 2, 3, 5]


@pytest.mark.parametrize(
    ("collate", "error", "words"),
    [
        (
            lambda b: (torch.zeros(2, 1), torch.zeros(2), torch.zeros(2)),
            InvalidKind,
            "tuple of 3 parts",
        ),
        (lambda b: {"z": torch.zeros(2)}, InvalidKind, "has keys z; expected one of x"),
        (lambda b: (torch.zeros(2, 1), [1]), ShapeMismatch, "2 observations and 1 labels"),
        (lambda b: None, InvalidKind, "NoneType of no parts"),
        (lambda b: 3.5, InvalidKind, "float of no parts"),
    ],
)
def test_batches_that_cannot_be_taken_apart_are_refused(collate, error, words):
    with pytest.raises(error, match=words):
        read(DataLoader(Items(4), batch_size=2, collate_fn=collate))


@pytest.mark.parametrize("kind", [Stream, SizedStream])
def test_streams_keep_their_loaders_batches(kind):
    assert values(read(kind())) == list(range(10))
    assert values(read(DataLoader(kind(), batch_size=4))) == list(range(10))
    assert values(read(DataLoader(kind(), batch_size=4, drop_last=True))) == list(range(8))
    assert values(
        read(DataLoader(kind(), batch_size=4, collate_fn=lambda b: 2 * torch.stack(b)))
    ) == list(range(0, 20, 2))


def test_fit_takes_a_loaders_rows_too():
    with pytest.warns(DataWarning, match="5 of 10 items are left out"):
        model = pf.Gaussian().fit(
            DataLoader(tensors(), batch_size=2, sampler=SubsetRandomSampler([0, 1, 2, 3, 4]))
        )
    assert float(model.mean_[0]) == pytest.approx(2.0)


# ----------------------------------------------------------------------------------------- datasets


def test_a_tensor_dataset_with_a_transform_is_asked_for_its_items():
    class Halved(TensorDataset):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return x / 2, y

    assert values(read(Halved(*tensors(4).tensors))) == [0, 0.5, 1, 1.5]


def test_a_third_tensor_is_not_dropped_without_a_word():
    with pytest.raises(InvalidKind, match="holds 3 tensors"):
        read(TensorDataset(torch.zeros(3, 1), torch.zeros(3), torch.ones(3)))


def test_what_is_passed_with_a_dataset_larger_than_memory_is_kept():
    weights, y = torch.arange(1.0, 11), np.array(list("aabbccddee"))
    source = read(Items(), y=y, weights=weights, memory=1)
    assert not source.resident
    batch = source.take(torch.tensor([4, 1]))
    assert batch.weights.tolist() == [5, 2]
    assert [source.condition_space.columns[0].categories[i] for i in batch.y] == ["c", "a"]


def test_labels_of_a_dataset_that_differ_from_its_targets_are_refused():
    items = Items()
    items.targets = Lies(items.targets)
    with pytest.raises(
        BadSource, match=r".targets differs from the labels of its items; pass the labels as y"
    ):
        read(items, memory=1)


class Lies(list):
    """Labels that are others when looked at as a whole."""

    def __array__(self, *_, **__):
        return np.array([9 - v for v in self])


# -------------------------------------------------------------------------------------------- sizes


def image(i, mode="RGB"):
    return Image.new(mode, (5 + i, 9 - i), tuple([40 * i] * len(mode)) if len(mode) > 1 else 40 * i)


class Mixed(Dataset):
    """Images of mixed sizes (and kinds): as PIL images, arrays or tensors."""

    def __init__(self, kind):
        self.kind, self.targets = kind, [0, 1, 0, 1]

    def __len__(self):
        return 4

    def __getitem__(self, i):
        if self.kind == "pil":
            return image(i), self.targets[i]
        array = np.asarray(image(i, "L" if self.kind == "grey" else "RGB"))
        return (
            array
            if self.kind in ("array", "grey")
            else torch.from_numpy(array.transpose(2, 0, 1).copy())
        ), self.targets[i]


@pytest.mark.parametrize("kind", ["pil", "array", "tensor", "grey"])
@pytest.mark.parametrize("memory", [2**30, 1], ids=["in memory", "streamed"])
@pytest.mark.parametrize(
    "wrap", [lambda d: d, lambda d: DataLoader(d, batch_size=2), lambda d: (d[i] for i in range(4))]
)
def test_size_comes_before_sizes_are_compared(kind, memory, wrap):
    with pytest.raises(ShapeMismatch, match="bring images to one with size=64"):
        read(wrap(Mixed(kind)), memory=memory).all()
    source = read(wrap(Mixed(kind)), size=8, memory=memory, channels=3)
    assert source.space.shape == (3, 8, 8)
    assert source.space.preparation == "size 8, crop, 3 channels"
    batch = source.take(torch.arange(4))
    assert batch.x.mean((1, 2, 3)).tolist() == [0, 40, 80, 120]
    assert batch.y.tolist() == [0, 1, 0, 1]


def test_mixed_sizes_from_files_and_from_items_are_the_same(tmp_path):
    for i in range(4):
        image(i).save(tmp_path / f"{i}.png")
    from_files = read(tmp_path, size="6x7", fit="pad", channels=4)
    items = [Image.open(tmp_path / f"{i}.png") for i in range(4)]
    assert torch.equal(read(items, size="6x7", fit="pad", channels=4).x, from_files.x)
    for item in items:
        item.close()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (1, 1)])
def test_extreme_shapes_are_brought_to_a_size(tmp_path, size, fit):
    Image.new("L", size, 200).save(tmp_path / "a.png")
    source = read(tmp_path, size=8, fit=fit)
    assert source.space.shape == (1, 8, 8)
    assert source.all().x.max() == 200, "something of the image is left"


def test_items_of_mixed_channels_take_the_channels_asked_for():
    items = [
        Image.new("L", (4, 4), 100),
        Image.new("RGB", (4, 4), (100, 100, 100)),
        Image.new("RGBA", (4, 4), (100, 100, 100, 255)),
    ]
    assert read(items, channels=3).x.flatten(1).tolist() == [[100] * 48] * 3
    with pytest.raises(ShapeMismatch, match="channels=3"):
        read(items)
