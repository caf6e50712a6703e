"""Folders, globs and zips of images."""

import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward.core.errors import BadSource, InvalidValue
from pushforward.data import read
from tests.png_chunks import chunk


def by_channels(array):
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4), ("LA", 4)])
def test_channels_are_kept(image, mode, channels):
    arrays = [image(f"{i}.png", mode) for i in range(3)]
    source = read(image.folder)
    assert source.space.shape == (channels, 4, 6)
    assert source.x.dtype == torch.uint8
    if mode != "LA":
        assert np.array_equal(source.x.numpy(), np.stack([by_channels(a) for a in arrays]))


def test_mixed_channels_name_two_files_and_the_cure(image):
    image("a.png", "L")
    image("b.png", "RGB")
    with pytest.raises(BadSource) as caught:
        read(image.folder)
    for words in (
        "a.png has 1 (grey)",
        "b.png has 3 (colour)",
        "channels=1, 3 or 4",
    ):
        assert words in str(caught.value)
    assert read(image.folder, channels=3).space.shape == (3, 4, 6)


def test_a_palette_is_what_it_stands_for(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").x[0, :, 0].T.tolist() == [[255, 0, 0], [0, 0, 255]]
    image.save(tmp_path / "b.png", transparency=1)
    assert read(tmp_path / "b.png").x[0, :, 0].T.tolist() == [[255, 0, 0, 255], [0, 0, 255, 0]]


def test_transparency_that_is_dropped_is_laid_on_white(tmp_path):
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert bool((read(tmp_path, channels=3).x == 255).all())
    assert bool((read(tmp_path, channels=1).x == 255).all())


def test_cmyk_becomes_colour_and_sixteen_bits_are_refused(image, tmp_path):
    image("a.jpg", "CMYK")
    assert read(tmp_path).space.shape == (3, 4, 6)
    Image.fromarray(np.full((3, 3), 40000, np.uint16)).save(tmp_path / "b.png")
    with pytest.raises(
        BadSource, match=r"b.png: holds I;16.* levels, finer than bytes; expected 8 bits a channel"
    ):
        read(tmp_path)


def test_images_are_turned_upright(tmp_path):
    image = Image.new("L", (6, 2))
    image.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    source = read(tmp_path)
    assert source.space.shape == (1, 6, 2)
    assert source.x[0, 0].nonzero().tolist() == [[0, 1]]


def test_mixed_sizes_name_two_files_and_the_cure(image):
    image("a.png", size=(6, 4))
    image("b.png", size=(5, 5))
    with pytest.raises(BadSource) as caught:
        read(image.folder)
    for words in ("a.png is 4×6", "b.png is 5×5", "size=64 and fit='crop' ('pad', 'stretch')"):
        assert words in str(caught.value)


def test_each_fit_does_what_it_says(tmp_path):
    image = np.zeros((4, 8), np.uint8)
    image[:, 2:6] = 200
    Image.fromarray(image).save(tmp_path / "a.png")
    sized = {
        fit: read(tmp_path, size=4, fit=fit).x[0, 0].numpy() for fit in ("crop", "pad", "stretch")
    }
    assert (sized["crop"] == 200).all()
    assert (sized["pad"][[0, 3]] == 0).all()
    assert sized["pad"][1:3].max() > 100
    assert (sized["stretch"][:, 0] < 60).all()
    assert read(tmp_path, size=4, fit="pad").space.preparation == "size 4, pad"
    assert read(tmp_path, size="2x4").space.shape == (1, 2, 4)
    assert read(tmp_path, size=4).space.preparation == "size 4, crop"


def test_like_prepares_new_images_the_same_way(image, tmp_path):
    image("old/a.png", "RGB", size=(9, 4))
    image("new/b.png", "RGBA", size=(3, 8))
    known = read(tmp_path / "old", size="4x5", fit="pad", channels=1)
    assert read(tmp_path / "new", like=known).space == known.space


def test_unreadable_and_truncated_images_are_named(image, tmp_path):
    image("good.png", size=(60, 60))
    bad = tmp_path / "bad.png"
    bad.write_text("not an image")
    with pytest.raises(
        BadSource, match=r"bad.png: is not an image that can be read; replace or remove it"
    ):
        read(tmp_path)
    bad.write_bytes((tmp_path / "good.png").read_bytes()[:2000])
    with pytest.raises(BadSource, match=r"bad.png: the image is damaged or cut short"):
        read(tmp_path)
    streamed = read(tmp_path, memory=100)
    with pytest.raises(BadSource, match=r"bad.png: the image is damaged or cut short"):
        streamed.take(torch.arange(2))


def bomb(path, width, height):
    """A PNG whose header claims a size that its bytes do not hold."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(20_000, 10_000), (15_000, 7_000)])
def test_huge_images_are_refused_before_they_are_decoded(tmp_path, width, height):
    bomb(tmp_path / "huge.png", width, height)
    with pytest.raises(
        BadSource,
        match=(
            rf"huge.png: has {width * height // 10**6} megapixels, expected at most 100; shrink it"
            r" first"
        ),
    ):
        read(tmp_path, size=8)


def test_an_empty_folder_and_one_without_images(tmp_path):
    with pytest.raises(BadSource, match="the folder holds no files; expected images"):
        read(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / ".hidden.png").write_text("x")
    with pytest.raises(BadSource, match="2 files but no images"):
        read(tmp_path)


def test_sub_folders_are_labels(image):
    for name in ("cat/1.png", "dog/1.png", "cat/2.png"):
        image(name)
    source = read(image.folder)
    assert source.condition_space.columns[0].categories == ("cat", "dog")
    assert source.y.tolist() == [0, 0, 1]
    assert read(image.folder, label=False).y is None


def test_metadata_gives_labels(image, tmp_path):
    for name in ("1.png", "2.png"):
        image(name)
    (tmp_path / "metadata.csv").write_text("file_name,label,colour\n2.png,b,red\n1.png,a,blue\n")
    assert read(tmp_path).condition_space.columns[0].categories == ("a", "b")
    assert read(tmp_path, label="colour").y.tolist() == [0, 1]
    with pytest.raises(
        InvalidValue, match="no column 'color' to take labels from; did you mean 'colour'"
    ):
        read(tmp_path, label="color")
    image("3.png")
    with pytest.raises(BadSource, match=r"3.png: has no row in metadata.csv"):
        read(tmp_path)


def test_zip_and_glob_give_the_same_images(image, tmp_path):
    for name in ("in/a/1.png", "in/b/2.png"):
        image(name)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("a/1.png", "b/2.png"):
            archive.write(tmp_path / "in" / name, name)
        archive.writestr("__MACOSX/._1.png", "junk")
    folder, packed, matched = (
        read(tmp_path / "in"),
        read(tmp_path / "all.zip"),
        read(str(tmp_path / "in" / "*" / "*.png")),
    )
    assert torch.equal(folder.x, packed.x)
    assert torch.equal(folder.x, matched.x)
    assert packed.y.tolist() == [0, 1]
    (tmp_path / "bad.zip").write_bytes((tmp_path / "all.zip").read_bytes()[:100])
    with pytest.raises(BadSource, match=r"bad.zip: is not a zip archive"):
        read(tmp_path / "bad.zip")
    with pytest.raises(BadSource, match="no file matches"):
        read(str(tmp_path / "*.jpg"))


def test_larger_than_memory_is_decoded_when_taken(image):
    for i in range(40):
        image(f"{i % 2}/{i:02}.png")
    resident, streamed = read(image.folder), read(image.folder, memory=1000)
    assert resident.resident
    assert not streamed.resident
    assert streamed.space == resident.space
    rows = torch.tensor([3, 39, 0, *range(36)])
    for part, other in zip(resident.take(rows)[:2], streamed.take(rows)[:2]):
        assert torch.equal(part, other)


def test_real_images(shared):
    with pytest.raises(BadSource, match="mixed sizes"):
        read(shared / "superres" / "Set5")
    with pytest.raises(BadSource, match="mixed channels"):
        read(shared / "superres" / "Set14", size=64)
    assert len(read(shared / "superres" / "Set14", size=64, channels=3)) == 14
    assert read(shared / "emoji" / "twemoji64.zip", memory=2**20, label="category").space.shape == (
        4,
        64,
        64,
    )
