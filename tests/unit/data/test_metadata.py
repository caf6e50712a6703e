"""Tables beside images: metadata.csv and metadata.jsonl, in the encodings that they come in."""

import json
import zipfile

import numpy as np
import pytest
import torch

from pushforward.core.errors import BadSource, InvalidValue
from pushforward.data import read, report


@pytest.fixture
def folder(image):
    for name in ("a.png", "b.png", "c.png"):
        image(name)
    return image.folder


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


NAMED = [
    {"file_name": "a.png", "label": "käfer"},
    {"file_name": "b.png", "label": "ant"},
    {"file_name": "c.png", "label": "käfer"},
]
CSV = "file_name,label\na.png,käfer\nb.png,ant\nc.png,käfer\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("metadata.csv", CSV.encode(), ""),
        ("metadata.csv", CSV.encode("utf-8-sig"), ""),
        ("metadata.csv", CSV.encode("latin-1"), "metadata.csv is not UTF-8; it is read as Latin-1"),
        ("metadata.csv", CSV.encode("utf-16"), "metadata.csv is read as UTF-16"),
        ("metadata.jsonl", lines(*NAMED), ""),
        ("metadata.jsonl", lines(*({**row, "width": 3, "box": [1, 2]} for row in NAMED)), ""),
        (
            "metadata.jsonl",
            lines(*({"file_name": r["file_name"], "kind": r["label"]} for r in NAMED)),
            "",
        ),
    ],
)
def test_labels_come_from_the_table_beside_the_images(folder, name, content, said):
    (folder / name).write_bytes(content)
    source = read(folder)
    assert source.condition_space.columns[0].categories == ("ant", "käfer")
    assert source.y.tolist() == [1, 0, 1]
    assert said in " ".join(source.notes)
    assert bool(source.notes) == bool(said)
    assert report(folder).labels == {"ant": 1, "käfer": 2}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_table_in_a_sub_folder_names_its_own_images(image, kind):
    for name in ("train/a.png", "train/b.png"):
        image(name)
    content = {
        "csv": b"file_name,label\na.png,u\nb.png,v\n",
        "jsonl": lines(*({"file_name": f"{n}.png", "label": v} for n, v in ("au", "bv"))),
    }
    (image.folder / "train" / f"metadata.{kind}").write_bytes(content[kind])
    assert read(image.folder).y.tolist() == [0, 1]


def test_whole_numbers_are_labels_by_value(folder):
    (folder / "metadata.jsonl").write_bytes(
        lines(*({"file_name": f"{n}.png", "label": v} for n, v in (("a", 7), ("b", 3), ("c", 10))))
    )
    source = read(folder)
    assert source.condition_space.columns[0].categories == ("3", "7", "10")
    assert source.condition_space.conform([7]).tolist() == [1]


@pytest.mark.parametrize(
    ("rows", "asked", "error", "words"),
    [
        (
            [{"file_name": "a.png", "label": None}, *NAMED[1:]],
            {},
            BadSource,
            "the label is missing .* in 1 of 3 rows",
        ),
        (
            [{"file_name": "a.png", "label": ""}, *NAMED[1:]],
            {},
            BadSource,
            "the label is missing .* in 1 of 3 rows",
        ),
        (NAMED[1:], {}, BadSource, "a.png: has no row in metadata.jsonl"),
        (
            NAMED,
            {"label": "lable"},
            InvalidValue,
            "no column 'lable' to take labels from; did you mean 'label'",
        ),
        ([{**row, "label": [1]} for row in NAMED], {}, BadSource, "holds lists or objects"),
        ([{"label": "u"}], {}, BadSource, "expected one named file_name"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(folder, rows, asked, error, words):
    (folder / "metadata.jsonl").write_bytes(lines(*rows))
    with pytest.raises(error, match=words):
        read(folder, **asked)


@pytest.mark.parametrize("content", [b"{no", b"[1]\n", b"3\n"])
def test_lines_that_are_no_objects_are_named(folder, content):
    (folder / "metadata.jsonl").write_bytes(content)
    with pytest.raises(BadSource, match=r"metadata.jsonl: line 1 is not"):
        read(folder)


def test_a_zip_brings_its_table(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for name in ("a.png", "b.png", "c.png"):
            archive.write(folder / name, f"data/{name}")
        archive.writestr("data/metadata.jsonl", lines(*NAMED))
    assert read(tmp_path / "z.zip").y.tolist() == [1, 0, 1]


PAIRED = [{"image": f"{name}.png", "map": f"maps/{name}.png"} for name in "cab"]
ROWS = "image,map\n" + "".join(f"{row['image']},{row['map']}\n" for row in PAIRED)


@pytest.fixture
def maps(folder, image):
    made = {name: image(f"maps/{name}.png") for name in "abc"}
    return folder, [made[name] for name in "cab"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.csv", ROWS.encode()),
        ("pairs.csv", ROWS.encode("utf-8-sig")),
        ("pairs.csv", ROWS.replace("\n", "\r\n").encode("utf-16")),
        ("PAIRS.JSONL", lines(*PAIRED)),
        ("pairs.csv", ROWS.replace("image,", "photo,").encode()),
        (
            "pairs.csv",
            b"map,image\n" + "".join(f"{r['map']},{r['image']}\n" for r in PAIRED).encode(),
        ),
    ],
)
def test_a_table_of_pairs_is_a_source(maps, name, content):
    folder, expected = maps
    (folder / name).write_bytes(content)
    for column in ({"y": "map"}, {"label": "map"}):
        source = read(folder / name, **column)
        assert source.condition_space.kind == "images"
        y = source.take(torch.arange(3)).y.movedim(1, -1)
        assert np.array_equal(y.numpy(), np.stack(expected))  # in the order of the rows
    assert report(folder / name, y="map").count == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.png,maps/a.png\nz.png,maps/b.png\n", "row 1 names 'z.png', which is not there"),
        ("a.png,maps/z.png\nb.png,maps/b.png\n", "names images that are not there .maps/z.png"),
    ],
)
def test_a_missing_image_of_a_table_is_named(maps, rows, message):
    folder, _ = maps
    (folder / "pairs.csv").write_text("image,map\n" + rows)
    with pytest.raises(BadSource, match=message):
        read(folder / "pairs.csv", y="map")


def test_images_are_not_their_own_conditions(maps):
    folder, _ = maps
    (folder / "pairs.csv").write_text(ROWS.replace("image,", "photo,"))
    with pytest.raises(BadSource, match="'photo' names the images themselves; name the column"):
        read(folder / "pairs.csv", y="photo")


def test_a_table_that_names_images_elsewhere_is_a_table(tmp_path):
    (tmp_path / "sizes.csv").write_text("image,size,age\nx.png,1,2\ny.png,2,4\n")
    assert read(tmp_path / "sizes.csv", drop="image").space.shape == (2,)
