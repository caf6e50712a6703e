"""Tables beside images: metadata.csv and metadata.jsonl, in the encodings that they come in."""

import json
import zipfile

import pytest

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
