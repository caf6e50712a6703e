"""Photographs of mixed sizes as tiles: what covers them, and conditions of the same place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import pushforward as pf
from pushforward.data import split
from pushforward.data.resampling import reduce

SIZES = {"a": (40, 33), "b": (24, 24), "c": (51, 70)}


def photo(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, (name, size) in enumerate(SIZES.items()):
        Image.fromarray(photo(*size, seed)).save(folder / f"{name}.png")
    return folder


def levels(name: str) -> Tensor:
    seed = list(SIZES).index(name)
    return torch.from_numpy(photo(*SIZES[name], seed)).permute(2, 0, 1)


def test_tiles_cover_every_pixel_that_the_factor_leaves(photos: Path) -> None:
    source = pf.read(photos, tiles=24, y="low_resolution(4)")
    names = [file.name for file in source.files]
    assert {name: names.count(name) for name in names} == {"a.png": 4, "b.png": 1, "c.png": 6}
    for name in SIZES:
        tiles = source.x[[n == f"{name}.png" for n in names]]
        image = levels(name)
        height, width = (side // 4 * 4 for side in image.shape[1:])
        seen = torch.zeros(height, width, dtype=torch.bool)
        for tile in tiles:
            windows = image.unfold(1, 24, 1).unfold(2, 24, 1)
            at = (windows == tile[:, None, None]).all(-1).all(-1).all(0).nonzero()
            assert len(at) == 1, "noise is found in one place"
            top, left = at[0].tolist()
            assert top % 4 == left % 4 == 0
            seen[top : top + 24, left : left + 24] = True
        assert bool(seen.all())


def test_the_low_resolution_is_that_of_the_photograph(photos: Path) -> None:
    """Not that of the tile, whose borders would be mirrored."""
    source = pf.read(photos, tiles=24, y="low_resolution(4)")
    row = [file.name for file in source.files].index(
        "c.png"
    ) + 1  # the middle of three in the upper row
    batch = source.take(torch.tensor([row]))
    image = levels("c")[None, :, :48, :68]
    small = reduce(image, 4)
    at = (image.unfold(2, 24, 1).unfold(3, 24, 1) == batch.x[:, :, None, None]).all(-1).all(-1)
    top, left = at[0].all(0).nonzero()[0].tolist()
    expected = small[0, :, top // 4 : top // 4 + 6, left // 4 : left // 4 + 6]
    assert torch.equal(batch.y[0], expected.to(batch.y))
    assert not torch.equal(batch.y[0], reduce(batch.x.to(torch.uint8), 4)[0].to(batch.y))


@pytest.mark.parametrize("y", [None, "low_resolution(2)", "grey", "edges", "coarse(2)", "masked"])
def test_tiles_on_disk_are_those_in_memory(photos: Path, y: str | None) -> None:
    held = pf.read(photos, tiles=24, y=y)
    taken = pf.read(photos, tiles=24, y=y, memory=1000)
    assert held.resident
    assert not taken.resident
    rows = torch.tensor([13, 0, 5])
    one, two = held.take(rows), taken.take(rows)
    assert torch.equal(one.x, two.x)
    assert (one.y is None) == (two.y is None) == (y is None)
    assert y is None or torch.equal(one.y, two.y)
    assert held.condition_space == taken.condition_space
    assert str(held.space) == "images of 3×24×24, levels 0..255, tiles of 24"


def test_low_resolutions_of_the_users_own(photos: Path, tmp_path: Path) -> None:
    own = tmp_path / "small"
    own.mkdir()
    for name in SIZES:
        small = reduce(
            levels(name)[None, :, : SIZES[name][0] // 4 * 4, : SIZES[name][1] // 4 * 4], 4
        )
        Image.fromarray(small[0].permute(1, 2, 0).numpy()).save(own / f"{name}.png")
    source = pf.read(photos, tiles=24, y=str(own))
    derived = pf.read(photos, tiles=24, y="low_resolution(4)")
    rows = torch.arange(len(source))
    assert torch.equal(source.take(rows).x, derived.take(rows).x)
    assert torch.equal(source.take(rows).y, derived.take(rows).y)
    Image.fromarray(photo(9, 9, 0)).save(own / "b.png")
    with pytest.raises(pf.BadSource, match=r"b\.png: is 9×9, expected a 4th of .*b\.png, 24×24"):
        pf.read(photos, tiles=24, y=str(own))
    (own / "b.png").unlink()
    with pytest.raises(pf.BadSource, match="without a condition: b"):
        pf.read(photos, tiles=24, y=str(own))


def test_photographs_smaller_than_a_tile_are_left_out_and_named(photos: Path) -> None:
    with pytest.warns(UserWarning, match=r"2 images are smaller than a tile of 48 pixels \(a"):
        source = pf.read(photos, tiles=48)
    assert len(source) == 4
    assert "smaller than a tile" in source.notes[0]
    with pytest.raises(pf.BadSource, match="all 3 images are smaller than a tile"):
        pf.read(photos, tiles=64)


def test_a_photograph_is_not_divided_between_training_and_test(photos: Path) -> None:
    source = pf.read(photos, tiles=8)
    for seed in range(5):
        train, test = split(source, held_out=0.1, seed=seed)
        assert len(train) + len(test) == len(source)
        assert not {f.name for f in train.files} & {f.name for f in test.files}
        again = split(source, held_out=0.1, seed=seed)
        assert torch.equal(test.rows, again[1].rows)
    one = pf.read(photos / "c.png", tiles=8)
    with pytest.raises(pf.BadSource, match="all rows are parts of one image"):
        split(one, held_out=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tiles": 0}, "tiles must be positive|tiles must be above 0|tiles"),
        ({"tiles": 24, "size": 24}, "tiles=24 leaves images as large as they are"),
        ({"tiles": 18, "y": "low_resolution(4)"}, "multiples of 4, got 18; use tiles=16"),
        ({"tiles": 24, "y": "left"}, "does not cut side-by-side images"),
    ],
)
def test_what_is_refused(photos: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(pf.InvalidValue, match=message):
        pf.read(photos, **arguments)


def test_only_files_of_images_are_cut() -> None:
    with pytest.raises(pf.InvalidValue, match="tiles=8 cuts files of images"):
        pf.read(np.zeros((4, 3, 16, 16), np.uint8), tiles=8)
    with pytest.raises(pf.InvalidValue, match="tiles=8 cuts files of images"):
        pf.read("digits", tiles=8, y="grey")
