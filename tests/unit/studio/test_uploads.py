"""Data that a page sends: what is read of tables and images, and what is refused."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward.core.errors import PushforwardError
from pushforward.studio.studio import Studio
from pushforward.studio.uploads import KEPT, Upload, read_upload

TABLE = b"""name;height;count;weight
a;1,80;1;80
b;1,70;2;
c;1,60;3;60
d;1,50;4;55
"""


def upload(*files: tuple[str, bytes], **more: Any) -> Upload:
    facts = [{"name": name, "bytes": len(data)} for name, data in files]
    return read_upload(b"".join(data for _, data in files), {"files": facts, **more})


def picture(level: int, side: int = 40, mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (side, side), level if mode == "L" else (level, 0, 0)).save(file, "PNG")
    return file.getvalue()


def zipped(*files: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header claims so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# ------------------------------------------------------------------------------------------ tables


def test_a_table_offers_its_columns_of_numbers() -> None:
    found = upload(("people.csv", TABLE))
    facts = found.described()
    assert (facts["kind"], facts["rows"], facts["title"]) == ("table", 4, "people.csv")
    assert facts["columns"] == [
        {"name": "height", "missing": 0},
        {"name": "count", "missing": 0},
        {"name": "weight", "missing": 1},
    ]
    assert found.first_columns() == ["height", "weight"]  # continuous ones first
    assert any("'name' holds text" in note for note in facts["notes"])


def test_rows_without_a_value_are_left_out_and_counted() -> None:
    found = upload(("people.csv", TABLE))
    source = found.source(["weight", "height"])
    rows = source.take(torch.arange(len(source))).x
    assert rows.tolist() == [[80, 1.8], [60, 1.6], [55, 1.5]]
    assert source.space.names == ("weight", "height")
    text = "1 of 4 rows have no value in 'weight' or 'height' and are left out"
    assert found.left_out(["weight", "height"]) == text
    assert found.left_out(["height", "count"]) == ""


def test_arrays_and_parquet_are_tables_too() -> None:
    x = np.arange(12.0).reshape(4, 3) ** 2
    file = io.BytesIO()
    np.save(file, x)
    found = upload(("x.npy", file.getvalue()))
    assert found.first_columns() == ["column 0", "column 1"]
    rows = found.source(["column 2", "column 0"]).take(torch.arange(4)).x
    assert np.array_equal(rows.numpy(), x[:, [2, 0]])
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    file = io.BytesIO()
    pandas.DataFrame(x, columns=["a", "b", "c"]).to_parquet(file)
    assert upload(("x.parquet", file.getvalue())).first_columns() == ["a", "b"]


@pytest.mark.parametrize("chosen", [[], ["height"], ["height", "height"], ["height", "name"]])
def test_two_different_columns_are_needed(chosen: list[str]) -> None:
    with pytest.raises(PushforwardError, match="choose two different columns of people"):
        upload(("people.csv", TABLE)).source(chosen)


def test_columns_that_share_no_row() -> None:
    found = upload(("t.csv", b"a,b\n1,\n2,\n,3\n,4\n"))
    with pytest.raises(PushforwardError, match="0 rows have a value in both 'a' and 'b'"):
        found.source(["a", "b"])


# ------------------------------------------------------------------------------------------ images


def test_pictures_are_brought_to_a_size() -> None:
    found = upload(("a.png", picture(10)), ("b.png", picture(200, 30)), side=8)
    assert found.described()["shape"] == [1, 8, 8]
    assert [int(x.float().mean()) for x in found.rows] == [10, 200]
    assert found.title == "2 images"
    coloured = upload(("a.png", picture(10)), ("b.png", picture(200)), side=16, colours="colour")
    assert coloured.described()["shape"] == [3, 16, 16]


def test_an_archive_of_pictures_and_one_of_arrays() -> None:
    files = [(f"{k}.png", picture(k)) for k in range(5)]
    found = upload(("all.zip", zipped(*files)), side=8)
    assert (found.described()["shape"], len(found.rows)) == ([1, 8, 8], 5)
    file = io.BytesIO()
    np.savez(file, images=np.full((6, 20, 20), 9, np.uint8), labels=np.arange(6))
    arrays = upload(("x.npz", file.getvalue()), side=16)
    assert arrays.described()["shape"] == [1, 16, 16]
    assert bool((arrays.rows == 9).all())


def test_too_many_images_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushforward.studio.uploads.MOST_VALUES", 3 * 64)
    found = upload(*((f"{k}.png", picture(k)) for k in range(9)), side=8)
    assert [int(x[0, 0, 0]) for x in found.rows] == [0, 3, 6]
    assert found.notes[-1] == "of 9 images, 3 at equal distances are taken"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("sides", "text"),
    [((7000, 7000), "has 49 megapixels, expected at most 40"), ((60000, 60000), "far too many")],
)
def test_picture_bombs_are_refused_before_they_are_decoded(
    packed: bool, sides: tuple[int, int], text: str
) -> None:
    files = [("a.png", picture(3)), ("b.png", bomb(*sides))]
    with pytest.raises(PushforwardError, match=text):
        upload(("all.zip", zipped(*files))) if packed else upload(*files)


def test_pixels_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushforward.studio.uploads.MOST_MEGAPIXELS", 0.004)
    files = [(f"{k}.png", picture(k)) for k in range(3)]  # 1600 pixels each
    with pytest.raises(PushforwardError, match="megapixels together"):
        upload(*files)
    assert len(upload(*files[:2]).rows) == 2


# ---------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([], "no file came with the request"),
        ([("a.csv", b"")], "a.csv"),
        ([("a.csv", b"name\nx\ny\n")], "expected two or more columns of numbers, got 0"),
        ([("a.csv", b"n\n1\n2\n")], "expected two or more columns of numbers, got 1"),
        ([("a.csv", b"a,b\n1,2\n"), ("b.csv", b"a,b\n1,2\n")], "expected one table, or several"),
        ([("a.zip", b"PK nothing")], "is not a zip archive"),
        ([("a.png", b"nothing"), ("b.png", b"")], "png"),
        ([("run.exe", b"MZ")], "run.exe"),
    ],
)
def test_files_that_are_no_data(files: list[tuple[str, bytes]], text: str) -> None:
    with pytest.raises(PushforwardError, match=text) as caught:
        upload(*files)
    assert "/pushforward-" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (None, "no file came"),
        ([{"name": "a.csv"}], "bytes must be a whole number"),
        ([{"name": "a.csv", "bytes": 99}], "bytes must be a whole number from 0 to 8"),
        ([{"name": "a.csv", "bytes": 3}], "the files have 3 bytes, but 8 came"),
        ([7], "files have a name and a number of bytes"),
        ([{"name": 3, "bytes": 8}], "name must be str"),
        ([{"name": "a", "bytes": 0}] * 5001, "expected at most 5,000"),
    ],
)
def test_attachments_that_do_not_add_up(files: Any, text: str) -> None:
    with pytest.raises(PushforwardError, match=text):
        read_upload(b"a,b\n1,2\n", {"files": files})


@pytest.mark.parametrize(
    "name", ["../../people.csv", "/etc/people.csv", "..\\people.csv", "a\0b.csv"]
)
def test_names_lead_nowhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert len(upload((name, TABLE)).rows) == 4
    assert list(tmp_path.iterdir()) == []  # and nothing stays


def test_a_studio_keeps_few_uploads(tmp_path: Path) -> None:
    studio, found = Studio(tmp_path), upload(("people.csv", TABLE))
    more = [upload(("people.csv", TABLE)) for _ in range(KEPT)]
    for each in (found, *more[:-1]):
        studio.uploads.keep(each)
    assert studio.uploads.find(found.name) is found  # and so it is used last
    studio.uploads.keep(more[-1])
    assert studio.uploads.find(found.name) is found
    with pytest.raises(PushforwardError, match="these data are gone"):
        studio.uploads.find(more[0].name)
    studio.close()
    with pytest.raises(PushforwardError, match="these data are gone"):
        studio.uploads.find(found.name)
